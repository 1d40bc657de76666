#include "tlspolicy/tickets_inside.h"

#include <stdlib.h>
#include <string.h>

static uint64_t key_hash(const void *item)
{
    return ((const struct ticket_key *)item)->hash;
}

static bool key_same(const void *item, const void *key)
{
    const struct ticket_key *mine = item;
    return span_equal((struct span){mine->bytes, mine->length}, *(const struct span *)key);
}

static struct ticket_key *find_key(const struct tickets *tickets, struct span key)
{
    return map_find(&tickets->keys, span_hash(key), &key);
}

static struct ticket_key *make_key(struct tickets *tickets, struct span key)
{
    struct ticket_key *made = must_calloc(1, sizeof(*made) + key.length);
    list_init(&made->tickets);
    made->hash = span_hash(key);
    made->length = key.length;
    memcpy(made->bytes, key.data, key.length);
    map_add(&tickets->keys, made);
    tickets->facts.bytes += sizeof(*made) + key.length;
    return made;
}

void ticket_taken_free(struct ticket_taken *taken)
{
    if (taken->session != NULL)
        taken->session->free(&taken->session);
    else if (taken->bytes != NULL) /* whoever reads them can read what they protected */
        explicit_bzero(taken->bytes, taken->length);
    free(taken->bytes);
    *taken = (struct ticket_taken){0};
}

static struct ticket_taken open_ticket(struct ticket *take)
{
    struct ticket_taken taken = {take->bytes, take->length, take->session};
    free(take);
    return taken;
}

static void ticket_free(struct ticket *take)
{
    struct ticket_taken taken = open_ticket(take);
    ticket_taken_free(&taken);
}

/* ---- coming and going ---- */

/* Takes the ticket out, and its key when that was the last; the ticket is the caller's. */
static struct ticket *detach(struct tickets *tickets, struct ticket *ticket)
{
    struct ticket_key *key = ticket->key;
    list_remove(&ticket->in_key);
    list_remove(&ticket->in_all);
    if (tickets->store != NULL)
        ticket_forget(tickets, ticket);
    ticket->key = NULL;
    tickets->facts.now--;
    tickets->facts.bytes -= sizeof(*ticket) + ticket->length;
    if (--key->count == 0) {
        tickets->facts.bytes -= sizeof(*key) + key->length;
        map_remove(&tickets->keys, key);
        free(key);
    }
    return ticket;
}

static void drop(struct tickets *tickets, struct ticket *ticket, uint64_t *count)
{
    ++*count;
    ticket_free(detach(tickets, ticket));
}

/* What has expired, as far as it is among the oldest, and then the oldest. */
static void keep_bounds(struct tickets *tickets, int64_t now_ms)
{
    struct list_node *next;
    struct tickets_facts *facts = &tickets->facts;
    for (struct list_node *node = list_first(&tickets->all); node != NULL; node = next) {
        struct ticket *oldest = container_of(node, struct ticket, in_all);
        bool expired = oldest->expires_ms <= now_ms;
        if (!expired && facts->now <= TICKETS_IN_ALL && facts->bytes <= TICKETS_BYTES_IN_ALL)
            break;
        next = list_next(&tickets->all, node);
        drop(tickets, oldest, expired ? &facts->expired : &facts->evicted);
    }
}

void ticket_enter(struct tickets *tickets, struct span key, struct ticket *take, int64_t now_ms)
{
    struct ticket_key *home = find_key(tickets, key);
    if (home == NULL)
        home = make_key(tickets, key);
    take->key = home;
    list_append(&home->tickets, &take->in_key);
    list_append(&tickets->all, &take->in_all);
    tickets->facts.now++;
    tickets->facts.bytes += sizeof(*take) + take->length;
    if (++home->count > TICKETS_PER_KEY)
        drop(tickets, container_of(list_first(&home->tickets), struct ticket, in_key),
             &tickets->facts.evicted);
    keep_bounds(tickets, now_ms);
}

/* The newest ticket of a key, or NULL when the key has none (it is gone then). */
static struct ticket *newest(const struct tickets *tickets, struct span key)
{
    struct ticket_key *home = find_key(tickets, key);
    return home ? container_of(home->tickets.head.prev, struct ticket, in_key) : NULL;
}

/* ---- life ---- */

struct tickets *tickets_create(struct store *store, int64_t now_ms)
{
    struct tickets *tickets = must_calloc(1, sizeof(*tickets));
    tickets->store = store;
    map_init(&tickets->keys, key_hash, key_same);
    list_init(&tickets->all);
    list_init(&tickets->fresh);
    list_init(&tickets->batch);
    must(pthread_mutex_init(&tickets->lock, NULL) == 0);
    if (store != NULL)
        tickets_load(tickets, now_ms);
    return tickets;
}

void tickets_destroy(struct tickets **tickets)
{
    struct tickets *destroyed = *tickets;
    *tickets = NULL;
    if (destroyed == NULL)
        return;
    destroyed->store = NULL; /* what is on disk stays there */
    struct list_node *next;
    for (struct list_node *node = list_first(&destroyed->all); node != NULL; node = next) {
        next = list_next(&destroyed->all, node);
        ticket_free(detach(destroyed, container_of(node, struct ticket, in_all)));
    }
    map_free(&destroyed->keys);
    free(destroyed->gone.items);
    pthread_mutex_destroy(&destroyed->lock);
    free(destroyed);
}

/* ---- use ---- */

static bool is_worth_keeping(struct span key, size_t length, int64_t life_ms)
{
    return life_ms > 0 && length > 0 && length <= TICKET_BYTES_MAX && key.length <= TICKET_KEY_MAX;
}

static void put(struct tickets *tickets, struct span key, struct ticket ticket, int64_t life_ms,
                int64_t now_ms)
{
    struct ticket *kept = must_calloc(1, sizeof(*kept));
    *kept = ticket;
    kept->expires_ms = now_ms + (life_ms < TICKET_LIFE_MS ? life_ms : TICKET_LIFE_MS);
    pthread_mutex_lock(&tickets->lock);
    tickets->facts.stored++;
    if (tickets->store != NULL)
        ticket_await_write(tickets, kept);
    ticket_enter(tickets, key, kept, now_ms);
    pthread_mutex_unlock(&tickets->lock);
}

void tickets_put(struct tickets *tickets, struct span key, struct span session, int64_t life_ms,
                 int64_t now_ms)
{
    if (!is_worth_keeping(key, session.length, life_ms))
        return;
    struct ticket ticket = {.length = session.length, .bytes = span_copy(session)};
    put(tickets, key, ticket, life_ms, now_ms);
}

void tickets_put_session(struct tickets *tickets, struct span key, struct ticket_session *take,
                         int64_t life_ms, int64_t now_ms)
{
    if (is_worth_keeping(key, take->size, life_ms))
        put(tickets, key, (struct ticket){.length = take->size, .session = take}, life_ms, now_ms);
    else
        take->free(&take);
}

/* The newest that has not expired, taken out; those that have are dropped. */
static struct ticket *take_newest(struct tickets *tickets, struct span key, int64_t now_ms)
{
    for (struct ticket *ticket; (ticket = newest(tickets, key)) != NULL;) {
        if (ticket->expires_ms > now_ms) {
            tickets->facts.hits++;
            return detach(tickets, ticket);
        }
        drop(tickets, ticket, &tickets->facts.expired);
    }
    tickets->facts.misses++;
    return NULL;
}

bool tickets_take(struct tickets *tickets, struct span key, int64_t now_ms,
                  struct ticket_taken *taken)
{
    pthread_mutex_lock(&tickets->lock);
    struct ticket *newest = take_newest(tickets, key, now_ms);
    pthread_mutex_unlock(&tickets->lock);
    *taken = newest ? open_ticket(newest) : (struct ticket_taken){0};
    return newest != NULL;
}

void tickets_purge(struct tickets *tickets, struct span key)
{
    pthread_mutex_lock(&tickets->lock);
    for (struct ticket *ticket; (ticket = newest(tickets, key)) != NULL;)
        drop(tickets, ticket, &tickets->facts.purged);
    pthread_mutex_unlock(&tickets->lock);
}

void tickets_rejected(struct tickets *tickets)
{
    pthread_mutex_lock(&tickets->lock);
    tickets->facts.rejected++;
    pthread_mutex_unlock(&tickets->lock);
}

void tickets_facts(struct tickets *tickets, struct tickets_facts *facts)
{
    pthread_mutex_lock(&tickets->lock);
    *facts = tickets->facts;
    pthread_mutex_unlock(&tickets->lock);
}
