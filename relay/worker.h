/* A worker: one thread, one event loop, one timer wheel; its inbound connections and its
 * outbound ones. Workers share nothing hot: they meet in the dispatch, for a moment, and talk
 * by mailboxes.
 *
 * worker_step() is one turn: events, mails, timers. A production thread is a loop around it;
 * whoever steps several workers in one thread gets the same relay. */
#pragma once

#include "base/mailbox.h"
#include "base/wheel.h"
#include "queue/committer.h"
#include "queue/loader.h"
#include "relay/config.h"
#include "relay/families.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "tlspolicy/tls.h"

struct discoverer;
struct dispatch;
struct envelope;
struct inbound;
struct listening;
struct logins;
struct notifier;
struct reports;
struct store;

/* What all workers have in common; lives as long as they do. */
struct relay {
    struct spool *spool;
    struct committer *committer;
    struct loader *loader;
    struct store *store;     /* of TLS policy; NULL: nothing is kept over a restart */
    struct tickets *tickets; /* all workers' */
    struct dispatch *dispatch;
    struct discoverer *discoverer; /* what domains publish of their TLS */
    struct notifier *notifier;
    struct inbound_clients *clients; /* how many connections each client has, */
    struct failures *failures;       /* and how many failed attempts to authenticate */
    struct rates *rates;             /* how many messages each user has sent */
    struct passwords *passwords;     /* their thread */
    struct reports *reports;         /* of TLS sessions: counts, and a thread */
    struct logins *logins;           /* and that of our own, at other hosts */
    _Atomic uint64_t connection_numbers;
};

struct worker {
    unsigned index;
    struct relay *relay;
    struct config *config; /* one reference */
    struct os_loop *loop;
    struct mailbox *mailbox; /* element `index` of the relay's array */
    struct wheel wheel;
    struct random_state random;
    int64_t now_ms;  /* monotonic, as of this turn */
    int64_t wall_ms; /* since 1970, as of this turn */

    struct family_memory families;

    struct tls_client *tls_client;

    struct inbound *inbound; /* listeners and inbound connections */
    struct list outbound;    /* struct connection, all that are not freed */
    struct list graves;      /* struct grave: what is freed at the end of the turn */
};

/* What may still be named by an event of this turn is freed at its end. */
struct grave {
    struct list_node node;
    void (*bury)(struct grave *grave);
};

struct worker *worker_create(struct relay *relay, unsigned index, struct mailbox *mailbox,
                             struct config *config);
void worker_destroy(struct worker **worker);

/* One turn, waiting up to `wait_ms` when there is nothing to do. */
void worker_step(struct worker *worker, int wait_ms);

/* The mailbox's `wake`: its owner is the worker. */
void worker_wake(void *owner);

void worker_bury(struct worker *worker, struct grave *grave, void (*bury)(struct grave *grave));

/* A new configuration, from another thread; `take_where` has a socket for each new listen section,
 * which move in with the array. */
void worker_reconfigure(struct worker *worker, struct config *config, struct listening *take_where);

/* Fresh from a commit: for delivery, by this worker if it can. The envelopes move in. */
void worker_submit(struct worker *worker, struct envelope *const *take, size_t count);

/* Asks it, from another thread, to take no more mail and to end its connections when they have
 * nothing in hand. */
void worker_drain(struct worker *worker);
