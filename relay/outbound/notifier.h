/* The notifier: notifications as new mail, and how many of them a sender gets. One for all workers,
 * which hold its lock for a moment.
 *
 * A notification of a failure, a delay or a relaying rides with the verdicts that it tells of, in
 * one commit: attempts do that (notifying.c). The notifier posts what is not bound to an attempt:
 * copies for the postmaster, and summaries of what was withheld. Should the spool be full these
 * are given up, with a line in the log. */
#pragma once

#include "queue/bounce.h"

struct worker;

struct notifier;

struct notifier *notifier_create(void);
void notifier_destroy(struct notifier **notifier);

/* Whether this sender may get one more; if not it is counted for the summary. */
bool notifier_allows(struct notifier *notifier, const struct worker *worker, const char *sender);

/* An envelope with a new message from the null sender: `body` moves in. `flags` as bounce_write()
 * returned them. */
struct envelope *notification_create(const struct worker *worker, const char *to, uint64_t id,
                                     uint32_t flags, struct buffer *take_body);
/* It is durable: counted, and given to its destination. */
void notification_submit(struct worker *worker, struct envelope *take_notification);

/* Makes it durable and submits it. */
void notifier_post(struct worker *worker, struct envelope *take_notification);

/* Writes the summaries that are due; worker 0 asks in each of its turns. */
void notifier_turn(struct notifier *notifier, struct worker *worker);
