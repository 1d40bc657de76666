/* The inside of the dispatch, for its own files: dispatch.c (envelopes, time),
 * dispatch_connections.c (connections, and limits on them), dispatch_routes.c (which way a
 * destination goes), dispatch_destinations.c (one looked at, or suspended), dispatch_recorder.c
 * (how sessions failed), dispatch_look.c and dispatch_operator.c (what people see and ask).
 * Everything here is called with the lock held. */
#pragma once

#include "relay/outbound/dispatch.h"
#include "relay/outbound/offers.h"
#include "relay/outbound/route.h"

#include <pthread.h>

#define DUE_AT_ONCE 4096 /* of each kind per turn, so that the lock is let go of */

struct dispatch {
    pthread_mutex_t lock;
    struct dispatch_parts parts;
    struct scheduler scheduler;
    struct map sites;                          /* by key */
    struct heap site_wake_ups, route_wake_ups; /* ms since 1970 */
    struct peers peers;
    struct list crowded;         /* sites that wait for a place at a peer, the first come first */
    struct map suspensions;      /* by destination */
    struct heap suspension_ends; /* ms since 1970 */
    struct offers offers;        /* who offered STARTTLS the last time */
    struct recorder recorder;    /* how the last sessions failed */
    struct map failing;          /* by id and number: to be returned */
    struct random_state random;
    unsigned last_worker;
    int64_t sweep_at_ms;
    size_t swept;                 /* of the walk over all destinations */
    _Atomic int64_t next_turn_ms; /* ms since 1970 */
    _Atomic int64_t turned_ms;    /* ms since 1970: the last turn */
    int64_t looks_since_ms;       /* in the second that began then … */
    unsigned looks;               /* … so many were looked at that had waited for long */
    bool whole;                   /* all that was in the spool at start is known */
    bool draining;
};

static inline void lock(struct dispatch *dispatch)
{
    pthread_mutex_lock(&dispatch->lock);
}

static inline void unlock(struct dispatch *dispatch)
{
    pthread_mutex_unlock(&dispatch->lock);
}

/* dispatch_connections.c */
/* As many connections as the site needs now and may have: woken, or opened. */
void recruit(struct dispatch *dispatch, struct site *site, unsigned prefer);
void turn_sites(struct dispatch *dispatch, int64_t now_ms);

/* dispatch.c */
unsigned next_worker(struct dispatch *dispatch);
/* dispatch_turn() is to be called at `at_ms` at the latest. */
void hasten(struct dispatch *dispatch, int64_t at_ms);
void end_locally(struct dispatch *dispatch, struct entry *entry, const struct verdict *verdict,
                 struct route *route, unsigned worker);

/* The same, but nothing happened to it: whether something is to be told is looked at. */
void look_locally(struct dispatch *dispatch, struct entry *entry, const struct verdict *verdict,
                  unsigned worker);

/* dispatch_time.c */
/* When somebody must look why an entry that is READY has not left. */
int64_t look_at_ms(const struct dispatch *dispatch, struct span destination,
                   const struct entry_facts *facts);
int64_t look_at_entry_ms(const struct dispatch *dispatch, const struct entry *entry);

/* dispatch_routes.c */
void sites_init(struct dispatch *dispatch);
void site_release(struct dispatch *dispatch, struct site *site);
/* The destination has ready envelopes: whatever its route's state asks for is done. */
void serve(struct dispatch *dispatch, struct destination *destination, unsigned prefer);
/* What waits for this site gets the verdict, and whatever comes in the next minute. */
void fail_routes(struct dispatch *dispatch, struct site *site, const struct verdict *verdict,
                 unsigned worker);
void turn_routes(struct dispatch *dispatch, int64_t now_ms);
/* Forgets destinations that are empty and whose knowledge is old, in steps: true once all have been
 * looked at. */
bool sweep_routes(struct dispatch *dispatch, int64_t now_ms);
/* All destinations are resolved anew under the configuration that holds now. */
void forget_ways(struct dispatch *dispatch);
void routes_free(struct dispatch *dispatch);

/* policy_events.c */
/* A search has led the route to that site. */
void tell_policy(struct route *route, const struct site *site);

/* dispatch_destinations.c */
void suspensions_init(struct dispatch *dispatch);
void suspensions_free(struct dispatch *dispatch);
bool is_suspended(const struct dispatch *dispatch, const char *destination);
/* Says why, and until when (0: nobody knows), if it is suspended. */
void why_suspended(const struct dispatch *dispatch, const char *destination, int64_t *until_ms,
                   char *why, size_t size);
void turn_suspensions(struct dispatch *dispatch, int64_t now_ms);

/* dispatch_operator.c */
void orders_init(struct dispatch *dispatch);
void orders_free(struct dispatch *dispatch);
/* The entry is OUT, nobody works on it any more, and it has an order: that is done. */
void carry_out(struct dispatch *dispatch, struct entry *entry, int64_t due_ms);
/* It goes, or nothing is wanted of it any more. */
void forget_order(struct dispatch *dispatch, struct entry *entry);

/* dispatch_look.c */
/* Its envelopes by state, as an operator sees them: behind a back-off a READY one is WAITING. */
void add_shown_counts(const struct dispatch *dispatch, const struct destination *destination,
                      int64_t now_ms, unsigned counts[ENTRY_STATES]);
/* Why a READY entry has not left: its site's or its route's last failure; "" when none. */
void why_waiting(const struct entry *entry, char *why, size_t size);
