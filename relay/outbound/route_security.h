/* What the mail itself asks of the hosts that a search finds (RFC 8689). For route.c alone. Pure.
 */
#pragma once

#include "relay/outbound/route.h"

/* The policy under which hosts are looked for: the operator's, as far as the mail leaves it. */
struct tls_policy route_policy(const struct tls_policy *policy, enum security security);

/* What the domain publishes matters for this mail even where the policy leaves no room for it. */
bool route_needs_published(const struct route_search *search);

/* Behind all else: the hosts' terms become what the mail asks for. False: none of them will do, and
 * search->verdict says so. */
bool route_secure_hosts(struct route_search *search);
