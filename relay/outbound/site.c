#include "relay/outbound/site.h"

#include "relay/metrics.h"

#include <stdlib.h>
#include <string.h>

/* ---- what makes a site ---- */

static int compare_addresses(const void *a, const void *b)
{
    const struct ip *one = a, *other = b;
    return one->family != other->family ? one->family - other->family
                                        : memcmp(one->bytes, other->bytes, sizeof(one->bytes));
}

static int compare_hosts(const void *a, const void *b)
{
    const struct site_host *one = a, *other = b;
    if (one->preference != other->preference)
        return one->preference - other->preference;
    int names = strcmp(one->name, other->name);
    return names != 0 ? names : one->port - other->port;
}

static void *sorted_copy(const void *items, size_t count, size_t size,
                         int (*compare)(const void *a, const void *b))
{
    void *copy = must_calloc(count, size);
    memcpy(copy, items, count * size);
    qsort(copy, count, size, compare);
    return copy;
}

static void add_addresses(const struct site_host *host, struct buffer *key)
{
    struct ip *sorted =
        sorted_copy(host->addresses, host->count, sizeof(*sorted), compare_addresses);
    for (unsigned i = 0; i < host->count; i++) {
        char text[IP_TEXT_MAX];
        buffer_print(key, ",%s", ip_format(&sorted[i], text));
    }
    free(sorted);
}

/* DNS turns equals round with every answer, and domains number the same hosts differently:
 * so the key has ranks instead of preferences, and equals sorted. */
char *site_key(const struct tls_config *tls, const struct destination_config *limits,
               const struct site_host *hosts, unsigned count)
{
    struct buffer key = {0};
    struct site_host *sorted = sorted_copy(hosts, count, sizeof(*sorted), compare_hosts);
    unsigned rank = 0;
    /* Sections are compared by address: within one configuration each stands once. */
    buffer_print(&key, "%p %p", (const void *)tls, (const void *)limits);
    for (unsigned i = 0; i < count; i++) {
        rank += i > 0 && sorted[i].preference != sorted[i - 1].preference;
        buffer_print(&key, " %u %s:%u", rank, sorted[i].name, sorted[i].port);
        add_addresses(&sorted[i], &key);
    }
    free(sorted);
    return buffer_detach(&key);
}

struct site *site_create(struct config *config, const struct tls_config *tls,
                         const struct destination_config *limits, struct site_host *take_hosts,
                         unsigned count, unsigned worker_count)
{
    struct site *site = must_calloc(1, sizeof(*site));
    site->key = site_key(tls, limits, take_hosts, count);
    site->config = config_keep(config);
    site->tls = tls;
    site->limits = limits;
    site->hosts = take_hosts;
    site->host_count = count;
    site->worker_count = worker_count;
    site->idle = must_calloc(worker_count, sizeof(*site->idle));
    for (unsigned i = 0; i < worker_count; i++)
        list_init(&site->idle[i]);
    list_init(&site->turn);
    return site;
}

void site_hosts_free(struct site_host *hosts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(hosts[i].name);
        free(hosts[i].addresses);
    }
    free(hosts);
}

void site_free(struct site *site)
{
    must(site->references == 0 && site->connections == 0 && list_empty(&site->turn));
    site_hosts_free(site->hosts, site->host_count);
    config_drop(&site->config);
    free(site->idle);
    free(site->key);
    free(site);
}

/* ---- whose turn it is ---- */

void site_offer(struct route *route)
{
    bool ready = route->destination->counts[ENTRY_READY] > 0;
    if (ready && route->site != NULL && !list_linked(&route->turn))
        list_append(&route->site->turn, &route->turn);
}

void site_withdraw(struct route *route)
{
    list_remove(&route->turn);
}

struct entry *site_next(struct site *site)
{
    for (struct list_node *node; (node = list_pop(&site->turn)) != NULL;) {
        struct route *route = container_of(node, struct route, turn);
        struct entry *entry = destination_next(route->destination);
        site_offer(route); /* to the end: the others come first */
        if (entry != NULL)
            return entry;
    }
    return NULL;
}

/* ---- slots ---- */

static void leave_state(struct slot *slot)
{
    struct site *site = slot->site;
    switch (slot->state) {
    case SLOT_CLAIMANT:
        must(site->claimants > 0);
        site->claimants--;
        break;
    case SLOT_IDLE: list_remove(&slot->pooled); break;
    case SLOT_BUSY:
    case SLOT_LEFT: break;
    }
}

/* The gauges are in the order of the states. */
static void count(const struct slot *slot, int amount)
{
    _Static_assert(METRIC_CONNECTIONS_CLOSING - METRIC_CONNECTIONS_CLAIMING == SLOT_LEFT,
                   "one gauge per state");
    metric_add((enum metric)(METRIC_CONNECTIONS_CLAIMING + slot->state), amount);
}

void slot_move(struct slot *slot, enum slot_state state)
{
    struct site *site = slot->site;
    must(slot->state != SLOT_LEFT);
    leave_state(slot);
    count(slot, -1);
    slot->state = state;
    count(slot, 1);
    switch (state) {
    case SLOT_CLAIMANT: site->claimants++; break;
    case SLOT_IDLE: list_prepend(&site->idle[slot->worker], &slot->pooled); break;
    case SLOT_BUSY: break;
    case SLOT_LEFT:
        must(site->connections > 0);
        site->connections--;
        break;
    }
}

void slot_init(struct slot *slot, struct site *site, unsigned worker, bool probe)
{
    *slot = (struct slot){.site = site, .worker = worker, .state = SLOT_CLAIMANT, .probe = probe};
    count(slot, 1);
}

void slot_forget(struct slot *slot)
{
    count(slot, -1);
}

/* ---- recruiting ---- */

/* More envelopes ready than connections on their way to claim one? */
static bool wants_another(const struct site *site)
{
    unsigned ready = 0;
    for (struct list_node *node = list_first(&site->turn); node != NULL;
         node = list_next(&site->turn, node)) {
        const struct route *route = container_of(node, struct route, turn);
        ready += route->destination->counts[ENTRY_READY];
        if (ready > site->claimants)
            return true;
    }
    return false;
}

static struct slot *find_idle(struct site *site, unsigned prefer)
{
    for (unsigned i = 0; i < site->worker_count; i++) {
        struct list_node *node = list_first(&site->idle[(prefer + i) % site->worker_count]);
        if (node != NULL)
            return container_of(node, struct slot, pooled);
    }
    return NULL;
}

enum recruit site_recruit(struct site *site, unsigned prefer, int64_t now_ms, unsigned *worker,
                          struct slot **slot, bool *probe)
{
    if (!wants_another(site))
        return RECRUIT_NONE;
    *slot = find_idle(site, prefer);
    if (*slot != NULL) {
        slot_move(*slot, SLOT_CLAIMANT);
        (*slot)->waking = true;
        *worker = (*slot)->worker;
        return RECRUIT_WAKE;
    }
    enum pace_answer answer = pace_ask(&site->pace, now_ms);
    if (answer == PACE_WAIT || site->connections >= site->limits->max_connections)
        return RECRUIT_NONE;
    *probe = answer == PACE_PROBE;
    if (*probe)
        pace_probe_began(&site->pace);
    site->connections++;
    site->claimants++;
    *worker = prefer % site->worker_count;
    return RECRUIT_OPEN;
}
