#include "relay/outbound/route_security.h"

#include "tlspolicy/requiretls.h"

struct tls_policy route_policy(const struct route_search *search,
                               const struct tls_policy *operators)
{
    switch (search->route->destination->security) {
    case SECURITY_USUAL:
    case SECURITY_PREFERRED: return *operators;
    case SECURITY_REQUIRED: return policy_with_requiretls(operators);
    case SECURITY_OPTIONAL:
        return search->terms.login != NULL ? *operators : policy_without_tls_required(operators);
    }
    must_not_reach();
}

static bool is_by_mx(const struct route_search *search)
{
    return search->configured == NULL && search->resolution != NULL;
}

bool route_needs_published(const struct route_search *search)
{
    return search->route->destination->security == SECURITY_REQUIRED && is_by_mx(search) &&
           !search->resolution->secure;
}

/* That it is a host of the next hop: by DNSSEC, by MTA-STS (RFC 8461 4.1), or by the operator's own
 * route. */
static bool is_proven(const struct route_search *search, const struct site_host *host)
{
    if (!is_by_mx(search))
        return search->configured != NULL;
    const struct sts_policy *sts = search->discovery != NULL ? search->discovery->sts : NULL;
    return search->resolution->secure ||
           (sts != NULL && sts->mode == STS_ENFORCE && sts_matches(sts, span_of(host->name)));
}

/* None will do. That a policy cannot be had may pass; that there is none is the last word. */
static void refuse(struct route_search *search, const char *why)
{
    const struct discovery *published = search->discovery;
    bool passes = published != NULL && published->why != NULL && published->why[0] != '\0';
    search->verdict = (struct verdict){
        .kind = passes ? VERDICT_DEFERRED : VERDICT_BOUNCED,
        .status = {passes ? 4 : 5, 7, 10}, /* RFC 8689 4.2.1 */
        .text =
            span_of(passes ? arena_print(&search->arena, "%s (MTA-STS: %s)", why, published->why)
                           : arena_copy(&search->arena, span_of(why))),
    };
}

static bool require_tls(struct route_search *search)
{
    unsigned usable = 0;
    for (unsigned i = 0; i < search->count; i++) {
        struct site_host *host = &search->hosts[i];
        usable += terms_require(&host->tls, host->name, is_proven(search, host), &host->arena);
    }
    if (usable == 0)
        refuse(search, search->hosts[0].tls.refused);
    return usable > 0;
}

bool route_secure_hosts(struct route_search *search)
{
    switch (search->route->destination->security) {
    case SECURITY_USUAL: return true;
    case SECURITY_REQUIRED: return require_tls(search);
    case SECURITY_PREFERRED:
        for (unsigned i = 0; i < search->count; i++) {
            struct site_host *host = &search->hosts[i];
            terms_prefer(&host->tls, host->name, is_proven(search, host), &host->arena);
        }
        return true;
    case SECURITY_OPTIONAL:
        for (unsigned i = 0; i < search->count && search->terms.login == NULL; i++)
            search->hosts[i].tls.source = TLS_FROM_HEADER;
        return true;
    }
    must_not_reach();
}
