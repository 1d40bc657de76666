#include "relay/outbound/dispatch_operator.h"

#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_lock.h"

#include <stdlib.h>

/* ---- retry ---- */

static void lift_back_off(struct dispatch *dispatch, struct route *route, int64_t asked_ms)
{
    int64_t now_ms = os_wall();
    if (route->state == ROUTE_WAITING && pace_hurry(&route->pace, now_ms, asked_ms)) {
        heap_remove(&dispatch->route_wake_ups, &route->wake_up);
        route->state = ROUTE_UNKNOWN;
    }
    if (route->site != NULL)
        pace_hurry(&route->site->pace, now_ms, asked_ms);
}

bool dispatch_retry(struct dispatch *dispatch, uint64_t id, uint16_t number, int64_t asked_ms)
{
    lock(dispatch);
    struct entry *entry = scheduler_find(&dispatch->scheduler, id, number);
    if (entry != NULL && entry->state != ENTRY_OUT) {
        const struct retry *retry =
            config_retry(dispatch->parts.config, span_of(entry->destination->name));
        scheduler_hurry(&dispatch->scheduler, entry, message_id_ms(id) + retry->give_up_ms);
        if (entry->destination->route != NULL)
            lift_back_off(dispatch, entry->destination->route, asked_ms);
        serve(dispatch, entry->destination, next_worker(dispatch));
    }
    unlock(dispatch);
    return entry != NULL;
}

/* ---- drop ---- */

struct dropping {
    struct change change;
    struct dispatch *dispatch;
    struct entry *entry; /* OUT */
};

/* On a worker's thread, once the spool has forgotten the envelope. */
static void dropped(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct dropping *dropping = container_of(change, struct dropping, change);
    struct entry *entry = dropping->entry;
    struct log_line line;
    char name[ENVELOPE_NAME_MAX];
    (void)taker;
    if (change->result == SPOOL_BROKEN)
        return; /* the relay is about to end, and the envelope is still in the spool */
    metric_add(METRIC_DROPPED, entry->recipients);
    metric_add(METRIC_QUEUED, -(int64_t)entry->recipients);
    log_begin(&line, "dropped");
    log_string(&line, "id", envelope_name(entry->id, entry->number, name));
    log_number(&line, "recipients", entry->recipients);
    log_string(&line, "destination", entry->destination->name);
    log_end(&line);
    dispatch_finished(dropping->dispatch, entry);
    free(dropping);
}

void drop_out(struct dispatch *dispatch, struct entry *entry)
{
    struct dropping *dropping = must_calloc(1, sizeof(*dropping));
    must(entry->state == ENTRY_OUT);
    dropping->dispatch = dispatch;
    dropping->entry = entry;
    dropping->change.mail.deliver = dropped;
    dropping->change.reply_to = &dispatch->parts.workers[0];
    dropping->change.remove = true;
    dropping->change.id = entry->id;
    dropping->change.number = entry->number;
    committer_post(dispatch->parts.committer, &dropping->change);
}

bool dispatch_drop(struct dispatch *dispatch, uint64_t id, uint16_t number)
{
    lock(dispatch);
    struct entry *entry = scheduler_find(&dispatch->scheduler, id, number);
    bool begin = entry != NULL && !entry->drop;
    if (begin) {
        entry->drop = true;
        if (entry->state != ENTRY_OUT) {
            entry_move(entry, ENTRY_OUT);
            drop_out(dispatch, entry);
        }
    }
    unlock(dispatch);
    return entry != NULL;
}
