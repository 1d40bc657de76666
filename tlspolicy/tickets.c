#include "tlspolicy/tickets.h"

#include "base/list.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>

struct ticket_key {
    struct list tickets; /* oldest first */
    unsigned count;
    uint64_t hash;
    size_t length;
    char bytes[];
};

struct ticket {
    struct list_node in_key, in_all;
    struct ticket_key *key;
    int64_t expires_ms;
    size_t length;
    char *session;
};

struct tickets {
    struct map keys;
    struct list all; /* oldest first */
    struct {
        _Atomic uint64_t stored, hits, misses, expired, evicted, now;
    } facts; /* as tickets_facts has them: other threads may look */
};

static uint64_t key_hash(const void *item)
{
    return ((const struct ticket_key *)item)->hash;
}

static bool key_same(const void *item, const void *key)
{
    const struct ticket_key *mine = item;
    return span_equal((struct span){mine->bytes, mine->length}, *(const struct span *)key);
}

struct tickets *tickets_create(void)
{
    struct tickets *tickets = must_calloc(1, sizeof(*tickets));
    map_init(&tickets->keys, key_hash, key_same);
    list_init(&tickets->all);
    return tickets;
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
    return made;
}

/* Takes the ticket out, and its key when that was the last; the session is the caller's. */
static char *detach(struct tickets *tickets, struct ticket *take)
{
    char *session = take->session;
    struct ticket_key *key = take->key;
    list_remove(&take->in_key);
    list_remove(&take->in_all);
    free(take);
    tickets->facts.now--;
    if (--key->count == 0) {
        map_remove(&tickets->keys, key);
        free(key);
    }
    return session;
}

static void drop(struct tickets *tickets, struct ticket *take)
{
    size_t length = take->length;
    char *session = detach(tickets, take);
    explicit_bzero(session, length); /* whoever reads it can read what it protected */
    free(session);
}

static void make_room(struct tickets *tickets, int64_t now_ms)
{
    struct list_node *next;
    for (struct list_node *node = list_first(&tickets->all); node != NULL; node = next) {
        struct ticket *oldest = container_of(node, struct ticket, in_all);
        bool expired = oldest->expires_ms <= now_ms;
        if (!expired && tickets->facts.now < TICKETS_IN_ALL)
            break;
        next = list_next(&tickets->all, node);
        *(expired ? &tickets->facts.expired : &tickets->facts.evicted) += 1;
        drop(tickets, oldest);
    }
}

void tickets_destroy(struct tickets **tickets)
{
    if (*tickets == NULL)
        return;
    struct list *all = &(*tickets)->all;
    struct list_node *next;
    for (struct list_node *node = list_first(all); node != NULL; node = next) {
        next = list_next(all, node);
        drop(*tickets, container_of(node, struct ticket, in_all));
    }
    map_free(&(*tickets)->keys);
    free(*tickets);
    *tickets = NULL;
}

void tickets_put(struct tickets *tickets, struct span key, struct span session, int64_t life_ms,
                 int64_t now_ms)
{
    if (life_ms <= 0 || session.length == 0 || session.length > TICKET_BYTES_MAX)
        return;
    make_room(tickets, now_ms);
    struct ticket_key *home = find_key(tickets, key);
    if (home == NULL)
        home = make_key(tickets, key);

    struct ticket *ticket = must_calloc(1, sizeof(*ticket));
    ticket->key = home;
    ticket->expires_ms = now_ms + (life_ms < TICKET_LIFE_MS ? life_ms : TICKET_LIFE_MS);
    ticket->length = session.length;
    ticket->session = span_copy(session);
    list_append(&home->tickets, &ticket->in_key);
    list_append(&tickets->all, &ticket->in_all);
    tickets->facts.stored++;
    tickets->facts.now++;
    if (++home->count > TICKETS_PER_KEY) {
        tickets->facts.evicted++;
        drop(tickets, container_of(list_first(&home->tickets), struct ticket, in_key));
    }
}

/* The newest ticket of a key, or NULL when the key has none (it is gone then). */
static struct ticket *newest(const struct tickets *tickets, struct span key)
{
    struct ticket_key *home = find_key(tickets, key);
    return home ? container_of(home->tickets.head.prev, struct ticket, in_key) : NULL;
}

char *tickets_take(struct tickets *tickets, struct span key, int64_t now_ms, size_t *length)
{
    for (struct ticket *ticket; (ticket = newest(tickets, key)) != NULL;) {
        if (ticket->expires_ms > now_ms) {
            tickets->facts.hits++;
            *length = ticket->length;
            return detach(tickets, ticket);
        }
        tickets->facts.expired++;
        drop(tickets, ticket);
    }
    tickets->facts.misses++;
    *length = 0;
    return NULL;
}

void tickets_purge(struct tickets *tickets, struct span key)
{
    for (struct ticket *ticket; (ticket = newest(tickets, key)) != NULL;)
        drop(tickets, ticket);
}

void tickets_facts(const struct tickets *tickets, struct tickets_facts *facts)
{
    *facts = (struct tickets_facts){
        .stored = tickets->facts.stored,
        .hits = tickets->facts.hits,
        .misses = tickets->facts.misses,
        .expired = tickets->facts.expired,
        .evicted = tickets->facts.evicted,
        .now = tickets->facts.now,
    };
}
