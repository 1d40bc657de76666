/* Pure: is the other side alive, and when may it be tried again? Dead-site detection: after
 * PACE_DEAD_AFTER failures in a row without a session the site is dead, everything waits,
 * and one probe at a time finds out when it is back.
 *
 * A failure is a connection that ended before the host answered about any mail. Replies about
 * a message or recipient never count. */
#pragma once

#include "base/random.h"

#include <stdbool.h>

#define PACE_DEAD_AFTER 1   /* a connection tries every host of the site before it fails */
#define PACE_FIRST_MS 60000 /* first back-off */
#define PACE_LONGEST_MS 3600000
#define PACE_JITTER_PERCENT 10

struct pace {
    unsigned failures;   /* in a row */
    int64_t retry_at_ms; /* nothing is tried before; 0 while alive */
    bool probing;        /* the one probe is out */
    int64_t hurried_ms;  /* which wish of the operator's was granted last */
};

enum pace_answer {
    PACE_GO,    /* alive: connect as limits allow */
    PACE_PROBE, /* dead, but one connection may try now; pace_probe_began() says it does */
    PACE_WAIT,  /* not before retry_at_ms, or not before the probe has ended */
};

enum pace_answer pace_ask(const struct pace *pace, int64_t now_ms);
void pace_probe_began(struct pace *pace);
void pace_succeeded(struct pace *pace);

/* The operator wishes it to be tried now. True when that shortens a back-off: once for each
 * `asked_ms`, so that one command for a thousand envelopes makes one probe. */
bool pace_hurry(struct pace *pace, int64_t now_ms, int64_t asked_ms);

/* Not before retry_at_ms: what fails now set out before, and says nothing new. */
bool pace_is_resting(const struct pace *pace);

/* `first_ms` 0 means PACE_FIRST_MS: the operator's `back-off` may shorten it. True when a back-off
 * begins with it. */
bool pace_failed(struct pace *pace, int64_t now_ms, int64_t first_ms, struct random_state *random);
