/* The message a client hands in: its body as it comes in, and what is committed of it. */
#include "base/crc32c.h"
#include "relay/inbound/connection_inside.h"
#include "relay/smtp/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPILL_BYTES (256u << 10) /* of a large body, gathered before they are written */

void inbound_forget_body(struct inbound_connection *connection)
{
    if (connection->own_file != NULL)
        own_file_unlink(&connection->own_file);
    metric_add(METRIC_BODY_MEMORY, -connection->counted);
    connection->counted = 0;
    connection->spilled_id = 0;
    connection->spilled = 0;
    connection->crc = 0;
    connection->spill_failed = false;
}

/* ---- large bodies ---- */

static bool memory_is_short(const struct inbound_connection *connection)
{
    uint64_t held = (uint64_t)metric_read(METRIC_BODY_MEMORY) + message_memory();
    return held > connection->config->limits.memory;
}

static void spill(struct inbound_connection *connection)
{
    struct inbound_session *session = &connection->session;
    struct span bytes = buffer_span(&session->body);
    struct segments *segments = spool_segments(connection->worker->relay->spool);
    int error = 0;
    connection->spilled_id = session->id;
    if (connection->own_file == NULL)
        error = own_file_create(segments, session->id, &connection->own_file);
    if (error == 0)
        error = own_file_write(connection->own_file, bytes);
    if (error != 0 && !connection->spill_failed)
        log_note("spool-write-failed", "why", "%s", strerror(error));
    connection->spill_failed |= error != 0;
    connection->crc = crc32c(connection->crc, bytes.data, bytes.length);
    connection->spilled += bytes.length;
    buffer_clear(&session->body);
}

void inbound_tend_body(struct inbound_connection *connection)
{
    struct inbound_session *session = &connection->session;
    /* A message that was refused leaves its file, and the next one may be under way already. */
    if (connection->spilled_id != 0 && connection->spilled_id != session->id)
        inbound_forget_body(connection);
    size_t length = buffer_length(&session->body);
    size_t most = connection->own_file != NULL || memory_is_short(connection) ? SPILL_BYTES
                                                                              : SEGMENT_BODY_MAX;
    if (session->refused && connection->own_file != NULL)
        inbound_forget_body(connection);
    else if (length > most && session->header.over) /* until then fields may be put in */
        spill(connection);
    int64_t now = (int64_t)session->body.capacity;
    metric_add(METRIC_BODY_MEMORY, now - connection->counted);
    connection->counted = now;
}

/* ---- committing ---- */

static struct envelope *envelope_for(struct inbound_connection *connection, struct span domain)
{
    for (size_t i = connection->envelope_count; i-- > 0;)
        if (span_equal(span_of(connection->envelopes[i]->destination), domain))
            return connection->envelopes[i];
    return NULL;
}

static struct envelope *open_envelope(struct inbound_connection *connection, struct span domain)
{
    if (connection->envelope_count == connection->envelope_room) {
        connection->envelope_room = connection->envelope_room ? connection->envelope_room * 2 : 1;
        connection->envelopes = must_realloc(connection->envelopes,
                                             connection->envelope_room * sizeof(struct envelope *));
    }
    struct envelope *envelope = envelope_create(connection->message, domain);
    envelope->number = (uint16_t)connection->envelope_count;
    envelope->due_ms = message_began_ms(connection->message);
    connection->envelopes[connection->envelope_count++] = envelope;
    return envelope;
}

static struct recipient *add_recipient(struct envelope *envelope,
                                       const struct inbound_recipient *recipient)
{
    return envelope_add(envelope, span_of(recipient->path), span_of(recipient->orcpt));
}

/* One envelope per destination; several when its recipients do not fit into one. */
static void address_envelopes(struct inbound_connection *connection)
{
    const struct inbound_session *session = &connection->session;
    for (unsigned i = 0; i < session->count; i++) {
        const struct inbound_recipient *recipient = &session->recipients[i];
        char name[ADDRESS_DOMAIN_MAX + 1];
        struct span domain = span_of(address_destination(span_of(recipient->path), name));
        struct envelope *envelope = envelope_for(connection, domain);
        struct recipient *added = envelope ? add_recipient(envelope, recipient) : NULL;
        if (added == NULL)
            added = add_recipient(open_envelope(connection, domain), recipient);
        must(added != NULL);
        added->notify = (uint8_t)recipient->notify;
    }
}

static void make_message(struct inbound_connection *connection)
{
    struct inbound_session *session = &connection->session;
    struct message *message = message_create(span_of(session->sender), inbound_flags(session),
                                             connection->worker->wall_ms);
    message->id = session->id;
    message->release_ms = session->release_ms;
    message->deliver_by_ms = session->deliver_by_ms;
    message->user = arena_copy(&message->arena, span_of(session->user ? session->user : ""));
    message->envid = arena_copy(&message->arena, span_of(session->envid));
    if (connection->own_file != NULL) {
        message->place = (struct body_place){.segment = session->id,
                                             .length = connection->spilled,
                                             .crc = connection->crc,
                                             .own_file = true};
    } else {
        struct span body = buffer_span(&session->body);
        message->place.length = body.length;
        message->place.crc = crc32c(0, body.data, body.length);
        message_take_body(message, buffer_detach(&session->body));
        metric_add(METRIC_BODY_MEMORY, -connection->counted); /* it is the message's now */
        connection->counted = 0;
    }
    connection->message = message;
}

static void log_received(const struct inbound_connection *connection)
{
    const struct inbound_session *session = &connection->session;
    struct log_line line;
    char id[MESSAGE_ID_TEXT], client[INBOUND_CLIENT_TEXT], release[LOG_TIME_MAX];
    log_begin(&line, "received");
    log_string(&line, "id", message_id_format(connection->message->id, id));
    log_print(&line, "from", "<%s>", connection->message->sender);
    log_number(&line, "recipients", session->count);
    log_number(&line, "size", (int64_t)connection->message->place.length);
    log_string(&line, "client", inbound_client_format(session, client));
    log_string(&line, "helo", session->helo);
    if (connection->message->release_ms != 0)
        log_string(&line, "release", log_time(connection->message->release_ms, release));
    log_string(&line, "tls", session->tls_version ? session->tls_version : "none");
    if (session->user != NULL)
        log_string(&line, "user", session->user);
    if (message_security(connection->message) != SECURITY_USUAL)
        log_string(&line, "security", security_name(message_security(connection->message)));
    log_end(&line);
}

static void accepted(struct inbound_connection *connection)
{
    struct worker *worker = connection->worker;
    log_received(connection);
    metric_add(METRIC_MESSAGES_RECEIVED, 1);
    metric_add(METRIC_RECEIVED, connection->session.count);
    metric_add(METRIC_QUEUED, connection->session.count);
    if (connection->own_file != NULL)
        own_file_close(&connection->own_file);
    for (size_t i = 0; i < connection->envelope_count; i++)
        if (connection->envelopes[i]->due_ms < worker->wall_ms)
            connection->envelopes[i]->due_ms = worker->wall_ms;
    worker_submit(worker, connection->envelopes, connection->envelope_count);
    connection->envelope_count = 0;
}

static enum commit_result commit_result_of(enum spool_result result)
{
    switch (result) {
    case SPOOL_OK: return COMMIT_OK;
    case SPOOL_FULL: return COMMIT_FULL;
    case SPOOL_BROKEN: return COMMIT_BROKEN;
    }
    must_not_reach();
}

void inbound_message_over(struct inbound_connection *connection)
{
    for (size_t i = 0; i < connection->envelope_count; i++)
        envelope_free(&connection->envelopes[i]);
    connection->envelope_count = 0;
    message_drop(&connection->message);
    inbound_forget_body(connection);
}

static void committed(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct inbound_connection *connection = container_of(change, struct inbound_connection, change);
    (void)taker;
    enum commit_result result = commit_result_of(change->result);
    if (result == COMMIT_OK)
        accepted(connection);
    inbound_message_over(connection);
    inbound_answer_commit(connection, result);
}

void inbound_commit(struct inbound_connection *connection)
{
    if (connection->own_file != NULL)
        spill(connection); /* what is left of the body */
    if (connection->spill_failed) {
        inbound_forget_body(connection);
        inbound_committed(&connection->session, COMMIT_FULL);
        return;
    }
    connection->phase = INBOUND_WAITING;
    wheel_clear(&connection->worker->wheel, &connection->idle);
    make_message(connection);
    address_envelopes(connection);
    connection->change = (struct change){
        .mail.deliver = committed,
        .reply_to = connection->worker->mailbox,
        .accept = connection->message,
        .accepted = connection->envelopes,
        .accepted_count = connection->envelope_count,
        .own_file = connection->own_file,
    };
    committer_post(connection->worker->relay->committer, &connection->change);
}
