/* One host, connected to as the relay's own connections are: the same session, the same channel,
 * the same terms. But what is wrong with a certificate is told, not ended at: what a message would
 * have met is judged afterwards by the same table. */
#include "relay/channel.h"
#include "relay/os.h"
#include "relay/outbound/session.h"
#include "relay/outbound/wants.h"
#include "relay/probe/probe_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One connection. */
struct visiting {
    struct probe *probe;
    struct probe_visit *visit;
    struct tls_client *client;
    struct os_loop *loop;
    struct channel channel;
    struct session session;
    int64_t ends_ms;
    enum visit_why {
        VISIT_FIRST, /* as a message would go */
        VISIT_AGAIN, /* with the ticket of the first */
        VISIT_LOOK,  /* at a certificate that the level does not ask for */
    } why;
    bool connecting, handshaking, over;
};

static bool is_first(const struct visiting *visiting)
{
    return visiting->why == VISIT_FIRST;
}

static void end(struct visiting *visiting)
{
    visiting->over = true;
}

/* ---- what is kept of it ---- */

/* A reply as it came, for people: without what could harm a terminal. */
static char *readable(struct arena *arena, struct span text)
{
    char *copy = arena_copy(arena, text), *to = copy;
    for (const char *c = copy; *c != '\0'; c++)
        if (*c != '\r')
            *to++ = *c == '\n' || (*c >= ' ' && *c <= '~') ? *c : '?';
    *to = '\0';
    return copy;
}

/* The replies to what was said last, before the session makes of them what it needs. */
static void keep_reply(struct visiting *visiting, struct span in)
{
    struct probe_visit *visit = visiting->visit;
    const char *awaited = session_awaits(&visiting->session);
    if (!is_first(visiting))
        return;
    if (strcmp(awaited, "greeting") == 0)
        visit->greeting = readable(&visiting->probe->arena, in);
    else if (strcmp(awaited, "EHLO") == 0 || strcmp(awaited, "HELO") == 0)
        visit->ehlo = readable(&visiting->probe->arena, in);
}

static void keep_handshake(struct visiting *visiting)
{
    struct probe_visit *visit = visiting->visit;
    struct arena *arena = &visiting->probe->arena;
    struct tls_facts facts;
    tls_facts(visiting->channel.tls, &facts);
    if (visiting->why == VISIT_AGAIN) {
        visit->resumed = facts.resumed;
        return;
    }
    if (is_first(visiting))
        visit->facts = facts;
    visit->handshake = true;
    visit->trusted = facts.verified;
    if (facts.fault != TLS_FAULT_NONE)
        visit->why = arena_copy(&visiting->probe->arena, span_of(tls_why(visiting->channel.tls)));
    if (visit->chain_length > 0)
        return;
    visit->chain = arena_take(arena, PROBE_CHAIN_MAX * sizeof(*visit->chain));
    while (visit->chain_length < PROBE_CHAIN_MAX &&
           tls_peer_certificate(visiting->channel.tls, visit->chain_length, arena,
                                &visit->chain[visit->chain_length]))
        visit->chain_length++;
}

static void keep_session(struct visiting *visiting)
{
    struct probe_visit *visit = visiting->visit;
    const struct session *session = &visiting->session;
    if (!is_first(visiting))
        return;
    if (!session->secure)
        visit->in_clear = session->extensions;
    visit->offered = session->extensions;
    visit->decided = session->decided;
    visit->outcome = session->outcome;
    visit->step = session->next_step;
    visit->ready = session->ready;
    if (!session->ready)
        visit->failure = verdict_copy(&session->failure, &visiting->probe->arena);
}

/* ---- talking ---- */

/* The certificate is looked at, whatever comes of it: so nothing but the level may end it. */
static void begin_handshake(struct visiting *visiting)
{
    const struct site_host *host = visiting->visit->host;
    struct tls_wants wants = wants_of(&host->tls, visiting->probe->search.terms.tls);
    const char *const names[] = {host->name};
    wants.check_only = true;
    if (visiting->why == VISIT_LOOK) {
        wants.check = TLS_CHECK_NAMES;
        wants.names = names;
        wants.name_count = 1;
    } else {
        visiting->visit->asked = wants.check != TLS_CHECK_NOTHING;
        wants.ticket_key = SPAN("probe");
    }
    visiting->handshaking = true;
    if (is_first(visiting))
        visiting->visit->in_clear = visiting->session.extensions;
    channel_start_tls(&visiting->channel, tls_connect(visiting->client, &wants));
}

static void say(struct visiting *visiting)
{
    if (channel_flush(&visiting->channel) == CHANNEL_FAILED)
        end(visiting);
}

/* What came behind the reply to STARTTLS came in clear, and from anybody. */
static enum session_ask without_residue(struct visiting *visiting, enum session_ask ask)
{
    if (ask != ASK_TLS || buffer_length(&visiting->channel.in) == 0)
        return ask;
    return session_tls_failed(&visiting->session, TLS_RESIDUE,
                              "the server sent more than its reply to STARTTLS");
}

static void act(struct visiting *visiting, enum session_ask ask)
{
    switch (without_residue(visiting, ask)) {
    case ASK_BYTES: say(visiting); return;
    case ASK_TLS: begin_handshake(visiting); return;
    case ASK_CLAIM: /* mail would go now */
        keep_session(visiting);
        session_quit(&visiting->session);
        say(visiting);
        return;
    case ASK_CLOSE:
        if (!visiting->session.ready)
            keep_session(visiting);
        say(visiting);
        end(visiting);
        return;
    case ASK_SECRET: /* it does not log in: no secret leaves for a look */
    case ASK_BODY:
    case ASK_CHUNK: must_not_reach();
    }
}

static void handshake_ended(struct visiting *visiting)
{
    struct session *session = &visiting->session;
    struct tls_facts facts;
    tls_facts(visiting->channel.tls, &facts);
    visiting->handshaking = false;
    keep_handshake(visiting);
    bool trusted = facts.fault == TLS_FAULT_NONE;
    if (!trusted && tls_level_authenticates(session->policy.level))
        act(visiting, session_tls_failed(session, TLS_UNTRUSTED, tls_why(visiting->channel.tls)));
    else
        act(visiting, session_secured(session, trusted ? NULL : tls_why(visiting->channel.tls)));
}

static void handshake_failed(struct visiting *visiting)
{
    struct tls_facts facts;
    char why[TLS_WHY_MAX + 32];
    tls_facts(visiting->channel.tls, &facts);
    snprintf(why, sizeof(why), "TLS handshake failed: %s", channel_why(&visiting->channel));
    visiting->handshaking = false;
    act(visiting,
        session_tls_failed(&visiting->session,
                           facts.fault == TLS_FAULT_ALERT ? TLS_ALERT : TLS_HANDSHAKE_FAILED, why));
}

static void go_on_with_handshake(struct visiting *visiting)
{
    switch (channel_handshake(&visiting->channel)) {
    case TLS_MORE: return;
    case TLS_DONE: handshake_ended(visiting); return;
    case TLS_CLOSED:
    case TLS_FAILED: handshake_failed(visiting); return;
    }
    must_not_reach();
}

static void read_replies(struct visiting *visiting)
{
    struct channel *channel = &visiting->channel;
    enum channel_result result = channel_fill(channel);
    while (!visiting->over && !visiting->handshaking && buffer_length(&channel->in) > 0) {
        size_t used;
        keep_reply(visiting, buffer_span(&channel->in));
        enum session_ask ask =
            session_receive(&visiting->session, buffer_span(&channel->in), &used);
        buffer_consume(&channel->in, used);
        if (ask == ASK_BYTES && used == 0)
            break;
        act(visiting, ask);
    }
    if (!visiting->over && !visiting->handshaking && result != CHANNEL_OK)
        act(visiting, session_lost(&visiting->session, result == CHANNEL_ENDED
                                                           ? "the server closed the connection"
                                                           : channel_why(channel)));
}

static void connected(struct visiting *visiting)
{
    int error = os_connect_result(visiting->channel.socket);
    if (error == -EINPROGRESS)
        return;
    visiting->connecting = false;
    if (error != 0)
        act(visiting, session_lost(&visiting->session, strerror(-error)));
    else if (visiting->visit->host->implicit)
        act(visiting, session_begin_secure(&visiting->session));
}

static void ready(struct watcher *watcher, unsigned what)
{
    struct channel *channel = container_of(watcher, struct channel, watcher);
    struct visiting *visiting = container_of(channel, struct visiting, channel);
    if (visiting->connecting)
        connected(visiting);
    if (visiting->over || visiting->connecting)
        return;
    if (!visiting->handshaking && (what & OS_READABLE))
        read_replies(visiting);
    if (!visiting->over && visiting->handshaking)
        go_on_with_handshake(visiting);
    if (!visiting->over && !visiting->handshaking && (what & OS_READABLE))
        read_replies(visiting); /* what came behind the handshake */
    if (!visiting->over && (what & OS_WRITABLE))
        say(visiting);
}

static void too_late(struct visiting *visiting)
{
    struct session *session = &visiting->session;
    if (visiting->connecting)
        act(visiting, session_lost(session, "timed out connecting"));
    else if (visiting->handshaking)
        act(visiting, session_tls_failed(session, TLS_STALLED, "timed out in the TLS handshake"));
    else
        act(visiting, session_timed_out(session));
    end(visiting);
}

static void run(struct visiting *visiting)
{
    struct os_event events[OS_EVENTS_MAX];
    while (!visiting->over) {
        int64_t left = visiting->ends_ms - os_now();
        if (left <= 0) {
            too_late(visiting);
            return;
        }
        int count = os_wait(visiting->loop, events, (int)left);
        for (int i = 0; i < count; i++)
            if (events[i].watcher != NULL && !visiting->over)
                events[i].watcher->ready(events[i].watcher, events[i].what);
    }
}

/* ---- one connection ---- */

static struct verdict cannot_connect(struct probe *probe, const char *host, const char *why)
{
    return (struct verdict){.kind = VERDICT_DEFERRED,
                            .stage = STAGE_CONNECT,
                            .status = {4, 4, 1},
                            .text = span_of(arena_copy(&probe->arena, span_of(why))),
                            .host = span_of(host)};
}

static void visit_address(struct visiting *visiting, const struct endpoint *to)
{
    struct probe *probe = visiting->probe;
    struct probe_visit *visit = visiting->visit;
    const struct tls_history history = {0};
    struct tls_policy policy = probe->search.terms.tls->policy;
    policy.level = visit->host->tls.level;
    const char *name = visit->host->name[0] == '[' ? "" : visit->host->name;
    ip_format(&to->ip, visit->address);
    const char *host =
        arena_print(&probe->arena, "%s[%s]:%u", name, visit->address, visit->host->port);
    int socket = os_connect(to, NULL);
    visiting->channel.socket = -1;
    visiting->over = visiting->handshaking = false;
    if (socket < 0) {
        visit->failure = cannot_connect(probe, host, strerror(-socket));
        return;
    }
    channel_open(&visiting->channel, socket);
    visiting->channel.watcher.ready = ready;
    visiting->connecting = true;
    visiting->ends_ms = os_now() + probe->options.deadline_ms;
    session_init(&visiting->session, probe->search.terms.hello, host, &policy, &history, 0,
                 &visiting->channel.out);
    os_watch(visiting->loop, socket, &visiting->channel.watcher);
    run(visiting);
    session_free(&visiting->session);
    channel_close(&visiting->channel);
}

/* Whether another address might do better. */
static bool was_reached(const struct probe_visit *visit)
{
    return visit->greeting != NULL || visit->decided || visit->ready;
}

static void visit_once_more(struct visiting *visiting, enum visit_why why)
{
    struct endpoint to = {.port = visiting->visit->host->port};
    must(ip_parse(span_of(visiting->visit->address), &to.ip));
    visiting->why = why;
    visit_address(visiting, &to);
}

void probe_visit_host(struct probe *probe, const struct site_host *host, struct probe_visit *visit)
{
    struct tickets *tickets = tickets_create(NULL, os_wall());
    struct visiting visiting = {.probe = probe, .visit = visit, .loop = os_loop_create()};
    visiting.client = tls_client_create(tickets, os_wall);
    for (unsigned i = 0; i < host->count && !was_reached(visit); i++)
        visit_address(&visiting, &(struct endpoint){host->addresses[i], host->port});
    if (visit->ready && visit->handshake) {
        visit->tried_again = true;
        visit_once_more(&visiting, VISIT_AGAIN);
    }
    if (visit->handshake && !visit->asked)
        visit_once_more(&visiting, VISIT_LOOK);
    tls_client_destroy(&visiting.client);
    tickets_destroy(&tickets);
    os_loop_destroy(&visiting.loop);
}
