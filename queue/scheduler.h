/* The scheduler: due envelopes -> destinations.
 *
 * Every envelope of the spool has one entry here, and every entry is in one deadline index at
 * every moment, so nothing can be forgotten: a WAITING entry by its due time, any other by the
 * moment at which somebody must look why it has not left: of a READY one when its sender must be
 * told that it waits, or its expiry.
 *
 * No locks, no clock, no I/O: the relay's dispatch calls it under its own lock. Times are
 * ms since 1970. */
#pragma once

#include "base/map.h"
#include "base/pool.h"
#include "queue/destination.h"

#define SCHEDULER_MAPS 64 /* so that none is large when it must grow: all wait for that */

struct scheduler {
    struct pool entry_pool, destination_pool;
    struct heap deadlines;
    struct map entries[SCHEDULER_MAPS]; /* by id and number */
    struct map destinations;            /* by name and security */
    unsigned counts[ENTRY_STATES];
};

void scheduler_init(struct scheduler *scheduler);
void scheduler_free(struct scheduler *scheduler);

/* The destination of that name (lower case), made when it is new. */
struct destination *scheduler_destination(struct scheduler *scheduler, struct span name,
                                          enum security security);
/* The same; NULL when there is none. */
struct destination *scheduler_find_destination(const struct scheduler *scheduler, struct span name,
                                               enum security security);

/* Frees a destination without entries and without a route. */
void scheduler_forget(struct scheduler *scheduler, struct destination *destination);

/* All destinations, or all entries, in steps: start with *at = 0; NULL at the end. What is there
 * all the time is met exactly once, whatever changes between the calls; in no order. */
struct destination *scheduler_walk_destinations(const struct scheduler *scheduler, size_t *at);
struct entry *scheduler_walk(const struct scheduler *scheduler, size_t *at);

struct entry_facts {
    uint64_t id;
    uint16_t number, attempts;
    uint8_t recipients;
    bool warned, timed, held;
    uint32_t postponed_s;
    int64_t due_ms;
    int64_t look_ms; /* while READY somebody must look then why it has not left */
};

/* A new entry, HELD or READY when due by `now_ms`, else WAITING. `take` (may be NULL) is the fresh
 * envelope. NULL when that envelope has an entry already. How many there may be is asked
 * before mail is accepted, not here: what is committed must be known. */
struct entry *scheduler_add(struct scheduler *scheduler, struct destination *destination,
                            const struct entry_facts *facts, struct envelope *take, int64_t now_ms);

struct entry *scheduler_find(const struct scheduler *scheduler, uint64_t id, uint16_t number);

/* OUT -> WAITING until `due_ms`. */
void scheduler_defer(struct scheduler *scheduler, struct entry *entry, int64_t due_ms);

/* WAITING -> READY now, whatever its due time was; any other stays as it is. */
void scheduler_hurry(struct scheduler *scheduler, struct entry *entry, int64_t look_ms);

/* From any state -> HELD, and HELD -> READY. */
void scheduler_hold(struct scheduler *scheduler, struct entry *entry, int64_t now_ms);
void scheduler_release(struct scheduler *scheduler, struct entry *entry, int64_t look_ms);
#define SCHEDULER_HELD_LOOK_MS 86400000 /* how often what is held is looked at */

/* The envelope is done: frees the entry. */
void scheduler_remove(struct scheduler *scheduler, struct entry *entry);

/* The next entry whose deadline has passed, or NULL. A WAITING one has become READY; any other
 * is overdue. Either way the caller says with scheduler_look_again when to look next. */
struct entry *scheduler_due(struct scheduler *scheduler, int64_t now_ms, bool *overdue);
void scheduler_look_again(struct scheduler *scheduler, struct entry *entry, int64_t at_ms);

/* When scheduler_due will next have something: ms since 1970, or -1. */
int64_t scheduler_next(const struct scheduler *scheduler);

/* The deadline of a WAITING entry. */
int64_t scheduler_due_ms(const struct scheduler *scheduler, const struct entry *entry);
