/* Client sessions kept for resumption. A ticket is used once, newest first (RFC 8446 C.4),
 * and only where its key is the same: the key holds everything that was checked when the
 * session was made, and is the caller's to compute.
 *
 * One store per worker, used by that worker's thread only. Sessions lie here serialised
 * (opaque bytes): no live SSL_SESSION is ever shared. In memory, bounded, oldest out first. */
#pragma once

#include "base/span.h"

#define TICKETS_PER_KEY 64       /* one for each connection a site may open at once, and more */
#define TICKETS_PER_CONNECTION 4 /* a server may send more: they are passed over */
#define TICKETS_IN_ALL 16384     /* about 1 KiB each */
#define TICKET_BYTES_MAX 16384
#define TICKET_LIFE_MS INT64_C(7200000) /* cap of ours; the server's own is kept when shorter */

struct tickets;

struct tickets *tickets_create(void);
void tickets_destroy(struct tickets **tickets);

/* Keeps a copy of the session. `life_ms` is the server's lifetime. */
void tickets_put(struct tickets *tickets, struct span key, struct span session, int64_t life_ms,
                 int64_t now_ms);

/* Takes the newest ticket for the key that has not expired: malloc'd bytes, the caller
 * frees; NULL (and *length 0) when there is none. */
char *tickets_take(struct tickets *tickets, struct span key, int64_t now_ms, size_t *length);

/* Forgets all tickets of a key: a handshake with one of them failed. */
void tickets_purge(struct tickets *tickets, struct span key);

struct tickets_facts {
    uint64_t stored, hits, misses, expired, evicted, now;
};
void tickets_facts(const struct tickets *tickets, struct tickets_facts *facts); /* any thread */
