#include "bench/histogram.h"

#include "base/must.h"

/* Values below 1 << FINE have a bin each; above, a bin holds those that agree in their first
 * FINE + 1 bits. */
static unsigned bin_of(uint64_t value)
{
    if (value >> HISTOGRAM_MOST_BITS)
        return HISTOGRAM_BINS - 1;
    if (value >> HISTOGRAM_FINE_BITS == 0)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_FINE_BITS;
    return (shift << HISTOGRAM_FINE_BITS) + (unsigned)(value >> shift);
}

/* The largest value of a bin. */
static uint64_t top_of(unsigned bin)
{
    if (bin >> HISTOGRAM_FINE_BITS == 0)
        return bin;
    unsigned shift = (bin >> HISTOGRAM_FINE_BITS) - 1;
    uint64_t first = bin - (shift << HISTOGRAM_FINE_BITS);
    return ((first + 1) << shift) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->bins[bin_of(value)]++;
    histogram->count++;
    if (value > histogram->most)
        histogram->most = value;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BINS; i++)
        into->bins[i] += from->bins[i];
    into->count += from->count;
    if (from->most > into->most)
        into->most = from->most;
}

uint64_t histogram_quantile(const struct histogram *histogram, uint64_t parts, uint64_t of)
{
    must(of > 0 && parts <= of);
    uint64_t rank = (histogram->count * parts + of - 1) / of; /* 1-based, rounded up */
    uint64_t passed = 0;
    for (unsigned i = 0; i < HISTOGRAM_BINS; i++) {
        passed += histogram->bins[i];
        if (passed >= rank && passed > 0)
            return i < HISTOGRAM_BINS - 1 && top_of(i) < histogram->most ? top_of(i)
                                                                         : histogram->most;
    }
    return 0;
}
