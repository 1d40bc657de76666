#include "tlspolicy/tlsrpt_result.h"

#include "tests/suite.h"

/* RFC 8460 4.3: each thing that can happen, and its result type; "-" is not reported. */

static const char *name(bool reported, enum tlsrpt_result result)
{
    if (!reported)
        return "-";
    return result == TLSRPT_SUCCESS ? "success" : tlsrpt_result_name(result);
}

START_TEST(rfc8460_4_3_1_negotiation)
{
    static const struct {
        enum tls_outcome outcome;
        const char *result;
    } rows[] = {
        {TLS_NOT_OFFERED, "starttls-not-supported"},
        {TLS_WITHDRAWN, "starttls-not-supported"},
        {TLS_REFUSED, "starttls-not-supported"},
        {TLS_TEMPORARY, "validation-failure"},
        {TLS_ALERT, "validation-failure"},
        {TLS_HANDSHAKE_FAILED, "validation-failure"},
        {TLS_STALLED, "validation-failure"},
        {TLS_RESIDUE, "validation-failure"},
        {TLS_TICKET_REFUSED, "-"},
        {TLS_ESTABLISHED, "success"},
    };
    ck_assert_uint_eq(countof(rows) + 1, TLS_OUTCOMES); /* and TLS_UNTRUSTED */
    for (size_t i = 0; i < countof(rows); i++) {
        enum tlsrpt_result result = TLSRPT_SUCCESS;
        bool reported = tlsrpt_result_of_outcome(rows[i].outcome, TLS_FAULT_NONE, &result);
        ck_assert_str_eq(name(reported, result), rows[i].result);
    }
}
END_TEST

START_TEST(rfc8460_4_3_1_certificates)
{
    static const struct {
        enum tls_fault fault;
        const char *result;
    } rows[] = {
        {TLS_FAULT_NONE, "validation-failure"},     {TLS_FAULT_PROTOCOL, "validation-failure"},
        {TLS_FAULT_ALERT, "validation-failure"},    {TLS_FAULT_NAME, "certificate-host-mismatch"},
        {TLS_FAULT_EXPIRED, "certificate-expired"}, {TLS_FAULT_CHAIN, "certificate-not-trusted"},
        {TLS_FAULT_TLSA, "tlsa-invalid"},           {TLS_FAULT_FINGERPRINT, "-"},
    };
    ck_assert_uint_eq(countof(rows), TLS_FAULTS);
    for (size_t i = 0; i < countof(rows); i++) {
        enum tlsrpt_result result = TLSRPT_SUCCESS;
        bool reported = tlsrpt_result_of_outcome(TLS_UNTRUSTED, rows[i].fault, &result);
        ck_assert_str_eq(name(reported, result), rows[i].result);
    }
}
END_TEST

START_TEST(rfc8460_4_3_2_policies)
{
    static const struct {
        enum tls_refusal refusal;
        const char *result;
    } refusals[] = {
        {TLS_REFUSED_LOCALLY, "-"},
        {TLS_REFUSED_DNSSEC, "dnssec-invalid"},
        {TLS_REFUSED_NO_TLSA, "dane-required"},
        {TLS_REFUSED_TLSA, "tlsa-invalid"},
        {TLS_REFUSED_STS, "validation-failure"},
    };
    static const struct {
        enum sts_failure failure;
        const char *result;
    } failures[] = {
        {STS_NO_FAILURE, "-"},
        {STS_FETCH_ERROR, "sts-policy-fetch-error"},
        {STS_WEBPKI_INVALID, "sts-webpki-invalid"},
        {STS_POLICY_INVALID, "sts-policy-invalid"},
    };
    enum tlsrpt_result result = TLSRPT_SUCCESS;
    for (size_t i = 0; i < countof(refusals); i++) {
        bool reported = tlsrpt_result_of_refusal(refusals[i].refusal, &result);
        ck_assert_str_eq(name(reported, result), refusals[i].result);
    }
    for (size_t i = 0; i < countof(failures); i++) {
        bool reported = tlsrpt_result_of_sts(failures[i].failure, &result);
        ck_assert_str_eq(name(reported, result), failures[i].result);
    }
}
END_TEST

TEST_MAIN("tlspolicy/tlsrpt_result", rfc8460_4_3_1_negotiation, rfc8460_4_3_1_certificates,
          rfc8460_4_3_2_policies)
