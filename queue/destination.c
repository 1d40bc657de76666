#include "queue/destination.h"

const char *entry_state_name(enum entry_state state)
{
    switch (state) {
    case ENTRY_WAITING: return "waiting";
    case ENTRY_READY: return "ready";
    case ENTRY_OUT: return "out";
    case ENTRY_HELD: return "held";
    }
    must_not_reach();
}

void destination_count(struct destination *destination, enum entry_state state, int more)
{
    must(more > 0 || destination->counts[state] > 0);
    destination->counts[state] += (unsigned)more;
    destination->all_counts[state] += (unsigned)more;
}

/* The only place that writes entry->state. */
static void change_state(struct entry *entry, enum entry_state state)
{
    struct destination *destination = entry->destination;
    destination_count(destination, (enum entry_state)entry->state, -1);
    destination_count(destination, state, 1);
    entry->state = (uint8_t)state;
}

void entry_move(struct entry *entry, enum entry_state state)
{
    list_remove(&entry->queued);
    change_state(entry, state);
    if (state == ENTRY_READY)
        list_append(&entry->destination->queue, &entry->queued);
}

void entry_return(struct entry *entry)
{
    must(entry->state == ENTRY_OUT);
    change_state(entry, ENTRY_READY);
    entry->returned = true;
    list_prepend(&entry->destination->queue, &entry->queued);
}

struct entry *destination_next(struct destination *destination)
{
    struct list_node *first = list_first(&destination->queue);
    if (first == NULL)
        return NULL;
    struct entry *entry = container_of(first, struct entry, queued);
    entry_move(entry, ENTRY_OUT);
    return entry;
}
