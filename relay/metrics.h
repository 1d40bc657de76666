/* Counters of the whole process: relaxed atomics that any thread bumps, read by `stats`.
 *
 * The books, in recipients: received + restored = delivered + bounced + expired + dropped +
 * queued, at every moment at which no change is on its way to the spool. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum metric {
    METRIC_MESSAGES_RECEIVED,
    METRIC_RECEIVED, /* recipients, bounces of our own included */
    METRIC_RESTORED, /* recipients found in the spool at start */
    METRIC_DELIVERED,
    METRIC_BOUNCED,
    METRIC_EXPIRED,
    METRIC_DROPPED,
    METRIC_DEFERRALS,
    METRIC_IN_DOUBT,
    METRIC_QUEUED, /* a gauge */
    METRIC_ATTEMPTS,
    METRIC_INBOUND_CONNECTIONS,
    METRIC_INBOUND_OPEN, /* a gauge */
    METRIC_INBOUND_REFUSED,
    METRIC_CONNECTIONS_OPENED,
    METRIC_CONNECTIONS_REUSED, /* claims on a connection that had served before */
    METRIC_CONNECTIONS_OPEN,   /* a gauge */
    METRIC_HANDSHAKES_FULL,
    METRIC_HANDSHAKES_RESUMED,
    METRIC_HANDSHAKES_FAILED,
    METRIC_BODY_MEMORY, /* a gauge: bytes of bodies in memory */
    METRIC_COUNT,
};

const char *metric_name(enum metric metric); /* "messages_received" */

void metric_add(enum metric metric, int64_t amount);
int64_t metric_read(enum metric metric);

/* Whether the books balance now. */
bool metrics_balanced(void);

/* Delay from acceptance to delivery, in ms, in buckets that are 1/8 of their value wide. */
void metric_delay(int64_t ms);
/* The delay that `share` (0.5, 0.99) of deliveries did not exceed; 0 when there was none. */
int64_t metric_delay_quantile(double share);
int64_t metric_delay_max(void);
