/* What the operator wants of an envelope. An order holds in memory at once and is durable when the
 * committer says so; orders for one envelope reach the spool in the order they were given, as each
 * is posted under the lock.
 *
 * What is OUT has its attempt. The order waits on the entry until that is over; meanwhile the spool
 * has the envelope as held, so that a relay which ends before does not forget what was asked. */
#include "relay/outbound/dispatch_operator.h"

#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_lock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAIL_TEXT "returned by the operator: "

/* ---- changes on their way to the committer and back ---- */

struct order {
    struct change change;
    struct dispatch *dispatch;
    struct orders *orders; /* one reference; NULL: nobody waits for it */
    struct entry *entry;   /* of a drop: OUT */
    struct hold hold;      /* or this */
    char reason[HOLD_REASON_MAX + 1];
};

static struct order *order_create(struct dispatch *dispatch, const struct entry *entry,
                                  struct orders *orders)
{
    struct order *order = must_calloc(1, sizeof(*order));
    order->dispatch = dispatch;
    order->orders = orders_keep(orders);
    order->change.reply_to = &dispatch->parts.workers[0];
    order->change.id = entry->id;
    order->change.number = entry->number;
    return order;
}

static void order_free(struct order *order)
{
    orders_drop(&order->orders);
    free(order);
}

/* On a worker's thread: the spool has it. */
static void held(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct order *order = container_of(change, struct order, change);
    struct log_line line;
    char name[ENVELOPE_NAME_MAX];
    (void)taker;
    if (change->result == SPOOL_BROKEN)
        return; /* the relay is about to end: what is not durable is not told */
    log_begin(&line, order->hold.held ? "held" : "released");
    log_string(&line, "id", envelope_name(change->id, change->number, name));
    if (order->hold.held)
        log_string(&line, "reason", order->reason);
    log_end(&line);
    order_free(order);
}

static void post_hold(struct dispatch *dispatch, const struct entry *entry, const char *reason,
                      struct orders *orders)
{
    struct order *order = order_create(dispatch, entry, orders);
    snprintf(order->reason, sizeof(order->reason), "%s", reason ? reason : "");
    order->hold = (struct hold){
        .held = reason != NULL, .reason = order->reason, .due_ms = reason ? 0 : os_wall()};
    order->change.mail.deliver = held;
    order->change.hold = &order->hold;
    committer_post(dispatch->parts.committer, &order->change);
}

static void post_release(struct dispatch *dispatch, const struct entry *entry,
                         struct orders *orders)
{
    post_hold(dispatch, entry, NULL, orders);
}

/* The same, of a drop. */
static void dropped(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct order *order = container_of(change, struct order, change);
    struct entry *entry = order->entry;
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
    dispatch_finished(order->dispatch, entry);
    order_free(order);
}

static void post_drop(struct dispatch *dispatch, struct entry *entry, struct orders *orders)
{
    struct order *order = order_create(dispatch, entry, orders);
    must(entry->state == ENTRY_OUT);
    entry->order = ORDER_ENDING;
    order->entry = entry;
    order->change.mail.deliver = dropped;
    order->change.remove = true;
    committer_post(dispatch->parts.committer, &order->change);
}

/* ---- what is to be returned to its sender ---- */

/* From the order until the entry is gone, or is wanted otherwise. */
struct failing {
    struct envelope_key key;
    struct orders *orders; /* one reference; NULL: nobody waits */
    char *text;
};

static uint64_t failing_hash(const void *item)
{
    const struct failing *failing = item;
    return hash_number(failing->key.id ^ ((uint64_t)failing->key.number << 48));
}

static bool failing_same(const void *item, const void *key)
{
    const struct failing *failing = item;
    const struct envelope_key *wanted = key;
    return failing->key.id == wanted->id && failing->key.number == wanted->number;
}

void orders_init(struct dispatch *dispatch)
{
    map_init(&dispatch->failing, failing_hash, failing_same);
}

static struct failing *find_failing(struct dispatch *dispatch, const struct entry *entry)
{
    struct failing wanted = {.key = {entry->id, entry->number}};
    return map_find(&dispatch->failing, failing_hash(&wanted), &wanted.key);
}

static void failing_free(struct failing *failing)
{
    orders_drop(&failing->orders);
    free(failing->text);
    free(failing);
}

static struct failing *add_failing(struct dispatch *dispatch, const struct entry *entry,
                                   const char *reason, struct orders *orders)
{
    struct failing *failing = must_calloc(1, sizeof(*failing));
    size_t size = sizeof(FAIL_TEXT) + strlen(reason);
    failing->key = (struct envelope_key){entry->id, entry->number};
    failing->orders = orders_keep(orders);
    failing->text = must_calloc(size, 1);
    snprintf(failing->text, size, FAIL_TEXT "%s", reason);
    map_add(&dispatch->failing, failing);
    return failing;
}

void forget_order(struct dispatch *dispatch, struct entry *entry)
{
    struct failing *failing = NULL;
    if (entry->order == ORDER_FAIL || entry->order == ORDER_ENDING)
        failing = find_failing(dispatch, entry);
    if (failing != NULL) {
        must(map_remove(&dispatch->failing, failing));
        failing_free(failing);
    }
    entry->order = ORDER_NONE;
}

void orders_free(struct dispatch *dispatch)
{
    size_t at = 0;
    for (struct failing *item; (item = map_walk(&dispatch->failing, &at)) != NULL;)
        failing_free(item);
    map_free(&dispatch->failing);
}

static void begin_fail(struct dispatch *dispatch, struct entry *entry)
{
    const struct failing *failing = find_failing(dispatch, entry);
    struct verdict verdict = {.kind = VERDICT_BOUNCED,
                              .status = {5, 7, 0}, /* RFC 3463 3.8: ours to say why */
                              .text = span_of(failing->text)};
    entry->order = ORDER_ENDING;
    end_locally(dispatch, entry, &verdict, NULL, next_worker(dispatch));
}

/* ---- after an attempt ---- */

void carry_out(struct dispatch *dispatch, struct entry *entry, int64_t due_ms)
{
    enum entry_order order = (enum entry_order)entry->order;
    must(entry->state == ENTRY_OUT);
    if (dispatch->draining && order != ORDER_ENDING) {
        forget_order(dispatch, entry); /* the spool has it as held: that is found at the start */
        order = ORDER_HOLD;
    }
    switch (order) {
    case ORDER_NONE: must_not_reach();
    case ORDER_HOLD:
        entry->order = ORDER_NONE;
        scheduler_hold(&dispatch->scheduler, entry, os_wall());
        return;
    case ORDER_FAIL: begin_fail(dispatch, entry); return;
    case ORDER_DROP: post_drop(dispatch, entry, NULL); return;
    case ORDER_ENDING: /* it could not be returned: it is damaged */
        forget_order(dispatch, entry);
        scheduler_defer(&dispatch->scheduler, entry, due_ms);
        return;
    }
}

/* ---- orders ---- */

/* With the lock held. NULL: there is none, or it is about to go. */
static struct entry *find_entry(struct dispatch *dispatch, uint64_t id, uint16_t number)
{
    struct entry *entry = scheduler_find(&dispatch->scheduler, id, number);
    return entry != NULL && entry->order != ORDER_ENDING ? entry : NULL;
}

/* In place of what was ordered before. */
static void order_later(struct dispatch *dispatch, struct entry *entry, enum entry_order order)
{
    must(entry->state == ENTRY_OUT);
    forget_order(dispatch, entry);
    entry->order = (uint8_t)order;
}

bool dispatch_hold(struct dispatch *dispatch, uint64_t id, uint16_t number, const char *reason,
                   struct orders *orders)
{
    lock(dispatch);
    struct entry *entry = find_entry(dispatch, id, number);
    if (entry != NULL) {
        if (entry->state == ENTRY_OUT)
            order_later(dispatch, entry, ORDER_HOLD);
        else
            scheduler_hold(&dispatch->scheduler, entry, os_wall());
        post_hold(dispatch, entry, reason, orders);
    }
    unlock(dispatch);
    return entry != NULL;
}

bool dispatch_release(struct dispatch *dispatch, uint64_t id, uint16_t number,
                      struct orders *orders)
{
    lock(dispatch);
    struct entry *entry = find_entry(dispatch, id, number);
    bool was_held = entry != NULL && (entry->state == ENTRY_HELD || entry->order != ORDER_NONE);
    if (was_held) {
        post_release(dispatch, entry, orders);
        if (entry->state == ENTRY_OUT) {
            order_later(dispatch, entry, ORDER_NONE);
        } else {
            scheduler_release(&dispatch->scheduler, entry, look_at_entry_ms(dispatch, entry));
            serve(dispatch, entry->destination, next_worker(dispatch));
        }
    }
    unlock(dispatch);
    return was_held;
}

bool dispatch_fail(struct dispatch *dispatch, uint64_t id, uint16_t number, const char *reason,
                   struct orders *orders)
{
    lock(dispatch);
    struct entry *entry = find_entry(dispatch, id, number);
    if (entry != NULL && entry->state == ENTRY_OUT) {
        order_later(dispatch, entry, ORDER_FAIL);
        add_failing(dispatch, entry, reason, NULL);
        post_hold(dispatch, entry, "was to be returned after an attempt", orders);
    } else if (entry != NULL) {
        entry_move(entry, ENTRY_OUT);
        add_failing(dispatch, entry, reason, orders);
        begin_fail(dispatch, entry);
    }
    unlock(dispatch);
    return entry != NULL;
}

bool dispatch_drop(struct dispatch *dispatch, uint64_t id, uint16_t number, struct orders *orders)
{
    lock(dispatch);
    struct entry *entry = find_entry(dispatch, id, number);
    if (entry != NULL && entry->state == ENTRY_OUT) {
        order_later(dispatch, entry, ORDER_DROP);
        post_hold(dispatch, entry, "was to be dropped after an attempt", orders);
    } else if (entry != NULL) {
        entry_move(entry, ENTRY_OUT);
        post_drop(dispatch, entry, orders);
    }
    unlock(dispatch);
    return entry != NULL;
}

/* ---- retry ---- */

static void lift_back_off(struct dispatch *dispatch, struct route *route, int64_t asked_ms)
{
    int64_t now_ms = os_wall();
    if (route->state == ROUTE_WAITING && pace_hurry(&route->pace, now_ms, asked_ms)) {
        heap_remove(&dispatch->route_wake_ups, &route->wake_up);
        route->state = ROUTE_UNKNOWN;
    }
    if (route->site != NULL) {
        route->site->rests_until_ms = 0;
        pace_hurry(&route->site->pace, now_ms, asked_ms);
    }
}

bool dispatch_retry(struct dispatch *dispatch, uint64_t id, uint16_t number, int64_t asked_ms)
{
    lock(dispatch);
    struct entry *entry = find_entry(dispatch, id, number);
    if (entry != NULL && entry->state == ENTRY_HELD)
        entry = NULL;
    if (entry != NULL && entry->state != ENTRY_OUT) {
        scheduler_hurry(&dispatch->scheduler, entry, look_at_entry_ms(dispatch, entry));
        if (entry->destination->route != NULL)
            lift_back_off(dispatch, entry->destination->route, asked_ms);
        serve(dispatch, entry->destination, next_worker(dispatch));
    }
    unlock(dispatch);
    return entry != NULL;
}
