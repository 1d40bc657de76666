#include "base/map.h"
#include "base/random.h"

#include "tests/suite.h"

struct item {
    uint64_t key;
    bool in;
};

static struct item items[3000];

static uint64_t spread(const void *item)
{
    return hash_number(((const struct item *)item)->key);
}

/* All items run into each other, and around the end of the table. */
static uint64_t collide(const void *item)
{
    return (((const struct item *)item)->key & 1) ? UINT64_MAX : 62;
}

static bool same(const void *item, const void *key)
{
    return ((const struct item *)item)->key == *(const uint64_t *)key;
}

static void init_items(void)
{
    for (size_t i = 0; i < countof(items); i++)
        items[i] = (struct item){.key = i};
}

static void assert_walk_sees_all(struct map *map)
{
    static int seen[countof(items)];
    size_t at = 0, count = 0;
    for (size_t i = 0; i < countof(items); i++)
        seen[i] = 0;
    for (struct item *item; (item = map_walk(map, &at)) != NULL; count++)
        seen[item->key]++;
    ck_assert_uint_eq(count, map->count);
    for (size_t i = 0; i < countof(items); i++)
        ck_assert_int_eq(seen[i], items[i].in);
}

/* Adds and removes at random, against a flag in each item. */
static void against_flags(uint64_t (*hash)(const void *), size_t among, int steps)
{
    struct map map;
    struct random_state random = {3};
    size_t count = 0;
    init_items();
    map_init(&map, hash, same);
    for (int step = 0; step < steps; step++) {
        struct item *item = &items[random_below(&random, among)];
        if (item->in)
            ck_assert(map_remove(&map, item));
        else
            map_add(&map, item);
        item->in = !item->in;
        count = item->in ? count + 1 : count - 1;
        ck_assert_uint_eq(map.count, count);

        const struct item *other = &items[random_below(&random, among)];
        ck_assert_ptr_eq(map_find(&map, hash(other), &other->key), other->in ? other : NULL);
    }
    assert_walk_sees_all(&map);
    map_free(&map);
}

START_TEST(spread_keys)
{
    against_flags(spread, countof(items), 60000);
}
END_TEST

START_TEST(colliding_keys)
{
    against_flags(collide, 100, 20000);
}
END_TEST

START_TEST(empty)
{
    struct map map;
    uint64_t key = 1;
    size_t at = 0;
    init_items();
    map_init(&map, spread, same);
    ck_assert_ptr_null(map_find(&map, hash_number(key), &key));
    ck_assert(!map_remove(&map, &items[1]));
    ck_assert_ptr_null(map_walk(&map, &at));
    map_free(&map);
}
END_TEST

START_TEST(removes_by_pointer_only)
{
    struct map map;
    struct item twin = {.key = 1};
    init_items();
    map_init(&map, spread, same);
    map_add(&map, &items[1]);
    ck_assert(!map_remove(&map, &twin));
    ck_assert(map_remove(&map, &items[1]));
    ck_assert(!map_remove(&map, &items[1]));
    map_free(&map);
}
END_TEST

/* A table through which items pass for ever must not grow with those that have left. */
START_TEST(does_not_grow_with_what_left)
{
    struct map map;
    init_items();
    map_init(&map, spread, same);
    for (size_t round = 0; round < 100; round++) {
        for (size_t i = 0; i < countof(items); i++) {
            map_add(&map, &items[i]);
            if (i >= 10)
                ck_assert(map_remove(&map, &items[i - 10]));
        }
        for (size_t i = countof(items) - 10; i < countof(items); i++)
            ck_assert(map_remove(&map, &items[i]));
    }
    ck_assert_uint_eq(map.count, 0);
    ck_assert_uint_le(map.capacity, 128);
    map_free(&map);
}
END_TEST

START_TEST(walk_allows_removal_of_what_it_gave)
{
    struct map map;
    size_t at = 0, count = 0;
    init_items();
    map_init(&map, spread, same);
    for (size_t i = 0; i < countof(items); i++)
        map_add(&map, &items[i]);
    for (struct item *item; (item = map_walk(&map, &at)) != NULL; count++)
        ck_assert(map_remove(&map, item));
    ck_assert_uint_eq(count, countof(items));
    ck_assert_uint_eq(map.count, 0);
    map_free(&map);
}
END_TEST

TEST_MAIN("base/map", spread_keys, colliding_keys, empty, removes_by_pointer_only,
          does_not_grow_with_what_left, walk_allows_removal_of_what_it_gave)
