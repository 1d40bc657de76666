#include "relay/inbound/connection_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_BYTES 4096 /* of a body, within the idle time, or the client is idle */
#define PROXY_MS 5000       /* for a PROXY header to come */
#define LINGER_MS 2000      /* for a client to read the last reply and close */
#define LINGER_FILLS 16     /* of CHANNEL_IN_MAX bytes each, from a client that only talks */

/* ---- life ---- */

static void bury(struct grave *grave)
{
    free(container_of(grave, struct inbound_connection, grave));
}

static void die(struct inbound_connection *connection)
{
    struct worker *worker = connection->worker;
    inbound_forget_body(connection);
    wheel_clear(&worker->wheel, &connection->idle);
    if (connection->is_counted)
        inbound_clients_leave(worker->relay->clients, &connection->counted_as);
    channel_close(&connection->channel);
    inbound_session_free(&connection->session);
    server_tls_drop(&connection->tls);
    config_drop(&connection->config);
    free(connection->envelopes);
    list_remove(&connection->node);
    connection->inbound->connection_count--;
    metric_add(METRIC_INBOUND_OPEN, -1);
    worker_bury(worker, &connection->grave, bury);
}

/* Closes now, or as soon as its message is committed. */
void inbound_close(struct inbound_connection *connection)
{
    if (connection->phase == INBOUND_WAITING) {
        connection->gone = true;
        channel_close(&connection->channel);
    } else {
        die(connection);
    }
}

void inbound_deadline(struct inbound_connection *connection, int64_t ms)
{
    struct worker *worker = connection->worker;
    wheel_set(&worker->wheel, &connection->idle, worker->now_ms + ms);
}

/* The client has got somewhere. Single bytes are not that: who drips them is idle. */
void inbound_progress(struct inbound_connection *connection)
{
    connection->body_mark = connection->session.octets;
    inbound_deadline(connection, connection->config->limits.idle_ms);
}

/* To close with input unread would reset the connection, and the client might never see the
 * last reply. */
static void linger(struct inbound_connection *connection)
{
    struct channel *channel = &connection->channel;
    do {
        buffer_clear(&channel->in);
        if (channel_fill(channel) != CHANNEL_OK) {
            die(connection);
            return;
        }
    } while (buffer_length(&channel->in) > 0 && ++connection->lingered < LINGER_FILLS);
    if (connection->lingered >= LINGER_FILLS)
        die(connection);
}

/* The last replies are in `out`: closes when they have left. */
void inbound_close_politely(struct inbound_connection *connection)
{
    struct channel *channel = &connection->channel;
    connection->phase = INBOUND_CLOSING;
    channel_part(channel);
    if (channel_flush(channel) != CHANNEL_OK) {
        die(connection);
    } else if (channel_flushed(channel)) {
        connection->phase = INBOUND_LINGERING;
        channel_end(channel);
        inbound_deadline(connection, LINGER_MS);
        linger(connection);
    }
}

static void idle_passed(struct timer *timer)
{
    struct inbound_connection *connection = container_of(timer, struct inbound_connection, idle);
    if (connection->phase == INBOUND_TALKING) {
        inbound_timed_out(&connection->session);
        inbound_progress(connection); /* not for ever for a client that does not read either */
        inbound_close_politely(connection);
    } else if (connection->phase == INBOUND_HELD_BACK) {
        inbound_let_go(connection);
    } else {
        if (connection->phase == INBOUND_PROXIED)
            inbound_proxy_late(connection);
        inbound_close(connection);
    }
}

/* Goodbye to a client that has nothing under way. */
static void drain(struct inbound_connection *connection)
{
    enum inbound_state state = connection->session.state;
    bool between = state == INBOUND_CONNECTED || state == INBOUND_READY;
    if (connection->inbound->draining && connection->phase == INBOUND_TALKING && between) {
        inbound_drained(&connection->session);
        inbound_close_politely(connection);
    }
}

/* ---- talking ---- */

void inbound_answer_commit(struct inbound_connection *connection, enum commit_result result)
{
    connection->phase = INBOUND_TALKING;
    if (connection->gone) { /* nobody is there to reply to */
        die(connection);
        return;
    }
    size_t before = buffer_length(&connection->channel.out);
    inbound_committed(&connection->session, result);
    metric_replies(span_skip(buffer_span(&connection->channel.out), before));
    inbound_progress(connection);
    inbound_pump_on(connection);
}

void inbound_pump_on(struct inbound_connection *connection)
{
    if (connection->phase == INBOUND_TALKING && connection->channel.socket >= 0)
        inbound_pump(connection);
    if (connection->channel.socket >= 0)
        drain(connection);
}

static bool is_full(const struct inbound_connection *connection)
{
    const struct relay *relay = connection->worker->relay;
    uint64_t held = (uint64_t)metric_read(METRIC_BODY_MEMORY) + message_memory();
    const struct limits *limits = &connection->config->limits;
    return spool_full(relay->spool) || metric_read(METRIC_QUEUED) >= (int64_t)limits->queue ||
           held > 2 * limits->memory;
}

void inbound_act(struct inbound_connection *connection, enum inbound_ask ask)
{
    switch (ask) {
    case INBOUND_MORE: return;
    case INBOUND_TLS: inbound_start_tls(connection); return;
    case INBOUND_COMMIT: inbound_commit(connection); return;
    case INBOUND_CHECK: inbound_check(connection); return;
    case INBOUND_REFUSE: inbound_refuse(connection); return;
    case INBOUND_MOVE: inbound_move(connection); return;
    case INBOUND_CLOSE: inbound_close_politely(connection); return;
    }
}

/* Commands wait while the client does not read the replies to those before. */
static bool is_held_back(const struct inbound_connection *connection)
{
    const struct channel *channel = &connection->channel;
    return buffer_length(&channel->in) > 0 && buffer_length(&channel->out) > CHANNEL_OUT_MAX;
}

/* Answers what has come in. True when something was taken from it. */
static bool converse(struct inbound_connection *connection)
{
    struct channel *channel = &connection->channel;
    struct worker *worker = connection->worker;
    struct inbound_session *session = &connection->session;
    size_t used;
    if (buffer_length(&channel->in) == 0 || is_held_back(connection))
        return false;
    struct inbound_facts facts = {.full = is_full(connection),
                                  .draining = connection->inbound->draining,
                                  .barred = inbound_is_barred(connection),
                                  .now_ms = worker->now_ms};
    size_t before = buffer_length(&channel->out);
    /* Also in the middle of a body: behind its end the next message may begin. */
    uint64_t next_id = spool_next_id(worker->relay->spool, worker->wall_ms);
    enum inbound_ask ask = inbound_receive(session, buffer_span(&channel->in), &used, &facts,
                                           next_id, worker->wall_ms);
    metric_replies(span_skip(buffer_span(&channel->out), before));
    buffer_consume(&channel->in, used);
    inbound_tend_body(connection);
    bool far = session->octets >= connection->body_mark + PROGRESS_BYTES;
    if (inbound_in_body(session) ? far : used > 0)
        inbound_progress(connection);
    inbound_act(connection, ask);
    return used > 0;
}

void inbound_pump(struct inbound_connection *connection)
{
    struct channel *channel = &connection->channel;
    enum channel_result result;
    bool again;
    do {
        bool progress = false;
        result = channel_fill(channel);
        while (connection->phase == INBOUND_TALKING && converse(connection))
            progress = true;
        if (channel->socket < 0 || connection->phase == INBOUND_HANDSHAKING)
            return;
        bool held_back = is_held_back(connection);
        if (channel_flush(channel) == CHANNEL_FAILED) {
            inbound_close(connection);
            return;
        }
        /* No event tells that there is room in `out` when the socket took it all. */
        again = (progress && channel->in_stalled) || (held_back && !is_held_back(connection));
    } while (again && connection->phase == INBOUND_TALKING);
    bool over = result == CHANNEL_ENDED && connection->phase == INBOUND_TALKING;
    if (result == CHANNEL_FAILED || over)
        inbound_close(connection);
}

/* ---- events ---- */

static void connection_ready(struct watcher *watcher, unsigned what)
{
    (void)what;
    struct channel *channel = container_of(watcher, struct channel, watcher);
    struct inbound_connection *connection =
        container_of(channel, struct inbound_connection, channel);
    if (channel->socket < 0)
        return; /* closed earlier in this turn */
    switch (connection->phase) {
    case INBOUND_ARRIVED:
    case INBOUND_PROXIED: inbound_arrive(connection); return;
    case INBOUND_HANDSHAKING: inbound_handshake(connection); return;
    case INBOUND_CLOSING: inbound_close_politely(connection); return;
    case INBOUND_LINGERING: linger(connection); return;
    case INBOUND_HELD_BACK: return;
    case INBOUND_TALKING:
    case INBOUND_WAITING: inbound_pump(connection); return;
    }
}

static int64_t proxy_ms(const struct limits *limits)
{
    return limits->idle_ms < PROXY_MS ? limits->idle_ms : PROXY_MS;
}

void inbound_connection_open(struct inbound *inbound, int socket, const struct arrival *arrival,
                             bool proxied)
{
    struct inbound_connection *connection = must_calloc(1, sizeof(*connection));
    connection->inbound = inbound;
    connection->worker = inbound->worker;
    connection->config = config_keep(arrival->config);
    connection->listen = arrival->listen;
    connection->counted_as = arrival->counted_as;
    connection->is_counted = !proxied;
    connection->tls = arrival->tls;
    if (connection->tls != NULL)
        connection->tls->references++;
    connection->idle.fire = idle_passed;
    channel_open(&connection->channel, socket);
    connection->channel.watcher.ready = connection_ready;
    inbound_session_init(&connection->session, connection->config, arrival->listen,
                         &arrival->client, &connection->channel.out);
    connection->session.rates = inbound->worker->relay->rates;
    if (arrival->local != NULL)
        inbound_session_local(&connection->session, arrival->local);
    list_append(&inbound->connections, &connection->node);
    inbound->connection_count++;
    metric_add(METRIC_INBOUND_OPEN, 1);
    connection->phase = proxied ? INBOUND_PROXIED : INBOUND_ARRIVED;
    inbound_deadline(connection, proxy_ms(&connection->config->limits));
    if (os_watch(connection->worker->loop, socket, &connection->channel.watcher) < 0)
        inbound_close(connection);
    else
        inbound_arrive(connection);
}

void inbound_connections_drain(struct inbound *inbound)
{
    struct list_node *node = list_first(&inbound->connections);
    while (node != NULL) {
        struct list_node *next = list_next(&inbound->connections, node);
        struct inbound_connection *connection = container_of(node, struct inbound_connection, node);
        drain(connection);
        node = next;
    }
}

void inbound_connections_close(struct inbound *inbound)
{
    for (struct list_node *node; (node = list_first(&inbound->connections)) != NULL;) {
        struct inbound_connection *connection = container_of(node, struct inbound_connection, node);
        inbound_message_over(connection);
        die(connection);
    }
}
