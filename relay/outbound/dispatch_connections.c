/* What connections ask of the dispatch, and how many of them there are. */
#include "base/log.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch.h"
#include "relay/outbound/dispatch_lock.h"

#include <stdio.h>

/* ---- recruiting ---- */

static void post_opening(struct dispatch *dispatch, struct site *site, unsigned worker, bool probe)
{
    struct opening *opening = must_calloc(1, sizeof(*opening));
    opening->mail.deliver = dispatch->parts.open;
    opening->site = site;
    opening->probe = probe;
    site->references++;
    mailbox_post(&dispatch->parts.workers[worker], &opening->mail);
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

void recruit(struct dispatch *dispatch, struct site *site, unsigned prefer)
{
    struct recruited got;
    if (dispatch->draining)
        return;
    site->again_ms = 0;
    for (bool goes_on = true; goes_on;) {
        switch (site_recruit(site, prefer, os_wall(), &got)) {
        case RECRUIT_LATER:
            site->again_ms = got.again_ms;
            goes_on = false;
            break;
        case RECRUIT_NONE: goes_on = false; break;
        case RECRUIT_WAKE: post_wake(dispatch, got.slot); break;
        case RECRUIT_OPEN: post_opening(dispatch, site, got.worker, got.probe); break;
        }
    }
    set_wake_up(dispatch, site);
}

/* ---- connections ---- */

static void back_off(struct dispatch *dispatch, struct site *site)
{
    metric_add(METRIC_THROTTLED_BACK_OFF, 1);
    pace_failed(&site->pace, os_wall(), site->terms.limits->back_off_ms, &dispatch->random);
    set_wake_up(dispatch, site);
}

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
    if (!last && !dispatch->draining && site->rests_until_ms <= now_ms)
        entry = site_claim(site, now_ms);
    bool stays = !last && !dispatch->draining && site->routes > 0;
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
    slot_move(slot, SLOT_LEFT);
    /* While other connections live the envelopes have a way out; else the first one tells. */
    struct entry *head = site->connections == 0 && !told ? site_next(site) : NULL;
    if (head != NULL)
        end_locally(dispatch, head, verdict, NULL, slot->worker);
    site_release(dispatch, site);
    unlock(dispatch);
}

struct tls_history dispatch_tls_history(struct dispatch *dispatch, struct site *site, unsigned host)
{
    lock(dispatch);
    struct tls_history history = site->hosts[host].tls;
    history.failed_lately = site->hosts[host].tls_failed_until_ms > os_wall();
    unlock(dispatch);
    return history;
}

bool dispatch_tls_outcome(struct dispatch *dispatch, struct site *site, unsigned host,
                          enum tls_outcome outcome)
{
    lock(dispatch);
    struct site_host *at = &site->hosts[host];
    bool offered_before = at->tls.offered;
    at->tls.offered = outcome != TLS_NOT_OFFERED;
    switch (outcome) {
    case TLS_TEMPORARY: at->tls.temporary++; break;
    case TLS_HANDSHAKE_FAILED:
    case TLS_STALLED:
    case TLS_RESIDUE: at->tls_failed_until_ms = os_wall() + SITE_TLS_MEMORY_MS; break;
    case TLS_ESTABLISHED:
        at->tls_failed_until_ms = 0;
        at->tls.temporary = 0;
        break;
    case TLS_NOT_OFFERED:
    case TLS_REFUSED: at->tls.temporary = 0; break;
    }
    unlock(dispatch);
    return offered_before && outcome == TLS_NOT_OFFERED;
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
