/* The unix socket over which the users of this machine hand in: who they are, the kernel says. */
#include "relay/inbound/connection.h"
#include "relay/unix_socket.h"
#include "relay/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACCEPT_AGAIN_MS 100 /* after the process ran out of descriptors */

struct local_listener {
    struct watcher watcher;
    struct timer again;
    struct inbound *inbound;
    struct unix_listener socket;
};

/* All connections of a user count together. */
static struct ip counted_as(unsigned uid)
{
    /* ::/8 is no client's (RFC 4291 2.4), and an IPv6 client is counted by its first 8 bytes */
    struct ip ip = {.family = 6};
    for (int i = 0; i < 4; i++)
        ip.bytes[4 + i] = (uint8_t)(uid >> (24 - 8 * i));
    return ip;
}

static void arrived(struct local_listener *listener, int socket)
{
    struct local_user user = {0};
    char name[OS_USER_MAX];
    if (!os_peer_uid(socket, &user.uid)) {
        os_close(socket);
        return;
    }
    os_user_name(user.uid, name);
    if (config_is_user(span_of(name)))
        snprintf(user.name, sizeof(user.name), "%s", name);
    /* neither TLS nor AUTH: the kernel vouches */
    static const struct listen_config plain = {.add_headers = true};
    const struct arrival arrival = {.local = &user,
                                    .counted_as = counted_as(user.uid),
                                    .config = listener->inbound->worker->config,
                                    .listen = &plain};
    inbound_arrived(listener->inbound, socket, &arrival);
}

static void accept_all(struct local_listener *listener)
{
    struct worker *worker = listener->inbound->worker;
    int socket;
    while ((socket = os_accept(listener->socket.socket, NULL)) >= 0)
        arrived(listener, socket);
    if (socket != -EAGAIN) { /* EMFILE and its kin: the client waits in the backlog */
        log_note("accept-failed", "why", "%s", strerror(-socket));
        wheel_set(&worker->wheel, &listener->again, worker->now_ms + ACCEPT_AGAIN_MS);
    }
}

static void listener_ready(struct watcher *watcher, unsigned what)
{
    (void)what;
    accept_all(container_of(watcher, struct local_listener, watcher));
}

static void accept_again(struct timer *timer)
{
    accept_all(container_of(timer, struct local_listener, again));
}

struct local_listener *local_listener_create(struct inbound *inbound, const char *path, char *why,
                                             size_t why_size)
{
    struct local_listener *listener = must_calloc(1, sizeof(*listener));
    const struct unix_place place = {"submit", path, 0666};
    listener->inbound = inbound;
    listener->watcher.ready = listener_ready;
    listener->again.fire = accept_again;
    if (!unix_listen(&place, &listener->socket, why, why_size)) {
        free(listener);
        return NULL;
    }
    int error = os_watch(inbound->worker->loop, listener->socket.socket, &listener->watcher);
    if (error == 0)
        return listener;
    snprintf(why, why_size, "submit socket %s: %s", path, strerror(-error));
    local_listener_destroy(&listener);
    return NULL;
}

void local_listener_destroy(struct local_listener **listener)
{
    struct local_listener *self = *listener;
    *listener = NULL;
    if (self == NULL)
        return;
    wheel_clear(&self->inbound->worker->wheel, &self->again);
    unix_close(&self->socket);
    free(self);
}
