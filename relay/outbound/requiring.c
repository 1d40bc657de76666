/* A connection for mail that came with REQUIRETLS (RFC 8689 4.2.1): when no host gives what it
 * needs, that is told its sender at once; but only when none is left that might. */
#include "relay/outbound/connection_inside.h"

bool connection_requires_tls(const struct connection *connection)
{
    return site_of(connection)->hosts[0].tls.requiretls == REQUIRETLS_ALWAYS;
}

/* So it will be the next time as well. A host that did offer STARTTLS before is not believed. */
static bool is_lasting(enum tls_outcome outcome)
{
    switch (outcome) {
    case TLS_NOT_OFFERED:
    case TLS_REFUSED:
    case TLS_UNTRUSTED: return true;
    case TLS_WITHDRAWN:
    case TLS_TEMPORARY:
    case TLS_ALERT:
    case TLS_HANDSHAKE_FAILED:
    case TLS_STALLED:
    case TLS_RESIDUE:
    case TLS_TICKET_REFUSED:
    case TLS_ESTABLISHED: return false;
    }
    must_not_reach();
}

void connection_weigh_failure(struct connection *connection)
{
    const struct session *session = &connection->session;
    if (!session->decided || !is_lasting(session->outcome))
        connection->may_recover = true;
}

bool connection_lacks_tls(struct connection *connection)
{
    struct verdict *failure = &connection->failure;
    if (!connection_requires_tls(connection) || connection->may_recover)
        return false;
    failure->kind = VERDICT_BOUNCED;
    failure->status = (struct status){5, 7, 10};
    failure->text = span_of(arena_print(&connection->failure_arena,
                                        "the message came with REQUIRETLS, and no host of the "
                                        "domain can be reached so: %.*s",
                                        SPAN_FORMAT(failure->text)));
    return true;
}

/* Our own word that this host lacks what RFC 8689 asks for. */
static bool is_lacking(const struct verdict *verdict)
{
    const struct status *status = &verdict->status;
    return verdict->kind == VERDICT_BOUNCED && verdict->code == 0 && status->subject == 7 &&
           (status->detail == 10 || status->detail == 30);
}

void connection_soften(struct connection *connection)
{
    struct attempt *attempt = connection->attempt;
    if (!connection_requires_tls(connection) || !connection->may_recover)
        return;
    for (unsigned i = 0; i < attempt->envelope->count; i++) {
        struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (!is_lacking(verdict))
            continue;
        verdict->kind = VERDICT_DEFERRED;
        verdict->status.class = 4;
        verdict->text = span_of(arena_print(
            &attempt->arena, "%.*s; another host could not be asked", SPAN_FORMAT(verdict->text)));
    }
}
