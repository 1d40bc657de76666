#include "tlspolicy/policy.h"

#include "base/must.h"

const char *tls_level_name(enum tls_level level)
{
    switch (level) {
    case TLS_NONE: return "none";
    case TLS_MAY: return "may";
    case TLS_ENCRYPT: return "encrypt";
    case TLS_DANE: return "dane";
    case TLS_DANE_ONLY: return "dane-only";
    case TLS_FINGERPRINT: return "fingerprint";
    case TLS_VERIFY: return "verify";
    case TLS_SECURE: return "secure";
    }
    must_not_reach();
}

const char *tls_outcome_name(enum tls_outcome outcome)
{
    switch (outcome) {
    case TLS_NOT_OFFERED: return "not-offered";
    case TLS_WITHDRAWN: return "withdrawn";
    case TLS_TEMPORARY: return "temporary";
    case TLS_REFUSED: return "refused";
    case TLS_ALERT: return "alert";
    case TLS_HANDSHAKE_FAILED: return "handshake-failed";
    case TLS_STALLED: return "stalled";
    case TLS_RESIDUE: return "residue";
    case TLS_TICKET_REFUSED: return "ticket-refused";
    case TLS_UNTRUSTED: return "untrusted";
    case TLS_ESTABLISHED: return "established";
    }
    must_not_reach();
}

bool tls_policy_starts(const struct tls_policy *policy, const struct tls_history *history)
{
    switch (policy->level) {
    case TLS_NONE: return false;
    case TLS_MAY: return !history->failed_lately;
    case TLS_ENCRYPT:
    case TLS_DANE:
    case TLS_DANE_ONLY:
    case TLS_FINGERPRINT:
    case TLS_VERIFY:
    case TLS_SECURE: return true;
    }
    must_not_reach();
}

/* For the levels that go on in clear: what the outcome left of the connection decides. */
static enum tls_step step_in_clear(enum tls_outcome outcome)
{
    switch (outcome) {
    case TLS_NOT_OFFERED:
    case TLS_WITHDRAWN:
    case TLS_TEMPORARY:
    case TLS_REFUSED: return TLS_GO_PLAIN;
    case TLS_ALERT:
    case TLS_HANDSHAKE_FAILED:
    case TLS_STALLED:
    case TLS_RESIDUE: return TLS_GO_PLAIN_ANEW;
    case TLS_TICKET_REFUSED: return TLS_GO_ANEW;
    case TLS_UNTRUSTED:
    case TLS_ESTABLISHED: return TLS_GO_ENCRYPTED;
    }
    must_not_reach();
}

static enum tls_step step_temporary(const struct tls_policy *policy,
                                    const struct tls_history *history)
{
    switch (policy->on_454) {
    case ON_454_RETRY:
        return history->temporary >= policy->plain_after ? TLS_GO_PLAIN : TLS_RETRY_LATER;
    case ON_454_PLAIN: return TLS_GO_PLAIN;
    case ON_454_NEXT_HOST: return TLS_NEXT_HOST;
    }
    must_not_reach();
}

/* For the levels that never do. */
static enum tls_step step_encrypted(enum tls_level level, enum tls_outcome outcome)
{
    switch (outcome) {
    case TLS_NOT_OFFERED:
    case TLS_WITHDRAWN:
    case TLS_TEMPORARY:
    case TLS_REFUSED:
    case TLS_ALERT:
    case TLS_HANDSHAKE_FAILED:
    case TLS_STALLED:
    case TLS_RESIDUE: return TLS_NEXT_HOST;
    case TLS_TICKET_REFUSED: return TLS_GO_ANEW;
    case TLS_UNTRUSTED: return tls_level_authenticates(level) ? TLS_NEXT_HOST : TLS_GO_ENCRYPTED;
    case TLS_ESTABLISHED: return TLS_GO_ENCRYPTED;
    }
    must_not_reach();
}

enum tls_step tls_policy_step(const struct tls_policy *policy, enum tls_outcome outcome,
                              const struct tls_history *history)
{
    switch (policy->level) {
    case TLS_NONE: return step_in_clear(outcome);
    case TLS_MAY:
        return outcome == TLS_TEMPORARY ? step_temporary(policy, history) : step_in_clear(outcome);
    case TLS_ENCRYPT:
    case TLS_DANE:
    case TLS_DANE_ONLY:
    case TLS_FINGERPRINT:
    case TLS_VERIFY:
    case TLS_SECURE: return step_encrypted(policy->level, outcome);
    }
    must_not_reach();
}

unsigned tls_outcome_detail(enum tls_outcome outcome)
{
    switch (outcome) {
    case TLS_NOT_OFFERED:
    case TLS_WITHDRAWN:
    case TLS_TEMPORARY:
    case TLS_REFUSED: return 4;
    case TLS_ALERT:
    case TLS_HANDSHAKE_FAILED:
    case TLS_STALLED:
    case TLS_RESIDUE:
    case TLS_TICKET_REFUSED:
    case TLS_UNTRUSTED: return 5;
    case TLS_ESTABLISHED: return 0; /* nothing is wrong: no deferral ends in it */
    }
    must_not_reach();
}
