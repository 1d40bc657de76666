/* From what a host must show to what a handshake with it looks for. Pure. */
#pragma once

#include "relay/config.h"
#include "tlspolicy/terms.h"

/* Without a ticket key: that is whoever keeps tickets to say. Points into the terms and the
 * configuration. */
struct tls_wants wants_of(const struct tls_terms *terms, const struct tls_config *tls);

struct ticket_way { /* between whom a session was made */
    const char *to; /* "mx.example[192.0.2.1]:25" */
    bool implicit;
    const struct ip *from;    /* NULL: the machine chose */
    const char *login, *mark; /* as whom, and by which secret; NULL: nobody logs in */
};

/* Appends all that must be the same for a ticket to be used again (RFC 8446 4.6.1): the way, the
 * versions and ciphers that are offered, who may vouch for a name, and the terms. The next hop is
 * in there as far as a check depends on it, by the names that the terms have. */
void ticket_key(const struct ticket_way *way, const struct tls_wants *wants,
                const struct tls_terms *terms, struct buffer *key);
