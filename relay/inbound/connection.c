#include "relay/inbound/connection.h"

#include "base/crc32c.h"
#include "relay/channel.h"
#include "relay/inbound/session.h"
#include "relay/smtp/address.h"
#include "relay/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_MS 2000           /* for a client to read the last reply and close */
#define LINGER_FILLS 16          /* of CHANNEL_IN_MAX bytes each, from a client that only talks */
#define SPILL_BYTES (256u << 10) /* of a large body, gathered before they are written */

enum inbound_phase {
    INBOUND_TALKING,
    INBOUND_HANDSHAKING,
    INBOUND_WAITING,   /* for the commit */
    INBOUND_CLOSING,   /* for the last replies to leave */
    INBOUND_LINGERING, /* for the client to read them: what it still sends is thrown away */
};

struct inbound_connection {
    struct list_node node; /* in inbound->connections */
    struct grave grave;
    struct inbound *inbound;
    struct worker *worker;
    struct config *config; /* one reference: the one it began with */
    struct server_tls *tls;
    struct channel channel;
    struct inbound_session session;
    struct timer idle;
    enum inbound_phase phase;
    unsigned lingered;
    bool gone; /* the client went while its message was being committed */

    /* The message that is coming in. */
    struct own_file *own_file; /* a large body's */
    uint64_t spilled_id;       /* the message's whose body it is; 0: nothing was spilled */
    uint64_t spilled;          /* bytes in it */
    uint32_t crc;              /* of those */
    bool spill_failed;
    int64_t counted; /* bytes of the body buffer in METRIC_BODY_MEMORY */

    /* The message that is being committed. */
    struct change change;
    struct message *message;
    struct envelope **envelopes;
    size_t envelope_count, envelope_room;
};

static void pump(struct inbound_connection *connection);

/* ---- life ---- */

static void bury(struct grave *grave)
{
    free(container_of(grave, struct inbound_connection, grave));
}

static void forget_body(struct inbound_connection *connection)
{
    if (connection->own_file != NULL)
        own_file_unlink(&connection->own_file);
    metric_add(METRIC_BODY_MEMORY, -connection->counted);
    connection->counted = 0;
    connection->spilled_id = 0;
    connection->spilled = 0;
    connection->crc = 0;
    connection->spill_failed = false;
}

static void die(struct inbound_connection *connection)
{
    struct worker *worker = connection->worker;
    forget_body(connection);
    wheel_clear(&worker->wheel, &connection->idle);
    inbound_clients_leave(worker->relay->clients, &connection->session.client.ip);
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
static void close_connection(struct inbound_connection *connection)
{
    if (connection->phase == INBOUND_WAITING) {
        connection->gone = true;
        channel_close(&connection->channel);
    } else {
        die(connection);
    }
}

static void set_idle(struct inbound_connection *connection)
{
    struct worker *worker = connection->worker;
    wheel_set(&worker->wheel, &connection->idle,
              worker->now_ms + connection->config->limits.idle_ms);
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
static void close_politely(struct inbound_connection *connection)
{
    struct channel *channel = &connection->channel;
    connection->phase = INBOUND_CLOSING;
    if (channel_flush(channel) != CHANNEL_OK) {
        die(connection);
    } else if (channel_flushed(channel)) {
        struct worker *worker = connection->worker;
        connection->phase = INBOUND_LINGERING;
        channel_end(channel);
        wheel_set(&worker->wheel, &connection->idle, worker->now_ms + LINGER_MS);
        linger(connection);
    }
}

static void idle_passed(struct timer *timer)
{
    struct inbound_connection *connection = container_of(timer, struct inbound_connection, idle);
    if (connection->phase == INBOUND_TALKING) {
        inbound_timed_out(&connection->session);
        set_idle(connection); /* not for ever for a client that does not read either */
        close_politely(connection);
    } else {
        close_connection(connection);
    }
}

/* ---- large bodies ---- */

static bool memory_is_short(const struct inbound_connection *connection)
{
    uint64_t held = (uint64_t)metric_read(METRIC_BODY_MEMORY) + message_memory();
    return held > connection->config->limits.memory;
}

static void spill(struct inbound_connection *connection)
{
    struct inbound_session *session = &connection->session;
    struct span bytes = buffer_span(&session->body);
    struct segments *segments = spool_segments(connection->worker->relay->spool);
    int error = 0;
    connection->spilled_id = session->id;
    if (connection->own_file == NULL)
        error = own_file_create(segments, session->id, &connection->own_file);
    if (error == 0)
        error = own_file_write(connection->own_file, bytes);
    if (error != 0 && !connection->spill_failed)
        log_note("spool-write-failed", "why", "%s", strerror(error));
    connection->spill_failed |= error != 0;
    connection->crc = crc32c(connection->crc, bytes.data, bytes.length);
    connection->spilled += bytes.length;
    buffer_clear(&session->body);
}

static void tend_body(struct inbound_connection *connection)
{
    struct inbound_session *session = &connection->session;
    /* A message that was refused leaves its file, and the next one may be under way already. */
    if (connection->spilled_id != 0 && connection->spilled_id != session->id)
        forget_body(connection);
    size_t length = buffer_length(&session->body);
    size_t most = connection->own_file != NULL || memory_is_short(connection) ? SPILL_BYTES
                                                                              : SEGMENT_BODY_MAX;
    if (session->too_large && connection->own_file != NULL)
        forget_body(connection);
    else if (length > most)
        spill(connection);
    int64_t now = (int64_t)session->body.capacity;
    metric_add(METRIC_BODY_MEMORY, now - connection->counted);
    connection->counted = now;
}

/* ---- committing ---- */

static struct envelope *envelope_for(struct inbound_connection *connection, struct span domain)
{
    for (size_t i = connection->envelope_count; i-- > 0;)
        if (span_equal(span_of(connection->envelopes[i]->destination), domain))
            return connection->envelopes[i];
    return NULL;
}

static struct envelope *open_envelope(struct inbound_connection *connection, struct span domain)
{
    if (connection->envelope_count == connection->envelope_room) {
        connection->envelope_room = connection->envelope_room ? connection->envelope_room * 2 : 1;
        connection->envelopes = must_realloc(connection->envelopes,
                                             connection->envelope_room * sizeof(struct envelope *));
    }
    struct envelope *envelope = envelope_create(connection->message, domain);
    envelope->number = (uint16_t)connection->envelope_count;
    envelope->due_ms = connection->message->arrived_ms;
    connection->envelopes[connection->envelope_count++] = envelope;
    return envelope;
}

/* One envelope per destination; several when its recipients do not fit into one. */
static void address_envelopes(struct inbound_connection *connection)
{
    const struct inbound_session *session = &connection->session;
    for (unsigned i = 0; i < session->count; i++) {
        struct span path = span_of(session->recipients[i]);
        char domain[DOMAIN_MAX_BYTES + 1];
        snprintf(domain, sizeof(domain), "%.*s", SPAN_FORMAT(address_domain(path)));
        text_lower(domain);
        struct envelope *envelope = envelope_for(connection, span_of(domain));
        if (envelope == NULL || !envelope_add(envelope, path))
            must(envelope_add(open_envelope(connection, span_of(domain)), path));
    }
}

static void make_message(struct inbound_connection *connection)
{
    struct inbound_session *session = &connection->session;
    uint32_t flags = session->eight_bit ? MESSAGE_8BITMIME : 0;
    struct message *message =
        message_create(span_of(session->sender), flags, connection->worker->wall_ms);
    message->id = session->id;
    if (connection->own_file != NULL) {
        message->place = (struct body_place){.segment = session->id,
                                             .length = connection->spilled,
                                             .crc = connection->crc,
                                             .own_file = true};
    } else {
        struct span body = buffer_span(&session->body);
        message->place.length = body.length;
        message->place.crc = crc32c(0, body.data, body.length);
        message_take_body(message, buffer_detach(&session->body));
        metric_add(METRIC_BODY_MEMORY, -connection->counted); /* it is the message's now */
        connection->counted = 0;
    }
    connection->message = message;
}

static void log_received(const struct inbound_connection *connection)
{
    const struct inbound_session *session = &connection->session;
    struct log_line line;
    char id[MESSAGE_ID_TEXT], client[ENDPOINT_TEXT_MAX];
    log_begin(&line, "received");
    log_string(&line, "id", message_id_format(connection->message->id, id));
    log_print(&line, "from", "<%s>", connection->message->sender);
    log_number(&line, "recipients", session->count);
    log_number(&line, "size", (int64_t)connection->message->place.length);
    log_string(&line, "client", endpoint_format(&session->client, client));
    log_string(&line, "helo", session->helo);
    log_string(&line, "tls", session->tls_version ? session->tls_version : "none");
    log_end(&line);
}

static void accepted(struct inbound_connection *connection)
{
    struct worker *worker = connection->worker;
    log_received(connection);
    metric_add(METRIC_MESSAGES_RECEIVED, 1);
    metric_add(METRIC_RECEIVED, connection->session.count);
    metric_add(METRIC_QUEUED, connection->session.count);
    if (connection->own_file != NULL)
        own_file_close(&connection->own_file);
    for (size_t i = 0; i < connection->envelope_count; i++)
        connection->envelopes[i]->due_ms = worker->wall_ms;
    worker_submit(worker, connection->envelopes, connection->envelope_count);
    connection->envelope_count = 0;
}

static enum commit_result commit_result_of(enum spool_result result)
{
    switch (result) {
    case SPOOL_OK: return COMMIT_OK;
    case SPOOL_FULL: return COMMIT_FULL;
    case SPOOL_BROKEN: return COMMIT_BROKEN;
    }
    must_not_reach();
}

static void message_over(struct inbound_connection *connection)
{
    for (size_t i = 0; i < connection->envelope_count; i++)
        envelope_free(&connection->envelopes[i]);
    connection->envelope_count = 0;
    message_drop(&connection->message);
    forget_body(connection);
}

static void answer_commit(struct inbound_connection *connection, enum commit_result result)
{
    connection->phase = INBOUND_TALKING;
    if (connection->gone) { /* nobody is there to reply to */
        die(connection);
        return;
    }
    inbound_committed(&connection->session, result);
    set_idle(connection);
    pump(connection);
}

static void committed(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct inbound_connection *connection = container_of(change, struct inbound_connection, change);
    (void)taker;
    enum commit_result result = commit_result_of(change->result);
    if (result == COMMIT_OK)
        accepted(connection);
    message_over(connection);
    answer_commit(connection, result);
}

static void commit(struct inbound_connection *connection)
{
    if (connection->own_file != NULL)
        spill(connection); /* what is left of the body */
    if (connection->spill_failed) {
        forget_body(connection);
        inbound_committed(&connection->session, COMMIT_FULL);
        return;
    }
    connection->phase = INBOUND_WAITING;
    wheel_clear(&connection->worker->wheel, &connection->idle);
    make_message(connection);
    address_envelopes(connection);
    connection->change = (struct change){
        .mail.deliver = committed,
        .reply_to = connection->worker->mailbox,
        .accept = connection->message,
        .accepted = connection->envelopes,
        .accepted_count = connection->envelope_count,
        .own_file = connection->own_file,
    };
    committer_post(connection->worker->relay->committer, &connection->change);
}

/* ---- talking ---- */

static bool is_full(const struct inbound_connection *connection)
{
    const struct relay *relay = connection->worker->relay;
    uint64_t held = (uint64_t)metric_read(METRIC_BODY_MEMORY) + message_memory();
    const struct limits *limits = &connection->config->limits;
    return spool_full(relay->spool) || metric_read(METRIC_QUEUED) >= (int64_t)limits->queue ||
           held > 2 * limits->memory;
}

/* The 220 is out; the client's first bytes of TLS come as an event. */
static void start_handshake(struct inbound_connection *connection)
{
    struct channel *channel = &connection->channel;
    char client[ENDPOINT_TEXT_MAX];
    if (buffer_length(&channel->in) > 0) { /* injected, or a client that does not wait */
        log_note("starttls-residue", "client", "%s",
                 endpoint_format(&connection->session.client, client));
        close_connection(connection);
        return;
    }
    connection->phase = INBOUND_HANDSHAKING;
    set_idle(connection);
    if (channel_flush(channel) == CHANNEL_FAILED || !channel_flushed(channel)) {
        close_connection(connection); /* a client that does not even read the 220 */
        return;
    }
    channel_start_tls(channel, tls_accept(connection->tls->server));
}

static void act(struct inbound_connection *connection, enum inbound_ask ask)
{
    switch (ask) {
    case INBOUND_MORE: return;
    case INBOUND_TLS: start_handshake(connection); return;
    case INBOUND_COMMIT: commit(connection); return;
    case INBOUND_CLOSE: close_politely(connection); return;
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
                                  .draining = connection->inbound->draining};
    /* Also in the middle of a body: behind its end the next message may begin. */
    uint64_t next_id = spool_next_id(worker->relay->spool, worker->wall_ms);
    enum inbound_ask ask = inbound_receive(session, buffer_span(&channel->in), &used, &facts,
                                           next_id, worker->wall_ms);
    buffer_consume(&channel->in, used);
    tend_body(connection);
    act(connection, ask);
    return used > 0;
}

static void pump(struct inbound_connection *connection)
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
            close_connection(connection);
            return;
        }
        /* No event tells that there is room in `out` when the socket took it all. */
        again = (progress && channel->in_stalled) || (held_back && !is_held_back(connection));
    } while (again && connection->phase == INBOUND_TALKING);
    bool over = result == CHANNEL_ENDED && connection->phase == INBOUND_TALKING;
    if (result == CHANNEL_FAILED || over)
        close_connection(connection);
}

/* ---- TLS ---- */

static void handshake(struct inbound_connection *connection)
{
    struct tls_facts facts;
    char client[ENDPOINT_TEXT_MAX];
    switch (channel_handshake(&connection->channel)) {
    case TLS_MORE: return;
    case TLS_DONE:
        connection->phase = INBOUND_TALKING;
        tls_facts(connection->channel.tls, &facts);
        inbound_secured(&connection->session, facts.version);
        pump(connection);
        return;
    case TLS_CLOSED:
    case TLS_FAILED:
        log_note("tls-failed", "client", "%s %s",
                 endpoint_format(&connection->session.client, client),
                 channel_why(&connection->channel));
        close_connection(connection);
        return;
    }
}

/* ---- events ---- */

static void connection_ready(struct watcher *watcher, unsigned what)
{
    struct channel *channel = container_of(watcher, struct channel, watcher);
    struct inbound_connection *connection =
        container_of(channel, struct inbound_connection, channel);
    if (channel->socket < 0)
        return; /* closed earlier in this turn */
    if (what & OS_READABLE)
        set_idle(connection);
    switch (connection->phase) {
    case INBOUND_HANDSHAKING: handshake(connection); return;
    case INBOUND_CLOSING: close_politely(connection); return;
    case INBOUND_LINGERING: linger(connection); return;
    case INBOUND_TALKING:
    case INBOUND_WAITING: pump(connection); return;
    }
}

void inbound_connection_open(struct inbound *inbound, int socket, const struct endpoint *client,
                             enum newlines newlines, struct server_tls *tls)
{
    struct inbound_connection *connection = must_calloc(1, sizeof(*connection));
    connection->inbound = inbound;
    connection->worker = inbound->worker;
    connection->config = config_keep(inbound->worker->config);
    connection->tls = tls;
    if (tls != NULL)
        tls->references++;
    connection->idle.fire = idle_passed;
    channel_open(&connection->channel, socket);
    connection->channel.watcher.ready = connection_ready;
    inbound_session_init(&connection->session, connection->config, client, newlines, tls != NULL,
                         &connection->channel.out);
    list_append(&inbound->connections, &connection->node);
    inbound->connection_count++;
    metric_add(METRIC_INBOUND_OPEN, 1);
    set_idle(connection);
    if (os_watch(connection->worker->loop, socket, &connection->channel.watcher) < 0 ||
        channel_flush(&connection->channel) == CHANNEL_FAILED)
        close_connection(connection);
}

void inbound_connections_drain(struct inbound *inbound)
{
    struct list_node *node = list_first(&inbound->connections);
    while (node != NULL) {
        struct list_node *next = list_next(&inbound->connections, node);
        struct inbound_connection *connection = container_of(node, struct inbound_connection, node);
        enum inbound_state state = connection->session.state;
        if (connection->phase == INBOUND_TALKING &&
            (state == INBOUND_CONNECTED || state == INBOUND_READY)) {
            buffer_append(&connection->channel.out,
                          SPAN("421 4.3.2 The relay is going down, try again later\r\n"));
            close_politely(connection);
        }
        node = next;
    }
}

void inbound_connections_close(struct inbound *inbound)
{
    for (struct list_node *node; (node = list_first(&inbound->connections)) != NULL;) {
        struct inbound_connection *connection = container_of(node, struct inbound_connection, node);
        message_over(connection);
        die(connection);
    }
}
