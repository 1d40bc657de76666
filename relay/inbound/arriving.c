/* How a connection begins: the PROXY header where one must come, the count of its client, the TLS
 * handshake, the greeting. And the handshake after STARTTLS, which is the same. */
#include "relay/inbound/connection_inside.h"
#include "relay/smtp/proxy.h"

#include <string.h>

#define HANDSHAKE_MS 60000 /* from its beginning to its end, whatever drips in */

/* ---- TLS ---- */

static bool is_implicit(const struct inbound_connection *connection)
{
    return connection->listen->tls == LISTEN_TLS_IMPLICIT;
}

static void log_refused(const struct inbound_connection *connection, const char *event,
                        const char *why)
{
    char client[INBOUND_CLIENT_TEXT];
    struct log_line line;
    log_begin(&line, event);
    log_string(&line, "client", inbound_client_format(&connection->session, client));
    log_string(&line, "why", why);
    log_end(&line);
}

static void greet(struct inbound_connection *connection)
{
    inbound_greet(&connection->session);
    connection->phase = INBOUND_TALKING;
    inbound_progress(connection);
    inbound_pump(connection);
}

static void handshaken(struct inbound_connection *connection)
{
    struct tls_facts facts;
    tls_facts(connection->channel.tls, &facts);
    metric_handshake(true, facts.resumed, facts.version);
    inbound_secured(&connection->session, facts.version);
    if (connection->session.greeted) {
        connection->phase = INBOUND_TALKING;
        inbound_progress(connection);
        inbound_pump(connection);
    } else {
        greet(connection);
    }
}

void inbound_handshake(struct inbound_connection *connection)
{
    switch (channel_handshake(&connection->channel)) {
    case TLS_MORE: return;
    case TLS_DONE: handshaken(connection); return;
    case TLS_CLOSED:
    case TLS_FAILED:
        metric_add(METRIC_INBOUND_HANDSHAKES_FAILED, 1);
        log_refused(connection, "tls-failed", channel_why(&connection->channel));
        inbound_close(connection);
        return;
    }
}

void inbound_start_tls(struct inbound_connection *connection)
{
    struct channel *channel = &connection->channel;
    if (buffer_length(&channel->in) > 0) { /* injected, or a client that does not wait */
        log_refused(connection, "starttls-residue", "more came behind STARTTLS");
        inbound_close(connection);
        return;
    }
    struct tls *tls = tls_accept(connection->tls->server);
    inbound_answer_tls(&connection->session, tls != NULL);
    if (tls == NULL) {
        log_refused(connection, "tls-failed", "OpenSSL has no memory for a handshake");
        return;
    }
    connection->phase = INBOUND_HANDSHAKING;
    inbound_deadline(connection, HANDSHAKE_MS);
    if (channel_flush(channel) == CHANNEL_FAILED || !channel_flushed(channel)) {
        tls_free(&tls);
        inbound_close(connection); /* a client that does not even read the 220 */
        return;
    }
    channel->speaks_next = true; /* inbound_pump() flushes */
    channel_start_tls(channel, tls);
    inbound_handshake(connection);
}

/* Before the greeting: a client that is refused here cannot be told why. */
static void start_implicit_tls(struct inbound_connection *connection)
{
    struct tls *tls = tls_accept(connection->tls->server);
    if (tls == NULL) {
        log_refused(connection, "tls-failed", "OpenSSL has no memory for a handshake");
        inbound_close(connection);
        return;
    }
    connection->phase = INBOUND_HANDSHAKING;
    inbound_deadline(connection, HANDSHAKE_MS);
    channel_begin_tls(&connection->channel, tls);
    inbound_handshake(connection);
}

/* ---- PROXY ---- */

void inbound_proxy_late(struct inbound_connection *connection)
{
    log_refused(connection, "proxy-refused", "no PROXY header came in time");
}

/* Those behind a proxy are counted one by one, as if it were not there. */
static bool count(struct inbound_connection *connection)
{
    static const struct span too_many = SPAN(INBOUND_TOO_MANY "\r\n");
    struct inbound_clients *clients = connection->worker->relay->clients;
    connection->counted_as = connection->session.client.ip;
    connection->is_counted = inbound_clients_enter(
        clients, &connection->counted_as, connection->config->limits.connections_per_client);
    if (connection->is_counted)
        return true;
    metric_add(METRIC_THROTTLED_CLIENT, 1);
    metric_replies(too_many);
    if (!is_implicit(connection))
        buffer_append(&connection->channel.out, too_many);
    inbound_close_politely(connection);
    return false;
}

/* True when the header is there, and its client may come in. */
static bool take_header(struct inbound_connection *connection)
{
    struct channel *channel = &connection->channel;
    struct proxy_header header;
    size_t used;
    enum channel_result result = channel_fill(channel);
    enum proxy_result read = proxy_read(buffer_span(&channel->in), &header, &used);
    if (read == PROXY_MALFORMED)
        log_refused(connection, "proxy-refused", header.why);
    if (result == CHANNEL_FAILED || read == PROXY_MALFORMED ||
        (result == CHANNEL_ENDED && read == PROXY_PARTIAL)) {
        inbound_close(connection);
        return false;
    }
    if (read == PROXY_PARTIAL)
        return false;
    buffer_consume(&channel->in, used);
    if (header.has_client)
        inbound_session_client(&connection->session, &header.client);
    return count(connection);
}

void inbound_arrive(struct inbound_connection *connection)
{
    if (connection->phase == INBOUND_PROXIED && !take_header(connection))
        return;
    if (is_implicit(connection))
        start_implicit_tls(connection);
    else
        greet(connection);
}
