#include "relay/outbound/recorder.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

/* ---- one session ---- */

static struct span copy_span(struct arena *arena, struct span from)
{
    char *copy = arena_copy(arena, from);
    return (struct span){copy, from.length};
}

struct failed_session *failed_session_create(const struct failed_session *what)
{
    struct failed_session *session = must_calloc(1, sizeof(*session));
    *session = *what;
    session->arena = (struct arena){0};
    atomic_init(&session->references, 1);
    session->tls = arena_copy(&session->arena, span_of(what->tls));
    session->verdict = verdict_copy(&what->verdict, &session->arena);
    session->notes = copy_span(&session->arena, what->notes);
    session->bytes = sizeof(*session) + strlen(what->tls) + what->verdict.text.length +
                     what->verdict.host.length + what->notes.length;
    return session;
}

struct failed_session *failed_session_keep(struct failed_session *session)
{
    atomic_fetch_add(&session->references, 1);
    return session;
}

void failed_session_drop(struct failed_session **session)
{
    struct failed_session *self = *session;
    *session = NULL;
    if (atomic_fetch_sub(&self->references, 1) > 1)
        return;
    arena_free(&self->arena);
    free(self);
}

static bool is_like(const struct failed_session *one, const struct failed_session *other)
{
    return strcmp(one->what, other->what) == 0 && strcmp(one->outcome, other->outcome) == 0 &&
           one->verdict.stage == other->verdict.stage && one->verdict.code == other->verdict.code &&
           span_equal(one->verdict.host, other->verdict.host);
}

/* ---- those of one destination ---- */

struct failing {
    struct list_node aged; /* in by_age */
    unsigned count;
    struct recorded last[RECORDER_SESSIONS_MAX]; /* the oldest first */
    char name[];
};

static uint64_t failing_hash(const void *item)
{
    const struct failing *failing = item;
    return span_hash(span_of(failing->name));
}

static bool failing_same(const void *item, const void *key)
{
    const struct failing *failing = item;
    return strcmp(failing->name, key) == 0;
}

static struct failing *find(const struct recorder *recorder, const char *destination)
{
    return map_find(&recorder->destinations, span_hash(span_of(destination)), destination);
}

static struct failing *add(struct recorder *recorder, const char *destination)
{
    size_t length = strlen(destination) + 1;
    struct failing *failing = must_calloc(1, sizeof(*failing) + length);
    memcpy(failing->name, destination, length);
    map_add(&recorder->destinations, failing);
    list_append(&recorder->by_age, &failing->aged);
    return failing;
}

static void let_go(struct recorder *recorder, struct failing *failing, unsigned which)
{
    recorder->bytes -= failing->last[which].session->bytes;
    failed_session_drop(&failing->last[which].session);
    failing->count--;
    memmove(&failing->last[which], &failing->last[which + 1],
            (failing->count - which) * sizeof(failing->last[0]));
}

static void forget(struct recorder *recorder, struct failing *failing)
{
    while (failing->count > 0)
        let_go(recorder, failing, 0);
    list_remove(&failing->aged);
    must(map_remove(&recorder->destinations, failing));
    free(failing);
}

/* ---- all of them ---- */

void recorder_init(struct recorder *recorder)
{
    *recorder = (struct recorder){0};
    map_init(&recorder->destinations, failing_hash, failing_same);
    list_init(&recorder->by_age);
}

void recorder_free(struct recorder *recorder)
{
    for (struct list_node *node; (node = list_first(&recorder->by_age)) != NULL;)
        forget(recorder, container_of(node, struct failing, aged));
    map_free(&recorder->destinations);
}

static bool is_over(const struct recorder *recorder)
{
    return recorder->destinations.count > RECORDER_DESTINATIONS_MAX ||
           recorder->bytes > RECORDER_BYTES_MAX;
}

void recorder_add(struct recorder *recorder, const char *destination,
                  struct failed_session *session)
{
    struct failing *failing = find(recorder, destination);
    struct recorded latest = {.session = session, .times = 1, .first_ms = session->ends_ms};
    if (failing == NULL)
        failing = add(recorder, destination);
    for (unsigned i = 0; i < failing->count; i++)
        if (is_like(failing->last[i].session, session)) {
            latest.times += failing->last[i].times;
            latest.first_ms = failing->last[i].first_ms;
            let_go(recorder, failing, i);
            break;
        }
    if (failing->count == RECORDER_SESSIONS_MAX)
        let_go(recorder, failing, 0);
    failed_session_keep(session);
    failing->last[failing->count++] = latest;
    recorder->bytes += session->bytes;
    list_remove(&failing->aged);
    list_append(&recorder->by_age, &failing->aged);
    while (is_over(recorder))
        forget(recorder, container_of(list_first(&recorder->by_age), struct failing, aged));
}

unsigned recorder_look(const struct recorder *recorder, const char *destination,
                       struct recorded found[RECORDER_SESSIONS_MAX])
{
    const struct failing *failing = find(recorder, destination);
    unsigned count = failing != NULL ? failing->count : 0;
    for (unsigned i = 0; i < count; i++) {
        found[i] = failing->last[count - 1 - i];
        failed_session_keep(found[i].session);
    }
    return count;
}
