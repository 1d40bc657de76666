#include "tlspolicy/tlsrpt_result.h"

#include "base/must.h"

static bool is(enum tlsrpt_result *result, enum tlsrpt_result value)
{
    *result = value;
    return true;
}

static bool untrusted(enum tls_fault fault, enum tlsrpt_result *result)
{
    switch (fault) {
    case TLS_FAULT_NAME: return is(result, TLSRPT_CERTIFICATE_HOST_MISMATCH);
    case TLS_FAULT_EXPIRED: return is(result, TLSRPT_CERTIFICATE_EXPIRED);
    case TLS_FAULT_CHAIN: return is(result, TLSRPT_CERTIFICATE_NOT_TRUSTED);
    case TLS_FAULT_TLSA: return is(result, TLSRPT_TLSA_INVALID);
    case TLS_FAULT_FINGERPRINT: return false;
    case TLS_FAULT_NONE:
    case TLS_FAULT_PROTOCOL:
    case TLS_FAULT_ALERT: return is(result, TLSRPT_VALIDATION_FAILURE);
    }
    must_not_reach();
}

bool tlsrpt_result_of_outcome(enum tls_outcome outcome, enum tls_fault fault,
                              enum tlsrpt_result *result)
{
    switch (outcome) {
    case TLS_NOT_OFFERED:
    case TLS_WITHDRAWN:
    case TLS_REFUSED: return is(result, TLSRPT_STARTTLS_NOT_SUPPORTED);
    case TLS_TEMPORARY:
    case TLS_ALERT:
    case TLS_HANDSHAKE_FAILED:
    case TLS_STALLED:
    case TLS_RESIDUE: return is(result, TLSRPT_VALIDATION_FAILURE); /* RFC 8460 4.3.3 */
    case TLS_TICKET_REFUSED: return false; /* it is tried anew, and then told of */
    case TLS_UNTRUSTED: return untrusted(fault, result);
    case TLS_ESTABLISHED: return is(result, TLSRPT_SUCCESS);
    }
    must_not_reach();
}

bool tlsrpt_result_of_refusal(enum tls_refusal refusal, enum tlsrpt_result *result)
{
    switch (refusal) {
    case TLS_REFUSED_LOCALLY: return false;
    case TLS_REFUSED_DNSSEC: return is(result, TLSRPT_DNSSEC_INVALID);
    case TLS_REFUSED_NO_TLSA: return is(result, TLSRPT_DANE_REQUIRED);
    case TLS_REFUSED_TLSA: return is(result, TLSRPT_TLSA_INVALID);
    case TLS_REFUSED_STS: return is(result, TLSRPT_VALIDATION_FAILURE); /* RFC 8460 4.3.3 */
    }
    must_not_reach();
}

bool tlsrpt_result_of_sts(enum sts_failure failure, enum tlsrpt_result *result)
{
    switch (failure) {
    case STS_NO_FAILURE: return false;
    case STS_FETCH_ERROR: return is(result, TLSRPT_STS_POLICY_FETCH_ERROR);
    case STS_WEBPKI_INVALID: return is(result, TLSRPT_STS_WEBPKI_INVALID);
    case STS_POLICY_INVALID: return is(result, TLSRPT_STS_POLICY_INVALID);
    }
    must_not_reach();
}
