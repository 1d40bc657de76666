/* A connection and its login: where the secret comes from, and what is told when it is not taken.
 */
#include "relay/outbound/connection_inside.h"
#include "relay/secret.h"

static void secret_came(struct mail *mail, void *taker)
{
    struct login_request *request = container_of(mail, struct login_request, mail);
    struct connection *connection = container_of(request, struct connection, login);
    struct session *session = &connection->session;
    (void)taker;
    connection->phase = PHASE_TALKING;
    enum session_ask ask = request->secret ? session_give_secret(session, request->secret)
                                           : session_no_secret(session, request->why);
    secret_free(&request->secret);
    connection_act(connection, ask);
    connection_catch_up(connection);
}

void connection_ask_secret(struct connection *connection)
{
    connection->phase = PHASE_LOGGING_IN;
    connection->login = (struct login_request){.mail.deliver = secret_came,
                                               .reply_to = connection->worker->mailbox,
                                               .login = connection->session.login.config->login,
                                               .want = session_wants(&connection->session)};
    logins_post(connection->worker->relay->logins, &connection->login);
}

void connection_tell_login(struct connection *connection)
{
    const struct session *session = &connection->session;
    const struct verdict *failure = &connection->failure;
    char tried[AUTH_TEXT_MAX];
    struct log_line line;
    log_begin(&line, "login-failed");
    log_string(&line, "relay", connection->host_text);
    log_number(&line, "conn", (int64_t)connection->number);
    log_string(&line, "login", session->login.config->name);
    log_string(&line, "user", session->login.config->user);
    if (session->login.tried != 0)
        log_string(&line, "mechanisms", auth_set_format(session->login.tried, tried));
    if (failure->code != 0)
        log_number(&line, "code", failure->code);
    log_text(&line, "why", failure->text);
    log_end(&line);
    metric_add(METRIC_LOGINS_FAILED, 1);
    connection_record(connection, "login-failed", failure);
}
