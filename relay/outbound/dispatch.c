#include "relay/outbound/dispatch.h"

#include "relay/os.h"
#include "relay/outbound/dispatch_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_LEAST_MS 10000 /* a due envelope gets this long for its last attempt */
#define SWEEP_MS 60000      /* how often destinations nobody needs are forgotten */

struct dispatch *dispatch_create(const struct dispatch_parts *parts)
{
    struct dispatch *dispatch = must_calloc(1, sizeof(*dispatch));
    dispatch->parts = *parts;
    config_keep(parts->config);
    pthread_mutex_init(&dispatch->lock, NULL);
    scheduler_init(&dispatch->scheduler);
    sites_init(dispatch);
    suspensions_init(dispatch);
    orders_init(dispatch);
    os_random(&dispatch->random, sizeof(dispatch->random));
    return dispatch;
}

void dispatch_destroy(struct dispatch **dispatch)
{
    struct dispatch *self = *dispatch;
    routes_free(self);
    suspensions_free(self);
    orders_free(self);
    scheduler_free(&self->scheduler);
    heap_free(&self->site_wake_ups);
    heap_free(&self->route_wake_ups);
    config_drop(&self->parts.config);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *dispatch = NULL;
}

/* ---- turns ---- */

/* Workers in turn, for work that comes from none of them. */
unsigned next_worker(struct dispatch *dispatch)
{
    dispatch->last_worker = (dispatch->last_worker + 1) % dispatch->parts.worker_count;
    return dispatch->last_worker;
}

void hasten(struct dispatch *dispatch, int64_t at_ms)
{
    if (at_ms >= atomic_load(&dispatch->next_turn_ms))
        return;
    atomic_store(&dispatch->next_turn_ms, at_ms);
    struct mailbox *first = &dispatch->parts.workers[0];
    first->wake(first->owner);
}

/* ---- envelopes ---- */

/* When an envelope's time in the queue began: by its id, or later (RFC 4865). */
static int64_t began_ms(uint64_t id, uint32_t postponed_s)
{
    return message_id_ms(id) + INT64_C(1000) * postponed_s;
}

static int64_t expiry_of(const struct dispatch *dispatch, const struct entry *entry)
{
    const struct retry *retry =
        config_retry(dispatch->parts.config, span_of(entry->destination->name));
    return began_ms(entry->id, entry->postponed_s) + retry->give_up_ms;
}

int64_t look_at_ms(const struct dispatch *dispatch, const struct entry *entry)
{
    int64_t expiry = expiry_of(dispatch, entry);
    int64_t soon = os_wall() + LOOK_LEAST_MS;
    return expiry > soon ? expiry : soon;
}

static void add_entry(struct dispatch *dispatch, unsigned worker, struct span destination,
                      struct entry_facts *facts, struct envelope *take, int64_t now_ms)
{
    struct destination *at = scheduler_destination(&dispatch->scheduler, destination);
    const struct retry *retry = config_retry(dispatch->parts.config, destination);
    facts->expiry_ms = began_ms(facts->id, facts->postponed_s) + retry->give_up_ms;
    if (facts->expiry_ms < now_ms + LOOK_LEAST_MS) /* after a long stop: one attempt is due still */
        facts->expiry_ms = now_ms + LOOK_LEAST_MS;
    struct entry *entry = scheduler_add(&dispatch->scheduler, at, facts, take, now_ms);
    must(entry != NULL);
    bool ready = entry->state == ENTRY_READY;
    hasten(dispatch, ready ? facts->expiry_ms : facts->due_ms);
    if (ready)
        serve(dispatch, at, worker);
}

void dispatch_submit(struct dispatch *dispatch, unsigned worker, struct envelope *const *take,
                     size_t count)
{
    bool keep = message_memory() <= dispatch->parts.config->limits.memory;
    lock(dispatch);
    for (size_t i = 0; i < count; i++) {
        struct envelope *envelope = take[i];
        struct entry_facts facts = {.id = envelope->id,
                                    .number = envelope->number,
                                    .recipients = (uint16_t)envelope->count,
                                    .held = envelope->held,
                                    .postponed_s = envelope->postponed_s,
                                    .due_ms = envelope->due_ms};
        char name[DOMAIN_MAX_BYTES + 1];
        snprintf(name, sizeof(name), "%s", envelope->destination);
        if (!keep)
            envelope_free(&envelope); /* it will be read back when its turn comes */
        add_entry(dispatch, worker, span_of(name), &facts, envelope, os_wall());
    }
    unlock(dispatch);
}

void dispatch_restore(struct dispatch *dispatch, const struct spool_glance *glances, size_t count)
{
    lock(dispatch);
    for (size_t i = 0; i < count; i++) {
        struct entry_facts facts = {.id = glances[i].id,
                                    .number = glances[i].number,
                                    .attempts = glances[i].attempts,
                                    .recipients = (uint16_t)glances[i].recipients,
                                    .held = glances[i].held,
                                    .postponed_s = glances[i].postponed_s,
                                    .due_ms = glances[i].due_ms};
        add_entry(dispatch, next_worker(dispatch), span_of(glances[i].destination), &facts, NULL,
                  os_wall());
    }
    unlock(dispatch);
}

void dispatch_restored(struct dispatch *dispatch)
{
    lock(dispatch);
    dispatch->whole = true;
    unlock(dispatch);
}

void dispatch_return(struct dispatch *dispatch, struct entry *entry, struct envelope *take)
{
    lock(dispatch);
    must(entry->envelope == NULL);
    entry->envelope = take;
    if (entry->order != ORDER_NONE) {
        carry_out(dispatch, entry, os_wall());
    } else {
        entry_return(entry);
        serve(dispatch, entry->destination, next_worker(dispatch));
    }
    unlock(dispatch);
}

void dispatch_finished(struct dispatch *dispatch, struct entry *entry)
{
    lock(dispatch);
    forget_order(dispatch, entry);
    scheduler_remove(&dispatch->scheduler, entry);
    unlock(dispatch);
}

void dispatch_deferred(struct dispatch *dispatch, struct entry *entry, int64_t due_ms)
{
    lock(dispatch);
    if (entry->order != ORDER_NONE)
        carry_out(dispatch, entry, due_ms);
    else
        scheduler_defer(&dispatch->scheduler, entry, due_ms);
    hasten(dispatch, due_ms);
    unlock(dispatch);
}

void dispatch_held(struct dispatch *dispatch, struct entry *entry)
{
    lock(dispatch);
    if (entry->order == ORDER_FAIL || entry->order == ORDER_DROP) {
        carry_out(dispatch, entry, os_wall());
    } else {
        forget_order(dispatch, entry);
        scheduler_hold(&dispatch->scheduler, entry, os_wall());
    }
    unlock(dispatch);
}

/* ---- ending without a connection ---- */

void end_locally(struct dispatch *dispatch, struct entry *entry, const struct verdict *verdict,
                 struct route *route, unsigned worker)
{
    struct local_end *end = must_calloc(1, sizeof(*end));
    must(entry->state == ENTRY_OUT);
    end->mail.deliver = dispatch->parts.end_locally;
    end->entry = entry;
    end->route = route;
    end->verdict = verdict_copy(verdict, &end->arena);
    mailbox_post(&dispatch->parts.workers[worker], &end->mail);
}

void dispatch_next_local(struct dispatch *dispatch, struct route *route, unsigned worker)
{
    lock(dispatch);
    route->ending = false;
    serve(dispatch, route->destination, worker);
    unlock(dispatch);
}

/* ---- time ---- */

static void entry_due(struct dispatch *dispatch, struct entry *entry)
{
    scheduler_look_again(&dispatch->scheduler, entry, look_at_ms(dispatch, entry));
    serve(dispatch, entry->destination, next_worker(dispatch));
}

/* READY or OUT past its expiry, or HELD for long. What is OUT ends by itself; what is READY never
 * left; what is HELD stays. */
static void entry_overdue(struct dispatch *dispatch, struct entry *entry, int64_t now_ms)
{
    if (entry->state == ENTRY_HELD) {
        scheduler_hold(&dispatch->scheduler, entry, now_ms);
        return;
    }
    scheduler_look_again(&dispatch->scheduler, entry, look_at_ms(dispatch, entry));
    if (entry->state != ENTRY_READY || expiry_of(dispatch, entry) > now_ms)
        return;
    entry_move(entry, ENTRY_OUT);
    char why[300];
    why_waiting(entry, why, sizeof(why));
    struct verdict verdict = {.kind = VERDICT_EXPIRED,
                              .status = {5, 4, 7}, /* RFC 3463 3.5 */
                              .text = span_of(why[0] ? why : "delivery time expired")};
    end_locally(dispatch, entry, &verdict, NULL, next_worker(dispatch));
}

static void turn_entries(struct dispatch *dispatch, int64_t now_ms)
{
    struct entry *entry;
    bool overdue;
    for (int i = 0; i < DUE_AT_ONCE; i++) {
        entry = scheduler_due(&dispatch->scheduler, now_ms, &overdue);
        if (entry == NULL)
            return;
        if (overdue)
            entry_overdue(dispatch, entry, now_ms);
        else
            entry_due(dispatch, entry);
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int64_t heap_next(const struct heap *heap)
{
    int64_t at;
    return heap_top(heap, &at) ? at : -1;
}

int dispatch_wait_ms(struct dispatch *dispatch)
{
    int64_t wait = atomic_load(&dispatch->next_turn_ms) - os_wall();
    return wait <= 0 ? 0 : wait < SWEEP_MS ? (int)wait : SWEEP_MS;
}

int64_t dispatch_late_ms(struct dispatch *dispatch)
{
    int64_t wanted_ms = atomic_load(&dispatch->next_turn_ms);
    int64_t turned_ms = atomic_load(&dispatch->turned_ms);
    int64_t late_ms = os_wall() - (wanted_ms > turned_ms ? wanted_ms : turned_ms);
    return turned_ms > 0 && late_ms > 0 ? late_ms : 0;
}

void dispatch_turn(struct dispatch *dispatch)
{
    int64_t now_ms = os_wall();
    lock(dispatch);
    turn_entries(dispatch, now_ms);
    turn_sites(dispatch, now_ms);
    turn_routes(dispatch, now_ms);
    turn_suspensions(dispatch, now_ms);
    if (now_ms >= dispatch->sweep_at_ms && sweep_routes(dispatch, now_ms))
        dispatch->sweep_at_ms = now_ms + SWEEP_MS;
    int64_t next =
        earlier(heap_next(&dispatch->site_wake_ups), heap_next(&dispatch->route_wake_ups));
    next = earlier(
        next, earlier(scheduler_next(&dispatch->scheduler), heap_next(&dispatch->suspension_ends)));
    atomic_store(&dispatch->next_turn_ms, earlier(dispatch->sweep_at_ms, next));
    atomic_store(&dispatch->turned_ms, now_ms);
    unlock(dispatch);
}

/* ---- changes of the whole ---- */

void dispatch_reconfigure(struct dispatch *dispatch, struct config *config)
{
    lock(dispatch);
    config_drop(&dispatch->parts.config);
    dispatch->parts.config = config_keep(config);
    forget_ways(dispatch);
    unlock(dispatch);
}

void dispatch_drain(struct dispatch *dispatch)
{
    lock(dispatch);
    dispatch->draining = true;
    unlock(dispatch);
}

unsigned dispatch_out(struct dispatch *dispatch)
{
    lock(dispatch);
    unsigned out = dispatch->scheduler.counts[ENTRY_OUT];
    unlock(dispatch);
    return out;
}
