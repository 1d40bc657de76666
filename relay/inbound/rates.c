#include "relay/inbound/rates.h"

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_US INT64_C(3600000000)

/* One number says all (a generic cell rate algorithm): until when what was handed in would last if
 * it came evenly. It may lie an hour ahead, no more. */
struct rated {
    struct list_node node; /* in rates->all */
    char *user;
    int64_t lasts_us;
};

struct rates {
    pthread_mutex_t lock;
    struct map map;
    struct list all; /* who came last is last */
};

static uint64_t rated_hash(const void *item)
{
    return span_hash(span_of(((const struct rated *)item)->user));
}

static bool rated_same(const void *item, const void *key)
{
    return strcmp(((const struct rated *)item)->user, key) == 0;
}

struct rates *rates_create(void)
{
    struct rates *rates = must_calloc(1, sizeof(*rates));
    pthread_mutex_init(&rates->lock, NULL);
    map_init(&rates->map, rated_hash, rated_same);
    list_init(&rates->all);
    return rates;
}

static void forget_oldest(struct rates *rates)
{
    struct rated *rated = container_of(list_pop(&rates->all), struct rated, node);
    map_remove(&rates->map, rated);
    free(rated->user);
    free(rated);
}

void rates_destroy(struct rates **rates)
{
    while (!list_empty(&(*rates)->all))
        forget_oldest(*rates);
    map_free(&(*rates)->map);
    pthread_mutex_destroy(&(*rates)->lock);
    free(*rates);
    *rates = NULL;
}

static struct rated *find(struct rates *rates, const char *user)
{
    struct rated *rated = map_find(&rates->map, span_hash(span_of(user)), user);
    if (rated == NULL) {
        if (rates->map.count >= RATES_USERS_MAX)
            forget_oldest(rates);
        rated = must_calloc(1, sizeof(*rated));
        rated->user = must_strdup(user);
        map_add(&rates->map, rated);
    }
    list_remove(&rated->node);
    list_append(&rates->all, &rated->node);
    return rated;
}

bool rates_take(struct rates *rates, const char *user, unsigned per_hour, int64_t now_ms)
{
    int64_t now_us = now_ms * 1000;
    if (per_hour == 0)
        return true;
    pthread_mutex_lock(&rates->lock);
    struct rated *rated = find(rates, user);
    int64_t lasts_us = rated->lasts_us > now_us ? rated->lasts_us : now_us;
    lasts_us += HOUR_US / per_hour;
    bool within = lasts_us <= now_us + HOUR_US;
    if (within)
        rated->lasts_us = lasts_us;
    pthread_mutex_unlock(&rates->lock);
    return within;
}
