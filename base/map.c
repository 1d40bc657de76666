#include "base/map.h"

#include "base/must.h"

#include <stdlib.h>

static char gone; /* what marks a slot whose item was removed */
#define GONE ((void *)&gone)

#define CAPACITY_FIRST 64
#define USED 0x80000000u /* in the hash of a slot that is not free; the other bits say where */

void map_init(struct map *map, uint64_t (*hash)(const void *item),
              bool (*same)(const void *item, const void *key))
{
    *map = (struct map){.hash = hash, .same = same};
}

void map_free(struct map *map)
{
    free(map->slots);
    free(map->hashes);
    map->slots = NULL;
    map->hashes = NULL;
    map->count = map->used = map->capacity = 0;
}

uint64_t hash_number(uint64_t number)
{
    number += 0x9e3779b97f4a7c15ULL;
    number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9ULL;
    number = (number ^ (number >> 27)) * 0x94d049bb133111ebULL;
    return number ^ (number >> 31);
}

/* What is kept of a hash. Also when a slot's item has gone it tells that the run goes on. */
static uint32_t kept_of(uint64_t hash)
{
    return (uint32_t)hash | USED;
}

void *map_find(const struct map *map, uint64_t hash, const void *key)
{
    if (map->capacity == 0)
        return NULL;
    uint32_t kept = kept_of(hash);
    size_t mask = map->capacity - 1;
    for (size_t at = kept & mask; map->hashes[at] != 0; at = (at + 1) & mask)
        if (map->hashes[at] == kept && map->slots[at] != GONE && map->same(map->slots[at], key))
            return map->slots[at];
    return NULL;
}

static void put(struct map *map, void *item, uint32_t kept)
{
    size_t mask = map->capacity - 1;
    size_t at = kept & mask;
    while (map->hashes[at] != 0)
        at = (at + 1) & mask;
    map->slots[at] = item;
    map->hashes[at] = kept;
    map->used++;
}

/* Makes room: twice the size when it is full of items, the same size when of graves. */
static void rehash(struct map *map)
{
    void **old = map->slots;
    uint32_t *old_hashes = map->hashes;
    size_t old_capacity = map->capacity;
    if (map->capacity == 0)
        map->capacity = CAPACITY_FIRST;
    else if (map->count * 2 >= map->capacity)
        map->capacity *= 2;
    must(map->capacity <= USED);
    map->slots = must_calloc(map->capacity, sizeof(*map->slots));
    map->hashes = must_calloc(map->capacity, sizeof(*map->hashes));
    map->used = 0;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i] != NULL && old[i] != GONE)
            put(map, old[i], old_hashes[i]);
    free(old);
    free(old_hashes);
}

void map_add(struct map *map, void *item)
{
    if ((map->used + 1) * 4 > map->capacity * 3)
        rehash(map);
    put(map, item, kept_of(map->hash(item)));
    map->count++;
}

bool map_remove(struct map *map, const void *item)
{
    if (map->capacity == 0)
        return false;
    size_t mask = map->capacity - 1;
    size_t at = kept_of(map->hash(item)) & mask;
    for (; map->hashes[at] != 0; at = (at + 1) & mask) {
        if (map->slots[at] != item)
            continue;
        bool last_of_run = map->hashes[(at + 1) & mask] == 0;
        map->slots[at] = last_of_run ? NULL : GONE;
        if (last_of_run) {
            map->hashes[at] = 0;
            map->used--;
        }
        map->count--;
        return true;
    }
    return false;
}

void *map_walk(const struct map *map, size_t *at)
{
    while (*at < map->capacity) {
        void *item = map->slots[(*at)++];
        if (item != NULL && item != GONE)
            return item;
    }
    return NULL;
}
