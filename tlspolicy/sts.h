/* MTA-STS (RFC 8461): what a domain says of the TLS of its mail hosts, read from its TXT record
 * and its policy text. Pure: who fetches both, and keeps the policy, is relay/discovery; how long
 * one is kept is tlspolicy/sts_cache. */
#pragma once

#include "base/arena.h"

#define STS_ID_MAX 32              /* RFC 8461 3.1 */
#define STS_TEXT_MAX 65536         /* octets of a policy (RFC 8461 3.3) */
#define STS_PATTERNS_MAX 200       /* `mx` fields of a policy */
#define STS_AGE_MOST_S 31557600    /* RFC 8461 3.2: a year */
#define STS_PATTERN_BYTES_MAX 255u /* of one pattern */

enum sts_mode {
    STS_NONE,    /* the domain wants no MTA-STS (any more) */
    STS_TESTING, /* what does not hold is told and reported; mail is delivered all the same */
    STS_ENFORCE, /* only hosts that match, and whose certificate is theirs (RFC 8461 4.1, 4.2) */
};

const char *sts_mode_name(enum sts_mode mode); /* "enforce" */

struct sts_policy { /* strings and patterns belong to the arena of whoever read it */
    enum sts_mode mode;
    uint32_t max_age_s;
    unsigned count;
    const char *const *patterns; /* "mx.example.test", "*.example.test"; lower case */
    char id[STS_ID_MAX + 1];     /* of the TXT record that led to it */
    int64_t fetched_ms;          /* since 1970 */
    int64_t expires_ms;
};

/* What a domain's report is told (RFC 8460 4.3.2.2). */
enum sts_failure {
    STS_NO_FAILURE,
    STS_FETCH_ERROR,    /* sts-policy-fetch-error */
    STS_WEBPKI_INVALID, /* sts-webpki-invalid: the policy host's certificate */
    STS_POLICY_INVALID, /* sts-policy-invalid */
};

const char *sts_failure_name(enum sts_failure failure); /* the words above; "" for none */

enum sts_record {
    STS_RECORD_NONE,    /* none begins "v=STSv1;": no MTA-STS */
    STS_RECORD_FOUND,   /* exactly one, and its id is good */
    STS_RECORD_INVALID, /* several, or ill-formed: no MTA-STS either (RFC 8461 3.1), but worth
                           telling */
};

/* Which of the TXT records of _mta-sts.D counts, and its id. */
enum sts_record sts_choose_record(const struct span *texts, unsigned count,
                                  char id[STS_ID_MAX + 1]);
/* 1 to STS_ID_MAX letters and digits (RFC 8461 3.1). */
bool sts_is_id(struct span value);

/* Reads a policy's text (RFC 8461 3.2): mode, max_age and patterns. NULL, or what is wrong with
 * it: a constant, one line. */
const char *sts_read_policy(struct span text, struct arena *arena, struct sts_policy *policy);

/* Whether an MX's name matches one of the patterns (RFC 8461 4.1): `*` stands for exactly one
 * label, the left-most. Any case; without a final dot; A-labels. */
bool sts_matches(const struct sts_policy *policy, struct span host);
