/* A connection and TLS reports: what is counted of its sessions. */
#include "relay/outbound/connection_inside.h"
#include "relay/outbound/reported.h"
#include "relay/reports/reports.h"
#include "tlspolicy/tlsrpt_result.h"

static void count(struct connection *connection, const struct tlsrpt_session *session)
{
    reports_count(connection->worker->relay->reports, session, connection->worker->wall_ms);
}

/* The session went under no policy, because the domain's own could not be had: that is a failure of
 * its own (RFC 8460 4.3.2.2), beside what came of the session. */
static void count_missing_sts(struct connection *connection, struct tlsrpt_session session)
{
    const struct reported *reported = connection->slot.reported;
    if (reported->sts.type != TLSRPT_POLICY_NONE ||
        !tlsrpt_result_of_sts(reported->failure, &session.result))
        return;
    session.policy = (struct tlsrpt_policy){TLSRPT_POLICY_STS, .domain = reported->domain};
    session.reason = reported->why;
    count(connection, &session);
}

/* `untrusted`: it failed for what the certificate is. Where no policy of the domain's asks for any,
 * only our operator says who is to be believed. */
static void tell(struct connection *connection, const struct tls_terms *terms, bool untrusted,
                 struct tlsrpt_session *session)
{
    const struct reported *reported = connection->slot.reported;
    struct arena arena CLEANUP(arena_free) = {0};
    session->domain = reported->domain;
    session->record = reported->record;
    session->helo = "";
    if (!reported_policy(reported, terms, session->mx_host, &arena, &session->policy) ||
        (untrusted && session->policy.type == TLSRPT_POLICY_NONE))
        return;
    count(connection, session);
    if (session->policy.type == TLSRPT_POLICY_NONE)
        count_missing_sts(connection, *session);
}

/* ---- how STARTTLS ended ---- */

/* Lost before the first reply inside TLS: with TLS 1.3 the server may refuse the handshake that we
 * think is over, our certificate (or that there is none) above all. */
static bool is_lost_inside(const struct session *session)
{
    return session->secure && !session->ready && session->failure.code == 0;
}

static enum tls_fault fault_of(const struct connection *connection)
{
    struct tls_facts facts = {.fault = TLS_FAULT_NONE};
    if (connection->channel.tls != NULL)
        tls_facts(connection->channel.tls, &facts);
    return facts.fault;
}

static bool result_of(const struct connection *connection, enum tlsrpt_result *result)
{
    const struct session *session = &connection->session;
    const struct tls_terms *terms = &host_of(connection)->tls;
    if (session->policy.level == TLS_NONE)
        return false;
    if (session->outcome == TLS_ESTABLISHED && is_lost_inside(session)) {
        *result = TLSRPT_VALIDATION_FAILURE;
        return true;
    }
    if (session->outcome == TLS_ESTABLISHED && terms->doubted != NULL) {
        *result = TLSRPT_VALIDATION_FAILURE; /* in force, its policy would keep mail away */
        return true;
    }
    return tlsrpt_result_of_outcome(session->outcome, fault_of(connection), result);
}

/* In the words of the log; of a session that goes on all the same, in those of what was wrong. That
 * there is no STARTTLS needs no words. */
static const char *reason_of(const struct connection *connection, struct arena *arena)
{
    const struct session *session = &connection->session;
    const struct tls_terms *terms = &host_of(connection)->tls;
    const struct verdict *failure =
        session->outcome == TLS_ESTABLISHED ? &session->failure : &session->tls_failure;
    if (session->outcome == TLS_NOT_OFFERED)
        return "";
    if (session->outcome == TLS_UNTRUSTED && connection->channel.tls != NULL)
        return arena_copy(arena, span_of(tls_why(connection->channel.tls)));
    if (session->outcome == TLS_ESTABLISHED && session->ready)
        return terms->doubted != NULL ? terms->doubted : "";
    if (failure->code != 0)
        return arena_print(arena, "%u %.*s", failure->code, SPAN_FORMAT(failure->text));
    return arena_copy(arena, failure->text);
}

void connection_report_tls(struct connection *connection)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct tlsrpt_session session = {.mx_host = host_of(connection)->name};
    struct endpoint here = {0};
    if (connection->slot.reported == NULL || !result_of(connection, &session.result))
        return;
    if (connection->channel.socket >= 0)
        os_local(connection->channel.socket, &here);
    session.reason = reason_of(connection, &arena);
    session.sending = here.ip;
    session.receiving = host_of(connection)->addresses[connection->address_at];
    bool untrusted = connection->session.outcome == TLS_UNTRUSTED;
    tell(connection, &host_of(connection)->tls, untrusted, &session);
}

void connection_report_refusal(struct connection *connection, const struct site_host *host)
{
    struct tlsrpt_session session = {.mx_host = host->name, .reason = host->tls.refused};
    if (connection->slot.reported != NULL &&
        tlsrpt_result_of_refusal(host->tls.refusal, &session.result))
        tell(connection, &host->tls, false, &session);
}
