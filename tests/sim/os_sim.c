/* relay/os.h over the simulated network. */
#include "relay/os.h"

#include "base/list.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SOCKET 100000 /* below: real descriptors, which nobody watches */
#define SOCKETS_MAX 65536
#define PLACES_MAX 4096
#define WINDOW (256u << 10) /* bytes under way to an actor, then the socket is full */

enum kind { FREE, LISTENER, STREAM };

struct os_loop {
    struct list pending; /* sockets with events */
    bool woken;
    int64_t next_us;
};

struct socket {
    struct list_node pending; /* in loop->pending */
    enum kind kind;
    struct os_loop *loop;
    struct watcher *watcher;
    unsigned what; /* events not told yet */
    struct endpoint local, peer;
    struct wire *wire;
    struct list backlog; /* of a listener: wires */
};

/* One direction's bytes come in pieces, each after a while, in order. */
struct piece {
    struct list_node node;
    int64_t at_us;
    bool end;
    struct buffer bytes;
};

struct wire {
    struct list_node waiting; /* in a listener's backlog */
    struct action arrival;
    struct list to_relay, to_actor; /* pieces */
    struct actor *actor;
    struct place *place;
    int socket; /* of the relay; -1: closed */
    struct endpoint from, to;
    struct buffer in; /* arrived at the relay, not read */
    size_t under_way; /* bytes to the actor */
    bool connecting, established, refused, reset;
    bool full;                     /* a write was short: the relay waits until it may go on */
    bool relay_ended, actor_ended; /* as the other side knows */
};

static struct socket sockets[SOCKETS_MAX];
static unsigned socket_count, open_sockets;
static struct place *places[PLACES_MAX];
static unsigned place_count;
static uint16_t next_port = 20000;
static bool exhausted;

/* ---- clock, chance, the machine ---- */

int64_t os_now(void)
{
    return sim_now_us() / 1000;
}

int64_t os_wall(void)
{
    return SIM_BEGAN_MS + sim_now_us() / 1000;
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

static struct socket *socket_of(int number)
{
    must(number >= FIRST_SOCKET && number < FIRST_SOCKET + (int)socket_count);
    return &sockets[number - FIRST_SOCKET];
}

static int number_of(const struct socket *socket)
{
    return FIRST_SOCKET + (int)(socket - sockets);
}

static int open_socket(enum kind kind)
{
    unsigned at = 0;
    if (exhausted)
        return -EMFILE;
    while (at < socket_count && sockets[at].kind != FREE)
        at++;
    must(at < SOCKETS_MAX);
    if (at == socket_count)
        socket_count++;
    sockets[at] = (struct socket){.kind = kind};
    list_init(&sockets[at].backlog);
    open_sockets++;
    return FIRST_SOCKET + (int)at;
}

unsigned sim_sockets(void)
{
    return open_sockets;
}

void sim_exhaust(bool on)
{
    exhausted = on;
}

static void tell(struct socket *socket, unsigned what)
{
    if (socket->loop == NULL)
        return;
    socket->what |= what;
    if (!list_linked(&socket->pending))
        list_append(&socket->loop->pending, &socket->pending);
}

/* ---- wires ---- */

static struct socket *relay_side(const struct wire *wire)
{
    return wire->socket >= 0 ? socket_of(wire->socket) : NULL;
}

static int64_t first_us(const struct list *pieces)
{
    struct list_node *node = list_first(pieces);
    return node ? container_of(node, struct piece, node)->at_us : INT64_MAX;
}

static void set_arrival(struct wire *wire)
{
    int64_t one = first_us(&wire->to_relay), other = first_us(&wire->to_actor);
    int64_t at = one < other ? one : other;
    if (at == INT64_MAX)
        sim_cancel(&wire->arrival);
    else
        sim_after(&wire->arrival, at > sim_now_us() ? at - sim_now_us() : 0);
}

static void drop_pieces(struct list *pieces)
{
    for (struct list_node *node; (node = list_pop(pieces)) != NULL;) {
        struct piece *piece = container_of(node, struct piece, node);
        buffer_free(&piece->bytes);
        free(piece);
    }
}

/* A wire that neither side holds any more. */
static void free_if_done(struct wire *wire)
{
    if (wire->socket >= 0 || wire->actor != NULL || wire->connecting)
        return;
    sim_cancel(&wire->arrival);
    list_remove(&wire->waiting);
    drop_pieces(&wire->to_relay);
    drop_pieces(&wire->to_actor);
    buffer_free(&wire->in);
    free(wire);
}

static void arrive_at_relay(struct wire *wire, struct piece *piece)
{
    struct socket *socket = relay_side(wire);
    buffer_append(&wire->in, buffer_span(&piece->bytes));
    if (piece->end)
        wire->actor_ended = true;
    if (socket == NULL)
        return;
    if (wire->actor_ended && socket->watcher != NULL)
        socket->watcher->ended = true;
    tell(socket, OS_READABLE);
}

static void arrive_at_actor(struct wire *wire, struct piece *piece)
{
    struct actor *actor = wire->actor;
    struct socket *socket = relay_side(wire);
    bool was_full = wire->full;
    wire->under_way -= buffer_length(&piece->bytes);
    wire->full = wire->under_way >= WINDOW;
    if (socket != NULL && was_full && !wire->full)
        tell(socket, OS_WRITABLE);
    if (piece->end)
        wire->relay_ended = true;
    if (actor == NULL)
        return;
    buffer_append(&actor->in, buffer_span(&piece->bytes));
    actor->heard(actor, wire->relay_ended);
}

static void pieces_arrive(struct action *action)
{
    struct wire *wire = container_of(action, struct wire, arrival);
    bool to_relay = first_us(&wire->to_relay) <= first_us(&wire->to_actor);
    struct list_node *node = list_pop(to_relay ? &wire->to_relay : &wire->to_actor);
    struct piece *piece = container_of(node, struct piece, node);
    set_arrival(wire); /* before: whoever hears may change it all */
    if (to_relay)
        arrive_at_relay(wire, piece);
    else
        arrive_at_actor(wire, piece);
    buffer_free(&piece->bytes);
    free(piece);
}

/* In pieces of a size and after a time that chance gives; order is kept. */
static void put(struct wire *wire, struct list *pieces, struct span bytes, bool end)
{
    int64_t last = sim_now_us();
    for (struct list_node *node = list_first(pieces); node; node = list_next(pieces, node))
        last = container_of(node, struct piece, node)->at_us;
    unsigned cuts = sim_chance(30) ? 1 + (unsigned)sim_below(8) : 1;
    if (sim_chance(5) && bytes.length < 200)
        cuts = (unsigned)bytes.length; /* byte by byte */
    last += (int64_t)(100 + sim_below(sim_chance(50) ? 200000 : 3000));
    do {
        struct piece *piece = must_calloc(1, sizeof(*piece));
        size_t length = cuts > 1 ? (bytes.length + cuts - 1) / cuts : bytes.length;
        if (length > bytes.length)
            length = bytes.length;
        if (length > 0)
            buffer_append(&piece->bytes, (struct span){bytes.data, length});
        bytes = length > 0 ? span_skip(bytes, length) : bytes;
        piece->at_us = last;
        piece->end = end && bytes.length == 0;
        list_append(pieces, &piece->node);
        last += (int64_t)sim_below(500);
    } while (bytes.length > 0);
    set_arrival(wire);
}

static struct wire *make_wire(struct actor *actor)
{
    struct wire *wire = must_calloc(1, sizeof(*wire));
    wire->arrival.act = pieces_arrive;
    list_init(&wire->to_relay);
    list_init(&wire->to_actor);
    wire->actor = actor;
    wire->socket = -1;
    return wire;
}

/* ---- actors ---- */

void sim_add_place(struct place *place)
{
    must(place_count < PLACES_MAX);
    places[place_count++] = place;
}

static struct place *find_place(const struct endpoint *at)
{
    for (unsigned i = 0; i < place_count; i++)
        if (endpoint_equal(&places[i]->at, at))
            return places[i];
    return NULL;
}

static struct socket *find_listener(const struct endpoint *at)
{
    unsigned count = 0, begin = (unsigned)sim_below(socket_count ? socket_count : 1);
    for (unsigned i = 0; i < socket_count; i++, count++) {
        struct socket *socket = &sockets[(begin + i) % socket_count];
        if (socket->kind == LISTENER && socket->local.port == at->port)
            return socket;
    }
    return NULL;
}

bool sim_connect(struct actor *actor, const struct endpoint *to)
{
    struct socket *listener = find_listener(to);
    if (listener == NULL)
        return false;
    struct wire *wire = make_wire(actor);
    actor->wire = wire;
    wire->established = true;
    wire->to = listener->local;
    wire->from = (struct endpoint){.port = next_port++};
    must(ip_parse(SPAN("127.0.0.1"), &wire->from.ip));
    list_append(&listener->backlog, &wire->waiting);
    tell(listener, OS_READABLE);
    return true;
}

void sim_send(struct actor *actor, struct span bytes)
{
    if (actor->wire != NULL && bytes.length > 0 && !actor->wire->reset)
        put(actor->wire, &actor->wire->to_relay, bytes, false);
}

static void let_go(struct actor *actor)
{
    struct wire *wire = actor->wire;
    actor->wire = NULL;
    wire->actor = NULL;
    free_if_done(wire);
}

void sim_end(struct actor *actor)
{
    if (actor->wire == NULL)
        return;
    put(actor->wire, &actor->wire->to_relay, (struct span){"", 0}, true);
    let_go(actor);
}

void sim_reset(struct actor *actor)
{
    struct wire *wire = actor->wire;
    if (wire == NULL)
        return;
    drop_pieces(&wire->to_relay);
    drop_pieces(&wire->to_actor);
    set_arrival(wire);
    wire->reset = true;
    struct socket *socket = relay_side(wire);
    if (socket != NULL && socket->watcher != NULL) {
        socket->watcher->ended = true;
        tell(socket, OS_READABLE | OS_WRITABLE);
    }
    let_go(actor);
}

size_t sim_unread(const struct actor *actor)
{
    size_t sum = 0;
    if (actor->wire == NULL)
        return 0;
    for (struct list_node *node = list_first(&actor->wire->to_relay); node;
         node = list_next(&actor->wire->to_relay, node))
        sum += buffer_length(&container_of(node, struct piece, node)->bytes);
    return sum + buffer_length(&actor->wire->in);
}

/* ---- listening ---- */

int os_listen(const struct endpoint *at)
{
    int number = open_socket(LISTENER);
    if (number < 0)
        return number;
    socket_of(number)->local = *at;
    if (at->port == 0)
        socket_of(number)->local.port = next_port++;
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
    int number = open_socket(STREAM);
    if (number < 0)
        return number;
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
    struct socket *socket = relay_side(wire);
    struct place *place = wire->place;
    wire->connecting = false;
    wire->arrival.act = pieces_arrive;
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
    int number = open_socket(STREAM);
    if (number < 0)
        return number;
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

ssize_t os_write(int number, const void *from, size_t length)
{
    struct wire *wire = socket_of(number)->wire;
    if (wire->reset)
        return -ECONNRESET;
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
            wire->place->open--;
        if (wire->established && wire->actor != NULL && !wire->reset)
            put(wire, &wire->to_actor, (struct span){"", 0}, true);
        wire->socket = -1;
        if (wire->connecting)
            sim_after(&wire->arrival, 0);
        else
            free_if_done(wire);
    }
    *socket = (struct socket){.kind = FREE};
    open_sockets--;
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
