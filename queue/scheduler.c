#include "queue/scheduler.h"

#include "base/must.h"

#include <stdlib.h>

struct entry_key {
    uint64_t id;
    uint16_t number;
};

static uint64_t key_hash(uint64_t id, uint16_t number)
{
    return hash_number(id ^ ((uint64_t)number << 48));
}

/* By the bits that the map itself does not look at. */
static size_t map_of(uint64_t hash)
{
    return (hash >> 32) % SCHEDULER_MAPS;
}

static uint64_t entry_hash(const void *item)
{
    const struct entry *entry = item;
    return key_hash(entry->id, entry->number);
}

static bool entry_same(const void *item, const void *key)
{
    const struct entry *entry = item;
    const struct entry_key *wanted = key;
    return entry->id == wanted->id && entry->number == wanted->number;
}

struct destination_key {
    struct span name;
    enum security security;
};

static uint64_t destination_key_hash(const struct destination_key *key)
{
    return span_hash(key->name) + (uint64_t)key->security;
}

static uint64_t destination_hash(const void *item)
{
    const struct destination *destination = item;
    return destination_key_hash(
        &(struct destination_key){span_of(destination->name), destination->security});
}

static bool destination_same(const void *item, const void *key)
{
    const struct destination *destination = item;
    const struct destination_key *wanted = key;
    return destination->security == wanted->security &&
           span_equal(span_of(destination->name), wanted->name);
}

void scheduler_init(struct scheduler *scheduler)
{
    *scheduler = (struct scheduler){0};
    pool_init(&scheduler->entry_pool, sizeof(struct entry));
    pool_init(&scheduler->destination_pool, sizeof(struct destination));
    for (size_t i = 0; i < SCHEDULER_MAPS; i++)
        map_init(&scheduler->entries[i], entry_hash, entry_same);
    map_init(&scheduler->destinations, destination_hash, destination_same);
}

static void entry_free(struct scheduler *scheduler, struct entry *entry)
{
    if (entry->envelope != NULL)
        envelope_free(&entry->envelope);
    pool_give(&scheduler->entry_pool, entry);
}

void scheduler_free(struct scheduler *scheduler)
{
    size_t at = 0;
    for (struct entry *entry; (entry = scheduler_walk(scheduler, &at)) != NULL;)
        entry_free(scheduler, entry);
    at = 0;
    for (struct destination *destination;
         (destination = scheduler_walk_destinations(scheduler, &at)) != NULL;)
        free(destination->name);
    for (size_t i = 0; i < SCHEDULER_MAPS; i++)
        map_free(&scheduler->entries[i]);
    map_free(&scheduler->destinations);
    heap_free(&scheduler->deadlines);
    pool_free(&scheduler->entry_pool);
    pool_free(&scheduler->destination_pool);
}

struct destination *scheduler_walk_destinations(const struct scheduler *scheduler, size_t *at)
{
    return pool_walk(&scheduler->destination_pool, at);
}

struct entry *scheduler_walk(const struct scheduler *scheduler, size_t *at)
{
    return pool_walk(&scheduler->entry_pool, at);
}

struct destination *scheduler_find_destination(const struct scheduler *scheduler, struct span name,
                                               enum security security)
{
    struct destination_key key = {name, security};
    return map_find(&scheduler->destinations, destination_key_hash(&key), &key);
}

struct destination *scheduler_destination(struct scheduler *scheduler, struct span name,
                                          enum security security)
{
    struct destination *destination = scheduler_find_destination(scheduler, name, security);
    if (destination != NULL)
        return destination;
    destination = pool_take(&scheduler->destination_pool);
    destination->all_counts = scheduler->counts;
    destination->name = span_copy(name);
    destination->security = security;
    list_init(&destination->queue);
    map_add(&scheduler->destinations, destination);
    return destination;
}

void scheduler_forget(struct scheduler *scheduler, struct destination *destination)
{
    must(destination_is_empty(destination) && destination->route == NULL);
    map_remove(&scheduler->destinations, destination);
    free(destination->name);
    pool_give(&scheduler->destination_pool, destination);
}

struct entry *scheduler_find(const struct scheduler *scheduler, uint64_t id, uint16_t number)
{
    struct entry_key key = {id, number};
    uint64_t hash = key_hash(id, number);
    return map_find(&scheduler->entries[map_of(hash)], hash, &key);
}

/* What waits costs an entry, not an envelope. */
static void let_go(struct entry *entry)
{
    if (entry->envelope != NULL)
        envelope_free(&entry->envelope);
}

struct entry *scheduler_add(struct scheduler *scheduler, struct destination *destination,
                            const struct entry_facts *facts, struct envelope *take, int64_t now_ms)
{
    if (scheduler_find(scheduler, facts->id, facts->number) != NULL)
        return NULL;
    bool due = facts->due_ms <= now_ms && !facts->held;
    struct entry *entry = pool_take(&scheduler->entry_pool);
    entry->id = facts->id;
    entry->number = facts->number;
    entry->attempts = facts->attempts;
    entry->recipients = facts->recipients;
    entry->postponed_s = facts->postponed_s;
    entry->warned = facts->warned;
    entry->timed = facts->timed;
    entry->destination = destination;
    entry->envelope = take;
    entry->state = ENTRY_WAITING;
    destination_count(destination, ENTRY_WAITING, 1);
    if (due)
        entry_move(entry, ENTRY_READY);
    else
        let_go(entry);
    map_add(&scheduler->entries[map_of(entry_hash(entry))], entry);
    heap_set(&scheduler->deadlines, &entry->deadline, due ? facts->look_ms : facts->due_ms);
    if (facts->held)
        scheduler_hold(scheduler, entry, now_ms);
    return entry;
}

void scheduler_defer(struct scheduler *scheduler, struct entry *entry, int64_t due_ms)
{
    must(entry->state == ENTRY_OUT);
    let_go(entry);
    entry_move(entry, ENTRY_WAITING);
    entry->returned = false;
    heap_set(&scheduler->deadlines, &entry->deadline, due_ms);
}

void scheduler_hurry(struct scheduler *scheduler, struct entry *entry, int64_t look_ms)
{
    if (entry->state != ENTRY_WAITING)
        return;
    entry_move(entry, ENTRY_READY);
    heap_set(&scheduler->deadlines, &entry->deadline, look_ms);
}

void scheduler_hold(struct scheduler *scheduler, struct entry *entry, int64_t now_ms)
{
    let_go(entry);
    entry_move(entry, ENTRY_HELD);
    entry->returned = false;
    heap_set(&scheduler->deadlines, &entry->deadline, now_ms + SCHEDULER_HELD_LOOK_MS);
}

void scheduler_release(struct scheduler *scheduler, struct entry *entry, int64_t look_ms)
{
    must(entry->state == ENTRY_HELD);
    entry_move(entry, ENTRY_READY);
    heap_set(&scheduler->deadlines, &entry->deadline, look_ms);
}

void scheduler_remove(struct scheduler *scheduler, struct entry *entry)
{
    struct destination *destination = entry->destination;
    entry_move(entry, ENTRY_OUT);
    destination_count(destination, ENTRY_OUT, -1);
    heap_remove(&scheduler->deadlines, &entry->deadline);
    must(map_remove(&scheduler->entries[map_of(entry_hash(entry))], entry));
    entry_free(scheduler, entry);
}

struct entry *scheduler_due(struct scheduler *scheduler, int64_t now_ms, bool *overdue)
{
    int64_t deadline;
    struct heap_node *node = heap_top(&scheduler->deadlines, &deadline);
    if (node == NULL || deadline > now_ms)
        return NULL;
    struct entry *entry = container_of(node, struct entry, deadline);
    *overdue = entry->state != ENTRY_WAITING;
    if (!*overdue)
        entry_move(entry, ENTRY_READY);
    return entry;
}

void scheduler_look_again(struct scheduler *scheduler, struct entry *entry, int64_t at_ms)
{
    heap_set(&scheduler->deadlines, &entry->deadline, at_ms);
}

int64_t scheduler_next(const struct scheduler *scheduler)
{
    int64_t deadline;
    return heap_top(&scheduler->deadlines, &deadline) ? deadline : -1;
}

int64_t scheduler_due_ms(const struct scheduler *scheduler, const struct entry *entry)
{
    must(entry->state == ENTRY_WAITING);
    return heap_key(&scheduler->deadlines, &entry->deadline);
}
