#include "queue/retry.h"

/* first, first * factor, first * factor^2, …, but never more than the longest. */
static int64_t back_off(const struct retry *retry, unsigned attempts)
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

static int64_t delay_after(const struct retry *retry, unsigned attempts,
                           struct random_state *random)
{
    const struct schedule *schedule = &retry->schedule;
    if (schedule->count == 0)
        return jitter(back_off(retry, attempts), retry->longest_ms, random);
    unsigned at = attempts < schedule->count ? attempts - 1 : schedule->count - 1;
    return jitter(schedule->delays_ms[at], INT64_MAX, random);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t retry_last_ms(const struct retry *retry, const struct message *message)
{
    int64_t last = message_began_ms(message) + retry->give_up_ms;
    bool returns = (message->flags & MESSAGE_BY_RETURN) && message->deliver_by_ms != 0;
    return returns ? earlier(last, message->deliver_by_ms) : last;
}

int64_t retry_warn_ms(const struct retry *retry, const struct message *message)
{
    if ((message->flags & MESSAGE_BY_NOTIFY) && message->deliver_by_ms != 0)
        return message->deliver_by_ms; /* the sender said when */
    return retry->warn_ms > 0 ? message_began_ms(message) + retry->warn_ms : INT64_MAX;
}

int64_t retry_look_ms(const struct retry *retry, const struct message *message, bool warned)
{
    int64_t last = retry_last_ms(retry, message);
    return warned ? last : earlier(last, retry_warn_ms(retry, message));
}

enum ripe retry_ripe(const struct retry *retry, const struct message *message, bool warned,
                     int64_t now_ms)
{
    if (now_ms >= retry_last_ms(retry, message))
        return RIPE_EXPIRY;
    return !warned && now_ms >= retry_warn_ms(retry, message) ? RIPE_WARNING : RIPE_NOTHING;
}

int64_t retry_due_ms(const struct retry *retry, const struct message *message, bool warned,
                     unsigned attempts, int64_t now_ms, struct random_state *random)
{
    int64_t due = now_ms + delay_after(retry, attempts, random);
    return earlier(due, retry_look_ms(retry, message, warned));
}
