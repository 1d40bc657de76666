/* The inside of an attempt, for its own files: attempt.c (its life, and the change), ending.c (what
 * stays, and until when), ruling.c (what rules make of it), notifying.c (what the sender is told)
 * and attempt_events.c (the log and the metrics). */
#pragma once

#include "relay/outbound/attempt.h"
#include "relay/outbound/dispatch.h"
#include "relay/worker.h"

/* The recipient goes on in the queue. */
static inline bool verdict_stays(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_DEFERRED || verdict->kind == VERDICT_IN_DOUBT;
}

/* ending.c: turns verdicts into what the configuration makes of them, and makes the rest. */
void attempt_decide(struct attempt *attempt);

/* ruling.c: verdicts become what rules say. */
void attempt_apply_rules(struct attempt *attempt);
/* The longest time that a rule named: ms; 0: none did. */
int64_t attempt_rests_ms(const struct attempt *attempt);
/* A site or a destination rests because of a rule. */
void attempt_rest(const struct attempt *attempt);

/* notifying.c: writes the notification that is owed, if any, and goes on to attempt_commit(): at
 * once, or when the original has been read. */
void attempt_notify(struct attempt *attempt);
/* It is durable: counted, told and given to its destination. */
void attempt_submit_bounce(struct attempt *attempt);

/* attempt.c: posts the change. */
void attempt_commit(struct attempt *attempt);

/* attempt_events.c: what is durable is told and counted. */
void attempt_tell(const struct attempt *attempt);
