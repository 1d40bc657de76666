#include "relay/outbound/dispatch_lock.h"
#include "relay/outbound/reported.h"
#include "relay/os.h"

#include <stdlib.h>
#include <string.h>

#define LAST_LOOK_HOLDS_MS 600000 /* so long nobody need look again before mail is given up */

/* A search under way. It outlives a change of configuration: its answer is then thrown away. */
struct searching {
    struct route_search search;
    struct dispatch *dispatch;
    struct config *config; /* one reference */
    unsigned prefer;
};

/* ---- sites ---- */

static uint64_t site_hash(const void *item)
{
    const struct site *site = item;
    return span_hash(span_of(site->key));
}

static bool site_same(const void *item, const void *key)
{
    const struct site *site = item;
    return strcmp(site->key, key) == 0;
}

void sites_init(struct dispatch *dispatch)
{
    map_init(&dispatch->sites, site_hash, site_same);
}

void site_release(struct dispatch *dispatch, struct site *site)
{
    must(site->references > 0);
    if (--site->references > 0)
        return;
    heap_remove(&dispatch->site_wake_ups, &site->wake_up);
    list_remove(&site->crowded);
    must(map_remove(&dispatch->sites, site));
    site_free(site);
}

static void detach(struct dispatch *dispatch, struct route *route)
{
    struct site *site = route->site;
    if (site == NULL)
        return;
    site_withdraw(route);
    route->site = NULL;
    site->routes--;
    site_release(dispatch, site);
}

static void attach(struct dispatch *dispatch, struct route *route, struct site *site)
{
    if (route->site == site)
        return;
    if (route->site != NULL)
        site_succeed(site, route->site);
    detach(dispatch, route);
    route->site = site;
    site->routes++;
    site->references++;
}

/* The site for what the search found: a known one, or a new one. Takes the hosts. */
static struct site *find_site(struct dispatch *dispatch, struct searching *searching)
{
    struct route_search *search = &searching->search;
    char *key = site_key(&search->terms, search->hosts, search->count);
    struct site *site = map_find(&dispatch->sites, span_hash(span_of(key)), key);
    free(key);
    if (site == NULL) {
        site = site_create(searching->config, &search->terms, search->hosts, search->count,
                           dispatch->parts.worker_count, &dispatch->peers);
        search->hosts = NULL;
        search->count = 0;
        map_add(&dispatch->sites, site);
    }
    return site;
}

/* ---- routes ---- */

static struct route *route_of(struct destination *destination)
{
    if (destination->route == NULL) {
        struct route *route = must_calloc(1, sizeof(*route));
        route->destination = destination;
        destination->route = route;
    }
    return destination->route;
}

static void route_free(struct dispatch *dispatch, struct route *route)
{
    detach(dispatch, route);
    heap_remove(&dispatch->route_wake_ups, &route->wake_up);
    route->destination->route = NULL;
    reported_drop(&route->reported);
    arena_free(&route->arena);
    free(route->policy);
    free(route);
}

static void searching_free(struct searching *searching)
{
    route_search_free(&searching->search);
    config_drop(&searching->config);
    free(searching);
}

static void keep_verdict(struct route *route, const struct verdict *verdict)
{
    arena_free(&route->arena);
    route->verdict = verdict_copy(verdict, &route->arena);
}

static void search_found(struct dispatch *dispatch, struct searching *searching)
{
    struct route *route = searching->search.route;
    route->lapsed = false;
    attach(dispatch, route, find_site(dispatch, searching));
    tell_policy(route, route->site);
    reported_drop(&route->reported);
    route->reported = searching->search.reported;
    searching->search.reported = NULL;
    route->state = ROUTE_KNOWN;
    route->known_until_ms = os_wall() + searching->search.ttl_ms;
    pace_succeeded(&route->pace);
}

static void search_failed(struct dispatch *dispatch, struct searching *searching)
{
    struct route *route = searching->search.route;
    struct verdict *verdict = &searching->search.verdict;
    int64_t now_ms = os_wall();
    bool holds = !route->lapsed && route_search_may_be_late(&searching->search);
    if (route->site != NULL && verdict->kind != VERDICT_BOUNCED && holds) {
        route->state = ROUTE_KNOWN; /* the old way is better than none */
        route->known_until_ms = now_ms + RESOLVE_TTL_LEAST_MS;
        return;
    }
    route->lapsed = false;
    detach(dispatch, route);
    keep_verdict(route, verdict);
    if (verdict->kind == VERDICT_BOUNCED) {
        route->state = ROUTE_FAILED;
        route->known_until_ms = now_ms + searching->search.ttl_ms;
        return;
    }
    const struct destination_config *limits =
        config_destination(searching->config, span_of(route->destination->name));
    route->state = ROUTE_WAITING;
    if (route->pace.failures > 0) /* each further search is the probe of a dead route */
        pace_probe_began(&route->pace);
    pace_failed(&route->pace, now_ms, limits->back_off_ms, &dispatch->random);
    heap_set(&dispatch->route_wake_ups, &route->wake_up, route->pace.retry_at_ms);
    hasten(dispatch, route->pace.retry_at_ms);
    struct entry *head = NULL; /* one tells; the rest wait */
    if (!is_suspended(dispatch, route->destination->name))
        head = destination_next(route->destination);
    if (head != NULL)
        end_locally(dispatch, head, verdict, NULL, searching->prefer);
}

static void search_answered(struct mail *mail, void *taker);
static void search_discovered(struct mail *mail, void *taker);

static void step_search(struct dispatch *dispatch, struct searching *searching)
{
    struct route *route = searching->search.route;
    switch (route_search_next(&searching->search)) {
    case SEARCH_ASK: {
        struct resolution *question = searching->search.resolution;
        question->context = searching;
        question->mail.deliver = search_answered;
        question->reply_to = &dispatch->parts.workers[searching->prefer];
        searching->search.resolution = NULL; /* comes back with the answer */
        resolve_post(dispatch->parts.resolve, question);
        return;
    }
    case SEARCH_DISCOVER: {
        struct discovery *question = searching->search.discovery;
        question->context = searching;
        question->mail.deliver = search_discovered;
        question->reply_to = &dispatch->parts.workers[searching->prefer];
        searching->search.discovery = NULL;
        discoverer_post(dispatch->parts.discoverer, question);
        return;
    }
    case SEARCH_FOUND: search_found(dispatch, searching); break;
    case SEARCH_FAILED: search_failed(dispatch, searching); break;
    }
    if (searching->search.anew) {
        route->look_anew = false;
        route->looked_anew_ms = os_wall();
    }
    route->searching = NULL;
    searching_free(searching);
}

/* RFC 7672 2.1.1: that a host has no TLSA records, or which, is known for as long as DNS says. Who
 * keeps the answers back must not have mail go on as before, in clear perhaps. The same is true of
 * what the operator's own table said. */
static void let_lapse(struct route *route, const struct route_search *search)
{
    bool exact = !route_search_may_be_late(search) || search->config->tls_policy_map != NULL;
    if (!exact || os_wall() < route->known_until_ms)
        return;
    route->lapsed = true;
    site_withdraw(route);
}

static void begin_search(struct dispatch *dispatch, struct route *route, unsigned prefer)
{
    struct searching *searching = must_calloc(1, sizeof(*searching));
    searching->dispatch = dispatch;
    searching->config = config_keep(dispatch->parts.config);
    searching->prefer = prefer;
    route_search_init(&searching->search, route, searching->config);
    let_lapse(route, &searching->search);
    searching->search.anew = route->look_anew;
    route->state = ROUTE_RESOLVING;
    route->searching = searching;
    step_search(dispatch, searching);
}

/* The answer is in the search. */
static void go_on(struct searching *searching)
{
    struct dispatch *dispatch = searching->dispatch;
    struct route *route = searching->search.route;
    unsigned prefer = searching->prefer;
    if (dispatch->draining) { /* nobody waits for it, and nothing more may be asked */
        route->searching = NULL;
        route->state = ROUTE_UNKNOWN;
        searching_free(searching);
    } else if (searching->config == dispatch->parts.config) {
        step_search(dispatch, searching);
    } else { /* asked under a configuration that no longer holds */
        searching_free(searching);
        begin_search(dispatch, route, prefer);
    }
    serve(dispatch, route->destination, prefer);
}

/* On a worker's thread. */
static void search_answered(struct mail *mail, void *taker)
{
    struct resolution *answer = container_of(mail, struct resolution, mail);
    struct searching *searching = answer->context;
    struct dispatch *dispatch = searching->dispatch;
    (void)taker;
    lock(dispatch);
    searching->search.resolution = answer;
    go_on(searching);
    unlock(dispatch);
}

static void search_discovered(struct mail *mail, void *taker)
{
    struct discovery *answer = container_of(mail, struct discovery, mail);
    struct searching *searching = answer->context;
    struct dispatch *dispatch = searching->dispatch;
    (void)taker;
    lock(dispatch);
    searching->search.discovery = answer;
    go_on(searching);
    unlock(dispatch);
}

/* ---- the last look ---- */

static bool is_under_sts(const struct site *site)
{
    for (unsigned i = 0; i < site->host_count; i++)
        if (site->hosts[i].tls.source == TLS_FROM_STS)
            return true;
    return false;
}

bool dispatch_may_give_up(struct dispatch *dispatch, const struct entry *entry)
{
    lock(dispatch);
    struct route *route = entry->destination->route;
    bool may = true;
    if (route != NULL && route->site != NULL && is_under_sts(route->site)) {
        int64_t since_ms = os_wall() - route->looked_anew_ms;
        may = since_ms >= 0 && since_ms < LAST_LOOK_HOLDS_MS;
        route->look_anew = !may;
        if (!may && route->searching == NULL && !dispatch->draining)
            begin_search(dispatch, route, next_worker(dispatch));
    }
    unlock(dispatch);
    return may;
}

static void end_next(struct dispatch *dispatch, struct route *route, unsigned worker)
{
    struct entry *entry = route->ending ? NULL : destination_next(route->destination);
    if (entry == NULL)
        return;
    route->ending = true;
    end_locally(dispatch, entry, &route->verdict, route, worker);
}

static bool needs_search(const struct route *route)
{
    switch (route->state) {
    case ROUTE_UNKNOWN: return true;
    case ROUTE_KNOWN:
    case ROUTE_FAILED: return os_wall() >= route->known_until_ms;
    case ROUTE_RESOLVING:
    case ROUTE_WAITING: return false;
    }
    must_not_reach();
}

/* What is known of an old way serves until the answer about the new one is there, unless it
 * lapsed. */
void serve(struct dispatch *dispatch, struct destination *destination, unsigned prefer)
{
    struct route *route = route_of(destination);
    if (destination->counts[ENTRY_READY] == 0 || dispatch->draining ||
        is_suspended(dispatch, destination->name))
        return;
    if (needs_search(route))
        begin_search(dispatch, route, prefer);
    if (route->state == ROUTE_FAILED)
        end_next(dispatch, route, prefer);
    if (route->site != NULL) {
        site_offer(route);
        recruit(dispatch, route->site, prefer);
    }
}

void fail_routes(struct dispatch *dispatch, struct site *site, const struct verdict *verdict,
                 unsigned worker)
{
    for (struct list_node *node; (node = list_first(&site->turn)) != NULL;) {
        struct route *route = container_of(node, struct route, turn);
        detach(dispatch, route);
        if (route->state != ROUTE_KNOWN)
            continue; /* a new answer is on its way */
        keep_verdict(route, verdict);
        route->state = ROUTE_FAILED;
        route->known_until_ms = os_wall() + RESOLVE_TTL_LEAST_MS;
        serve(dispatch, route->destination, worker);
    }
}

void turn_routes(struct dispatch *dispatch, int64_t now_ms)
{
    for (int i = 0; i < DUE_AT_ONCE; i++) {
        int64_t at;
        struct heap_node *node = heap_top(&dispatch->route_wake_ups, &at);
        if (node == NULL || at > now_ms)
            return;
        struct route *route = container_of(node, struct route, wake_up);
        heap_remove(&dispatch->route_wake_ups, node);
        if (route->state == ROUTE_WAITING)
            route->state = ROUTE_UNKNOWN;
        serve(dispatch, route->destination, next_worker(dispatch));
    }
}

/* What it may send is not all that it might have sent: that is not forgotten with it. */
static bool keeps_rate(const struct route *route, int64_t now_ms)
{
    const struct site *site = route->site;
    return site != NULL &&
           !(bucket_is_full(&site->messages, now_ms) && bucket_is_full(&site->openings, now_ms));
}

static bool is_needed(const struct destination *destination, int64_t now_ms)
{
    const struct route *route = destination->route;
    if (!destination_is_empty(destination))
        return true;
    return route != NULL && (route->searching != NULL || route->ending ||
                             now_ms < route->known_until_ms || keeps_rate(route, now_ms));
}

bool sweep_routes(struct dispatch *dispatch, int64_t now_ms)
{
    for (int i = 0; i < DUE_AT_ONCE; i++) {
        struct destination *destination =
            scheduler_walk_destinations(&dispatch->scheduler, &dispatch->swept);
        if (destination == NULL) {
            dispatch->swept = 0;
            return true;
        }
        if (is_needed(destination, now_ms))
            continue;
        if (destination->route != NULL)
            route_free(dispatch, destination->route);
        scheduler_forget(&dispatch->scheduler, destination);
    }
    return false;
}

void forget_ways(struct dispatch *dispatch)
{
    size_t at = 0;
    struct destination *destination;
    while ((destination = scheduler_walk_destinations(&dispatch->scheduler, &at)) != NULL) {
        struct route *route = destination->route;
        if (route == NULL)
            continue;
        detach(dispatch, route);
        heap_remove(&dispatch->route_wake_ups, &route->wake_up);
        if (route->state != ROUTE_RESOLVING)
            route->state = ROUTE_UNKNOWN;
        route->pace = (struct pace){0};
        serve(dispatch, destination, next_worker(dispatch));
    }
}

void routes_free(struct dispatch *dispatch)
{
    size_t at = 0;
    struct destination *destination;
    while ((destination = scheduler_walk_destinations(&dispatch->scheduler, &at)) != NULL) {
        struct route *route = destination->route;
        if (route == NULL)
            continue;
        if (route->searching != NULL)
            searching_free(route->searching);
        route_free(dispatch, route);
    }
    must(dispatch->sites.count == 0);
    map_free(&dispatch->sites);
}
