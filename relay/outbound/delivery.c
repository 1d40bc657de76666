/* A delivery: one transaction or several, each from MAIL to the reply to its content. */
#include "relay/outbound/session_inside.h"

static bool has(const struct session *session, enum extension extension)
{
    return extensions_have(&session->extensions, extension);
}

static uint64_t body_length(const struct session *session)
{
    return session->delivery->envelope->message->place.length;
}

static bool may_send(const struct session *session)
{
    return session->expected_count == 0 || has(session, EXTENSION_PIPELINING);
}

/* ---- recipients ---- */

/* Whoever has no RCPT yet waits for the next transaction. */
static void put_off_rest(struct session *session)
{
    struct transaction *now = &session->now;
    for (unsigned i = now->next_recipient; i < session->delivery->envelope->count; i++)
        now->later[i] |= is_open(session, i);
}

/* The next recipient without a verdict: others have had theirs, from an earlier host or in an
 * earlier transaction. */
static bool has_next_recipient(struct session *session)
{
    struct transaction *now = &session->now;
    unsigned most = session->extensions.rcpt_max;
    while (now->next_recipient < session->delivery->envelope->count &&
           !is_open(session, now->next_recipient))
        now->next_recipient++;
    if (most > 0 && now->offered >= most)
        put_off_rest(session);
    return now->next_recipient < session->delivery->envelope->count &&
           is_open(session, now->next_recipient);
}

static void send_rcpt(struct session *session)
{
    unsigned recipient = session->now.next_recipient++;
    write_rcpt(session, recipient);
    expect(session, STEP_RCPT, recipient);
    session->now.offered++;
}

/* RFC 5321 4.5.3.1.10: so many recipients and no more, at a time. 552 is an old word for it; where
 * an enhanced code says something else (a full mailbox), it is that. */
static bool says_too_many(const struct reply *reply)
{
    bool other =
        reply->status_class != 0 && (reply->status_subject != 5 || reply->status_detail != 3);
    return (reply->code == 452 || reply->code == 552) && !other;
}

/* ---- content ---- */

static void send_data(struct session *session)
{
    buffer_append(session->out, SPAN("DATA\r\n"));
    expect(session, STEP_DATA, 0);
    session->now.content_begun = true;
}

/* A small body goes with MAIL; a larger one is not pushed at a host that has taken no recipient
 * yet, nor is any at one that may not be there any more. */
static bool waits_for_recipients(const struct session *session)
{
    bool alone = body_length(session) > SESSION_FLIGHT_BYTES || session->delivery->wary;
    return alone && !session->now.content_begun && session->expected_count > 0;
}

/* The next BDAT, when it may be sent now (RFC 3030 2). */
static void send_bdat(struct session *session)
{
    struct transaction *now = &session->now;
    uint64_t left = body_length(session) - now->announced;
    bool last = left <= SESSION_CHUNK_BYTES;
    unsigned bytes = last ? (unsigned)left : SESSION_CHUNK_BYTES;
    bool ended = now->content_begun && left == 0;
    if (now->chunk_under_way || now->refused || ended || waits_for_recipients(session) ||
        (now->unanswered > 0 && now->unanswered + bytes > SESSION_UNANSWERED_BYTES))
        return;
    buffer_print(session->out, "BDAT %u%s\r\n", bytes, last ? " LAST" : "");
    expect(session, last ? STEP_BDAT_LAST : STEP_BDAT, bytes);
    now->content_begun = now->chunk_due = now->chunk_under_way = true;
    now->chunk = bytes;
    now->unanswered += bytes;
    now->announced += bytes;
}

static void send_content(struct session *session)
{
    if (!may_send(session))
        return;
    if (has(session, EXTENSION_CHUNKING))
        send_bdat(session);
    else if (!session->now.content_begun)
        send_data(session);
}

struct chunk session_chunk(const struct session *session)
{
    const struct transaction *now = &session->now;
    return (struct chunk){now->announced - now->chunk, now->chunk};
}

enum session_ask ask_due(struct session *session, enum session_ask ask)
{
    if (ask != ASK_BYTES || !session->now.chunk_due)
        return ask;
    session->now.chunk_due = false;
    return ASK_CHUNK;
}

bool only_chunk_owed(const struct session *session)
{
    return session->delivery != NULL && session->now.chunk_under_way &&
           session->expected_count == 1;
}

/* ---- transactions ---- */

static void send_mail(struct session *session)
{
    write_mail(session);
    expect(session, STEP_MAIL, 0);
    session->now.mail_sent = true;
    session->open = true;
    session->mails++;
}

/* MAIL and RCPT, so far as they may be sent now: with PIPELINING as much as can be, one command
 * without. */
static void send_envelope(struct session *session)
{
    if (may_send(session) && !session->now.mail_sent)
        send_mail(session);
    while (may_send(session) && has_next_recipient(session))
        send_rcpt(session);
}

static void begin_transaction(struct session *session)
{
    session->now = (struct transaction){0};
    if (session->open) {
        buffer_append(session->out, SPAN("RSET\r\n"));
        expect(session, STEP_RSET, 0);
        session->open = false;
    }
    send_envelope(session);
    send_content(session);
    must(session->expected_count > 0); /* RSET or MAIL: it is not over before it has begun */
}

static bool any_later(const struct session *session)
{
    for (unsigned i = 0; i < session->delivery->envelope->count; i++)
        if (session->now.later[i] && session->delivery->verdicts[i].kind == VERDICT_NONE)
            return true;
    return false;
}

static bool mails_are_used_up(const struct session *session)
{
    unsigned most = session->extensions.mail_max;
    return most > 0 && session->mails >= most;
}

static void decide_untried(struct session *session)
{
    struct verdict verdict =
        local_verdict(session, session->delivery->arena, VERDICT_DEFERRED, (struct status){4, 5, 3},
                      "the server takes no more on this connection");
    verdict.untried = true;
    decide_all(session, &verdict);
}

/* The transaction is through, for good or bad. When the envelope is too, what comes next is the
 * connection's to say. */
static enum session_ask transaction_over(struct session *session)
{
    must(!any_open(session) && session->expected_count == (session->quit_said ? 1 : 0));
    if (any_later(session)) {
        if (!mails_are_used_up(session)) {
            begin_transaction(session);
            return ASK_BYTES;
        }
        decide_untried(session);
    }
    session->delivery = NULL;
    return ASK_CLAIM;
}

/* Something was refused: when all replies are there, so is the end. */
static enum session_ask over_if_answered(struct session *session)
{
    return session->expected_count == 0 ? transaction_over(session) : ASK_BYTES;
}

/* Sends what may be sent next, or ends the transaction when nothing is left of it. */
static enum session_ask advance(struct session *session)
{
    send_envelope(session);
    if (session->expected_count == 0 && !any_open(session))
        return transaction_over(session);
    send_content(session);
    return ASK_BYTES;
}

enum session_ask session_deliver(struct session *session, struct delivery *delivery)
{
    must(session->ready && session->delivery == NULL && delivery->envelope->count > 0);
    session->delivery = delivery;
    session->now = (struct transaction){0};
    session->mail_deferred = false;
    session->stage = STAGE_NONE; /* what it cannot take is our word, not a reply */
    session->envelopes++;
    struct verdict verdict;
    if (cannot_take(session, &verdict)) {
        decide_all(session, &verdict);
        session->delivery = NULL;
        return ASK_CLAIM;
    }
    begin_transaction(session);
    return ask_due(session, ASK_BYTES);
}

/* RFC 2920 3.1 lets QUIT follow the content in its flight. Of several recipients some may be for
 * another transaction. */
void session_body_written(struct session *session)
{
    const struct delivery *delivery = session->delivery;
    bool whole =
        !has(session, EXTENSION_CHUNKING) || session->now.announced == body_length(session);
    if (!whole || !delivery->last || delivery->envelope->count > 1 ||
        !has(session, EXTENSION_PIPELINING))
        return;
    buffer_append(session->out, SPAN("QUIT\r\n"));
    session->quit_said = session->closing = true;
}

static void content_sent(struct session *session)
{
    session->now.whole = true;
    if (!has(session, EXTENSION_CHUNKING))
        expect(session, STEP_END_OF_DATA, 0);
    if (session->quit_said)
        expect(session, STEP_QUIT, 0);
}

enum session_ask session_body_sent(struct session *session)
{
    struct transaction *now = &session->now;
    bool chunked = has(session, EXTENSION_CHUNKING);
    now->chunk_under_way = false;
    if (!chunked || now->announced == body_length(session))
        content_sent(session);
    return chunked ? ask_due(session, advance(session)) : ASK_BYTES;
}

void session_not_received(struct session *session)
{
    session->now.whole = false;
}

bool session_in_doubt(const struct session *session)
{
    return session->delivery != NULL && session->now.whole;
}

bool session_halfway(const struct session *session)
{
    return session->now.content_begun && !session->now.whole;
}

/* RFC 9422 4. An envelope is one domain's: so many envelopes are no more domains. */
bool session_spent(const struct session *session)
{
    unsigned most = session->extensions.rcpt_domain_max;
    return mails_are_used_up(session) || (most > 0 && session->envelopes >= most);
}

/* ---- replies ---- */

enum session_ask rset_replied(struct session *session, const struct expected *to,
                              const struct reply *reply)
{
    (void)to;
    if (!reply_is_positive(reply))
        return session_lost(session, "the server refused RSET");
    return session->delivery ? advance(session) : ASK_BYTES;
}

enum session_ask mail_replied(struct session *session, const struct expected *to,
                              const struct reply *reply)
{
    (void)to;
    if (!reply_is_positive(reply)) {
        /* 530 where TLS was not offered smells of a stripped STARTTLS (RFC 3207 6); and whoever no
         * longer knows us (RFC 4954 6) says nothing of the mail. */
        bool ours = reply->code == 530 && (!session->secure || session->login.done);
        session->mail_deferred = reply_is_temporary(reply);
        decide_all_by(session, ours ? VERDICT_DEFERRED : kind_of(reply), reply);
    }
    session->mail_taken |= reply_is_positive(reply);
    return advance(session);
}

/* Those behind the ones it took: in the next transaction, at once. */
static void put_off(struct session *session, unsigned recipient, const struct reply *reply)
{
    struct transaction *now = &session->now;
    now->later[recipient] = true;
    if (reply->status_class != 0) /* it means it: the transactions after this are no larger */
        session->extensions.rcpt_max = now->taken;
}

enum session_ask rcpt_replied(struct session *session, const struct expected *to,
                              const struct reply *reply)
{
    struct delivery *delivery = session->delivery;
    struct verdict *verdict = &delivery->verdicts[to->of];
    bool too_many = says_too_many(reply);
    if (reply_is_positive(reply))
        session->now.taken++;
    else if (too_many && session->now.taken > 0 && verdict->kind == VERDICT_NONE)
        put_off(session, to->of, reply);
    else if (verdict->kind == VERDICT_NONE)
        *verdict = verdict_of(session, delivery->arena,
                              too_many ? VERDICT_DEFERRED : kind_of(reply), reply);
    return advance(session);
}

enum session_ask data_replied(struct session *session, const struct expected *to,
                              const struct reply *reply)
{
    (void)to;
    if (reply_is_intermediate(reply)) {
        if (any_open(session))
            return ASK_BODY;
        /* Pipelined DATA although no recipient was taken: an empty body ends it (RFC 2920 3.1). */
        buffer_append(session->out, SPAN(".\r\n"));
        expect(session, STEP_END_OF_DATA, 0);
        return ASK_BYTES;
    }
    decide_open_by(session, kind_of(reply), reply);
    return transaction_over(session);
}

/* To one chunk of several. */
enum session_ask bdat_replied(struct session *session, const struct expected *to,
                              const struct reply *reply)
{
    session->now.unanswered -= to->of;
    if (reply_is_positive(reply))
        return advance(session);
    /* The transaction has failed; chunks on their way are answered too, and RSET clears it away. */
    session->now.refused = true;
    decide_open_by(session, kind_of(reply), reply);
    return over_if_answered(session);
}

/* To the final dot, or to BDAT LAST. */
enum session_ask content_replied(struct session *session, const struct expected *to,
                                 const struct reply *reply)
{
    decide_open_by(session, kind_of(reply), reply);
    /* Behind a BDAT that failed the state is known only after RSET (RFC 3030 2). */
    bool known = to->step == STEP_END_OF_DATA || reply_is_positive(reply);
    session->open = !known || session->now.refused;
    return transaction_over(session);
}
