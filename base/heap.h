/* A heap of deadlines: the smallest key first. 4-ary, so that a million entries are ten
 * levels deep and a level's keys lie in one cache line.
 *
 * The owner embeds a heap_node; the heap keeps its position there, so that any entry
 * can be moved or removed in O(log n). The heap owns its array and nothing else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint32_t position; /* 1-based; 0 while in no heap */
};

struct heap_slot {
    int64_t key;
    struct heap_node *node;
};

struct heap {
    struct heap_slot *slots;
    uint32_t count, capacity;
};

void heap_free(struct heap *heap);

/* Puts the node in, or moves it to its new key when it is in already. */
void heap_set(struct heap *heap, struct heap_node *node, int64_t key);

/* Takes the node out; one that is not in stays as it is. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node with the smallest key and that key, or NULL. */
struct heap_node *heap_top(const struct heap *heap, int64_t *key);

/* The key of a node that is in the heap. */
int64_t heap_key(const struct heap *heap, const struct heap_node *node);
