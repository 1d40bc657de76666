#include "base/pool.h"

#include "base/random.h"
#include "tests/suite.h"

#include <string.h>

#define MANY 5000 /* several pages */

struct item {
    uint64_t number;
    char text[40];
};

static struct item *items[MANY];

static void take(struct pool *pool, size_t number)
{
    items[number] = pool_take(pool);
    ck_assert_uint_eq(items[number]->number, 0); /* whatever was there before */
    ck_assert_uint_eq((uintptr_t)items[number] % _Alignof(struct item), 0);
    items[number]->number = number;
    memset(items[number]->text, 'x', sizeof(items[number]->text));
}

static void give(struct pool *pool, size_t number)
{
    pool_give(pool, items[number]);
    items[number] = NULL;
}

static void begin(struct pool *pool)
{
    memset(items, 0, sizeof(items));
    pool_init(pool, sizeof(struct item));
}

static void assert_walk_meets_all(const struct pool *pool)
{
    static unsigned met[MANY];
    size_t at = 0, count = 0;
    memset(met, 0, sizeof(met));
    for (struct item *item; (item = pool_walk(pool, &at)) != NULL; count++)
        met[item->number]++;
    ck_assert_uint_eq(count, pool->count);
    for (size_t i = 0; i < MANY; i++)
        ck_assert_uint_eq(met[i], items[i] != NULL);
}

static size_t pages(const struct pool *pool)
{
    size_t count = 0;
    for (size_t i = 0; i < pool->page_count; i++)
        count += pool->pages[i] != NULL;
    return count;
}

START_TEST(nothing)
{
    struct pool pool;
    size_t at = 0;
    begin(&pool);
    ck_assert_ptr_null(pool_walk(&pool, &at));
    pool_free(&pool);
}
END_TEST

START_TEST(items_keep_what_is_theirs)
{
    struct pool pool;
    struct random_state random = {7};
    begin(&pool);
    for (int step = 0; step < 60000; step++) {
        size_t number = random_below(&random, MANY);
        if (items[number] == NULL) {
            take(&pool, number);
        } else {
            ck_assert_uint_eq(items[number]->number, number);
            ck_assert_int_eq(items[number]->text[39], 'x');
            give(&pool, number);
        }
    }
    assert_walk_meets_all(&pool);
    pool_free(&pool);
}
END_TEST

START_TEST(pages_that_are_empty_go_back)
{
    struct pool pool;
    begin(&pool);
    for (size_t i = 0; i < MANY; i++)
        take(&pool, i);
    size_t full = pages(&pool);
    ck_assert_uint_le(full, MANY * sizeof(struct item) / 60000 + 1);
    for (size_t i = 0; i < MANY; i++)
        if (i != MANY / 2)
            give(&pool, i);
    ck_assert_uint_eq(pages(&pool), 1);
    assert_walk_meets_all(&pool);
    for (size_t i = 0; i < MANY; i++)
        if (i != MANY / 2)
            take(&pool, i);
    ck_assert_uint_eq(pages(&pool), full);
    assert_walk_meets_all(&pool);
    for (size_t i = 0; i < MANY; i++)
        give(&pool, i);
    ck_assert_uint_eq(pages(&pool), 0);
    ck_assert_uint_eq(pool.count, 0);
    pool_free(&pool);
}
END_TEST

/* The even ones are there all the time; the odd ones come and go between the steps. */
START_TEST(a_walk_meets_what_stays_once)
{
    static unsigned met[MANY];
    struct pool pool;
    struct random_state random = {11};
    size_t at = 0;
    begin(&pool);
    for (size_t i = 0; i < MANY; i++)
        take(&pool, i);
    for (const struct item *item; (item = pool_walk(&pool, &at)) != NULL;) {
        met[item->number]++;
        for (int i = 0; i < 3; i++) {
            size_t odd = random_below(&random, MANY / 2) * 2 + 1;
            if (items[odd] != NULL)
                give(&pool, odd);
            else
                take(&pool, odd);
        }
    }
    for (size_t i = 0; i < MANY; i += 2)
        ck_assert_uint_eq(met[i], 1);
    pool_free(&pool);
}
END_TEST

START_TEST(items_of_any_size)
{
    static const size_t sizes[] = {1, 8, 17, 56, 1000, 4096};
    for (size_t i = 0; i < countof(sizes); i++) {
        struct pool pool;
        char *all[300];
        pool_init(&pool, sizes[i]);
        for (size_t n = 0; n < countof(all); n++) {
            all[n] = pool_take(&pool);
            memset(all[n], (int)(n % 100), sizes[i]);
        }
        for (size_t n = 0; n < countof(all); n++) {
            ck_assert_int_eq(all[n][0], (int)(n % 100));
            ck_assert_int_eq(all[n][sizes[i] - 1], (int)(n % 100));
            pool_give(&pool, all[n]);
        }
        pool_free(&pool);
    }
}
END_TEST

TEST_MAIN("base/pool", nothing, items_keep_what_is_theirs, pages_that_are_empty_go_back,
          a_walk_meets_what_stays_once, items_of_any_size)
