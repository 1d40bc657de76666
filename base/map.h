/* An open-addressing map from a 64-bit hash to a pointer; the owner's `same` tells keys
 * of equal hash apart. Owns its table, not what the pointers point at. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map {
    void **slots;     /* NULL while free */
    uint32_t *hashes; /* of each slot's item: what is not looked for is passed over unread */
    size_t count, used, capacity;
    uint64_t (*hash)(const void *item);
    bool (*same)(const void *item, const void *key);
};

/* `hash(item)` must equal the hash given to map_find for its key. */
void map_init(struct map *map, uint64_t (*hash)(const void *item),
              bool (*same)(const void *item, const void *key));
void map_free(struct map *map);

/* The item with this hash for which same(item, key) holds, or NULL. */
void *map_find(const struct map *map, uint64_t hash, const void *key);

/* Adds an item; its key must not be in the map yet. */
void map_add(struct map *map, void *item);

/* Removes exactly this item (compared by pointer). False when it was not there. */
bool map_remove(struct map *map, const void *item);

/* Walks all items: start with *at = 0; NULL at the end. The map must not change meanwhile,
 * but for removal of the item just returned. */
void *map_walk(const struct map *map, size_t *at);

/* Mixes a number into a well-spread hash. */
uint64_t hash_number(uint64_t number);
