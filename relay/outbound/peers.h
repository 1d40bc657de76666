/* Peers: the addresses that connections go to, each with how many there are now, of all sites
 * together. Many domains may lie with one provider and be sites of their own; its hosts see one
 * client all the same.
 *
 * Pure bookkeeping under the dispatch's lock; a peer lives while there is a connection to it. */
#pragma once

#include "base/ip.h"
#include "base/list.h"
#include "base/map.h"

struct peer {
    struct endpoint at;
    unsigned connections;
    struct list idle; /* struct slot.parked: those in the pool that are connected there */
};

struct peers {
    struct map map; /* struct peer, by `at` */
};

void peers_init(struct peers *peers);
void peers_free(struct peers *peers); /* none is left */

/* One more connection; NULL when there are `most` already. */
struct peer *peers_take(struct peers *peers, const struct endpoint *at, unsigned most);
/* One less. */
void peers_give(struct peers *peers, struct peer *peer);

/* How many more there may be. */
unsigned peers_room(const struct peers *peers, const struct endpoint *at, unsigned most);
/* NULL when there is no connection to it. */
struct peer *peers_find(const struct peers *peers, const struct endpoint *at);
