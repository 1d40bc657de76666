/* An attempt: one try at an envelope. It begins with a claimed entry, is carried by a
 * connection (or ended locally), and always ends in one verdict per recipient, one change for
 * the committer and one event per recipient. */
#pragma once

#include "queue/bounce.h"
#include "queue/committer.h"
#include "queue/loader.h"
#include "queue/scheduler.h"
#include "relay/outbound/rules.h"
#include "relay/outbound/session.h"

struct worker;

/* What of a rule an attempt keeps: the configuration may be replaced meanwhile. */
struct applied_rule {
    const char *name; /* NULL: none applies */
    enum rule_action action;
    int64_t for_ms;
};

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
    const char *tls;     /* "verify:dane:TLSv1.3:resumed", "none:table", "none"; in the arena */
    const char *tls_required; /* the level that had to be reached; NULL: no host was */

    struct applied_rule *rulings; /* one per recipient; in the arena; NULL: nobody looked yet */

    /* What its sender is told. */
    bool last_look;       /* it would have expired, but something may have changed: once more */
    bool looked;          /* nothing was tried: it has waited for long, and goes on waiting */
    bool warns;           /* it has waited so long that this is told */
    enum notice *notices; /* one per recipient; in the arena */
    struct load load;     /* of an original that is not in memory … */
    struct buffer body;   /* … as much as was read of it */

    /* On its way to the committer. */
    struct change change;
    struct envelope *rest;   /* the recipients that stay; NULL: none */
    struct envelope *bounce; /* rides with the change; NULL: none is owed */
};

struct attempt *attempt_create(struct worker *worker, struct entry *entry,
                               struct envelope *take_envelope);

/* Every recipient without a verdict gets this one. */
void attempt_settle(struct attempt *attempt, const struct verdict *verdict);

/* Looks which rule applies to each verdict. Then attempt_lets_go_on() tells whether another host
 * may be asked about a recipient; `without_rule`: what holds where none applies. */
void attempt_rule(struct attempt *attempt);
bool attempt_lets_go_on(const struct attempt *attempt, unsigned recipient, bool without_rule);

/* All verdicts are there: what stays and who is told is decided, and the change posted. What
 * follows the commit (events, metrics, the entry's end or its next due time, the notification's
 * submission) happens when it comes back, and frees the attempt. */
void attempt_end(struct attempt **take_attempt);

/* Nothing was tried: the entry goes back to the head of its queue. */
void attempt_return(struct attempt **take_attempt);

/* The envelope cannot be read: held for a while, and shouted about. */
void entry_damaged(struct worker *worker, struct entry *entry);

/* deliver() of a struct local_end; see struct dispatch_parts. */
void attempt_end_locally(struct mail *take_local_end, void *taker);
