/* An attempt: one try at an envelope. It begins with a claimed entry, is carried by a
 * connection (or ended locally), and always ends in one verdict per recipient, one change for
 * the committer and one event per recipient. */
#pragma once

#include "queue/committer.h"
#include "queue/scheduler.h"
#include "relay/outbound/session.h"

struct worker;

struct attempt {
    struct worker *worker;
    struct entry *entry;       /* OUT */
    struct envelope *envelope; /* owned */
    struct delivery delivery;  /* what the session works on */
    struct arena arena;        /* verdicts and their texts */

    /* For the log. */
    int64_t claimed_ms;  /* ms since 1970 */
    int64_t connect_ms;  /* how long the connection took, when it was made for this */
    uint64_t connection; /* its number; 0: none */
    const char *tls;     /* "may:TLSv1.3:resumed", "none"; in the arena */

    /* On its way to the committer. */
    struct change change;
    struct envelope *rest;   /* the recipients that stay; NULL: none */
    struct envelope *bounce; /* rides with the change; NULL: none is owed */
};

struct attempt *attempt_create(struct worker *worker, struct entry *entry,
                               struct envelope *take_envelope);

/* Every recipient without a verdict gets this one. */
void attempt_settle(struct attempt *attempt, const struct verdict *verdict);

/* All verdicts are there: makes the change and posts it. What follows the commit (events,
 * metrics, the entry's end or its next due time, the bounce's submission) happens when it
 * comes back, and frees the attempt. */
void attempt_end(struct attempt **take_attempt);

/* Nothing was tried: the entry goes back to the head of its queue. */
void attempt_return(struct attempt **take_attempt);

/* The envelope cannot be read: held for a while, and shouted about. */
void entry_damaged(struct worker *worker, struct entry *entry);

/* deliver() of a struct local_end; see struct dispatch_parts. */
void attempt_end_locally(struct mail *take_local_end, void *taker);
