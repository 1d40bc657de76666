#include "relay/metrics.h"

#include "relay/metrics_inside.h"

#include <string.h>
#include <time.h>

#define STEADY_TRIES 100
#define BALANCE_TRIES 20
#define BALANCE_PAUSE_MS                                                                           \
    5 /* a thread that was interrupted between two counts gets on meanwhile                        \
       */

/* Each on a cache line of its own: all workers count at once. */
struct counter {
    _Alignas(64) atomic_int_least64_t value;
};

static struct counter counters[METRIC_COUNT];
static struct distribution timings[TIMING_COUNT];
static atomic_int_least64_t tls_policies[TLS_SOURCES][TLS_LEVELS][TLS_OUTCOMES];
static atomic_int_least64_t refusals[REFUSAL_CLASSES][REFUSAL_SUBJECTS];

static int64_t read_relaxed(const atomic_int_least64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void add_relaxed(atomic_int_least64_t *value, int64_t amount)
{
    atomic_fetch_add_explicit(value, amount, memory_order_relaxed);
}

const char *metric_name(enum metric metric)
{
    return metric_row(metric)->name;
}

void metric_add(enum metric metric, int64_t amount)
{
    must(metric < METRIC_COUNT);
    add_relaxed(&counters[metric].value, amount);
}

int64_t metric_read(enum metric metric)
{
    must(metric < METRIC_COUNT);
    return read_relaxed(&counters[metric].value);
}

int64_t metric_sum(enum metric first, enum metric last)
{
    int64_t sum = 0;
    for (unsigned i = first; i <= last; i++)
        sum += metric_read((enum metric)i);
    return sum;
}

void metric_handshake(bool inbound, bool resumed, const char *version)
{
    unsigned first = inbound ? METRIC_INBOUND_HANDSHAKES_FULL_1_2 : METRIC_HANDSHAKES_FULL_1_2;
    bool newest = strcmp(version, "TLSv1.3") == 0;
    metric_add((enum metric)(first + (resumed ? 2 : 0) + (newest ? 1 : 0)), 1);
}

void metric_tls_policy(enum tls_source source, enum tls_level level, enum tls_outcome outcome)
{
    add_relaxed(&tls_policies[source][level][outcome], 1);
}

int64_t metric_tls_policies(enum tls_source source, enum tls_level level, enum tls_outcome outcome)
{
    return read_relaxed(&tls_policies[source][level][outcome]);
}

/* ---- refusals ---- */

/* "550 5.7.1 …" → the subject 7; 0 where there is no enhanced status code (RFC 3463 3.1). */
static unsigned subject_of(struct span reply)
{
    bool enhanced = reply.length > 7 && reply.data[4] == reply.data[0] && reply.data[5] == '.' &&
                    reply.data[7] == '.';
    unsigned subject = enhanced ? (unsigned)(reply.data[6] - '0') : 0;
    return subject < REFUSAL_SUBJECTS ? subject : 0;
}

static void count_refusal(struct span reply)
{
    if (span_starts_nocase(reply, SPAN("452 4.3.1")))
        metric_add(METRIC_THROTTLED_FULL, 1);
    else if (span_starts_nocase(reply, SPAN("452 4.5.3")))
        metric_add(METRIC_THROTTLED_RECIPIENTS, 1);
    else if (span_starts_nocase(reply, SPAN("452 4.7.1")))
        metric_add(METRIC_THROTTLED_USER, 1);
    add_relaxed(&refusals[reply.data[0] - '4'][subject_of(reply)], 1);
}

void metric_replies(struct span replies)
{
    struct span reply;
    while (span_line(&replies, &reply)) /* the last line of a reply has a blank, others a dash */
        if (reply.length > 3 && (reply.data[0] == '4' || reply.data[0] == '5') &&
            reply.data[3] == ' ')
            count_refusal(reply);
}

int64_t metric_refusals(unsigned class, unsigned subject)
{
    return read_relaxed(&refusals[class][subject]);
}

/* ---- times ---- */

void metric_time(enum timing timing, int64_t time)
{
    must(timing < TIMING_COUNT);
    distribution_add(&timings[timing], time);
}

const struct distribution *metric_times(enum timing timing)
{
    must(timing < TIMING_COUNT);
    return &timings[timing];
}

/* ---- the books ---- */

static int64_t difference_of(const int64_t values[METRIC_COUNT])
{
    return values[METRIC_RECEIVED] + values[METRIC_RESTORED] - values[METRIC_DELIVERED] -
           values[METRIC_BOUNCED] - values[METRIC_EXPIRED] - values[METRIC_DROPPED] -
           values[METRIC_QUEUED];
}

static void read_all(int64_t values[METRIC_COUNT])
{
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        values[i] = metric_read((enum metric)i);
}

static void read_steady(int64_t values[METRIC_COUNT])
{
    int64_t again[METRIC_COUNT];
    read_all(values);
    for (int i = 0; i < STEADY_TRIES; i++) {
        read_all(again);
        if (memcmp(values, again, sizeof(again)) == 0)
            return;
        memcpy(values, again, sizeof(again));
    }
}

bool metrics_snapshot(int64_t values[METRIC_COUNT], int64_t *difference)
{
    const struct timespec pause = {.tv_nsec = BALANCE_PAUSE_MS * 1000000L};
    for (int i = 0; i < BALANCE_TRIES; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        read_steady(values);
        *difference = difference_of(values);
        if (*difference == 0)
            return true;
    }
    return false;
}

bool metrics_balanced(void)
{
    int64_t values[METRIC_COUNT];
    read_all(values);
    return difference_of(values) == 0;
}
