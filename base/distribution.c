#include "base/distribution.h"

#define FINE_BITS DISTRIBUTION_FINE_BITS
#define FINE (1 << FINE_BITS)

/* Below FINE a bucket for each value; above, as many for each power of two. */
static unsigned bucket_of(int64_t value)
{
    uint64_t bits = (uint64_t)value;
    if (bits >> DISTRIBUTION_MOST_BITS)
        return DISTRIBUTION_BUCKETS - 1;
    if (bits < FINE)
        return (unsigned)bits;
    unsigned power = 63 - (unsigned)__builtin_clzll(bits);
    unsigned shift = power - FINE_BITS;
    return (shift + 1) * FINE + (unsigned)(bits >> shift) - FINE;
}

/* The largest value that falls into the bucket. */
static int64_t bucket_most(unsigned bucket)
{
    if (bucket < FINE)
        return bucket;
    unsigned shift = bucket / FINE - 1;
    return ((int64_t)(bucket % FINE + FINE + 1) << shift) - 1;
}

/* The first bucket of values from 2^power on. */
static unsigned bucket_of_power(unsigned power)
{
    return power < FINE_BITS ? 1u << power : (power - FINE_BITS + 1) * FINE;
}

static int64_t count_of(const struct distribution *distribution, unsigned bucket)
{
    return atomic_load_explicit(&distribution->buckets[bucket], memory_order_relaxed);
}

static void raise_to(atomic_int_least64_t *most, int64_t value)
{
    int64_t now = atomic_load_explicit(most, memory_order_relaxed);
    while (value > now && !atomic_compare_exchange_weak_explicit(
                              most, &now, value, memory_order_relaxed, memory_order_relaxed))
        continue;
}

void distribution_add(struct distribution *distribution, int64_t value)
{
    if (value < 0)
        value = 0;
    atomic_fetch_add_explicit(&distribution->buckets[bucket_of(value)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&distribution->sum, value, memory_order_relaxed);
    raise_to(&distribution->most, value);
}

int64_t distribution_most(const struct distribution *distribution)
{
    return atomic_load_explicit(&distribution->most, memory_order_relaxed);
}

int64_t distribution_quantile(const struct distribution *distribution, double share)
{
    int64_t counts[DISTRIBUTION_BUCKETS], all = 0, seen = 0;
    for (unsigned i = 0; i < DISTRIBUTION_BUCKETS; i++)
        all += counts[i] = count_of(distribution, i);
    if (all == 0)
        return 0;
    int64_t most = distribution_most(distribution);
    for (unsigned i = 0; i < DISTRIBUTION_BUCKETS - 1; i++) {
        seen += counts[i];
        if (counts[i] > 0 && (double)seen >= share * (double)all)
            return bucket_most(i) < most ? bucket_most(i) : most;
    }
    return most;
}

void distribution_powers(const struct distribution *distribution,
                         struct distribution_powers *powers)
{
    unsigned next = 0;
    *powers = (struct distribution_powers){0};
    for (unsigned power = 0; power < DISTRIBUTION_MOST_BITS; power++) {
        for (; next < bucket_of_power(power); next++)
            powers->count += count_of(distribution, next);
        powers->below[power] = powers->count;
    }
    for (; next < DISTRIBUTION_BUCKETS; next++)
        powers->count += count_of(distribution, next);
    powers->sum = atomic_load_explicit(&distribution->sum, memory_order_relaxed);
}
