#include "relay/outbound/attempt_inside.h"

#include <stdlib.h>

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
    buffer_free(&attempt->body);
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

/* ---- the end ---- */

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
    attempt_tell(attempt);
    attempt_submit_bounce(attempt);
    if (attempt->rest != NULL) {
        attempt->entry->recipients = (uint8_t)attempt->rest->count;
        attempt->entry->attempts = attempt->rest->attempts;
        attempt->entry->warned = attempt->rest->warned;
        if (attempt->rest->held)
            dispatch_held(dispatch, attempt->entry);
        else
            dispatch_deferred(dispatch, attempt->entry, attempt->rest->due_ms);
    } else {
        dispatch_finished(dispatch, attempt->entry);
    }
    attempt_free(attempt);
}

void attempt_commit(struct attempt *attempt)
{
    struct change *change = &attempt->change;
    change->mail.deliver = committed;
    change->reply_to = attempt->worker->mailbox;
    change->id = attempt->envelope->id;
    change->number = attempt->envelope->number;
    change->update = attempt->rest;
    change->remove = attempt->rest == NULL;
    if (attempt->bounce != NULL) {
        change->accept = attempt->bounce->message;
        change->accepted = &attempt->bounce;
        change->accepted_count = 1;
    }
    committer_post(attempt->worker->relay->committer, change);
}

void attempt_end(struct attempt **take_attempt)
{
    struct attempt *attempt = *take_attempt;
    *take_attempt = NULL;
    attempt_apply_rules(attempt);
    attempt_rest(attempt);
    attempt_decide(attempt);
    attempt_notify(attempt);
}
