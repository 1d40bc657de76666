/* What TLSA records ask of a mail host (RFC 7672 on RFC 7671 and RFC 6698): which of them count,
 * and whose name a certificate must carry then. The records come from DNS, proved by DNSSEC;
 * finding them is the resolver's work, holding a certificate against them that of the handshake.
 * Pure. */
#pragma once

#include "tlspolicy/terms.h"

enum tlsa_usage { /* RFC 6698 2.1.1, RFC 7218 2.1 */
                  TLSA_PKIX_TA = 0,
                  TLSA_PKIX_EE = 1,
                  TLSA_DANE_TA = 2,
                  TLSA_DANE_EE = 3,
};
enum tlsa_selector { /* RFC 6698 2.1.2 */
                     TLSA_CERT = 0,
                     TLSA_SPKI = 1,
};
enum tlsa_matching { /* RFC 6698 2.1.3 */
                     TLSA_FULL = 0,
                     TLSA_SHA256 = 1,
                     TLSA_SHA512 = 2,
};

/* RDATA (RFC 6698 2.1). False when they are cut off. The data are those of `rdata`. */
bool tlsa_parse(struct span rdata, struct tlsa *record);

/* Whether it counts for SMTP (RFC 7672 3.1): usage 2 or 3, and the rest known and of its length. */
bool tlsa_is_usable(const struct tlsa *record);

struct dane_host {
    const char *base;     /* the TLSA base domain (RFC 7672 2.2.3) */
    const char *next_hop; /* NULL: it is an address, or nobody vouches for the way from there */
    const char *expanded; /* where the next hop's aliases lead to; NULL: it is none */
    const struct span *records; /* RDATA, at least one */
    unsigned count;
};

/* What records make of the terms of a host whose policy is TLS_DANE or TLS_DANE_ONLY: DANE with
 * those that count; without any of them TLS that nobody authenticates, or with `only` a refusal
 * (RFC 7672 2.2, 3.1). Copies go to the arena. */
void dane_apply(struct tls_terms *terms, const struct dane_host *host, bool only,
                struct arena *arena);
