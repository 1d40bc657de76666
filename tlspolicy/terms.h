/* What one host of a site must show before it gets mail: the operator's policy for its next hop,
 * applied to what DNS says of the host (DANE, RFC 7672), what the domain publishes (MTA-STS,
 * RFC 8461) and what the mail itself asks for (RFC 8689).
 *
 * Pure, and immutable once made. Everything that is checked in a handshake is in here, so two
 * hosts with the same key may share connections and tickets, and no others. Strings and lists
 * belong to the arena that was given. */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"
#include "tlspolicy/policy.h"
#include "tlspolicy/sts.h"

enum tls_source {                  /* what raised or lowered the level to what it is */
                  TLS_FROM_TABLE,  /* the operator's `tls` section */
                  TLS_FROM_SERVER, /* the operator's external table */
                  TLS_FROM_DANE,
                  TLS_FROM_STS,
                  TLS_FROM_REQUIRETLS, /* RFC 8689 4.2.1 */
                  TLS_FROM_HEADER,     /* TLS-Required: No (RFC 8689 4.2.2) */
};
#define TLS_SOURCES 6

const char *tls_source_name(enum tls_source source); /* "table", "server", "dane", … */

/* Whether REQUIRETLS is said to it in MAIL (RFC 8689): only where it has been authenticated, and is
 * known for one of the next hop's. */
enum tls_requiretls {
    REQUIRETLS_NEVER,
    REQUIRETLS_IF_OFFERED, /* where the message has it; it goes without where it must */
    REQUIRETLS_ALWAYS,     /* and no mail goes there without */
};

enum tls_refusal {                      /* what kind of thing `refused` tells of */
                   TLS_REFUSED_LOCALLY, /* the operator or the mail asks for more than there is */
                   TLS_REFUSED_DNSSEC,  /* its TLSA records cannot be looked up */
                   TLS_REFUSED_NO_TLSA, /* dane-only, and it has no records that DNSSEC proves */
                   TLS_REFUSED_TLSA,    /* dane-only, and it has none that can be used */
                   TLS_REFUSED_STS,     /* it is no host of the domain's MTA-STS policy */
};

struct tls_terms {
    enum tls_level level; /* never TLS_DANE_ONLY: it became TLS_DANE, or the host is refused */
    enum tls_source source;
    bool check_only;    /* `names` are looked for and told of; mail goes all the same */
    const char *sni;    /* NULL: none is sent (an address) */
    const char **names; /* DNS-IDs, one of which must be there; ".example.com": any below */
    unsigned name_count;
    const char *tlsa_base;      /* RFC 7672 2.2.2; NULL without records */
    const struct tlsa *records; /* in an order that does not depend on how DNS gave them */
    unsigned record_count;
    const struct fingerprint *fingerprints;
    unsigned fingerprint_count;
    enum tls_requiretls requiretls;
    const char *doubted; /* not NULL: with a policy that is only being tested (RFC 8461 5) the
                            host would not be used, and this is why */
    const char *refused; /* not NULL: the host may not be used, and this is why (4.7.5) */
    enum tls_refusal refusal;
};

/* By the operator's policy alone. `host` is a name, or "[192.0.2.1]"; `next_hop` is the
 * destination. TLS_DANE is as TLS_MAY then, and TLS_DANE_ONLY a refusal, until something is known
 * of TLSA records. */
struct tls_terms terms_of_policy(const struct tls_policy *policy, const char *host,
                                 const char *next_hop, struct arena *arena);

/* What the next hop's MTA-STS policy adds for this MX (RFC 8461 4). Hosts that must show more, or
 * may not be used, as they are: DANE comes first (RFC 8461 2), and what the operator wants too. */
void terms_apply_sts(struct tls_terms *terms, const struct sts_policy *policy, const char *next_hop,
                     const char *host, struct arena *arena);

/* One more name. */
void terms_add_name(struct tls_terms *terms, const char *name, struct arena *arena);

/* Appends what must be the same for connections and tickets to be shared, as one line. */
void terms_key(const struct tls_terms *terms, struct buffer *key);
