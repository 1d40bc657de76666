#include "bench/sink_session.h"

#include "bench/sink_distance.h"

#include <stdlib.h>
#include <string.h>

/* Of one step: whether the next one can follow at once. */
enum progress {
    GO_ON,
    WAIT, /* for bytes, a timer or the socket */
};

/* The only place where the state changes. */
void sink_session_become(struct sink_session *session, enum sink_state state)
{
    session->state = state;
}

void sink_session_say(struct sink_session *session, struct span reply)
{
    buffer_append(&session->channel.out, reply);
}

void sink_session_close_after(struct sink_session *session, struct span reply)
{
    sink_session_say(session, reply);
    sink_session_become(session, SINK_CLOSING);
}

void sink_session_begin_mail(struct sink_session *session)
{
    session->has_mail = true;
    sink_gauge_up(&session->worker->sink->mails);
}

void sink_session_reset(struct sink_session *session)
{
    if (session->has_mail)
        sink_gauge_down(&session->worker->sink->mails);
    session->has_mail = session->chunked = false;
    buffer_clear(&session->recipients);
    buffer_clear(&session->body);
    session->header = (struct header_watch){0};
    session->size = 0;
    session->id_length = 0;
    session->id_sought = false;
}

/* ---- faults and delays ---- */

static const struct faults *faults_of(const struct sink_session *session)
{
    return &session->worker->sink->options.faults;
}

/* The fault that strikes here, counted; or NULL. */
static const struct fault *draw(struct sink_session *session, enum fault_where where)
{
    struct sink_worker *worker = session->worker;
    int row = faults_draw(faults_of(session), where, &worker->random);
    if (row < 0)
        return NULL;
    worker->totals.faults[row]++;
    return &faults_of(session)->rows[row];
}

static void say_code(struct sink_session *session, unsigned code)
{
    const char *status = code == 454 ? "7.0" : code == 421 ? "3.2" : "0.0";
    buffer_print(&session->channel.out, "%u %u.%s A fault of the sink's\r\n", code, code / 100,
                 status);
    if (code == 421)
        sink_session_become(session, SINK_CLOSING);
}

/* True when a fault took the place of what should happen here. */
static bool strike(struct sink_session *session, enum fault_where where)
{
    const struct fault *fault = draw(session, where);
    if (fault == NULL)
        return false;
    switch (fault->what) {
    case FAULT_REPLY: say_code(session, fault->code); return true;
    case FAULT_DROP: sink_session_become(session, SINK_CLOSING); return true;
    case FAULT_STALL: sink_session_become(session, SINK_STALLED); return true;
    case FAULT_GARBAGE:
        sink_session_say(session, SPAN("\x16\x03\x7f no reply \x01\r\n"));
        return true;
    case FAULT_RESIDUE: session->residue = true; return false;
    case FAULT_NO_TICKET: return false; /* begin_tls draws for itself */
    }
    must_not_reach();
}

/* What a residue leaves behind the right reply. */
static void say_residue(struct sink_session *session)
{
    if (session->residue)
        sink_session_say(session, SPAN("250 2.0.0 Nobody asked for this\r\n"));
    session->residue = false;
}

/* True when what comes next must wait; it is tried again when the timer has fired. */
static bool must_wait(struct sink_session *session, enum fault_where where)
{
    unsigned delay_ms = faults_of(session)->delay_ms[where];
    if (delay_ms == 0 || session->delayed) {
        session->delayed = false;
        return false;
    }
    session->delayed = true;
    wheel_set(&session->worker->wheel, &session->delay, session->worker->now + delay_ms);
    return true;
}

static bool is_waiting(const struct sink_session *session)
{
    return list_linked(&session->delay.node);
}

/* ---- states ---- */

static enum progress step_connect(struct sink_session *session)
{
    if (must_wait(session, FAULT_CONNECT))
        return WAIT;
    if (!strike(session, FAULT_CONNECT))
        sink_session_become(session, session->worker->sink->options.implicit_tls ? SINK_HANDSHAKE
                                                                                 : SINK_GREETING);
    if (session->state == SINK_CONNECT)
        sink_session_become(session, SINK_COMMAND);
    return GO_ON;
}

static enum progress step_greeting(struct sink_session *session)
{
    if (must_wait(session, FAULT_GREETING))
        return WAIT;
    if (!strike(session, FAULT_GREETING))
        sink_session_say(session, SPAN("220 " SINK_HOSTNAME " ESMTP Millrace sink\r\n"));
    if (session->state == SINK_GREETING)
        sink_session_become(session, SINK_COMMAND);
    say_residue(session);
    return GO_ON;
}

static enum progress step_command(struct sink_session *session)
{
    struct buffer *in = &session->channel.in;
    struct span rest = buffer_span(in), line;
    if (rest.length == 0)
        return WAIT;
    must(rest.data != NULL);
    const char *newline = memchr(rest.data, '\n', rest.length);
    size_t used = newline ? (size_t)(newline - rest.data) + 1 : rest.length;
    if (used > COMMAND_LINE_MAX) {
        sink_session_close_after(session, SPAN("500 5.5.2 Line too long\r\n"));
        return GO_ON;
    }
    if (newline == NULL)
        return WAIT;
    span_line(&rest, &line);
    struct command command = command_read(line);
    enum fault_where where = sink_command_where(&command, line);
    if (must_wait(session, where))
        return WAIT;
    if (!strike(session, where))
        sink_command_act(session, &command);
    say_residue(session);
    buffer_consume(in, used);
    return GO_ON;
}

static enum progress step_data(struct sink_session *session)
{
    struct buffer *in = &session->channel.in;
    size_t used, before = buffer_length(&session->body);
    if (buffer_length(in) == 0)
        return WAIT;
    bool ended = data_read(&session->reader, buffer_span(in), &session->body, &used);
    session->size += buffer_length(&session->body) - before;
    buffer_consume(in, used);
    sink_message_read(session, ended);
    if (!ended)
        return WAIT;
    sink_session_become(session, SINK_END);
    return GO_ON;
}

/* Without --dump nothing is kept, nor copied, once the Message-ID is known. */
static void keep_chunk(struct sink_session *session, struct span octets)
{
    bool wanted = !session->id_sought || session->worker->sink->options.dump != NULL;
    session->size += octets.length;
    if (session->chunk_unfit || !wanted || session->size > SINK_SIZE_MAX)
        return;
    buffer_append(&session->body, octets);
    sink_message_read(session, session->chunk_last && session->chunk_left == 0);
}

static enum progress step_chunk(struct sink_session *session)
{
    struct buffer *in = &session->channel.in;
    struct span octets = buffer_span(in);
    if (octets.length > session->chunk_left)
        octets.length = (size_t)session->chunk_left;
    session->chunk_left -= octets.length;
    keep_chunk(session, octets);
    buffer_consume(in, octets.length);
    if (session->chunk_left > 0)
        return WAIT;
    sink_session_become(session, SINK_CHUNK_END);
    return GO_ON;
}

/* A chunk that is refused ends the transaction: those behind it have none. */
static enum progress step_chunk_end(struct sink_session *session)
{
    if (must_wait(session, FAULT_BDAT))
        return WAIT;
    if (strike(session, FAULT_BDAT)) {
        sink_session_reset(session);
    } else if (session->chunk_unfit) {
        sink_session_say(session, SPAN("503 5.5.1 Need RCPT first\r\n"));
    } else if (session->chunk_last) {
        sink_session_become(session, SINK_END);
        return GO_ON;
    } else {
        sink_session_say(session, SPAN("250 2.0.0 Ok\r\n"));
    }
    if (session->state == SINK_CHUNK_END)
        sink_session_become(session, SINK_COMMAND);
    say_residue(session);
    return GO_ON;
}

static enum progress step_end(struct sink_session *session)
{
    if (must_wait(session, FAULT_EOD))
        return WAIT;
    if (!strike(session, FAULT_EOD))
        sink_message_answer(session);
    if (session->state == SINK_END)
        sink_session_become(session, SINK_COMMAND);
    say_residue(session);
    sink_session_reset(session);
    return GO_ON;
}

static enum progress step_starttls(struct sink_session *session)
{
    if (buffer_length(&session->channel.in) > 0) { /* somebody wrote behind the command */
        sink_session_become(session, SINK_CLOSING);
        return GO_ON;
    }
    sink_worker_write_ledger(session->worker);
    sink_distance_hold(session);
    if (session->held > 0)
        return WAIT;
    if (channel_flush(&session->channel) != CHANNEL_OK) {
        session->broken = true;
        return WAIT;
    }
    if (!channel_flushed(&session->channel))
        return WAIT;
    sink_session_become(session, SINK_HANDSHAKE);
    return GO_ON;
}

/* Goes into TLS, or into what a fault makes of it. */
static void begin_tls(struct sink_session *session)
{
    const struct sink *sink = session->worker->sink;
    struct tls_server *server = sink->tls;
    const struct fault *fault = draw(session, FAULT_HANDSHAKE);
    switch (fault ? fault->what : FAULT_RESIDUE) {
    case FAULT_REPLY:
    case FAULT_RESIDUE: /* neither happens at a handshake */ break;
    case FAULT_NO_TICKET: server = sink->tls_no_ticket; break;
    case FAULT_DROP: sink_session_become(session, SINK_CLOSING); return;
    case FAULT_GARBAGE:
        sink_session_say(session, SPAN("This is no ServerHello.\r\n"));
        sink_session_become(session, SINK_STALLED);
        return;
    case FAULT_STALL: sink_session_become(session, SINK_STALLED); return;
    }
    session->channel.speaks_next = true; /* write_out() comes behind every step */
    channel_start_tls(&session->channel, tls_accept(server));
}

static void secured(struct sink_session *session)
{
    struct tls_facts facts;
    tls_facts(session->channel.tls, &facts);
    session->worker->totals.handshakes++;
    session->worker->totals.resumed += facts.resumed;
    session->greeted = false; /* RFC 3207 4.2: all that was said before is forgotten */
    sink_session_reset(session);
    sink_session_become(session,
                        session->worker->sink->options.implicit_tls ? SINK_GREETING : SINK_COMMAND);
    session->unread = true; /* data may have come behind the handshake */
}

static enum progress step_handshake(struct sink_session *session)
{
    if (session->channel.tls == NULL) {
        if (must_wait(session, FAULT_HANDSHAKE))
            return WAIT;
        begin_tls(session);
        if (session->state != SINK_HANDSHAKE)
            return GO_ON;
    }
    switch (channel_handshake(&session->channel)) {
    case TLS_MORE: return WAIT;
    case TLS_DONE: secured(session); return GO_ON;
    case TLS_CLOSED:
    case TLS_FAILED: session->broken = true; return WAIT;
    }
    must_not_reach();
}

static enum progress step_discard(struct sink_session *session)
{
    buffer_clear(&session->channel.in);
    return WAIT;
}

static const struct {
    bool reads; /* what the socket has, before the step */
    enum progress (*step)(struct sink_session *session);
} states[] = {
    [SINK_CONNECT] = {false, step_connect},
    [SINK_GREETING] = {true, step_greeting},
    [SINK_COMMAND] = {true, step_command},
    [SINK_DATA] = {true, step_data},
    [SINK_CHUNK] = {true, step_chunk},
    [SINK_CHUNK_END] = {true, step_chunk_end},
    [SINK_END] = {true, step_end},
    [SINK_STARTTLS] = {false, step_starttls},
    [SINK_HANDSHAKE] = {false, step_handshake},
    [SINK_STALLED] = {true, step_discard},
    [SINK_CLOSING] = {true, step_discard},
};
_Static_assert(countof(states) == SINK_STATES, "each state has its row");

/* ---- events ---- */

static void fill(struct sink_session *session)
{
    session->unread = false;
    if (channel_fill(&session->channel) == CHANNEL_FAILED)
        session->broken = true;
}

static void proceed(struct sink_session *session)
{
    for (;;) {
        if (session->unread && states[session->state].reads)
            fill(session);
        if (session->broken || is_waiting(session))
            break;
        if (states[session->state].step(session) == GO_ON)
            continue;
        if (!session->channel.in_stalled)
            break;
        session->unread = true;
    }
    if (session->channel.ended && !is_waiting(session))
        sink_session_become(session, SINK_CLOSING);
    sink_worker_flush(session->worker, session);
}

static void on_delay(struct timer *timer)
{
    proceed(container_of(timer, struct sink_session, delay));
}

static void on_ready(struct watcher *watcher, unsigned what)
{
    struct channel *channel = container_of(watcher, struct channel, watcher);
    struct sink_session *session = container_of(channel, struct sink_session, channel);
    if (what & OS_READABLE)
        session->unread = true;
    proceed(session);
}

void sink_session_begin(struct sink_worker *worker, int socket)
{
    struct sink_session *session = must_calloc(1, sizeof(*session));
    session->worker = worker;
    session->channel.watcher.ready = on_ready;
    session->delay.fire = on_delay;
    list_init(&session->flights);
    channel_open(&session->channel, socket);
    list_append(&worker->sessions, &session->in_sessions);
    worker->session_count++;
    sink_gauge_up(&worker->sink->clients);
    worker->totals.connections++;
    session->broken = os_watch(worker->loop, socket, &session->channel.watcher) != 0;
    proceed(session);
}

void sink_session_destroy(struct sink_session **session)
{
    struct sink_session *gone = *session;
    struct sink_worker *worker = gone->worker;
    wheel_clear(&worker->wheel, &gone->delay);
    sink_distance_forget(gone);
    sink_session_reset(gone);
    list_remove(&gone->in_unsent);
    list_remove(&gone->in_sessions);
    worker->session_count--;
    if (sink_gauge_down(&worker->sink->clients) == 0 && worker->sink->finished)
        os_wake(worker->sink->main_loop);
    channel_close(&gone->channel);
    buffer_free(&gone->recipients);
    buffer_free(&gone->domains);
    buffer_free(&gone->body);
    free(gone);
    *session = NULL;
}

static bool is_unread_by_client(const struct sink_session *session)
{
    return buffer_length(&session->channel.out) + session->held > SINK_UNSENT_MAX;
}

/* False when the session is gone. */
static bool write_out(struct sink_session *session)
{
    struct channel *channel = &session->channel;
    if (session->state == SINK_CLOSING && session->held == 0)
        channel_part(channel);
    if (!session->broken)
        session->broken = channel_flush(channel) != CHANNEL_OK;
    bool said = session->held == 0 && channel_flushed(channel);
    bool done = session->state == SINK_CLOSING && said;
    if (!done && !session->broken && !is_unread_by_client(session))
        return true;
    sink_session_destroy(&session);
    return false;
}

void sink_session_flush(struct sink_session *session)
{
    list_remove(&session->in_unsent);
    sink_distance_hold(session);
    write_out(session);
}

void sink_session_send(struct sink_session *session)
{
    if (write_out(session) && session->state == SINK_STARTTLS)
        proceed(session);
}
