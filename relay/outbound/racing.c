/* The race to a host, carried out: sockets that connect beside each other, until one has and
 * becomes the connection's channel. */
#include "relay/outbound/connection_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define WHY_MAX 128

static const struct ip *address_of(const struct connection *connection, unsigned address)
{
    return &host_of(connection)->addresses[address];
}

void connection_describe(const struct connection *connection, unsigned address,
                         char text[HOST_TEXT_MAX])
{
    const struct site_host *host = host_of(connection);
    char ip[IP_TEXT_MAX];
    const char *name = host->name[0] == '[' ? "" : host->name;
    snprintf(text, HOST_TEXT_MAX, "%s[%s]:%u", name, ip_format(address_of(connection, address), ip),
             host->port);
}

/* ---- lanes ---- */

static struct lane *find_lane(struct connection *connection)
{
    for (unsigned i = 0; i < RACE_LANES; i++)
        if (connection->lanes[i].socket < 0)
            return &connection->lanes[i];
    must_not_reach();
}

static void close_lane(struct lane *lane)
{
    struct connection *connection = lane->connection;
    if (lane->socket >= 0)
        os_close(lane->socket);
    lane->socket = -1;
    if (lane->peer != NULL)
        dispatch_part(dispatch_of(connection), &connection->slot, &lane->peer);
}

void connection_race_stop(struct connection *connection)
{
    for (unsigned i = 0; i < RACE_LANES; i++)
        close_lane(&connection->lanes[i]);
}

/* ---- how an attempt ends ---- */

/* The machine itself has no way there: so it is for all addresses of that family. */
static bool is_without_family(int error)
{
    return error == -ENETUNREACH || error == -EAFNOSUPPORT || error == -EADDRNOTAVAIL;
}

static void attempt_failed(struct connection *connection, unsigned address, const char *why,
                           bool tells)
{
    char host[HOST_TEXT_MAX];
    connection_describe(connection, address, host);
    connection->plain = false;
    race_failed(&connection->race, address);
    connection_cannot_connect(connection, host, why, tells);
}

/* `from`: NULL when the machine chose. */
static void connect_failed(struct connection *connection, unsigned address, int error,
                           const struct ip *from)
{
    struct worker *worker = connection->worker;
    char why[WHY_MAX], ip[IP_TEXT_MAX];
    bool no_way = from == NULL && is_without_family(error);
    if (no_way)
        family_failed(&worker->families, address_of(connection, address)->family, worker->now_ms);
    snprintf(why, sizeof(why), "cannot connect%s%s: %s", from ? " from " : "",
             from ? ip_format(from, ip) : "", strerror(-error));
    attempt_failed(connection, address, why, !no_way);
}

/* The others are closed; this one's socket becomes the channel. */
static void win(struct connection *connection, struct lane *lane)
{
    int socket = lane->socket;
    lane->socket = -1;
    connection->peer = connection->slot.peer = lane->peer;
    lane->peer = NULL;
    connection->crowded = false;
    connection_race_stop(connection);
    race_won(&connection->race, lane->address);
    family_worked(&connection->worker->families, address_of(connection, lane->address)->family);
    connection->address_at = lane->address;
    connection->source = lane->source;
    connection->bound = lane->bound;
    channel_open(&connection->channel, socket);
    connection->channel.watcher.ready = connection_ready;
    os_rewatch(connection->worker->loop, socket, &connection->channel.watcher);
    connection_begin_session(connection);
}

static void lane_ready(struct watcher *watcher, unsigned what)
{
    struct lane *lane = container_of(watcher, struct lane, watcher);
    struct connection *connection = lane->connection;
    (void)what;
    if (lane->socket < 0)
        return; /* closed earlier in this turn */
    int error = os_connect_result(lane->socket);
    if (error == -EINPROGRESS)
        return;
    if (error == 0) {
        win(connection, lane);
        return;
    }
    close_lane(lane);
    connect_failed(connection, lane->address, error, lane->bound ? &lane->source : NULL);
    connection_try_on(connection);
}

/* ---- beginning one ---- */

static void start_lane(struct lane *lane, const struct endpoint *to)
{
    struct connection *connection = lane->connection;
    struct worker *worker = connection->worker;
    lane->bound = site_source(site_of(connection), to->ip.family, &lane->source);
    struct endpoint from = {.ip = lane->source};
    int error = lane->socket = os_connect(to, lane->bound ? &from : NULL);
    if (lane->socket >= 0) {
        lane->watcher.ready = lane_ready;
        lane->ends_ms = worker->now_ms + RACE_TIMEOUT_MS;
        error = os_watch(worker->loop, lane->socket, &lane->watcher);
    }
    if (error < 0) {
        close_lane(lane);
        connect_failed(connection, lane->address, error, lane->bound ? &lane->source : NULL);
    }
}

/* One where as many connections go as may is passed over. */
static void start_attempt(struct connection *connection, unsigned address)
{
    struct lane *lane = find_lane(connection);
    struct endpoint to = {*address_of(connection, address), host_of(connection)->port};
    lane->address = address;
    lane->peer = dispatch_reach(dispatch_of(connection), &connection->slot, &to);
    if (lane->peer == NULL) {
        connection->crowded = connection->may_recover = true;
        connection->plain = false; /* of that address only */
        race_failed(&connection->race, address);
        return;
    }
    connection->tries++;
    start_lane(lane, &to);
}

static void set_race_deadline(struct connection *connection)
{
    int64_t at_ms = race_next_ms(&connection->race);
    for (unsigned i = 0; i < RACE_LANES; i++)
        if (connection->lanes[i].socket >= 0 && connection->lanes[i].ends_ms < at_ms)
            at_ms = connection->lanes[i].ends_ms;
    connection_set_deadline(connection, at_ms - connection->worker->now_ms);
}

void connection_race_begin(struct connection *connection)
{
    struct worker *worker = connection->worker;
    const struct site_host *host = host_of(connection);
    for (unsigned i = 0; i < RACE_LANES; i++)
        connection->lanes[i] = (struct lane){.connection = connection, .socket = -1};
    race_begin(&connection->race, host->addresses, host->count, &worker->families, worker->now_ms,
               &worker->random);
}

bool connection_race_on(struct connection *connection)
{
    unsigned address;
    connection->phase = PHASE_CONNECTING;
    while (connection->tries < TRIES_MAX &&
           race_next(&connection->race, connection->worker->now_ms, &address))
        start_attempt(connection, address);
    if (connection->race.under_way == 0)
        return false;
    set_race_deadline(connection);
    return true;
}

void connection_race_repeat(struct connection *connection)
{
    race_repeat(&connection->race, connection->address_at);
    start_attempt(connection, connection->address_at);
}

void connection_race_late(struct connection *connection)
{
    for (unsigned i = 0; i < RACE_LANES; i++) {
        struct lane *lane = &connection->lanes[i];
        if (lane->socket < 0 || lane->ends_ms > connection->worker->now_ms)
            continue;
        close_lane(lane);
        attempt_failed(connection, lane->address, "timed out connecting", true);
    }
    connection_try_on(connection);
}
