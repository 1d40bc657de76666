#include "relay/outbound/bucket.h"

#include "base/must.h"

#define NS_PER_MS 1000000LL
#define SECOND_MS 1000

/* Rounded up: never more than the rate allows. */
static int64_t interval_ns(struct rate rate)
{
    return (rate.per_ms * NS_PER_MS + rate.count - 1) / rate.count;
}

static int64_t capacity(struct rate rate)
{
    int64_t in_a_second = (int64_t)rate.count * SECOND_MS / rate.per_ms;
    return in_a_second > 0 ? in_a_second : 1;
}

/* How long until it is full: at most what an empty one takes. */
static int64_t filling_ns(const struct bucket *bucket, struct rate rate, int64_t now_ms)
{
    int64_t left = bucket->full_at_ns - now_ms * NS_PER_MS;
    int64_t most = capacity(rate) * interval_ns(rate);
    return left < 0 ? 0 : left < most ? left : most;
}

unsigned bucket_tokens(const struct bucket *bucket, struct rate rate, int64_t now_ms)
{
    if (rate.count == 0)
        return UINT32_MAX;
    int64_t interval = interval_ns(rate);
    int64_t filled = capacity(rate) * interval - filling_ns(bucket, rate, now_ms);
    return (unsigned)(filled / interval);
}

void bucket_take(struct bucket *bucket, struct rate rate, int64_t now_ms)
{
    if (rate.count == 0)
        return;
    must(bucket_tokens(bucket, rate, now_ms) > 0);
    bucket->full_at_ns = now_ms * NS_PER_MS + filling_ns(bucket, rate, now_ms) + interval_ns(rate);
}

int64_t bucket_when(const struct bucket *bucket, struct rate rate, unsigned tokens, int64_t now_ms)
{
    if (rate.count == 0)
        return now_ms;
    if (tokens > capacity(rate))
        return INT64_MAX;
    int64_t missing = (capacity(rate) - tokens) * interval_ns(rate);
    int64_t wait = filling_ns(bucket, rate, now_ms) - missing;
    return wait <= 0 ? now_ms : now_ms + (wait + NS_PER_MS - 1) / NS_PER_MS;
}

bool bucket_is_full(const struct bucket *bucket, int64_t now_ms)
{
    return bucket->full_at_ns <= now_ms * NS_PER_MS;
}

void bucket_join(struct bucket *bucket, const struct bucket *other)
{
    if (other->full_at_ns > bucket->full_at_ns)
        bucket->full_at_ns = other->full_at_ns;
}
