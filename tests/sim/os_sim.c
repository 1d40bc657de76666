/* relay/os.h over the simulated network. */
#include "tests/sim/ledger.h"
#include "tests/sim/oracles.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"
#include "tests/sim/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SOCKET 100000 /* below: real descriptors, which nobody watches */
#define SOCKETS_MAX 65536

static struct socket sockets[SOCKETS_MAX];
static unsigned socket_count, open_sockets;

/* ---- clock, chance, the machine ---- */

int64_t os_now(void)
{
    return sim_now_us() / 1000;
}

int64_t os_wall(void)
{
    return sim_wall_ms();
}

int64_t os_now_us(void)
{
    return sim_now_us();
}

void os_random(void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)sim_below(256);
}

unsigned os_cores(void)
{
    return 2;
}

unsigned os_own_addresses(struct ip *addresses, unsigned most)
{
    (void)addresses, (void)most;
    return 0;
}

bool os_peer_uid(int socket, unsigned *uid)
{
    (void)socket, (void)uid;
    return false;
}

void os_user_name(unsigned uid, char name[OS_USER_MAX])
{
    (void)uid;
    name[0] = '\0';
}

/* ---- sockets ---- */

struct socket *socket_of(int number)
{
    must(number >= FIRST_SOCKET && number < FIRST_SOCKET + (int)socket_count);
    return &sockets[number - FIRST_SOCKET];
}

static int number_of(const struct socket *socket)
{
    return FIRST_SOCKET + (int)(socket - sockets);
}

/* The process has no descriptor left, or another process has taken the last one. */
static bool lacks_descriptor(void)
{
    static bool told;
    bool lacks = open_sockets >= scenario.descriptors;
    if (servers_healed() || (!lacks && !sim_chance(scenario.no_descriptor))) {
        told = false;
        return false;
    }
    if (!told || !lacks)
        sim_count(FAULT_NO_DESCRIPTOR);
    told = lacks;
    oracles_excuse();
    return true;
}

static int open_socket(enum kind kind)
{
    unsigned at = 0;
    while (at < socket_count && sockets[at].kind != FREE)
        at++;
    must(at < SOCKETS_MAX);
    if (at == socket_count)
        socket_count++;
    open_sockets++;
    sockets[at] = (struct socket){.kind = kind};
    list_init(&sockets[at].backlog);
    return FIRST_SOCKET + (int)at;
}

void tell(struct socket *socket, unsigned what)
{
    if (socket->loop == NULL)
        return;
    socket->what |= what;
    if (!list_linked(&socket->pending))
        list_append(&socket->loop->pending, &socket->pending);
}

uint16_t free_port(void)
{
    static uint16_t next = 20000;
    return next++;
}

/* ---- listening ---- */

struct socket *find_listener(const struct endpoint *at)
{
    unsigned count = 0, begin = (unsigned)sim_below(socket_count ? socket_count : 1);
    for (unsigned i = 0; i < socket_count; i++, count++) {
        struct socket *socket = &sockets[(begin + i) % socket_count];
        if (socket->kind == LISTENER && socket->local.port == at->port)
            return socket;
    }
    return NULL;
}

int os_listen(const struct endpoint *at)
{
    int number = open_socket(LISTENER);
    socket_of(number)->local = *at;
    if (at->port == 0)
        socket_of(number)->local.port = free_port();
    return number;
}

int os_listen_alone(const struct endpoint *at)
{
    return os_listen(at);
}

void os_adopt(int listener)
{
    (void)listener;
}

int os_share(int listener)
{
    (void)listener;
    must_not_reach();
}

int os_listen_check(const struct endpoint *at)
{
    (void)at;
    return 0;
}

int os_accept(int listener, struct endpoint *peer)
{
    struct socket *from = socket_of(listener);
    if (list_empty(&from->backlog))
        return -EAGAIN;
    if (lacks_descriptor())
        return -EMFILE;
    int number = open_socket(STREAM);
    struct wire *wire = container_of(list_pop(&from->backlog), struct wire, waiting);
    struct socket *socket = socket_of(number);
    wire->socket = number;
    socket->wire = wire;
    socket->local = wire->to;
    socket->peer = *peer = wire->from;
    return number;
}

/* ---- connecting ---- */

static void answered(struct action *action)
{
    struct wire *wire = container_of(action, struct wire, arrival);
    struct socket *socket = wire->socket >= 0 ? socket_of(wire->socket) : NULL;
    struct place *place = wire->place;
    wire_connected(wire);
    if (socket == NULL) {
        free_if_done(wire);
        return;
    }
    struct actor *actor = place != NULL ? place->met(place) : NULL;
    wire->established = actor != NULL;
    wire->refused = actor == NULL;
    wire->actor = actor;
    tell(socket, OS_WRITABLE | (actor ? 0 : OS_READABLE));
    if (actor != NULL) {
        actor->wire = wire;
        actor->heard(actor, false); /* the greeting is its to say */
    }
}

int os_connect(const struct endpoint *to, const struct endpoint *from)
{
    (void)from;
    if (lacks_descriptor())
        return -EMFILE;
    int number = open_socket(STREAM);
    struct socket *socket = socket_of(number);
    struct wire *wire = socket->wire = make_wire(NULL);
    wire->socket = number;
    wire->place = find_place(to);
    wire->connecting = true;
    socket->peer = *to;
    if (wire->place != NULL)
        wire->place->open++;
    wire->arrival.act = answered;
    if (wire->place == NULL || !wire->place->silent)
        sim_after(&wire->arrival, (int64_t)(200 + sim_below(40000)));
    return number;
}

int os_connect_result(int number)
{
    const struct wire *wire = socket_of(number)->wire;
    if (wire->established)
        return wire->reset ? -ECONNRESET : 0;
    return wire->refused ? -ECONNREFUSED : -EINPROGRESS;
}

void os_local(int number, struct endpoint *endpoint)
{
    *endpoint = socket_of(number)->local;
}

/* ---- bytes ---- */

ssize_t os_read(int number, void *to, size_t length)
{
    struct wire *wire = socket_of(number)->wire;
    size_t have = buffer_length(&wire->in);
    if (wire->reset)
        return -ECONNRESET;
    if (have == 0)
        return wire->actor_ended ? 0 : -EAGAIN;
    size_t count = have < length ? have : length;
    memcpy(to, buffer_span(&wire->in).data, count);
    buffer_consume(&wire->in, count);
    return (ssize_t)count;
}

/* QUIT, in clear: the relay's site counts it no more, whether there is room for it or not. */
static void note_parting(struct wire *wire, struct span bytes)
{
    struct span quit = SPAN("QUIT\r\n");
    if (wire->place == NULL || wire->parting || bytes.length < quit.length ||
        !span_equal(span_skip(bytes, bytes.length - quit.length), quit))
        return;
    wire->parting = true;
    wire->place->parting++;
}

ssize_t os_write(int number, const void *from, size_t length)
{
    struct wire *wire = socket_of(number)->wire;
    if (wire->reset)
        return -ECONNRESET;
    note_parting(wire, (struct span){from, length});
    if (!wire->established)
        return -EAGAIN;
    if (wire->full)
        return -EAGAIN;
    size_t room = WINDOW - wire->under_way, count = length < room ? length : room;
    if (count > 1 && sim_chance(20))
        count = 1 + sim_below(count);
    wire->full = count < length;
    wire->under_way += count;
    put(wire, &wire->to_actor, (struct span){from, count}, false);
    return (ssize_t)count;
}

int os_unacknowledged(int number)
{
    return (int)socket_of(number)->wire->under_way;
}

void os_end(int number)
{
    struct wire *wire = socket_of(number)->wire;
    if (wire->established && !wire->reset)
        put(wire, &wire->to_actor, (struct span){"", 0}, true);
}

/* A listener's clients are reset; an actor hears the end after what was sent. */
void os_close(int number)
{
    if (number < FIRST_SOCKET) {
        close(number);
        return;
    }
    struct socket *socket = socket_of(number);
    struct wire *wire = socket->wire;
    list_remove(&socket->pending);
    for (struct list_node *node; (node = list_pop(&socket->backlog)) != NULL;) {
        struct wire *waiting = container_of(node, struct wire, waiting);
        struct actor *actor = waiting->actor;
        actor->wire = NULL;
        waiting->actor = NULL;
        free_if_done(waiting);
        actor->heard(actor, true);
    }
    if (wire != NULL) {
        if (wire->place != NULL)
            wire->place->open--, wire->place->parting -= wire->parting;
        if (wire->established && wire->actor != NULL && !wire->reset)
            put(wire, &wire->to_actor, (struct span){"", 0}, true);
        wire->socket = -1;
        if (wire->connecting)
            sim_after(&wire->arrival, 0);
        else
            free_if_done(wire);
    }
    open_sockets--;
    *socket = (struct socket){.kind = FREE};
}

/* ---- the event loop ---- */

struct os_loop *os_loop_create(void)
{
    struct os_loop *loop = must_calloc(1, sizeof(*loop));
    list_init(&loop->pending);
    return loop;
}

void os_loop_destroy(struct os_loop **loop)
{
    free(*loop);
    *loop = NULL;
}

/* As epoll: what is so already is told at once. */
int os_watch(struct os_loop *loop, int number, struct watcher *watcher)
{
    if (number < FIRST_SOCKET)
        return 0;
    struct socket *socket = socket_of(number);
    list_remove(&socket->pending);
    socket->loop = loop;
    socket->watcher = watcher;
    watcher->ended = false;
    struct wire *wire = socket->wire;
    if (wire == NULL || wire->connecting) {
        if (!list_empty(&socket->backlog))
            tell(socket, OS_READABLE);
        return 0;
    }
    watcher->ended = wire->actor_ended || wire->reset || wire->refused;
    bool readable = buffer_length(&wire->in) > 0 || watcher->ended;
    tell(socket, OS_WRITABLE | (readable ? OS_READABLE : 0));
    return 0;
}

void os_rewatch(struct os_loop *loop, int number, struct watcher *watcher)
{
    must(os_watch(loop, number, watcher) == 0);
}

int os_wait(struct os_loop *loop, struct os_event events[OS_EVENTS_MAX], int wait_ms)
{
    int count = 0;
    while (count < OS_EVENTS_MAX && !list_empty(&loop->pending)) {
        struct socket *socket = container_of(list_pop(&loop->pending), struct socket, pending);
        must(number_of(socket) >= FIRST_SOCKET && socket->watcher != NULL);
        events[count++] = (struct os_event){socket->watcher, socket->what};
        socket->what = 0;
    }
    loop->woken = false;
    loop->next_us = wait_ms < 0 ? INT64_MAX : sim_now_us() + (int64_t)wait_ms * 1000;
    return count;
}

void os_wake(struct os_loop *loop)
{
    loop->woken = true;
}

bool sim_loop_is_due(const struct os_loop *loop)
{
    return loop->woken || !list_empty(&loop->pending) || loop->next_us <= sim_now_us();
}

int64_t sim_loop_next_us(const struct os_loop *loop)
{
    return loop->next_us;
}
