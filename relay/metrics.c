#include "relay/metrics.h"

#include "base/must.h"

/* Each on a cache line of its own: all workers count at once. */
struct counter {
    _Alignas(64) atomic_int_least64_t value;
};

static struct counter counters[METRIC_COUNT];

static const char *const names[] = {
    [METRIC_MESSAGES_RECEIVED] = "messages_received",
    [METRIC_RECEIVED] = "received",
    [METRIC_RESTORED] = "restored",
    [METRIC_DELIVERED] = "delivered",
    [METRIC_BOUNCED] = "bounced",
    [METRIC_EXPIRED] = "expired",
    [METRIC_DROPPED] = "dropped",
    [METRIC_DEFERRALS] = "deferrals",
    [METRIC_IN_DOUBT] = "in_doubt",
    [METRIC_QUEUED] = "queued",
    [METRIC_ATTEMPTS] = "attempts",
    [METRIC_INBOUND_CONNECTIONS] = "inbound_connections",
    [METRIC_INBOUND_OPEN] = "inbound_open",
    [METRIC_INBOUND_REFUSED] = "inbound_refused",
    [METRIC_CONNECTIONS_OPENED] = "connections_opened",
    [METRIC_CONNECTIONS_REUSED] = "connections_reused",
    [METRIC_CONNECTIONS_OPEN] = "connections_open",
    [METRIC_HANDSHAKES_FULL] = "handshakes_full",
    [METRIC_HANDSHAKES_RESUMED] = "handshakes_resumed",
    [METRIC_HANDSHAKES_FAILED] = "handshakes_failed",
    [METRIC_BODY_MEMORY] = "body_memory",
};
_Static_assert(countof(names) == METRIC_COUNT, "one name per metric");

const char *metric_name(enum metric metric)
{
    must(metric < METRIC_COUNT && names[metric] != NULL);
    return names[metric];
}

void metric_add(enum metric metric, int64_t amount)
{
    must(metric < METRIC_COUNT);
    atomic_fetch_add_explicit(&counters[metric].value, amount, memory_order_relaxed);
}

int64_t metric_read(enum metric metric)
{
    must(metric < METRIC_COUNT);
    return atomic_load_explicit(&counters[metric].value, memory_order_relaxed);
}

bool metrics_balanced(void)
{
    int64_t came = metric_read(METRIC_RECEIVED) + metric_read(METRIC_RESTORED);
    int64_t went = metric_read(METRIC_DELIVERED) + metric_read(METRIC_BOUNCED) +
                   metric_read(METRIC_EXPIRED) + metric_read(METRIC_DROPPED);
    return came == went + metric_read(METRIC_QUEUED);
}

/* ---- delays ---- */

/* Below 2^FINE_BITS a bucket for each value; above, as many for each power of two. */
#define FINE_BITS 3
#define FINE (1 << FINE_BITS)
#define MOST_BITS 40 /* 34 years; what is longer counts there */
#define BUCKETS ((MOST_BITS - FINE_BITS + 1) * FINE)

static atomic_int_least64_t delays[BUCKETS];
static atomic_int_least64_t delay_max;

static unsigned bucket_of(int64_t ms)
{
    uint64_t value = (uint64_t)ms;
    if (value >> MOST_BITS)
        return BUCKETS - 1;
    if (value < FINE)
        return (unsigned)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value); /* FINE_BITS .. MOST_BITS - 1 */
    unsigned shift = power - FINE_BITS;
    return (shift + 1) * FINE + (unsigned)(value >> shift) - FINE;
}

/* The largest value that falls into the bucket. */
static int64_t bucket_most(unsigned bucket)
{
    if (bucket < FINE)
        return bucket;
    unsigned shift = bucket / FINE - 1;
    return ((int64_t)(bucket % FINE + FINE + 1) << shift) - 1;
}

void metric_delay(int64_t ms)
{
    if (ms < 0)
        ms = 0; /* the clock was set back in between */
    atomic_fetch_add_explicit(&delays[bucket_of(ms)], 1, memory_order_relaxed);
    int64_t most = atomic_load_explicit(&delay_max, memory_order_relaxed);
    while (ms > most && !atomic_compare_exchange_weak_explicit(
                            &delay_max, &most, ms, memory_order_relaxed, memory_order_relaxed))
        continue;
}

int64_t metric_delay_quantile(double share)
{
    int64_t counts[BUCKETS], all = 0, seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        all += counts[i] = atomic_load_explicit(&delays[i], memory_order_relaxed);
    if (all == 0)
        return 0;
    int64_t most = metric_delay_max();
    for (unsigned i = 0; i < BUCKETS - 1; i++) {
        seen += counts[i];
        if (counts[i] > 0 && (double)seen >= share * (double)all)
            return bucket_most(i) < most ? bucket_most(i) : most;
    }
    return most;
}

int64_t metric_delay_max(void)
{
    return atomic_load_explicit(&delay_max, memory_order_relaxed);
}
