/* An inbound connection: one client's channel, the session spoken over it, and the message it
 * is handing in. Belongs to one worker and lives on its thread only. */
#pragma once

#include "base/list.h"
#include "relay/inbound/inbound.h"
#include "relay/inbound/session.h"
#include "tlspolicy/tls.h"

struct inbound {
    struct worker *worker;
    struct listener **listeners;
    unsigned listener_count;
    struct local_listener *local; /* NULL but for worker 0 */
    struct list connections;
    unsigned connection_count;
    bool draining;
};

/* A client was accepted. `tls` (NULL: not offered) lives as long as the connection: it is kept
 * by reference count. */
struct server_tls {
    unsigned references;
    struct tls_server *server;
};
void server_tls_drop(struct server_tls **tls);

/* Who came, and to which listener. */
struct arrival {
    struct endpoint client;             /* no address: a local user; */
    const struct local_user *local;     /* then not NULL */
    struct ip counted_as;               /* by limits.connections-per-client */
    struct config *config;              /* as of the last reload that knew the listener */
    const struct listen_config *listen; /* in it */
    struct server_tls *tls;             /* NULL: not offered */
};

/* Takes the socket: a connection, or a refusal where a limit is reached. */
void inbound_arrived(struct inbound *inbound, int socket, const struct arrival *arrival);
/* `proxied`: a PROXY header comes first, and only then is the client known and counted. */
void inbound_connection_open(struct inbound *inbound, int socket, const struct arrival *arrival,
                             bool proxied);

/* local.c: the unix socket for local submission. NULL with one line in `why`. */
struct local_listener *local_listener_create(struct inbound *inbound, const char *path, char *why,
                                             size_t why_size);
void local_listener_destroy(struct local_listener **listener);

/* Says 421 to those that have nothing under way, and closes them. */
void inbound_connections_drain(struct inbound *inbound);
/* At the end of the process. */
void inbound_connections_close(struct inbound *inbound);

/* Connections per client, shared by all workers. False: over the limit, not counted. */
bool inbound_clients_enter(struct inbound_clients *clients, const struct ip *ip, unsigned limit);
void inbound_clients_leave(struct inbound_clients *clients, const struct ip *ip);
