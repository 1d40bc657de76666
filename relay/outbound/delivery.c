#include "relay/outbound/session_inside.h"

/* ---- verdicts ---- */

static struct span one_line(struct arena *arena, struct span text)
{
    char *line = arena_copy(arena, text);
    for (char *c = line; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
    return span_of(line);
}

/* What is tried again has a status of class 4 even where the server meant its 5xx for good; its
 * own status then stands before its words. */
static void soften(struct verdict *verdict, struct arena *arena)
{
    char said[STATUS_TEXT_MAX];
    status_format(verdict->status, said);
    verdict->text = span_of(arena_print(arena, "%s %.*s", said, SPAN_FORMAT(verdict->text)));
    verdict->status.class = 4;
}

struct verdict verdict_of(const struct session *session, struct arena *arena,
                          enum verdict_kind kind, const struct reply *reply)
{
    bool dsn = extensions_have(&session->extensions, EXTENSION_DSN);
    struct verdict verdict = {
        .kind = kind,
        .code = reply->code,
        .status = {reply->status_class, reply->status_subject, reply->status_detail},
        .text = one_line(arena, reply->text),
        .host = span_of(arena_copy(arena, span_of(session->host))),
        .relayed = kind == VERDICT_DELIVERED && !dsn,
    };
    if (kind == VERDICT_DEFERRED && verdict.status.class == 5)
        soften(&verdict, arena);
    return verdict;
}

enum verdict_kind kind_of(const struct reply *reply)
{
    if (reply_is_positive(reply))
        return VERDICT_DELIVERED;
    return reply_is_permanent(reply) ? VERDICT_BOUNCED : VERDICT_DEFERRED;
}

struct verdict local_verdict(const struct session *session, struct arena *arena,
                             enum verdict_kind kind, struct status status, const char *why)
{
    return (struct verdict){
        .kind = kind,
        .status = status,
        .text = one_line(arena, span_of(why)),
        .host = span_of(arena_copy(arena, span_of(session->host))),
    };
}

void decide_rest(struct session *session, const struct verdict *verdict)
{
    struct delivery *delivery = session->delivery;
    for (unsigned i = 0; i < delivery->envelope->count; i++)
        if (delivery->verdicts[i].kind == VERDICT_NONE)
            delivery->verdicts[i] = *verdict;
}

void decide_rest_by(struct session *session, enum verdict_kind kind, const struct reply *reply)
{
    struct verdict verdict = verdict_of(session, session->delivery->arena, kind, reply);
    decide_rest(session, &verdict);
}

static bool any_undecided(const struct session *session)
{
    const struct delivery *delivery = session->delivery;
    for (unsigned i = 0; i < delivery->envelope->count; i++)
        if (delivery->verdicts[i].kind == VERDICT_NONE)
            return true;
    return false;
}

/* ---- a delivery ---- */

static void send_mail(struct session *session)
{
    const struct message *message = session->delivery->envelope->message;
    buffer_print(session->out, "MAIL FROM:<%s>", message->sender);
    if (extensions_have(&session->extensions, EXTENSION_SIZE))
        buffer_print(session->out, " SIZE=%llu", (unsigned long long)message->place.length);
    if ((message->flags & MESSAGE_8BITMIME) &&
        extensions_have(&session->extensions, EXTENSION_8BITMIME))
        buffer_append(session->out, SPAN(" BODY=8BITMIME"));
    buffer_append(session->out, SPAN("\r\n"));
    expect(session, STEP_MAIL, 0);
    session->mail_sent = true;
    session->open = true;
}

/* The next recipient without a verdict: others have had theirs from an earlier host. */
static bool has_next_recipient(struct session *session)
{
    const struct delivery *delivery = session->delivery;
    while (session->next_recipient < delivery->envelope->count &&
           delivery->verdicts[session->next_recipient].kind != VERDICT_NONE)
        session->next_recipient++;
    return session->next_recipient < delivery->envelope->count;
}

static void send_rcpt(struct session *session)
{
    unsigned recipient = session->next_recipient++;
    buffer_print(session->out, "RCPT TO:<%s>\r\n",
                 session->delivery->envelope->recipients[recipient].path);
    expect(session, STEP_RCPT, recipient);
}

static void send_data(struct session *session)
{
    buffer_append(session->out, SPAN("DATA\r\n"));
    expect(session, STEP_DATA, 0);
    session->data_sent = true;
}

/* The envelope is through, for good or bad: what comes next is the connection's to say. */
static enum session_ask delivery_over(struct session *session)
{
    must(!any_undecided(session));
    session->delivery = NULL;
    return ASK_CLAIM;
}

/* Sends all that may be sent now: everything up to DATA with PIPELINING, one command without. */
static enum session_ask advance(struct session *session)
{
    bool pipelining = extensions_have(&session->extensions, EXTENSION_PIPELINING);
    while (pipelining || session->expected_count == 0) {
        if (session->data_sent)
            break;
        if (!session->mail_sent)
            send_mail(session);
        else if (!pipelining && !any_undecided(session))
            return delivery_over(session);
        else if (has_next_recipient(session))
            send_rcpt(session);
        else
            send_data(session);
    }
    return ASK_BYTES;
}

/* A verdict that needs no question to the server: it said in EHLO what it cannot take. */
static bool cannot_take(struct session *session, struct verdict *verdict)
{
    const struct message *message = session->delivery->envelope->message;
    const struct extensions *extensions = &session->extensions;
    struct arena *arena = session->delivery->arena;
    if (extensions_have(extensions, EXTENSION_SIZE) && extensions->size > 0 &&
        message->place.length > extensions->size) {
        const char *why = arena_print(arena,
                                      "the message of %llu bytes is larger than the %llu "
                                      "that the server takes",
                                      (unsigned long long)message->place.length,
                                      (unsigned long long)extensions->size);
        *verdict = local_verdict(session, arena, VERDICT_BOUNCED, (struct status){5, 3, 4}, why);
        return true; /* RFC 1870 6.1 */
    }
    if ((message->flags & MESSAGE_8BITMIME) && !extensions_have(extensions, EXTENSION_8BITMIME)) {
        *verdict = local_verdict(session, arena, VERDICT_BOUNCED, (struct status){5, 6, 3},
                                 "the message is 8-bit, and the server does not take that");
        return true; /* RFC 6152 3 */
    }
    return false;
}

enum session_ask session_deliver(struct session *session, struct delivery *delivery)
{
    must(session->ready && session->delivery == NULL && delivery->envelope->count > 0);
    session->delivery = delivery;
    session->next_recipient = 0;
    session->mail_sent = session->data_sent = session->mail_deferred = false;
    struct verdict verdict;
    if (cannot_take(session, &verdict)) {
        decide_rest(session, &verdict);
        return delivery_over(session);
    }
    if (session->open) {
        buffer_append(session->out, SPAN("RSET\r\n"));
        expect(session, STEP_RSET, 0);
        session->open = false;
    }
    return advance(session);
}

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
        /* 530 where TLS was not offered smells of a stripped STARTTLS (RFC 3207 6). */
        bool stripped = reply->code == 530 && !session->secure;
        session->mail_deferred = reply_is_temporary(reply);
        decide_rest_by(session, stripped ? VERDICT_DEFERRED : kind_of(reply), reply);
    }
    session->mail_taken |= reply_is_positive(reply);
    return advance(session);
}

enum session_ask rcpt_replied(struct session *session, const struct expected *to,
                              const struct reply *reply)
{
    struct delivery *delivery = session->delivery;
    struct verdict *verdict = &delivery->verdicts[to->recipient];
    if (verdict->kind == VERDICT_NONE && !reply_is_positive(reply))
        *verdict = verdict_of(session, delivery->arena, kind_of(reply), reply);
    return advance(session);
}

enum session_ask data_replied(struct session *session, const struct expected *to,
                              const struct reply *reply)
{
    (void)to;
    if (reply_is_intermediate(reply)) {
        if (any_undecided(session))
            return ASK_BODY;
        /* Pipelined DATA although no recipient was taken: an empty body ends it (RFC 2920 3.1). */
        buffer_append(session->out, SPAN(".\r\n"));
        expect(session, STEP_END_OF_DATA, 0);
        return ASK_BYTES;
    }
    decide_rest_by(session, kind_of(reply), reply);
    return delivery_over(session);
}

enum session_ask session_body_sent(struct session *session)
{
    expect(session, STEP_END_OF_DATA, 0);
    return ASK_BYTES;
}

enum session_ask end_of_data_replied(struct session *session, const struct expected *to,
                                     const struct reply *reply)
{
    (void)to;
    decide_rest_by(session, kind_of(reply), reply);
    session->open = false;
    return delivery_over(session);
}
