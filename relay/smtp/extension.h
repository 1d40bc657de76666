/* EHLO keywords (RFC 5321 4.1.1.1) as a set. Pure. */
#pragma once

#include "base/span.h"

enum extension {
    EXTENSION_PIPELINING = 1 << 0,          /* RFC 2920 */
    EXTENSION_SIZE = 1 << 1,                /* RFC 1870 */
    EXTENSION_8BITMIME = 1 << 2,            /* RFC 6152 */
    EXTENSION_STARTTLS = 1 << 3,            /* RFC 3207 */
    EXTENSION_ENHANCEDSTATUSCODES = 1 << 4, /* RFC 2034 */
    EXTENSION_DSN = 1 << 5,                 /* RFC 3461 */
};

struct extensions {
    unsigned offered; /* enum extension bits */
    uint64_t size;    /* SIZE's parameter: bytes; 0: offered without limit */
};

/* From the text of a reply to EHLO: the first line is the greeting and is passed over. */
struct extensions extensions_read(struct span reply_text);

static inline bool extensions_have(const struct extensions *extensions, enum extension one)
{
    return (extensions->offered & one) != 0;
}
