#include "queue/blocks.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

#define PUNCHED UINT16_MAX
#define UNCOUNTED (UINT16_MAX - 1) /* no good spool has so many in one block: it stays for ever */

void blocks_free(struct blocks *blocks)
{
    free(blocks->bodies);
    *blocks = (struct blocks){0};
}

static uint32_t block_count(uint64_t bytes)
{
    return (uint32_t)((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES);
}

static void grow(struct blocks *blocks, uint32_t count)
{
    if (count <= blocks->capacity)
        return;
    uint32_t capacity = blocks->capacity ? blocks->capacity * 2 : 64;
    if (capacity < count)
        capacity = count;
    blocks->bodies = must_realloc(blocks->bodies, capacity * sizeof(*blocks->bodies));
    memset(blocks->bodies + blocks->capacity, 0,
           (capacity - blocks->capacity) * sizeof(*blocks->bodies));
    blocks->capacity = capacity;
}

void blocks_keep(struct blocks *blocks, uint64_t offset, uint64_t length)
{
    if (length == 0)
        return;
    uint32_t end = block_count(offset + length);
    grow(blocks, end);
    for (uint32_t at = (uint32_t)(offset / BLOCK_BYTES); at < end; at++) {
        must(blocks->bodies[at] != PUNCHED);
        blocks->live += blocks->bodies[at] == 0;
        if (blocks->bodies[at] < UNCOUNTED)
            blocks->bodies[at]++;
    }
}

/* One body less in a block; what was never kept, as a damaged record may have it, changes nothing.
 */
static void release_one(struct blocks *blocks, uint32_t at)
{
    uint16_t *bodies = &blocks->bodies[at];
    if (*bodies == 0 || *bodies >= UNCOUNTED)
        return;
    (*bodies)--;
    blocks->live -= *bodies == 0;
}

void blocks_release(struct blocks *blocks, uint64_t offset, uint64_t length)
{
    uint32_t end = length > 0 ? block_count(offset + length) : 0;
    if (end > blocks->capacity)
        end = blocks->capacity;
    for (uint32_t at = (uint32_t)(offset / BLOCK_BYTES); at < end; at++)
        release_one(blocks, at);
}

uint64_t blocks_held(const struct blocks *blocks, uint64_t bytes)
{
    return block_count(bytes) - blocks->punched;
}

uint64_t blocks_dead(const struct blocks *blocks, uint64_t bytes)
{
    return blocks_held(blocks, bytes) - blocks->live;
}

struct hole blocks_next_hole(struct blocks *blocks, uint64_t bytes)
{
    uint32_t count = block_count(bytes);
    uint32_t at = blocks->next;
    grow(blocks, count);
    while (at < count && blocks->bodies[at] != 0)
        at++;
    uint32_t end = at;
    while (end < count && blocks->bodies[end] == 0)
        end++;
    blocks->next = end > at ? end : 0;
    return (struct hole){(uint64_t)at * BLOCK_BYTES, (uint64_t)(end - at) * BLOCK_BYTES};
}

void blocks_punched(struct blocks *blocks, struct hole hole)
{
    uint32_t end = block_count(hole.offset + hole.length);
    must(end <= blocks->capacity);
    for (uint32_t at = (uint32_t)(hole.offset / BLOCK_BYTES); at < end; at++) {
        must(blocks->bodies[at] == 0);
        blocks->bodies[at] = PUNCHED;
        blocks->punched++;
    }
}
