/* What the operator's own table (`tls-policy-map`) says of a next hop: it is asked first, and what
 * it says stands in place of what the `tls` section says. For route.c alone. Pure. */
#pragma once

#include "relay/outbound/route.h"

/* Before all else. True when *state is what comes next: the question; or, where no policy can be
 * had, a failure: nothing goes there until somebody knows (4.7.5). */
bool route_table_next(struct route_search *search, enum search_state *state);

/* Terms that were made of the policy: whose they are, and nothing in them is the search's. */
void route_table_own(const struct route_search *search, struct tls_terms *terms,
                     struct arena *arena);
