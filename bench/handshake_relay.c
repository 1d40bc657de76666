/* What the relay's connections are made of, without their SMTP: sockets and event loop (os.h), the
 * channel, TLS with its terms, and one store of tickets for all threads. Each step is the one that
 * relay/outbound takes: racing.c while it connects, securing.c in the handshake, connection.c
 * behind it. One connection at a time, so every event is waited for. */
#include "bench/handshake_loop.h"

#include "base/must.h"
#include "relay/channel.h"
#include "relay/outbound/wants.h"
#include "tlspolicy/trust.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WAY "relay"
#define HOST "mx.test[127.0.0.1]:465"

enum phase {
    PHASE_CONNECTING,
    PHASE_HANDSHAKING,
    PHASE_TALKING,
};

struct client {
    const struct loop_plan *plan;
    struct os_loop *loop;
    struct tls_client *tls;
    struct tls_config config;
    struct tls_terms terms;
    enum phase phase;
    struct watcher lane;
    int socket; /* while it connects */
    struct channel channel;
    unsigned heard; /* lines since the last relay_hear */
};

static struct tickets *tickets; /* all threads' */

static void make_tickets(void)
{
    tickets = tickets_create(NULL, 0);
}

static void *relay_open(const struct loop_plan *plan)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static const char *names[] = {LOOP_NAME};
    struct client *client = must_calloc(1, sizeof(*client));
    char why[TLS_WHY_MAX];
    pthread_once(&once, make_tickets);
    client->plan = plan;
    client->loop = os_loop_create();
    client->tls = tls_client_create(tickets, os_wall);
    client->terms = (struct tls_terms){.level = plan->ca ? TLS_SECURE : TLS_ENCRYPT,
                                       .sni = LOOP_NAME,
                                       .names = names,
                                       .name_count = plan->ca ? 1 : 0};
    if (plan->ca == NULL)
        return client;
    client->config.trust = tls_trust_load(plan->ca, why);
    if (client->config.trust == NULL)
        loop_fail(WAY, "cannot read the CA's certificate", why);
    return client;
}

static void relay_close(void **gone)
{
    struct client *client = *gone;
    if (client->config.trust != NULL)
        tls_trust_release(&client->config.trust);
    tls_client_destroy(&client->tls);
    os_loop_destroy(&client->loop);
    free(client);
    *gone = NULL;
}

/* ---- events ---- */

static void take_lines(struct client *client)
{
    struct span in = buffer_span(&client->channel.in);
    for (size_t i = 0; i < in.length; i++)
        client->heard += in.data[i] == '\n';
    buffer_consume(&client->channel.in, in.length);
}

static void go_on(struct client *client)
{
    enum channel_result result = channel_fill(&client->channel);
    take_lines(client);
    if (result != CHANNEL_OK)
        loop_fail(WAY, "cannot read", channel_why(&client->channel));
}

static void shake_hands(struct client *client)
{
    switch (channel_handshake(&client->channel)) {
    case TLS_MORE: return;
    case TLS_DONE: client->phase = PHASE_TALKING; return;
    case TLS_CLOSED:
    case TLS_FAILED: loop_fail(WAY, "the handshake failed", channel_why(&client->channel));
    }
    must_not_reach();
}

static void channel_ready(struct watcher *watcher, unsigned what)
{
    struct channel *channel = container_of(watcher, struct channel, watcher);
    struct client *client = container_of(channel, struct client, channel);
    if (client->phase == PHASE_HANDSHAKING) {
        shake_hands(client);
        if (client->phase != PHASE_TALKING)
            return;
        what |= OS_READABLE; /* data may have come behind the handshake */
    }
    if (what & OS_READABLE)
        go_on(client);
    if ((what & OS_WRITABLE) && channel_flush(channel) != CHANNEL_OK)
        loop_fail(WAY, "cannot write", channel_why(channel));
}

static void begin_handshake(struct client *client)
{
    struct buffer key CLEANUP(buffer_free) = {0};
    const struct ticket_way way = {.to = HOST, .implicit = true};
    struct tls_wants wants = wants_of(&client->terms, &client->config);
    ticket_key(&way, &wants, &client->terms, &key);
    wants.ticket_key = buffer_span(&key);
    wants.full = !client->plan->resumes;
    client->phase = PHASE_HANDSHAKING;
    channel_start_tls(&client->channel, tls_connect(client->tls, &wants));
    shake_hands(client);
}

static void lane_ready(struct watcher *watcher, unsigned what)
{
    struct client *client = container_of(watcher, struct client, lane);
    (void)what;
    int error = os_connect_result(client->socket);
    if (error == -EINPROGRESS)
        return;
    if (error != 0)
        loop_fail(WAY, "cannot connect", strerror(-error));
    channel_open(&client->channel, client->socket);
    client->channel.watcher.ready = channel_ready;
    os_rewatch(client->loop, client->socket, &client->channel.watcher);
    begin_handshake(client);
}

static void turn(struct client *client)
{
    struct os_event events[OS_EVENTS_MAX];
    int count = os_wait(client->loop, events, -1);
    for (int i = 0; i < count; i++)
        events[i].watcher->ready(events[i].watcher, events[i].what);
}

/* ---- what is asked of it ---- */

static bool relay_connect(void *self)
{
    struct client *client = self;
    struct tls_facts facts;
    client->phase = PHASE_CONNECTING;
    client->heard = 0;
    client->lane.ready = lane_ready;
    client->socket = os_connect(&client->plan->to, NULL);
    if (client->socket < 0)
        loop_fail(WAY, "cannot connect", strerror(-client->socket));
    must(os_watch(client->loop, client->socket, &client->lane) == 0);
    while (client->phase != PHASE_TALKING)
        turn(client);
    tls_facts(client->channel.tls, &facts);
    return facts.resumed;
}

static void relay_say(void *self, struct span bytes)
{
    struct client *client = self;
    buffer_append(&client->channel.out, bytes);
    if (channel_flush(&client->channel) != CHANNEL_OK)
        loop_fail(WAY, "cannot write", channel_why(&client->channel));
}

static void relay_hear(void *self, unsigned lines)
{
    struct client *client = self;
    while (client->heard < lines)
        turn(client);
    client->heard -= lines;
}

static void relay_part(void *self)
{
    struct client *client = self;
    channel_close(&client->channel);
}

const struct loop_way loop_relay = {
    .name = WAY,
    .open = relay_open,
    .connect = relay_connect,
    .say = relay_say,
    .hear = relay_hear,
    .part = relay_part,
    .close = relay_close,
};
