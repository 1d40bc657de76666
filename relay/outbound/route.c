#include "relay/outbound/route.h"

#include "relay/outbound/route_dane.h"
#include "relay/outbound/reported.h"
#include "relay/outbound/route_security.h"
#include "relay/outbound/route_table.h"
#include "relay/smtp/address.h"
#include "tlspolicy/tlsrpt_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIGURED_TTL_MS RESOLVE_TTL_MOST_MS /* addresses in the configuration change with it */

void route_search_init(struct route_search *search, struct route *route,
                       const struct config *config)
{
    struct span name = span_of(route->destination->name);
    *search = (struct route_search){
        .route = route,
        .config = config,
        .terms = site_terms(config, name),
        .configured = config_route(config, name),
        .ttl_ms = CONFIGURED_TTL_MS,
    };
    search->policy = route_policy(search, &search->terms.tls->policy);
}

void route_search_free(struct route_search *search)
{
    site_hosts_free(search->hosts, search->count);
    arena_free(&search->arena);
    if (search->resolution != NULL)
        resolution_free(&search->resolution);
    if (search->discovery != NULL)
        discovery_free(&search->discovery);
    reported_drop(&search->reported);
}

/* ---- which addresses of a host ---- */

/* Nothing can be sent there from any of the sources. */
static bool is_out_of_reach(const struct addresses *sources, uint8_t family)
{
    for (unsigned i = 0; i < sources->count; i++)
        if (sources->list[i].family == family)
            return false;
    return sources->count > 0;
}

static bool is_wanted(const struct route_search *search, const struct ip *ip)
{
    if (is_out_of_reach(search->terms.sources, ip->family))
        return false;
    switch (search->terms.limits->families) {
    case FAMILIES_BOTH:
    case FAMILIES_IPV4_FIRST: return true;
    case FAMILIES_IPV4: return ip->family == 4;
    case FAMILIES_IPV6: return ip->family == 6;
    }
    must_not_reach();
}

/* The first wanted one of this family at or behind `at`; `count` when there is none. */
static unsigned find_family(const struct route_search *search, const struct ip *addresses,
                            unsigned count, unsigned at, uint8_t family)
{
    while (at < count && (addresses[at].family != family || !is_wanted(search, &addresses[at])))
        at++;
    return at;
}

/* The families in turn, the preferred one first (RFC 8305 4), up to the limit. */
static unsigned choose_addresses(const struct route_search *search, const struct ip *from,
                                 unsigned count, struct ip *to)
{
    bool four_first = search->terms.limits->families == FAMILIES_IPV4_FIRST;
    const uint8_t families[2] = {four_first ? 4 : 6, four_first ? 6 : 4};
    unsigned next[2] = {0, 0}, chosen = 0;
    while (chosen < search->terms.limits->max_addresses && (next[0] < count || next[1] < count))
        for (int i = 0; i < 2; i++) {
            next[i] = find_family(search, from, count, next[i], families[i]);
            if (next[i] < count && chosen < search->terms.limits->max_addresses)
                to[chosen++] = from[next[i]++];
        }
    return chosen;
}

struct found_host {
    const char *name;
    uint16_t preference, port;
    bool implicit;                     /* TLS comes first there (RFC 8314) */
    bool never_clear;                  /* nothing goes in clear there, whatever the level */
    const struct resolved_tlsa *tlsa;  /* NULL: it is an address */
    const char *looked_up, *canonical; /* what led to it; where its aliases lead, or NULL */
};

static void set_terms(const struct route_search *search, struct site_host *host,
                      const struct found_host *found)
{
    static const struct resolved_tlsa not_asked = {.state = TLSA_NOT_ASKED};
    const struct tls_policy *policy = &search->policy;
    host->tls = terms_of_policy(policy, host->name, search->route->destination->name, &host->arena);
    route_table_own(search, &host->tls, &host->arena);
    if (dane_is_wanted(policy))
        dane_take_answer(&host->tls, policy, found->tlsa ? found->tlsa : &not_asked,
                         found->looked_up, found->canonical, &host->arena);
    if (found->never_clear && host->tls.level < TLS_ENCRYPT)
        host->tls.level = TLS_ENCRYPT;
}

/* False when none of its addresses is to be used. */
static bool add_host(struct route_search *search, const struct found_host *found,
                     const struct ip *addresses, unsigned count)
{
    struct ip chosen[CONFIG_ADDRESSES_MAX];
    count = choose_addresses(search, addresses, count, chosen);
    if (count == 0)
        return false;
    search->hosts = must_realloc(search->hosts, (search->count + 1) * sizeof(*search->hosts));
    struct site_host *host = &search->hosts[search->count++];
    *host = (struct site_host){.name = must_strdup(found->name),
                               .preference = found->preference,
                               .port = found->port,
                               .implicit = found->implicit,
                               .count = count};
    host->addresses = must_calloc(count, sizeof(*chosen));
    memcpy(host->addresses, chosen, count * sizeof(*chosen));
    set_terms(search, host, found);
    return true;
}

static enum search_state fail(struct route_search *search, enum verdict_kind kind,
                              struct status status, const char *why)
{
    search->verdict = (struct verdict){
        .kind = kind, .status = status, .text = span_of(arena_copy(&search->arena, span_of(why)))};
    return SEARCH_FAILED;
}

static enum search_state ask(struct route_search *search, const char *name, enum resolve_kind kind,
                             uint16_t port)
{
    search->resolution = must_calloc(1, sizeof(*search->resolution));
    search->resolution->domain = must_strdup(name);
    search->resolution->kind = kind;
    search->resolution->tlsa = dane_is_wanted(&search->policy);
    search->resolution->port = port;
    search->asked = true;
    return SEARCH_ASK;
}

/* ---- by address literal ---- */

/* Whatever DNS or a recipient's address says; 0.0.0.0 and :: lead to loopback, too. */
static bool may_connect(const struct config *config, const struct ip *ip)
{
    if (ip_is_loopback(ip) || ip_is_unspecified(ip))
        return config->allow_loopback;
    return ip_is_reachable(ip);
}

static enum search_state fail_as_loop(struct route_search *search)
{
    return fail(search, VERDICT_BOUNCED, (struct status){5, 4, 6},
                "the domain's best mail host is this relay: mail would loop");
}

static enum search_state by_literal(struct route_search *search, const struct ip *ip)
{
    if (config_is_own_listener(search->config, ip, search->config->smtp_port))
        return fail_as_loop(search);
    if (!may_connect(search->config, ip))
        return fail(search, VERDICT_BOUNCED, (struct status){5, 4, 4},
                    "mail to such an address is not allowed here");
    char text[IP_TEXT_MAX], name[IP_TEXT_MAX + 2];
    snprintf(name, sizeof(name), "[%s]", ip_format(ip, text));
    const struct found_host found = {.name = name, .port = search->config->smtp_port};
    if (!add_host(search, &found, ip, 1))
        return fail(search, VERDICT_BOUNCED, (struct status){5, 4, 4},
                    "addresses of this family are not used here");
    return SEARCH_FOUND;
}

/* ---- by the operator's route ---- */

struct hop { /* where a route leads: a host of it, or what that falls back to */
    const struct next_hop_host *host;
    uint16_t port;
    bool implicit, never_clear;
};

/* The one at `at` of all in their order; false when there are not so many. */
static bool find_hop(const struct route_config *route, unsigned at, struct hop *hop)
{
    for (unsigned i = 0; i < route->count; i++) {
        const struct next_hop_host *host = &route->hosts[i];
        bool implicit = config_is_implicit(route, host);
        *hop = (struct hop){host, host->port, implicit, implicit};
        if (at-- == 0)
            return true;
        if (!implicit || route->fallback == FALLBACK_NONE)
            continue;
        *hop = (struct hop){host, route->fallback_port, false, true};
        if (at-- == 0)
            return true;
    }
    return false;
}

static struct found_host found_at(const struct route_search *search, const struct hop *hop)
{
    return (struct found_host){.name = hop->host->name,
                               .preference = (uint16_t)search->next,
                               .port = hop->port,
                               .implicit = hop->implicit,
                               .never_clear = hop->never_clear};
}

/* A host of the route that leads nowhere: why is told if no other one does better. */
static void pass_over(struct route_search *search, const char *why)
{
    search->failed_for_now = true;
    search->verdict.text = span_of(arena_copy(&search->arena, span_of(why)));
}

/* The operator may well route to loopback, but to ourselves mail would go round for ever. */
static unsigned leave_out_ourselves(const struct route_search *search, struct ip *addresses,
                                    unsigned count, uint16_t port)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < count; i++)
        if (!config_is_own_listener(search->config, &addresses[i], port))
            addresses[kept++] = addresses[i];
    return kept;
}

static void take_host(struct route_search *search, const struct found_host *found,
                      struct ip *addresses, unsigned count)
{
    char why[DOMAIN_MAX_BYTES + 64];
    unsigned kept = leave_out_ourselves(search, addresses, count, found->port);
    if (add_host(search, found, addresses, kept))
        return;
    snprintf(why, sizeof(why), "%s: %s", found->name,
             kept < count ? "the route leads to this relay itself: mail would loop"
                          : "it has no address of a family that is used here");
    pass_over(search, why);
}

static void take_answer(struct route_search *search, const struct hop *asked_for)
{
    struct resolution *answer = search->resolution;
    if (answer->result == RESOLVE_OK && answer->count > 0) {
        if (answer->ttl_ms < search->ttl_ms)
            search->ttl_ms = answer->ttl_ms;
        struct found_host found = found_at(search, asked_for);
        found.tlsa = &answer->hosts[0].tlsa;
        found.looked_up = found.name;
        take_host(search, &found, answer->hosts[0].addresses, answer->hosts[0].count);
    } else {
        pass_over(search, answer->why);
    }
    resolution_free(&search->resolution);
    search->asked = false;
}

static void take_address(struct route_search *search, const struct hop *hop)
{
    char text[IP_TEXT_MAX], name[IP_TEXT_MAX + 2];
    struct ip ip = hop->host->ip;
    snprintf(name, sizeof(name), "[%s]", ip_format(&ip, text));
    struct found_host found = found_at(search, hop);
    found.name = name;
    take_host(search, &found, &ip, 1);
}

/* What the operator wrote is never a reason to bounce: a name that leads nowhere is waited for. */
static enum search_state by_configured_hosts(struct route_search *search)
{
    struct hop hop;
    if (search->asked) {
        must(find_hop(search->configured, search->next, &hop));
        take_answer(search, &hop);
        search->next++;
    }
    for (; search->count < RESOLVE_HOSTS_MAX && find_hop(search->configured, search->next, &hop);
         search->next++) {
        if (hop.host->name != NULL)
            return ask(search, hop.host->name, RESOLVE_ADDRESSES, hop.port);
        take_address(search, &hop);
    }
    if (search->failed_for_now) /* try again soon for those that are missing */
        search->ttl_ms = RESOLVE_TTL_LEAST_MS;
    if (search->count > 0)
        return SEARCH_FOUND;
    search->verdict.kind = VERDICT_DEFERRED;
    search->verdict.status = (struct status){4, 4, 3};
    return SEARCH_FAILED;
}

/* ---- what the domain publishes of its hosts' TLS (RFC 8461) ---- */

static bool leaves_room(const struct tls_policy *policy)
{
    switch (policy->level) {
    case TLS_MAY:
    case TLS_ENCRYPT:
    case TLS_DANE: return policy->mta_sts;
    case TLS_NONE:
    case TLS_DANE_ONLY:
    case TLS_FINGERPRINT:
    case TLS_VERIFY:
    case TLS_SECURE: return false;
    }
    must_not_reach();
}

/* Reports themselves are none of what is reported (RFC 8460 3), nor is other mail to which no
 * policy applies. */
static bool is_reported(const struct route_search *search)
{
    return search->config->tlsrpt.on && search->policy.level != TLS_NONE &&
           search->route->destination->security != SECURITY_OPTIONAL;
}

/* Exactly one record that names somebody to report to (RFC 8460 3). */
static struct reported *find_reported(const struct route_search *search)
{
    const struct discovery *answer = search->discovery;
    struct arena arena CLEANUP(arena_free) = {0};
    struct tlsrpt_record read;
    struct span record;
    if (!tlsrpt_record_choose(answer->tlsrpt, answer->tlsrpt_count, &record) ||
        !tlsrpt_record_read(record, &arena, &read))
        return NULL;
    return reported_create(answer->domain, record, answer->sts, answer->failure, answer->why);
}

static enum search_state discover(struct route_search *search)
{
    bool wants_sts = leaves_room(&search->policy) || route_needs_published(search);
    bool wants_tlsrpt = is_reported(search);
    if (!wants_sts && !wants_tlsrpt)
        return SEARCH_FOUND;
    search->discovery = must_calloc(1, sizeof(*search->discovery));
    search->discovery->domain = must_strdup(search->route->destination->name);
    search->discovery->wants_sts = wants_sts;
    search->discovery->wants_tlsrpt = wants_tlsrpt;
    search->discovery->anew = search->anew;
    search->discovering = true;
    return SEARCH_DISCOVER;
}

static enum search_state take_published(struct route_search *search)
{
    const struct discovery *answer = search->discovery;
    for (unsigned i = 0; i < search->count && answer->sts != NULL; i++) {
        struct site_host *host = &search->hosts[i];
        terms_apply_sts(&host->tls, answer->sts, search->route->destination->name, host->name,
                        &host->arena);
    }
    search->reported = find_reported(search);
    if (answer->ttl_ms < search->ttl_ms)
        search->ttl_ms = answer->ttl_ms;
    return SEARCH_FOUND;
}

/* ---- by MX ---- */

/* By our name, or by an address at which we listen. */
static bool is_ourselves(const struct config *config, const struct resolved_host *host)
{
    for (unsigned i = 0; i < host->count; i++)
        if (config_is_own_listener(config, &host->addresses[i], config->smtp_port))
            return true;
    return span_equal_nocase(span_of(config->hostname), span_of(host->name));
}

/* The addresses that may be connected to, moved to the front. */
static unsigned keep_allowed(const struct config *config, struct resolved_host *host)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < host->count; i++)
        if (may_connect(config, &host->addresses[i]))
            host->addresses[kept++] = host->addresses[i];
    return kept;
}

/* RFC 5321 5.1: with ourselves among the MX, only better ones are left; none: a loop. */
static enum search_state take_mx_hosts(struct route_search *search, struct resolution *answer)
{
    const struct config *config = search->config;
    unsigned last = UINT16_MAX + 1;
    for (unsigned i = 0; i < answer->count; i++)
        if (is_ourselves(config, &answer->hosts[i]) && answer->hosts[i].preference < last)
            last = answer->hosts[i].preference;
    if (answer->count > 0 && answer->hosts[0].preference >= last)
        return fail_as_loop(search);
    for (unsigned i = 0; i < answer->count; i++) {
        struct resolved_host *host = &answer->hosts[i];
        unsigned kept = keep_allowed(config, host);
        const struct found_host found = {.name = host->name,
                                         .preference = host->preference,
                                         .port = config->smtp_port,
                                         .tlsa = &host->tlsa,
                                         .looked_up = answer->domain,
                                         .canonical = answer->canonical};
        if (host->preference < last && search->count < search->terms.limits->max_hosts)
            add_host(search, &found, host->addresses, kept);
    }
    if (search->count == 0 && answer->why != NULL) /* a part of the answer is missing: not yet */
        return fail(search, VERDICT_DEFERRED, (struct status){4, 4, 3}, answer->why);
    if (search->count == 0)
        return fail(search, VERDICT_BOUNCED, (struct status){5, 4, 4},
                    "none of the domain's mail hosts has an address that mail may be sent to");
    search->ttl_ms = answer->ttl_ms;
    return discover(search);
}

static enum search_state by_mx(struct route_search *search)
{
    if (search->discovering)
        return take_published(search);
    if (!search->asked)
        return ask(search, search->route->destination->name, RESOLVE_MX, search->config->smtp_port);
    struct resolution *answer = search->resolution;
    search->ttl_ms = answer->ttl_ms;
    switch (answer->result) {
    case RESOLVE_OK: return take_mx_hosts(search, answer);
    case RESOLVE_NO_DOMAIN:
        return fail(search, VERDICT_BOUNCED, (struct status){5, 1, 2}, answer->why);
    case RESOLVE_NULL_MX:
        return fail(search, VERDICT_BOUNCED, (struct status){5, 1, 10}, answer->why);
    case RESOLVE_NO_ADDRESS:
        return fail(search, VERDICT_BOUNCED, (struct status){5, 4, 4}, answer->why);
    case RESOLVE_TEMPORARY:
        return fail(search, VERDICT_DEFERRED, (struct status){4, 4, 3}, answer->why);
    }
    must_not_reach();
}

static enum search_state find_hosts(struct route_search *search)
{
    struct ip ip;
    if (search->configured != NULL)
        return by_configured_hosts(search);
    if (address_literal_parse(span_of(search->route->destination->name), &ip))
        return by_literal(search, &ip);
    return by_mx(search);
}

enum search_state route_search_next(struct route_search *search)
{
    enum search_state state;
    if (route_table_next(search, &state))
        return state;
    state = find_hosts(search);
    if (search->table_read && search->ttl_ms > POLICY_MAP_TTL_MS)
        search->ttl_ms = POLICY_MAP_TTL_MS;
    if (state != SEARCH_FOUND)
        return state;
    return route_secure_hosts(search) ? SEARCH_FOUND : SEARCH_FAILED;
}

bool route_search_may_be_late(const struct route_search *search)
{
    return !search->no_policy && !dane_is_wanted(&search->policy) &&
           search->route->destination->security != SECURITY_REQUIRED;
}
