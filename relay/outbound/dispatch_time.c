/* What time brings: envelopes come due, or wait for so long that somebody must look; sites and DNS
 * may be tried again. */
#include "relay/os.h"
#include "relay/outbound/dispatch_lock.h"

#define LOOK_LEAST_MS 10000 /* a due envelope gets this long to leave */
#define LOOK_TIMED_MS 15000 /* how often one with times of its own is looked at while READY */
#define LOOKS_A_SECOND 500  /* each reads an envelope, and may write a notification */
#define SWEEP_MS 60000      /* how often destinations nobody needs are forgotten */

/* ---- envelopes that have not left ---- */

/* When an envelope's time in the queue began: by its id, or later (RFC 4865). */
static int64_t began_ms(uint64_t id, uint32_t postponed_s)
{
    return message_id_ms(id) + INT64_C(1000) * postponed_s;
}

/* But for a deadline of its own, which is known only to whoever reads its message. */
static int64_t ripens_ms(const struct dispatch *dispatch, struct span destination,
                         const struct entry_facts *facts)
{
    const struct retry *retry = config_retry(dispatch->parts.config, destination);
    bool warns = !facts->warned && retry->warn_ms > 0 && retry->warn_ms < retry->give_up_ms;
    return began_ms(facts->id, facts->postponed_s) + (warns ? retry->warn_ms : retry->give_up_ms);
}

static struct entry_facts facts_of(const struct entry *entry)
{
    return (struct entry_facts){.id = entry->id,
                                .postponed_s = entry->postponed_s,
                                .warned = entry->warned,
                                .timed = entry->timed};
}

int64_t look_at_ms(const struct dispatch *dispatch, struct span destination,
                   const struct entry_facts *facts)
{
    int64_t now_ms = os_wall();
    int64_t at_ms = ripens_ms(dispatch, destination, facts);
    if (at_ms < now_ms + LOOK_LEAST_MS) /* after a long stop: an attempt is due still */
        return now_ms + LOOK_LEAST_MS;
    return facts->timed && at_ms > now_ms + LOOK_TIMED_MS ? now_ms + LOOK_TIMED_MS : at_ms;
}

int64_t look_at_entry_ms(const struct dispatch *dispatch, const struct entry *entry)
{
    struct entry_facts facts = facts_of(entry);
    return look_at_ms(dispatch, span_of(entry->destination->name), &facts);
}

static bool is_ripe(const struct dispatch *dispatch, const struct entry *entry, int64_t now_ms)
{
    struct entry_facts facts = facts_of(entry);
    return entry->timed || ripens_ms(dispatch, span_of(entry->destination->name), &facts) <= now_ms;
}

/* A thousand envelopes behind a dead site may be ripe at the same moment. */
static bool may_look(struct dispatch *dispatch, int64_t now_ms)
{
    if (now_ms - dispatch->looks_since_ms >= 1000 || now_ms < dispatch->looks_since_ms) {
        dispatch->looks_since_ms = now_ms;
        dispatch->looks = 0;
    }
    return dispatch->looks++ < LOOKS_A_SECOND;
}

/* A worker reads it, and sees what is to be done. */
static void look(struct dispatch *dispatch, struct entry *entry)
{
    char why[300];
    int64_t until_ms;
    why_waiting(entry, why, sizeof(why));
    why_suspended(dispatch, entry->destination->name, &until_ms, why, sizeof(why));
    struct verdict verdict = {.kind = VERDICT_DEFERRED,
                              .status = {4, 4, 7}, /* RFC 3463 3.5 */
                              .text = span_of(why)};
    entry_move(entry, ENTRY_OUT);
    look_locally(dispatch, entry, &verdict, next_worker(dispatch));
}

static void entry_due(struct dispatch *dispatch, struct entry *entry)
{
    scheduler_look_again(&dispatch->scheduler, entry, look_at_entry_ms(dispatch, entry));
    serve(dispatch, entry->destination, next_worker(dispatch));
}

/* READY or OUT for long, or HELD. What is OUT ends by itself; what is READY never left; what is
 * HELD stays. */
static void entry_overdue(struct dispatch *dispatch, struct entry *entry, int64_t now_ms)
{
    if (entry->state == ENTRY_HELD) {
        scheduler_hold(&dispatch->scheduler, entry, now_ms);
        return;
    }
    scheduler_look_again(&dispatch->scheduler, entry, look_at_entry_ms(dispatch, entry));
    if (entry->state != ENTRY_READY || dispatch->draining || !is_ripe(dispatch, entry, now_ms))
        return;
    if (may_look(dispatch, now_ms))
        look(dispatch, entry);
    else
        scheduler_look_again(&dispatch->scheduler, entry, now_ms + 1000);
}

void dispatch_looked(struct dispatch *dispatch, struct entry *entry)
{
    lock(dispatch);
    if (entry->order != ORDER_NONE) {
        carry_out(dispatch, entry, os_wall());
    } else {
        entry_return(entry);
        entry->returned = false;
        serve(dispatch, entry->destination, next_worker(dispatch));
    }
    unlock(dispatch);
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
