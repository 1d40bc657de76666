#include "relay/outbound/connection_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESTED_MS 5000 /* after so long in the pool the server may have gone unnoticed */

static void deadline_passed(struct timer *timer);

/* ---- birth and death ---- */

void connection_open(struct mail *take_opening, void *taker)
{
    struct opening *opening = container_of(take_opening, struct opening, mail);
    struct worker *worker = taker;
    struct connection *connection = must_calloc(1, sizeof(*connection));
    connection->worker = worker;
    connection->number = 1 + atomic_fetch_add(&worker->relay->connection_numbers, 1);
    connection->channel.socket = -1;
    connection->deadline.fire = deadline_passed;
    slot_init(&connection->slot, opening->site, worker->index, opening->probe, opening->reserved);
    connection->slot.reported = opening->reported;
    free(opening);
    list_append(&worker->outbound, &connection->node);
    connection_start(connection);
}

static void bury(struct grave *grave)
{
    free(container_of(grave, struct connection, grave));
}

void connection_die(struct connection *connection)
{
    must(connection->attempt == NULL && connection->entry == NULL);
    wheel_clear(&connection->worker->wheel, &connection->deadline);
    list_remove(&connection->node);
    arena_free(&connection->failure_arena);
    transcript_free(&connection->transcript);
    slot_forget(&connection->slot);
    reported_drop(&connection->slot.reported);
    worker_bury(connection->worker, &connection->grave, bury);
}

void connection_close_channel(struct connection *connection)
{
    if (connection->channel.socket >= 0 && session_halfway(&connection->session))
        channel_abandon(&connection->channel); /* it is decided: the rest must not arrive now */
    else if (connection->channel.socket >= 0)
        channel_flush(&connection->channel); /* a last QUIT goes as far as it goes */
    channel_close(&connection->channel);
    connection_race_stop(connection);
    if (connection->peer != NULL)
        dispatch_part(dispatch_of(connection), &connection->slot, &connection->peer);
    session_free(&connection->session);
    wheel_clear(&connection->worker->wheel, &connection->deadline);
}

void connection_leave(struct connection *connection)
{
    connection_close_channel(connection);
    connection->phase = PHASE_CLOSED;
    if (connection->turned_away)
        dispatch_failed(dispatch_of(connection), &connection->slot, &connection->failure, true);
    else if (!connection->given_back && !dispatch_leave(dispatch_of(connection), &connection->slot))
        return;
    connection_die(connection);
}

void connection_set_deadline(struct connection *connection, int64_t ms)
{
    struct worker *worker = connection->worker;
    wheel_set(&worker->wheel, &connection->deadline, worker->now_ms + ms);
}

/* ---- attempts ---- */

void connection_end_attempt(struct connection *connection)
{
    if (connection->attempt != NULL) {
        connection_soften(connection);
        attempt_end(&connection->attempt);
    }
    connection->earlier = NULL;
}

/* The steps below return true when *ask is to be carried out next, and false when there is
 * nothing more to do until an event comes (or the connection is gone). */

/* What goes out to a server that is not there any more would be in doubt. */
static bool is_wary(const struct connection *connection)
{
    bool rested = connection->idle_since_ms != 0 &&
                  connection->worker->now_ms - connection->idle_since_ms >= RESTED_MS;
    return rested || (connection->slot.probe && !connection->alive_told);
}

static bool is_last(const struct connection *connection)
{
    unsigned most = site_of(connection)->terms.limits->messages_per_connection;
    bool worn_out = connection->session.mail_taken && connection->session.mail_deferred;
    return connection->one_shot || connection->session.closing || worn_out ||
           session_spent(&connection->session) || (most > 0 && connection->served >= most);
}

static bool deliver(struct connection *connection, enum session_ask *ask)
{
    struct attempt *attempt = connection->attempt;
    attempt->connection = connection->number;
    attempt->tls = arena_copy(&attempt->arena, span_of(connection->tls_text));
    attempt->tls_required = tls_level_name(host_of(connection)->tls.level);
    if (connection->opened_ms != 0)
        attempt->connect_ms = connection->worker->now_ms - connection->opened_ms;
    connection->opened_ms = 0;
    attempt->delivery.now_ms = connection->worker->wall_ms;
    attempt->delivery.wary = is_wary(connection);
    attempt->delivery.last = is_last(connection);
    connection->idle_since_ms = 0;
    connection->phase = PHASE_TALKING;
    connection->replies_before = connection->session.replies;
    *ask = session_deliver(&connection->session, &attempt->delivery);
    return true;
}

static void loaded(struct mail *mail, void *taker);

static void load(struct connection *connection, struct entry *entry)
{
    connection->phase = PHASE_LOADING;
    connection->entry = entry;
    connection->load = (struct load){.mail.deliver = loaded,
                                     .reply_to = connection->worker->mailbox,
                                     .id = entry->id,
                                     .number = entry->number};
    loader_post(connection->worker->relay->loader, &connection->load);
}

/* ---- claiming ---- */

static void go_idle(struct connection *connection)
{
    connection->phase = PHASE_IDLE;
    connection->idle_since_ms = connection->worker->now_ms;
    buffer_trim(&connection->channel.in);
    buffer_trim(&connection->channel.out);
    connection_set_deadline(connection, site_of(connection)->terms.limits->idle_ms);
}

/* Whoever waits for the reply to QUIT waits for nothing: another connection may have the slot. */
static enum session_ask say_goodbye(struct connection *connection)
{
    enum session_ask ask = session_quit(&connection->session);
    must(dispatch_leave(dispatch_of(connection), &connection->slot)); /* no wake is on its way */
    connection->given_back = true;
    return ask;
}

static bool claim(struct connection *connection, enum session_ask *ask)
{
    bool idle;
    struct entry *entry =
        dispatch_claim(dispatch_of(connection), &connection->slot, is_last(connection), &idle);
    if (entry == NULL)
        connection_tell_alive(connection); /* as far as can be seen: nothing was there to be sent */
    if (idle) {
        go_idle(connection);
        return false;
    }
    if (entry == NULL) {
        *ask = say_goodbye(connection);
        return true;
    }
    if (connection->served++ > 0)
        metric_add(METRIC_CONNECTIONS_REUSED, 1);
    wheel_clear(&connection->worker->wheel, &connection->deadline);
    struct envelope *envelope = entry->envelope;
    entry->envelope = NULL;
    if (envelope == NULL) {
        load(connection, entry);
        return false;
    }
    connection->attempt = attempt_create(connection->worker, entry, envelope);
    return deliver(connection, ask);
}

static void loaded(struct mail *mail, void *taker)
{
    struct load *load = container_of(mail, struct load, mail);
    struct connection *connection = container_of(load, struct connection, load);
    struct entry *entry = connection->entry;
    enum session_ask ask = ASK_CLAIM;
    bool more = false;
    (void)taker;
    connection->entry = NULL;
    switch (load->result) {
    case LOAD_OK:
        connection->attempt = attempt_create(connection->worker, entry, load->envelope);
        more = deliver(connection, &ask);
        break;
    case LOAD_GONE:
    case LOAD_DAMAGED:
        entry_damaged(connection->worker, entry);
        more = claim(connection, &ask);
        break;
    }
    if (more)
        connection_act(connection, ask);
    connection_catch_up(connection);
}

void connection_wake(struct mail *slot_wake, void *taker)
{
    struct slot *slot = container_of(slot_wake, struct slot, wake);
    struct connection *connection = container_of(slot, struct connection, slot);
    (void)taker;
    dispatch_woken(dispatch_of(connection), slot);
    enum session_ask ask;
    if (connection->phase == PHASE_CLOSED) /* it closed while the wake was on its way */
        connection_leave(connection);
    else if (connection->phase == PHASE_IDLE && claim(connection, &ask))
        connection_act(connection, ask);
}

void connection_lost(struct connection *connection, const char *why)
{
    enum tls_outcome outcome = connection_tls_outcome(connection);
    connection_act(connection, session_broke(&connection->session, outcome, why));
}

/* ---- talking ---- */

static void log_connected(const struct connection *connection)
{
    struct tls_facts facts;
    struct log_line line;
    log_begin(&line, "connected");
    log_string(&line, "relay", connection->host_text);
    log_number(&line, "conn", (int64_t)connection->number);
    log_string(&line, "tls", connection->tls_text);
    log_string(&line, "tls-required", tls_level_name(host_of(connection)->tls.level));
    if (connection->session.secure) {
        tls_facts(connection->channel.tls, &facts);
        log_string(&line, "cipher", facts.cipher);
    }
    log_end(&line);
}

static bool became_ready(struct connection *connection, enum session_ask *ask)
{
    connection_tell_tls(connection);
    log_connected(connection);
    connection->ready_told = true;
    connection->hosts_seen++;
    metric_add(METRIC_CONNECTIONS_OPENED, 1);
    if (connection->attempt == NULL)
        return claim(connection, ask);
    connection->served++; /* an envelope that another host deferred */
    return deliver(connection, ask);
}

static bool delivery_ended(struct connection *connection, enum session_ask *ask)
{
    if (connection_answered(connection))
        connection_tell_alive(connection);
    if (connection_was_stale(connection)) {
        attempt_return(&connection->attempt);
    } else {
        connection_record_mail(connection);
        if (connection_moves_on(connection))
            return false;
    }
    connection_end_attempt(connection);
    return claim(connection, ask);
}

static bool await_reply(struct connection *connection, enum session_ask *ask)
{
    connection->phase = PHASE_TALKING;
    connection->replies_seen = connection->session.replies;
    connection_set_deadline(connection, session_timeout_ms(&connection->session));
    if (connection_flush(connection) != CHANNEL_FAILED)
        return false;
    *ask = session_broke(&connection->session, connection_tls_outcome(connection),
                         channel_why(&connection->channel));
    return true;
}

static bool carry_out(struct connection *connection, enum session_ask *ask)
{
    connection_note_said(connection);
    switch (*ask) {
    case ASK_BYTES: return await_reply(connection, ask);
    case ASK_TLS: return connection_start_handshake(connection, ask);
    case ASK_SECRET: connection_ask_secret(connection); return false;
    case ASK_CLAIM:
        return connection->ready_told ? delivery_ended(connection, ask)
                                      : became_ready(connection, ask);
    case ASK_BODY: return connection_begin_body(connection, ask);
    case ASK_CHUNK: return connection_begin_chunk(connection, ask);
    case ASK_CLOSE: connection_over(connection); return false;
    }
    must_not_reach();
}

void connection_act(struct connection *connection, enum session_ask ask)
{
    while (carry_out(connection, &ask))
        ;
}

/* The session has taken so much of what came in; where it ends, the rest may be why. */
static void heard(struct connection *connection, enum session_ask ask, size_t used)
{
    struct span in = buffer_span(&connection->channel.in);
    size_t shown = ask == ASK_CLOSE ? in.length : used;
    if (connection->session.login.repeats)
        connection_note(connection, TRANSCRIPT_SERVER, SPAN("..."));
    else
        connection_note(connection, TRANSCRIPT_SERVER, (struct span){in.data, shown});
    buffer_consume(&connection->channel.in, used);
}

/* Everything that has come in is answered, as far as the phase allows. */
static void read_replies(struct connection *connection)
{
    struct channel *channel = &connection->channel;
    size_t used;
    while (buffer_length(&channel->in) > 0 && connection->phase == PHASE_TALKING) {
        enum session_ask ask =
            session_receive(&connection->session, buffer_span(&channel->in), &used);
        heard(connection, ask, used);
        if (ask != ASK_BYTES) {
            connection_act(connection, ask);
            continue;
        }
        if (connection->replies_seen != connection->session.replies)
            connection_act(connection, ASK_BYTES);
        return;
    }
}

/* Bytes while nothing is owed: a 421, or worse. */
static void read_unasked(struct connection *connection)
{
    size_t used;
    if (buffer_length(&connection->channel.in) == 0)
        return;
    enum session_ask ask =
        session_receive(&connection->session, buffer_span(&connection->channel.in), &used);
    heard(connection, ask, used);
    if (ask == ASK_CLOSE)
        connection_act(connection, ask);
}

/* It may have closed just when the next message was sent: whose end it did not even get is in no
 * doubt. */
static void server_ended(struct connection *connection)
{
    const struct channel *channel = &connection->channel;
    size_t unknown = (size_t)os_unacknowledged(channel->socket) + channel_unsent(channel);
    if (unknown > connection->behind)
        session_not_received(&connection->session);
    connection_lost(connection, "the server closed the connection");
}

/* What comes meanwhile is looked at then: connection_catch_up(). */
static bool waits_for_thread(const struct connection *connection)
{
    return connection->phase == PHASE_LOADING || connection->phase == PHASE_LOGGING_IN;
}

static void read_channel(struct connection *connection)
{
    struct channel *channel = &connection->channel;
    enum channel_result result;
    do {
        result = channel_fill(channel);
        if (connection->phase == PHASE_TALKING)
            read_replies(connection);
        else if (connection->phase == PHASE_IDLE || connection->phase == PHASE_SENDING)
            read_unasked(connection);
        if (channel->socket < 0)
            return;
    } while (result == CHANNEL_OK && channel->in_stalled && buffer_length(&channel->in) == 0);
    bool here = !waits_for_thread(connection);
    if (result == CHANNEL_FAILED && here)
        connection_lost(connection, channel_why(channel));
    else if (result == CHANNEL_ENDED && here)
        server_ended(connection);
}

/* What came while another thread was waited for had its event then. */
void connection_catch_up(struct connection *connection)
{
    if (connection->channel.socket >= 0)
        read_channel(connection);
}

static void write_channel(struct connection *connection)
{
    if (connection->phase == PHASE_SENDING)
        connection_go_on_sending(connection);
    else if (connection_flush(connection) == CHANNEL_FAILED && !waits_for_thread(connection) &&
             connection->phase != PHASE_HANDSHAKING)
        connection_lost(connection, channel_why(&connection->channel));
}

void connection_ready(struct watcher *watcher, unsigned what)
{
    struct channel *channel = container_of(watcher, struct channel, watcher);
    struct connection *connection = container_of(channel, struct connection, channel);
    if (channel->socket < 0)
        return; /* closed earlier in this turn */
    if (connection->phase == PHASE_HANDSHAKING) {
        enum session_ask ask;
        if (connection_handshake(connection, &ask))
            connection_act(connection, ask);
        if (connection->phase != PHASE_TALKING)
            return;
        what |= OS_READABLE; /* data may have come behind the handshake */
    }
    if (what & OS_READABLE) /* first: a refusal in the middle of the body counts */
        read_channel(connection);
    if (channel->socket >= 0 && (what & OS_WRITABLE))
        write_channel(connection);
}

/* ---- time ---- */

static void retire(struct connection *connection)
{
    if (dispatch_retire(dispatch_of(connection), &connection->slot))
        connection_act(connection, session_quit(&connection->session));
}

static void deadline_passed(struct timer *timer)
{
    struct connection *connection = container_of(timer, struct connection, deadline);
    struct session *session = &connection->session;
    switch (connection->phase) {
    case PHASE_CONNECTING: connection_race_late(connection); return;
    case PHASE_HANDSHAKING:
        connection_act(connection,
                       session_tls_failed(session, TLS_STALLED, "timed out in the TLS handshake"));
        return;
    case PHASE_TALKING: connection_act(connection, session_timed_out(session)); return;
    case PHASE_SENDING: connection_lost(connection, "timed out sending the body"); return;
    case PHASE_IDLE: retire(connection); return;
    case PHASE_LOADING:
    case PHASE_LOGGING_IN:
    case PHASE_CLOSED: return;
    }
}

/* Still on its way to a host, for what it will not be given any more. */
static bool comes_too_late(const struct connection *connection)
{
    bool talks = connection->phase == PHASE_TALKING || connection->phase == PHASE_HANDSHAKING;
    return connection->attempt == NULL &&
           (connection->phase == PHASE_CONNECTING || (talks && !connection->session.ready));
}

void connections_drain(struct worker *worker)
{
    struct list_node *node = list_first(&worker->outbound);
    while (node != NULL) {
        struct list_node *next = list_next(&worker->outbound, node);
        struct connection *connection = container_of(node, struct connection, node);
        if (connection->phase == PHASE_IDLE)
            retire(connection);
        else if (comes_too_late(connection))
            connection_leave(connection);
        node = next;
    }
}

void connections_close(struct worker *worker)
{
    for (struct list_node *node; (node = list_first(&worker->outbound)) != NULL;) {
        struct connection *connection = container_of(node, struct connection, node);
        if (connection->slot.waking)
            dispatch_woken(dispatch_of(connection), &connection->slot);
        if (connection->attempt != NULL)
            attempt_return(&connection->attempt);
        connection->entry = NULL;
        connection_leave(connection);
    }
}
