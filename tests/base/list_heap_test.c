#include "base/heap.h"
#include "base/list.h"
#include "base/random.h"

#include "tests/suite.h"

struct item {
    struct list_node node;
    struct heap_node in_heap;
    int64_t key; /* what the heap should hold; -1: not in it */
};

static struct item items[1000];

static struct item *item_of(struct list_node *node)
{
    return container_of(node, struct item, node);
}

/* The list from first to last is items[wanted[0]], items[wanted[1]], … */
static void assert_order(const struct list *list, const int *wanted, size_t count)
{
    struct list_node *node = list_first(list);
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_eq(node, &items[wanted[i]].node);
        node = list_next(list, node);
    }
    ck_assert_ptr_null(node);
    ck_assert(list_empty(list) == (count == 0));
}

START_TEST(list_order)
{
    struct list list;
    list_init(&list);
    assert_order(&list, NULL, 0);
    list_append(&list, &items[1].node);
    list_append(&list, &items[2].node);
    list_prepend(&list, &items[0].node);
    list_insert(&items[2].node, &items[3].node);
    assert_order(&list, (int[]){0, 1, 3, 2}, 4);

    list_remove(&items[1].node);
    ck_assert(!list_linked(&items[1].node));
    list_remove(&items[1].node); /* twice is as good as once */
    assert_order(&list, (int[]){0, 3, 2}, 3);
    list_append(&list, &items[1].node);
    assert_order(&list, (int[]){0, 3, 2, 1}, 4);
}
END_TEST

START_TEST(list_popping)
{
    struct list list;
    list_init(&list);
    for (int i = 0; i < 3; i++)
        list_append(&list, &items[i].node);
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_eq(item_of(list_pop(&list)), &items[i]);
        ck_assert(!list_linked(&items[i].node));
    }
    ck_assert_ptr_null(list_pop(&list));
    ck_assert(list_empty(&list));
}
END_TEST

static int64_t smallest_key(void)
{
    int64_t smallest = INT64_MAX;
    for (size_t i = 0; i < countof(items); i++)
        if (items[i].key >= 0 && items[i].key < smallest)
            smallest = items[i].key;
    return smallest;
}

static void assert_heap(const struct heap *heap)
{
    int64_t key = -1;
    struct heap_node *top = heap_top(heap, &key);
    if (heap->count == 0) {
        ck_assert_ptr_null(top);
        return;
    }
    ck_assert_int_eq(key, smallest_key());
    ck_assert_int_eq(container_of(top, struct item, in_heap)->key, key);
}

/* Sets, moves and removes at random, against a plain array. Few distinct keys: many equals. */
START_TEST(heap_against_a_plain_array)
{
    struct heap heap = {0};
    struct random_state random = {1};
    uint32_t count = 0;
    for (size_t i = 0; i < countof(items); i++)
        items[i].key = -1;
    for (int step = 0; step < 20000; step++) {
        /* a few items at first and at last, so that the heap also runs empty */
        size_t among = step < 5000 || step > 15000 ? 4 : countof(items);
        struct item *item = &items[random_below(&random, among)];
        if (random_below(&random, 3) > 0) {
            count += item->key < 0;
            item->key = (int64_t)random_below(&random, 500);
            heap_set(&heap, &item->in_heap, item->key);
            ck_assert_int_eq(heap_key(&heap, &item->in_heap), item->key);
        } else {
            count -= item->key >= 0;
            item->key = -1;
            heap_remove(&heap, &item->in_heap);
            ck_assert_uint_eq(item->in_heap.position, 0);
        }
        ck_assert_uint_eq(heap.count, count);
        assert_heap(&heap);
    }
    heap_free(&heap);
}
END_TEST

START_TEST(heap_gives_out_in_order)
{
    struct heap heap = {0};
    struct random_state random = {2};
    for (size_t i = 0; i < countof(items); i++)
        heap_set(&heap, &items[i].in_heap, (int64_t)random_next(&random));
    int64_t last = INT64_MIN, key;
    size_t count = 0;
    for (struct heap_node *node; (node = heap_top(&heap, &key)) != NULL; count++) {
        ck_assert_int_ge(key, last);
        last = key;
        heap_remove(&heap, node);
    }
    ck_assert_uint_eq(count, countof(items));
    heap_free(&heap);
    ck_assert_ptr_null(heap.slots);
}
END_TEST

TEST_MAIN("base/list_heap", list_order, list_popping, heap_against_a_plain_array,
          heap_gives_out_in_order)
