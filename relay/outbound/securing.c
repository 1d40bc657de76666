/* A connection and TLS: what it wants of its host, and how that ended. */
#include "relay/outbound/connection_inside.h"
#include "relay/outbound/wants.h"

#include <stdio.h>

static const struct tls_terms *terms_of(const struct connection *connection)
{
    return &host_of(connection)->tls;
}

/* ---- how it ended ---- */

static void log_failure(const struct connection *connection, const char *outcome,
                        const struct verdict *failure)
{
    const struct session *session = &connection->session;
    struct log_line line;
    log_begin(&line, "tls-failed");
    log_string(&line, "relay", connection->host_text);
    log_number(&line, "conn", (int64_t)connection->number);
    log_string(&line, "level", tls_level_name(session->policy.level));
    log_string(&line, "source", tls_source_name(terms_of(connection)->source));
    log_string(&line, "outcome", outcome);
    if (failure->code != 0)
        log_number(&line, "code", failure->code);
    if (failure->text.length > 0)
        log_text(&line, "why", failure->text);
    log_end(&line);
}

/* MTA-STS in testing: the host would not have been used. */
static void tell_doubt(const struct connection *connection)
{
    const char *doubted = terms_of(connection)->doubted;
    struct verdict verdict = {.text = span_of(doubted ? doubted : "")};
    if (doubted != NULL)
        log_failure(connection, "policy", &verdict);
}

/* Whether the handshake itself did not come to its end. */
static bool is_failed_handshake(enum tls_outcome outcome)
{
    switch (outcome) {
    case TLS_NOT_OFFERED:
    case TLS_WITHDRAWN:
    case TLS_TEMPORARY:
    case TLS_REFUSED:
    case TLS_RESIDUE:
    case TLS_ESTABLISHED: return false;
    case TLS_ALERT:
    case TLS_HANDSHAKE_FAILED:
    case TLS_STALLED:
    case TLS_TICKET_REFUSED:
    case TLS_UNTRUSTED: return true;
    }
    must_not_reach();
}

bool connection_failed_at_tls(const struct connection *connection)
{
    const struct session *session = &connection->session;
    if (!session->decided)
        return false;
    switch (session->next_step) {
    case TLS_GO_PLAIN:
    case TLS_GO_ENCRYPTED: return false;
    case TLS_GO_PLAIN_ANEW:
    case TLS_GO_ANEW:
    case TLS_RETRY_LATER:
    case TLS_NEXT_HOST: return true;
    }
    must_not_reach();
}

void connection_tell_tls(struct connection *connection)
{
    struct session *session = &connection->session;
    if (!session->decided || connection->tls_told)
        return;
    connection->tls_told = true;
    metric_tls_policy(terms_of(connection)->source, session->policy.level, session->outcome);
    dispatch_tls_outcome(dispatch_of(connection), site_of(connection),
                         connection->order[connection->host_at], session->outcome);
    tell_doubt(connection);
    connection_report_tls(connection);
    if (session->outcome == TLS_WITHDRAWN)
        log_note("tls-downgrade", "relay", "%s", connection->host_text);
    if (session->outcome == TLS_ESTABLISHED)
        return;
    if (session->next_step == TLS_GO_PLAIN && session->outcome <= TLS_WITHDRAWN)
        return; /* nothing failed: the host has no TLS, and none was asked for */
    log_failure(connection, tls_outcome_name(session->outcome), &session->tls_failure);
    connection_record(connection, "tls-failed", &session->tls_failure);
    if (is_failed_handshake(session->outcome) && !session->secure)
        metric_add(METRIC_HANDSHAKES_FAILED, 1);
}

/* ---- the handshake ---- */

static void add_ticket_key(const struct connection *connection, const struct tls_wants *wants,
                           struct buffer *key)
{
    const struct login_config *login = site_of(connection)->terms.login;
    char mark[LOGIN_MARK_MAX];
    const struct ticket_way way = {
        .to = connection->host_text,
        .implicit = host_of(connection)->implicit,
        .from = connection->bound ? &connection->source : NULL,
        .login = login ? login->name : NULL,
        .mark = login ? login_mark(login->login, mark) : NULL,
    };
    ticket_key(&way, wants, terms_of(connection), key);
}

bool connection_start_handshake(struct connection *connection, enum session_ask *ask)
{
    const struct tls_config *tls = site_of(connection)->terms.tls;
    struct buffer key CLEANUP(buffer_free) = {0};
    if (buffer_length(&connection->channel.in) > 0 || !channel_flushed(&connection->channel)) {
        *ask = session_tls_failed(&connection->session, TLS_RESIDUE,
                                  "the server sent more than its reply to STARTTLS");
        return true;
    }
    struct tls_wants wants = wants_of(terms_of(connection), tls);
    add_ticket_key(connection, &wants, &key);
    wants.ticket_key = buffer_span(&key);
    wants.full = connection->without_ticket;
    connection->handshake_us = os_now_us();
    connection->phase = PHASE_HANDSHAKING; /* the deadline of STARTTLS holds for it too */
    connection->channel.speaks_next = !host_of(connection)->implicit; /* EHLO; else it listens */
    channel_start_tls(&connection->channel, tls_connect(connection->worker->tls_client, &wants));
    return connection_handshake(connection, ask);
}

/* NULL where what was looked for in the certificate was there, or why not. */
static const char *secured(struct connection *connection)
{
    struct tls_facts facts;
    tls_facts(connection->channel.tls, &facts);
    metric_handshake(false, facts.resumed, facts.version);
    metric_time(TIMING_HANDSHAKE, os_now_us() - connection->handshake_us);
    snprintf(connection->tls_text, sizeof(connection->tls_text), "%s:%s:%s:%s",
             facts.verified ? "verify" : "encrypt", tls_source_name(terms_of(connection)->source),
             facts.version, facts.resumed ? "resumed" : "full");
    connection->session.promises =
        facts.verified && terms_of(connection)->requiretls != REQUIRETLS_NEVER;
    return facts.fault == TLS_FAULT_NONE ? NULL : tls_why(connection->channel.tls);
}

/* A certificate is only shown where the ticket was passed over, so the ticket is not why. */
enum tls_outcome connection_tls_outcome(const struct connection *connection)
{
    struct tls_facts facts = {0};
    if (connection->channel.tls != NULL)
        tls_facts(connection->channel.tls, &facts);
    switch (facts.fault) {
    case TLS_FAULT_NONE: /* the connection was lost */
    case TLS_FAULT_PROTOCOL: return facts.ticket_shown ? TLS_TICKET_REFUSED : TLS_HANDSHAKE_FAILED;
    case TLS_FAULT_ALERT: return facts.ticket_shown ? TLS_TICKET_REFUSED : TLS_ALERT;
    case TLS_FAULT_NAME:
    case TLS_FAULT_EXPIRED:
    case TLS_FAULT_CHAIN:
    case TLS_FAULT_TLSA:
    case TLS_FAULT_FINGERPRINT: break;
    }
    /* After the handshake it is what was only told, and not why the connection was lost. */
    return connection->session.secure ? TLS_HANDSHAKE_FAILED : TLS_UNTRUSTED;
}

bool connection_handshake(struct connection *connection, enum session_ask *ask)
{
    char why[TLS_WHY_MAX + 32];
    switch (channel_handshake(&connection->channel)) {
    case TLS_MORE: return false;
    case TLS_DONE: *ask = session_secured(&connection->session, secured(connection)); return true;
    case TLS_CLOSED:
    case TLS_FAILED:
        snprintf(why, sizeof(why), "TLS handshake failed: %s", channel_why(&connection->channel));
        *ask = session_tls_failed(&connection->session, connection_tls_outcome(connection), why);
        return true;
    }
    must_not_reach();
}
