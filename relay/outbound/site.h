/* A site: the hosts that serve a destination, together with the TLS policy they must be
 * reached under and the limits that hold for it. Destinations with the same hosts, policy and
 * limits share one site, so they share its connections.
 *
 * Pure bookkeeping under the dispatch's lock: who has work, which connections are busy, idle
 * or about to claim, and whether another one is needed. Sites are made and freed by dispatch. */
#pragma once

#include "base/mailbox.h"
#include "queue/destination.h"
#include "queue/pace.h"
#include "relay/config.h"
#include "relay/outbound/bucket.h"
#include "relay/outbound/peers.h"
#include "relay/resolve.h"
#include "tlspolicy/terms.h"

struct reported;

struct site_host {
    char *name; /* as in DNS or the route; "[192.0.2.1]" for an address */
    uint16_t preference, port;
    bool implicit; /* TLS comes first there (RFC 8314 3) */
    unsigned count;
    struct ip *addresses;
    struct tls_terms tls; /* what it must show; its strings lie in `arena` */
    struct arena arena;
    struct tls_history history;
    int64_t tls_failed_until_ms; /* ms since 1970; `may` does not try TLS before */
};

#define SITE_TLS_MEMORY_MS 600000 /* how long a failed handshake is remembered (under `may`) */

enum slot_state {
    SLOT_CLAIMANT, /* opening, or woken: it will claim */
    SLOT_BUSY,     /* has an envelope in hand */
    SLOT_IDLE,     /* in the pool */
    SLOT_LEFT,     /* given back */
};

/* A connection's place within its site's limit; embedded in the connection. */
struct slot {
    struct site *site;
    struct list_node pooled; /* in its worker's share while IDLE */
    struct mail wake;        /* posted to the worker when IDLE -> CLAIMANT */
    unsigned worker;
    enum slot_state state; /* written by site.c only */
    bool probe;            /* the one that finds out whether a dead site is back */
    bool waking;           /* `wake` is on its way: the connection must not go before it came */
    struct peer *reserved; /* a place that is kept for it until it connects; NULL: none */
    bool evicted;          /* woken only to close: another site waits for its place at the peer */
    struct peer *peer;     /* whom it is connected to; set by its connection while not IDLE */
    struct reported *reported; /* whom its sessions are counted for; NULL: nobody. One reference */
    struct list_node parked;   /* in peer->idle while IDLE */
};

/* On what terms hosts are reached; a part of what makes a site. Points into the configuration. */
struct site_terms {
    const struct tls_config *tls;
    const struct destination_config *limits;
    const struct addresses *sources;  /* never NULL; may be empty */
    const char *hello;                /* the name in EHLO */
    const struct login_config *login; /* whom to authenticate as; NULL: nobody */
};

struct site_terms site_terms(const struct config *config, struct span destination);

/* What one worker has of a site's connections. */
struct site_share {
    struct list idle; /* slots, the last used first */
    unsigned connections;
};

struct site {
    char *key;             /* what makes it this site and no other */
    unsigned references;   /* routes that lead here, and slots */
    unsigned routes;       /* that lead here; at 0 nothing new will come */
    struct config *config; /* one reference; the terms point into it */
    struct site_terms terms;
    atomic_uint next_source;
    struct site_host *hosts; /* by preference */
    unsigned host_count;

    struct list turn;     /* routes with ready envelopes, each in its turn */
    unsigned connections; /* slots not LEFT: never above limits->max_connections */
    unsigned claimants;
    struct site_share *shares; /* one per worker */
    unsigned worker_count;

    struct peers *peers;      /* the dispatch's */
    struct list_node crowded; /* in the dispatch's list while it waits for a place at a peer */
    struct bucket messages, openings; /* of terms.limits' rates */
    int64_t again_ms; /* when a rate lets it recruit again: ms since 1970; 0: none hinders it */

    struct pace pace;
    int64_t rests_until_ms;   /* a rule lets nothing new begin before: ms since 1970 */
    struct heap_node wake_up; /* in dispatch's index while backing off or resting */
    char last_failure[256];   /* or why it rests */
};

/* How a destination is reached: destination->route. */
enum route_state {
    ROUTE_UNKNOWN, /* never asked, or the answer is too old */
    ROUTE_RESOLVING,
    ROUTE_KNOWN,   /* leads to a site */
    ROUTE_FAILED,  /* a local verdict holds for all its envelopes, until known_until_ms */
    ROUTE_WAITING, /* DNS gave no answer: asked again at pace.retry_at_ms */
};

struct route {
    struct destination *destination;
    enum route_state state;
    struct site *site;     /* while KNOWN, and while a known one is resolved anew */
    struct list_node turn; /* in site->turn while it has ready envelopes */
    int64_t known_until_ms;
    char *policy;           /* what its hosts must show, as it was told last; NULL: nothing was */
    struct verdict verdict; /* while FAILED or WAITING; its spans point into the arena */
    struct arena arena;
    struct pace pace;
    struct heap_node wake_up;
    bool look_anew;              /* the next search is: what the domain publishes may be newer */
    int64_t looked_anew_ms;      /* the last one of these ended: since 1970 */
    struct reported *reported;   /* whom sessions are counted for, as far as known: one reference */
    bool ending;                 /* a worker is ending its envelopes one by one */
    bool lapsed;                 /* what is known of `site` holds no longer: nothing goes there */
    struct searching *searching; /* while RESOLVING: dispatch's */
};

/* A site for these hosts; the key is made of everything that must be the same to share it. */
struct site *site_create(struct config *config, const struct site_terms *terms,
                         struct site_host *take_hosts, unsigned count, unsigned worker_count,
                         struct peers *peers);
void site_free(struct site *site);
void site_hosts_free(struct site_host *hosts, unsigned count);
char *site_key(const struct site_terms *terms, const struct site_host *hosts, unsigned count);

/* The source whose turn it is, of this family. False when there is none: the machine chooses. Any
 * thread. */
bool site_source(struct site *site, uint8_t family, struct ip *source);

enum recruit {
    RECRUIT_NONE,
    RECRUIT_LATER,   /* a rate is used up: ask again at `again_ms` */
    RECRUIT_CROWDED, /* its peers have as many connections as they may: ask again when one ends */
    RECRUIT_WAKE,    /* `slot` is CLAIMANT now: post its wake */
    RECRUIT_OPEN,    /* a place is taken and a claimant counted: open a connection on `worker` */
};

struct recruited {
    unsigned worker;
    struct slot *slot;
    bool probe;
    struct peer *reserved; /* a place at a peer, for the one that is to be opened */
    int64_t again_ms;      /* since 1970 */
};

/* One more connection for what is ready? `prefer` is the worker that would be best; a new one goes
 * to whoever has fewest, so that all work for one site. `now_ms`: ms since 1970. Call again until
 * RECRUIT_NONE or RECRUIT_LATER. */
enum recruit site_recruit(struct site *site, unsigned prefer, int64_t now_ms,
                          struct recruited *got);

/* The next ready envelope, OUT, for a connection that claims one; NULL when there is none, or when
 * the rate of messages is used up. */
struct entry *site_claim(struct site *site, int64_t now_ms);

/* Which limit holds back what is ready now: "rate limit 10/s"; "" when none does. */
void site_why(const struct site *site, int64_t now_ms, char *why, size_t size);

/* The site in whose place this one is: its rates go on, and what is remembered of its hosts. */
void site_succeed(struct site *site, const struct site *before);

/* The route has ready envelopes: it takes its turn, unless it has lapsed. */
void site_offer(struct route *route);
/* The route is led elsewhere: it gives up its turn. */
void site_withdraw(struct route *route);
/* The next ready envelope, OUT; each route in its turn. NULL when there is none. */
struct entry *site_next(struct site *site);

/* When something new may begin there: ms since 1970; 0: now, as far as limits allow. */
int64_t site_waits_until(const struct site *site, int64_t now_ms);

/* How many connections there may be to one address of its hosts, those of other sites included. */
unsigned site_most_per_peer(const struct site *site);
/* Whether this is an address of its hosts. */
bool site_goes_to(const struct site *site, const struct endpoint *at);
/* One of those that are connected to its peers idles, and belongs to another site. */
struct slot *site_find_foreign_idle(const struct site *site);

/* A slot for a place that site_recruit took. */
void slot_init(struct slot *slot, struct site *site, unsigned worker, bool probe,
               struct peer *take_reserved);
void slot_move(struct slot *slot, enum slot_state state);
/* Its connection is gone, and is counted no more. */
void slot_forget(struct slot *slot);
