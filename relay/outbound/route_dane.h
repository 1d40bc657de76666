/* What the TLSA records of a host, or that there are none, make of its terms (RFC 7672 2.2): the
 * answer of DNS on one side, the operator's level on the other. Pure. */
#pragma once

#include "relay/resolve.h"
#include "tlspolicy/terms.h"

/* Whether TLSA records are to be asked for at all. */
static inline bool dane_is_wanted(const struct tls_policy *policy)
{
    return policy->level == TLS_DANE || policy->level == TLS_DANE_ONLY;
}

/* `next_hop`: what was looked up to find the host; `expanded`: where its aliases lead, or NULL.
 * `terms` are those of the operator's policy. Under TLS_DANE a host of which DANE says nothing is
 * left as it is; one whose records cannot be had is refused, whatever the level. */
void dane_take_answer(struct tls_terms *terms, const struct tls_policy *policy,
                      const struct resolved_tlsa *tlsa, const char *next_hop, const char *expanded,
                      struct arena *arena);
