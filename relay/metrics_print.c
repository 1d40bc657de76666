#include "base/utf8.h"
#include "relay/metrics_inside.h"

#include <inttypes.h>
#include <string.h>

/* ---- rows ---- */

#define HANDSHAKES(which, name, family)                                                            \
    [METRIC_##which##_FULL_1_2] = {name "_full_1_2", family,                                       \
                                   "result=\"ok\",resumed=\"no\",version=\"TLSv1.2\""},            \
    [METRIC_##which##_FULL_1_3] = {name "_full_1_3", family,                                       \
                                   "result=\"ok\",resumed=\"no\",version=\"TLSv1.3\""},            \
    [METRIC_##which##_RESUMED_1_2] = {name "_resumed_1_2", family,                                 \
                                      "result=\"ok\",resumed=\"yes\",version=\"TLSv1.2\""},        \
    [METRIC_##which##_RESUMED_1_3] = {name "_resumed_1_3", family,                                 \
                                      "result=\"ok\",resumed=\"yes\",version=\"TLSv1.3\""},        \
    [METRIC_##which##                                                                              \
        _FAILED] = {name "_failed", family, "result=\"failed\",resumed=\"no\",version=\"none\""}

static const struct metric_row rows[] = {
    [METRIC_MESSAGES_RECEIVED] = {"messages_received", "messages_received_total", NULL},
    [METRIC_RECEIVED] = {"received", "recipients_received_total", NULL},
    [METRIC_RESTORED] = {"restored", "recipients_restored_total", NULL},
    [METRIC_DELIVERED] = {"delivered", "deliveries_total", "result=\"delivered\""},
    [METRIC_DEFERRALS] = {"deferrals", "deliveries_total", "result=\"deferred\""},
    [METRIC_IN_DOUBT] = {"in_doubt", "deliveries_total", "result=\"in-doubt\""},
    [METRIC_BOUNCED] = {"bounced", "deliveries_total", "result=\"bounced\""},
    [METRIC_EXPIRED] = {"expired", "deliveries_total", "result=\"expired\""},
    [METRIC_DROPPED] = {"dropped", "deliveries_total", "result=\"dropped\""},
    [METRIC_QUEUED] = {"queued", "queue_recipients", NULL},
    [METRIC_ATTEMPTS] = {"attempts", "attempts_total", NULL},
    [METRIC_INBOUND_CONNECTIONS] = {"inbound_connections", "inbound_connections_total", NULL},
    [METRIC_INBOUND_OPEN] = {"inbound_open", "connections", "state=\"inbound\""},
    [METRIC_CONNECTIONS_CLAIMING] = {"connections_claiming", "connections", "state=\"claiming\""},
    [METRIC_CONNECTIONS_BUSY] = {"connections_busy", "connections", "state=\"busy\""},
    [METRIC_CONNECTIONS_IDLE] = {"connections_idle", "connections", "state=\"idle\""},
    [METRIC_CONNECTIONS_CLOSING] = {"connections_closing", "connections", "state=\"closing\""},
    [METRIC_CONNECTIONS_OPENED] = {"connections_opened", "connections_opened_total", NULL},
    [METRIC_CONNECTIONS_REUSED] = {"connections_reused", "connection_reuse_total", NULL},
    HANDSHAKES(HANDSHAKES, "handshakes", "tls_handshakes_total"),
    HANDSHAKES(INBOUND_HANDSHAKES, "inbound_handshakes", "inbound_tls_handshakes_total"),
    [METRIC_STS_FETCHED] = {"sts_fetched", "sts_fetches_total", "result=\"fetched\""},
    [METRIC_STS_FETCH_ERROR] = {"sts_fetch_error", "sts_fetches_total", "result=\"fetch-error\""},
    [METRIC_STS_WEBPKI_INVALID] = {"sts_webpki_invalid", "sts_fetches_total",
                                   "result=\"webpki-invalid\""},
    [METRIC_STS_POLICY_INVALID] = {"sts_policy_invalid", "sts_fetches_total",
                                   "result=\"policy-invalid\""},
    [METRIC_AUTH_FAILED] = {"auth_failed", "authentication_failures_total", NULL},
    [METRIC_LOGINS_FAILED] = {"logins_failed", "login_failures_total", NULL},
    [METRIC_THROTTLED_CONNECTIONS] = {"throttled_connections", "throttled_total",
                                      "reason=\"connections\""},
    [METRIC_THROTTLED_CLIENT] = {"throttled_client", "throttled_total",
                                 "reason=\"connections-per-client\""},
    [METRIC_THROTTLED_FULL] = {"throttled_full", "throttled_total", "reason=\"full\""},
    [METRIC_THROTTLED_RECIPIENTS] = {"throttled_recipients", "throttled_total",
                                     "reason=\"recipients\""},
    [METRIC_THROTTLED_USER] = {"throttled_user", "throttled_total", "reason=\"user\""},
    [METRIC_THROTTLED_RATE] = {"throttled_rate", "throttled_total", "reason=\"rate\""},
    [METRIC_THROTTLED_OPENINGS] = {"throttled_openings", "throttled_total",
                                   "reason=\"connection-rate\""},
    [METRIC_THROTTLED_HOST] = {"throttled_host", "throttled_total", "reason=\"host\""},
    [METRIC_THROTTLED_BACK_OFF] = {"throttled_back_off", "throttled_total", "reason=\"back-off\""},
    [METRIC_THROTTLED_BOUNCES] = {"throttled_bounces", "throttled_total", "reason=\"bounces\""},
    [METRIC_BODY_MEMORY] = {"body_memory", "body_memory_bytes", NULL},
};
_Static_assert(countof(rows) == METRIC_COUNT, "one row per metric");

const struct metric_row *metric_row(enum metric metric)
{
    must(metric < METRIC_COUNT && rows[metric].name != NULL);
    return &rows[metric];
}

/* ---- families ---- */

static const struct {
    const char *name, *help;
} families[] = {
    {"messages_received_total", "Messages accepted and durable, our own bounces included"},
    {"recipients_received_total", "Recipients of these messages"},
    {"recipients_restored_total", "Recipients found in the spool at start"},
    {"deliveries_total", "Recipients of whom an attempt said something, by what it said"},
    {"queue_recipients", "Recipients in the queue"},
    {"attempts_total", "Tries at an envelope"},
    {"inbound_connections_total", "Connections that clients made to the relay"},
    {"connections", "Connections open now: from clients, and to hosts by what they do"},
    {"connections_opened_total", "Connections made to hosts"},
    {"connection_reuse_total", "Envelopes taken up by a connection that had served before"},
    {"tls_handshakes_total", "TLS handshakes with hosts"},
    {"inbound_tls_handshakes_total", "TLS handshakes with clients"},
    {"sts_fetches_total", "MTA-STS policies fetched, by how that went"},
    {"authentication_failures_total", "Attempts to authenticate that were refused"},
    {"login_failures_total", "Connections that ended because a login of ours was not taken"},
    {"throttled_total", "Times that mail was held back by a limit"},
    {"body_memory_bytes", "Message bodies that are in memory while they come in"},
};

static const char *help_of(const char *family)
{
    for (size_t i = 0; i < countof(families); i++)
        if (strcmp(families[i].name, family) == 0)
            return families[i].help;
    must_not_reach();
}

static bool is_counter(const char *family)
{
    size_t length = strlen(family), end = strlen("_total");
    return length > end && strcmp(family + length - end, "_total") == 0;
}

void metrics_print_head(struct buffer *to, const char *name, const char *type, const char *help)
{
    buffer_print(to, "# HELP millrace_%s %s\n# TYPE millrace_%s %s\n", name, help, name, type);
}

void metrics_print_label(struct buffer *to, struct span value)
{
    char escape[UTF8_ESCAPE_MAX];
    while (value.length > 0) {
        char c = value.data[0];
        bool plain = c >= ' ' && c < 0x7f && c != '"' && c != '\\';
        if (plain || c == '"' || c == '\\') {
            buffer_print(to, plain ? "%c" : "\\%c", c);
            value = span_skip(value, 1);
        } else { /* the format knows no other escapes: as a text that shows what it was */
            buffer_print(to, "\\%s", utf8_escape(&value, escape));
        }
    }
}

static void print_rows(struct buffer *to)
{
    const char *family = "";
    for (unsigned i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *row = metric_row((enum metric)i);
        if (strcmp(row->family, family) != 0)
            metrics_print_head(to, row->family, is_counter(row->family) ? "counter" : "gauge",
                               help_of(row->family));
        family = row->family;
        buffer_print(to, "millrace_%s%s%s%s %" PRId64 "\n", family, row->labels ? "{" : "",
                     row->labels ? row->labels : "", row->labels ? "}" : "",
                     metric_read((enum metric)i));
    }
}

/* ---- tables ---- */

/* Most of the table never happens: but for what is usual, only what did is printed. */
static void print_tls_policy(struct buffer *to, enum tls_source source, enum tls_level level,
                             enum tls_outcome outcome)
{
    int64_t count = metric_tls_policies(source, level, outcome);
    if (count > 0 || (source == TLS_FROM_TABLE && level == TLS_MAY))
        buffer_print(
            to, "millrace_tls_policy_total{source=\"%s\",level=\"%s\",result=\"%s\"} %" PRId64 "\n",
            tls_source_name(source), tls_level_name(level), tls_outcome_name(outcome), count);
}

static void print_tls_policies(struct buffer *to)
{
    metrics_print_head(to, "tls_policy_total", "counter",
                       "Connections to hosts, by the TLS level asked for and what came of it");
    for (unsigned source = 0; source < TLS_SOURCES; source++)
        for (unsigned level = 0; level < TLS_LEVELS; level++)
            for (unsigned outcome = 0; outcome < TLS_OUTCOMES; outcome++)
                print_tls_policy(to, (enum tls_source)source, (enum tls_level)level,
                                 (enum tls_outcome)outcome);
}

static void print_refusals(struct buffer *to)
{
    static const char *const subjects[] = {"other",   "address",  "mailbox", "system",
                                           "network", "protocol", "content", "policy"};
    _Static_assert(countof(subjects) == REFUSAL_SUBJECTS, "RFC 3463 2");
    metrics_print_head(to, "inbound_rejected_total", "counter",
                       "Commands and messages of clients that were refused");
    for (unsigned class = 0; class < REFUSAL_CLASSES; class ++)
        for (unsigned subject = 0; subject < REFUSAL_SUBJECTS; subject++)
            buffer_print(
                to, "millrace_inbound_rejected_total{class=\"%u\",reason=\"%s\"} %" PRId64 "\n",
                class + 4, subjects[subject], metric_refusals(class, subject));
}

/* ---- times ---- */

void metrics_print_histogram(struct buffer *to, const struct metrics_histogram *histogram,
                             const struct distribution *distribution)
{
    struct distribution_powers powers;
    bool whole = histogram->unit == 0;
    double unit = whole ? 1 : histogram->unit;
    distribution_powers(distribution, &powers);
    metrics_print_head(to, histogram->name, "histogram", histogram->help);
    for (unsigned power = histogram->first; power <= histogram->last; power++)
        buffer_print(to, "millrace_%s_bucket{le=\"%.9g\"} %" PRId64 "\n", histogram->name,
                     (double)((INT64_C(1) << power) - whole) * unit, powers.below[power]);
    buffer_print(to, "millrace_%s_bucket{le=\"+Inf\"} %" PRId64 "\n", histogram->name,
                 powers.count);
    buffer_print(to, "millrace_%s_sum %.9g\n", histogram->name, (double)powers.sum * unit);
    buffer_print(to, "millrace_%s_count %" PRId64 "\n", histogram->name, powers.count);
}

static void print_times(struct buffer *to)
{
    static const struct metrics_histogram histograms[] = {
        [TIMING_DELIVERY] = {"delivery_latency_seconds", "From acceptance to delivery, a recipient",
                             1e-3, 0, 29},
        [TIMING_HANDSHAKE] = {"tls_handshake_seconds", "TLS handshakes with hosts", 1e-6, 8, 26},
        [TIMING_DNS] = {"dns_seconds", "Finding the hosts of a domain: MX and addresses", 1e-6, 8,
                        25},
    };
    _Static_assert(countof(histograms) == TIMING_COUNT, "one histogram per timing");
    for (unsigned i = 0; i < TIMING_COUNT; i++)
        metrics_print_histogram(to, &histograms[i], metric_times((enum timing)i));
}

void metrics_print(struct buffer *to)
{
    print_rows(to);
    print_tls_policies(to);
    print_refusals(to);
    print_times(to);
}
