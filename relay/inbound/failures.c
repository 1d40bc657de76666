#include "relay/inbound/failures.h"

#include "base/list.h"
#include "base/map.h"
#include "relay/inbound/inbound.h"

#include <pthread.h>
#include <stdlib.h>

struct failing {
    struct list_node node; /* in failures->all */
    struct ip client;
    unsigned count;
    int64_t since_ms; /* what has passed from here on has not yet forgiven any */
};

struct failures {
    pthread_mutex_t lock;
    struct map map;
    struct list all; /* who failed last comes last */
};

static uint64_t failing_hash(const void *item)
{
    return ip_hash(&((const struct failing *)item)->client);
}

static bool failing_same(const void *item, const void *key)
{
    return ip_equal(&((const struct failing *)item)->client, key);
}

struct failures *failures_create(void)
{
    struct failures *failures = must_calloc(1, sizeof(*failures));
    pthread_mutex_init(&failures->lock, NULL);
    map_init(&failures->map, failing_hash, failing_same);
    list_init(&failures->all);
    return failures;
}

/* With the lock held, from here on. */

static void forget(struct failures *failures, struct failing *failing)
{
    map_remove(&failures->map, failing);
    list_remove(&failing->node);
    free(failing);
}

static struct failing *oldest(const struct failures *failures)
{
    struct list_node *node = list_first(&failures->all);
    return node ? container_of(node, struct failing, node) : NULL;
}

/* NULL when there is none, or no longer. */
static struct failing *find(struct failures *failures, const struct ip *client, int64_t now_ms)
{
    struct ip key = inbound_client_of(client);
    struct failing *failing = map_find(&failures->map, ip_hash(&key), &key);
    if (failing == NULL)
        return NULL;
    int64_t forgiven = (now_ms - failing->since_ms) / FAILURES_FORGIVEN_MS;
    if (forgiven >= failing->count) {
        forget(failures, failing);
        return NULL;
    }
    failing->count -= (unsigned)forgiven;
    failing->since_ms += forgiven * FAILURES_FORGIVEN_MS;
    return failing;
}

static struct failing *add(struct failures *failures, const struct ip *client, int64_t now_ms)
{
    struct failing *failing = must_calloc(1, sizeof(*failing));
    if (failures->map.count >= FAILURES_CLIENTS_MAX)
        forget(failures, oldest(failures));
    failing->client = inbound_client_of(client);
    failing->since_ms = now_ms;
    map_add(&failures->map, failing);
    return failing;
}

/* ---- thread-safe ---- */

void failures_destroy(struct failures **failures)
{
    for (struct failing *failing; (failing = oldest(*failures)) != NULL;)
        forget(*failures, failing);
    map_free(&(*failures)->map);
    pthread_mutex_destroy(&(*failures)->lock);
    free(*failures);
    *failures = NULL;
}

unsigned failures_add(struct failures *failures, const struct ip *client, int64_t now_ms)
{
    pthread_mutex_lock(&failures->lock);
    struct failing *failing = find(failures, client, now_ms);
    if (failing == NULL)
        failing = add(failures, client, now_ms);
    list_remove(&failing->node);
    list_append(&failures->all, &failing->node);
    unsigned count = ++failing->count;
    pthread_mutex_unlock(&failures->lock);
    return count;
}

unsigned failures_count(struct failures *failures, const struct ip *client, int64_t now_ms)
{
    pthread_mutex_lock(&failures->lock);
    const struct failing *failing = find(failures, client, now_ms);
    unsigned count = failing ? failing->count : 0;
    pthread_mutex_unlock(&failures->lock);
    return count;
}

int64_t failures_delay_ms(unsigned count, int64_t first_ms)
{
    int64_t factor = 1;
    while (count-- > 1 && factor < FAILURES_DELAY_FACTOR_MAX)
        factor *= 2;
    return first_ms * factor;
}
