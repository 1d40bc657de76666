/* What the two sides of the simulated network share: wire.c (bytes under way, and the actors at
 * the one end) and os_sim.c (the relay's sockets at the other). For these two only. */
#pragma once

#include "base/list.h"
#include "relay/os.h"
#include "tests/sim/world.h"

#define WINDOW (256u << 10) /* bytes under way to an actor, then the socket is full */

enum kind { FREE, LISTENER, STREAM };

struct os_loop {
    struct list pending; /* sockets with events */
    bool woken;
    int64_t next_us;
};

struct socket {
    struct list_node pending; /* in loop->pending */
    enum kind kind;
    struct os_loop *loop;
    struct watcher *watcher;
    unsigned what; /* events not told yet */
    struct endpoint local, peer;
    struct wire *wire;
    struct list backlog; /* of a listener: wires */
};

struct wire {
    struct list_node waiting; /* in a listener's backlog */
    struct action arrival;
    struct list to_relay, to_actor; /* pieces */
    struct actor *actor;
    struct place *place;
    int socket; /* of the relay; -1: closed */
    struct endpoint from, to;
    struct buffer in; /* arrived at the relay, not read */
    size_t under_way; /* bytes to the actor */
    bool connecting, established, refused, reset;
    bool full;                     /* a write was short: the relay waits until it may go on */
    bool parting;                  /* the relay has said QUIT */
    bool relay_ended, actor_ended; /* as the other side knows */
};

/* os_sim.c */
struct socket *socket_of(int number);
struct socket *find_listener(const struct endpoint *at);
/* Events for whoever watches it. */
void tell(struct socket *socket, unsigned what);
uint16_t free_port(void);

/* wire.c */
struct wire *make_wire(struct actor *actor);
void free_if_done(struct wire *wire);
/* Bytes, and the end, for the other side: in pieces of a size and after a time that chance gives;
 * order is kept. */
void put(struct wire *wire, struct list *pieces, struct span bytes, bool end);
/* What is under way comes at its time from now on. */
void wire_connected(struct wire *wire);
struct place *find_place(const struct endpoint *at);
