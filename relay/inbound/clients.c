/* How many connections each client address has, over all workers. */
#include "base/map.h"
#include "base/must.h"
#include "relay/inbound/connection.h"
#include "relay/inbound/failures.h"
#include "relay/inbound/passwords.h"
#include "relay/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct client {
    struct ip ip;
    unsigned count;
};

struct inbound_clients {
    pthread_mutex_t lock;
    struct map map;
};

static uint64_t client_hash(const void *item)
{
    const struct client *client = item;
    return ip_hash(&client->ip);
}

static bool client_same(const void *item, const void *key)
{
    const struct client *client = item;
    return ip_equal(&client->ip, key);
}

struct inbound_clients *inbound_clients_create(void)
{
    struct inbound_clients *clients = must_calloc(1, sizeof(*clients));
    pthread_mutex_init(&clients->lock, NULL);
    map_init(&clients->map, client_hash, client_same);
    return clients;
}

void inbound_clients_destroy(struct inbound_clients **clients)
{
    size_t at = 0;
    for (struct client *client; (client = map_walk(&(*clients)->map, &at)) != NULL;)
        free(client);
    map_free(&(*clients)->map);
    pthread_mutex_destroy(&(*clients)->lock);
    free(*clients);
    *clients = NULL;
}

struct ip inbound_client_of(const struct ip *ip)
{
    struct ip client = *ip;
    if (client.family == 6)
        memset(client.bytes + 8, 0, 8);
    return client;
}

bool inbound_clients_enter(struct inbound_clients *clients, const struct ip *ip, unsigned limit)
{
    struct ip key = inbound_client_of(ip);
    pthread_mutex_lock(&clients->lock);
    struct client *client = map_find(&clients->map, ip_hash(&key), &key);
    if (client == NULL && limit > 0) {
        client = must_calloc(1, sizeof(*client));
        client->ip = key;
        map_add(&clients->map, client);
    }
    bool enters = client != NULL && client->count < limit;
    if (enters)
        client->count++;
    pthread_mutex_unlock(&clients->lock);
    return enters;
}

void inbound_clients_leave(struct inbound_clients *clients, const struct ip *ip)
{
    struct ip key = inbound_client_of(ip);
    pthread_mutex_lock(&clients->lock);
    struct client *client = map_find(&clients->map, ip_hash(&key), &key);
    must(client != NULL && client->count > 0);
    if (--client->count == 0) {
        map_remove(&clients->map, client);
        free(client);
    }
    pthread_mutex_unlock(&clients->lock);
}

/* ---- all that is shared ---- */

void inbound_share(struct relay *relay)
{
    relay->clients = inbound_clients_create();
    relay->failures = failures_create();
    relay->rates = rates_create();
    relay->passwords = passwords_create(os_now);
}

void inbound_unshare(struct relay *relay)
{
    if (relay->clients == NULL)
        return;
    inbound_clients_destroy(&relay->clients);
    failures_destroy(&relay->failures);
    rates_destroy(&relay->rates);
    passwords_destroy(&relay->passwords);
}
