/* Who asks the operator's table of TLS policies (policy_map.h): a few threads, each with a
 * connection of its own that it keeps, begun with the first question. An answer, or that there is
 * none in time, comes back by mailbox. Nothing is remembered: who asks knows for how long
 * (POLICY_MAP_TTL_MS). */
#pragma once

#include "base/mailbox.h"
#include "relay/policy_map.h"

#define POLICY_ASKERS 8            /* questions under way at a time */
#define POLICY_ANSWER_MS 30000     /* for an answer: the server may have to fetch a policy */
#define POLICY_QUESTIONS_MAX 20000 /* that wait; more get no answer */

struct policy_question {
    struct mail mail; /* deliver() is called on the thread that owns `reply_to` */
    struct mailbox *reply_to;
    const char *map;      /* as configured, … */
    const char *next_hop; /* … and for whom: both the asker's, untouched */

    enum policy_answer answer; /* never POLICY_UNFINISHED */
    struct span text;          /* in `arena` */
    struct arena *arena;       /* the asker's, to be written to */
};

struct policy_asker;

struct policy_asker *policy_asker_create(void);
/* Any thread. */
void policy_asker_post(struct policy_asker *asker, struct policy_question *take);
/* Ends the threads; who still waits, and who asks then, gets POLICY_FAILED at once. */
void policy_asker_stop(struct policy_asker *asker);
void policy_asker_destroy(struct policy_asker **asker);
