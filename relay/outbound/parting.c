/* How a connection and its host part: what that says of the mail in hand, and of the host. */
#include "base/log.h"
#include "relay/outbound/connection_inside.h"

void connection_tell_alive(struct connection *connection)
{
    if (!connection->alive_told)
        dispatch_alive(dispatch_of(connection), &connection->slot);
    connection->alive_told = true;
    connection->turned_away = false;
}

/* Of no recipient it said more than "not now": an envelope that had more transactions than one may
 * have been taken in part. */
static bool all_deferred(const struct delivery *delivery)
{
    for (unsigned i = 0; i < delivery->envelope->count; i++)
        if (delivery->verdicts[i].kind != VERDICT_DEFERRED)
            return false;
    return true;
}

bool connection_was_stale(const struct connection *connection)
{
    const struct session *session = &connection->session;
    bool unanswered = session->closing && session->replies == connection->replies_before &&
                      !session_in_doubt(session);
    bool worn_out = session->mail_taken && session->mail_deferred;
    return connection->attempt != NULL && connection->served > 1 &&
           !connection->attempt->entry->returned && (unanswered || worn_out) &&
           all_deferred(&connection->attempt->delivery);
}

/* A new connection that took a session and closed it at the first mail. */
static bool went_away_early(const struct connection *connection)
{
    return connection->attempt != NULL && !connection->alive_told && !connection->one_shot &&
           connection->session.replies == connection->replies_before;
}

bool connection_answered(const struct connection *connection)
{
    return connection->attempt != NULL && connection->session.replies > connection->replies_before;
}

/* It answered about its first mail, and ended it all by 421 or against the rules. Another host
 * that has the mail already said better things of it. */
static bool was_turned_away(const struct connection *connection)
{
    return connection->session.turned_away && connection_answered(connection) &&
           !connection->alive_told && !connection->one_shot;
}

static void tell_fault(const struct connection *connection, const char *what)
{
    struct log_line line;
    log_begin(&line, "host-misbehaves");
    log_string(&line, "relay", connection->host_text);
    log_number(&line, "conn", (int64_t)connection->number);
    log_string(&line, "at", connection->session.ended_at);
    log_string(&line, "what", what);
    log_end(&line);
}

static void look_at_end(struct connection *connection)
{
    const struct session *session = &connection->session;
    if (session->fault != NULL)
        tell_fault(connection, session->fault);
    else if (was_turned_away(connection))
        tell_fault(connection, "the server said 421 before any mail was through");
    if (was_turned_away(connection))
        connection_turned_away(connection);
    else if (connection_answered(connection) && !session->turned_away)
        connection_tell_alive(connection);
}

void connection_over(struct connection *connection)
{
    look_at_end(connection);
    if (connection->given_back) { /* its site may be gone by now */
        connection_leave(connection);
        return;
    }
    if (!connection->session.ready) {
        connection_tell_tls(connection);
        connection_host_failed(connection);
        return;
    }
    if (!connection_was_stale(connection))
        connection_record_mail(connection);
    if (went_away_early(connection)) {
        connection_host_went_away(connection);
        return;
    }
    if (connection_was_stale(connection))
        attempt_return(&connection->attempt);
    else if (connection_moves_on(connection))
        return;
    connection_end_attempt(connection);
    connection_leave(connection);
}
