/* What the mail itself asks of the hosts that a search finds (RFC 8689). For route.c alone. Pure.
 */
#pragma once

#include "relay/outbound/route.h"

/* The policy under which hosts are looked for: the operator's, wherever he says it, as far as the
 * mail leaves it. A host that we log in to gets no less than that, whatever the mail's header says:
 * it is his credentials that would be given away. */
struct tls_policy route_policy(const struct route_search *search,
                               const struct tls_policy *operators);

/* What the domain publishes matters for this mail even where the policy leaves no room for it. */
bool route_needs_published(const struct route_search *search);

/* Behind all else: the hosts' terms become what the mail asks for. False: none of them will do, and
 * search->verdict says so. */
bool route_secure_hosts(struct route_search *search);
