#include "queue/pace.h"

#include "base/must.h"

static bool is_dead(const struct pace *pace)
{
    return pace->failures >= PACE_DEAD_AFTER;
}

enum pace_answer pace_ask(const struct pace *pace, int64_t now_ms)
{
    if (!is_dead(pace))
        return PACE_GO;
    return pace->probing || now_ms < pace->retry_at_ms ? PACE_WAIT : PACE_PROBE;
}

void pace_probe_began(struct pace *pace)
{
    must(is_dead(pace) && !pace->probing);
    pace->probing = true;
}

void pace_succeeded(struct pace *pace)
{
    *pace = (struct pace){0};
}

bool pace_hurry(struct pace *pace, int64_t now_ms, int64_t asked_ms)
{
    if (!is_dead(pace) || pace->probing || pace->hurried_ms == asked_ms)
        return false;
    pace->hurried_ms = asked_ms;
    pace->retry_at_ms = now_ms;
    return true;
}

/* first, twice that, four times, …, up to the longest. */
static int64_t back_off(unsigned failures, int64_t first_ms)
{
    int64_t delay = first_ms;
    for (unsigned i = PACE_DEAD_AFTER; i < failures && delay < PACE_LONGEST_MS; i++)
        delay *= 2;
    return delay < PACE_LONGEST_MS ? delay : PACE_LONGEST_MS;
}

static int64_t jitter(int64_t delay, struct random_state *random)
{
    int64_t swing = delay / 100 * PACE_JITTER_PERCENT;
    return delay - swing + (int64_t)random_below(random, (uint64_t)swing * 2 + 1);
}

/* Many connections fail at once when a site dies: that is one death, not many. */
bool pace_is_resting(const struct pace *pace)
{
    return is_dead(pace) && !pace->probing;
}

bool pace_failed(struct pace *pace, int64_t now_ms, int64_t first_ms, struct random_state *random)
{
    if (pace_is_resting(pace))
        return false;
    pace->probing = false;
    pace->failures++;
    if (is_dead(pace))
        pace->retry_at_ms =
            now_ms + jitter(back_off(pace->failures, first_ms ? first_ms : PACE_FIRST_MS), random);
    return is_dead(pace);
}
