/* Whom a session is counted for (RFC 8460): a domain that publishes a TLSRPT record, and what it
 * says of MTA-STS. Known with its route; immutable, shared by reference count between the route and
 * the connections that work for it. NULL is a domain that does not want to know.
 *
 * A site may serve several such domains. A session is counted for the one whose envelope it was
 * opened for: the head of the site's turn when the connection was recruited, and the envelope that
 * it claimed last when it goes to another host with it. */
#pragma once

#include "tlspolicy/sts_cache.h"
#include "tlspolicy/terms.h"
#include "tlspolicy/tlsrpt.h"

#include <stdatomic.h>

struct reported {
    atomic_uint references;
    const char *domain, *record;
    struct tlsrpt_policy sts; /* TLSRPT_POLICY_STS, or TLSRPT_POLICY_NONE: it has none */
    enum sts_failure failure; /* its policy could not be had, and why */
    const char *why;
    struct arena arena;
};

/* One reference. `policy` NULL: none is in force. */
struct reported *reported_create(const char *domain, struct span record,
                                 const struct sts_policy *policy, enum sts_failure failure,
                                 const char *why);
struct reported *reported_keep(struct reported *reported); /* NULL stays NULL */
void reported_drop(struct reported **reported);

/* What was in force for this host: what it shows of its TLSA records is put into `arena`. False
 * when what happens there is no affair of the domain's. */
bool reported_policy(const struct reported *reported, const struct tls_terms *terms,
                     const char *host, struct arena *arena, struct tlsrpt_policy *policy);
