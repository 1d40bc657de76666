/* What the operator asks of the dispatch: to look at the queue, and to act on it.
 *
 * Any thread. Nothing here holds the dispatch's lock for longer than a few thousand entries
 * take; what is asked of more is answered in steps, between which mail comes and goes. */
#pragma once

#include "queue/destination.h"
#include "relay/outbound/orders.h"

struct dispatch;

/* ---- envelopes ---- */

struct queue_look {
    enum entry_state state; /* behind a back-off a READY one is WAITING, as an operator sees it */
    int64_t due_ms;         /* the next attempt: ms since 1970; 0: now */
    char why[256];          /* why it has not left: the site's last failure; "" */
};

/* False when there is no such envelope. */
bool dispatch_look(struct dispatch *dispatch, uint64_t id, uint16_t number,
                   struct queue_look *look);

/* False while the spool is still being read at start: not all of it is known here. */
bool dispatch_is_whole(struct dispatch *dispatch);

struct envelope_key {
    uint64_t id;
    uint16_t number;
};

/* Whether the one who asks wants an envelope of that destination in that state (a look's). Runs
 * under the lock. */
typedef bool dispatch_wants(const void *context, const char *destination, enum entry_state state);

/* The known envelopes that are wanted, in order of their ids; `*keys` is malloc'd. What changes
 * meanwhile may be there or not; what stays as it is is. */
size_t dispatch_find(struct dispatch *dispatch, dispatch_wants *wants, const void *context,
                     struct envelope_key **keys);

/* ---- orders ----
 *
 * Each holds at once, or for an envelope that is OUT after this attempt, unless that delivers it;
 * of two orders for one that is OUT the later counts. It is logged, and counted, when it is
 * durable; until then it is one of `orders` (which may be NULL). False: no such envelope, or one
 * that is about to go. Texts are copied. */

/* Not tried until it is released, over restarts too. Its time in the queue goes on. */
bool dispatch_hold(struct dispatch *dispatch, uint64_t id, uint16_t number, const char *reason,
                   struct orders *orders);

/* Due now. False also: it is not held, and nothing was ordered. */
bool dispatch_release(struct dispatch *dispatch, uint64_t id, uint16_t number,
                      struct orders *orders);

/* Returned to its sender, who is told the reason. */
bool dispatch_fail(struct dispatch *dispatch, uint64_t id, uint16_t number, const char *reason,
                   struct orders *orders);

/* Removed; nobody is told. */
bool dispatch_drop(struct dispatch *dispatch, uint64_t id, uint16_t number, struct orders *orders);

/* Due now, and its site may be tried at once; a site that fails again is tried once only for
 * all the envelopes of one command, which began at `asked_ms`. False also: it is held. */
bool dispatch_retry(struct dispatch *dispatch, uint64_t id, uint16_t number, int64_t asked_ms);

/* ---- the whole ---- */

struct dispatch_facts {
    unsigned entries, counts[ENTRY_STATES]; /* the states as in a look */
    unsigned destinations, sites;
};
void dispatch_facts(struct dispatch *dispatch, struct dispatch_facts *facts);
