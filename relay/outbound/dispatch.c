#include "relay/outbound/dispatch.h"

#include "relay/os.h"
#include "relay/outbound/dispatch_lock.h"

#include <stdlib.h>
#include <string.h>

struct dispatch *dispatch_create(const struct dispatch_parts *parts)
{
    struct dispatch *dispatch = must_calloc(1, sizeof(*dispatch));
    dispatch->parts = *parts;
    config_keep(parts->config);
    pthread_mutex_init(&dispatch->lock, NULL);
    scheduler_init(&dispatch->scheduler);
    sites_init(dispatch);
    peers_init(&dispatch->peers);
    list_init(&dispatch->crowded);
    suspensions_init(dispatch);
    recorder_init(&dispatch->recorder);
    offers_init(&dispatch->offers);
    orders_init(dispatch);
    os_random(&dispatch->random, sizeof(dispatch->random));
    return dispatch;
}

void dispatch_destroy(struct dispatch **dispatch)
{
    struct dispatch *self = *dispatch;
    routes_free(self);
    peers_free(&self->peers);
    suspensions_free(self);
    recorder_free(&self->recorder);
    offers_free(&self->offers);
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

static void add_entry(struct dispatch *dispatch, unsigned worker, struct destination *at,
                      struct entry_facts *facts, struct envelope *take, int64_t now_ms)
{
    facts->look_ms = look_at_ms(dispatch, span_of(at->name), facts);
    struct entry *entry = scheduler_add(&dispatch->scheduler, at, facts, take, now_ms);
    must(entry != NULL);
    bool ready = entry->state == ENTRY_READY;
    hasten(dispatch, ready ? facts->look_ms : facts->due_ms);
    if (ready)
        serve(dispatch, at, worker);
}

void dispatch_submit(struct dispatch *dispatch, unsigned worker, struct envelope *const *take,
                     size_t count)
{
    lock(dispatch);
    bool keep = message_memory() <= dispatch->parts.config->limits.memory;
    for (size_t i = 0; i < count; i++) {
        struct envelope *envelope = take[i];
        struct entry_facts facts = {.id = envelope->id,
                                    .number = envelope->number,
                                    .recipients = (uint8_t)envelope->count,
                                    .warned = envelope->warned,
                                    .timed = envelope->timed,
                                    .held = envelope->held,
                                    .postponed_s = envelope->postponed_s,
                                    .due_ms = envelope->due_ms};
        struct destination *at = scheduler_destination(
            &dispatch->scheduler, span_of(envelope->destination), envelope->security);
        if (!keep)
            envelope_free(&envelope); /* it will be read back when its turn comes */
        add_entry(dispatch, worker, at, &facts, envelope, os_wall());
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
                                    .recipients = (uint8_t)glances[i].recipients,
                                    .warned = glances[i].warned,
                                    .timed = glances[i].timed,
                                    .held = glances[i].held,
                                    .postponed_s = glances[i].postponed_s,
                                    .due_ms = glances[i].due_ms};
        struct destination *at = scheduler_destination(
            &dispatch->scheduler, span_of(glances[i].destination), glances[i].security);
        add_entry(dispatch, next_worker(dispatch), at, &facts, NULL, os_wall());
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

static struct local_end *local_end_create(const struct dispatch *dispatch, struct entry *entry,
                                          const struct verdict *verdict)
{
    struct local_end *end = must_calloc(1, sizeof(*end));
    must(entry->state == ENTRY_OUT);
    end->mail.deliver = dispatch->parts.end_locally;
    end->entry = entry;
    end->verdict = verdict_copy(verdict, &end->arena);
    return end;
}

void end_locally(struct dispatch *dispatch, struct entry *entry, const struct verdict *verdict,
                 struct route *route, unsigned worker)
{
    struct local_end *end = local_end_create(dispatch, entry, verdict);
    end->route = route;
    mailbox_post(&dispatch->parts.workers[worker], &end->mail);
}

void look_locally(struct dispatch *dispatch, struct entry *entry, const struct verdict *verdict,
                  unsigned worker)
{
    struct local_end *end = local_end_create(dispatch, entry, verdict);
    end->look = true;
    mailbox_post(&dispatch->parts.workers[worker], &end->mail);
}

void dispatch_next_local(struct dispatch *dispatch, struct route *route, unsigned worker)
{
    lock(dispatch);
    route->ending = false;
    serve(dispatch, route->destination, worker);
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
