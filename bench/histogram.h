/* A histogram of times for quantiles: about 100 bins for each power of two, so that what it
 * tells is at most 1 % too large; the largest value is kept exactly. Pure, never allocates. */
#pragma once

#include <stdint.h>

#define HISTOGRAM_FINE_BITS 7  /* bins of one power of two: 1 << this */
#define HISTOGRAM_MOST_BITS 40 /* values from 2^40 on (12 days in us) share the last bin */
#define HISTOGRAM_BINS ((HISTOGRAM_MOST_BITS - HISTOGRAM_FINE_BITS + 1) << HISTOGRAM_FINE_BITS)

struct histogram {
    uint64_t count, most;
    uint64_t bins[HISTOGRAM_BINS];
};

void histogram_add(struct histogram *histogram, uint64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value that `parts` of each `of` values do not pass: (h, 999, 1000) for p99.9. 0 when
 * nothing was added. */
uint64_t histogram_quantile(const struct histogram *histogram, uint64_t parts, uint64_t of);
