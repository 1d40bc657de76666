/* The connection under the dialogue: it comes, goes into TLS, breaks, and comes again. */
#include "bench/load_session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct load_options *options_of(const struct load_session *session)
{
    return &session->worker->load->options;
}

/* A server that was never there is borne with for a shorter time than one that went away. */
static int64_t patience_of(const struct load_session *session)
{
    const struct load *load = session->worker->load;
    return (int64_t)(load->connections > 0 ? load->options.patience_ms : load->options.reach_ms);
}

static void arm(struct load_session *session, uint64_t ms)
{
    struct load_worker *worker = session->worker;
    wheel_set(&worker->wheel, &session->timer, worker->now_ms + (int64_t)ms);
}

/* The only place where the phase changes. */
static void become(struct load_session *session, enum load_phase phase)
{
    session->phase = phase;
}

/* ---- the end of a connection ---- */

static void hang_up(struct load_session *session)
{
    wheel_clear(&session->worker->wheel, &session->timer);
    list_remove(&session->in_idle);
    channel_close(&session->channel);
    session->expected_count = 0;
    session->next = LOAD_NOTHING;
}

static void leave(struct load_session *session)
{
    hang_up(session);
    if (session->phase != LOAD_GONE)
        session->worker->alive--;
    become(session, LOAD_GONE);
}

static void fail_message(struct load_session *session, struct load_message *message)
{
    struct load *load = session->worker->load;
    if (!message->begun)
        return;
    message->begun = false;
    atomic_fetch_add(&load->failed, 1);
    atomic_fetch_add(&load->left, 1);
}

void load_session_note(struct load_session *session, const char *where, struct span why)
{
    struct load_worker *worker = session->worker;
    snprintf(worker->trouble, sizeof(worker->trouble), "%s: %.*s", where,
             (int)(why.length < 160 ? why.length : 160), why.data);
}

/* The connection broke, or is of no use: what was under way has failed. Comes again after
 * a pause, unless patience is over. */
void load_session_lose(struct load_session *session, const char *where, struct span why)
{
    struct load_worker *worker = session->worker;
    load_session_note(session, where, why);
    fail_message(session, &session->sent);
    fail_message(session, &session->current);
    hang_up(session);
    if (!session->failing) /* a connection that never came has failed from its beginning */
        session->failing_since_ms =
            session->phase == LOAD_CONNECTING ? session->active_ms : worker->now_ms;
    session->failing = true;
    if (worker->now_ms - session->failing_since_ms >= patience_of(session) ||
        worker->load->stopping) {
        leave(session);
        return;
    }
    become(session, LOAD_AWAY);
    arm(session, LOAD_PAUSE_MS);
}

/* What trying again would not mend. */
void load_session_give_up(struct load_session *session, const char *why)
{
    load_session_note(session, "giving up", span_of(why));
    fail_message(session, &session->sent);
    fail_message(session, &session->current);
    leave(session);
}

/* ---- the beginning of a connection ---- */

static void on_ready(struct watcher *watcher, unsigned what);

static void connect_now(struct load_session *session)
{
    struct load_worker *worker = session->worker;
    int socket = os_connect(&options_of(session)->to, NULL);
    if (socket < 0) {
        load_session_lose(session, "connect", span_of(strerrordesc_np(-socket)));
        return;
    }
    channel_open(&session->channel, socket);
    session->taken = 0;
    session->unreset = session->held = false;
    session->extensions = (struct extensions){0};
    session->active_ms = worker->now_ms;
    become(session, LOAD_CONNECTING);
    arm(session, (uint64_t)patience_of(session));
    int error = os_watch(worker->loop, socket, &session->channel.watcher);
    if (error != 0)
        load_session_lose(session, "watch", span_of(strerrordesc_np(-error)));
}

void load_session_again(struct load_session *session)
{
    hang_up(session);
    if (load_worker_is_done(session->worker))
        leave(session);
    else
        connect_now(session);
}

static void begin_talk(struct load_session *session, bool greeted)
{
    become(session, LOAD_TALKING);
    if (greeted)
        session->next = LOAD_EHLO;
    else
        load_dialogue_expect(session, LOAD_GREETING);
}

static void secured(struct load_session *session)
{
    struct tls_facts facts;
    tls_facts(session->channel.tls, &facts);
    if (facts.resumed)
        session->worker->resumed++;
    else
        session->worker->full++;
    begin_talk(session, options_of(session)->starttls);
}

static void shake(struct load_session *session)
{
    switch (channel_handshake(&session->channel)) {
    case TLS_MORE: return;
    case TLS_DONE: secured(session); return;
    case TLS_CLOSED:
    case TLS_FAILED:
        load_session_lose(session, "TLS handshake", span_of(channel_why(&session->channel)));
        return;
    }
    must_not_reach();
}

void load_session_start_tls(struct load_session *session)
{
    const struct load_options *options = options_of(session);
    char text[ENDPOINT_TEXT_MAX];
    struct tls_wants wants = {0};
    if (options->resume)
        wants.ticket_key = span_of(endpoint_format(&options->to, text));
    channel_start_tls(&session->channel, tls_connect(session->worker->tls, &wants));
    become(session, LOAD_SHAKING);
    shake(session);
}

/* ---- events, by phase ---- */

static bool is_amid_body(const struct load_session *session)
{
    return session->next == LOAD_BODY || (session->next == LOAD_CHUNK && session->chunk_begun);
}

/* Writes what may be written and sends it; a long body goes on as long as the socket takes it. */
static void write_and_send(struct load_session *session)
{
    do {
        load_dialogue_write(session);
        if (channel_flush(&session->channel) != CHANNEL_OK) {
            load_session_lose(session, load_dialogue_where(session),
                              span_of(channel_why(&session->channel)));
            return;
        }
    } while (is_amid_body(session) && channel_flushed(&session->channel));
}

static void talk(struct load_session *session)
{
    enum channel_result result;
    do {
        result = channel_fill(&session->channel);
        load_dialogue_read(session);
        if (session->phase != LOAD_TALKING)
            return;
    } while (session->channel.in_stalled);
    if (result == CHANNEL_OK)
        write_and_send(session);
    else
        load_session_lose(session, load_dialogue_where(session),
                          result == CHANNEL_ENDED ? SPAN("the server closed the connection")
                                                  : span_of(channel_why(&session->channel)));
}

static void ready_connecting(struct load_session *session)
{
    int error = os_connect_result(session->channel.socket);
    if (error != 0) {
        load_session_lose(session, "connect", span_of(strerrordesc_np(-error)));
        return;
    }
    atomic_fetch_add(&session->worker->load->connections, 1);
    if (options_of(session)->tls) {
        load_session_start_tls(session);
        return;
    }
    begin_talk(session, false);
    talk(session);
}

static void ready_shaking(struct load_session *session)
{
    shake(session);
    if (session->phase == LOAD_TALKING)
        talk(session);
}

static void ready_never(struct load_session *session)
{
    (void)session;
    must_not_reach(); /* there is no socket in this phase */
}

static void late_away(struct load_session *session)
{
    load_session_again(session);
}

/* Patience is counted from the last sign of life. */
static void late_waiting(struct load_session *session)
{
    const struct load_worker *worker = session->worker;
    if (session->phase == LOAD_TALKING && session->expected_count == 0)
        session->active_ms = worker->now_ms; /* it is us who have nothing to say */
    int64_t rest = session->active_ms + patience_of(session) - worker->now_ms;
    if (rest > 0)
        arm(session, (uint64_t)rest);
    else
        load_session_lose(session, load_dialogue_where(session), SPAN("no answer in time"));
}

static void late_never(struct load_session *session)
{
    (void)session;
    must_not_reach();
}

static const struct {
    void (*ready)(struct load_session *session);
    void (*late)(struct load_session *session); /* the timer fired */
} phases[] = {
    [LOAD_AWAY] = {ready_never, late_away},
    [LOAD_CONNECTING] = {ready_connecting, late_waiting},
    [LOAD_SHAKING] = {ready_shaking, late_waiting},
    [LOAD_TALKING] = {talk, late_waiting},
    [LOAD_GONE] = {ready_never, late_never},
};
_Static_assert(countof(phases) == LOAD_PHASES, "each phase has its row");

static void on_ready(struct watcher *watcher, unsigned what)
{
    (void)what;
    struct channel *channel = container_of(watcher, struct channel, watcher);
    struct load_session *session = container_of(channel, struct load_session, channel);
    session->active_ms = session->worker->now_ms;
    phases[session->phase].ready(session);
}

static void on_timer(struct timer *timer)
{
    struct load_session *session = container_of(timer, struct load_session, timer);
    phases[session->phase].late(session);
}

/* ---- for the worker ---- */

void load_session_begin(struct load_session *session, struct load_worker *worker)
{
    session->worker = worker;
    session->channel.watcher.ready = on_ready;
    session->channel.socket = -1;
    session->timer.fire = on_timer;
    session->next = LOAD_NOTHING;
    become(session, LOAD_AWAY);
    worker->alive++;
    connect_now(session);
}

void load_session_due(struct load_session *session)
{
    list_remove(&session->in_idle);
    load_dialogue_begin(session);
    write_and_send(session);
}

/* Nothing has come of it yet: no greeting, if there is a connection at all. */
static bool is_before_greeting(const struct load_session *session)
{
    switch (session->phase) {
    case LOAD_AWAY:
    case LOAD_CONNECTING: return true;
    case LOAD_TALKING:
        return session->expected_count > 0 &&
               session->expected[session->expected_first] == LOAD_GREETING;
    case LOAD_SHAKING:
    case LOAD_GONE: return false;
    }
    must_not_reach();
}

void load_session_stop(struct load_session *session)
{
    if (is_before_greeting(session))
        leave(session);
}

void load_session_close(struct load_session *session)
{
    hang_up(session);
}
