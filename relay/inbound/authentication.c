/* AUTH (RFC 4954): the client proves who it is, and may then what that user may. */
#include "relay/inbound/session_inside.h"
#include "relay/users.h"

#include <stdlib.h>

void inbound_forget_user(struct inbound_session *session)
{
    sasl_free(&session->sasl);
    free(session->user);
    session->user = NULL;
}

void inbound_offer_auth(struct inbound_session *session)
{
    buffer_append(session->out, SPAN("250-AUTH"));
    for (unsigned i = 0; i < SASL_MECHANISMS; i++) {
        enum sasl_mechanism mechanism;
        const char *name = sasl_mechanism_name((enum sasl_mechanism)i);
        if (sasl_mechanism_find(session->config->users, span_of(name), &mechanism))
            buffer_print(session->out, " %s", name);
    }
    buffer_append(session->out, SPAN("\r\n"));
}

/* ---- an exchange ---- */

static enum inbound_ask give_up(struct inbound_session *session, const char *reply)
{
    sasl_free(&session->sasl);
    session->state = INBOUND_READY;
    return complain(session, reply);
}

static enum inbound_ask accept_user(struct inbound_session *session)
{
    session->user = must_strdup(sasl_name(session->sasl));
    sasl_free(&session->sasl);
    session->state = INBOUND_READY;
    inbound_weigh(session);
    return say(session, "235 2.7.0 Authentication successful");
}

static enum inbound_ask ask(struct inbound_session *session, enum inbound_ask what)
{
    session->state = INBOUND_ASKED;
    return what;
}

static enum inbound_ask go_on(struct inbound_session *session, enum sasl_result result)
{
    switch (result) {
    case SASL_CHALLENGE:
        session->state = INBOUND_RESPONSE;
        buffer_print(session->out, "334 %.*s\r\n", SPAN_FORMAT(sasl_challenge(session->sasl)));
        return INBOUND_MORE;
    case SASL_CHECK: return ask(session, INBOUND_CHECK);
    case SASL_DONE: return accept_user(session);
    case SASL_NO_BASE64: return give_up(session, "501 5.5.2 The response is not base64");
    case SASL_REFUSED: return ask(session, INBOUND_REFUSE);
    }
    must_not_reach();
}

enum inbound_ask inbound_response(struct inbound_session *session, struct span in, size_t *used)
{
    struct span line;
    switch (inbound_line(session, in, SASL_LINE_MAX, &line, used)) {
    case LINE_WHOLE: break;
    case LINE_PARTIAL: return INBOUND_MORE;
    case LINE_TOO_LONG: return INBOUND_CLOSE;
    case LINE_BAD: return give_up(session, "501 5.5.2 The response is not base64");
    }
    if (span_equal(line, SPAN("*")))
        return give_up(session, "501 5.7.0 Authentication cancelled");
    return go_on(session, sasl_step(session->sasl, line));
}

enum inbound_ask inbound_checked(struct inbound_session *session, enum check_result result)
{
    must(session->state == INBOUND_ASKED && session->sasl != NULL);
    switch (result) {
    case CHECK_FITS:
    case CHECK_WRONG: return go_on(session, sasl_checked(session->sasl, result == CHECK_FITS));
    case CHECK_BUSY: break;
    }
    sasl_free(&session->sasl);
    session->state = INBOUND_READY;
    return say(session, "454 4.7.0 Temporary authentication failure, try again later");
}

#define BARRED "421 4.7.0 Too many failed attempts to authenticate, try again later"

enum inbound_ask inbound_refused(struct inbound_session *session, bool barred)
{
    must(session->state == INBOUND_ASKED);
    enum inbound_ask then = give_up(session, "535 5.7.8 Authentication credentials invalid");
    if (!barred || then == INBOUND_CLOSE)
        return then;
    say(session, BARRED);
    return INBOUND_CLOSE;
}

/* ---- AUTH ---- */

/* Why there is no AUTH here and now; NULL when there is. */
static const char *fault(const struct inbound_session *session)
{
    if (session->listen->auth == LISTEN_AUTH_OFF)
        return "502 5.5.1 AUTH is not offered here";
    if (session->state != INBOUND_READY || !session->extended)
        return "503 5.5.1 EHLO first, and no AUTH within a transaction";
    if (session->user != NULL)
        return "503 5.5.1 You have authenticated already";
    if (!(inbound_offers(session) & EXTENSION_AUTH))
        return "538 5.7.11 Encryption is required: STARTTLS first";
    return NULL;
}

enum inbound_ask inbound_auth(struct inbound_session *session, const struct command *command,
                              const struct inbound_facts *facts)
{
    enum sasl_mechanism mechanism;
    struct span rest = command->argument;
    struct span name = span_word(&rest), initial = span_word(&rest);
    const char *wrong = fault(session);
    if (wrong != NULL)
        return complain(session, wrong);
    if (facts->barred) {
        say(session, BARRED);
        return INBOUND_CLOSE;
    }
    if (name.length == 0 || span_word(&rest).length > 0)
        return complain(session, "501 5.5.4 Syntax: AUTH mechanism [initial-response]");
    if (!sasl_mechanism_find(session->config->users, name, &mechanism))
        return complain(session, "504 5.5.4 Unrecognized authentication mechanism");
    if (initial.length > 0 && sasl_server_begins(mechanism))
        return complain(session, "501 5.7.0 This mechanism has no initial response");
    session->sasl = sasl_begin(mechanism, session->config->users);
    if (span_equal(initial, SPAN("="))) /* an empty one */
        initial.length = 0;
    return go_on(session, sasl_step(session->sasl, initial));
}

/* ---- what a user may ---- */

const char *inbound_user_refusal(struct inbound_session *session, struct span sender,
                                 const struct inbound_facts *facts)
{
    if (session->user == NULL)
        return NULL;
    const struct user_config *user = config_user(session->config, session->user);
    if (!config_may_send_as(&user->senders, sender))
        return "550 5.7.1 You may not use this sender's address";
    if (session->rates != NULL &&
        !rates_take(session->rates, session->user, user->messages_per_hour, facts->now_ms))
        return "452 4.7.1 You have sent as many messages within an hour as you may, try again later";
    return NULL;
}

unsigned inbound_recipients_max(const struct inbound_session *session)
{
    unsigned most = session->config->limits.recipients;
    const struct user_config *user =
        session->user != NULL ? config_user(session->config, session->user) : NULL;
    if (user != NULL && user->recipients_per_message != 0 && user->recipients_per_message < most)
        return user->recipients_per_message;
    return most;
}
