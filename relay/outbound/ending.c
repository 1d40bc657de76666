/* What becomes of each recipient: policy for mail in doubt, expiry, and the rest that stays. */
#include "relay/outbound/attempt_inside.h"

#define LAST_LOOK_MS 2000 /* an answer of the discoverer is there by then, or soon after */

/* ---- in doubt ---- */

static void fail_in_doubt(struct attempt *attempt, struct verdict *verdict)
{
    const char *text = arena_print(&attempt->arena,
                                   "the message was sent to its end and no reply came (%.*s): it "
                                   "may have arrived; ask the recipient before you send it again",
                                   SPAN_FORMAT(verdict->text));
    verdict->kind = VERDICT_BOUNCED;
    verdict->code = 0;
    verdict->status = (struct status){5, 4, 2}; /* RFC 3463 3.5: bad connection */
    verdict->text = span_of(text);
}

/* Whether the envelope is to be held: mail that is in doubt waits for a person. */
static bool apply_in_doubt(struct attempt *attempt)
{
    struct envelope *envelope = attempt->envelope;
    const struct destination_config *destination =
        config_destination(attempt->worker->config, span_of(envelope->destination));
    bool holds = false;
    for (unsigned i = 0; i < envelope->count; i++) {
        struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (verdict->kind != VERDICT_IN_DOUBT)
            continue;
        switch (destination->in_doubt) {
        case IN_DOUBT_RETRY: break;
        case IN_DOUBT_HOLD: holds = true; break;
        case IN_DOUBT_FAIL: fail_in_doubt(attempt, verdict); break;
        }
    }
    return holds;
}

/* ---- expiry ---- */

static bool any_stays(const struct attempt *attempt)
{
    for (unsigned i = 0; i < attempt->envelope->count; i++)
        if (verdict_stays(&attempt->delivery.verdicts[i]))
            return true;
    return false;
}

static void expire(struct attempt *attempt, const struct retry *retry)
{
    const struct message *message = attempt->envelope->message;
    int64_t last_ms = retry_last_ms(retry, message);
    bool by_sender = (message->flags & MESSAGE_BY_RETURN) && last_ms == message->deliver_by_ms;
    if (attempt->worker->wall_ms < last_ms || !any_stays(attempt))
        return;
    attempt->last_look = !dispatch_may_give_up(attempt->worker->relay->dispatch, attempt->entry);
    if (attempt->last_look)
        return;
    for (unsigned i = 0; i < attempt->envelope->count; i++) {
        struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (!verdict_stays(verdict))
            continue;
        verdict->kind = VERDICT_EXPIRED;
        if (by_sender)
            verdict->status = (struct status){5, 4, 7}; /* RFC 2852 4.1.4.1 */
    }
}

/* ---- the rest ---- */

static const char *keep_reply(struct envelope *rest, struct span text)
{
    if (text.length > REPLY_KEPT_MAX)
        text.length = REPLY_KEPT_MAX;
    return arena_copy(&rest->arena, text);
}

/* The envelope as it goes on: the recipients that stay, each with what was last said of it. */
static struct envelope *make_rest(const struct attempt *attempt)
{
    const struct envelope *envelope = attempt->envelope;
    struct envelope *rest = NULL;
    for (unsigned i = 0; i < envelope->count; i++) {
        const struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (!verdict_stays(verdict))
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
    return rest;
}

/* None of those that stay was even offered: no reason to wait. */
static bool goes_on_at_once(const struct attempt *attempt)
{
    for (unsigned i = 0; i < attempt->envelope->count; i++) {
        const struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (verdict_stays(verdict) && !verdict->untried)
            return false;
    }
    return true;
}

static void set_due(struct attempt *attempt, const struct retry *retry)
{
    struct worker *worker = attempt->worker;
    struct envelope *rest = attempt->rest;
    rest->attempts = attempt->envelope->attempts;
    rest->due_ms = worker->wall_ms + (attempt->last_look ? LAST_LOOK_MS : 0);
    if (attempt->last_look || attempt->looked || goes_on_at_once(attempt))
        return;
    rest->attempts++;
    int64_t rests_ms = attempt_rests_ms(attempt);
    int64_t look_ms = retry_look_ms(retry, rest->message, rest->warned);
    if (rests_ms > 0)
        rest->due_ms = worker->wall_ms + rests_ms < look_ms ? worker->wall_ms + rests_ms : look_ms;
    else
        rest->due_ms = retry_due_ms(retry, rest->message, rest->warned, rest->attempts,
                                    worker->wall_ms, &worker->random);
}

void attempt_decide(struct attempt *attempt)
{
    struct worker *worker = attempt->worker;
    const struct envelope *envelope = attempt->envelope;
    const struct retry *retry = config_retry(worker->config, span_of(envelope->destination));
    bool holds = apply_in_doubt(attempt);
    if (!holds)
        expire(attempt, retry);
    struct envelope *rest = attempt->rest = make_rest(attempt);
    if (rest == NULL)
        return;
    attempt->warns =
        retry_ripe(retry, envelope->message, envelope->warned, worker->wall_ms) == RIPE_WARNING;
    rest->number = envelope->number;
    rest->warned = envelope->warned || attempt->warns;
    set_due(attempt, retry);
    rest->held = holds;
    if (holds)
        rest->hold_reason = "in doubt: the final dot was sent and no reply came";
}
