/* A set of 64-bit hashes: what the sink has received already. Any thread may add. Bounded:
 * when SEEN_MAX are in, nothing more is remembered, and seen_full() says so. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SEEN_MAX (64u << 20) /* about 1 GiB */

struct seen;

struct seen *seen_create(void);
void seen_destroy(struct seen **seen);

/* Adds the hash. False when it was in already. */
bool seen_add(struct seen *seen, uint64_t hash);

bool seen_full(struct seen *seen);
