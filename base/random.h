/* Small repeatable randomness for jitter and choice among equals (never for secrets).
 * The seed is the caller's: from os_random in the relay, fixed in tests. */
#pragma once

#include <stdint.h>

struct random_state {
    uint64_t state;
};

uint64_t random_next(struct random_state *random);

/* A number in 0 .. bound-1; 0 when bound is 0. */
uint64_t random_below(struct random_state *random, uint64_t bound);
