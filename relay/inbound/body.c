/* DATA: the trace header, and the body as it comes in. */
#include "relay/inbound/session_inside.h"

#include "queue/bounce.h"

/* RFC 5321 4.4. The client named itself; what it said was checked before it was kept. */
static void write_trace(struct inbound_session *session, int64_t wall_ms)
{
    char id[MESSAGE_ID_TEXT], date[MAIL_DATE_MAX];
    const char *with = !session->extended ? "SMTP" : session->secure ? "ESMTPS" : "ESMTP";
    inbound_write_client(session);
    if (session->tls_version != NULL)
        buffer_print(&session->body, "\t(using %s)\r\n", session->tls_version);
    buffer_print(&session->body, "\tby %s (Millrace) with %s id %s", session->config->hostname,
                 with, message_id_format(session->id, id));
    if (session->count == 1)
        buffer_print(&session->body, "\r\n\tfor <%s>", session->recipients[0]);
    buffer_print(&session->body, ";\r\n\t%s\r\n", mail_date(wall_ms, date));
}

enum inbound_ask inbound_data(struct inbound_session *session, const struct command *command,
                              const struct inbound_facts *facts)
{
    (void)facts;
    if (command->argument.length > 0)
        return complain(session, "501 5.5.4 DATA takes no parameter");
    data_reader_init(&session->reader, session->listen->newlines);
    session->body_bytes = 0;
    session->too_large = false;
    session->state = INBOUND_DATA;
    return say(session, "354 End data with <CR><LF>.<CR><LF>");
}

static enum inbound_ask refuse_message(struct inbound_session *session, const char *reply)
{
    enum inbound_ask ask = complain(session, reply);
    session->state = INBOUND_READY;
    forget_transaction(session);
    return ask;
}

static enum inbound_ask body_complete(struct inbound_session *session)
{
    if (session->too_large)
        return refuse_message(session, "552 5.3.4 The message is larger than is taken here");
    if (session->reader.bare && session->listen->newlines == NEWLINES_REFUSE)
        return refuse_message(session,
                              "550 5.5.2 The message has a bare CR or LF: lines must end in CRLF");
    if (session->reader.received > RECEIVED_MAX)
        return refuse_message(session, "554 5.4.6 Too many Received: fields: a mail loop");
    session->state = INBOUND_COMMITTING;
    return INBOUND_COMMIT;
}

static bool has_eight_bit(struct span bytes)
{
    unsigned char all = 0;
    for (size_t i = 0; i < bytes.length; i++)
        all |= (unsigned char)bytes.data[i];
    return all & 0x80;
}

enum inbound_ask inbound_body(struct inbound_session *session, struct span in, size_t *used)
{
    size_t before = buffer_length(&session->body);
    bool whole = data_read(&session->reader, in, &session->body, used);
    session->body_bytes += buffer_length(&session->body) - before;
    if (session->eight_bit && !session->eight_bit_seen)
        session->eight_bit_seen = has_eight_bit(span_skip(buffer_span(&session->body), before));
    if (session->body_bytes > session->config->limits.message_bytes)
        session->too_large = true;
    if (session->too_large)
        buffer_clear(&session->body); /* read on to the final dot, but keep nothing */
    return whole ? body_complete(session) : INBOUND_MORE;
}

void inbound_committed(struct inbound_session *session, enum commit_result result)
{
    char id[MESSAGE_ID_TEXT];
    must(session->state == INBOUND_COMMITTING);
    switch (result) {
    case COMMIT_OK:
        buffer_print(session->out, "250 2.0.0 Ok: queued as %s\r\n",
                     message_id_format(session->id, id));
        break;
    case COMMIT_FULL: say(session, "452 4.3.1 The spool is full, try again later"); break;
    case COMMIT_BROKEN:
        say(session, "451 4.3.0 The spool cannot be written, try again later");
        break;
    }
    forget_transaction(session);
}

void inbound_begin_body(struct inbound_session *session, uint64_t id, int64_t wall_ms)
{
    session->id = id;
    write_trace(session, wall_ms);
}
