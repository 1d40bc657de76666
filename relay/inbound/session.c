#include "relay/inbound/session_inside.h"

#include "base/date.h"
#include "relay/smtp/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static command_handler do_ehlo, do_helo, do_rset, do_noop, do_quit, do_vrfy, do_help, do_starttls,
    do_refused, do_foreign, do_unknown;

#define IN(state) (1u << (state))
#define ANY                                                                                        \
    (IN(INBOUND_CONNECTED) | IN(INBOUND_READY) | IN(INBOUND_MAIL) | IN(INBOUND_RCPT) |             \
     IN(INBOUND_CHUNKED))

#define GO_ON "503 5.5.1 BDAT has begun: go on with it, or RSET"

static const struct row {
    command_handler *handler;
    unsigned states;       /* in which it may come */
    const char *otherwise; /* the reply in any other */
    bool in_clear;         /* it may come in clear where TLS is required (RFC 3207 4) */
} rows[] = {
    [COMMAND_EHLO] = {.handler = do_ehlo, .states = ANY, .in_clear = true},
    [COMMAND_HELO] = {.handler = do_helo, .states = ANY},
    [COMMAND_MAIL] = {.handler = inbound_mail,
                      .states = IN(INBOUND_READY),
                      .otherwise = "503 5.5.1 EHLO first, one MAIL at a time"},
    [COMMAND_RCPT] = {.handler = inbound_rcpt,
                      .states = IN(INBOUND_MAIL) | IN(INBOUND_RCPT),
                      .otherwise = "503 5.5.1 MAIL first"},
    [COMMAND_DATA] = {.handler = inbound_data,
                      .states = IN(INBOUND_RCPT),
                      .otherwise = "503 5.5.1 RCPT first"},
    [COMMAND_RSET] = {.handler = do_rset, .states = ANY},
    [COMMAND_NOOP] = {.handler = do_noop, .states = ANY, .in_clear = true},
    [COMMAND_QUIT] = {.handler = do_quit, .states = ANY, .in_clear = true},
    [COMMAND_VRFY] = {.handler = do_vrfy, .states = ANY},
    [COMMAND_HELP] = {.handler = do_help, .states = ANY},
    [COMMAND_STARTTLS] = {.handler = do_starttls, .states = ANY, .in_clear = true},
    [COMMAND_BDAT] = {.handler = inbound_bdat, .states = ANY, .in_clear = true},
    [COMMAND_REFUSED] = {.handler = do_refused, .states = ANY},
    [COMMAND_FOREIGN] = {.handler = do_foreign, .states = ANY, .in_clear = true},
    [COMMAND_UNKNOWN] = {.handler = do_unknown, .states = ANY},
};
_Static_assert(countof(rows) == COMMAND_VERBS, "a row for each command");

enum inbound_ask say(struct inbound_session *session, const char *reply)
{
    buffer_append(session->out, span_of(reply));
    buffer_append(session->out, SPAN("\r\n"));
    return INBOUND_MORE;
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
    session->refusal = NULL;
    if (session->state != INBOUND_CONNECTED)
        session->state = INBOUND_READY;
}

void inbound_session_free(struct inbound_session *session)
{
    forget_transaction(session);
}

void inbound_secured(struct inbound_session *session, const char *tls_version)
{
    session->state = INBOUND_CONNECTED;
    forget_transaction(session);
    session->helo[0] = '\0';
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
    if (session->may_relay)
        offers |= EXTENSION_DELIVERBY;
    if (session->may_relay && session->config->limits.hold_longest_ms > 0)
        offers |= EXTENSION_FUTURERELEASE;
    if (session->listen->tls != LISTEN_TLS_OFF && !session->secure)
        offers |= EXTENSION_STARTTLS;
    return offers;
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
               "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS");
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

bool inbound_needs_tls(const struct inbound_session *session)
{
    return session->listen->tls == LISTEN_TLS_REQUIRED && !session->secure;
}

static enum inbound_ask execute(struct inbound_session *session, struct span line,
                                const struct inbound_facts *facts)
{
    struct command command = command_read(line);
    const struct row *row = &rows[command.verb];
    bool between = session->state == INBOUND_CONNECTED || session->state == INBOUND_READY;
    if (facts->draining && between && command.verb != COMMAND_QUIT)
        return inbound_drained(session);
    if (inbound_needs_tls(session) && !row->in_clear)
        return complain(session, TLS_FIRST);
    if (!(row->states & IN(session->state)))
        return complain(session, session->state == INBOUND_CHUNKED ? GO_ON : row->otherwise);
    return row->handler(session, &command, facts);
}

/* One command line from the front of `in`; *used is 0 when it is not complete. Lines end in
 * CRLF; a bare LF ends a command too, for people who type (RFC 5321 2.3.8 forbids it only to
 * clients), but never a body. */
static enum inbound_ask receive_line(struct inbound_session *session, struct span in, size_t *used,
                                     const struct inbound_facts *facts)
{
    const char *newline = memchr(in.data, '\n', in.length);
    size_t length = newline ? (size_t)(newline - in.data) + 1 : in.length;
    if (length > COMMAND_LINE_MAX) { /* the same however the line was cut on its way */
        say(session, "500 5.5.6 Line too long");
        return INBOUND_CLOSE;
    }
    if (newline == NULL)
        return INBOUND_MORE;
    *used = length;
    struct span rest = {in.data, length}, line;
    span_line(&rest, &line);
    if (memchr(line.data, '\0', line.length) || memchr(line.data, '\r', line.length))
        return complain(session, "500 5.5.2 NUL or bare CR in a command");
    return execute(session, line, facts);
}

static enum inbound_ask receive(struct inbound_session *session, struct span in, size_t *used,
                                const struct inbound_facts *facts)
{
    switch (session->state) {
    case INBOUND_CONNECTED:
    case INBOUND_READY:
    case INBOUND_MAIL:
    case INBOUND_RCPT:
    case INBOUND_CHUNKED: return receive_line(session, in, used, facts);
    case INBOUND_DATA: return inbound_data_received(session, in, used);
    case INBOUND_CHUNK: return inbound_chunk_received(session, in, used);
    case INBOUND_COMMITTING: break;
    }
    must_not_reach();
}

enum inbound_ask inbound_receive(struct inbound_session *session, struct span in, size_t *used,
                                 const struct inbound_facts *facts, uint64_t next_id,
                                 int64_t wall_ms)
{
    enum inbound_ask ask = INBOUND_MORE;
    session->next_id = next_id;
    session->wall_ms = wall_ms;
    *used = 0;
    while (ask == INBOUND_MORE && *used < in.length && session->state != INBOUND_COMMITTING) {
        size_t taken = 0;
        ask = receive(session, span_skip(in, *used), &taken, facts);
        if (taken == 0)
            break;
        *used += taken;
    }
    return ask;
}
