/* One life of a spool, recorded: it is opened, mail comes and goes, it is closed. */
#pragma once

#include "base/random.h"
#include "tests/crash/ledger.h"

#define CRASH_MAP_BYTES (64u << 20)
#define CRASH_SEGMENT_BYTES (64u << 10)
#define CRASH_WALL_MS INT64_C(1700000000000)

struct life_plan {
    const char *directory;
    enum durability durability;
    unsigned turns;
    bool answers_early; /* what is handed in is called accepted before its commit */
};

/* The spool's options for a life, and for whoever looks at what it left. */
struct spool_options life_options(const char *directory, enum durability durability);

/* The disk is being recorded; `ledger` holds what lies in the spool. */
void life_run(const struct life_plan *plan, struct ledger *ledger, struct random_state *chance);

/* Parts of it that a second life needs as well. */
struct message *life_message(const struct letter *letter);
struct envelope *life_envelope(struct message *message, unsigned number, unsigned recipients);
