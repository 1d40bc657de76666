#include "relay/inbound/session_inside.h"

#include "base/date.h"
#include "relay/smtp/address.h"
#include "relay/smtp/xclient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static command_handler do_ehlo, do_helo, do_rset, do_noop, do_quit, do_vrfy, do_help, do_starttls,
    do_refused, do_foreign, do_unknown;

#define IN(state) (1u << (state))
#define ANY                                                                                        \
    (IN(INBOUND_CONNECTED) | IN(INBOUND_READY) | IN(INBOUND_MAIL) | IN(INBOUND_RCPT) |             \
     IN(INBOUND_CHUNKED))

#define BOTH (FIRST_TLS | FIRST_AUTH)
#define GO_ON "503 5.5.1 BDAT has begun: go on with it, or RSET"

static const struct row {
    command_handler *handler;
    const char *otherwise; /* the reply in a state that is not among `states` */
    unsigned states;       /* in which it may come */
    unsigned first;        /* enum first: it must wait for */
} rows[] = {
    [COMMAND_EHLO] = {.handler = do_ehlo, .states = ANY},
    [COMMAND_HELO] = {.handler = do_helo, .states = ANY, .first = FIRST_TLS},
    [COMMAND_MAIL] = {.handler = inbound_mail,
                      .states = IN(INBOUND_READY),
                      .otherwise = "503 5.5.1 EHLO first, one MAIL at a time",
                      .first = BOTH},
    [COMMAND_RCPT] = {.handler = inbound_rcpt,
                      .states = IN(INBOUND_MAIL) | IN(INBOUND_RCPT),
                      .otherwise = "503 5.5.1 MAIL first",
                      .first = BOTH},
    [COMMAND_DATA] = {.handler = inbound_data,
                      .states = IN(INBOUND_RCPT),
                      .otherwise = "503 5.5.1 RCPT first",
                      .first = BOTH},
    [COMMAND_RSET] = {.handler = do_rset, .states = ANY, .first = FIRST_TLS},
    [COMMAND_NOOP] = {.handler = do_noop, .states = ANY},
    [COMMAND_QUIT] = {.handler = do_quit, .states = ANY},
    [COMMAND_VRFY] = {.handler = do_vrfy, .states = ANY, .first = BOTH},
    [COMMAND_HELP] = {.handler = do_help, .states = ANY, .first = BOTH},
    [COMMAND_STARTTLS] = {.handler = do_starttls, .states = ANY},
    [COMMAND_BDAT] = {.handler = inbound_bdat, .states = ANY}, /* its octets come anyway */
    [COMMAND_AUTH] = {.handler = inbound_auth, .states = ANY, .first = FIRST_TLS},
    [COMMAND_XCLIENT] = {.handler = inbound_xclient, .states = ANY},
    [COMMAND_REFUSED] = {.handler = do_refused, .states = ANY, .first = BOTH},
    [COMMAND_FOREIGN] = {.handler = do_foreign, .states = ANY},
    [COMMAND_UNKNOWN] = {.handler = do_unknown, .states = ANY, .first = BOTH},
};
_Static_assert(countof(rows) == COMMAND_VERBS, "a row for each command");

enum inbound_ask say(struct inbound_session *session, const char *reply)
{
    buffer_append(session->out, span_of(reply));
    buffer_append(session->out, SPAN("\r\n"));
    return INBOUND_MORE;
}

/* RFC 5321 3.8: 421 comes before an end that the client did not ask for. */
enum inbound_ask end_with(struct inbound_session *session, const char *reply)
{
    say(session, reply);
    say(session, "421 4.7.0 Closing the connection");
    return INBOUND_CLOSE;
}

/* The one too many is the last (RFC 5321 4.3.2). */
enum inbound_ask complain(struct inbound_session *session, const char *reply)
{
    say(session, reply);
    if (++session->errors < session->config->limits.errors)
        return INBOUND_MORE;
    say(session, "421 4.7.0 Too many errors, closing the connection");
    return INBOUND_CLOSE;
}

/* ---- beginning and end ---- */

void inbound_session_init(struct inbound_session *session, const struct config *config,
                          const struct listen_config *listen, const struct endpoint *client,
                          struct buffer *out)
{
    *session = (struct inbound_session){.config = config, .listen = listen, .out = out};
    inbound_session_client(session, client);
}

void inbound_greet(struct inbound_session *session)
{
    session->greeted = true;
    buffer_print(session->out, "220 %s ESMTP Millrace\r\n", session->config->hostname);
}

void forget_transaction(struct inbound_session *session)
{
    arena_free(&session->arena);
    free(session->recipients);
    buffer_free(&session->body);
    session->recipients = NULL;
    session->sender = session->envid = NULL;
    session->count = 0;
    session->id = 0;
    session->refused = false;
    if (session->state != INBOUND_CONNECTED)
        session->state = INBOUND_READY;
}

void inbound_session_free(struct inbound_session *session)
{
    forget_transaction(session);
    inbound_forget_user(session);
    free(session->client_name);
}

void inbound_start_over(struct inbound_session *session)
{
    session->state = INBOUND_CONNECTED;
    forget_transaction(session);
    inbound_forget_user(session);
    inbound_weigh(session);
    session->helo[0] = '\0';
    session->extended = false;
}

void inbound_secured(struct inbound_session *session, const char *tls_version)
{
    inbound_start_over(session);
    session->secure = true;
    session->tls_version = tls_version;
}

enum inbound_ask inbound_drained(struct inbound_session *session)
{
    say(session, "421 4.3.2 The relay is going down, try again later");
    return INBOUND_CLOSE;
}

void inbound_timed_out(struct inbound_session *session)
{
    say(session, "421 4.4.2 Timed out waiting for input");
}

/* ---- hello ---- */

static bool keep_helo(struct inbound_session *session, struct span name)
{
    struct ip ip;
    if (name.length > 1 && name.data[name.length - 1] == '.')
        name.length--; /* some clients name themselves as DNS does */
    if (!domain_is_valid(name) && !address_literal_parse(name, &ip))
        return false;
    must(name.length <= DOMAIN_MAX_BYTES || name.data[0] == '[');
    snprintf(session->helo, sizeof(session->helo), "%.*s", SPAN_FORMAT(name));
    return true;
}

static bool greet(struct inbound_session *session, const struct command *command)
{
    if (!keep_helo(session, command->argument)) {
        complain(session, "501 5.5.2 A host name or an address literal is needed");
        return false;
    }
    session->state = INBOUND_READY;
    forget_transaction(session);
    return true;
}

unsigned inbound_offers(const struct inbound_session *session)
{
    unsigned offers = EXTENSION_PIPELINING | EXTENSION_SIZE | EXTENSION_8BITMIME |
                      EXTENSION_SMTPUTF8 | EXTENSION_DSN | EXTENSION_CHUNKING |
                      EXTENSION_BINARYMIME | EXTENSION_ENHANCEDSTATUSCODES;
    if (!session->extended)
        return 0;
    if (session->listen->tls != LISTEN_TLS_OFF && !session->secure)
        offers |= EXTENSION_STARTTLS;
    if (session->secure) /* RFC 8689 2: a session that employs TLS */
        offers |= EXTENSION_REQUIRETLS;
    if (session->listen->auth != LISTEN_AUTH_OFF &&
        (session->secure || session->listen->auth_in_clear))
        offers |= EXTENSION_AUTH;
    /* For those who may relay, or will when they have said who they are. */
    if (!session->may_relay && !(offers & EXTENSION_AUTH))
        return offers;
    bool may_hold = session->config->limits.hold_longest_ms > 0;
    return offers | EXTENSION_DELIVERBY | (may_hold ? EXTENSION_FUTURERELEASE : 0u);
}

/* RFC 4865 4: how long, and until when at the latest. */
static void offer_future_release(struct inbound_session *session)
{
    char date[DATE_TEXT_MAX];
    int64_t longest_ms = session->config->limits.hold_longest_ms;
    buffer_print(session->out, "250-FUTURERELEASE %lld %s\r\n", (long long)longest_ms / 1000,
                 date_format(session->wall_ms + longest_ms, date));
}

static enum inbound_ask do_ehlo(struct inbound_session *session, const struct command *command,
                                const struct inbound_facts *facts)
{
    (void)facts;
    if (!greet(session, command))
        return session->errors < session->config->limits.errors ? INBOUND_MORE : INBOUND_CLOSE;
    session->extended = true;
    unsigned offers = inbound_offers(session);
    buffer_print(session->out, "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n",
                 session->config->hostname,
                 (unsigned long long)session->config->limits.message_bytes);
    say(session, "250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME");
    if (offers & EXTENSION_DELIVERBY)
        say(session, "250-DELIVERBY");
    if (offers & EXTENSION_FUTURERELEASE)
        offer_future_release(session);
    if (offers & EXTENSION_STARTTLS)
        say(session, "250-STARTTLS");
    if (offers & EXTENSION_REQUIRETLS)
        say(session, "250-REQUIRETLS");
    if ((offers & EXTENSION_AUTH) && session->user == NULL)
        inbound_offer_auth(session);
    if (inbound_may_xclient(session))
        say(session, "250-XCLIENT " XCLIENT_ATTRIBUTES);
    return say(session, "250 ENHANCEDSTATUSCODES");
}

static enum inbound_ask do_helo(struct inbound_session *session, const struct command *command,
                                const struct inbound_facts *facts)
{
    (void)facts;
    if (!greet(session, command))
        return session->errors < session->config->limits.errors ? INBOUND_MORE : INBOUND_CLOSE;
    session->extended = false;
    buffer_print(session->out, "250 %s\r\n", session->config->hostname);
    return INBOUND_MORE;
}

/* ---- STARTTLS ---- */

static enum inbound_ask do_starttls(struct inbound_session *session, const struct command *command,
                                    const struct inbound_facts *facts)
{
    (void)facts;
    if (session->secure)
        return complain(session, "503 5.5.1 TLS is already active");
    if (session->listen->tls == LISTEN_TLS_OFF)
        return complain(session, "502 5.5.1 STARTTLS is not offered here");
    if (command->argument.length > 0)
        return complain(session, "501 5.5.4 STARTTLS takes no parameter");
    return INBOUND_TLS;
}

void inbound_answer_tls(struct inbound_session *session, bool available)
{
    say(session, available ? "220 2.0.0 Ready to start TLS"
                           : "454 4.7.0 TLS is not available now, try again later");
}

/* ---- the rest ---- */

static enum inbound_ask do_rset(struct inbound_session *session, const struct command *command,
                                const struct inbound_facts *facts)
{
    (void)command;
    (void)facts;
    forget_transaction(session);
    return say(session, "250 2.0.0 Ok");
}

static enum inbound_ask do_noop(struct inbound_session *session, const struct command *command,
                                const struct inbound_facts *facts)
{
    (void)command;
    (void)facts;
    return say(session, "250 2.0.0 Ok");
}

static enum inbound_ask do_quit(struct inbound_session *session, const struct command *command,
                                const struct inbound_facts *facts)
{
    (void)command;
    (void)facts;
    say(session, "221 2.0.0 Bye");
    return INBOUND_CLOSE;
}

static enum inbound_ask do_vrfy(struct inbound_session *session, const struct command *command,
                                const struct inbound_facts *facts)
{
    (void)facts;
    if (command->argument.length == 0)
        return complain(session, "501 5.5.4 Syntax: VRFY address");
    return say(session, "252 2.5.0 Cannot VRFY, but will take mail and try to deliver it");
}

static enum inbound_ask do_help(struct inbound_session *session, const struct command *command,
                                const struct inbound_facts *facts)
{
    (void)command;
    (void)facts;
    return say(session,
               "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH");
}

static enum inbound_ask do_refused(struct inbound_session *session, const struct command *command,
                                   const struct inbound_facts *facts)
{
    (void)command;
    (void)facts;
    return complain(session, "502 5.5.1 Command not implemented");
}

/* A web page, or a server that fetches what it is told to, may be made to send a request whose body
 * is a mail. It gets no further than the request line. */
static enum inbound_ask do_foreign(struct inbound_session *session, const struct command *command,
                                   const struct inbound_facts *facts)
{
    (void)command;
    (void)facts;
    say(session, "421 4.7.0 This is SMTP, not HTTP: closing the connection");
    return INBOUND_CLOSE;
}

static enum inbound_ask do_unknown(struct inbound_session *session, const struct command *command,
                                   const struct inbound_facts *facts)
{
    (void)command;
    (void)facts;
    return complain(session, "500 5.5.2 Command not recognized");
}

const char *inbound_comes_first(const struct inbound_session *session, unsigned first)
{
    const struct listen_config *listen = session->listen;
    if ((first & FIRST_TLS) && listen->tls == LISTEN_TLS_REQUIRED && !session->secure)
        return "530 5.7.0 Must issue a STARTTLS command first";
    if ((first & FIRST_AUTH) && listen->auth == LISTEN_AUTH_REQUIRED && session->user == NULL)
        return AUTH_FIRST;
    return NULL;
}

static enum inbound_ask execute(struct inbound_session *session, struct span line,
                                const struct inbound_facts *facts)
{
    struct command command = command_read(line);
    const struct row *row = &rows[command.verb];
    bool between = session->state == INBOUND_CONNECTED || session->state == INBOUND_READY;
    if (facts->draining && between && command.verb != COMMAND_QUIT)
        return inbound_drained(session);
    const char *first = inbound_comes_first(session, row->first);
    if (first != NULL)
        return complain(session, first);
    if (!(row->states & IN(session->state)))
        return complain(session, session->state == INBOUND_CHUNKED ? GO_ON : row->otherwise);
    return row->handler(session, &command, facts);
}

enum line_result inbound_line(struct inbound_session *session, struct span in, size_t most,
                              struct span *line, size_t *used)
{
    const char *newline = memchr(in.data, '\n', in.length);
    size_t length = newline ? (size_t)(newline - in.data) + 1 : in.length;
    if (length > most) { /* the same however the line was cut on its way */
        end_with(session, most == SASL_LINE_MAX ? "500 5.5.6 Authentication exchange line too long"
                                                : "500 5.5.2 Line too long");
        return LINE_TOO_LONG;
    }
    if (newline == NULL)
        return LINE_PARTIAL;
    *used = length;
    struct span rest = {in.data, length};
    span_line(&rest, line);
    if (memchr(line->data, '\0', line->length) || memchr(line->data, '\r', line->length))
        return LINE_BAD;
    return LINE_WHOLE;
}

static enum inbound_ask receive_command(struct inbound_session *session, struct span in,
                                        size_t *used, const struct inbound_facts *facts)
{
    struct span line;
    bool auth = span_starts_nocase(in, SPAN("AUTH "));
    switch (inbound_line(session, in, auth ? SASL_LINE_MAX : COMMAND_LINE_MAX, &line, used)) {
    case LINE_WHOLE: return execute(session, line, facts);
    case LINE_PARTIAL: return INBOUND_MORE;
    case LINE_TOO_LONG: return INBOUND_CLOSE;
    case LINE_BAD: return complain(session, "500 5.5.2 NUL or bare CR in a command");
    }
    must_not_reach();
}

static enum inbound_ask receive(struct inbound_session *session, struct span in, size_t *used,
                                const struct inbound_facts *facts)
{
    switch (session->state) {
    case INBOUND_CONNECTED:
    case INBOUND_READY:
    case INBOUND_MAIL:
    case INBOUND_RCPT:
    case INBOUND_CHUNKED: return receive_command(session, in, used, facts);
    case INBOUND_DATA: return inbound_data_received(session, in, used);
    case INBOUND_CHUNK: return inbound_chunk_received(session, in, used);
    case INBOUND_RESPONSE: return inbound_response(session, in, used);
    case INBOUND_ASKED:
    case INBOUND_COMMITTING: break;
    }
    must_not_reach();
}

/* For what the connection does. */
static bool is_waiting(const struct inbound_session *session)
{
    return session->state == INBOUND_ASKED || session->state == INBOUND_COMMITTING;
}

enum inbound_ask inbound_receive(struct inbound_session *session, struct span in, size_t *used,
                                 const struct inbound_facts *facts, uint64_t next_id,
                                 int64_t wall_ms)
{
    enum inbound_ask ask = INBOUND_MORE;
    session->next_id = next_id;
    session->wall_ms = wall_ms;
    *used = 0;
    while (ask == INBOUND_MORE && *used < in.length && !is_waiting(session)) {
        size_t taken = 0;
        ask = receive(session, span_skip(in, *used), &taken, facts);
        if (taken == 0)
            break;
        *used += taken;
    }
    return ask;
}
