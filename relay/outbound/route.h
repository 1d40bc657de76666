/* How a destination is reached: from its name to the hosts that serve it. By the operator's
 * route, by address literal, or by MX (RFC 5321 5.1), in this order.
 *
 * A search is driven by its owner: route_search_next says what is missing, the owner asks DNS
 * and calls it again with the answer in search->resolution. No I/O, no locks. */
#pragma once

#include "relay/config.h"
#include "relay/outbound/site.h"
#include "relay/resolve.h"

enum search_state {
    SEARCH_ASK,    /* post search->resolution, then call again with the answer in it */
    SEARCH_FOUND,  /* hosts, best first */
    SEARCH_FAILED, /* verdict: BOUNCED for good, or DEFERRED */
};

struct route_search {
    struct resolution *resolution; /* the question; owned by whoever it was posted to */
    const struct config *config;
    struct site_terms terms;
    struct tls_policy policy; /* of the terms, or what the mail's own header leaves of it */
    struct route *route;
    const struct route_config *configured; /* NULL: by MX or literal */
    unsigned next;                         /* of the configured hosts */
    bool asked, failed_for_now;
    struct site_host *hosts; /* owned until taken */
    unsigned count;
    int64_t ttl_ms;
    struct verdict verdict; /* texts in `arena` */
    struct arena arena;
};

/* `config` is borrowed for the search's life. */
void route_search_init(struct route_search *search, struct route *route,
                       const struct config *config);
void route_search_free(struct route_search *search);

enum search_state route_search_next(struct route_search *search);
