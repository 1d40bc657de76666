/* Whatever lies in the table of tickets: what is taken out of the store was in it under that key
 * and has not expired, each once; and when all is written the table holds those that are left, and
 * nothing else. The table is in memory here. */
#include "tlspolicy/tickets.h"

#include "base/fields.h"
#include "tests/fuzz/fuzz.h"
#include "tlspolicy/store.h"

#include <stdlib.h>
#include <string.h>

#define NOW 1795266005000 /* ms since 1970 */
#define PAIRS_MAX 64

/* ---- the store ---- */

static struct pair {
    char *key, *value;
    size_t key_length, value_length;
} pairs[PAIRS_MAX];
static size_t pair_count;

static char *copy_of(struct span bytes)
{
    char *copy = must_calloc(1, bytes.length ? bytes.length : 1);
    memcpy(copy, bytes.data, bytes.length);
    return copy;
}

static void remove_pair(size_t at)
{
    free(pairs[at].key);
    free(pairs[at].value);
    memmove(&pairs[at], &pairs[at + 1], (--pair_count - at) * sizeof(*pairs));
}

static void put_pair(struct span key, struct span value)
{
    size_t at = 0;
    int order = 1;
    for (; at < pair_count; at++) {
        struct pair *pair = &pairs[at];
        size_t shorter = key.length < pair->key_length ? key.length : pair->key_length;
        order = memcmp(pair->key, key.data, shorter);
        order = order ? order : (pair->key_length > key.length) - (pair->key_length < key.length);
        if (order >= 0)
            break;
    }
    if (at < pair_count && order == 0)
        remove_pair(at);
    if (value.length == 0 || pair_count == PAIRS_MAX)
        return;
    memmove(&pairs[at + 1], &pairs[at], (pair_count++ - at) * sizeof(*pairs));
    pairs[at] = (struct pair){copy_of(key), copy_of(value), key.length, value.length};
}

bool store_write(struct store *store, const struct store_write *writes, size_t count)
{
    (void)store;
    for (size_t i = 0; i < count; i++) {
        must(writes[i].table == STORE_TICKETS);
        put_pair(writes[i].key, writes[i].value);
    }
    return true;
}

bool store_each(struct store *store, enum store_table table,
                bool (*take)(void *context, struct span key, struct span value), void *context)
{
    (void)store;
    (void)table;
    for (size_t i = 0; i < pair_count; i++)
        if (!take(context, (struct span){pairs[i].key, pairs[i].key_length},
                  (struct span){pairs[i].value, pairs[i].value_length}))
            break;
    return true;
}

/* ---- what is taken from it ---- */

static struct tickets *open_tickets(void)
{
    static char store; /* what it is does not matter to anybody */
    return tickets_create((struct store *)(void *)&store, NOW);
}

static struct span key_in(const struct pair *pair)
{
    struct fields fields = {.rest = {pair->value, pair->value_length}};
    field_number(&fields, 8);
    return field_bytes(&fields, (size_t)field_number(&fields, 8));
}

/* A pair that may be used now; its session. */
static bool is_good(const struct pair *pair, struct span *session)
{
    struct fields fields = {.rest = {pair->value, pair->value_length}};
    int64_t expires_ms = (int64_t)field_number(&fields, 8);
    struct span key = field_bytes(&fields, (size_t)field_number(&fields, 8));
    *session = fields.rest;
    bool numbered = pair->key_length == 8 && !(pair->key[0] & 0x80);
    return numbered && !fields.bad && key.length <= TICKET_KEY_MAX && session->length > 0 &&
           session->length <= TICKET_BYTES_MAX && expires_ms > NOW &&
           expires_ms - NOW <= TICKET_LIFE_MS;
}

static size_t count_good(void)
{
    struct span session;
    size_t count = 0;
    for (size_t i = 0; i < pair_count; i++)
        count += is_good(&pairs[i], &session);
    return count;
}

/* The next number after it is one that is never read back. */
static bool has_last_number(void)
{
    for (size_t i = 0; i < pair_count; i++)
        if (pairs[i].key_length == 8 &&
            memcmp(pairs[i].key, "\177\377\377\377\377\377\377\377", 8) == 0)
            return true;
    return false;
}

static bool is_in_table(struct span key, struct span session)
{
    struct span its;
    for (size_t i = 0; i < pair_count; i++)
        if (is_good(&pairs[i], &its) && span_equal(key_in(&pairs[i]), key) &&
            span_equal(its, session))
            return true;
    return false;
}

static uint64_t count_of(struct tickets *tickets)
{
    struct tickets_facts facts;
    tickets_facts(tickets, &facts);
    must(facts.now <= TICKETS_IN_ALL && facts.bytes <= TICKETS_BYTES_IN_ALL);
    return facts.now;
}

/* Takes one of each key; the table itself stays until it is flushed. */
static void take_some(struct tickets *tickets)
{
    uint64_t had = count_of(tickets);
    for (size_t i = 0; i < pair_count; i++) {
        struct span key = key_in(&pairs[i]);
        struct ticket_taken taken;
        if (!tickets_take(tickets, key, NOW, &taken))
            continue;
        must(taken.bytes != NULL && taken.session == NULL);
        must(is_in_table(key, (struct span){taken.bytes, taken.length}));
        must(count_of(tickets) == --had);
        ticket_taken_free(&taken);
        i++; /* and leave some */
    }
}

static void fill_table(struct span all)
{
    struct fields fields = {.rest = all};
    while (!fields.bad && fields.rest.length > 0 && pair_count < PAIRS_MAX - 1) {
        struct span key = field_bytes(&fields, (size_t)field_number(&fields, 1));
        size_t length = (size_t)field_number(&fields, 2);
        struct span value =
            field_bytes(&fields, length < fields.rest.length ? length : fields.rest.length);
        if (!fields.bad && key.length > 0)
            put_pair(key, value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fill_table((struct span){(const char *)data, size});
    struct tickets *tickets = open_tickets();
    must(count_of(tickets) == count_good());
    bool full = has_last_number();
    take_some(tickets);
    tickets_put(tickets, SPAN("another"), SPAN("session"), 1000, NOW);
    must(tickets_flush(tickets));
    uint64_t left = count_of(tickets);
    tickets_destroy(&tickets);
    tickets = open_tickets();
    must(left > 0 && count_of(tickets) == (full ? left - 1 : left));
    must(tickets_flush(tickets));
    tickets_destroy(&tickets);
    while (pair_count > 0)
        remove_pair(pair_count - 1);
    return 0;
}
