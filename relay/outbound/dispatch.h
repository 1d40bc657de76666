/* The dispatch: the one place that workers share. A mutex around the scheduler, the routes and
 * the sites; every function takes it for a moment, none does I/O under it.
 *
 * Work is pulled. An envelope that becomes ready makes its site recruit one connection: an
 * idle one is woken, or a worker is asked to open one while the site's limit allows. Whatever
 * connection is free first claims the envelope. A busy connection claims again when it is
 * done. So every ready envelope has either a claimant on its way, or all connections the site
 * may have are busy, or its site is backing off and a timer is set.
 *
 * What never leaves is seen as well: each entry has a deadline, and one that expires while its
 * site is dead is ended here with a local verdict. */
#pragma once

#include "base/mailbox.h"
#include "queue/committer.h"
#include "queue/loader.h"
#include "queue/scheduler.h"
#include "relay/config.h"
#include "relay/discovery.h"
#include "relay/outbound/recorder.h"
#include "relay/outbound/site.h"
#include "relay/resolve.h"

struct dispatch;

struct dispatch_parts {
    struct config *config; /* a reference is kept */
    struct spool *spool;
    struct committer *committer;
    struct resolve *resolve;
    struct discoverer *discoverer;
    struct mailbox *workers; /* one per worker; mails to worker n are delivered there */
    unsigned worker_count;
    /* Runs on a worker (as `deliver` of a mail it got), with that worker as `taker`. */
    void (*open)(struct mail *take, void *taker);        /* struct opening: open a connection */
    void (*end_locally)(struct mail *take, void *taker); /* struct local_end */
    void (*wake)(struct mail *mail, void *taker);        /* struct slot */
};

/* A worker is asked to open a connection; its place within the site's limit is taken. */
struct opening {
    struct mail mail;
    struct site *site; /* a slot's reference and place: slot_init() takes them over */
    bool probe;
    struct peer *reserved;     /* moves into the slot, too */
    struct reported *reported; /* the same */
};

/* A worker is asked to end an attempt without a connection: no route, site failed, expired. */
struct local_end {
    struct mail mail;
    struct entry *entry;    /* OUT */
    struct verdict verdict; /* its spans point into `arena` */
    struct arena arena;
    struct route *route; /* not NULL: dispatch_next_local() afterwards */
    bool look; /* nothing happened, it has waited for long: what time has brought about counts; when
                  that is nothing, dispatch_looked() */
};

struct dispatch *dispatch_create(const struct dispatch_parts *parts);
void dispatch_destroy(struct dispatch **dispatch);

/* New routes, policies and limits: destinations are resolved anew, old sites drain. */
void dispatch_reconfigure(struct dispatch *dispatch, struct config *config);

/* No further claims or openings: connections end when they have nothing in hand. */
void dispatch_drain(struct dispatch *dispatch);
/* Entries that are OUT now. */
unsigned dispatch_out(struct dispatch *dispatch);

/* ---- envelopes ---- */

/* Fresh from a commit; `worker` is the one that will serve them if it can. Each envelope
 * moves in (and is let go of again when memory is short). */
void dispatch_submit(struct dispatch *dispatch, unsigned worker, struct envelope *const *take,
                     size_t count);

/* Found in the spool at start; and once all of that is known: dispatch_restored(). */
void dispatch_restore(struct dispatch *dispatch, const struct spool_glance *glances, size_t count);
void dispatch_restored(struct dispatch *dispatch);

/* Nothing was tried: back to the head of its queue. `take` may be NULL. */
void dispatch_return(struct dispatch *dispatch, struct entry *entry, struct envelope *take);

/* The attempt is over and committed: the envelope is gone, or waits until `due_ms`. What the
 * operator wants of it after the attempt is done then. */
void dispatch_finished(struct dispatch *dispatch, struct entry *entry);
void dispatch_deferred(struct dispatch *dispatch, struct entry *entry, int64_t due_ms);
/* The same, but the update that was committed has it as held. */
void dispatch_held(struct dispatch *dispatch, struct entry *entry);

/* ---- connections ---- */

/* The next envelope for a connection of this site: the entry is OUT and the slot busy. NULL
 * with *idle: none is ready; the slot may be woken at any moment. NULL without: the connection
 * must close (it was its `last`, or nothing new will come), and leave when it has. */
struct entry *dispatch_claim(struct dispatch *dispatch, struct slot *slot, bool last, bool *idle);

/* It is about to connect to this address of a host: counted there from now on. NULL when as many
 * connections go there as may. */
struct peer *dispatch_reach(struct dispatch *dispatch, struct slot *slot,
                            const struct endpoint *to);
/* That connection, or attempt to connect, is closed. */
void dispatch_part(struct dispatch *dispatch, struct slot *slot, struct peer **take_peer);
/* For that limit no host could be tried: the slot is given back, and the site waits for a place. */
void dispatch_crowded(struct dispatch *dispatch, struct slot *slot);

/* An idle connection wants to close: true when it may, and nobody will wake it any more. False:
 * a wake is on its way, and it claims then. */
bool dispatch_retire(struct dispatch *dispatch, struct slot *slot);

/* Gives the slot back: the connection is closed. False when a wake for it is on its way: the
 * slot stays taken, and the connection must wait for the wake and leave then. */
bool dispatch_leave(struct dispatch *dispatch, struct slot *slot);

/* The host answered about a mail, or would have if there had been one: the site is alive. */
void dispatch_alive(struct dispatch *dispatch, struct slot *slot);

/* A session failed: of the mail for one destination, or (NULL) before any mail was in hand. */
void dispatch_record(struct dispatch *dispatch, const struct site *site, const char *destination,
                     struct failed_session *take);

/* No host could be connected to, or kept the connection until a mail was through: the site backs
 * off, and the head of its queue is deferred with the verdict unless an envelope was `told`
 * already. The slot is given back. */
void dispatch_failed(struct dispatch *dispatch, struct slot *slot, const struct verdict *verdict,
                     bool told);

/* No host of the site will do for the mail that goes there, now or when tried again: the verdict, a
 * bounce, holds for all that waits for it, and for what comes until its routes are searched for
 * anew. The slot is given back. */
void dispatch_lacking(struct dispatch *dispatch, struct slot *slot, const struct verdict *verdict);

/* Nothing new goes to the site that this entry's destination leads to, until then: a rule says so.
 * What is under way there ends as it ends. ms since 1970. */
void dispatch_back_off(struct dispatch *dispatch, const struct entry *entry, int64_t until_ms,
                       const char *why);

/* A woken connection: its wake has come. */
void dispatch_woken(struct dispatch *dispatch, struct slot *slot);

/* Whether an envelope that is OUT may be failed for good. Where an MTA-STS policy holds for its
 * destination, a newer one is looked for first (RFC 8461 5.1): false, that has begun, and the
 * envelope is to be tried once more in a moment. */
bool dispatch_may_give_up(struct dispatch *dispatch, const struct entry *entry);

/* It was looked at, and goes on waiting where it was. */
void dispatch_looked(struct dispatch *dispatch, struct entry *entry);

/* An envelope of this route was ended locally: worker `worker` gets the next one, if any. */
void dispatch_next_local(struct dispatch *dispatch, struct route *route, unsigned worker);

/* What is remembered of a host's TLS; under the lock. */
struct tls_history dispatch_tls_history(struct dispatch *dispatch, struct site *site,
                                        unsigned host);
void dispatch_tls_outcome(struct dispatch *dispatch, struct site *site, unsigned host,
                          enum tls_outcome outcome);

/* ---- time ---- */

/* How long until dispatch_turn() has something to do: ms, 0 now. Worker 0 asks before it
 * sleeps, and is woken when it must come earlier. */
int dispatch_wait_ms(struct dispatch *dispatch);

/* For how long it should have been called by now: ms. Takes no lock. */
int64_t dispatch_late_ms(struct dispatch *dispatch);

/* Makes ready what is due, ends what has expired, lets sites and DNS be tried again. */
void dispatch_turn(struct dispatch *dispatch);
