#include "relay/outbound/notifier.h"

#include "base/crc32c.h"
#include "queue/bounce_limit.h"
#include "relay/outbound/dispatch.h"
#include "relay/smtp/address.h"
#include "relay/worker.h"

#include <pthread.h>
#include <stdlib.h>

struct notifier {
    pthread_mutex_t lock;
    struct bounce_limit limit;
    _Atomic int64_t next_ms; /* when a summary may be due; ms since 1970 */
};

struct notifier *notifier_create(void)
{
    struct notifier *notifier = must_calloc(1, sizeof(*notifier));
    pthread_mutex_init(&notifier->lock, NULL);
    bounce_limit_init(&notifier->limit);
    atomic_init(&notifier->next_ms, INT64_MAX);
    return notifier;
}

void notifier_destroy(struct notifier **notifier)
{
    struct notifier *destroyed = *notifier;
    *notifier = NULL;
    if (destroyed == NULL)
        return;
    bounce_limit_free(&destroyed->limit);
    pthread_mutex_destroy(&destroyed->lock);
    free(destroyed);
}

bool notifier_allows(struct notifier *notifier, const struct worker *worker, const char *sender)
{
    struct rate rate = worker->config->bounce.per_sender;
    pthread_mutex_lock(&notifier->lock);
    bool allowed = bounce_limit_allows(&notifier->limit, span_of(sender), rate, worker->wall_ms);
    atomic_store(&notifier->next_ms, bounce_limit_next_ms(&notifier->limit, rate));
    pthread_mutex_unlock(&notifier->lock);
    return allowed;
}

/* ---- notifications as mail ---- */

struct envelope *notification_create(const struct worker *worker, const char *to, uint64_t id,
                                     uint32_t flags, struct buffer *take_body)
{
    struct message *message = message_create(SPAN(""), flags, worker->wall_ms);
    struct span body = buffer_span(take_body);
    message->id = id;
    message->place.length = body.length;
    message->place.crc = crc32c(0, body.data, body.length);
    message_take_body(message, buffer_detach(take_body));
    char name[ADDRESS_DOMAIN_MAX + 1];
    struct span destination = span_of(address_destination(span_of(to), name));
    struct envelope *envelope = envelope_create(message, destination);
    envelope->due_ms = worker->wall_ms;
    must(envelope_add(envelope, span_of(to), SPAN("")));
    message_drop(&message); /* the envelope keeps it */
    return envelope;
}

void notification_submit(struct worker *worker, struct envelope *take_notification)
{
    metric_add(METRIC_MESSAGES_RECEIVED, 1);
    metric_add(METRIC_RECEIVED, 1);
    metric_add(METRIC_QUEUED, 1);
    dispatch_submit(worker->relay->dispatch, worker->index, &take_notification, 1);
}

struct posting {
    struct change change;
    struct worker *worker;
    struct envelope *envelope;
};

static void posted(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct posting *posting = container_of(change, struct posting, change);
    (void)taker;
    if (change->result == SPOOL_OK) {
        notification_submit(posting->worker, posting->envelope);
    } else {
        log_note("bounce-lost", "why", "the spool is full: <%s> is not notified",
                 posting->envelope->recipients[0].path);
        envelope_free(&posting->envelope);
    }
    free(posting);
}

void notifier_post(struct worker *worker, struct envelope *take_notification)
{
    struct posting *posting = must_calloc(1, sizeof(*posting));
    posting->worker = worker;
    posting->envelope = take_notification;
    posting->change.mail.deliver = posted;
    posting->change.reply_to = worker->mailbox;
    posting->change.accept = take_notification->message;
    posting->change.accepted = &posting->envelope;
    posting->change.accepted_count = 1;
    committer_post(worker->relay->committer, &posting->change);
}

/* ---- summaries ---- */

static void summarise(struct worker *worker, struct withheld *take_withheld)
{
    struct buffer body = {0};
    struct log_line line;
    char id[MESSAGE_ID_TEXT], since[LOG_TIME_MAX];
    struct bounce_summary summary = {.hostname = worker->config->hostname,
                                     .sender = take_withheld->sender,
                                     .withheld = take_withheld->count,
                                     .since_ms = take_withheld->since_ms,
                                     .id = spool_next_id(worker->relay->spool, worker->wall_ms),
                                     .now_ms = worker->wall_ms};
    uint32_t flags = bounce_summary_write(&summary, &body);
    log_begin(&line, "bounce-summary");
    log_string(&line, "id", message_id_format(summary.id, id));
    log_print(&line, "to", "<%s>", summary.sender);
    log_number(&line, "suppressed", (int64_t)summary.withheld);
    log_string(&line, "since", log_time(summary.since_ms, since));
    log_end(&line);
    notifier_post(worker, notification_create(worker, summary.sender, summary.id, flags, &body));
    free(take_withheld->sender);
}

void notifier_turn(struct notifier *notifier, struct worker *worker)
{
    struct rate rate = worker->config->bounce.per_sender;
    while (worker->wall_ms >= atomic_load(&notifier->next_ms)) {
        struct withheld withheld;
        pthread_mutex_lock(&notifier->lock);
        bool over = bounce_limit_over(&notifier->limit, rate, worker->wall_ms, &withheld);
        atomic_store(&notifier->next_ms, bounce_limit_next_ms(&notifier->limit, rate));
        pthread_mutex_unlock(&notifier->lock);
        if (!over)
            return;
        summarise(worker, &withheld);
    }
}
