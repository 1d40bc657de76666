#include "base/heap.h"

#include "base/must.h"

#include <stdlib.h>

#define ARITY 4u

void heap_free(struct heap *heap)
{
    free(heap->slots);
    *heap = (struct heap){0};
}

static void place(struct heap *heap, uint32_t at, struct heap_slot slot)
{
    heap->slots[at] = slot;
    slot.node->position = at + 1;
}

static uint32_t sift_up(struct heap *heap, uint32_t at, struct heap_slot slot)
{
    while (at > 0) {
        uint32_t parent = (at - 1) / ARITY;
        if (heap->slots[parent].key <= slot.key)
            break;
        place(heap, at, heap->slots[parent]);
        at = parent;
    }
    return at;
}

static uint32_t smallest_child(const struct heap *heap, uint32_t at)
{
    uint32_t best = at * ARITY + 1;
    for (uint32_t child = best + 1; child <= at * ARITY + ARITY && child < heap->count; child++)
        if (heap->slots[child].key < heap->slots[best].key)
            best = child;
    return best;
}

static uint32_t sift_down(struct heap *heap, uint32_t at, struct heap_slot slot)
{
    while (at * ARITY + 1 < heap->count) {
        uint32_t child = smallest_child(heap, at);
        if (heap->slots[child].key >= slot.key)
            break;
        place(heap, at, heap->slots[child]);
        at = child;
    }
    return at;
}

static void settle(struct heap *heap, uint32_t at, struct heap_slot slot)
{
    at = sift_up(heap, at, slot);
    at = sift_down(heap, at, slot);
    place(heap, at, slot);
}

void heap_set(struct heap *heap, struct heap_node *node, int64_t key)
{
    if (node->position == 0) {
        if (heap->count == heap->capacity) {
            heap->capacity = heap->capacity ? heap->capacity * 2 : 64;
            heap->slots = must_realloc(heap->slots, heap->capacity * sizeof(*heap->slots));
        }
        node->position = ++heap->count;
    }
    settle(heap, node->position - 1, (struct heap_slot){key, node});
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (node->position == 0)
        return;
    uint32_t at = node->position - 1;
    must(at < heap->count && heap->slots[at].node == node);
    node->position = 0;
    struct heap_slot last = heap->slots[--heap->count];
    if (at < heap->count)
        settle(heap, at, last);
}

struct heap_node *heap_top(const struct heap *heap, int64_t *key)
{
    if (heap->count == 0)
        return NULL;
    *key = heap->slots[0].key;
    return heap->slots[0].node;
}

int64_t heap_key(const struct heap *heap, const struct heap_node *node)
{
    must(node->position > 0 && node->position <= heap->count);
    return heap->slots[node->position - 1].key;
}
