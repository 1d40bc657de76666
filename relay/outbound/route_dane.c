#include "relay/outbound/route_dane.h"

#include "tlspolicy/dane.h"

static void refuse_if_only(struct tls_terms *terms, bool only, const char *why)
{
    if (!only)
        return;
    terms->refused = why;
    terms->refusal = TLS_REFUSED_NO_TLSA;
}

/* RFC 7672 2.2.1: an attacker who can suppress the answer must not be able to lower the level. */
static void refuse(struct tls_terms *terms, const char *why, struct arena *arena)
{
    terms->refused = arena_print(arena, "its TLSA records cannot be looked up: %s", why);
    terms->refusal = TLS_REFUSED_DNSSEC;
}

void dane_take_answer(struct tls_terms *terms, const struct tls_policy *policy,
                      const struct resolved_tlsa *tlsa, const char *next_hop, const char *expanded,
                      struct arena *arena)
{
    const struct dane_host host = {.base = tlsa->base,
                                   .next_hop = next_hop,
                                   .expanded = expanded,
                                   .records = tlsa->records,
                                   .count = tlsa->count};
    bool only = policy->level == TLS_DANE_ONLY;
    switch (tlsa->state) {
    case TLSA_NOT_ASKED:
        refuse_if_only(terms, only, "it is an address: there can be no TLSA records");
        break;
    case TLSA_INSECURE:
        refuse_if_only(terms, only,
                       "DNSSEC does not vouch for the way to it: TLSA records have "
                       "no meaning");
        break;
    case TLSA_NONE: refuse_if_only(terms, only, "it has no TLSA records"); break;
    case TLSA_RECORDS: dane_apply(terms, &host, only, arena); break;
    case TLSA_FAILED: refuse(terms, tlsa->why, arena); break;
    }
}
