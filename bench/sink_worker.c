/* One thread of the sink: accepts, turns its loop, and keeps the order of ledger and replies. */
#include "bench/sink_distance.h"
#include "bench/sink_session.h"

#include <errno.h>

/* ---- accepting ---- */

static void accept_all(struct sink_worker *worker)
{
    worker->accept_stopped = false;
    while (worker->session_count < SINK_CONNECTIONS_MAX) {
        int socket = os_accept(worker->listener, NULL);
        if (socket == -EAGAIN)
            return;
        if (socket < 0)
            break;
        sink_session_begin(worker, socket);
    }
    /* No file or no room left: no event tells when there is, so it is tried again when a
     * connection has gone. */
    worker->accept_stopped = true;
}

static void on_listener(struct watcher *watcher, unsigned what)
{
    (void)what;
    accept_all(container_of(watcher, struct sink_worker, listening));
}

int sink_worker_open(struct sink_worker *worker, struct sink *sink, struct endpoint *at)
{
    worker->sink = sink;
    worker->listening.ready = on_listener;
    list_init(&worker->sessions);
    list_init(&worker->unsent);
    list_init(&worker->flights);
    os_random(&worker->random, sizeof(worker->random));
    worker->loop = os_loop_create();
    worker->listener = os_listen(at);
    if (worker->listener < 0)
        return worker->listener;
    os_local(worker->listener, at);
    int error = os_watch(worker->loop, worker->listener, &worker->listening);
    return error ? error : ledger_open(&worker->ledger, sink->options.ledger);
}

void sink_worker_close(struct sink_worker *worker)
{
    if (worker->loop == NULL)
        return; /* it was never opened */
    for (struct list_node *node; (node = list_first(&worker->sessions)) != NULL;) {
        struct sink_session *session = container_of(node, struct sink_session, in_sessions);
        sink_session_destroy(&session);
    }
    if (worker->listener >= 0)
        os_close(worker->listener);
    os_loop_destroy(&worker->loop);
    ledger_close(&worker->ledger);
}

/* ---- sending ---- */

void sink_worker_write_ledger(struct sink_worker *worker)
{
    if (!ledger_write(&worker->ledger))
        sink_fail(worker->sink, "write the ledger", worker->sink->options.ledger, errno);
}

void sink_worker_flush(struct sink_worker *worker, struct sink_session *session)
{
    if (buffer_length(&worker->ledger.lines) == 0)
        sink_session_flush(session);
    else if (!list_linked(&session->in_unsent))
        list_append(&worker->unsent, &session->in_unsent);
}

static void flush_all(struct sink_worker *worker)
{
    sink_worker_write_ledger(worker);
    for (struct list_node *node; (node = list_first(&worker->unsent)) != NULL;)
        sink_session_flush(container_of(node, struct sink_session, in_unsent));
}

/* ---- the loop ---- */

static int wait_ms(const struct sink_worker *worker)
{
    int timer = wheel_wait_ms(&worker->wheel, worker->now), flight = sink_distance_wait_ms(worker);
    return timer < 0 || (flight >= 0 && flight < timer) ? flight : timer;
}

void *sink_worker_run(void *thread)
{
    struct sink_worker *worker = thread;
    struct os_event events[OS_EVENTS_MAX];
    worker->now = os_now();
    wheel_init(&worker->wheel, worker->now);
    while (!worker->sink->stopping) {
        int count = os_wait(worker->loop, events, wait_ms(worker));
        worker->now = os_now();
        for (int i = 0; i < count; i++)
            events[i].watcher->ready(events[i].watcher, events[i].what);
        wheel_turn(&worker->wheel, worker->now);
        if (worker->accept_stopped)
            accept_all(worker);
        flush_all(worker);
        sink_distance_arrive(worker);
    }
    return NULL;
}
