/* The committer: the only writer of the spool. Group commit, then wake those who waited.
 *
 * Any thread posts a change. The committer takes all that gathered during the last commit
 * (up to COMMITTER_BATCH_MAX changes and COMMITTER_BATCH_BYTES of bodies), writes the bodies,
 * syncs, commits once, and sends every change back to the mailbox it names.
 *
 * Verdicts and new mail wait apart, each in order, and share every batch: however many of the one
 * there are, the other goes on. A client waits for new mail to be durable, and nobody for a
 * verdict: where there are only verdicts they gather first, to share one (queue/inbox.h). New mail
 * that does not fit comes back SPOOL_FULL (452). A verdict never comes back undone: it is tried
 * again until it fits, ahead of any new mail. When the spool is broken the process must end:
 * committer_step returns false. */
#pragma once

#include "base/distribution.h"
#include "base/mailbox.h"
#include "queue/spool.h"

#define COMMITTER_BATCH_MAX 1024
#define COMMITTER_BATCH_BYTES (4u << 20)
#define COMMITTER_REMOVE_MAX                                                                       \
    400 /* removals a transaction: more would make LMDB's free record span pages */
#define COMMITTER_RETRY_MS 500 /* pause before verdicts that did not fit are tried again */

struct change {
    struct mail mail; /* deliver() is called on the thread that owns `reply_to` */
    struct mailbox *reply_to;
    enum spool_result result;

    /* A new message: the inbound session's, or a bounce that rides with a verdict. */
    struct message *accept; /* borrowed until the change comes back */
    struct envelope **accepted;
    size_t accepted_count;
    struct own_file *own_file; /* the body's file, synced before the commit; or NULL */

    /* What became of an attempt: `update` the envelope, or remove it when that is NULL and
     * `remove` is set. Borrowed until the change comes back. */
    const struct envelope *update;
    bool remove;
    uint64_t id;
    uint16_t number;

    /* Or a word on the envelope that is no attempt's, or one on a destination, to which mail stops
     * or goes on: they count as verdicts do. Borrowed until the change comes back. */
    const struct hold *hold;
    const struct suspension *suspend;
    const char *lift;
};

struct committer;

struct committer *committer_create(struct spool *spool);
void committer_destroy(struct committer **committer); /* nothing may be waiting in it */

/* Any thread. A change without `accept` that only records verdicts cannot be refused. */
void committer_post(struct committer *committer, struct change *take);

/* One turn: waits up to `wait_ms` for changes (0: does not wait), commits what there is.
 * False when the spool is broken; `committer_why` tells what happened. */
bool committer_step(struct committer *committer, int wait_ms);
const char *committer_why(const struct committer *committer);

struct committer_facts {
    uint64_t commits, changes;
    uint64_t commit_us; /* sum over commits: from the first write to durable */
};
void committer_facts(struct committer *committer, struct committer_facts *facts);
/* How long commits took (us), and how many changes each made durable. Any thread. */
const struct distribution *committer_times(const struct committer *committer);
const struct distribution *committer_sizes(const struct committer *committer);
