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

struct listening *listening_share(const struct listening *where, unsigned count)
{
    struct listening *shared = must_calloc(count, sizeof(*shared));
    for (unsigned i = 0; i < count; i++) {
        shared[i] = where[i];
        if (where[i].socket >= 0)
            shared[i].socket = os_share(where[i].socket);
    }
    return shared;
}

void listening_close(struct listening *where, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (where[i].socket >= 0)
            os_close(where[i].socket);
        where[i].socket = -1;
    }
}

static bool listen_at(struct listener *listener, struct listening *take_where, char *why,
                      size_t why_size)
{
    char text[ENDPOINT_TEXT_MAX];
    int socket = take_where->socket >= 0 ? take_where->socket : os_listen(&take_where->at);
    take_where->socket = -1;
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
    snprintf(why, why_size, "cannot listen on %s: %s", endpoint_format(&take_where->at, text),
             strerror(-socket));
    return false;
}

static void stop_listening(struct listener *listener)
{
    wheel_clear(&listener->inbound->worker->wheel, &listener->again);
    if (listener->socket >= 0)
        os_close(listener->socket);
    listener->socket = -1;
}

static void listener_free(struct listener *listener)
{
    if (listener == NULL)
        return;
    stop_listening(listener);
    server_tls_drop(&listener->tls);
    config_drop(&listener->config);
    free(listener);
}

/* For a section of the configuration; NULL with `why`. */
static struct listener *listener_create(struct inbound *inbound, struct config *config,
                                        const struct listen_config *listen,
                                        struct listening *take_where, char *why, size_t why_size)
{
    struct listener *listener = must_calloc(1, sizeof(*listener));
    listener->inbound = inbound;
    listener->socket = -1;
    listener->config = config_keep(config);
    listener->listen = listen;
    listener->again.fire = accept_again;
    if (make_tls(listen, &listener->tls, why, why_size) &&
        listen_at(listener, take_where, why, why_size))
        return listener;
    listener_free(listener);
    return NULL;
}

struct inbound *inbound_create(struct worker *worker, struct listening *take_where, char *why,
                               size_t why_size)
{
    struct inbound *inbound = must_calloc(1, sizeof(*inbound));
    struct config *config = worker->config;
    inbound->worker = worker;
    inbound->listeners = must_calloc(config->listen_count, sizeof(struct listener *));
    inbound->listener_count = config->listen_count;
    list_init(&inbound->connections);
    bool fine = true;
    for (unsigned i = 0; i < config->listen_count && fine; i++) {
        inbound->listeners[i] =
            listener_create(inbound, config, &config->listen[i], &take_where[i], why, why_size);
        fine = inbound->listeners[i] != NULL;
    }
    if (fine && worker->index == 0)
        fine = (inbound->local = local_listener_create(inbound, config->submit, why, why_size)) !=
               NULL;
    if (!fine)
        inbound_destroy(&inbound);
    return inbound;
}

void inbound_destroy(struct inbound **inbound)
{
    struct inbound *self = *inbound;
    inbound_connections_close(self);
    for (unsigned i = 0; i < self->listener_count; i++)
        listener_free(self->listeners[i]);
    local_listener_destroy(&self->local);
    free(self->listeners);
    free(self);
    *inbound = NULL;
}

void inbound_endpoints(const struct inbound *inbound, struct listening *where)
{
    for (unsigned i = 0; i < inbound->listener_count; i++)
        where[i].at = inbound->listeners[i]->at;
}

void inbound_drain(struct inbound *inbound)
{
    inbound->draining = true;
    for (unsigned i = 0; i < inbound->listener_count; i++)
        stop_listening(inbound->listeners[i]);
    local_listener_destroy(&inbound->local);
    inbound_connections_drain(inbound);
}

/* ---- a new configuration ---- */

/* The listener that is there for a section, or NULL. */
static struct listener *find_listener(const struct inbound *inbound,
                                      const struct listen_config *listen)
{
    for (unsigned i = 0; i < inbound->listener_count; i++)
        if (endpoint_equal(&inbound->listeners[i]->listen->at, &listen->at))
            return inbound->listeners[i];
    return NULL;
}

/* One for each section of the new configuration: those that are there stay, with what is new to
 * them beside. */
struct renewal {
    struct listener **listeners;
    struct server_tls **tls; /* of those that were there */
    unsigned count;
};

static bool renew(struct inbound *inbound, struct config *config, struct listening *take_where,
                  struct renewal *renewal, char *why, size_t why_size)
{
    for (unsigned i = 0; i < config->listen_count; i++) {
        const struct listen_config *listen = &config->listen[i];
        struct listener *there = find_listener(inbound, listen);
        bool fine = there != NULL
                        ? make_tls(listen, &renewal->tls[i], why, why_size)
                        : (there = listener_create(inbound, config, listen, &take_where[i], why,
                                                   why_size)) != NULL;
        if (!fine)
            return false;
        renewal->listeners[renewal->count++] = there;
    }
    return true;
}

static bool is_among(const struct listener *listener, struct listener *const *listeners,
                     unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (listeners[i] == listener)
            return true;
    return false;
}

static void free_others(struct listener **listeners, unsigned count, struct listener *const *kept,
                        unsigned kept_count)
{
    for (unsigned i = 0; i < count; i++)
        if (!is_among(listeners[i], kept, kept_count))
            listener_free(listeners[i]);
}

static void take_over(struct inbound *inbound, struct config *config, struct renewal *renewal)
{
    for (unsigned i = 0; i < renewal->count; i++) {
        struct listener *listener = renewal->listeners[i];
        if (!is_among(listener, inbound->listeners, inbound->listener_count))
            continue; /* it is new */
        server_tls_drop(&listener->tls);
        config_drop(&listener->config);
        listener->tls = renewal->tls[i];
        listener->config = config_keep(config);
        listener->listen = &config->listen[i];
    }
    free_others(inbound->listeners, inbound->listener_count, renewal->listeners, renewal->count);
    free(inbound->listeners);
    inbound->listeners = renewal->listeners;
    inbound->listener_count = renewal->count;
}

bool inbound_reconfigure(struct inbound *inbound, struct config *config,
                         struct listening *take_where, char *why, size_t why_size)
{
    struct renewal renewal = {
        .listeners = must_calloc(config->listen_count, sizeof(struct listener *)),
        .tls = must_calloc(config->listen_count, sizeof(struct server_tls *)),
    };
    bool fine = inbound->draining || renew(inbound, config, take_where, &renewal, why, why_size);
    if (fine && !inbound->draining) {
        take_over(inbound, config, &renewal);
    } else {
        free_others(renewal.listeners, renewal.count, inbound->listeners, inbound->listener_count);
        for (unsigned i = 0; i < renewal.count; i++)
            server_tls_drop(&renewal.tls[i]);
        free(renewal.listeners);
    }
    free(renewal.tls);
    return fine;
}
