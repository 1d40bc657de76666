/* The simulated machine: a clock that only moves when nobody has anything to do, a network with
 * delays and faults, and one source of randomness. Everything that happens follows from the seed.
 *
 * One thread. The relay sees it through relay/os.h (os_sim.c); clients and servers of the
 * simulation are actors: they are called when something arrives. */
#pragma once

#include "base/buffer.h"
#include "base/heap.h"
#include "base/ip.h"
#include "base/random.h"

#define SIM_BEGAN_MS INT64_C(1763726400000) /* what the wall says at the beginning */

/* ---- time ---- */

struct action { /* something that happens later */
    struct heap_node node;
    void (*act)(struct action *action);
};

int64_t sim_now_us(void);
/* Within `us` from now; an action that waits already is moved. */
void sim_after(struct action *action, int64_t us);
void sim_cancel(struct action *action);
/* Carries out what is due now. False when nothing was. */
bool sim_act(void);
/* When something happens next: us; INT64_MAX: never. */
int64_t sim_next_us(void);
void sim_set_clock(int64_t us);
extern bool sim_talks; /* what is said goes to standard output */

int64_t sim_wall_ms(void);
void sim_jump(void); /* somebody sets the wall clock, forward or back */

/* What goes into the hash by which two runs of one seed are compared. */
void sim_trace(struct span bytes);

/* ---- chance ---- */

void sim_seed(uint64_t seed);
uint64_t sim_below(uint64_t bound);
bool sim_chance(unsigned per_thousand);

/* ---- the network ---- */

struct wire; /* one connection between the relay and an actor */

struct actor {
    /* Bytes have come, or the relay has ended its side (`ended`), or reset it. */
    void (*heard)(struct actor *actor, bool ended);
    struct wire *wire; /* NULL once it is closed */
    struct buffer in;  /* what came and was not consumed */
};

/* Somebody waits for connections of the relay at that address and port. `met` returns the actor
 * that takes the connection; NULL: it is refused. */
struct place {
    struct endpoint at;
    struct actor *(*met)(struct place *place);
    bool silent;      /* does not even refuse: the relay runs into its timeout */
    unsigned open;    /* connections of the relay to this address, as the relay sees it */
    unsigned parting; /* of these, those on which it has said QUIT in clear */
};
void sim_add_place(struct place *place);

/* The actor connects to a listener of the relay. False: nobody listens. */
bool sim_connect(struct actor *actor, const struct endpoint *to);

void sim_send(struct actor *actor, struct span bytes); /* in pieces, after a while */
void sim_end(struct actor *actor);                     /* after what was sent */
void sim_reset(struct actor *actor);                   /* at once: what is under way is lost */
/* Whether the relay has taken this connection, and not closed it. */
bool sim_is_held(const struct actor *actor);
/* What the actor has sent and the relay has not read yet: bytes. */
size_t sim_unread(const struct actor *actor);

/* ---- the relay's loops, for whoever steps it ---- */

struct os_loop;
/* Whether a step would find anything: events, a wake, or a time that has come. */
bool sim_loop_is_due(const struct os_loop *loop);
/* When it wants to be stepped at the latest: us. */
int64_t sim_loop_next_us(const struct os_loop *loop);
