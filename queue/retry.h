/* Pure: attempts and age -> next due time, a warning, or give up. Exponential back-off with
 * jitter, or a schedule of the operator's.
 *
 * Back-off and age count from when the message's time in the queue began. Its sender may have set
 * a time of its own (RFC 2852), and that bounds these. All moments are ms since 1970. */
#pragma once

#include "base/random.h"
#include "queue/message.h"

struct schedule {
    const int64_t *delays_ms; /* after the first attempt, the second, …; the last one goes on */
    unsigned count;           /* 0: there is none */
};

struct retry {                /* the `retry` section; ms */
    int64_t first_ms;         /* after the first attempt; default 5 min */
    double factor;            /* each further one; default 2 */
    int64_t longest_ms;       /* never more between two attempts; default 4 h (RFC 5321 4.5.4.1) */
    struct schedule schedule; /* instead of these three */
    int64_t give_up_ms;       /* age at which a recipient expires; default 5 d (RFC 5321 4.5.4.1) */
    int64_t warn_ms; /* age at which the sender is told that it waits; default 4 h; 0: never */
};

#define RETRY_DEFAULT                                                                              \
    ((struct retry){.first_ms = 300000,                                                            \
                    .factor = 2,                                                                   \
                    .longest_ms = 14400000,                                                        \
                    .give_up_ms = 432000000,                                                       \
                    .warn_ms = 14400000})

#define RETRY_JITTER_PERCENT 10 /* each delay is drawn from 90 % to 110 % */

/* When its recipients expire. */
int64_t retry_last_ms(const struct retry *retry, const struct message *message);

/* When its sender is told that it waits, INT64_MAX: never. */
int64_t retry_warn_ms(const struct retry *retry, const struct message *message);

/* By when somebody must look why it has not gone: the first of these two that is still to come. */
int64_t retry_look_ms(const struct retry *retry, const struct message *message, bool warned);

/* What time has brought about by now. */
enum ripe {
    RIPE_NOTHING,
    RIPE_WARNING, /* its sender is told that it waits */
    RIPE_EXPIRY,
};
enum ripe retry_ripe(const struct retry *retry, const struct message *message, bool warned,
                     int64_t now_ms);

/* When to try next. `attempts` counts those made, the last one included (>= 1). Never later than
 * retry_look_ms(), so that an attempt is made there, and what is told is fresh. */
int64_t retry_due_ms(const struct retry *retry, const struct message *message, bool warned,
                     unsigned attempts, int64_t now_ms, struct random_state *random);
