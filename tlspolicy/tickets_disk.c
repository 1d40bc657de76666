/* The ticket store on disk: what is written behind, and what is read at start.
 *
 * A pair's key is a number that grows with every ticket, so they come back oldest first. Its value
 * is until when it may be used, the whole key (so that none can pass for another), and the session.
 */
#include "tlspolicy/store.h"
#include "tlspolicy/tickets_inside.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WRITES_MAX (2 * TICKETS_BATCH) /* removals, then tickets */
#define NUMBER_MOST                                                                                \
    INT64_MAX /* nobody counts so far: what is above is not ours, and none follows */

struct head {
    int64_t expires_ms;
    uint64_t key_length;
};

/* ---- what there is to do ---- */

static size_t work(const struct tickets *tickets)
{
    return tickets->gone.count + tickets->fresh_count;
}

static void add_gone(struct tickets *tickets, uint64_t id)
{
    struct ticket_ids *gone = &tickets->gone;
    if (gone->count == gone->capacity) {
        gone->capacity = gone->capacity ? gone->capacity * 2 : TICKETS_BATCH;
        gone->items = must_realloc(gone->items, gone->capacity * sizeof(*gone->items));
    }
    gone->items[gone->count++] = id;
}

static void add_fresh(struct tickets *tickets, struct ticket *ticket)
{
    ticket->state = TICKET_IN_MEMORY;
    list_append(&tickets->fresh, &ticket->in_work);
    tickets->fresh_count++;
}

void ticket_await_write(struct tickets *tickets, struct ticket *ticket)
{
    ticket->id = tickets->next_id++;
    add_fresh(tickets, ticket);
}

void ticket_forget(struct tickets *tickets, struct ticket *ticket)
{
    list_remove(&ticket->in_work);
    switch (ticket->state) {
    case TICKET_IN_MEMORY: tickets->fresh_count--; return;
    case TICKET_IN_BATCH: break; /* the batch may be through */
    case TICKET_ON_DISK: tickets->facts.on_disk--; break;
    }
    add_gone(tickets, ticket->id);
}

/* ---- one batch ---- */

struct batch {
    struct store_write writes[WRITES_MAX];
    uint64_t ids[WRITES_MAX]; /* big endian: the keys of the writes */
    size_t count, removals;
};

static struct store_write *add_write(struct batch *batch, uint64_t id)
{
    size_t at = batch->count++;
    batch->ids[at] = htobe64(id);
    batch->writes[at] = (struct store_write){
        .table = STORE_TICKETS,
        .key = {(const char *)&batch->ids[at], sizeof(batch->ids[at])},
    };
    return &batch->writes[at];
}

static struct span value_of(const struct ticket *ticket, struct span session)
{
    const struct ticket_key *key = ticket->key;
    struct head head = {ticket->expires_ms, key->length};
    size_t length = sizeof(head) + key->length + session.length;
    char *value = must_calloc(1, length);
    memcpy(value, &head, sizeof(head));
    memcpy(value + sizeof(head), key->bytes, key->length);
    memcpy(value + sizeof(head) + key->length, session.data, session.length);
    return (struct span){value, length};
}

static struct span value_make(const struct ticket *ticket)
{
    char packed[TICKET_BYTES_MAX];
    if (ticket->session == NULL)
        return value_of(ticket, (struct span){ticket->bytes, ticket->length});
    struct span session = {packed, ticket->session->pack(ticket->session, packed)};
    struct span value = value_of(ticket, session);
    explicit_bzero(packed, session.length);
    return value;
}

/* While writing fails only removals are tried: so `gone` stays within what there is on disk. */
static void fill(struct tickets *tickets, struct batch *batch)
{
    struct ticket_ids *gone = &tickets->gone;
    while (gone->count > 0 && batch->count < TICKETS_BATCH)
        add_write(batch, gone->items[--gone->count]);
    batch->removals = batch->count;
    bool all = !tickets->failing || batch->removals == 0;
    while (all && tickets->fresh_count > 0 && batch->count < batch->removals + TICKETS_BATCH) {
        struct ticket *ticket = container_of(list_pop(&tickets->fresh), struct ticket, in_work);
        tickets->fresh_count--;
        ticket->state = TICKET_IN_BATCH;
        list_append(&tickets->batch, &ticket->in_work);
        add_write(batch, ticket->id)->value = value_make(ticket);
    }
}

static void settle(struct tickets *tickets, const struct batch *batch, bool written)
{
    struct list_node *node;
    tickets->failing = !written;
    while ((node = list_pop(&tickets->batch)) != NULL) {
        struct ticket *ticket = container_of(node, struct ticket, in_work);
        if (written) {
            ticket->state = TICKET_ON_DISK;
            tickets->facts.on_disk++;
        } else {
            add_fresh(tickets, ticket);
        }
    }
    for (size_t i = 0; i < batch->removals && !written; i++)
        add_gone(tickets, be64toh(batch->ids[i]));
}

static void batch_free(struct batch **batch)
{
    for (size_t i = (*batch)->removals; i < (*batch)->count; i++) {
        struct span value = (*batch)->writes[i].value;
        char *bytes = (char *)(uintptr_t)value.data; /* made by value_make */
        explicit_bzero(bytes, value.length);
        free(bytes);
    }
    free(*batch);
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* With the lock held, which is let go of while the disk works. */
static bool write_batch(struct tickets *tickets)
{
    CLEANUP(batch_free) struct batch *batch = must_calloc(1, sizeof(*batch));
    fill(tickets, batch);
    pthread_mutex_unlock(&tickets->lock);
    bool written = store_write(tickets->store, batch->writes, batch->count);
    pthread_mutex_lock(&tickets->lock);
    settle(tickets, batch, written);
    tickets->written_ms = monotonic_ms();
    return written;
}

/* ---- turns ---- */

/* What has come since is the next turn's. */
static void write_all(struct tickets *tickets)
{
    bool written = true;
    for (size_t left = work(tickets) / TICKETS_BATCH + 1; written && left > 0; left--)
        written = write_batch(tickets);
}

static bool is_due(const struct tickets *tickets)
{
    return work(tickets) > 0 && monotonic_ms() - tickets->written_ms >= TICKETS_WRITE_MS;
}

void tickets_step(struct tickets *tickets, int wait_ms)
{
    struct timespec pause = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L};
    nanosleep(&pause, NULL);
    pthread_mutex_lock(&tickets->lock);
    if (tickets->store != NULL && is_due(tickets))
        write_all(tickets);
    pthread_mutex_unlock(&tickets->lock);
}

bool tickets_flush(struct tickets *tickets)
{
    bool written = true;
    pthread_mutex_lock(&tickets->lock);
    while (tickets->store != NULL && written && work(tickets) > 0)
        written = write_batch(tickets);
    pthread_mutex_unlock(&tickets->lock);
    return written;
}

/* ---- loading ---- */

struct loading {
    struct tickets *tickets;
    int64_t now_ms;
};

static bool load_ticket(struct tickets *tickets, uint64_t id, struct span value, int64_t now_ms)
{
    struct head head;
    if (value.length <= sizeof(head))
        return false;
    memcpy(&head, value.data, sizeof(head));
    struct span rest = span_skip(value, sizeof(head));
    if (head.key_length > TICKET_KEY_MAX || head.key_length >= rest.length ||
        rest.length - head.key_length > TICKET_BYTES_MAX || head.expires_ms <= now_ms ||
        head.expires_ms > now_ms + TICKET_LIFE_MS) /* the clock went back: nobody knows its age */
        return false;
    struct span session = span_skip(rest, head.key_length);
    struct ticket *ticket = must_calloc(1, sizeof(*ticket));
    *ticket = (struct ticket){.state = TICKET_ON_DISK,
                              .id = id,
                              .expires_ms = head.expires_ms,
                              .length = session.length,
                              .bytes = span_copy(session)};
    tickets->facts.on_disk++;
    ticket_enter(tickets, (struct span){rest.data, head.key_length}, ticket, now_ms);
    return true;
}

static bool load_pair(void *context, struct span key, struct span value)
{
    const struct loading *loading = context;
    struct tickets *tickets = loading->tickets;
    uint64_t id;
    if (key.length != sizeof(id))
        return true;
    memcpy(&id, key.data, sizeof(id));
    id = be64toh(id);
    bool ours = id <= NUMBER_MOST;
    if (ours && id >= tickets->next_id)
        tickets->next_id = id + 1;
    if (!ours || !load_ticket(tickets, id, value, loading->now_ms))
        add_gone(tickets, id);
    return true;
}

void tickets_load(struct tickets *tickets, int64_t now_ms)
{
    struct loading loading = {tickets, now_ms};
    pthread_mutex_lock(&tickets->lock);
    store_each(tickets->store, STORE_TICKETS, load_pair, &loading);
    pthread_mutex_unlock(&tickets->lock);
}
