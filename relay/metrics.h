/* What is counted and timed in the whole process: relaxed atomics that any thread bumps, read by
 * `stats`, SIGUSR1 and GET /metrics. docs/metrics.md is the operator's list of them; a row here
 * that is not there fails a test.
 *
 * The books, in recipients: received + restored = delivered + bounced + expired + dropped +
 * queued, at every moment at which no change is on its way to the spool. */
#pragma once

#include "base/buffer.h"
#include "base/distribution.h"
#include "tlspolicy/terms.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- counters and gauges ---- */

enum metric {
    METRIC_MESSAGES_RECEIVED,
    METRIC_RECEIVED, /* recipients, bounces of our own included */
    METRIC_RESTORED, /* recipients found in the spool at start */
    METRIC_DELIVERED,
    METRIC_DEFERRALS,
    METRIC_IN_DOUBT,
    METRIC_BOUNCED,
    METRIC_EXPIRED,
    METRIC_DROPPED,
    METRIC_QUEUED, /* a gauge */
    METRIC_ATTEMPTS,
    METRIC_INBOUND_CONNECTIONS,
    METRIC_INBOUND_OPEN,         /* a gauge */
    METRIC_CONNECTIONS_CLAIMING, /* four gauges, in the order of enum slot_state */
    METRIC_CONNECTIONS_BUSY,
    METRIC_CONNECTIONS_IDLE,
    METRIC_CONNECTIONS_CLOSING,
    METRIC_CONNECTIONS_OPENED,
    METRIC_CONNECTIONS_REUSED, /* claims on a connection that had served before */
    METRIC_HANDSHAKES_FULL_1_2,
    METRIC_HANDSHAKES_FULL_1_3,
    METRIC_HANDSHAKES_RESUMED_1_2,
    METRIC_HANDSHAKES_RESUMED_1_3,
    METRIC_HANDSHAKES_FAILED,
    METRIC_INBOUND_HANDSHAKES_FULL_1_2,
    METRIC_INBOUND_HANDSHAKES_FULL_1_3,
    METRIC_INBOUND_HANDSHAKES_RESUMED_1_2,
    METRIC_INBOUND_HANDSHAKES_RESUMED_1_3,
    METRIC_INBOUND_HANDSHAKES_FAILED,
    METRIC_STS_FETCHED, /* policies; then what went wrong, in the order of enum sts_failure */
    METRIC_STS_FETCH_ERROR,
    METRIC_STS_WEBPKI_INVALID,
    METRIC_STS_POLICY_INVALID,
    METRIC_AUTH_FAILED,           /* attempts to authenticate */
    METRIC_LOGINS_FAILED,         /* of our own, at other hosts */
    METRIC_THROTTLED_CONNECTIONS, /* refused: limits.connections */
    METRIC_THROTTLED_CLIENT,      /* refused: limits.connections-per-client */
    METRIC_THROTTLED_FULL,        /* 452 4.3.1 */
    METRIC_THROTTLED_RECIPIENTS,  /* 452 4.5.3 */
    METRIC_THROTTLED_USER,        /* 452 4.7.1: as many as a user may send */
    METRIC_THROTTLED_RATE,        /* a site gets no more messages for now */
    METRIC_THROTTLED_OPENINGS,    /* a site gets no more connections for now */
    METRIC_THROTTLED_HOST,        /* a site waits for a place at its hosts */
    METRIC_THROTTLED_BACK_OFF,    /* a site began to back off */
    METRIC_THROTTLED_BOUNCES,     /* notifications beyond what their sender may get */
    METRIC_BODY_MEMORY,           /* a gauge: bytes of bodies in memory */
    METRIC_COUNT,
};

const char *metric_name(enum metric metric); /* "messages_received" */

void metric_add(enum metric metric, int64_t amount);
int64_t metric_read(enum metric metric);
/* All from `first` to `last`, both included. */
int64_t metric_sum(enum metric first, enum metric last);

/* A handshake that ended well. `version` as OpenSSL names it: "TLSv1.3". */
void metric_handshake(bool inbound, bool resumed, const char *version);

/* How STARTTLS ended on a connection for which that level was asked, by whom. */
void metric_tls_policy(enum tls_source source, enum tls_level level, enum tls_outcome outcome);

/* Replies that refuse something, as they go out to a client: each is counted by its first digit
 * and by the subject of its enhanced status code (RFC 3463 2: address, mailbox, …). */
void metric_replies(struct span replies);

/* ---- times ---- */

enum timing {
    TIMING_DELIVERY,  /* from acceptance to delivery: ms */
    TIMING_HANDSHAKE, /* outbound: us */
    TIMING_DNS,       /* a resolution as a whole: us */
    TIMING_COUNT,
};

void metric_time(enum timing timing, int64_t time);
const struct distribution *metric_times(enum timing timing);

/* ---- all at once ---- */

/* All at one moment, as far as there is one: it is read until nothing moved, and waited a while
 * until the books balance. False when they do not: `difference` is what is too much on the side
 * of what came. */
bool metrics_snapshot(int64_t values[METRIC_COUNT], int64_t *difference);

/* Whether the books balance now. */
bool metrics_balanced(void);

/* ---- Prometheus text, version 0.0.4: metrics_print.c ---- */

/* "# HELP" and "# TYPE" of millrace_NAME. */
void metrics_print_head(struct buffer *to, const char *name, const char *type, const char *help);
/* How a distribution is shown: in powers of two of its unit, from 2^first to 2^last. */
struct metrics_histogram {
    const char *name, *help;
    double unit; /* what 1 is: 1e-6; 0: values are whole and counted, so less than 8 is up to 7 */
    unsigned first, last;
};
void metrics_print_histogram(struct buffer *to, const struct metrics_histogram *histogram,
                             const struct distribution *distribution);
/* A label's value: what is not plain is escaped. */
void metrics_print_label(struct buffer *to, struct span value);

/* All of the above. */
void metrics_print(struct buffer *to);
