#include "bench/seen.h"

#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>

#define SHARDS 64 /* so that threads seldom wait for each other */
#define SHARD_FIRST 1024

struct shard {
    pthread_mutex_t lock;
    uint64_t *slots; /* 0: free */
    uint32_t count, capacity;
};

struct seen {
    struct shard shards[SHARDS];
};

struct seen *seen_create(void)
{
    struct seen *seen = must_calloc(1, sizeof(*seen));
    for (unsigned i = 0; i < SHARDS; i++) {
        must(pthread_mutex_init(&seen->shards[i].lock, NULL) == 0);
        seen->shards[i].capacity = SHARD_FIRST;
        seen->shards[i].slots = must_calloc(SHARD_FIRST, sizeof(uint64_t));
    }
    return seen;
}

void seen_destroy(struct seen **seen)
{
    if (*seen == NULL)
        return;
    for (unsigned i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&(*seen)->shards[i].lock);
        free((*seen)->shards[i].slots);
    }
    free(*seen);
    *seen = NULL;
}

/* Where the hash is, or the free slot where it belongs. */
static uint64_t *slot_of(const struct shard *shard, uint64_t hash)
{
    uint32_t at = (uint32_t)(hash >> 8) & (shard->capacity - 1); /* the low bits chose the shard */
    while (shard->slots[at] != 0 && shard->slots[at] != hash)
        at = (at + 1) & (shard->capacity - 1);
    return &shard->slots[at];
}

static void grow(struct shard *shard)
{
    struct shard larger = {.capacity = shard->capacity * 2};
    larger.slots = must_calloc(larger.capacity, sizeof(uint64_t));
    for (uint32_t i = 0; i < shard->capacity; i++)
        if (shard->slots[i] != 0)
            *slot_of(&larger, shard->slots[i]) = shard->slots[i];
    free(shard->slots);
    shard->slots = larger.slots;
    shard->capacity = larger.capacity;
}

static bool add(struct shard *shard, uint64_t hash)
{
    uint64_t *slot = slot_of(shard, hash);
    if (*slot == hash)
        return false;
    if (shard->count == SEEN_MAX / SHARDS)
        return true;
    *slot = hash;
    if (++shard->count * 2 > shard->capacity)
        grow(shard);
    return true;
}

bool seen_add(struct seen *seen, uint64_t hash)
{
    struct shard *shard = &seen->shards[hash % SHARDS];
    must(pthread_mutex_lock(&shard->lock) == 0);
    bool fresh = add(shard, hash ? hash : 1);
    must(pthread_mutex_unlock(&shard->lock) == 0);
    return fresh;
}

bool seen_full(struct seen *seen)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        must(pthread_mutex_lock(&seen->shards[i].lock) == 0);
        bool full = seen->shards[i].count == SEEN_MAX / SHARDS;
        must(pthread_mutex_unlock(&seen->shards[i].lock) == 0);
        if (full)
            return true;
    }
    return false;
}
