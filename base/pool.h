/* Items of one size out of pages of 64 KiB: no allocator's header for each, and a page whose
 * items are all given back goes back to the system.
 *
 * Every item has a place for life, so that all can be walked in steps while others come and go.
 * Owns the pages; never moves an item. Not thread-safe. */
#pragma once

#include "base/list.h"

#include <stddef.h>
#include <stdint.h>

struct pool_page;

struct pool {
    size_t item_bytes;
    struct pool_page **pages; /* NULL: was given back, or none yet */
    size_t page_count;
    struct list roomy; /* pages with a free place */
    size_t count;      /* items */
};

void pool_init(struct pool *pool, size_t item_bytes); /* up to 4,096 bytes each */
void pool_free(struct pool *pool);                    /* and all items in it */

/* A zeroed item, aligned as malloc's are. */
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *take_item);

/* The next item: start with *at = 0; NULL at the end. An item that is there from the first call
 * to the last is met exactly once, whatever else is taken and given between the calls. */
void *pool_walk(const struct pool *pool, size_t *at);
