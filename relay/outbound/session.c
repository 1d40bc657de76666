#include "relay/outbound/session_inside.h"

#include <stdio.h>

static reply_handler greeting_replied, ehlo_replied, helo_replied, starttls_replied, quit_replied;

static const struct step {
    const char *name;
    int64_t timeout_ms; /* RFC 5321 4.5.3.2 */
    reply_handler *replied;
    enum stage stage;
    bool wants_3xx; /* and has no use for a 2xx */
} steps[] = {
    [STEP_GREETING] = {"greeting", 300000, greeting_replied, STAGE_GREETING, false},
    [STEP_EHLO] = {"EHLO", 300000, ehlo_replied, STAGE_EHLO, false},
    [STEP_HELO] = {"HELO", 300000, helo_replied, STAGE_EHLO, false},
    /* ours, handshake included */
    [STEP_STARTTLS] = {"STARTTLS", 60000, starttls_replied, STAGE_STARTTLS, false},
    [STEP_AUTH] = {"AUTH", 180000, auth_replied, STAGE_AUTH, false}, /* ours */
    [STEP_RSET] = {"RSET", 20000, rset_replied, STAGE_MAIL, false},  /* ours */
    [STEP_MAIL] = {"MAIL", 300000, mail_replied, STAGE_MAIL, false},
    [STEP_RCPT] = {"RCPT", 300000, rcpt_replied, STAGE_RCPT, false},
    [STEP_DATA] = {"DATA", 120000, data_replied, STAGE_DATA, true},
    [STEP_END_OF_DATA] = {"end of data", 600000, content_replied, STAGE_END_OF_DATA, false},
    /* as long as for a block of DATA */
    [STEP_BDAT] = {"BDAT", 180000, bdat_replied, STAGE_END_OF_DATA, false},
    [STEP_BDAT_LAST] = {"BDAT LAST", 600000, content_replied, STAGE_END_OF_DATA, false},
    /* ours: nothing depends on it */
    [STEP_QUIT] = {"QUIT", 5000, quit_replied, STAGE_NONE, false},
};
_Static_assert(countof(steps) == SESSION_STEPS, "a row for each step");

/* ---- the replies owed ---- */

void expect(struct session *session, enum session_step step, unsigned of)
{
    must(session->expected_count < SESSION_EXPECTED_MAX);
    unsigned at = (session->expected_first + session->expected_count) % SESSION_EXPECTED_MAX;
    session->expected[at] = (struct expected){step, of};
    session->expected_count++;
}

static const struct expected *owed(const struct session *session)
{
    return session->expected_count ? &session->expected[session->expected_first] : NULL;
}

static struct expected take_owed(struct session *session)
{
    struct expected first = session->expected[session->expected_first];
    session->expected_first = (session->expected_first + 1) % SESSION_EXPECTED_MAX;
    session->expected_count--;
    session->replies++;
    return first;
}

const char *session_awaits(const struct session *session)
{
    const struct expected *first = owed(session);
    return first ? steps[first->step].name : "nothing";
}

int64_t session_timeout_ms(const struct session *session)
{
    const struct expected *first = owed(session);
    return steps[first ? first->step : STEP_QUIT].timeout_ms;
}

/* What is said from now on is said of what is owed next. */
static void look_at_stage(struct session *session)
{
    if (owed(session) != NULL)
        session->stage = steps[owed(session)->step].stage;
}

/* ---- beginning and end ---- */

void session_init(struct session *session, const char *hostname, const char *host,
                  const struct tls_policy *policy, const struct tls_history *history,
                  unsigned discarded, struct buffer *out)
{
    *session = (struct session){.hostname = hostname,
                                .host = host,
                                .policy = *policy,
                                .history = *history,
                                .discarded = discarded,
                                .out = out};
    expect(session, STEP_GREETING, 0);
}

void session_log_in(struct session *session, const struct login_config *login, const char *host,
                    uint16_t port)
{
    session->login = (struct session_login){.config = login, .host = host, .port = port};
}

/* As if STARTTLS had been said: its deadline, its outcomes and what follows from them. */
enum session_ask session_begin_secure(struct session *session)
{
    must(is_owed(session, STEP_GREETING) && session->expected_count == 1);
    session->expected[session->expected_first].step = STEP_STARTTLS;
    if (session->policy.level < TLS_ENCRYPT)
        session->policy.level = TLS_ENCRYPT;
    return ASK_TLS;
}

void session_free(struct session *session)
{
    exchange_free(&session->login.exchange);
    reply_reader_free(&session->reader);
    arena_free(&session->arena);
}

/* ---- how a session fails ---- */

enum session_ask refuse_host(struct session *session, const struct verdict *verdict)
{
    session->failure = *verdict;
    session->failure.kind = VERDICT_DEFERRED;
    if (!session->closing)
        buffer_append(session->out, SPAN("QUIT\r\n")); /* politeness; no reply is waited for */
    session->closing = true;
    return ASK_CLOSE;
}

static enum session_ask host_replied_badly(struct session *session, const struct reply *reply)
{
    struct verdict verdict = verdict_of(session, &session->arena, VERDICT_DEFERRED, reply);
    return refuse_host(session, &verdict);
}

bool is_owed(const struct session *session, enum session_step step)
{
    const struct expected *first = owed(session);
    return first != NULL && first->step == step;
}

enum session_ask session_lost(struct session *session, const char *why)
{
    if (is_owed(session, STEP_STARTTLS))
        return session_tls_failed(session, TLS_HANDSHAKE_FAILED, why);
    look_at_stage(session);
    session->closing = true;
    if (session->delivery != NULL) {
        struct verdict verdict = local_verdict(session, session->delivery->arena, VERDICT_DEFERRED,
                                               (struct status){4, 4, 2}, why);
        struct verdict of_open = verdict;
        if (session_in_doubt(session))
            of_open.kind = VERDICT_IN_DOUBT;
        decide_open(session, &of_open);
        decide_all(session, &verdict);
    } else if (!session->ready) {
        /* RFC 3463 3.5: no answer from host, or bad connection */
        struct status status = {4, 4, session->replies == 0 ? 1 : 2};
        session->failure = local_verdict(session, &session->arena, VERDICT_DEFERRED, status, why);
    }
    return ASK_CLOSE;
}

enum session_ask session_broke(struct session *session, enum tls_outcome outcome, const char *why)
{
    if (session->secure && is_owed(session, STEP_EHLO))
        return session_tls_failed(session, outcome, why);
    return session_lost(session, why);
}

enum session_ask session_timed_out(struct session *session)
{
    char why[80];
    snprintf(why, sizeof(why), "timed out waiting for the reply to %s", session_awaits(session));
    if (is_owed(session, STEP_STARTTLS))
        return session_tls_failed(session, TLS_STALLED, why);
    return session_lost(session, why);
}

/* The server broke the rules of SMTP: that is remembered of it, and nothing more is heard. */
static enum session_ask misbehaves(struct session *session, const char *what)
{
    session->fault = what;
    session->ended_at = session_awaits(session);
    session->turned_away = true;
    return session_lost(session, what);
}

/* 421: the server is closing the channel, whatever it was asked (RFC 5321 3.8). */
static enum session_ask server_closes(struct session *session, const struct reply *reply)
{
    session->closing = session->turned_away = true;
    session->ended_at = session_awaits(session);
    if (is_owed(session, STEP_STARTTLS))
        return starttls_replied(session, &(struct expected){STEP_STARTTLS, 0}, reply);
    if (is_owed(session, STEP_AUTH))
        return auth_replied(session, &(struct expected){STEP_AUTH, 0}, reply);
    if (session->delivery != NULL)
        decide_all_by(session, VERDICT_DEFERRED, reply);
    else if (!session->ready)
        return host_replied_badly(session, reply);
    return ASK_CLOSE;
}

/* A refusal in the middle of the body counts; anything else that nobody asked for does not. */
static enum session_ask replied_to_nothing(struct session *session, const struct reply *reply)
{
    if (session->delivery == NULL || reply->code < 400)
        return misbehaves(session, "the server replied to nothing");
    decide_open_by(session, kind_of(reply), reply);
    return session_lost(session, "the server refused the body before its end");
}

/* Bytes behind a reply after which none was owed. They must not be taken for the reply to what
 * is said next: verdicts would go to the wrong recipients. */
static enum session_ask said_too_much(struct session *session, struct span rest)
{
    struct reply reply;
    size_t length;
    if (reply_read(&session->reader, rest, &reply, &length) != REPLY_COMPLETE)
        return misbehaves(session, "the server replied to nothing");
    return reply.code == 421 ? server_closes(session, &reply) : replied_to_nothing(session, &reply);
}

/* 354 where nothing is to follow, or 250 where something is: whoever answers so is out of step,
 * and what it says next would be taken for the reply to something else. */
static bool is_out_of_step(const struct session *session, const struct reply *reply)
{
    const struct expected *to = owed(session);
    if (to->step == STEP_STARTTLS || to->step == STEP_AUTH)
        return false; /* it is not for us to say what that leads to */
    return steps[to->step].wants_3xx ? reply_is_positive(reply) : reply_is_intermediate(reply);
}

static enum session_ask answered_wrongly(struct session *session, const struct reply *reply)
{
    const char *what = arena_print(&session->arena, "the server answered %s with %u",
                                   session_awaits(session), reply->code);
    return misbehaves(session, what);
}

/* No reply is owed, or only the one to what has not left yet. */
static bool nothing_can_come(const struct session *session)
{
    return owed(session) == NULL || only_chunk_owed(session);
}

enum session_ask session_receive(struct session *session, struct span in, size_t *used)
{
    *used = 0;
    if (session->login.exchange != NULL) /* what is no reply may be shown as well */
        session->login.repeats |= exchange_is_repeated(session->login.exchange, in);
    for (;;) {
        struct reply reply;
        size_t length;
        enum reply_result result =
            reply_read(&session->reader, span_skip(in, *used), &reply, &length);
        if (result == REPLY_PARTIAL)
            return ask_due(session, ASK_BYTES);
        if (result == REPLY_MALFORMED)
            return misbehaves(session, "the server's reply is not SMTP");
        *used += length;
        look_at_stage(session);
        if (reply.code == 421)
            return server_closes(session, &reply);
        if (nothing_can_come(session))
            return replied_to_nothing(session, &reply);
        if (is_out_of_step(session, &reply))
            return answered_wrongly(session, &reply);
        bool was_ready = session->ready;
        struct expected to = take_owed(session);
        bool hasty =
            nothing_can_come(session) && *used < in.length; /* what comes next is not said yet */
        enum session_ask ask = steps[to.step].replied(session, &to, &reply);
        if (hasty && ask != ASK_TLS && ask != ASK_CLOSE) {
            session->ready = was_ready;
            return said_too_much(session, span_skip(in, *used));
        }
        if (ask != ASK_BYTES)
            return ask;
    }
}

/* ---- greeting, EHLO, HELO ---- */

static enum session_ask say_hello(struct session *session, enum session_step step)
{
    buffer_print(session->out, "%s %s\r\n", steps[step].name, session->hostname);
    expect(session, step, 0);
    return ASK_BYTES;
}

static enum session_ask greeting_replied(struct session *session, const struct expected *to,
                                         const struct reply *reply)
{
    (void)to;
    if (!reply_is_positive(reply))
        return host_replied_badly(session, reply);
    return say_hello(session, STEP_EHLO);
}

enum session_ask become_ready(struct session *session)
{
    if (session->login.config != NULL && !session->login.done)
        return authenticate(session);
    session->ready = true;
    return ASK_CLAIM;
}

static enum session_ask tls_ended(struct session *session, enum tls_outcome outcome,
                                  const struct verdict *verdict)
{
    session->decided = true;
    session->outcome = outcome;
    session->next_step = tls_policy_step(&session->policy, outcome, &session->history);
    session->tls_failure = *verdict; /* told even where it goes on all the same */
    if (session->next_step == TLS_GO_PLAIN && session->closing)
        session->next_step = TLS_GO_PLAIN_ANEW; /* the server has closed this channel */
    switch (session->next_step) {
    case TLS_GO_PLAIN: return become_ready(session);
    case TLS_GO_ENCRYPTED:
        if (session->replies > 0)
            return say_hello(session, STEP_EHLO);
        expect(session, STEP_GREETING, 0); /* TLS came first */
        return ASK_BYTES;
    case TLS_GO_PLAIN_ANEW:
    case TLS_GO_ANEW:
    case TLS_RETRY_LATER:
    case TLS_NEXT_HOST: return refuse_host(session, verdict);
    }
    must_not_reach();
}

static struct status tls_status(enum tls_outcome outcome)
{
    return (struct status){4, 7, (uint16_t)tls_outcome_detail(outcome)};
}

static enum session_ask start_tls_or_not(struct session *session)
{
    if (session->policy.level == TLS_NONE)
        return become_ready(session);
    if (!extensions_have(&session->extensions, EXTENSION_STARTTLS)) {
        enum tls_outcome outcome = session->history.offered ? TLS_WITHDRAWN : TLS_NOT_OFFERED;
        const char *why = outcome == TLS_WITHDRAWN
                              ? "TLS is required, but the server no longer offers STARTTLS"
                              : "TLS is required, but the server does not offer STARTTLS";
        struct verdict verdict =
            local_verdict(session, &session->arena, VERDICT_DEFERRED, tls_status(outcome), why);
        return tls_ended(session, outcome, &verdict);
    }
    if (!tls_policy_starts(&session->policy, &session->history))
        return become_ready(session);
    buffer_append(session->out, SPAN("STARTTLS\r\n"));
    expect(session, STEP_STARTTLS, 0);
    return ASK_BYTES;
}

static enum session_ask ehlo_replied(struct session *session, const struct expected *to,
                                     const struct reply *reply)
{
    (void)to;
    if (reply_is_permanent(reply) && !session->secure)
        return say_hello(session, STEP_HELO); /* RFC 5321 3.2 */
    if (!reply_is_positive(reply))
        return host_replied_badly(session, reply);
    session->extensions = extensions_read(reply->text, session->discarded);
    /* A STARTTLS keyword inside TLS is ignored (RFC 3207 4.2). */
    return session->secure ? become_ready(session) : start_tls_or_not(session);
}

static enum session_ask helo_replied(struct session *session, const struct expected *to,
                                     const struct reply *reply)
{
    (void)to;
    if (!reply_is_positive(reply))
        return host_replied_badly(session, reply);
    session->extensions = (struct extensions){0};
    return start_tls_or_not(session);
}

/* ---- STARTTLS ---- */

static enum session_ask starttls_replied(struct session *session, const struct expected *to,
                                         const struct reply *reply)
{
    (void)to;
    if (reply->code == 220)
        return ASK_TLS;
    enum tls_outcome outcome = reply_is_temporary(reply) ? TLS_TEMPORARY : TLS_REFUSED;
    struct verdict verdict = verdict_of(session, &session->arena, VERDICT_DEFERRED, reply);
    verdict.status = tls_status(outcome);
    return tls_ended(session, outcome, &verdict);
}

enum session_ask session_secured(struct session *session, const char *doubt)
{
    struct verdict verdict = {0};
    session->secure = true;
    session->expected_count = 0;                  /* where TLS came first it is owed no more */
    session->extensions = (struct extensions){0}; /* all that was learnt in clear is forgotten */
    if (doubt != NULL)
        verdict = local_verdict(session, &session->arena, VERDICT_DEFERRED,
                                tls_status(TLS_UNTRUSTED), doubt);
    return tls_ended(session, doubt ? TLS_UNTRUSTED : TLS_ESTABLISHED, &verdict);
}

enum session_ask session_tls_failed(struct session *session, enum tls_outcome outcome,
                                    const char *why)
{
    session->stage = STAGE_STARTTLS;
    struct verdict verdict =
        local_verdict(session, &session->arena, VERDICT_DEFERRED, tls_status(outcome), why);
    session->closing = true; /* this socket is spoilt: nothing more is said on it */
    session->secure = false;
    return tls_ended(session, outcome, &verdict);
}

/* ---- QUIT ---- */

enum session_ask session_quit(struct session *session)
{
    if (session->quit_said) /* behind the content */
        return ASK_BYTES;
    buffer_append(session->out, SPAN("QUIT\r\n"));
    expect(session, STEP_QUIT, 0);
    session->closing = true;
    return ASK_BYTES;
}

static enum session_ask quit_replied(struct session *session, const struct expected *to,
                                     const struct reply *reply)
{
    (void)session;
    (void)to;
    (void)reply;
    return ASK_CLOSE;
}
