/* AUTH, as a client (RFC 4954): one mechanism after the other, of those that the login may use and
 * the host offers, until one has a yes. Whoever is not who he says, or wants what is not to be
 * given on this channel, hears no more of us: then there is no next mechanism. */
#include "relay/config.h"
#include "relay/outbound/session_inside.h"

#include <string.h>
#include <strings.h>

#define LINE_MAX_BYTES 12288 /* of AUTH with its initial response and CRLF (RFC 4954 3) */

/* RFC 3463 and 4954 6, as what will be tried again */
static const struct status credentials_invalid = {4, 7, 8}, mechanism_too_weak = {4, 7, 9},
                           encryption_needed = {4, 7, 11}, proof_wrong = {4, 7, 5},
                           ours_to_mend = {4, 3, 5};

/* ---- how it fails ---- */

static enum session_ask give_up(struct session *session, struct status status, const char *why)
{
    session->stage = STAGE_AUTH;
    session->login.refused = true;
    struct verdict verdict = local_verdict(session, &session->arena, VERDICT_DEFERRED, status, why);
    return refuse_host(session, &verdict);
}

/* A challenge is answered, if only so (RFC 4954 4); what the server says to that does not matter.
 */
static void cancel(struct session *session)
{
    if (session->login.challenges > 0)
        buffer_append(session->out, SPAN("*\r\n"));
}

static enum session_ask refuse_exchange(struct session *session)
{
    cancel(session);
    return give_up(session, proof_wrong,
                   arena_copy(&session->arena, span_of(exchange_why(session->login.exchange))));
}

/* What was said to the server must not come back into a log by its words. */
static void listen(struct session *session, const struct reply *reply)
{
    const struct exchange *exchange = session->login.exchange;
    const char *why = exchange_why(exchange); /* it may have given a reason before */
    session->login.repeats |= exchange_is_repeated(exchange, reply->text) ||
                              (why != NULL && exchange_is_repeated(exchange, span_of(why)));
}

static const char *words_of(struct session *session, const struct reply *reply)
{
    const char *why = exchange_why(session->login.exchange);
    if (session->login.repeats)
        return "(the server's words are not shown: they repeat what was said to it)";
    if (why != NULL)
        return arena_print(&session->arena, "%.*s (%s)", SPAN_FORMAT(reply->text), why);
    return arena_copy(&session->arena, reply->text);
}

static enum session_ask refused_by(struct session *session, const struct reply *reply)
{
    struct reply shown = *reply;
    shown.text = span_of(words_of(session, reply));
    struct verdict verdict = verdict_of(session, &session->arena, VERDICT_DEFERRED, &shown);
    session->login.refused = !reply_is_temporary(reply);
    if (session->login.refused)
        verdict.status = credentials_invalid;
    return refuse_host(session, &verdict);
}

/* ---- one mechanism ---- */

static enum session_ask say_auth(struct session *session, struct span said)
{
    struct session_login *login = &session->login;
    const char *name = auth_name(exchange_mechanism(login->exchange));
    size_t length = strlen("AUTH  \r\n") + strlen(name) + said.length;
    must(length <= LINE_MAX_BYTES); /* LOGIN_SECRET_MAX and LOGIN_USER_MAX see to that */
    login->begun = true;
    if (!exchange_client_begins(exchange_mechanism(login->exchange)))
        buffer_print(session->out, "AUTH %s\r\n", name);
    else
        buffer_print(session->out, "AUTH %s %.*s\r\n", name,
                     SPAN_FORMAT(said.length > 0 ? said : SPAN("=")));
    expect(session, STEP_AUTH, 0);
    return ASK_BYTES;
}

static enum session_ask respond(struct session *session)
{
    struct span said = exchange_said(session->login.exchange);
    if (!session->login.begun)
        return say_auth(session, said);
    buffer_print(session->out, "%.*s\r\n", SPAN_FORMAT(said));
    expect(session, STEP_AUTH, 0);
    return ASK_BYTES;
}

static enum session_ask act_on(struct session *session, enum exchange_result result)
{
    switch (result) {
    case EXCHANGE_SAYS: return respond(session);
    case EXCHANGE_WANTS: return ASK_SECRET;
    case EXCHANGE_REFUSED: return refuse_exchange(session);
    }
    must_not_reach();
}

static enum session_ask try_next(struct session *session)
{
    struct session_login *login = &session->login;
    const struct exchange_terms terms = {
        .mechanism = (enum auth_mechanism)(ffs((int)login->left) - 1),
        .user = login->config->user,
        .host = login->host,
        .port = login->port,
    };
    login->left &= ~AUTH_BIT(terms.mechanism);
    login->tried |= AUTH_BIT(terms.mechanism);
    login->begun = false;
    login->challenges = 0;
    exchange_free(&login->exchange);
    login->exchange = exchange_begin(&terms);
    if (!exchange_client_begins(terms.mechanism))
        return say_auth(session, SPAN(""));
    return act_on(session, exchange_step(login->exchange, SPAN("")));
}

enum session_ask authenticate(struct session *session)
{
    struct session_login *login = &session->login;
    const struct login_config *config = login->config;
    bool verified = session->secure && tls_level_authenticates(session->policy.level);
    if (!session->secure && !config->in_clear)
        return give_up(session, encryption_needed, "the login is not to be used without TLS");
    if (!verified && !config->unverified && !config->in_clear)
        return give_up(session, encryption_needed,
                       "the login is only to be used with hosts that have shown who they are");
    login->left = session->extensions.auth & config->mechanisms;
    if (login->left == 0)
        return give_up(session, mechanism_too_weak,
                       extensions_have(&session->extensions, EXTENSION_AUTH)
                           ? "the server offers none of the login's mechanisms"
                           : "the server does not offer AUTH");
    return try_next(session);
}

/* ---- replies, and the secret ---- */

static enum session_ask challenged(struct session *session, const struct reply *reply)
{
    struct session_login *login = &session->login;
    if (++login->challenges > AUTH_CHALLENGES_MAX) {
        cancel(session);
        return give_up(session, proof_wrong, "the server asks for more and more");
    }
    return act_on(session, exchange_step(login->exchange, reply->text));
}

static enum session_ask accepted(struct session *session)
{
    if (!exchange_is_complete(session->login.exchange))
        return give_up(session, proof_wrong,
                       "the server said yes before it had proven that it knows the password");
    session->login.done = true;
    exchange_free(&session->login.exchange); /* the secret is not needed any more */
    return become_ready(session);
}

/* A mechanism that is refused for good, for whatever reason (504, 534, 535, 538), makes room for
 * the next. */
enum session_ask auth_replied(struct session *session, const struct expected *to,
                              const struct reply *reply)
{
    (void)to;
    listen(session, reply);
    if (reply->code == 334)
        return challenged(session, reply);
    if (reply_is_positive(reply))
        return accepted(session);
    bool next = reply_is_permanent(reply) && session->login.left != 0 && !session->closing;
    return next ? try_next(session) : refused_by(session, reply);
}

struct exchange_want session_wants(const struct session *session)
{
    return exchange_want(session->login.exchange);
}

enum session_ask session_give_secret(struct session *session, const char *secret)
{
    return act_on(session, exchange_give(session->login.exchange, secret));
}

enum session_ask session_no_secret(struct session *session, const char *why)
{
    cancel(session);
    return give_up(session, ours_to_mend, arena_copy(&session->arena, span_of(why)));
}
