/* One life of the relay: its own parts, put together as relay/starting.c does it, but each stepped
 * by hand in an order that chance gives. It ends with the run, or with a crash. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define LIFE_CLIENTS 12

struct life_plan {
    uint64_t seed;
    const char *directory; /* with the configuration, and the spool */
    int64_t heals_us;      /* from then on nothing goes wrong any more */
    int64_t dies_us;       /* INT64_MAX: it does not */
    int64_t ends_us;       /* what is not done by then never will be */
    bool disk_fails;
    bool talks; /* the log goes to stderr, too */
};

enum life_end {
    LIFE_DONE,  /* nothing is queued, and nobody has anything to hand in */
    LIFE_DIED,  /* as planned */
    LIFE_WRONG, /* ledger->broken tells */
};

enum life_end live(const struct life_plan *plan);
/* In the middle of whatever it does: ends the process with LIFE_DIED. */
void life_dies(void) __attribute__((noreturn));

/* Writes the configuration of a run. */
void life_configure(const char *directory);
