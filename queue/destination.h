/* A destination: the envelopes that wait for one next hop, and which are out. Those whose senders
 * want them protected otherwise than usual wait apart, in a destination of the same name.
 *
 * Each envelope of the queue is known here by an entry of a few dozen bytes; the envelope
 * itself is in memory only while it is fresh. An entry is in exactly one state:
 *
 *     WAITING   its due time has not come           (the scheduler's deadline index wakes it)
 *     READY     it is in its destination's queue    (the first come is the first out)
 *     OUT       somebody claimed it and works on it (nobody else may)
 *     HELD      it is not tried until the operator releases it
 *
 * Entries and destinations belong to the scheduler, which is the only one to make and free
 * them. Nothing here locks, allocates or knows what a host is. */
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "queue/message.h"

enum entry_state {
    ENTRY_WAITING,
    ENTRY_READY,
    ENTRY_OUT,
    ENTRY_HELD,
};
#define ENTRY_STATES 4

const char *entry_state_name(enum entry_state state); /* "waiting" */

/* What the operator wants of an entry that is OUT, once it no longer is. */
enum entry_order {
    ORDER_NONE,
    ORDER_HOLD,
    ORDER_FAIL,   /* returned to its sender */
    ORDER_DROP,   /* removed, and nobody is told */
    ORDER_ENDING, /* a fail or a drop is being carried out: too late for anything else */
};

struct entry {
    uint64_t id; /* the message's */
    struct destination *destination;
    struct envelope *envelope; /* owned, while fresh; NULL: read it from the spool */
    struct list_node queued;   /* in the destination's queue while READY */
    struct heap_node deadline; /* in the scheduler's index, always */
    uint32_t postponed_s;      /* its time in the queue began so long after its arrival */
    uint16_t number;           /* the envelope's, within its message */
    uint16_t attempts;
    uint8_t recipients; /* up to ENVELOPE_RECIPIENTS_MAX */
    uint8_t state;      /* enum entry_state */
    uint8_t order;      /* enum entry_order */
    bool returned : 1;  /* claimed once and given back untried: not a second time */
    bool warned : 1;    /* as of its envelope, … */
    bool timed : 1;     /* … which says that its message has a deadline of its own */
};
_Static_assert(sizeof(struct entry) <= 56, "a million of them may wait");
_Static_assert(ENVELOPE_RECIPIENTS_MAX <= UINT8_MAX, "an entry counts them in a byte");

struct destination {
    char *name; /* a domain in lower case, or an address literal */
    enum security security;
    struct list queue;
    unsigned counts[ENTRY_STATES];
    unsigned *all_counts; /* of all destinations together: the scheduler's */
    void *route;          /* how it is reached: the relay's, never looked at here */
};

static inline bool destination_is_empty(const struct destination *destination)
{
    for (unsigned state = 0; state < ENTRY_STATES; state++)
        if (destination->counts[state] > 0)
            return false;
    return true;
}

/* One entry more (1) or less (-1) in this state: the only place that writes the counts. */
void destination_count(struct destination *destination, enum entry_state state, int more);

/* The first entry of the queue, READY -> OUT; NULL when none is ready. */
struct entry *destination_next(struct destination *destination);

/* Into the state, from any other: READY goes to the end of the queue. */
void entry_move(struct entry *entry, enum entry_state state);

/* OUT -> READY at the head of the queue: it was claimed, but nothing was tried. */
void entry_return(struct entry *entry);
