/* The server's side as a worker sees it: listeners, and the connections they accepted.
 *
 * Each worker opens every listener for itself (SO_REUSEPORT): the kernel spreads the clients. A
 * listening socket that was there already is watched by all of them: who is free first accepts.
 * The unix socket for local users is worker 0's alone: each of their mails costs a process
 * anyway, so one worker keeps up.
 * Counts per client address are the only thing that workers share here. */
#pragma once

#include "relay/config.h"
#include "relay/os.h"

struct worker;
struct inbound;
struct inbound_clients;

/* Shared by all workers: connections per client, and in all. Thread-safe. */
struct inbound_clients *inbound_clients_create(void);
void inbound_clients_destroy(struct inbound_clients **clients);

/* Makes and destroys all that the workers share on this side, in `relay`. */
struct relay;
void inbound_share(struct relay *relay);
void inbound_unshare(struct relay *relay);

/* Who counts as one client: an IPv4 address, or an IPv6 /64, which one subscriber has. */
struct ip inbound_client_of(const struct ip *ip);

struct listening { /* where a listen section listens */
    struct endpoint at;
    int socket; /* that listens there already; -1: one is made */
};

/* Another socket for each that is there, for a worker to take; the caller frees the array. */
struct listening *listening_share(const struct listening *where, unsigned count);
void listening_close(struct listening *where, unsigned count); /* those that are there */

/* Listens at these places, one per listen section; ports are fixed by the first worker. Sockets
 * move in. NULL with one line in `why`. */
struct inbound *inbound_create(struct worker *worker, struct listening *take_where, char *why,
                               size_t why_size);
void inbound_destroy(struct inbound **inbound);

/* Where it listens now, into `at` of one per listen section. */
void inbound_endpoints(const struct inbound *inbound, struct listening *where);

/* A new configuration, for connections that come from now on: certificates, limits, and where it
 * listens. Sockets of new listen sections must be there and move in; those of sections that are
 * gone are closed. False with `why`, and all stays as it was, when one cannot be used. */
bool inbound_reconfigure(struct inbound *inbound, struct config *config,
                         struct listening *take_where, char *why, size_t why_size);

/* Closes the listeners; connections get 421 at their next command, or when they idle. */
void inbound_drain(struct inbound *inbound);
