/* Client sessions kept for resumption. A ticket is used once, newest first (RFC 8446 C.4),
 * and only where its key is the same: the key holds everything that was checked when the
 * session was made, and is the caller's to compute.
 *
 * One store for all workers, any thread at any time: under its lock memory is moved and copied,
 * and no disk is waited for. A session lies here as bytes, or as its maker has it: to make bytes
 * of it and to read them again is a tenth of what a resumed handshake costs, and most are used
 * before anybody would write them down. Either is opaque, and belongs to one thread at a time. The
 * store is bounded, oldest out first, and nothing in it is ever shown to anybody but the server it
 * is of.
 *
 * With a `struct store` a restart finds them again: what is new is written, and what was taken
 * removed, by a thread of its own that calls tickets_step(), in batches. An orderly end writes all,
 * so none is used again. A process that is killed loses what came since its last batch, and may
 * show once more what it took since then: its server then knows the client for the same, which is
 * all that single use keeps from it and from whoever listens (RFC 8446 C.4), or refuses it and
 * makes a full handshake. */
#pragma once

#include "base/span.h"

#define TICKETS_PER_KEY 256      /* one for each connection a site may open at once, and more */
#define TICKETS_PER_CONNECTION 4 /* a server may send more: they are passed over */
#define TICKETS_IN_ALL 16384     /* about 1 KiB each */
#define TICKETS_BYTES_IN_ALL (32u << 20) /* their keys counted, once per key */
#define TICKET_BYTES_MAX 16384
#define TICKET_KEY_MAX 16384
#define TICKET_LIFE_MS INT64_C(86400000) /* cap of ours; the server's own is kept when shorter */

#define TICKETS_WRITE_MS 2000 /* between two turns of writing: mail's commits want the disk too */
#define TICKETS_BATCH 512     /* tickets, and as many removals, in one transaction */

struct store;
struct tickets;

/* With what the store holds and has not expired at `now_ms` (since 1970, as everywhere here). The
 * store is borrowed; NULL: they live in memory only. */
struct tickets *tickets_create(struct store *store, int64_t now_ms);
void tickets_destroy(struct tickets **tickets); /* writes nothing: see tickets_flush */

/* A session as its maker has it; he embeds this. */
struct ticket_session {
    size_t size; /* bytes of memory, about */
    size_t (*pack)(struct ticket_session *session, char to[TICKET_BYTES_MAX]); /* how many */
    void (*free)(struct ticket_session **session);
};

/* Keeps a copy of the session. `life_ms` is the server's lifetime. */
void tickets_put(struct tickets *tickets, struct span key, struct span session, int64_t life_ms,
                 int64_t now_ms);
/* Keeps the session itself. */
void tickets_put_session(struct tickets *tickets, struct span key, struct ticket_session *take,
                         int64_t life_ms, int64_t now_ms);

struct ticket_taken { /* one of both: the taker's to free */
    char *bytes;
    size_t length;
    struct ticket_session *session;
};

/* Takes the newest ticket for the key that has not expired. False when there is none. */
bool tickets_take(struct tickets *tickets, struct span key, int64_t now_ms,
                  struct ticket_taken *taken);
void ticket_taken_free(struct ticket_taken *taken);

/* Forgets all tickets of a key: a handshake with one of them failed. */
void tickets_purge(struct tickets *tickets, struct span key);

/* One was shown, and its server made a full handshake all the same: it is only counted. */
void tickets_rejected(struct tickets *tickets);

/* One turn of the thread that writes: waits `wait_ms`, and then writes what there is, if that is
 * due again. */
void tickets_step(struct tickets *tickets, int wait_ms);

/* Writes all there is now, due or not. False when that could not be done. */
bool tickets_flush(struct tickets *tickets);

struct tickets_facts {
    uint64_t stored, hits, misses, rejected, expired, evicted, purged; /* so far */
    uint64_t now, on_disk, bytes;
};
void tickets_facts(struct tickets *tickets, struct tickets_facts *facts);
