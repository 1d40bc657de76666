/* What can be seen of the queue. Whatever needs more than a few entries is done in steps: the
 * lock is let go of between them. */
#include "relay/os.h"
#include "relay/outbound/dispatch_lock.h"
#include "relay/outbound/dispatch_operator.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP 2048 /* entries or destinations met under one lock */

void why_waiting(const struct entry *entry, char *why, size_t size)
{
    const struct route *route = entry->destination->route;
    why[0] = '\0';
    if (route == NULL)
        return;
    if (route->state == ROUTE_WAITING)
        snprintf(why, size, "%.*s", SPAN_FORMAT(route->verdict.text));
    else if (route->site != NULL && site_waits_until(route->site, os_wall()) > 0)
        snprintf(why, size, "%s", route->site->last_failure);
    else if (route->site != NULL)
        site_why(route->site, os_wall(), why, size);
}

/* When what is READY for this destination may be tried: 0 now. */
static int64_t held_until(const struct destination *destination)
{
    const struct route *route = destination->route;
    if (route == NULL)
        return 0;
    if (route->state == ROUTE_WAITING)
        return route->pace.retry_at_ms;
    return route->site != NULL ? site_waits_until(route->site, os_wall()) : 0;
}

/* Behind a site that backs off, or a suspension, a READY entry waits like any other. */
static enum entry_state shown_state(const struct dispatch *dispatch,
                                    const struct destination *destination, enum entry_state state,
                                    int64_t now_ms)
{
    if (state != ENTRY_READY)
        return state;
    bool waits = held_until(destination) > now_ms || is_suspended(dispatch, destination->name);
    return waits ? ENTRY_WAITING : state;
}

/* ---- one envelope ---- */

bool dispatch_look(struct dispatch *dispatch, uint64_t id, uint16_t number, struct queue_look *look)
{
    *look = (struct queue_look){0};
    lock(dispatch);
    const struct entry *entry = scheduler_find(&dispatch->scheduler, id, number);
    if (entry != NULL) {
        enum entry_state state = (enum entry_state)entry->state;
        look->state = shown_state(dispatch, entry->destination, state, os_wall());
        switch (state) {
        case ENTRY_WAITING: look->due_ms = scheduler_due_ms(&dispatch->scheduler, entry); break;
        case ENTRY_READY:
            look->due_ms = held_until(entry->destination);
            why_waiting(entry, look->why, sizeof(look->why));
            why_suspended(dispatch, entry->destination->name, &look->due_ms, look->why,
                          sizeof(look->why));
            break;
        case ENTRY_OUT:
        case ENTRY_HELD: break;
        }
    }
    unlock(dispatch);
    return entry != NULL;
}

/* ---- many ---- */

bool dispatch_is_whole(struct dispatch *dispatch)
{
    lock(dispatch);
    bool whole = dispatch->whole;
    unlock(dispatch);
    return whole;
}

struct search {
    struct dispatch *dispatch;
    dispatch_wants *wants;
    const void *context;
    size_t at; /* of the walk */
    struct envelope_key *keys;
    size_t count, capacity;
};

static void search_add(struct search *search, const struct entry *entry)
{
    if (search->count == search->capacity) {
        search->capacity = search->capacity ? search->capacity * 2 : 64;
        search->keys = must_realloc(search->keys, search->capacity * sizeof(*search->keys));
    }
    search->keys[search->count++] = (struct envelope_key){entry->id, entry->number};
}

/* False at the end. */
static bool search_step(struct search *search)
{
    struct dispatch *dispatch = search->dispatch;
    const struct entry *entry = NULL;
    lock(dispatch);
    int64_t now_ms = os_wall();
    for (int i = 0; i < STEP; i++) {
        entry = scheduler_walk(&dispatch->scheduler, &search->at);
        if (entry == NULL)
            break;
        enum entry_state state =
            shown_state(dispatch, entry->destination, (enum entry_state)entry->state, now_ms);
        if (search->wants(search->context, entry->destination->name, state))
            search_add(search, entry);
    }
    unlock(dispatch);
    return entry != NULL;
}

static int compare_keys(const void *a, const void *b)
{
    const struct envelope_key *one = a, *other = b;
    if (one->id != other->id)
        return one->id < other->id ? -1 : 1;
    return (int)one->number - (int)other->number;
}

size_t dispatch_find(struct dispatch *dispatch, dispatch_wants *wants, const void *context,
                     struct envelope_key **keys)
{
    struct search search = {.dispatch = dispatch, .wants = wants, .context = context};
    while (search_step(&search)) {}
    if (search.count > 0)
        qsort(search.keys, search.count, sizeof(*search.keys), compare_keys);
    *keys = search.keys;
    return search.count;
}

/* ---- the whole ---- */

void add_shown_counts(const struct dispatch *dispatch, const struct destination *destination,
                      int64_t now_ms, unsigned counts[ENTRY_STATES])
{
    for (unsigned i = 0; i < ENTRY_STATES; i++)
        counts[shown_state(dispatch, destination, (enum entry_state)i, now_ms)] +=
            destination->counts[i];
}

static void count_destination(const struct dispatch *dispatch,
                              const struct destination *destination, int64_t now_ms,
                              struct dispatch_facts *facts)
{
    facts->destinations++;
    for (unsigned i = 0; i < ENTRY_STATES; i++)
        facts->entries += destination->counts[i];
    add_shown_counts(dispatch, destination, now_ms, facts->counts);
}

void dispatch_facts(struct dispatch *dispatch, struct dispatch_facts *facts)
{
    const struct destination *destination;
    size_t at = 0;
    *facts = (struct dispatch_facts){0};
    do {
        lock(dispatch);
        int64_t now_ms = os_wall();
        facts->sites = (unsigned)dispatch->sites.count;
        for (int i = 0; i < STEP; i++) {
            destination = scheduler_walk_destinations(&dispatch->scheduler, &at);
            if (destination == NULL)
                break;
            count_destination(dispatch, destination, now_ms, facts);
        }
        unlock(dispatch);
    } while (destination != NULL);
}
