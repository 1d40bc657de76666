#include "bench/sink_distance.h"

#include "bench/sink_session.h"

#include <limits.h>
#include <stdlib.h>

/* What was said at one time. All are equally long on their way, so they arrive in this order. */
struct sink_flight {
    struct list_node in_worker, in_session;
    struct sink_session *session;
    int64_t due_ms;
    struct buffer replies;
};

static void land(struct sink_flight *flight)
{
    struct sink_session *session = flight->session;
    session->held -= buffer_length(&flight->replies);
    buffer_append(&session->channel.out, buffer_span(&flight->replies));
    list_remove(&flight->in_worker);
    list_remove(&flight->in_session);
    buffer_free(&flight->replies);
    free(flight);
}

void sink_distance_hold(struct sink_session *session)
{
    struct sink_worker *worker = session->worker;
    struct buffer *out = &session->channel.out;
    uint64_t round_trip_ms = worker->sink->options.round_trip_ms;
    if (round_trip_ms == 0 || buffer_length(out) == 0)
        return;
    /* What follows while something is on its way answers what was sent without waiting for it. */
    worker->totals.flights += session->held == 0;
    struct sink_flight *flight = must_calloc(1, sizeof(*flight));
    flight->session = session;
    flight->due_ms =
        worker->now + (int64_t)round_trip_ms + 1; /* never early: now is rounded down */
    buffer_append(&flight->replies, buffer_span(out));
    session->held += buffer_length(out);
    buffer_clear(out);
    list_append(&worker->flights, &flight->in_worker);
    list_append(&session->flights, &flight->in_session);
}

/* The next one that has arrived, out of the worker's list; or NULL. */
static struct sink_flight *pop_arrived(struct sink_worker *worker)
{
    struct list_node *node = list_first(&worker->flights);
    if (node == NULL || container_of(node, struct sink_flight, in_worker)->due_ms > worker->now)
        return NULL;
    return container_of(list_pop(&worker->flights), struct sink_flight, in_worker);
}

void sink_distance_arrive(struct sink_worker *worker)
{
    for (struct sink_flight *flight; (flight = pop_arrived(worker)) != NULL;) {
        struct sink_session *session = flight->session;
        land(flight);
        sink_session_send(session);
    }
}

int sink_distance_wait_ms(const struct sink_worker *worker)
{
    struct list_node *node = list_first(&worker->flights);
    if (node == NULL)
        return -1;
    int64_t left = container_of(node, struct sink_flight, in_worker)->due_ms - os_now();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void sink_distance_forget(struct sink_session *session)
{
    for (struct list_node *node; (node = list_pop(&session->flights)) != NULL;)
        land(container_of(node, struct sink_flight, in_session));
}
