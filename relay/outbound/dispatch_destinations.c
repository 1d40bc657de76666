#include "relay/outbound/dispatch_destinations.h"

#include "base/log.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP 2048 /* destinations met under one lock */

/* ---- suspensions ---- */

/* One destination's. While `lifted` it has no effect any more, and goes when that is durable. */
struct suspended {
    struct suspension is;
    struct heap_node wake_up; /* by until_ms */
    unsigned version;         /* counts what was said of it */
    bool durable, lifted;
};

/* What was said once, on its way to the committer and back. */
struct saying {
    struct change change;
    struct dispatch *dispatch;
    struct suspension is;
    unsigned version;
};

static uint64_t suspended_hash(const void *item)
{
    const struct suspended *suspended = item;
    return span_hash(span_of(suspended->is.destination));
}

static bool suspended_same(const void *item, const void *key)
{
    const struct suspended *suspended = item;
    return strcmp(suspended->is.destination, key) == 0;
}

static struct suspended *find(const struct dispatch *dispatch, const char *destination)
{
    return map_find(&dispatch->suspensions, span_hash(span_of(destination)), destination);
}

bool is_suspended(const struct dispatch *dispatch, const char *destination)
{
    if (dispatch->suspensions.count == 0)
        return false;
    const struct suspended *suspended = find(dispatch, destination);
    return suspended != NULL && !suspended->lifted;
}

static struct suspended *add(struct dispatch *dispatch, const char *destination)
{
    struct suspended *suspended = must_calloc(1, sizeof(*suspended));
    snprintf(suspended->is.destination, sizeof(suspended->is.destination), "%s", destination);
    map_add(&dispatch->suspensions, suspended);
    return suspended;
}

static void forget(struct dispatch *dispatch, struct suspended *suspended)
{
    heap_remove(&dispatch->suspension_ends, &suspended->wake_up);
    must(map_remove(&dispatch->suspensions, suspended));
    free(suspended);
}

static void set_end(struct dispatch *dispatch, struct suspended *suspended)
{
    if (suspended->is.until_ms == 0 || suspended->lifted) {
        heap_remove(&dispatch->suspension_ends, &suspended->wake_up);
        return;
    }
    heap_set(&dispatch->suspension_ends, &suspended->wake_up, suspended->is.until_ms);
    hasten(dispatch, suspended->is.until_ms);
}

static void restore(const struct suspension *suspension, void *with)
{
    struct dispatch *dispatch = with;
    struct suspended *suspended = add(dispatch, suspension->destination);
    suspended->is = *suspension;
    suspended->durable = true;
    set_end(dispatch, suspended);
}

void suspensions_init(struct dispatch *dispatch)
{
    map_init(&dispatch->suspensions, suspended_hash, suspended_same);
    if (dispatch->parts.spool != NULL)
        spool_suspensions(dispatch->parts.spool, restore, dispatch);
}

void suspensions_free(struct dispatch *dispatch)
{
    size_t at = 0;
    for (struct suspended *item; (item = map_walk(&dispatch->suspensions, &at)) != NULL;)
        free(item);
    map_free(&dispatch->suspensions);
    heap_free(&dispatch->suspension_ends);
}

/* On a worker's thread: the spool has it. */
static void said(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct saying *saying = container_of(change, struct saying, change);
    struct dispatch *dispatch = saying->dispatch;
    (void)taker;
    if (change->result == SPOOL_BROKEN)
        return; /* the relay is about to end */
    lock(dispatch);
    struct suspended *suspended = find(dispatch, saying->is.destination);
    if (suspended != NULL && suspended->version == saying->version) {
        suspended->durable = true;
        if (suspended->lifted)
            forget(dispatch, suspended);
    }
    unlock(dispatch);
    free(saying);
}

static void say(struct dispatch *dispatch, struct suspended *suspended)
{
    struct saying *saying = must_calloc(1, sizeof(*saying));
    suspended->durable = false;
    saying->version = ++suspended->version;
    saying->dispatch = dispatch;
    saying->is = suspended->is;
    saying->change.mail.deliver = said;
    saying->change.reply_to = &dispatch->parts.workers[0];
    if (suspended->lifted)
        saying->change.lift = saying->is.destination;
    else
        saying->change.suspend = &saying->is;
    committer_post(dispatch->parts.committer, &saying->change);
}

static void tell(const char *event, const struct suspended *suspended)
{
    struct log_line line;
    char until[LOG_TIME_MAX];
    log_begin(&line, event);
    log_string(&line, "destination", suspended->is.destination);
    if (!suspended->lifted && suspended->is.until_ms != 0)
        log_string(&line, "until", log_time(suspended->is.until_ms, until));
    if (!suspended->lifted)
        log_string(&line, "reason", suspended->is.reason);
    log_end(&line);
}

static struct destination *find_destination(const struct dispatch *dispatch, const char *name,
                                            enum security security)
{
    return scheduler_find_destination(&dispatch->scheduler, span_of(name), security);
}

/* All mail for the name: a suspension is of the domain, however its mail is to be protected. */
static void serve_all(struct dispatch *dispatch, const char *name)
{
    for (unsigned i = 0; i < SECURITIES; i++) {
        struct destination *destination = find_destination(dispatch, name, (enum security)i);
        if (destination != NULL)
            serve(dispatch, destination, next_worker(dispatch));
    }
}

static void withdraw_all(struct dispatch *dispatch, const char *name)
{
    for (unsigned i = 0; i < SECURITIES; i++) {
        struct destination *destination = find_destination(dispatch, name, (enum security)i);
        if (destination != NULL && destination->route != NULL)
            site_withdraw(destination->route);
    }
}

static void lift(struct dispatch *dispatch, struct suspended *suspended)
{
    suspended->lifted = true;
    set_end(dispatch, suspended);
    tell("resumed", suspended);
    say(dispatch, suspended);
    serve_all(dispatch, suspended->is.destination);
}

static bool suspend(struct dispatch *dispatch, const struct suspension *suspension)
{
    struct suspended *suspended = find(dispatch, suspension->destination);
    if (suspended == NULL && dispatch->suspensions.count < SUSPENSIONS_MAX)
        suspended = add(dispatch, suspension->destination);
    if (suspended == NULL)
        return false;
    suspended->is = *suspension;
    suspended->lifted = false;
    set_end(dispatch, suspended);
    withdraw_all(dispatch, suspension->destination);
    tell("suspended", suspended);
    say(dispatch, suspended);
    return true;
}

bool dispatch_suspend(struct dispatch *dispatch, const struct suspension *suspension)
{
    lock(dispatch);
    bool fine = suspend(dispatch, suspension);
    unlock(dispatch);
    return fine;
}

/* A whole connection's worth of envelopes may get the same reply: what adds less than this to a
 * suspension changes nothing. */
#define FURTHER_LEAST_MS 60000

bool dispatch_suspend_further(struct dispatch *dispatch, const struct suspension *suspension)
{
    lock(dispatch);
    const struct suspended *before = find(dispatch, suspension->destination);
    int64_t wanted_ms = suspension->until_ms - FURTHER_LEAST_MS;
    bool enough = before != NULL && !before->lifted &&
                  (before->is.until_ms == 0 || before->is.until_ms >= wanted_ms);
    bool fine = enough || suspend(dispatch, suspension);
    unlock(dispatch);
    return fine;
}

bool dispatch_lift(struct dispatch *dispatch, const char *destination)
{
    lock(dispatch);
    struct suspended *suspended = find(dispatch, destination);
    bool lifts = suspended != NULL && !suspended->lifted;
    if (lifts)
        lift(dispatch, suspended);
    unlock(dispatch);
    return lifts;
}

void turn_suspensions(struct dispatch *dispatch, int64_t now_ms)
{
    int64_t at;
    struct heap_node *node;
    while ((node = heap_top(&dispatch->suspension_ends, &at)) != NULL && at <= now_ms)
        lift(dispatch, container_of(node, struct suspended, wake_up));
}

void why_suspended(const struct dispatch *dispatch, const char *destination, int64_t *until_ms,
                   char *why, size_t size)
{
    const struct suspended *suspended = find(dispatch, destination);
    if (suspended == NULL || suspended->lifted)
        return;
    *until_ms = suspended->is.until_ms;
    snprintf(why, size, "paused: %s", suspended->is.reason);
}

/* ---- looking ---- */

static void look_at_hosts(const struct site *site, struct destination_look *look)
{
    for (unsigned i = 0; i < site->host_count && i < RESOLVE_HOSTS_MAX; i++) {
        const struct site_host *host = &site->hosts[i];
        struct look_host *seen = &look->hosts[look->host_count++];
        snprintf(seen->name, sizeof(seen->name), "%s", host->name);
        seen->preference = host->preference;
        seen->port = host->port;
        for (unsigned j = 0; j < host->count; j++)
            seen->addresses[seen->count++] = host->addresses[j];
        seen->level = host->tls.level;
        seen->source = host->tls.source;
        snprintf(seen->refused, sizeof(seen->refused), "%s",
                 host->tls.refused ? host->tls.refused : "");
    }
}

static unsigned count_idle(const struct site *site)
{
    unsigned count = 0;
    for (unsigned i = 0; i < site->worker_count; i++)
        for (struct list_node *node = list_first(&site->shares[i].idle); node != NULL;
             node = list_next(&site->shares[i].idle, node))
            count++;
    return count;
}

static void look_at_site(const struct site *site, struct destination_look *look)
{
    look->site = true;
    look->connections = site->connections;
    look->idle = count_idle(site);
    look->claimants = site->claimants;
    look->max_connections = site->terms.limits->max_connections;
    look->failures = site->pace.failures;
    look->retry_at_ms = site_waits_until(site, os_wall());
    if (look->retry_at_ms > 0) {
        snprintf(look->failure, sizeof(look->failure), "%s", site->last_failure);
    }
    site_why(site, os_wall(), look->limit, sizeof(look->limit));
    look_at_hosts(site, look);
}

static void look_at_route(const struct route *route, struct destination_look *look)
{
    look->route = route->state;
    if (route->site != NULL)
        look_at_site(route->site, look);
    if (route->state == ROUTE_WAITING)
        look->retry_at_ms = route->pace.retry_at_ms;
    if (route->state == ROUTE_WAITING || route->state == ROUTE_FAILED)
        snprintf(look->failure, sizeof(look->failure), "%.*s", SPAN_FORMAT(route->verdict.text));
}

bool dispatch_look_at(struct dispatch *dispatch, const char *name, enum security security,
                      struct destination_look *look)
{
    *look = (struct destination_look){.security = security};
    snprintf(look->name, sizeof(look->name), "%s", name);
    lock(dispatch);
    const struct destination *destination = find_destination(dispatch, name, security);
    const struct suspended *suspended = find(dispatch, name);
    if (destination != NULL) {
        look->known = true;
        add_shown_counts(dispatch, destination, os_wall(), look->counts);
        if (destination->route != NULL)
            look_at_route(destination->route, look);
    }
    if (suspended != NULL) {
        look->suspended = !suspended->lifted;
        look->suspension_pending = !suspended->durable;
        look->suspension = suspended->is;
    }
    unlock(dispatch);
    return destination != NULL || look->suspended;
}

void look_free(struct destination_look **look)
{
    free(*look);
    *look = NULL;
}

struct config *dispatch_config(struct dispatch *dispatch)
{
    lock(dispatch);
    struct config *config = config_keep(dispatch->parts.config);
    unlock(dispatch);
    return config;
}

/* ---- all of them ---- */

static void add_name(struct destination_names *names, const char *name, enum security security,
                     unsigned envelopes)
{
    if ((names->count & (names->count - 1)) == 0) /* 0, 1, 2, 4, …: room for twice as many */
        names->items = must_realloc(names->items,
                                    (names->count ? names->count * 2 : 1) * sizeof(*names->items));
    names->items[names->count++] =
        (struct destination_name){arena_copy(&names->arena, span_of(name)), security, envelopes};
}

static void add_destinations(struct dispatch *dispatch, struct destination_names *names)
{
    const struct destination *destination;
    size_t at = 0;
    do {
        lock(dispatch);
        for (int i = 0; i < STEP; i++) {
            destination = scheduler_walk_destinations(&dispatch->scheduler, &at);
            if (destination == NULL)
                break;
            unsigned envelopes = 0;
            for (int state = 0; state < ENTRY_STATES; state++)
                envelopes += destination->counts[state];
            if (envelopes > 0)
                add_name(names, destination->name, destination->security, envelopes);
        }
        unlock(dispatch);
    } while (destination != NULL);
}

static bool has_mail(const struct dispatch *dispatch, const char *name)
{
    for (unsigned i = 0; i < SECURITIES; i++) {
        const struct destination *destination = find_destination(dispatch, name, (enum security)i);
        if (destination != NULL && !destination_is_empty(destination))
            return true;
    }
    return false;
}

/* Those without mail, which are not among the others. */
static void add_suspended(struct dispatch *dispatch, struct destination_names *names)
{
    struct suspended *suspended;
    size_t at = 0;
    lock(dispatch);
    while ((suspended = map_walk(&dispatch->suspensions, &at)) != NULL)
        if (!suspended->lifted && !has_mail(dispatch, suspended->is.destination))
            add_name(names, suspended->is.destination, SECURITY_USUAL, 0);
    unlock(dispatch);
}

void dispatch_destinations(struct dispatch *dispatch, struct destination_names *names)
{
    *names = (struct destination_names){0};
    add_destinations(dispatch, names);
    add_suspended(dispatch, names);
}

void destination_names_free(struct destination_names *names)
{
    free(names->items);
    arena_free(&names->arena);
    *names = (struct destination_names){0};
}
