/* The flight recorder: how the last sessions of each destination failed, for `dest show NAME
 * --last-failures`. Keyed by the destination's name, so it outlives its route and its site.
 *
 * Bounded in all three ways: so many of a destination, so many destinations, so many bytes. What
 * goes first is what failed longest ago. A failure that equals one that is kept takes its place and
 * is counted: what fails the same way every minute does not push out the rest.
 *
 * Pure bookkeeping; the dispatch owns it, under its lock. */
#pragma once

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "queue/message.h"

#include <stdatomic.h>

#define RECORDER_SESSIONS_MAX 5 /* of one destination */
#define RECORDER_DESTINATIONS_MAX 1000
#define RECORDER_BYTES_MAX (16u << 20)
#define RECORDER_SHARED_MAX                                                                        \
    64 /* destinations that wait for one site and are told of its failure                          \
        */

/* Immutable once made, and shared. */
struct failed_session {
    atomic_uint references;
    const char *what;          /* the event's word: "tls-failed"; static */
    const char *outcome;       /* of STARTTLS: "stalled"; "" when it did not get so far; static */
    const char *level;         /* of TLS, that was asked for; static */
    const char *tls;           /* what was reached: "encrypt:table:TLSv1.3:full" */
    uint64_t connection;       /* its number */
    int64_t began_ms, ends_ms; /* ms since 1970 */
    struct verdict verdict;    /* host and text say who failed, and why */
    struct span notes;         /* of its transcript; empty: nothing was said */
    size_t bytes;
    struct arena arena; /* of all the texts */
};

/* A copy of everything given; one reference, for the caller. */
struct failed_session *failed_session_create(const struct failed_session *what);
struct failed_session *failed_session_keep(struct failed_session *session);
void failed_session_drop(struct failed_session **session); /* any thread */

struct recorder {
    struct map destinations;
    struct list by_age; /* of destinations: what failed last is at the end */
    size_t bytes;       /* of all that is kept; of what is shared, once for each */
};

void recorder_init(struct recorder *recorder);
void recorder_free(struct recorder *recorder);

/* One reference more. */
void recorder_add(struct recorder *recorder, const char *destination,
                  struct failed_session *session);

struct recorded {
    struct failed_session *session; /* a reference for the caller: the last that was like it */
    unsigned times;
    int64_t first_ms; /* since 1970 */
};
/* The last one first; how many. */
unsigned recorder_look(const struct recorder *recorder, const char *destination,
                       struct recorded found[RECORDER_SESSIONS_MAX]);
