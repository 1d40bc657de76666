/* Pure: attempts and age -> next due time, or give up. Exponential back-off with jitter. */
#pragma once

#include "base/random.h"

#include <stdbool.h>

struct retry {          /* the `retry` section; ms */
    int64_t first_ms;   /* after the first attempt; default 5 min */
    double factor;      /* each further one; default 2 */
    int64_t longest_ms; /* never more between two attempts; default 4 h (RFC 5321 4.5.4.1) */
    int64_t give_up_ms; /* age at which a recipient expires; default 5 d (RFC 5321 4.5.4.1) */
};

#define RETRY_DEFAULT                                                                              \
    ((struct retry){                                                                               \
        .first_ms = 300000, .factor = 2, .longest_ms = 14400000, .give_up_ms = 432000000})

#define RETRY_JITTER_PERCENT 10 /* each delay is drawn from 90 % to 110 % */

/* When to try next: ms since 1970. `attempts` counts those made, the last one included (>= 1).
 * Never later than the moment of giving up, so that the last attempt is made there. */
int64_t retry_due(const struct retry *retry, unsigned attempts, int64_t arrived_ms, int64_t now_ms,
                  struct random_state *random);

/* Whether a message of this age is given up. */
bool retry_expired(const struct retry *retry, int64_t arrived_ms, int64_t now_ms);
