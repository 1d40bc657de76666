/* GET /metrics: what metrics.c counts, and what is asked of the relay's parts at this moment. */
#include "queue/committer.h"
#include "relay/admin/api.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_destinations.h"
#include "relay/outbound/dispatch_operator.h"
#include "tlspolicy/tickets.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void print_one(struct buffer *to, const char *name, const char *type, const char *help,
                      double value)
{
    metrics_print_head(to, name, type, help);
    buffer_print(to, "millrace_%s %.17g\n", name, value);
}

static void print_gauge(struct buffer *to, const char *name, const char *help, double value)
{
    print_one(to, name, "gauge", help, value);
}

/* ---- the queue ---- */

/* Ids are ordered by time: the first one is of the oldest message. */
static double oldest_seconds(struct spool *spool)
{
    uint64_t id = 0;
    uint16_t number = 0;
    struct spool_glance first;
    if (spool_scan(spool, &id, &number, true, &first, 1) == 0)
        return 0;
    int64_t age_ms = os_wall() - message_id_ms(first.id);
    return age_ms > 0 ? (double)age_ms / 1e3 : 0;
}

static void print_queue(const struct control_parts *parts, const struct dispatch_facts *facts,
                        struct buffer *to)
{
    metrics_print_head(to, "queue_envelopes", "gauge", "Envelopes in the queue");
    for (unsigned i = 0; i < ENTRY_STATES; i++)
        buffer_print(to, "millrace_queue_envelopes{state=\"%s\"} %u\n",
                     entry_state_name((enum entry_state)i), facts->counts[i]);
    print_gauge(to, "queue_oldest_seconds", "Age of the oldest message in the queue",
                oldest_seconds(parts->spool));
    print_gauge(to, "destinations", "Destinations that are known", facts->destinations);
    print_gauge(to, "sites", "Sites: hosts, policy and limits that destinations share",
                facts->sites);
}

static void print_books(struct buffer *to)
{
    int64_t values[METRIC_COUNT], difference;
    bool balance = metrics_snapshot(values, &difference);
    print_gauge(to, "books_balance",
                "1 while received + restored = delivered + bounced + expired + dropped + queued",
                balance);
    print_gauge(to, "books_difference", "What is too much on the side of what came",
                (double)difference);
}

/* ---- the busiest destinations ---- */

static int compare_envelopes(const void *a, const void *b)
{
    const struct destination_name *one = a, *other = b;
    if (one->envelopes != other->envelopes)
        return one->envelopes > other->envelopes ? -1 : 1;
    return strcmp(one->name, other->name);
}

/* Of the usual mail for a domain, or of what goes there on other terms (RFC 8689). */
static void print_counts(struct buffer *to, struct span name, enum security security,
                         const int64_t counts[ENTRY_STATES])
{
    for (unsigned i = 0; i < ENTRY_STATES; i++) {
        buffer_append(to, SPAN("millrace_destination_envelopes{destination=\""));
        metrics_print_label(to, name);
        buffer_print(to, "\",security=\"%s\",state=\"%s\"} %" PRId64 "\n", security_name(security),
                     entry_state_name((enum entry_state)i), counts[i] > 0 ? counts[i] : 0);
    }
}

/* Gauges only: a counter of `other` would jump whenever a destination came or went. */
static void print_destinations(const struct api_parts *parts, const struct dispatch_facts *facts,
                               struct buffer *to)
{
    struct destination_names names CLEANUP(destination_names_free);
    struct destination_look *look CLEANUP(look_free) = must_calloc(1, sizeof(*look));
    int64_t others[ENTRY_STATES], counts[ENTRY_STATES];
    for (unsigned i = 0; i < ENTRY_STATES; i++)
        others[i] = facts->counts[i];
    dispatch_destinations(parts->control->dispatch, &names);
    if (names.count > 0)
        qsort(names.items, names.count, sizeof(*names.items), compare_envelopes);
    metrics_print_head(to, "destination_envelopes", "gauge",
                       "Envelopes of the busiest destinations, and of all the others");
    for (size_t i = 0; i < names.count && i < parts->destinations; i++) {
        const struct destination_name *item = &names.items[i];
        if (item->envelopes == 0 ||
            !dispatch_look_at(parts->control->dispatch, item->name, item->security, look))
            continue;
        for (unsigned j = 0; j < ENTRY_STATES; j++)
            others[j] -= counts[j] = look->counts[j];
        print_counts(to, span_of(look->name), look->security, counts);
    }
    print_counts(to, SPAN("other"), SECURITY_USUAL, others);
}

/* ---- the spool ---- */

static void print_spool(const struct control_parts *parts, struct buffer *to)
{
    static const struct metrics_histogram times = {
        "spool_commit_seconds", "Commits, from the first write until all is durable", 1e-6, 6, 26};
    static const struct metrics_histogram sizes = {"spool_batch_size",
                                                   "Changes that a commit made durable", 0, 1, 10};
    struct spool_facts facts;
    spool_facts(parts->spool, &facts);
    print_gauge(to, "spool_messages", "Messages in the spool", (double)facts.messages);
    print_gauge(to, "spool_bytes", "What the spool takes on its disk", (double)facts.bytes);
    print_gauge(to, "spool_free_bytes", "What is free on the spool's disk",
                (double)facts.free_bytes);
    metrics_print_histogram(to, &times, committer_times(parts->committer));
    metrics_print_histogram(to, &sizes, committer_sizes(parts->committer));
}

/* ---- tickets ---- */

static void print_tickets(const struct api_parts *parts, struct buffer *to)
{
    struct tickets_facts facts;
    tickets_facts(parts->tickets, &facts);
    const struct {
        const char *state;
        uint64_t count;
    } states[] = {{"stored", facts.stored},   {"hit", facts.hits},
                  {"miss", facts.misses},     {"rejected", facts.rejected},
                  {"expired", facts.expired}, {"evicted", facts.evicted},
                  {"purged", facts.purged}};
    metrics_print_head(to, "tickets", "gauge", "TLS sessions that may be resumed");
    buffer_print(to, "millrace_tickets{state=\"kept\"} %" PRIu64 "\n", facts.now);
    buffer_print(to, "millrace_tickets{state=\"on-disk\"} %" PRIu64 "\n", facts.on_disk);
    metrics_print_head(to, "tickets_total", "counter", "TLS sessions, by what became of them");
    for (size_t i = 0; i < countof(states); i++)
        buffer_print(to, "millrace_tickets_total{state=\"%s\"} %" PRIu64 "\n", states[i].state,
                     states[i].count);
}

/* ---- the process ---- */

static void print_process(const struct api_parts *parts, struct buffer *to)
{
    char why[HEALTH_WHY_MAX];
    struct os_process process;
    int64_t uptime_ms = os_now() - parts->control->started_ms;
    os_process(&process);
    print_gauge(to, "ready", "1 while mail is taken", health_takes_mail(parts->health, why));
    print_gauge(to, "healthy", "1 while all threads turn", health_works(parts->health, why));
    print_one(to, "log_lost_lines_total", "counter", "Lines of the log that nobody read in time",
              (double)log_lost());
    print_gauge(to, "process_resident_memory_bytes", "Memory of the process",
                (double)process.memory_bytes);
    print_one(to, "process_cpu_seconds_total", "counter", "Time of all its threads",
              process.cpu_seconds);
    print_gauge(to, "process_open_fds", "Descriptors that are open", (double)process.descriptors);
    print_gauge(to, "process_max_fds", "Descriptors that may be open",
                (double)process.descriptors_most);
    print_gauge(to, "process_start_time_seconds", "When it began, in seconds since 1970",
                (double)(os_wall() - uptime_ms) / 1e3);
    metrics_print_head(to, "build_info", "gauge", "1, with the version");
    buffer_print(to, "millrace_build_info{version=\"%s\"} 1\n", MILLRACE_VERSION);
}

void metrics_page(const struct api_parts *parts, struct buffer *to)
{
    struct dispatch_facts facts;
    dispatch_facts(parts->control->dispatch, &facts);
    metrics_print(to);
    print_queue(parts->control, &facts, to);
    print_destinations(parts, &facts, to);
    print_books(to);
    print_spool(parts->control, to);
    print_tickets(parts, to);
    print_process(parts, to);
}
