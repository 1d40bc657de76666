/* A body on its way out, dot-stuffed and whole or as it is in chunks: from memory, or window by
 * window from the spool. */
#include "relay/outbound/connection_inside.h"

#include <stdlib.h>

#define SENDING_LEAST_MS 600000   /* ours: the whole body, however slowly the server reads it … */
#define SENDING_BYTES_PER_MS 1    /* … and a second more for each 1,000 bytes */
#define SENDING_TIMEOUT_MS 180000 /* RFC 5321 4.5.3.2.5: a DATA block */
#define RECORD_MOST 128           /* that TLS puts around a few bytes */
#define BODY_WINDOW 65536         /* bytes of a body that are stuffed and encrypted at a time */

_Static_assert(BODY_WINDOW <= LOADER_WINDOW, "a window is loaded at once");

static void window_loaded(struct mail *mail, void *taker);

static bool load_window(struct connection *connection)
{
    const struct body_place *place = &connection->attempt->envelope->message->place;
    uint64_t left = connection->body_until - connection->body_at;
    connection->phase = PHASE_LOADING;
    connection->load = (struct load){.mail.deliver = window_loaded,
                                     .reply_to = connection->worker->mailbox,
                                     .place = *place,
                                     .offset = connection->body_at,
                                     .length = left < BODY_WINDOW ? (size_t)left : BODY_WINDOW};
    loader_post(connection->worker->relay->loader, &connection->load);
    return false;
}

static void write_window(struct connection *connection, struct span window)
{
    if (connection->chunk)
        buffer_append(&connection->channel.out, window);
    else
        data_write(&connection->writer, window, &connection->channel.out);
    connection->body_at += window.length;
}

static void end_piece(struct connection *connection)
{
    struct buffer *out = &connection->channel.out;
    connection->body_ended = true;
    if (!connection->chunk)
        data_write_end(&connection->writer, out);
    size_t content_end = buffer_length(out);
    connection->out_noted = content_end; /* a body is none of the transcript's */
    session_body_written(&connection->session);
    connection_note_said(connection);
    connection->behind = buffer_length(out) - content_end;
    if (connection->behind > 0 && connection->channel.tls != NULL)
        connection->behind += RECORD_MOST;
}

/* All of the content has left for the socket, though not yet what goes right behind it: the server
 * may have it, and may answer. */
static bool content_left(const struct connection *connection)
{
    return channel_unsent(&connection->channel) <= connection->behind;
}

/* Puts out as much as the channel should hold. True when the piece has been written whole. */
static bool write_piece(struct connection *connection)
{
    const struct message *message = connection->attempt->envelope->message;
    while (connection->body_at < connection->body_until) {
        if (buffer_length(&connection->channel.out) >= CHANNEL_OUT_MAX)
            return false;
        if (message->body == NULL)
            return load_window(connection);
        uint64_t left = connection->body_until - connection->body_at;
        size_t length = left < BODY_WINDOW ? (size_t)left : BODY_WINDOW;
        write_window(connection, (struct span){message->body + connection->body_at, length});
    }
    if (!connection->body_ended)
        end_piece(connection);
    return true;
}

static bool send_piece(struct connection *connection, enum session_ask *ask)
{
    while (connection->phase == PHASE_SENDING) {
        bool whole = write_piece(connection);
        if (connection->phase == PHASE_LOADING)
            return false;
        if (connection_flush(connection) == CHANNEL_FAILED) {
            *ask =
                session_lost(&connection->session, "the connection broke while the body was sent");
            return true;
        }
        if (whole && content_left(connection)) {
            *ask = session_body_sent(&connection->session);
            return true;
        }
        if (whole || buffer_length(&connection->channel.out) >= CHANNEL_OUT_MAX)
            break; /* goes on with the next writable event */
    }
    int64_t left = connection->sent_by_ms - connection->worker->now_ms;
    connection_set_deadline(connection, left < SENDING_TIMEOUT_MS ? left : SENDING_TIMEOUT_MS);
    return false;
}

void connection_go_on_sending(struct connection *connection)
{
    enum session_ask ask;
    if (send_piece(connection, &ask))
        connection_act(connection, ask);
}

static void window_loaded(struct mail *mail, void *taker)
{
    struct load *load = container_of(mail, struct load, mail);
    struct connection *connection = container_of(load, struct connection, load);
    (void)taker;
    if (load->result != LOAD_OK) { /* it was whole a moment ago: the connection is cut short */
        connection_lost(connection, "the body can no longer be read from the spool");
        return;
    }
    write_window(connection, (struct span){load->window, load->length});
    free(load->window);
    connection->phase = PHASE_SENDING;
    connection_go_on_sending(connection);
    connection_catch_up(connection);
}

static bool begin_piece(struct connection *connection, uint64_t from, uint64_t until,
                        enum session_ask *ask)
{
    uint64_t whole = connection->attempt->envelope->message->place.length;
    connection->phase = PHASE_SENDING;
    connection->behind = 0;
    connection->body_at = from;
    connection->body_until = until;
    if (from == 0)
        connection->sent_by_ms =
            connection->worker->now_ms + SENDING_LEAST_MS + (int64_t)(whole / SENDING_BYTES_PER_MS);
    return send_piece(connection, ask);
}

bool connection_begin_body(struct connection *connection, enum session_ask *ask)
{
    connection->chunk = connection->body_ended = false;
    data_writer_init(&connection->writer);
    return begin_piece(connection, 0, connection->attempt->envelope->message->place.length, ask);
}

bool connection_begin_chunk(struct connection *connection, enum session_ask *ask)
{
    struct chunk chunk = session_chunk(&connection->session);
    connection->chunk = true;
    connection->body_ended = false;
    return begin_piece(connection, chunk.offset, chunk.offset + chunk.length, ask);
}
