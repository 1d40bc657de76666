/* What RFC 8689 makes of TLS: mail that came with REQUIRETLS, and mail whose header says
 * "TLS-Required: No". Pure. Each is the last to be applied to a host's terms, behind all that the
 * operator, DNS and the domain say. */
#pragma once

#include "tlspolicy/terms.h"

/* Under which policy hosts are looked for then: TLSA records and what the domain publishes may
 * authenticate them, if the operator's section does not. */
struct tls_policy policy_with_requiretls(const struct tls_policy *policy);

/* RFC 8689 4.2.1: the host must be authenticated, and be known for one of the next hop's. `proven`:
 * DNSSEC says so, or the operator's own route. An enforced MTA-STS policy, TLSA records, and a
 * certificate that the operator's section ties to the next hop itself are as good. False: the host
 * may not be used, for a reason that does not pass by itself. */
bool terms_require(struct tls_terms *terms, const char *host, bool proven, struct arena *arena);

/* RFC 8689 5: the same if it can be had, and as the terms are if not. */
void terms_prefer(struct tls_terms *terms, const char *host, bool proven, struct arena *arena);

/* RFC 8689 4.2.2: TLS where it works, and nothing else. Whoever applies it asks for neither TLSA
 * records nor an MTA-STS policy. */
struct tls_policy policy_without_tls_required(const struct tls_policy *policy);
