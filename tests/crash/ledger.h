/* What the spool must hold at any moment of a recorded run, and what it may.
 *
 * One commit is made at a time. So a crash leaves what all commits that had come home made of the
 * spool, or that and the one under way, as a whole: two states, and no third. */
#pragma once

#include "queue/spool.h"
#include "tests/crash/disk.h"

#define LETTERS_MAX 4000 /* messages of one run, all lives together */
#define LETTER_ENVELOPES 3
#define DESTINATIONS 4 /* which may be suspended */
#define SLOTS (LETTERS_MAX * LETTER_ENVELOPES + DESTINATIONS)

/* A message, once its id is given out; what it says follows from the id. */
struct letter {
    uint64_t id;
    uint32_t length;
    bool own_file;
};

/* What the spool holds of an envelope, or (`stored` alone) of a destination's suspension. */
struct slot {
    bool stored, held;
    uint16_t attempts;
    uint16_t recipients;
    int64_t due_ms;
};

struct slot_change {
    unsigned slot;
    struct slot after;
};

/* What came home of one turn of the committer. */
struct commit {
    size_t begun, home; /* operations of the disk before it, and when it was answered */
    struct slot_change *changes;
    size_t count;
};

struct ledger {
    struct letter letters[LETTERS_MAX];
    unsigned letter_count;
    struct slot slots[SLOTS];  /* as of the last commit that came home */
    struct slot before[SLOTS]; /* when this life began */
    struct commit *commits;    /* of this life */
    size_t commit_count;
    uint64_t highest_id; /* of all that was stored before this life */
};

static inline unsigned slot_of(unsigned letter, unsigned number)
{
    return letter * LETTER_ENVELOPES + number;
}

static inline unsigned slot_of_destination(unsigned destination)
{
    return LETTERS_MAX * LETTER_ENVELOPES + destination;
}

/* Its bytes: malloc'd, `length` and a NUL. */
char *letter_body(const struct letter *letter);
/* LETTERS_MAX: nobody handed that one in. */
unsigned ledger_find(const struct ledger *ledger, uint64_t id);

/* A life begins with what the spool was found to hold. */
void ledger_begin(struct ledger *ledger, const struct slot *found);
void ledger_end(struct ledger *ledger);

struct commit *ledger_commit_begun(struct ledger *ledger, size_t position);
void ledger_commit_change(struct commit *commit, unsigned slot, struct slot after);
/* Answered: it counts from here on. */
void ledger_commit_home(struct ledger *ledger, struct commit *commit, size_t position);
/* Of all that was stored when the first `count` commits of this life were made. */
uint64_t ledger_highest_id(const struct ledger *ledger, size_t count);

/* How many commits had come home, and whether one more was under way. */
size_t ledger_home_at(const struct ledger *ledger, size_t position, bool *under_way);
/* What the first `count` commits of this life made. */
void ledger_state(const struct ledger *ledger, size_t count, struct slot slots[SLOTS]);

/* The first slot in which they differ; SLOTS: none. */
unsigned slots_differ(const struct slot *a, const struct slot *b);
