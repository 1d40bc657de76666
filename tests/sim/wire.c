/* Wires: what is under way between the relay and an actor, and when it comes. */
#include "tests/sim/wire.h"

#include "base/map.h"

#include <stdlib.h>

/* One direction's bytes come in pieces, each after a while, in order. */
struct piece {
    struct list_node node;
    int64_t at_us;
    bool end;
    struct buffer bytes;
};

static struct map places;

static uint64_t place_hash(const void *item)
{
    const struct place *place = item;
    return ip_hash(&place->at.ip);
}

static bool place_same(const void *item, const void *key)
{
    const struct place *place = item;
    return endpoint_equal(&place->at, key);
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
void free_if_done(struct wire *wire)
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

void put(struct wire *wire, struct list *pieces, struct span bytes, bool end)
{
    int64_t last = sim_now_us();
    sim_trace(bytes);
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

struct wire *make_wire(struct actor *actor)
{
    struct wire *wire = must_calloc(1, sizeof(*wire));
    wire->arrival.act = pieces_arrive;
    list_init(&wire->to_relay);
    list_init(&wire->to_actor);
    wire->actor = actor;
    wire->socket = -1;
    return wire;
}

void wire_connected(struct wire *wire)
{
    wire->connecting = false;
    wire->arrival.act = pieces_arrive;
}

/* ---- actors ---- */

void sim_add_place(struct place *place)
{
    if (places.hash == NULL)
        map_init(&places, place_hash, place_same);
    map_add(&places, place);
}

struct place *find_place(const struct endpoint *at)
{
    return map_find(&places, ip_hash(&at->ip), at);
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
    wire->from = (struct endpoint){.port = free_port()};
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

bool sim_is_held(const struct actor *actor)
{
    return actor->wire != NULL && actor->wire->socket >= 0;
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
