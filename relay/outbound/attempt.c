#include "relay/outbound/attempt.h"

#include "base/crc32c.h"
#include "queue/bounce.h"
#include "relay/outbound/dispatch.h"
#include "relay/smtp/address.h"
#include "relay/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAMAGED_AGAIN_MS 3600000 /* how long an unreadable envelope is left alone */

struct attempt *attempt_create(struct worker *worker, struct entry *entry,
                               struct envelope *take_envelope)
{
    struct attempt *attempt = must_calloc(1, sizeof(*attempt));
    attempt->worker = worker;
    attempt->entry = entry;
    attempt->envelope = take_envelope;
    attempt->claimed_ms = worker->wall_ms;
    attempt->tls = "none";
    attempt->delivery.envelope = take_envelope;
    attempt->delivery.arena = &attempt->arena;
    attempt->delivery.verdicts =
        arena_take(&attempt->arena, take_envelope->count * sizeof(struct verdict));
    metric_add(METRIC_ATTEMPTS, 1);
    return attempt;
}

static void attempt_free(struct attempt *attempt)
{
    envelope_free(&attempt->envelope);
    if (attempt->rest != NULL)
        envelope_free(&attempt->rest);
    arena_free(&attempt->arena);
    free(attempt);
}

void attempt_settle(struct attempt *attempt, const struct verdict *verdict)
{
    struct verdict kept = verdict_copy(verdict, &attempt->arena);
    for (unsigned i = 0; i < attempt->envelope->count; i++)
        if (attempt->delivery.verdicts[i].kind == VERDICT_NONE)
            attempt->delivery.verdicts[i] = kept;
}

void attempt_return(struct attempt **take_attempt)
{
    struct attempt *attempt = *take_attempt;
    struct envelope *envelope = attempt->envelope;
    *take_attempt = NULL;
    attempt->envelope = NULL;
    dispatch_return(attempt->worker->relay->dispatch, attempt->entry, envelope);
    arena_free(&attempt->arena);
    free(attempt);
}

void entry_damaged(struct worker *worker, struct entry *entry)
{
    struct log_line line;
    char name[ENVELOPE_NAME_MAX];
    log_begin(&line, "held");
    log_string(&line, "id", envelope_name(entry->id, entry->number, name));
    log_string(&line, "why",
               "damaged: the spool's record or body cannot be read or fails its "
               "checksum; it is neither sent nor dropped");
    log_end(&line);
    dispatch_deferred(worker->relay->dispatch, entry, worker->wall_ms + DAMAGED_AGAIN_MS);
}

/* ---- the end: what stays, and who is told ---- */

static bool stays(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_DEFERRED || verdict->kind == VERDICT_IN_DOUBT;
}

static void expire_old(struct attempt *attempt, const struct retry *retry)
{
    struct envelope *envelope = attempt->envelope;
    if (!retry_expired(retry, message_began_ms(envelope->message), attempt->worker->wall_ms))
        return;
    for (unsigned i = 0; i < envelope->count; i++)
        if (stays(&attempt->delivery.verdicts[i]))
            attempt->delivery.verdicts[i].kind = VERDICT_EXPIRED;
}

static const char *keep_reply(struct envelope *rest, struct span text)
{
    if (text.length > REPLY_KEPT_MAX)
        text.length = REPLY_KEPT_MAX;
    return arena_copy(&rest->arena, text);
}

/* None of those that stay was even offered: no reason to wait. */
static bool goes_on_at_once(const struct attempt *attempt)
{
    for (unsigned i = 0; i < attempt->envelope->count; i++)
        if (stays(&attempt->delivery.verdicts[i]) && !attempt->delivery.verdicts[i].untried)
            return false;
    return true;
}

/* The envelope as it goes on: the recipients that stay, each with what was last said of it. */
static struct envelope *make_rest(struct attempt *attempt, const struct retry *retry)
{
    struct envelope *envelope = attempt->envelope;
    struct envelope *rest = NULL;
    for (unsigned i = 0; i < envelope->count; i++) {
        const struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (!stays(verdict))
            continue;
        if (rest == NULL)
            rest = envelope_create(envelope->message, span_of(envelope->destination));
        const struct recipient *before = &envelope->recipients[i];
        struct recipient *after = envelope_add(rest, span_of(before->path), span_of(before->orcpt));
        must(after != NULL);
        after->notify = before->notify;
        after->code = verdict->code;
        after->status = verdict->status;
        rest->last_reply = keep_reply(rest, verdict->text);
        rest->last_host = keep_reply(rest, verdict->host);
    }
    if (rest == NULL)
        return NULL;
    rest->number = envelope->number;
    rest->warned = envelope->warned;
    rest->attempts = envelope->attempts;
    rest->due_ms = attempt->worker->wall_ms;
    if (goes_on_at_once(attempt))
        return rest;
    rest->attempts++;
    rest->due_ms = retry_due(retry, rest->attempts, message_began_ms(envelope->message),
                             attempt->worker->wall_ms, &attempt->worker->random);
    return rest;
}

static struct envelope *make_bounce(struct attempt *attempt)
{
    struct worker *worker = attempt->worker;
    struct message *original = attempt->envelope->message;
    struct verdict *verdicts = attempt->delivery.verdicts;
    if (!bounce_is_owed(original, verdicts, attempt->envelope->count))
        return NULL;
    struct buffer body = {0};
    struct bounce bounce = {
        .hostname = worker->config->hostname,
        .envelope = attempt->envelope,
        .verdicts = verdicts,
        .body = {original->body, original->body ? original->place.length : 0},
        .id = spool_next_id(worker->relay->spool, worker->wall_ms),
        .now_ms = worker->wall_ms,
    };
    bounce_write(&bounce, &body);
    struct message *message = message_create(SPAN(""), MESSAGE_BOUNCE, worker->wall_ms);
    message->id = bounce.id;
    message->place.length = buffer_length(&body);
    message->place.crc = crc32c(0, buffer_span(&body).data, buffer_length(&body));
    message_take_body(message, buffer_detach(&body));
    char *domain = span_copy(address_domain(span_of(original->sender)));
    text_lower(domain);
    struct envelope *envelope = envelope_create(message, span_of(domain));
    free(domain);
    envelope->due_ms = worker->wall_ms;
    must(envelope_add(envelope, span_of(original->sender), SPAN("")));
    message_drop(&message); /* the envelope keeps it */
    return envelope;
}

/* ---- events ---- */

static void log_delays(struct log_line *line, const struct attempt *attempt)
{
    const struct envelope *envelope = attempt->envelope;
    int64_t arrived = envelope->message->arrived_ms, now = attempt->worker->wall_ms;
    double delays[] = {
        (double)(envelope->due_ms - arrived) / 1e3,             /* until durable, or due again */
        (double)(attempt->claimed_ms - envelope->due_ms) / 1e3, /* waiting for a connection */
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
    if (stays(verdict)) {
        log_number(&line, "attempts", attempt->rest->attempts);
        log_string(&line, "next", log_time(attempt->rest->due_ms, next));
    }
    log_reply(&line, verdict);
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

static void submit_bounce(struct attempt *attempt)
{
    struct log_line line;
    char id[MESSAGE_ID_TEXT], original[MESSAGE_ID_TEXT];
    log_begin(&line, "bounce-sent");
    log_string(&line, "id", message_id_format(attempt->bounce->id, id));
    log_string(&line, "original", message_id_format(attempt->envelope->id, original));
    log_print(&line, "to", "<%s>", attempt->bounce->recipients[0].path);
    log_end(&line);
    metric_add(METRIC_MESSAGES_RECEIVED, 1);
    metric_add(METRIC_RECEIVED, 1);
    metric_add(METRIC_QUEUED, 1);
    struct worker *worker = attempt->worker;
    dispatch_submit(worker->relay->dispatch, worker->index, &attempt->bounce, 1);
    attempt->bounce = NULL;
}

/* The verdicts are durable: now they are told, counted, and the entry moves on. */
static void committed(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct attempt *attempt = container_of(change, struct attempt, change);
    struct dispatch *dispatch = attempt->worker->relay->dispatch;
    (void)taker;
    if (change->result == SPOOL_BROKEN)
        return; /* the relay is about to end: what is not durable is not told */
    must(change->result == SPOOL_OK); /* the committer never gives a verdict back undone */
    for (unsigned i = 0; i < attempt->envelope->count; i++) {
        tell(attempt, i);
        count(attempt, &attempt->delivery.verdicts[i]);
    }
    if (attempt->bounce != NULL)
        submit_bounce(attempt);
    if (attempt->rest != NULL) {
        attempt->entry->recipients = (uint16_t)attempt->rest->count;
        attempt->entry->attempts = attempt->rest->attempts;
        dispatch_deferred(dispatch, attempt->entry, attempt->rest->due_ms);
    } else {
        dispatch_finished(dispatch, attempt->entry);
    }
    attempt_free(attempt);
}

void attempt_end(struct attempt **take_attempt)
{
    struct attempt *attempt = *take_attempt;
    struct worker *worker = attempt->worker;
    struct change *change = &attempt->change;
    const struct retry *retry =
        config_retry(worker->config, span_of(attempt->envelope->destination));
    *take_attempt = NULL;
    expire_old(attempt, retry);
    attempt->rest = make_rest(attempt, retry);
    attempt->bounce = make_bounce(attempt);
    change->mail.deliver = committed;
    change->reply_to = worker->mailbox;
    change->id = attempt->envelope->id;
    change->number = attempt->envelope->number;
    change->update = attempt->rest;
    change->remove = attempt->rest == NULL;
    if (attempt->bounce != NULL) {
        change->accept = attempt->bounce->message;
        change->accepted = &attempt->bounce;
        change->accepted_count = 1;
    }
    committer_post(worker->relay->committer, change);
}
