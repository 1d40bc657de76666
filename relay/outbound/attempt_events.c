/* The log line of each recipient, and what is counted with it. */
#include "relay/outbound/attempt_inside.h"

static void log_delays(struct log_line *line, const struct attempt *attempt)
{
    const struct envelope *envelope = attempt->envelope;
    int64_t arrived = envelope->message->arrived_ms, now = attempt->worker->wall_ms;
    int64_t due = envelope->due_ms; /* an operator may have it tried before */
    if (due > attempt->claimed_ms)
        due = attempt->claimed_ms;
    double delays[] = {
        (double)(due - arrived) / 1e3,             /* until durable, or due again */
        (double)(attempt->claimed_ms - due) / 1e3, /* waiting for a connection */
        (double)attempt->connect_ms / 1e3,
        (double)(now - attempt->claimed_ms) / 1e3,
    };
    log_seconds(line, "delay", now - arrived);
    log_print(line, "delays", "%.2f/%.2f/%.2f/%.2f", delays[0], delays[1], delays[2], delays[3]);
}

static void log_reply(struct log_line *line, const struct verdict *verdict)
{
    char status[STATUS_TEXT_MAX];
    if (verdict->status.class != 0)
        log_string(line, "dsn", status_format(verdict->status, status));
    if (verdict->code != 0 && status_belongs(verdict->status, verdict->code))
        log_print(line, "reply", "%u %s %.*s", verdict->code, status, SPAN_FORMAT(verdict->text));
    else if (verdict->code != 0)
        log_print(line, "reply", "%u %.*s", verdict->code, SPAN_FORMAT(verdict->text));
    else
        log_text(line, "why", verdict->text);
}

static void tell(const struct attempt *attempt, unsigned recipient)
{
    const struct envelope *envelope = attempt->envelope;
    const struct verdict *verdict = &attempt->delivery.verdicts[recipient];
    struct log_line line;
    char name[ENVELOPE_NAME_MAX], next[LOG_TIME_MAX];
    log_begin(&line, verdict_name(verdict->kind));
    log_string(&line, "id", envelope_name(envelope->id, envelope->number, name));
    log_print(&line, "to", "<%s>", envelope->recipients[recipient].path);
    log_print(&line, "from", "<%s>", envelope->message->sender);
    log_text(&line, "relay", verdict->host.length ? verdict->host : SPAN("none"));
    if (attempt->connection != 0)
        log_number(&line, "conn", (int64_t)attempt->connection);
    log_delays(&line, attempt);
    log_string(&line, "tls", attempt->tls);
    if (attempt->tls_required != NULL)
        log_string(&line, "tls-required", attempt->tls_required);
    if (verdict_stays(verdict)) {
        log_number(&line, "attempts", attempt->rest->attempts);
        log_string(&line, "next",
                   attempt->rest->held ? "held" : log_time(attempt->rest->due_ms, next));
    }
    log_reply(&line, verdict);
    if (attempt->rulings[recipient].name != NULL)
        log_string(&line, "rule", attempt->rulings[recipient].name);
    log_end(&line);
}

static void count(const struct attempt *attempt, const struct verdict *verdict)
{
    switch (verdict->kind) {
    case VERDICT_DELIVERED:
        metric_add(METRIC_DELIVERED, 1);
        metric_time(TIMING_DELIVERY,
                    attempt->worker->wall_ms - attempt->envelope->message->arrived_ms);
        break;
    case VERDICT_BOUNCED: metric_add(METRIC_BOUNCED, 1); break;
    case VERDICT_EXPIRED: metric_add(METRIC_EXPIRED, 1); break;
    case VERDICT_DEFERRED: metric_add(METRIC_DEFERRALS, 1); return; /* it stays in the queue */
    case VERDICT_IN_DOUBT: metric_add(METRIC_IN_DOUBT, 1); return;
    case VERDICT_NONE:
    case VERDICT_DROPPED: must_not_reach();
    }
    metric_add(METRIC_QUEUED, -1);
}

static void tell_held(const struct envelope *rest)
{
    struct log_line line;
    char name[ENVELOPE_NAME_MAX];
    log_begin(&line, "held");
    log_string(&line, "id", envelope_name(rest->id, rest->number, name));
    log_number(&line, "recipients", rest->count);
    log_string(&line, "why", rest->hold_reason);
    log_end(&line);
}

/* A notification that came to nothing ends here: nobody is told by another one. */
static void tell_double_bounce(const struct attempt *attempt)
{
    const struct envelope *envelope = attempt->envelope;
    struct log_line line;
    char name[ENVELOPE_NAME_MAX];
    log_begin(&line, "double-bounce");
    log_string(&line, "id", envelope_name(envelope->id, envelope->number, name));
    log_print(&line, "to", "<%s>", envelope->recipients[0].path);
    log_string(&line, "why", "a notification could not be delivered, and is dropped");
    log_end(&line);
}

void attempt_tell(const struct attempt *attempt)
{
    bool failed = false;
    for (unsigned i = 0; i < attempt->envelope->count; i++) {
        const struct verdict *verdict = &attempt->delivery.verdicts[i];
        tell(attempt, i);
        count(attempt, verdict);
        failed |= verdict->kind == VERDICT_BOUNCED || verdict->kind == VERDICT_EXPIRED;
    }
    if (attempt->rest != NULL && attempt->rest->held)
        tell_held(attempt->rest);
    if (failed && (attempt->envelope->message->flags & MESSAGE_BOUNCE))
        tell_double_bounce(attempt);
}
