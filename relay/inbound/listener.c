#include "relay/inbound/connection.h"
#include "relay/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPT_AGAIN_MS 100 /* after the process ran out of descriptors */
#define SERVER_TICKETS 2    /* TLS 1.3 tickets per full handshake, OpenSSL's own default */

struct listener {
    struct watcher watcher;
    struct timer again;
    struct inbound *inbound;
    int socket; /* -1 once drained */
    struct endpoint at;
    struct config *config; /* one reference: as of the last reload that knew the listener */
    const struct listen_config *listen; /* in it */
    struct server_tls *tls;             /* NULL: not offered */
};

void server_tls_drop(struct server_tls **tls)
{
    struct server_tls *self = *tls;
    *tls = NULL;
    if (self == NULL || --self->references > 0)
        return;
    tls_server_destroy(&self->server);
    free(self);
}

/* False with `why` when the certificate cannot be used. No TLS: true, and *tls is NULL. */
static bool make_tls(const struct listen_config *config, struct server_tls **tls, char *why,
                     size_t why_size)
{
    char reason[TLS_WHY_MAX];
    *tls = NULL;
    if (config->tls == LISTEN_TLS_OFF)
        return true;
    struct tls_server_options options = {.certificate = config->certificate,
                                         .key = config->key,
                                         .tickets = SERVER_TICKETS,
                                         .now_ms = os_now};
    struct tls_server *server = tls_server_create(&options, reason);
    if (server == NULL) {
        snprintf(why, why_size, "%s", reason);
        return false;
    }
    *tls = must_calloc(1, sizeof(**tls));
    (*tls)->references = 1;
    (*tls)->server = server;
    return true;
}

/* ---- accepting ---- */

static void refuse(int socket, const struct arrival *arrival, enum metric why, const char *reply)
{
    if (arrival->listen->tls != LISTEN_TLS_IMPLICIT) /* there it would be no TLS */
        os_write(socket, reply, strlen(reply));      /* as far as it goes */
    os_close(socket);
    metric_add(why, 1);
    metric_replies(span_of(reply));
}

void inbound_arrived(struct inbound *inbound, int socket, const struct arrival *arrival)
{
    const struct limits *limits = &arrival->config->limits;
    bool proxied = networks_hold(&arrival->listen->proxies, &arrival->client.ip);
    metric_add(METRIC_INBOUND_CONNECTIONS, 1);
    if (metric_read(METRIC_INBOUND_OPEN) >= (int64_t)limits->connections)
        refuse(socket, arrival, METRIC_THROTTLED_CONNECTIONS,
               "421 4.3.2 Too many connections, try again later\r\n");
    else if (!proxied &&
             !inbound_clients_enter(inbound->worker->relay->clients, &arrival->counted_as,
                                    limits->connections_per_client))
        refuse(socket, arrival, METRIC_THROTTLED_CLIENT, INBOUND_TOO_MANY "\r\n");
    else
        inbound_connection_open(inbound, socket, arrival, proxied);
}

static void accepted(struct listener *listener, int socket, const struct endpoint *client)
{
    const struct arrival arrival = {.client = *client,
                                    .counted_as = client->ip,
                                    .config = listener->config,
                                    .listen = listener->listen,
                                    .tls = listener->tls};
    inbound_arrived(listener->inbound, socket, &arrival);
}

static void accept_all(struct listener *listener)
{
    struct endpoint client;
    struct worker *worker = listener->inbound->worker;
    for (;;) {
        int socket = os_accept(listener->socket, &client);
        if (socket >= 0) {
            accepted(listener, socket, &client);
            continue;
        }
        if (socket == -EINTR || socket == -ECONNABORTED)
            continue;
        if (socket != -EAGAIN) { /* EMFILE and its kin: the client waits in the backlog */
            log_note("accept-failed", "why", "%s", strerror(-socket));
            wheel_set(&worker->wheel, &listener->again, worker->now_ms + ACCEPT_AGAIN_MS);
        }
        return;
    }
}

static void listener_ready(struct watcher *watcher, unsigned what)
{
    struct listener *listener = container_of(watcher, struct listener, watcher);
    (void)what;
    if (listener->socket >= 0)
        accept_all(listener);
}

static void accept_again(struct timer *timer)
{
    struct listener *listener = container_of(timer, struct listener, again);
    if (listener->socket >= 0)
        accept_all(listener);
}

/* ---- life ---- */

static bool listen_at(struct listener *listener, const struct listening *where, char *why,
                      size_t why_size)
{
    char text[ENDPOINT_TEXT_MAX];
    int socket = where->handed_over >= 0 ? os_share(where->handed_over) : os_listen(&where->at);
    if (socket >= 0) {
        os_local(socket, &listener->at);
        listener->socket = socket;
        listener->watcher.ready = listener_ready;
        int error = os_watch(listener->inbound->worker->loop, socket, &listener->watcher);
        if (error == 0)
            return true;
        os_close(socket);
        socket = error;
    }
    listener->socket = -1;
    snprintf(why, why_size, "cannot listen on %s: %s", endpoint_format(&where->at, text),
             strerror(-socket));
    return false;
}

struct inbound *inbound_create(struct worker *worker, const struct listening *where, char *why,
                               size_t why_size)
{
    struct inbound *inbound = must_calloc(1, sizeof(*inbound));
    const struct config *config = worker->config;
    inbound->worker = worker;
    inbound->listeners = must_calloc(config->listen_count, sizeof(*inbound->listeners));
    list_init(&inbound->connections);
    for (unsigned i = 0; i < config->listen_count; i++) {
        struct listener *listener = &inbound->listeners[inbound->listener_count++];
        listener->inbound = inbound;
        listener->socket = -1;
        listener->config = config_keep(worker->config);
        listener->listen = &config->listen[i];
        listener->again.fire = accept_again;
        if (!make_tls(&config->listen[i], &listener->tls, why, why_size) ||
            !listen_at(listener, &where[i], why, why_size)) {
            inbound_destroy(&inbound);
            return NULL;
        }
    }
    if (worker->index == 0)
        inbound->local = local_listener_create(inbound, config->submit, why, why_size);
    if (worker->index == 0 && inbound->local == NULL)
        inbound_destroy(&inbound);
    return inbound;
}

static void stop_listening(struct listener *listener)
{
    wheel_clear(&listener->inbound->worker->wheel, &listener->again);
    if (listener->socket >= 0)
        os_close(listener->socket);
    listener->socket = -1;
}

void inbound_destroy(struct inbound **inbound)
{
    struct inbound *self = *inbound;
    inbound_connections_close(self);
    for (unsigned i = 0; i < self->listener_count; i++) {
        stop_listening(&self->listeners[i]);
        server_tls_drop(&self->listeners[i].tls);
        config_drop(&self->listeners[i].config);
    }
    local_listener_destroy(&self->local);
    free(self->listeners);
    free(self);
    *inbound = NULL;
}

void inbound_endpoints(const struct inbound *inbound, struct listening *where)
{
    for (unsigned i = 0; i < inbound->listener_count; i++)
        where[i].at = inbound->listeners[i].at;
}

void inbound_drain(struct inbound *inbound)
{
    inbound->draining = true;
    for (unsigned i = 0; i < inbound->listener_count; i++)
        stop_listening(&inbound->listeners[i]);
    local_listener_destroy(&inbound->local);
    inbound_connections_drain(inbound);
}

/* ---- a new configuration ---- */

static const struct listen_config *find_listen(const struct config *config,
                                               const struct listen_config *old)
{
    for (unsigned i = 0; i < config->listen_count; i++)
        if (ip_equal(&config->listen[i].at.ip, &old->at.ip) &&
            config->listen[i].at.port == old->at.port)
            return &config->listen[i];
    return NULL;
}

static void free_pointer(struct server_tls ***pointer)
{
    free(*pointer);
}

bool inbound_reconfigure(struct inbound *inbound, struct config *config, char *why, size_t why_size)
{
    struct server_tls **fresh CLEANUP(free_pointer) =
        must_calloc(inbound->listener_count, sizeof(struct server_tls *));
    for (unsigned i = 0; i < inbound->listener_count; i++) {
        const struct listen_config *next = find_listen(config, inbound->listeners[i].listen);
        fresh[i] = NULL;
        if (next != NULL && !make_tls(next, &fresh[i], why, why_size)) {
            while (i-- > 0)
                server_tls_drop(&fresh[i]);
            return false;
        }
    }
    for (unsigned i = 0; i < inbound->listener_count; i++) {
        struct listener *listener = &inbound->listeners[i];
        const struct listen_config *next = find_listen(config, listener->listen);
        if (next == NULL)
            continue; /* goes with the next restart */
        server_tls_drop(&listener->tls);
        config_drop(&listener->config);
        listener->tls = fresh[i];
        listener->config = config_keep(config);
        listener->listen = next;
    }
    return true;
}
