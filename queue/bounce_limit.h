/* Pure: how many notifications a sender may get. A program that sends to a thousand wrong
 * addresses, or whose messages a provider has begun to refuse, must not be answered with a
 * thousand bounces: beyond its limit they are counted, and one summary tells how many.
 *
 * A window for each sender, which begins with its first notification. The table is bounded: when
 * it is full, the window that began first ends early. No locks, no clock. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "base/units.h"

#define BOUNCE_LIMIT_SENDERS 10000

struct bounce_limit {
    struct map senders;
    struct list windows; /* the one that began first is first */
};

void bounce_limit_init(struct bounce_limit *limit);
void bounce_limit_free(struct bounce_limit *limit);

/* Whether one more may be written to this sender (any case) now; when not, it is counted.
 * ms since 1970. */
bool bounce_limit_allows(struct bounce_limit *limit, struct span sender, struct rate rate,
                         int64_t now_ms);

struct withheld {
    char *sender;
    uint64_t count;
    int64_t since_ms; /* since 1970: when the window began */
};

/* A window that is over and in which some were withheld: the caller frees `sender`. False when
 * there is none; call again until then. */
bool bounce_limit_over(struct bounce_limit *limit, struct rate rate, int64_t now_ms,
                       struct withheld *withheld);

/* When bounce_limit_over() will next have something, INT64_MAX: never, as things are. */
int64_t bounce_limit_next_ms(const struct bounce_limit *limit, struct rate rate);
