/* How a destination is reached: from its name to the hosts that serve it. By the operator's
 * route, by address literal, or by MX (RFC 5321 5.1), in this order.
 *
 * Where the operator has a table of policies outside of the configuration, that is asked first.
 *
 * Who is reached by MX may publish what TLS its hosts have (MTA-STS, RFC 8461): where the
 * operator's policy leaves room for that, it holds for each of them, but for those that DANE speaks
 * of.
 *
 * A search is driven by its owner: route_search_next says what is missing, the owner asks DNS, or
 * the discoverer, and calls it again with the answer in search->resolution or search->discovery. No
 * I/O, no locks. */
#pragma once

#include "relay/config.h"
#include "relay/discovery.h"
#include "relay/outbound/site.h"
#include "relay/resolve.h"

enum search_state {
    SEARCH_ASK,      /* post search->resolution, then call again with the answer in it */
    SEARCH_DISCOVER, /* the same with search->discovery */
    SEARCH_FOUND,    /* hosts, best first */
    SEARCH_FAILED,   /* verdict: BOUNCED for good, or DEFERRED */
};

struct route_search {
    struct resolution *resolution; /* the question; owned by whoever it was posted to */
    struct discovery *discovery;   /* the same */
    const struct config *config;
    struct site_terms terms;
    struct tls_policy policy; /* of the terms, or what the mail's own header leaves of it */
    struct route *route;
    const struct route_config *configured; /* NULL: by MX or literal */
    unsigned next;                         /* of those, and of what they fall back to */
    bool asked, discovering, failed_for_now;
    bool table_asked, table_read; /* the operator's own table … */
    bool by_table;                /* … which has said what `policy` is */
    bool no_policy; /* nobody knows: what was known of the way before does not hold any more */
    bool anew;      /* what the domain publishes is looked up again, whatever is remembered of it */
    struct site_host *hosts; /* owned until taken */
    unsigned count;
    struct reported *reported; /* who wants to know of sessions; owned until taken */
    int64_t ttl_ms;
    struct verdict verdict; /* texts in `arena` */
    struct arena arena;
};

/* `config` is borrowed for the search's life. */
void route_search_init(struct route_search *search, struct route *route,
                       const struct config *config);
void route_search_free(struct route_search *search);

enum search_state route_search_next(struct route_search *search);

/* Whether the hosts of the search before may serve on where this one has failed for now. Not where
 * nobody knows the policy, nor where TLSA records or DNSSEC have a say: whoever can keep DNS from
 * answering could else keep a host at less than it asks for (RFC 7672 2.1.2). */
bool route_search_may_be_late(const struct route_search *search);
