/* An inbound connection: one client's channel, the session spoken over it, and the message it
 * is handing in. Belongs to one worker and lives on its thread only. */
#pragma once

#include "base/list.h"
#include "relay/inbound/inbound.h"
#include "tlspolicy/tls.h"

struct inbound {
    struct worker *worker;
    struct config *config; /* one reference */
    struct listener *listeners;
    unsigned listener_count;
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

void inbound_connection_open(struct inbound *inbound, int socket, const struct endpoint *client,
                             enum newlines newlines, struct server_tls *tls);

/* Says 421 to those that have nothing under way, and closes them. */
void inbound_connections_drain(struct inbound *inbound);
/* At the end of the process. */
void inbound_connections_close(struct inbound *inbound);

/* Connections per client, shared by all workers. False: over the limit, not counted. */
bool inbound_clients_enter(struct inbound_clients *clients, const struct ip *ip, unsigned limit);
void inbound_clients_leave(struct inbound_clients *clients, const struct ip *ip);
