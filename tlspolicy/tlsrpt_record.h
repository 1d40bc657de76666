/* The TLSRPT record of a domain (RFC 8460 3): where it wants reports of our TLS sessions. Pure.
 *
 * What is in it comes from strangers, and ends in headers and requests: nothing is handed out that
 * is not printable ASCII in one piece. */
#pragma once

#include "base/arena.h"

#define TLSRPT_RECORD_MAX 4096 /* bytes of a record */
#define TLSRPT_URIS_MAX 10     /* of a record; further ones are ignored */
#define TLSRPT_URI_MAX 1000    /* bytes of one */

enum tlsrpt_scheme {
    TLSRPT_MAILTO,
    TLSRPT_HTTPS,
};

struct tlsrpt_uri {
    enum tlsrpt_scheme scheme;
    const char *target;      /* the mailbox, decoded; or the whole URL, and of that */
    const char *host, *path; /* a domain, not an address; with the query */
    uint16_t port;
};

struct tlsrpt_record {
    struct tlsrpt_uri uris[TLSRPT_URIS_MAX];
    unsigned count;
};

/* Which of the TXT records of _smtp._tls.DOMAIN counts: the only one that begins "v=TLSRPTv1;".
 * False when there is none, or more than one (RFC 8460 3). */
bool tlsrpt_record_choose(const struct span *texts, unsigned count, struct span *record);

/* Reads its `rua`: what can be used of it, in its order. False when it is no TLSRPT record, or
 * nothing of it can be used. Other fields are ignored. Texts lie in `arena`. A mailbox is checked
 * no further than that it is one word with an '@' in it. */
bool tlsrpt_record_read(struct span text, struct arena *arena, struct tlsrpt_record *record);
