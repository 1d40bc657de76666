/* How values are spread: counted in buckets that are 1/8 of their value wide, so that quantiles
 * can be told at any time. Any thread adds and reads; nothing locks, waits or allocates. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define DISTRIBUTION_FINE_BITS 3  /* buckets of one power of two: 1 << this */
#define DISTRIBUTION_MOST_BITS 40 /* values from 2^40 on share the last bucket */
#define DISTRIBUTION_BUCKETS                                                                       \
    ((DISTRIBUTION_MOST_BITS - DISTRIBUTION_FINE_BITS + 1) << DISTRIBUTION_FINE_BITS)

struct distribution {
    atomic_int_least64_t buckets[DISTRIBUTION_BUCKETS];
    atomic_int_least64_t sum, most;
};

/* A value below 0 (a clock was set back in between) counts as 0. */
void distribution_add(struct distribution *distribution, int64_t value);

/* The value that `share` (0.5, 0.99) of all did not exceed; 0 when there was none. */
int64_t distribution_quantile(const struct distribution *distribution, double share);
int64_t distribution_most(const struct distribution *distribution);

/* By powers of two, at one moment as far as there is one: below[p] values were less than 2^p. */
struct distribution_powers {
    int64_t below[DISTRIBUTION_MOST_BITS];
    int64_t count, sum;
};
void distribution_powers(const struct distribution *distribution,
                         struct distribution_powers *powers);
