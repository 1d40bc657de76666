#include "relay/worker.h"

#include "relay/inbound/inbound.h"
#include "relay/outbound/connection.h"
#include "relay/outbound/dispatch.h"
#include "relay/outbound/notifier.h"

#include <stdlib.h>

static _Thread_local struct worker *current; /* whose turn this thread is taking */

void worker_wake(void *owner)
{
    struct worker *worker = owner;
    if (worker != current) /* a worker looks into its mailbox before it sleeps */
        os_wake(worker->loop);
}

struct worker *worker_create(struct relay *relay, unsigned index, struct mailbox *mailbox,
                             struct config *config)
{
    struct worker *worker = must_calloc(1, sizeof(*worker));
    worker->index = index;
    worker->relay = relay;
    worker->config = config_keep(config);
    worker->loop = os_loop_create();
    worker->mailbox = mailbox;
    mailbox_init(mailbox, worker_wake, worker);
    worker->now_ms = os_now();
    worker->wall_ms = os_wall();
    wheel_init(&worker->wheel, worker->now_ms);
    os_random(&worker->random, sizeof(worker->random));
    worker->tls_client = tls_client_create(relay->tickets, os_wall);
    list_init(&worker->outbound);
    list_init(&worker->graves);
    return worker;
}

static void bury_dead(struct worker *worker)
{
    for (struct list_node *node; (node = list_pop(&worker->graves)) != NULL;) {
        struct grave *grave = container_of(node, struct grave, node);
        grave->bury(grave);
    }
}

void worker_destroy(struct worker **worker)
{
    struct worker *self = *worker;
    mailbox_deliver(self->mailbox, self);
    if (self->inbound != NULL)
        inbound_destroy(&self->inbound);
    connections_close(self);
    bury_dead(self);
    tls_client_destroy(&self->tls_client);
    os_loop_destroy(&self->loop);
    config_drop(&self->config);
    free(self);
    *worker = NULL;
}

void worker_bury(struct worker *worker, struct grave *grave, void (*bury)(struct grave *grave))
{
    grave->bury = bury;
    list_append(&worker->graves, &grave->node);
}

/* Worker 0 keeps the dispatch's time. */
static bool keeps_time(const struct worker *worker)
{
    return worker->index == 0 && worker->relay->dispatch != NULL;
}

static int shorter(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int how_long(struct worker *worker, int wait_ms)
{
    if (!mailbox_empty(worker->mailbox))
        return 0;
    wait_ms = shorter(wait_ms, wheel_wait_ms(&worker->wheel, worker->now_ms));
    if (keeps_time(worker))
        wait_ms = shorter(wait_ms, dispatch_wait_ms(worker->relay->dispatch));
    return wait_ms;
}

void worker_step(struct worker *worker, int wait_ms)
{
    struct os_event events[OS_EVENTS_MAX];
    current = worker;
    int count = os_wait(worker->loop, events, how_long(worker, wait_ms));
    worker->now_ms = os_now();
    worker->wall_ms = os_wall();
    for (int i = 0; i < count; i++)
        events[i].watcher->ready(events[i].watcher, events[i].what);
    mailbox_deliver(worker->mailbox, worker);
    wheel_turn(&worker->wheel, worker->now_ms);
    if (keeps_time(worker) && dispatch_wait_ms(worker->relay->dispatch) == 0)
        dispatch_turn(worker->relay->dispatch);
    if (keeps_time(worker))
        notifier_turn(worker->relay->notifier, worker);
    bury_dead(worker);
    log_flush();
    current = NULL;
}

void worker_submit(struct worker *worker, struct envelope *const *take, size_t count)
{
    dispatch_submit(worker->relay->dispatch, worker->index, take, count);
}

/* ---- a new configuration ---- */

struct reconfiguring {
    struct mail mail;
    struct config *config; /* one reference */
    struct listening *where;
};

static void reconfigured(struct mail *mail, void *taker)
{
    struct reconfiguring *reconfiguring = container_of(mail, struct reconfiguring, mail);
    struct worker *worker = taker;
    struct config *config = reconfiguring->config;
    char why[512];
    if (!inbound_reconfigure(worker->inbound, config, reconfiguring->where, why, sizeof(why)))
        log_note("reload-failed", "why", "%s", why);
    listening_close(reconfiguring->where, config->listen_count); /* what was not needed */
    free(reconfiguring->where);
    config_drop(&worker->config);
    worker->config = config;
    free(reconfiguring);
}

void worker_reconfigure(struct worker *worker, struct config *config, struct listening *take_where)
{
    struct reconfiguring *reconfiguring = must_calloc(1, sizeof(*reconfiguring));
    reconfiguring->mail.deliver = reconfigured;
    reconfiguring->config = config_keep(config);
    reconfiguring->where = take_where;
    mailbox_post(worker->mailbox, &reconfiguring->mail);
}

/* ---- draining ---- */

static void begin_drain(struct mail *mail, void *taker)
{
    struct worker *worker = taker;
    free(mail);
    inbound_drain(worker->inbound);
    connections_drain(worker);
}

void worker_drain(struct worker *worker)
{
    struct mail *mail = must_calloc(1, sizeof(*mail));
    mail->deliver = begin_drain;
    mailbox_post(worker->mailbox, mail);
}
