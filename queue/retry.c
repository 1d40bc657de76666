#include "queue/retry.h"

/* first, first * factor, first * factor^2, …, but never more than the longest. */
static int64_t delay_after(const struct retry *retry, unsigned attempts)
{
    double delay = (double)retry->first_ms;
    double longest = (double)retry->longest_ms;
    if (retry->factor > 1)
        for (unsigned i = 1; i < attempts && delay < longest; i++)
            delay *= retry->factor;
    return delay < longest ? (int64_t)delay : retry->longest_ms;
}

/* From 90 % to 110 % of the delay, but never more than the longest. */
static int64_t jitter(int64_t delay, int64_t longest, struct random_state *random)
{
    int64_t swing = delay / 100 * RETRY_JITTER_PERCENT;
    int64_t least = delay - swing;
    int64_t most = delay + swing < longest ? delay + swing : longest;
    return least + (int64_t)random_below(random, (uint64_t)(most - least) + 1);
}

int64_t retry_due(const struct retry *retry, unsigned attempts, int64_t arrived_ms, int64_t now_ms,
                  struct random_state *random)
{
    int64_t delay = jitter(delay_after(retry, attempts), retry->longest_ms, random);
    int64_t last = arrived_ms + retry->give_up_ms;
    return now_ms + delay < last ? now_ms + delay : last;
}

bool retry_expired(const struct retry *retry, int64_t arrived_ms, int64_t now_ms)
{
    return now_ms - arrived_ms >= retry->give_up_ms;
}
