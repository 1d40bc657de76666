#include "queue/committer.h"
#include "relay/admin/answer.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_operator.h"

struct snapshot {
    int64_t values[METRIC_COUNT];
    bool balanced;
};

static void put_books(json_t *to, const struct snapshot *snapshot)
{
    static const enum metric books[] = {
        METRIC_MESSAGES_RECEIVED, METRIC_RECEIVED,          METRIC_RESTORED, METRIC_DELIVERED,
        METRIC_BOUNCED,           METRIC_EXPIRED,           METRIC_DROPPED,  METRIC_DEFERRALS,
        METRIC_IN_DOUBT,          METRIC_THROTTLED_BOUNCES, METRIC_QUEUED,
    };
    for (size_t i = 0; i < countof(books); i++)
        json_put_number(to, metric_name(books[i]), snapshot->values[books[i]]);
    json_put(to, "balanced", json_boolean(snapshot->balanced));
}

static json_t *queue_json(struct dispatch *dispatch)
{
    struct dispatch_facts facts;
    json_t *queue = json_object();
    dispatch_facts(dispatch, &facts);
    for (int i = 0; i < ENTRY_STATES; i++)
        json_put_number(queue, entry_state_name((enum entry_state)i), facts.counts[i]);
    return queue;
}

static int64_t sum(const int64_t *values, enum metric first, enum metric last)
{
    int64_t sum_of = 0;
    for (unsigned i = first; i <= last; i++)
        sum_of += values[i];
    return sum_of;
}

static json_t *connections_json(const int64_t values[METRIC_COUNT])
{
    json_t *connections = json_object();
    json_put_number(connections, "opened", values[METRIC_CONNECTIONS_OPENED]);
    json_put_number(connections, "reused", values[METRIC_CONNECTIONS_REUSED]);
    json_put_number(connections, "open",
                    sum(values, METRIC_CONNECTIONS_CLAIMING, METRIC_CONNECTIONS_CLOSING));
    return connections;
}

static json_t *inbound_json(const int64_t values[METRIC_COUNT])
{
    json_t *inbound = json_object();
    json_put_number(inbound, "connections", values[METRIC_INBOUND_CONNECTIONS]);
    json_put_number(inbound, "open", values[METRIC_INBOUND_OPEN]);
    json_put_number(inbound, "refused",
                    sum(values, METRIC_THROTTLED_CONNECTIONS, METRIC_THROTTLED_CLIENT));
    json_put_number(inbound, "auth_failed", values[METRIC_AUTH_FAILED]);
    return inbound;
}

static json_t *handshakes_json(const int64_t values[METRIC_COUNT])
{
    json_t *handshakes = json_object();
    json_put_number(handshakes, "full",
                    sum(values, METRIC_HANDSHAKES_FULL_1_2, METRIC_HANDSHAKES_FULL_1_3));
    json_put_number(handshakes, "resumed",
                    sum(values, METRIC_HANDSHAKES_RESUMED_1_2, METRIC_HANDSHAKES_RESUMED_1_3));
    json_put_number(handshakes, "failed", values[METRIC_HANDSHAKES_FAILED]);
    return handshakes;
}

static json_t *delay_json(void)
{
    const struct distribution *times = metric_times(TIMING_DELIVERY);
    json_t *delay = json_object();
    json_put_number(delay, "p50", distribution_quantile(times, 0.5));
    json_put_number(delay, "p90", distribution_quantile(times, 0.9));
    json_put_number(delay, "p99", distribution_quantile(times, 0.99));
    json_put_number(delay, "max", distribution_most(times));
    return delay;
}

static json_t *spool_json(const struct control_parts *parts)
{
    struct spool_facts facts;
    struct committer_facts commits;
    json_t *spool = json_object();
    spool_facts(parts->spool, &facts);
    committer_facts(parts->committer, &commits);
    uint64_t divisor = commits.commits > 0 ? commits.commits : 1;
    json_put_number(spool, "messages", (int64_t)facts.messages);
    json_put_number(spool, "envelopes", (int64_t)facts.envelopes);
    json_put_number(spool, "bytes", (int64_t)facts.bytes);
    json_put_number(spool, "free_bytes", (int64_t)facts.free_bytes);
    json_put_number(spool, "commits", (int64_t)commits.commits);
    json_put_number(spool, "changes", (int64_t)commits.changes);
    json_put_number(spool, "commit_us_mean", (int64_t)(commits.commit_us / divisor));
    json_put(spool, "batch_mean", json_real((double)commits.changes / (double)divisor));
    return spool;
}

void answer_stats(struct answer *answer)
{
    const struct control_parts *parts = answer->parts;
    struct snapshot now;
    int64_t difference;
    json_t *stats = json_object();
    now.balanced = metrics_snapshot(now.values, &difference);
    json_put_text(stats, "version", MILLRACE_VERSION);
    json_put_number(stats, "uptime_seconds", (os_now() - parts->started_ms) / 1000);
    put_books(stats, &now);
    json_put(stats, "queue", queue_json(parts->dispatch));
    json_put(stats, "connections", connections_json(now.values));
    json_put(stats, "inbound", inbound_json(now.values));
    json_put(stats, "handshakes", handshakes_json(now.values));
    json_put(stats, "delay_ms", delay_json());
    json_put(stats, "spool", spool_json(parts));
    answer_object(answer, stats);
}
