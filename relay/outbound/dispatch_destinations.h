/* The dispatch by destination, for the operator and for rules: what waits for one, by which way it
 * would go, and its suspension. Any thread; what is returned is a copy of one moment. */
#pragma once

#include "queue/suspension.h"
#include "relay/outbound/dispatch.h"

/* ---- suspensions ---- */

#define SUSPENSIONS_MAX 65536 /* at a time; ours */

/* From now on nothing of that destination is claimed, and soon that is durable (see
 * destination_look's suspension_pending). In place of an earlier suspension. False when there are
 * too many. */
bool dispatch_suspend(struct dispatch *dispatch, const struct suspension *suspension);

/* The same, unless it is suspended for as long already. */
bool dispatch_suspend_further(struct dispatch *dispatch, const struct suspension *suspension);

/* Mail goes there again. False when it was not suspended. */
bool dispatch_lift(struct dispatch *dispatch, const char *destination);

/* ---- looking ---- */

struct look_host {
    char name[DOMAIN_MAX_BYTES + 1];
    uint16_t preference, port;
    unsigned count;
    struct ip addresses[CONFIG_ADDRESSES_MAX];
    enum tls_level level;   /* what it must show, … */
    enum tls_source source; /* … who says so, */
    char refused[256];      /* and why it may not be used at all; "" when it may */
};

struct destination_look {
    char name[DOMAIN_MAX_BYTES + 1];
    enum security security;
    bool known;                    /* it has envelopes, or had some not long ago */
    unsigned counts[ENTRY_STATES]; /* the states as in a queue_look */

    bool suspended;
    bool suspension_pending; /* what was said of it last is not durable yet */
    struct suspension suspension;

    /* The way. */
    enum route_state route;
    int64_t retry_at_ms; /* DNS or the site is not tried before: ms since 1970; 0: it may be now */
    char failure[256];   /* the last one of DNS or of the site; "" */
    bool site;           /* what follows holds */
    char limit[128];     /* what holds back what is ready: "rate limit 10/s"; "" */
    unsigned connections, idle, claimants, max_connections, failures;
    unsigned host_count;
    struct look_host hosts[RESOLVE_HOSTS_MAX];
};

/* Of a domain's mail, what is to be protected so. False when nothing is known of it: no envelopes,
 * no suspension of the domain. */
bool dispatch_look_at(struct dispatch *dispatch, const char *destination, enum security security,
                      struct destination_look *look);
/* How its last sessions failed, the last one first: how many. With a reference to each. */
unsigned dispatch_recorded(struct dispatch *dispatch, const char *destination,
                           struct recorded found[RECORDER_SESSIONS_MAX]);
void look_free(struct destination_look **look); /* of a malloc'd one: they are large */

/* The configuration in effect: a reference for the caller. */
struct config *dispatch_config(struct dispatch *dispatch);

/* The names of all destinations that have envelopes or are suspended, in any order. */
struct destination_names {
    struct destination_name {
        const char *name;
        enum security security;
        unsigned envelopes;
    } * items;
    size_t count;
    struct arena arena;
};
void dispatch_destinations(struct dispatch *dispatch, struct destination_names *names);
void destination_names_free(struct destination_names *names);
