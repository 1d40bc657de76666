/* One thread of the load: turns its loop, and says when a message is due. */
#include "bench/load_session.h"

#include <errno.h>
#include <stdlib.h>

#define NUMBERS_PER_THREAD_BITS 40

void load_worker_open(struct load_worker *worker, struct load *load, unsigned index)
{
    const struct load_options *options = &load->options;
    worker->load = load;
    worker->index = index;
    worker->loop = os_loop_create();
    worker->tickets = options->resume ? tickets_create(NULL, 0) : NULL;
    worker->tls = tls_client_create(worker->tickets, os_wall);
    worker->last_us = load->started_us;
    list_init(&worker->idle);
    worker->session_count = (unsigned)((options->connections + index) / options->threads);
    worker->sessions = must_calloc(worker->session_count, sizeof(*worker->sessions));
}

void load_worker_close(struct load_worker *worker)
{
    for (unsigned i = 0; i < worker->session_count; i++)
        load_session_close(&worker->sessions[i]);
    free(worker->sessions);
    tls_client_destroy(&worker->tls);
    tickets_destroy(&worker->tickets);
    reply_reader_free(&worker->replies);
    ledger_close(&worker->ledger);
    os_loop_destroy(&worker->loop);
}

/* ---- whose turn it is ---- */

/* When this thread's next message is due: all threads together keep the rate. */
static int64_t next_due_us(const struct load_worker *worker)
{
    const struct load_options *options = &worker->load->options;
    uint64_t nth = worker->due_count * options->threads + worker->index;
    return worker->load->started_us + (int64_t)((double)nth * 1e6 / (double)options->rate);
}

bool load_worker_is_done(const struct load_worker *worker)
{
    const struct load *load = worker->load;
    return load->stopping || load->left <= 0 || worker->now_ms >= load->end_ms;
}

enum load_turn load_worker_turn(struct load_worker *worker, int64_t *due_us)
{
    struct load *load = worker->load;
    if (load_worker_is_done(worker))
        return LOAD_NEVER;
    *due_us = load->options.rate > 0 ? next_due_us(worker) : worker->now_us;
    if (*due_us > worker->now_us)
        return LOAD_LATER;
    if (atomic_fetch_sub(&load->left, 1) <= 0) { /* another thread took the last one */
        atomic_fetch_add(&load->left, 1);
        return LOAD_NEVER;
    }
    worker->due_count++;
    return LOAD_NOW;
}

uint64_t load_worker_number(struct load_worker *worker)
{
    return ((uint64_t)worker->index << NUMBERS_PER_THREAD_BITS) + worker->begun++;
}

/* ---- the loop ---- */

static void look_at_clock(struct load_worker *worker)
{
    worker->now_us = os_now_us();
    worker->now_ms = worker->now_us / 1000;
}

/* Rouses idle sessions: one for each message that is due, or all of them to say goodbye. */
static void rouse(struct load_worker *worker)
{
    while (!list_empty(&worker->idle)) {
        if (!load_worker_is_done(worker) && next_due_us(worker) > worker->now_us)
            return;
        struct list_node *node = list_first(&worker->idle);
        load_session_due(container_of(node, struct load_session, in_idle));
    }
}

static int wait_ms(const struct load_worker *worker)
{
    int64_t wait = wheel_wait_ms(&worker->wheel, worker->now_ms);
    if (list_empty(&worker->idle))
        return (int)wait;
    int64_t due = (next_due_us(worker) - worker->now_us + 999) / 1000;
    if (due > worker->load->end_ms - worker->now_ms)
        due = worker->load->end_ms - worker->now_ms;
    if (due < 0)
        due = 0;
    return (int)(wait < 0 || due < wait ? due : wait);
}

static void turn(struct load_worker *worker)
{
    struct os_event events[OS_EVENTS_MAX];
    int count = os_wait(worker->loop, events, wait_ms(worker));
    look_at_clock(worker);
    for (int i = 0; i < count; i++)
        events[i].watcher->ready(events[i].watcher, events[i].what);
    wheel_turn(&worker->wheel, worker->now_ms);
    rouse(worker);
    if (!ledger_write(&worker->ledger))
        load_break(worker->load, "write the ledger", errno);
    if (load_worker_is_done(worker))
        for (unsigned i = 0; i < worker->session_count; i++)
            load_session_stop(&worker->sessions[i]);
}

void *load_worker_run(void *thread)
{
    struct load_worker *worker = thread;
    look_at_clock(worker);
    wheel_init(&worker->wheel, worker->now_ms);
    for (unsigned i = 0; i < worker->session_count; i++)
        load_session_begin(&worker->sessions[i], worker);
    while (worker->alive > 0)
        turn(worker);
    if (atomic_fetch_sub(&worker->load->working, 1) == 1)
        os_wake(worker->load->main_loop);
    return NULL;
}
