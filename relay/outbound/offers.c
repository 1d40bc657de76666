#include "relay/outbound/offers.h"

#include "base/must.h"
#include "base/span.h"

#include <stdlib.h>
#include <string.h>

struct offer {
    struct list_node aged;
    uint16_t port;
    char host[];
};

struct offer_key {
    const char *host;
    uint16_t port;
};

static uint64_t hash_of(const char *host, uint16_t port)
{
    return hash_number(span_hash(span_of(host)) + port);
}

static uint64_t offer_hash(const void *item)
{
    const struct offer *offer = item;
    return hash_of(offer->host, offer->port);
}

static bool offer_same(const void *item, const void *key)
{
    const struct offer *offer = item;
    const struct offer_key *wanted = key;
    return offer->port == wanted->port && strcmp(offer->host, wanted->host) == 0;
}

static struct offer *find(const struct offers *offers, const char *host, uint16_t port)
{
    struct offer_key key = {host, port};
    return map_find(&offers->hosts, hash_of(host, port), &key);
}

static void forget(struct offers *offers, struct offer *offer)
{
    list_remove(&offer->aged);
    must(map_remove(&offers->hosts, offer));
    free(offer);
}

void offers_init(struct offers *offers)
{
    map_init(&offers->hosts, offer_hash, offer_same);
    list_init(&offers->by_age);
}

void offers_free(struct offers *offers)
{
    for (struct list_node *node; (node = list_first(&offers->by_age)) != NULL;)
        forget(offers, container_of(node, struct offer, aged));
    map_free(&offers->hosts);
}

static struct offer *add(struct offers *offers, const char *host, uint16_t port)
{
    size_t length = strlen(host) + 1;
    struct offer *offer = must_calloc(1, sizeof(*offer) + length);
    memcpy(offer->host, host, length);
    offer->port = port;
    map_add(&offers->hosts, offer);
    return offer;
}

void offers_note(struct offers *offers, const char *host, uint16_t port, bool offered)
{
    struct offer *offer = find(offers, host, port);
    if (!offered) {
        if (offer != NULL)
            forget(offers, offer);
        return;
    }
    if (offer == NULL)
        offer = add(offers, host, port);
    list_remove(&offer->aged);
    list_append(&offers->by_age, &offer->aged);
    if (offers->hosts.count > OFFERS_MAX)
        forget(offers, container_of(list_first(&offers->by_age), struct offer, aged));
}

bool offers_know(const struct offers *offers, const char *host, uint16_t port)
{
    return find(offers, host, port) != NULL;
}
