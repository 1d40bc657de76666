/* Who the client turns out to be: passwords checked on their own thread, failed attempts counted
 * and answered late, and clients that a proxy names by XCLIENT counted in its place. */
#include "relay/inbound/connection_inside.h"
#include "relay/inbound/failures.h"

/* Counts what the session has said since `before`, and does what it asks now. */
static void act_on(struct inbound_connection *connection, size_t before, enum inbound_ask then)
{
    metric_replies(span_skip(buffer_span(&connection->channel.out), before));
    inbound_act(connection, then);
}

static size_t said_so_far(const struct inbound_connection *connection)
{
    return buffer_length(&connection->channel.out);
}

/* ---- passwords ---- */

static void answer_check(struct inbound_connection *connection, enum check_result result)
{
    size_t before = said_so_far(connection);
    act_on(connection, before, inbound_checked(&connection->session, result));
}

static enum check_result check_result_of(enum password_result result)
{
    switch (result) {
    case PASSWORD_FITS: return CHECK_FITS;
    case PASSWORD_WRONG: return CHECK_WRONG;
    case PASSWORD_UNCHECKED: return CHECK_BUSY;
    }
    must_not_reach();
}

static void came_back(struct mail *mail, void *taker)
{
    struct password_check *check = container_of(mail, struct password_check, mail);
    struct inbound_connection *connection = container_of(check, struct inbound_connection, check);
    (void)taker;
    password_check_over(check);
    connection->phase = INBOUND_TALKING;
    if (connection->gone) { /* nobody is there to reply to */
        inbound_close(connection);
        return;
    }
    inbound_progress(connection);
    answer_check(connection, check_result_of(check->result));
    inbound_pump_on(connection);
}

void inbound_check(struct inbound_connection *connection)
{
    struct worker *worker = connection->worker;
    const struct sasl *sasl = connection->session.sasl;
    const char *name = sasl_name(sasl), *password = sasl_password(sasl);
    struct users *users = connection->config->users;
    if (users_recall(users, name, password, worker->now_ms)) {
        answer_check(connection, CHECK_FITS);
        return;
    }
    connection->check =
        (struct password_check){.mail.deliver = came_back, .reply_to = worker->mailbox};
    if (!passwords_check(worker->relay->passwords, &connection->check, users, name, password)) {
        log_note("auth-busy", "why", "%d passwords wait to be checked", PASSWORDS_WAITING_MAX);
        answer_check(connection, CHECK_BUSY);
        return;
    }
    connection->phase = INBOUND_WAITING;
    wheel_clear(&worker->wheel, &connection->idle);
}

/* ---- failed attempts ---- */

static void log_failed(const struct inbound_connection *connection, unsigned count)
{
    const struct inbound_session *session = &connection->session;
    char client[INBOUND_CLIENT_TEXT];
    struct log_line line;
    log_begin(&line, "auth-failed");
    log_string(&line, "client", inbound_client_format(session, client));
    log_string(&line, "user", sasl_name(session->sasl));
    log_string(&line, "mechanism", sasl_mechanism_name(sasl_mechanism_of(session->sasl)));
    log_string(&line, "tls", session->tls_version ? session->tls_version : "none");
    log_number(&line, "failures", count);
    log_end(&line);
}

bool inbound_is_barred(const struct inbound_connection *connection)
{
    const struct worker *worker = connection->worker;
    return connection->listen->auth != LISTEN_AUTH_OFF &&
           failures_count(worker->relay->failures, &connection->session.client.ip,
                          worker->now_ms) >= connection->config->limits.auth_failures;
}

void inbound_refuse(struct inbound_connection *connection)
{
    struct worker *worker = connection->worker;
    const struct limits *limits = &connection->config->limits;
    unsigned count =
        failures_add(worker->relay->failures, &connection->session.client.ip, worker->now_ms);
    metric_add(METRIC_AUTH_FAILED, 1);
    log_failed(connection, count);
    connection->phase = INBOUND_HELD_BACK;
    inbound_deadline(connection, failures_delay_ms(count, limits->auth_delay_ms));
}

void inbound_let_go(struct inbound_connection *connection)
{
    size_t before = said_so_far(connection);
    bool barred = inbound_is_barred(connection);
    connection->phase = INBOUND_TALKING;
    inbound_progress(connection);
    act_on(connection, before, inbound_refused(&connection->session, barred));
    inbound_pump_on(connection);
}

/* ---- XCLIENT ---- */

void inbound_move(struct inbound_connection *connection)
{
    struct inbound_clients *clients = connection->worker->relay->clients;
    const struct ip *client = &connection->session.client.ip;
    if (!ip_equal(&connection->counted_as, client)) {
        inbound_clients_leave(clients, &connection->counted_as);
        connection->counted_as = *client;
        connection->is_counted = inbound_clients_enter(
            clients, client, connection->config->limits.connections_per_client);
    }
    if (!connection->is_counted)
        metric_add(METRIC_THROTTLED_CLIENT, 1);
    size_t before = said_so_far(connection);
    act_on(connection, before, inbound_moved(&connection->session, connection->is_counted));
}
