/* What connections ask of the dispatch, and how many of them there are. */
#include "base/log.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch.h"
#include "relay/outbound/dispatch_lock.h"
#include "relay/outbound/reported.h"

#include <stdio.h>

/* ---- recruiting ---- */

/* For whom the connection is opened. */
static struct reported *site_reported(const struct site *site)
{
    struct list_node *head = list_first(&site->turn);
    return head != NULL ? container_of(head, struct route, turn)->reported : NULL;
}

static void post_opening(struct dispatch *dispatch, struct site *site, const struct recruited *got)
{
    struct opening *opening = must_calloc(1, sizeof(*opening));
    opening->mail.deliver = dispatch->parts.open;
    opening->site = site;
    opening->probe = got->probe;
    opening->reserved = got->reserved;
    opening->reported = reported_keep(site_reported(site));
    site->references++;
    mailbox_post(&dispatch->parts.workers[got->worker], &opening->mail);
}

static void post_wake(struct dispatch *dispatch, struct slot *slot)
{
    slot->wake.deliver = dispatch->parts.wake;
    mailbox_post(&dispatch->parts.workers[slot->worker], &slot->wake);
}

/* The first of what keeps it from work to end: a back-off (unless its probe is out), or a rate
 * that is used up. */
static void set_wake_up(struct dispatch *dispatch, struct site *site)
{
    int64_t now_ms = os_wall();
    int64_t at_ms = site_waits_until(site, now_ms);
    if (at_ms <= now_ms || (site->again_ms != 0 && site->again_ms < at_ms))
        at_ms = site->again_ms;
    if (at_ms == 0) {
        heap_remove(&dispatch->site_wake_ups, &site->wake_up);
        return;
    }
    heap_set(&dispatch->site_wake_ups, &site->wake_up, at_ms);
    hasten(dispatch, at_ms);
}

/* The site waits for a place at a peer, behind those who wait already; who has just got one and
 * wants more does so anew. Somebody of another site who only idles there makes room. */
static void crowd(struct dispatch *dispatch, struct site *site, bool got_one)
{
    if (list_linked(&site->crowded) && !got_one)
        return;
    metric_add(METRIC_THROTTLED_HOST, 1);
    list_remove(&site->crowded);
    list_append(&dispatch->crowded, &site->crowded);
    struct slot *idle = site_find_foreign_idle(site);
    if (idle == NULL)
        return;
    slot_move(idle, SLOT_CLAIMANT);
    idle->waking = idle->evicted = true;
    post_wake(dispatch, idle);
}

/* What comes of it in the end; *opened: a connection was asked for. */
static enum recruit recruit_all(struct dispatch *dispatch, struct site *site, unsigned prefer,
                                bool *opened)
{
    for (;;) {
        struct recruited got;
        enum recruit how = site_recruit(site, prefer, os_wall(), &got);
        switch (how) {
        case RECRUIT_LATER: site->again_ms = got.again_ms; return how;
        case RECRUIT_NONE:
        case RECRUIT_CROWDED: return how;
        case RECRUIT_WAKE: post_wake(dispatch, got.slot); break;
        case RECRUIT_OPEN:
            post_opening(dispatch, site, &got);
            *opened = true;
            break;
        }
    }
}

void recruit(struct dispatch *dispatch, struct site *site, unsigned prefer)
{
    bool opened = false;
    if (dispatch->draining)
        return;
    site->again_ms = 0;
    if (recruit_all(dispatch, site, prefer, &opened) == RECRUIT_CROWDED)
        crowd(dispatch, site, opened);
    else
        list_remove(&site->crowded);
    set_wake_up(dispatch, site);
}

static void back_off(struct dispatch *dispatch, struct site *site)
{
    if (pace_failed(&site->pace, os_wall(), site->terms.limits->back_off_ms, &dispatch->random))
        metric_add(METRIC_THROTTLED_BACK_OFF, 1);
    set_wake_up(dispatch, site);
}

/* ---- peers ---- */

/* Somebody else waits for a place where this one is. */
static bool is_wanted(const struct dispatch *dispatch, const struct slot *slot)
{
    for (struct list_node *node = list_first(&dispatch->crowded); node != NULL && slot->peer;
         node = list_next(&dispatch->crowded, node)) {
        const struct site *site = container_of(node, struct site, crowded);
        if (site != slot->site && site_goes_to(site, &slot->peer->at))
            return true;
    }
    return false;
}

/* Who has waited longest for this peer and takes the place. */
static bool invite_one(struct dispatch *dispatch, const struct endpoint *at, bool without_any)
{
    struct list_node *node = list_first(&dispatch->crowded);
    while (node != NULL) {
        struct list_node *next = list_next(&dispatch->crowded, node);
        struct site *site = container_of(node, struct site, crowded);
        unsigned before = site->connections;
        if ((before == 0) == without_any && site_goes_to(site, at))
            recruit(dispatch, site, next_worker(dispatch));
        if (site->connections > before)
            return true;
        node = next;
    }
    return false;
}

/* A place at this peer is free: those who have no connection at all come first. */
static void invite(struct dispatch *dispatch, const struct endpoint *at)
{
    if (!invite_one(dispatch, at, true))
        invite_one(dispatch, at, false);
}

static void give(struct dispatch *dispatch, struct peer *peer)
{
    struct endpoint at = peer->at;
    peers_give(&dispatch->peers, peer);
    invite(dispatch, &at);
}

/* The place that was kept for it is not needed. */
static void give_reserved(struct dispatch *dispatch, struct slot *slot)
{
    struct peer *reserved = slot->reserved;
    slot->reserved = NULL;
    if (reserved != NULL)
        give(dispatch, reserved);
}

static bool is_at(const struct peer *peer, const struct endpoint *at)
{
    return peer != NULL && peer->at.port == at->port && ip_equal(&peer->at.ip, &at->ip);
}

struct peer *dispatch_reach(struct dispatch *dispatch, struct slot *slot, const struct endpoint *to)
{
    lock(dispatch);
    struct peer *peer = is_at(slot->reserved, to) ? slot->reserved : NULL;
    if (peer != NULL)
        slot->reserved = NULL; /* used */
    else if ((peer = peers_take(&dispatch->peers, to, site_most_per_peer(slot->site))) != NULL)
        give_reserved(dispatch, slot);
    unlock(dispatch);
    return peer;
}

void dispatch_part(struct dispatch *dispatch, struct slot *slot, struct peer **take_peer)
{
    lock(dispatch);
    if (slot->peer == *take_peer) {
        list_remove(&slot->parked);
        slot->peer = NULL;
    }
    give(dispatch, *take_peer);
    unlock(dispatch);
    *take_peer = NULL;
}

void dispatch_crowded(struct dispatch *dispatch, struct slot *slot)
{
    lock(dispatch);
    struct site *site = slot->site;
    if (slot->probe) /* it found nothing out */
        back_off(dispatch, site);
    give_reserved(dispatch, slot);
    slot_move(slot, SLOT_LEFT);
    recruit(dispatch, site, slot->worker); /* a place may be free again; else it waits for one */
    site_release(dispatch, site);
    unlock(dispatch);
}

/* ---- connections ---- */

void dispatch_back_off(struct dispatch *dispatch, const struct entry *entry, int64_t until_ms,
                       const char *why)
{
    lock(dispatch);
    const struct route *route = entry->destination->route;
    struct site *site = route != NULL ? route->site : NULL;
    if (site != NULL && until_ms > site->rests_until_ms) {
        bool begins = site->rests_until_ms <= os_wall();
        metric_add(METRIC_THROTTLED_BACK_OFF, begins);
        if (begins)
            log_note("site-rests", "why", "%s: %s", entry->destination->name, why);
        site->rests_until_ms = until_ms;
        snprintf(site->last_failure, sizeof(site->last_failure), "%s", why);
        set_wake_up(dispatch, site);
    }
    unlock(dispatch);
}

/* The slot's reference to its site goes with its place. */
static void leave(struct dispatch *dispatch, struct slot *slot)
{
    struct site *site = slot->site;
    if (slot->probe) /* it found nothing out: the next probe may */
        back_off(dispatch, site);
    give_reserved(dispatch, slot);
    slot_move(slot, SLOT_LEFT);
    recruit(dispatch, site, slot->worker);
    site_release(dispatch, site);
}

struct entry *dispatch_claim(struct dispatch *dispatch, struct slot *slot, bool last, bool *idle)
{
    struct entry *entry = NULL;
    lock(dispatch);
    struct site *site = slot->site;
    int64_t now_ms = os_wall();
    last |= slot->evicted;
    if (!last && !dispatch->draining && site->rests_until_ms <= now_ms)
        entry = site_claim(site, now_ms);
    if (entry != NULL) { /* should it go to another host with it */
        reported_drop(&slot->reported);
        const struct route *route = entry->destination->route;
        slot->reported = reported_keep(route->reported);
    }
    bool stays = !last && !dispatch->draining && site->routes > 0 && !is_wanted(dispatch, slot);
    *idle = entry == NULL && stays;
    slot_move(slot, *idle ? SLOT_IDLE : SLOT_BUSY);
    if (site->terms.limits->rate.count != 0) /* what is ready still waits for the next token */
        recruit(dispatch, site, slot->worker);
    unlock(dispatch);
    return entry;
}

bool dispatch_retire(struct dispatch *dispatch, struct slot *slot)
{
    lock(dispatch);
    bool retires = slot->state == SLOT_IDLE;
    if (retires)
        slot_move(slot, SLOT_BUSY);
    unlock(dispatch);
    return retires;
}

void dispatch_woken(struct dispatch *dispatch, struct slot *slot)
{
    lock(dispatch);
    must(slot->waking && slot->state == SLOT_CLAIMANT);
    slot->waking = false;
    unlock(dispatch);
}

bool dispatch_leave(struct dispatch *dispatch, struct slot *slot)
{
    lock(dispatch);
    bool may_leave = !slot->waking;
    if (may_leave)
        leave(dispatch, slot);
    unlock(dispatch);
    return may_leave;
}

void dispatch_alive(struct dispatch *dispatch, struct slot *slot)
{
    lock(dispatch);
    pace_succeeded(&slot->site->pace);
    slot->probe = false;
    recruit(dispatch, slot->site, slot->worker);
    unlock(dispatch);
}

void dispatch_failed(struct dispatch *dispatch, struct slot *slot, const struct verdict *verdict,
                     bool told)
{
    lock(dispatch);
    struct site *site = slot->site;
    back_off(dispatch, site);
    snprintf(site->last_failure, sizeof(site->last_failure), "%.*s", SPAN_FORMAT(verdict->text));
    give_reserved(dispatch, slot);
    slot_move(slot, SLOT_LEFT);
    /* While other connections live the envelopes have a way out; else the first one tells. */
    struct entry *head = site->connections == 0 && !told ? site_next(site) : NULL;
    if (head != NULL)
        end_locally(dispatch, head, verdict, NULL, slot->worker);
    recruit(dispatch, site,
            slot->worker); /* its back-off may be over already, or needs its timer */
    site_release(dispatch, site);
    unlock(dispatch);
}

void dispatch_lacking(struct dispatch *dispatch, struct slot *slot, const struct verdict *verdict)
{
    lock(dispatch);
    struct site *site = slot->site;
    if (slot->probe) /* of a mail it found nothing out */
        back_off(dispatch, site);
    give_reserved(dispatch, slot);
    slot_move(slot, SLOT_LEFT);
    if (site->connections == 0) /* else the envelopes have a way out */
        fail_routes(dispatch, site, verdict, slot->worker);
    site_release(dispatch, site);
    unlock(dispatch);
}

struct tls_history dispatch_tls_history(struct dispatch *dispatch, struct site *site, unsigned host)
{
    lock(dispatch);
    struct tls_history history = site->hosts[host].history;
    history.offered =
        offers_know(&dispatch->offers, site->hosts[host].name, site->hosts[host].port);
    history.failed_lately = site->hosts[host].tls_failed_until_ms > os_wall();
    unlock(dispatch);
    return history;
}

void dispatch_tls_outcome(struct dispatch *dispatch, struct site *site, unsigned host,
                          enum tls_outcome outcome)
{
    lock(dispatch);
    struct site_host *at = &site->hosts[host];
    offers_note(&dispatch->offers, at->name, at->port,
                outcome != TLS_NOT_OFFERED && outcome != TLS_WITHDRAWN);
    switch (outcome) {
    case TLS_TEMPORARY: /* in a storm of them only the first counts: the site backs off once */
        at->history.temporary += !pace_is_resting(&site->pace);
        break;
    case TLS_ALERT:
    case TLS_HANDSHAKE_FAILED:
    case TLS_STALLED:
    case TLS_RESIDUE: at->tls_failed_until_ms = os_wall() + SITE_TLS_MEMORY_MS; break;
    case TLS_UNTRUSTED:
    case TLS_ESTABLISHED:
        at->tls_failed_until_ms = 0;
        at->history.temporary = 0;
        break;
    case TLS_NOT_OFFERED:
    case TLS_WITHDRAWN:
    case TLS_REFUSED: at->history.temporary = 0; break;
    case TLS_TICKET_REFUSED: break; /* what comes of the next attempt tells */
    }
    unlock(dispatch);
}

void turn_sites(struct dispatch *dispatch, int64_t now_ms)
{
    int64_t at;
    struct heap_node *node;
    for (int i = 0; i < DUE_AT_ONCE; i++) {
        node = heap_top(&dispatch->site_wake_ups, &at);
        if (node == NULL || at > now_ms)
            return;
        heap_remove(&dispatch->site_wake_ups, node);
        recruit(dispatch, container_of(node, struct site, wake_up), next_worker(dispatch));
    }
}
