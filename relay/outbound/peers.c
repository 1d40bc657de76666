#include "relay/outbound/peers.h"

#include <stdlib.h>

static uint64_t endpoint_hash(const struct endpoint *at)
{
    return hash_number(ip_hash(&at->ip) ^ at->port);
}

static uint64_t peer_hash(const void *item)
{
    const struct peer *peer = item;
    return endpoint_hash(&peer->at);
}

static bool peer_same(const void *item, const void *key)
{
    const struct peer *peer = item;
    const struct endpoint *at = key;
    return peer->at.port == at->port && ip_equal(&peer->at.ip, &at->ip);
}

void peers_init(struct peers *peers)
{
    map_init(&peers->map, peer_hash, peer_same);
}

void peers_free(struct peers *peers)
{
    must(peers->map.count == 0);
    map_free(&peers->map);
}

struct peer *peers_find(const struct peers *peers, const struct endpoint *at)
{
    return map_find(&peers->map, endpoint_hash(at), at);
}

struct peer *peers_take(struct peers *peers, const struct endpoint *at, unsigned most)
{
    struct peer *peer = peers_find(peers, at);
    if (peer == NULL) {
        peer = must_calloc(1, sizeof(*peer));
        peer->at = *at;
        list_init(&peer->idle);
        map_add(&peers->map, peer);
    }
    must(most > 0);
    if (peer->connections >= most)
        return NULL;
    peer->connections++;
    return peer;
}

void peers_give(struct peers *peers, struct peer *peer)
{
    must(peer->connections > 0);
    if (--peer->connections > 0)
        return;
    must(list_empty(&peer->idle));
    must(map_remove(&peers->map, peer));
    free(peer);
}

unsigned peers_room(const struct peers *peers, const struct endpoint *at, unsigned most)
{
    const struct peer *peer = peers_find(peers, at);
    unsigned connections = peer != NULL ? peer->connections : 0;
    return connections < most ? most - connections : 0;
}
