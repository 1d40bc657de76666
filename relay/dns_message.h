/* What a name server says to a question (RFC 1035 4), read for the records that were asked for.
 * Aliases are followed within the answer, as far as it goes. Pure; nothing in a message is taken
 * on trust but the bit that says it was validated, and whose that is the caller knows. */
#pragma once

#include "base/arena.h"

#define DNS_RECORDS_MAX 100 /* of an answer; what is more is passed over */
#define DNS_ALIASES_MAX 10  /* a longer chain, or a loop, fails */

enum record_type { /* RFC 1035 3.2.2, RFC 3596 2.1, RFC 6698 7.1 */
                   TYPE_A = 1,
                   TYPE_CNAME = 5,
                   TYPE_SOA = 6,
                   TYPE_MX = 15,
                   TYPE_TXT = 16,
                   TYPE_AAAA = 28,
                   TYPE_TLSA = 52,
};

enum answer {
    ANSWER_NONE, /* not yet, or the name has nothing of this type */
    ANSWER_RECORDS,
    ANSWER_NO_NAME, /* NXDOMAIN */
    ANSWER_FAILED,  /* SERVFAIL, bogus, no answer */
};

/* What a name server said, or why it said nothing. Good for the time of a call only. */
struct dns_answer {
    enum answer answer;
    const char *failure; /* of ANSWER_FAILED: "SERVFAIL" */
    bool secure;         /* proved by DNSSEC, aliases on the way and denials too */
    uint32_t ttl_seconds;
    const char *canonical; /* where aliases led to, without the final dot; NULL: nowhere else */
    unsigned count;
    struct span records[DNS_RECORDS_MAX]; /* RDATA, names in them not compressed */
};

/* ANSWER_FAILED for what is not a whole message. `secure` is its AD bit (RFC 4035 3.2.3). Spans
 * point into the message or the arena. */
void dns_message_read(struct span message, const char *name, enum record_type type,
                      struct arena *arena, struct dns_answer *answer);
