/* What the sender is told of an attempt: one notification for all recipients of the envelope of
 * whom there is something to tell, committed together with what it tells of. */
#include "relay/outbound/attempt_inside.h"
#include "relay/outbound/notifier.h"

#include <stdlib.h>

/* ---- what is owed ---- */

static bool find_notices(struct attempt *attempt)
{
    const struct envelope *envelope = attempt->envelope;
    bool any = false;
    attempt->notices = arena_take(&attempt->arena, envelope->count * sizeof(enum notice));
    for (unsigned i = 0; i < envelope->count; i++) {
        attempt->notices[i] = notice_owed(envelope->message, &envelope->recipients[i],
                                          &attempt->delivery.verdicts[i], attempt->warns);
        any |= attempt->notices[i] != NOTICE_NONE;
    }
    return any;
}

static void log_actions(struct log_line *line, const struct attempt *attempt)
{
    static const struct {
        const char *key;
        enum notice notice;
    } keys[] = {
        {"failed", NOTICE_FAILED}, {"delayed", NOTICE_DELAYED}, {"relayed", NOTICE_RELAYED}};
    for (size_t k = 0; k < countof(keys); k++) {
        unsigned count = 0;
        for (unsigned i = 0; i < attempt->envelope->count; i++)
            count += attempt->notices[i] == keys[k].notice;
        if (count > 0)
            log_number(line, keys[k].key, count);
    }
}

static void suppress(const struct attempt *attempt)
{
    const struct envelope *envelope = attempt->envelope;
    struct log_line line;
    char name[ENVELOPE_NAME_MAX];
    metric_add(METRIC_THROTTLED_BOUNCES, 1);
    log_begin(&line, "bounce-suppressed");
    log_string(&line, "id", envelope_name(envelope->id, envelope->number, name));
    log_print(&line, "to", "<%s>", envelope->message->sender);
    log_actions(&line, attempt);
    log_string(&line, "why", "this sender has had as many as bounce { per-sender } allows");
    log_end(&line);
}

/* ---- writing ---- */

static struct bounce describe(const struct attempt *attempt)
{
    const struct worker *worker = attempt->worker;
    const struct envelope *envelope = attempt->envelope;
    const struct retry *retry = config_retry(worker->config, span_of(envelope->destination));
    const struct message *original = envelope->message;
    return (struct bounce){
        .hostname = worker->config->hostname,
        .envelope = envelope,
        .verdicts = attempt->delivery.verdicts,
        .notices = attempt->notices,
        .body = original->body ? (struct span){original->body, original->place.length}
                               : buffer_span(&attempt->body),
        .full_max = worker->config->bounce.full_max,
        .now_ms = worker->wall_ms,
        .until_ms = retry_last_ms(retry, original),
    };
}

static struct envelope *write_notification(const struct attempt *attempt, struct bounce *bounce)
{
    struct worker *worker = attempt->worker;
    struct buffer body = {0};
    bounce->id = spool_next_id(worker->relay->spool, worker->wall_ms);
    uint32_t flags = bounce_write(bounce, &body);
    const char *to = bounce->copy_to ? bounce->copy_to : bounce->envelope->message->sender;
    return notification_create(worker, to, bounce->id, flags, &body);
}

/* Failures only: of what is delayed or passed on a postmaster need not hear. */
static void send_copy(const struct attempt *attempt)
{
    struct bounce copy = describe(attempt);
    bool any = false;
    copy.copy_to = attempt->worker->config->bounce.postmaster_copy;
    enum notice *failures = must_calloc(copy.envelope->count, sizeof(*failures));
    for (unsigned i = 0; i < copy.envelope->count; i++) {
        failures[i] = attempt->notices[i] == NOTICE_FAILED ? NOTICE_FAILED : NOTICE_NONE;
        any |= failures[i] != NOTICE_NONE;
    }
    copy.notices = failures;
    if (any && copy.copy_to != NULL)
        notifier_post(attempt->worker, write_notification(attempt, &copy));
    free(failures);
}

static void write_and_commit(struct attempt *attempt)
{
    struct bounce bounce = describe(attempt);
    attempt->bounce = write_notification(attempt, &bounce);
    attempt_commit(attempt);
}

/* ---- an original that is not in memory ---- */

static void read_on(struct attempt *attempt);

static void window_read(struct mail *mail, void *taker)
{
    struct load *load = container_of(mail, struct load, mail);
    struct attempt *attempt = container_of(load, struct attempt, load);
    (void)taker;
    if (load->result != LOAD_OK) { /* the sender is told all the same, without the original */
        buffer_clear(&attempt->body);
        write_and_commit(attempt);
        return;
    }
    buffer_append(&attempt->body, (struct span){load->window, load->length});
    free(load->window);
    read_on(attempt);
}

/* All that comes back of it: its header lies in the first window. */
static void read_on(struct attempt *attempt)
{
    struct bounce bounce = describe(attempt);
    const struct body_place *place = &attempt->envelope->message->place;
    uint64_t wanted =
        bounce_is_full(&bounce) || place->length < LOADER_WINDOW ? place->length : LOADER_WINDOW;
    uint64_t left = wanted - buffer_length(&attempt->body);
    if (left == 0) {
        write_and_commit(attempt);
        return;
    }
    attempt->load = (struct load){.mail.deliver = window_read,
                                  .reply_to = attempt->worker->mailbox,
                                  .place = *place,
                                  .offset = buffer_length(&attempt->body),
                                  .length = left < LOADER_WINDOW ? (size_t)left : LOADER_WINDOW};
    loader_post(attempt->worker->relay->loader, &attempt->load);
}

/* ---- all of it ---- */

void attempt_notify(struct attempt *attempt)
{
    const struct message *original = attempt->envelope->message;
    if (!find_notices(attempt)) {
        attempt_commit(attempt);
    } else if (!notifier_allows(attempt->worker->relay->notifier, attempt->worker,
                                original->sender)) {
        suppress(attempt);
        attempt_commit(attempt);
    } else if (original->body == NULL && original->place.length > 0) {
        read_on(attempt);
    } else {
        write_and_commit(attempt);
    }
}

void attempt_submit_bounce(struct attempt *attempt)
{
    struct log_line line;
    char id[MESSAGE_ID_TEXT], original[ENVELOPE_NAME_MAX];
    const struct envelope *envelope = attempt->envelope;
    if (attempt->bounce == NULL)
        return;
    log_begin(&line, "bounce-sent");
    log_string(&line, "id", message_id_format(attempt->bounce->id, id));
    log_string(&line, "original", envelope_name(envelope->id, envelope->number, original));
    log_print(&line, "to", "<%s>", attempt->bounce->recipients[0].path);
    log_actions(&line, attempt);
    log_end(&line);
    notification_submit(attempt->worker, attempt->bounce);
    attempt->bounce = NULL;
    send_copy(attempt);
}
