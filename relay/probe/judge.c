#include "relay/probe/probe_inside.h"

#include <stdio.h>
#include <sysexits.h>

/* As a connection does it: each host in turn, until mail may go. After a 454 under `may` nothing
 * more is tried for now. */
static bool ends_there(const struct probe_visit *visit)
{
    return visit->ready || (visit->decided && visit->step == TLS_RETRY_LATER);
}

/* In clear on a new connection: this is where the message would go, and how. */
static bool goes_plain_anew(const struct probe_visit *visit)
{
    return visit->decided && visit->step == TLS_GO_PLAIN_ANEW;
}

void probe_judge(struct probe *probe)
{
    if (!probe->found) {
        bool bounced = probe->search.verdict.kind == VERDICT_BOUNCED;
        probe->result = bounced ? PROBE_BOUNCED : PROBE_DEFERRED;
        probe->verdict = probe->search.verdict;
        return;
    }
    probe->result = PROBE_DEFERRED;
    for (unsigned i = 0; i < probe->visit_count; i++) {
        const struct probe_visit *visit = &probe->visits[i];
        if (visit->ready || goes_plain_anew(visit)) {
            probe->result = PROBE_DELIVERABLE;
            probe->taker = i;
            return;
        }
        probe->verdict = visit->failure;
        if (ends_there(visit))
            return;
    }
}

int probe_exit_code(const struct probe *probe)
{
    switch (probe->result) {
    case PROBE_DELIVERABLE: return EX_OK;
    case PROBE_DEFERRED: return EX_TEMPFAIL;
    case PROBE_BOUNCED: return EX_NOHOST;
    }
    must_not_reach();
}

char *probe_way(const struct probe_visit *visit, char text[PROBE_WAY_MAX])
{
    const char *source = tls_source_name(visit->host->tls.source);
    bool encrypted = visit->ready && visit->handshake;
    if (encrypted)
        snprintf(text, PROBE_WAY_MAX, "%s:%s:%s", visit->facts.verified ? "verify" : "encrypt",
                 source, visit->facts.version);
    else
        snprintf(text, PROBE_WAY_MAX, "none:%s", source);
    return text;
}
