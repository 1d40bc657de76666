/* Which blocks of a segment's file hold bodies that live: so it is known which parts of the file
 * can be given back to the file system while a few bodies keep the rest. Pure; its segment owns it.
 */
#pragma once

#include <stdint.h>

#define BLOCK_BYTES 4096 /* what file systems give out, and take back, at the least */

struct blocks {
    uint16_t *bodies; /* of each block, how many live in it, whole or in part */
    uint32_t capacity;
    uint32_t live, punched; /* blocks: with bodies; given back */
    uint32_t next;          /* where the search for holes goes on */
};

void blocks_free(struct blocks *blocks);

/* A body lives at these bytes of the file, or no longer. */
void blocks_keep(struct blocks *blocks, uint64_t offset, uint64_t length);
void blocks_release(struct blocks *blocks, uint64_t offset, uint64_t length);

/* Blocks of a file of `bytes` bytes that take room though nothing in them lives, and those that
 * take room at all. */
uint64_t blocks_dead(const struct blocks *blocks, uint64_t bytes);
uint64_t blocks_held(const struct blocks *blocks, uint64_t bytes);

struct hole { /* bytes */
    uint64_t offset, length;
};
/* The next dead blocks in a row; length 0 at the end of the file, and then from its start again.
 * Nothing may be kept in that file any more. */
struct hole blocks_next_hole(struct blocks *blocks, uint64_t bytes);
/* That hole takes no room now. */
void blocks_punched(struct blocks *blocks, struct hole hole);
