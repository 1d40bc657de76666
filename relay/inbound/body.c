/* DATA and BDAT: the trace header, the body as it comes in, and what a submission's header lacks.
 */
#include "relay/inbound/session_inside.h"

#include "queue/bounce.h"

#define TOO_LARGE "552 5.3.4 The message is larger than is taken here"
#define HEADER_TOO_LARGE "552 5.3.4 The message's header is larger than is taken here"
#define BARE "550 5.5.2 The message has a bare CR or LF: lines must end in CRLF"
#define NO_RCPT "503 5.5.1 RCPT first"
#define REFUSED "503 5.5.1 The message was refused already"
#define LOOP "554 5.4.6 Too many Received: fields: a mail loop"

/* ---- the beginning ---- */

/* RFC 5321 4.4; the words behind "with" are those of RFC 3848 and RFC 6531 4.3. The client named
 * itself; what it said was checked before it was kept. */
static void write_trace(struct inbound_session *session)
{
    char id[MESSAGE_ID_TEXT], date[MAIL_DATE_MAX];
    const char *protocol = session->utf8 ? "UTF8SMTP" : session->extended ? "ESMTP" : "SMTP";
    const char *tls = session->extended && session->secure ? "S" : "";
    const char *auth = session->user != NULL ? "A" : "";
    inbound_write_client(session);
    if (session->tls_version != NULL)
        buffer_print(&session->body, "\t(using %s)\r\n", session->tls_version);
    inbound_write_user(session);
    buffer_print(&session->body, "\tby %s (Millrace) with %s%s%s id %s", session->config->hostname,
                 protocol, tls, auth, message_id_format(session->id, id));
    if (session->count == 1)
        buffer_print(&session->body, "\r\n\tfor <%s>", session->recipients[0].path);
    buffer_print(&session->body, ";\r\n\t%s\r\n", mail_date(session->wall_ms, date));
    session->trace_bytes = buffer_length(&session->body);
}

static void begin_body(struct inbound_session *session)
{
    session->id = session->next_id;
    session->header = (struct header_watch){0};
    session->body_bytes = 0;
    session->eight_bit_seen = false;
    session->oversized = session->refused = session->refusal_told = false;
    write_trace(session);
}

/* ---- what is missing ---- */

/* RFC 6409 8.2 and 8.3; and From, without which RFC 5322 3.6 knows no message. */
static void write_missing(const struct inbound_session *session, struct buffer *to)
{
    char id[MESSAGE_ID_TEXT], date[MAIL_DATE_MAX];
    unsigned fields = session->header.fields;
    if (!(fields & HEADER_FROM) && session->sender[0] != '\0')
        buffer_print(to, "From: <%s>\r\n", session->sender);
    if (!(fields & HEADER_DATE))
        buffer_print(to, "Date: %s\r\n", mail_date(session->wall_ms, date));
    if (!(fields & HEADER_MESSAGE_ID))
        buffer_print(to, "Message-ID: <%s@%s>\r\n", message_id_format(session->id, id),
                     session->config->hostname);
}

/* The header has ended: what is missing is put behind its last field. */
static void complete_header(struct inbound_session *session)
{
    CLEANUP(buffer_free) struct buffer missing = {0};
    if (!session->listen->add_headers || session->refused)
        return;
    write_missing(session, &missing);
    if (buffer_length(&missing) > 0 && session->header.cut)
        buffer_append(&missing, SPAN("\r\n"));
    buffer_insert(&session->body, session->trace_bytes + (size_t)session->header.bytes,
                  buffer_span(&missing));
}

/* ---- as it comes in ---- */

/* As much as is known; at the end the same, however it was cut into pieces. */
static const char *refusal_of(const struct inbound_session *session)
{
    const struct limits *limits = &session->config->limits;
    const struct header_watch *header = &session->header;
    if (session->oversized || session->body_bytes > limits->message_bytes)
        return TOO_LARGE;
    if (header_bytes(header) > limits->header_bytes)
        return HEADER_TOO_LARGE;
    if (session->reader.bare && session->listen->newlines == NEWLINES_REFUSE)
        return BARE;
    return header->received > RECEIVED_MAX ? LOOP : NULL;
}

/* Looks at what has come behind the first `before` bytes of the body. */
static void look_at(struct inbound_session *session, size_t before)
{
    struct span fresh = span_skip(buffer_span(&session->body), before);
    session->body_bytes += fresh.length;
    if (session->body_type == BODY_8BITMIME && !session->eight_bit_seen)
        session->eight_bit_seen = !span_is_ascii(fresh);
    bool in_header = !session->header.over;
    header_watch(&session->header, fresh);
    session->refused |= refusal_of(session) != NULL;
    if (session->refused)
        buffer_clear(&session->body); /* read on to its end, but keep nothing */
    else if (in_header && session->header.over)
        complete_header(session);
}

static enum inbound_ask refuse_message(struct inbound_session *session, const char *reply)
{
    enum inbound_ask ask = complain(session, reply);
    forget_transaction(session);
    return ask;
}

static enum inbound_ask body_complete(struct inbound_session *session)
{
    bool in_header = !session->header.over;
    header_end(&session->header);
    if (session->refused)
        return refuse_message(session, refusal_of(session));
    if (in_header)
        complete_header(session);
    session->state = INBOUND_COMMITTING;
    return INBOUND_COMMIT;
}

/* ---- DATA ---- */

enum inbound_ask inbound_data(struct inbound_session *session, const struct command *command,
                              const struct inbound_facts *facts)
{
    (void)facts;
    if (command->argument.length > 0)
        return complain(session, "501 5.5.4 DATA takes no parameter");
    if (session->body_type == BODY_BINARYMIME) /* RFC 3030 3 */
        return complain(session, "503 5.5.1 BODY=BINARYMIME comes by BDAT");
    data_reader_init(&session->reader);
    begin_body(session);
    session->state = INBOUND_DATA;
    return say(session, "354 End data with <CR><LF>.<CR><LF>");
}

enum inbound_ask inbound_data_received(struct inbound_session *session, struct span in,
                                       size_t *used)
{
    size_t before = buffer_length(&session->body);
    bool whole = data_read(&session->reader, in, &session->body, used);
    session->octets += *used;
    look_at(session, before);
    return whole ? body_complete(session) : INBOUND_MORE;
}

/* ---- BDAT (RFC 3030 2) ---- */

/* Once, however many chunks are on their way behind the one that was too much. */
static enum inbound_ask chunk_refused(struct inbound_session *session)
{
    enum inbound_ask ask =
        session->refusal_told ? say(session, REFUSED) : complain(session, refusal_of(session));
    session->refusal_told = true;
    if (session->chunk.last)
        forget_transaction(session);
    return ask;
}

static enum inbound_ask chunk_complete(struct inbound_session *session)
{
    session->state = session->chunk.before;
    if (session->chunk.refusal != NULL)
        return complain(session, session->chunk.refusal);
    if (session->chunk.last && session->body_type != BODY_BINARYMIME) {
        size_t before = buffer_length(&session->body);
        data_read_end(&session->reader, &session->body);
        look_at(session, before);
    }
    if (session->refused)
        return chunk_refused(session);
    if (session->chunk.last)
        return body_complete(session);
    buffer_print(session->out, "250 2.0.0 Ok: %llu octets so far\r\n",
                 (unsigned long long)session->body_bytes);
    return INBOUND_MORE;
}

/* Why the octets of a BDAT are nobody's; NULL when a message takes them. */
static const char *chunk_refusal(const struct inbound_session *session)
{
    const char *first = inbound_comes_first(session, FIRST_TLS | FIRST_AUTH);
    if (first != NULL)
        return first;
    return session->state == INBOUND_RCPT || session->state == INBOUND_CHUNKED ? NULL : NO_RCPT;
}

/* A message takes them; what says of itself that it is too large is not even kept. */
static void begin_chunk(struct inbound_session *session)
{
    if (session->state == INBOUND_RCPT) {
        data_reader_init_chunked(&session->reader);
        begin_body(session);
    }
    session->chunk.before = INBOUND_CHUNKED;
    uint64_t room = session->config->limits.message_bytes - session->body_bytes;
    if (!session->refused && session->chunk.left > room) {
        session->oversized = session->refused = true;
        buffer_clear(&session->body);
    }
}

/* The octets follow the command whatever is thought of it: only when nobody knows how many they are
 * is there no way on. */
enum inbound_ask inbound_bdat(struct inbound_session *session, const struct command *command,
                              const struct inbound_facts *facts)
{
    uint64_t size;
    bool last;
    (void)facts;
    if (!bdat_read(command->argument, &size, &last))
        return end_with(session, "501 5.5.4 Syntax: BDAT octets [LAST]");
    session->chunk.left = size;
    session->chunk.last = last;
    session->chunk.refusal = chunk_refusal(session);
    session->chunk.before = session->state;
    if (session->chunk.refusal == NULL)
        begin_chunk(session);
    session->state = INBOUND_CHUNK;
    return size > 0 ? INBOUND_MORE : chunk_complete(session);
}

static void take_octets(struct inbound_session *session, struct span octets)
{
    size_t before = buffer_length(&session->body), used;
    if (session->body_type == BODY_BINARYMIME)
        buffer_append(&session->body, octets);
    else
        data_read(&session->reader, octets, &session->body, &used);
    look_at(session, before);
}

enum inbound_ask inbound_chunk_received(struct inbound_session *session, struct span in,
                                        size_t *used)
{
    *used = in.length < session->chunk.left ? in.length : (size_t)session->chunk.left;
    if (session->chunk.refusal == NULL)
        take_octets(session, (struct span){in.data, *used});
    session->octets += *used;
    session->chunk.left -= *used;
    return session->chunk.left > 0 ? INBOUND_MORE : chunk_complete(session);
}

/* ---- the end ---- */

/* REQUIRETLS goes before the header (RFC 8689 4.1). */
static bool is_tls_optional(const struct inbound_session *session)
{
    return !(session->flags & MESSAGE_REQUIRETLS) &&
           session->config->tls_required == TLS_REQUIRED_HONOUR &&
           header_says_tls_optional(&session->header);
}

uint32_t inbound_flags(const struct inbound_session *session)
{
    bool needs_utf8 = session->utf8_path || session->header.eight_bit;
    return session->flags | (is_tls_optional(session) ? MESSAGE_TLS_OPTIONAL : 0u) |
           (session->eight_bit_seen ? MESSAGE_8BITMIME : 0u) |
           (session->body_type == BODY_BINARYMIME ? MESSAGE_BINARYMIME : 0u) |
           (session->utf8 && needs_utf8 ? MESSAGE_SMTPUTF8 : 0u);
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
