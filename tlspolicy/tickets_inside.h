/* What the ticket store's own files know of it: nobody else includes this. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "tlspolicy/tickets.h"

#include <pthread.h>

struct ticket_key {
    struct list tickets; /* oldest first */
    unsigned count;
    uint64_t hash;
    size_t length;
    char bytes[];
};

enum ticket_state {
    TICKET_IN_MEMORY, /* and to be written, where there is a store */
    TICKET_IN_BATCH,  /* being written */
    TICKET_ON_DISK,
};

struct ticket {
    struct list_node in_key, in_all;
    struct list_node in_work; /* not TICKET_ON_DISK: fresh or batch */
    struct ticket_key *key;
    enum ticket_state state;
    uint64_t id; /* its key on disk: in the order in which they came */
    int64_t expires_ms;
    size_t length; /* of the bytes, or how large the session is */
    char *bytes;
    struct ticket_session *session;
};

struct ticket_ids { /* a growable array */
    uint64_t *items;
    size_t count, capacity;
};

struct tickets {
    pthread_mutex_t lock; /* over all that follows */
    struct map keys;
    struct list all; /* oldest first */
    struct tickets_facts facts;

    struct store *store; /* NULL: the rest is not used */
    uint64_t next_id;
    struct list fresh, batch;
    size_t fresh_count;
    struct ticket_ids gone; /* on disk still, and no longer here */
    int64_t written_ms;     /* monotonic: the last batch, or a try at it */
    bool failing;
};

/* tickets.c, with the lock held */

/* The ticket comes in, and the bounds hold again. */
void ticket_enter(struct tickets *tickets, struct span key, struct ticket *take, int64_t now_ms);

/* tickets_disk.c, with the lock held */

void ticket_await_write(struct tickets *tickets, struct ticket *ticket);
void ticket_forget(struct tickets *tickets, struct ticket *ticket); /* as it leaves */
void tickets_load(struct tickets *tickets, int64_t now_ms);
