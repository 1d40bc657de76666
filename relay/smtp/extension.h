/* EHLO keywords (RFC 5321 4.1.1.1) as a set, with what stands behind them. Pure. */
#pragma once

#include "base/span.h"

enum extension {
    EXTENSION_PIPELINING = 1 << 0,          /* RFC 2920 */
    EXTENSION_SIZE = 1 << 1,                /* RFC 1870 */
    EXTENSION_8BITMIME = 1 << 2,            /* RFC 6152 */
    EXTENSION_STARTTLS = 1 << 3,            /* RFC 3207 */
    EXTENSION_ENHANCEDSTATUSCODES = 1 << 4, /* RFC 2034 */
    EXTENSION_DSN = 1 << 5,                 /* RFC 3461 */
    EXTENSION_CHUNKING = 1 << 6,            /* RFC 3030 */
    EXTENSION_BINARYMIME = 1 << 7,          /* RFC 3030; good for nothing without CHUNKING */
    EXTENSION_SMTPUTF8 = 1 << 8,            /* RFC 6531 */
    EXTENSION_DELIVERBY = 1 << 9,           /* RFC 2852 */
    EXTENSION_LIMITS = 1 << 10,             /* RFC 9422 */
    EXTENSION_FUTURERELEASE = 1 << 11,      /* RFC 4865 */
    EXTENSION_AUTH = 1 << 12,               /* RFC 4954 */
    EXTENSION_REQUIRETLS = 1 << 13,         /* RFC 8689 */
};
#define EXTENSIONS 14

/* Those that a client of ours uses where they are offered, and can do without. */
#define EXTENSIONS_OUTBOUND                                                                        \
    (EXTENSION_PIPELINING | EXTENSION_SIZE | EXTENSION_8BITMIME | EXTENSION_DSN |                  \
     EXTENSION_CHUNKING | EXTENSION_BINARYMIME | EXTENSION_SMTPUTF8 | EXTENSION_DELIVERBY |        \
     EXTENSION_LIMITS)
#define EXTENSIONS_OUTBOUND_NAMES                                                                  \
    "PIPELINING, SIZE, 8BITMIME, DSN, CHUNKING, BINARYMIME, SMTPUTF8, DELIVERBY, LIMITS"

struct extensions {
    unsigned offered;         /* enum extension bits */
    uint64_t size;            /* SIZE's parameter: bytes; 0: offered without limit */
    unsigned least_by;        /* DELIVERBY's parameter: s; 0: any time will do */
    unsigned mail_max;        /* MAILMAX: transactions of a session; 0: not said */
    unsigned rcpt_max;        /* RCPTMAX: RCPT commands of a transaction; 0: not said */
    unsigned rcpt_domain_max; /* RCPTDOMAINMAX: recipients' domains of a session; 0: not said */
    unsigned auth;            /* AUTH's mechanisms, of those that we know (relay/smtp/auth.h) */
};

/* From the text of a reply to EHLO: the first line is the greeting and is passed over, and so
 * are the keywords in `discarded` (enum extension bits). */
struct extensions extensions_read(struct span reply_text, unsigned discarded);

static inline bool extensions_have(const struct extensions *extensions, enum extension one)
{
    return (extensions->offered & one) != 0;
}

/* The keyword in any case; 0 when it is none of them. */
unsigned extension_find(struct span keyword);
/* "CHUNKING" of one bit. */
const char *extension_name(unsigned bit);
