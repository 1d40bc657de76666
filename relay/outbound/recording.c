/* What a connection keeps of its session, and gives to the flight recorder when that failed. */
#include "relay/outbound/connection_inside.h"

#include <string.h>

void connection_note(struct connection *connection, enum transcript_by by, struct span bytes)
{
    transcript_add(&connection->transcript, by, connection->worker->now_ms, bytes);
}

void connection_note_said(struct connection *connection)
{
    struct span out = buffer_span(&connection->channel.out);
    must(connection->out_noted <= out.length);
    connection_note(connection, TRANSCRIPT_RELAY, span_skip(out, connection->out_noted));
    connection->out_noted = out.length;
}

enum channel_result connection_flush(struct connection *connection)
{
    enum channel_result result = channel_flush(&connection->channel);
    connection->out_noted = buffer_length(&connection->channel.out);
    return result;
}

/* For the mail in hand, or for all that waits for the site. */
static void record(struct connection *connection, const struct failed_session *failed)
{
    const struct attempt *attempt = connection->attempt;
    dispatch_record(dispatch_of(connection), site_of(connection),
                    attempt != NULL ? attempt->envelope->destination : NULL,
                    failed_session_create(failed));
}

void connection_record(struct connection *connection, const char *what,
                       const struct verdict *verdict)
{
    const struct session *session = &connection->session;
    bool in_tls = strcmp(what, "tls-failed") == 0;
    int64_t wall_ms = connection->worker->wall_ms;
    int64_t took_ms = connection->worker->now_ms - connection->transcript.began_ms;
    record(connection, &(struct failed_session){
                           .what = what,
                           .outcome = in_tls ? tls_outcome_name(session->outcome) : "",
                           .level = tls_level_name(host_of(connection)->tls.level),
                           .tls = connection->tls_text,
                           .connection = connection->number,
                           .began_ms = wall_ms - took_ms,
                           .ends_ms = wall_ms,
                           .verdict = *verdict,
                           .notes = buffer_span(&connection->transcript.notes),
                       });
}

void connection_record_unreached(struct connection *connection, const struct verdict *verdict)
{
    bool refused = verdict->stage == STAGE_STARTTLS; /* by our own policy */
    record(connection, &(struct failed_session){
                           .what = refused ? "tls-failed" : "connect-failed",
                           .outcome = refused ? "policy" : "",
                           .level = "",
                           .tls = "",
                           .connection = connection->number,
                           .began_ms = connection->worker->wall_ms,
                           .ends_ms = connection->worker->wall_ms,
                           .verdict = *verdict,
                       });
}

/* Of this host, and not delivered. */
static bool is_failure(const struct connection *connection, const struct verdict *verdict)
{
    bool failed = verdict->kind == VERDICT_DEFERRED || verdict->kind == VERDICT_BOUNCED ||
                  verdict->kind == VERDICT_IN_DOUBT;
    return failed && !verdict->untried && span_equal(verdict->host, span_of(connection->host_text));
}

void connection_record_mail(struct connection *connection)
{
    const struct attempt *attempt = connection->attempt;
    if (attempt == NULL)
        return;
    for (unsigned i = 0; i < attempt->envelope->count; i++) {
        const struct verdict *verdict = &attempt->delivery.verdicts[i];
        if (!is_failure(connection, verdict))
            continue;
        connection_record(connection, verdict_name(verdict->kind), verdict);
        return; /* the transcript has the others too */
    }
}
