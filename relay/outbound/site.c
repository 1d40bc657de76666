#include "relay/outbound/site.h"

#include "relay/metrics.h"

#include <stdio.h>
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
char *site_key(const struct site_terms *terms, const struct site_host *hosts, unsigned count)
{
    struct buffer key = {0};
    struct site_host *sorted = sorted_copy(hosts, count, sizeof(*sorted), compare_hosts);
    unsigned rank = 0;
    char text[IP_TEXT_MAX];
    /* Sections are compared by address: within one configuration each stands once. */
    buffer_print(&key, "%p %p %p %s", (const void *)terms->tls, (const void *)terms->limits,
                 (const void *)terms->login, terms->hello);
    for (unsigned i = 0; i < terms->sources->count; i++)
        buffer_print(&key, " %s", ip_format(&terms->sources->list[i], text));
    for (unsigned i = 0; i < count; i++) {
        rank += i > 0 && sorted[i].preference != sorted[i - 1].preference;
        buffer_print(&key, " %u %s:%u%s", rank, sorted[i].name, sorted[i].port,
                     sorted[i].implicit ? ":implicit" : "");
        add_addresses(&sorted[i], &key);
        buffer_print(&key, " ");
        terms_key(&sorted[i].tls, &key);
    }
    free(sorted);
    return buffer_detach(&key);
}

struct site *site_create(struct config *config, const struct site_terms *terms,
                         struct site_host *take_hosts, unsigned count, unsigned worker_count,
                         struct peers *peers)
{
    struct site *site = must_calloc(1, sizeof(*site));
    site->key = site_key(terms, take_hosts, count);
    site->config = config_keep(config);
    site->terms = *terms;
    site->peers = peers;
    site->hosts = take_hosts;
    site->host_count = count;
    site->worker_count = worker_count;
    site->shares = must_calloc(worker_count, sizeof(*site->shares));
    for (unsigned i = 0; i < worker_count; i++)
        list_init(&site->shares[i].idle);
    list_init(&site->turn);
    return site;
}

/* ---- on what terms ---- */

struct site_terms site_terms(const struct config *config, struct span destination)
{
    const struct route_config *route = config_route(config, destination);
    struct site_terms terms = {.tls = config_tls(config, destination),
                               .limits = config_destination(config, destination)};
    terms.sources = &terms.limits->sources;
    terms.hello = terms.limits->hello != NULL ? terms.limits->hello : config->hostname;
    if (route != NULL && route->sources.count > 0)
        terms.sources = &route->sources;
    if (route != NULL && route->hello != NULL)
        terms.hello = route->hello;
    terms.login = route != NULL ? route->login : NULL;
    return terms;
}

static unsigned count_sources(const struct addresses *sources, uint8_t family)
{
    unsigned count = 0;
    for (unsigned i = 0; i < sources->count; i++)
        count += sources->list[i].family == family;
    return count;
}

bool site_source(struct site *site, uint8_t family, struct ip *source)
{
    const struct addresses *sources = site->terms.sources;
    unsigned count = count_sources(sources, family), at = 0;
    if (count == 0)
        return false;
    unsigned turn = atomic_fetch_add_explicit(&site->next_source, 1, memory_order_relaxed) % count;
    while (sources->list[at].family != family || turn-- > 0)
        at++;
    *source = sources->list[at];
    return true;
}

void site_hosts_free(struct site_host *hosts, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free(hosts[i].name);
        free(hosts[i].addresses);
        arena_free(&hosts[i].arena);
    }
    free(hosts);
}

void site_free(struct site *site)
{
    must(site->references == 0 && site->connections == 0 && list_empty(&site->turn));
    site_hosts_free(site->hosts, site->host_count);
    config_drop(&site->config);
    free(site->shares);
    free(site->key);
    free(site);
}

/* ---- whose turn it is ---- */

void site_offer(struct route *route)
{
    bool ready = route->destination->counts[ENTRY_READY] > 0 && !route->lapsed;
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
    case SLOT_IDLE:
        list_remove(&slot->pooled);
        list_remove(&slot->parked);
        break;
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
    case SLOT_IDLE:
        list_prepend(&site->shares[slot->worker].idle, &slot->pooled);
        if (slot->peer != NULL)
            list_append(&slot->peer->idle, &slot->parked);
        break;
    case SLOT_BUSY: break;
    case SLOT_LEFT:
        must(site->connections > 0);
        site->connections--;
        site->shares[slot->worker].connections--;
        must(slot->reserved == NULL);
        break;
    }
}

void slot_init(struct slot *slot, struct site *site, unsigned worker, bool probe,
               struct peer *take_reserved)
{
    *slot = (struct slot){.site = site,
                          .worker = worker,
                          .state = SLOT_CLAIMANT,
                          .probe = probe,
                          .reserved = take_reserved};
    count(slot, 1);
}

void slot_forget(struct slot *slot)
{
    count(slot, -1);
}

/* ---- recruiting ---- */

int64_t site_waits_until(const struct site *site, int64_t now_ms)
{
    int64_t retry_at_ms = site->pace.failures > 0 ? site->pace.retry_at_ms : 0;
    int64_t rests_ms = site->rests_until_ms > now_ms ? site->rests_until_ms : 0;
    return retry_at_ms > rests_ms ? retry_at_ms : rests_ms;
}

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
        unsigned worker = (prefer + i) % site->worker_count;
        struct list_node *node = list_first(&site->shares[worker].idle);
        if (node != NULL)
            return container_of(node, struct slot, pooled);
    }
    return NULL;
}

static unsigned worker_with_fewest(const struct site *site, unsigned prefer)
{
    unsigned best = prefer % site->worker_count;
    for (unsigned i = 0; i < site->worker_count; i++)
        if (site->shares[i].connections < site->shares[best].connections)
            best = i;
    return best;
}

/* A token for one more who is on the way to claim an envelope? */
static bool may_claim(const struct site *site, int64_t now_ms, int64_t *again_ms)
{
    struct rate rate = site->terms.limits->rate;
    if (bucket_tokens(&site->messages, rate, now_ms) > site->claimants)
        return true;
    *again_ms = bucket_when(&site->messages, rate, site->claimants + 1, now_ms);
    metric_add(METRIC_THROTTLED_RATE, 1);
    return false;
}

static bool may_open(const struct site *site, int64_t now_ms, int64_t *again_ms)
{
    struct rate rate = site->terms.limits->connection_rate;
    *again_ms = bucket_when(&site->openings, rate, 1, now_ms);
    if (*again_ms > now_ms)
        metric_add(METRIC_THROTTLED_OPENINGS, 1);
    return *again_ms <= now_ms;
}

/* ---- peers ---- */

#define MOST_PER_PEER 50 /* by default, or max-connections where that is more */

unsigned site_most_per_peer(const struct site *site)
{
    const struct destination_config *limits = site->terms.limits;
    if (limits->max_per_host > 0)
        return limits->max_per_host;
    return limits->max_connections > MOST_PER_PEER ? limits->max_connections : MOST_PER_PEER;
}

static struct endpoint endpoint_of(const struct site_host *host, unsigned address)
{
    return (struct endpoint){host->addresses[address], host->port};
}

/* A place at one of its peers, those of the best hosts first. */
static bool find_place(const struct site *site, struct endpoint *at)
{
    unsigned most = site_most_per_peer(site);
    for (unsigned i = 0; i < site->host_count; i++)
        for (unsigned j = 0; j < site->hosts[i].count; j++) {
            *at = endpoint_of(&site->hosts[i], j);
            if (peers_room(site->peers, at, most) > 0)
                return true;
        }
    return false;
}

bool site_goes_to(const struct site *site, const struct endpoint *at)
{
    for (unsigned i = 0; i < site->host_count; i++)
        for (unsigned j = 0; j < site->hosts[i].count; j++)
            if (site->hosts[i].port == at->port && ip_equal(&site->hosts[i].addresses[j], &at->ip))
                return true;
    return false;
}

static struct slot *foreign_idle(const struct site *site, const struct peer *peer)
{
    for (struct list_node *node = list_first(&peer->idle); node != NULL;
         node = list_next(&peer->idle, node)) {
        struct slot *slot = container_of(node, struct slot, parked);
        if (slot->site != site)
            return slot;
    }
    return NULL;
}

struct slot *site_find_foreign_idle(const struct site *site)
{
    for (unsigned i = 0; i < site->host_count; i++)
        for (unsigned j = 0; j < site->hosts[i].count; j++) {
            struct endpoint at = endpoint_of(&site->hosts[i], j);
            const struct peer *peer = peers_find(site->peers, &at);
            struct slot *slot = peer != NULL ? foreign_idle(site, peer) : NULL;
            if (slot != NULL)
                return slot;
        }
    return NULL;
}

/* ---- recruiting, again ---- */

static enum recruit later(int64_t again_ms)
{
    return again_ms == INT64_MAX ? RECRUIT_NONE : RECRUIT_LATER;
}

static void open_one(struct site *site, unsigned worker, int64_t now_ms, bool probe)
{
    if (probe)
        pace_probe_began(&site->pace);
    bucket_take(&site->openings, site->terms.limits->connection_rate, now_ms);
    site->connections++;
    site->shares[worker].connections++;
    site->claimants++;
}

enum recruit site_recruit(struct site *site, unsigned prefer, int64_t now_ms, struct recruited *got)
{
    struct endpoint place;
    *got = (struct recruited){.worker = prefer % site->worker_count};
    if (site->rests_until_ms > now_ms || !wants_another(site))
        return RECRUIT_NONE;
    if (!may_claim(site, now_ms, &got->again_ms))
        return later(got->again_ms);
    got->slot = find_idle(site, prefer);
    if (got->slot != NULL) {
        slot_move(got->slot, SLOT_CLAIMANT);
        got->slot->waking = true;
        got->worker = got->slot->worker;
        return RECRUIT_WAKE;
    }
    enum pace_answer answer = pace_ask(&site->pace, now_ms);
    if (answer == PACE_WAIT || site->connections >= site->terms.limits->max_connections)
        return RECRUIT_NONE;
    if (!find_place(site, &place))
        return RECRUIT_CROWDED;
    if (!may_open(site, now_ms, &got->again_ms))
        return later(got->again_ms);
    got->probe = answer == PACE_PROBE;
    got->reserved = peers_take(site->peers, &place, site_most_per_peer(site));
    got->worker = worker_with_fewest(site, prefer);
    open_one(site, got->worker, now_ms, got->probe);
    return RECRUIT_OPEN;
}

/* ---- rates ---- */

struct entry *site_claim(struct site *site, int64_t now_ms)
{
    struct rate rate = site->terms.limits->rate;
    if (bucket_tokens(&site->messages, rate, now_ms) == 0)
        return NULL;
    struct entry *entry = site_next(site);
    if (entry != NULL)
        bucket_take(&site->messages, rate, now_ms);
    return entry;
}

void site_why(const struct site *site, int64_t now_ms, char *why, size_t size)
{
    const struct destination_config *limits = site->terms.limits;
    char text[UNITS_TEXT_MAX];
    why[0] = '\0';
    if (list_linked(&site->crowded))
        snprintf(why, size, "limit of %u connections to a host (max-connections-per-host)",
                 site_most_per_peer(site));
    else if (bucket_tokens(&site->messages, limits->rate, now_ms) == 0)
        snprintf(why, size, "rate limit %s", units_rate_format(limits->rate, text));
    else if (bucket_tokens(&site->openings, limits->connection_rate, now_ms) == 0)
        snprintf(why, size, "connection rate limit %s",
                 units_rate_format(limits->connection_rate, text));
}

static const struct site_host *find_host(const struct site *site, const struct site_host *like)
{
    for (unsigned i = 0; i < site->host_count; i++)
        if (site->hosts[i].port == like->port && strcmp(site->hosts[i].name, like->name) == 0)
            return &site->hosts[i];
    return NULL;
}

/* Its addresses may be others now, or what is asked of it: it is the host that did offer STARTTLS
 * (RFC 3207 6). How it failed counts only where the same is asked. A host of which something is
 * known already has a past of its own. */
static void remember_host(struct site_host *host, const struct site *before)
{
    const struct tls_history *own = &host->history;
    const struct site_host *past = find_host(before, host);
    if (past == NULL || own->offered || own->temporary > 0 || host->tls_failed_until_ms > 0)
        return;
    host->history.offered = past->history.offered;
    if (host->tls.level != past->tls.level)
        return;
    host->history.temporary = past->history.temporary;
    host->tls_failed_until_ms = past->tls_failed_until_ms;
}

void site_succeed(struct site *site, const struct site *before)
{
    for (unsigned i = 0; i < site->host_count; i++)
        remember_host(&site->hosts[i], before);
    bucket_join(&site->messages, &before->messages);
    bucket_join(&site->openings, &before->openings);
}
