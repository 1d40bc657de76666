/* The steps of the dialogue: what each writes, and what its reply means. */
#include "bench/load_session.h"

static const struct load_options *options_of(const struct load_session *session)
{
    return &session->worker->load->options;
}

/* ---- which message is next ---- */

void load_dialogue_begin(struct load_session *session)
{
    struct load_worker *worker = session->worker;
    uint64_t per_connection = options_of(session)->per_connection;
    int64_t due_us;
    session->next = LOAD_QUIT;
    if (per_connection > 0 && session->taken == per_connection)
        return;
    switch (load_worker_turn(worker, &due_us)) {
    case LOAD_NEVER: return;
    case LOAD_LATER:
        session->next = LOAD_NOTHING;
        list_append(&worker->idle, &session->in_idle);
        return;
    case LOAD_NOW: break;
    }
    const struct load_bodies *bodies = &worker->load->bodies;
    uint64_t number = load_worker_number(worker);
    session->taken++;
    session->chunk_begun = false;
    session->next = session->unreset ? LOAD_RSET : LOAD_MAIL;
    session->unreset = false;
    session->current = (struct load_message){.begun = true,
                                             .body = &bodies->rows[number % bodies->count],
                                             .number = number,
                                             .due_us = due_us};
}

static void count_accepted(struct load_session *session, struct load_message *message)
{
    struct load_worker *worker = session->worker;
    char id[LOAD_ID_LENGTH];
    message->begun = false;
    session->failing = false;
    atomic_fetch_add(&worker->load->accepted, 1);
    worker->last_us = worker->now_us;
    histogram_add(&worker->latency, (uint64_t)(worker->now_us - message->due_us));
    if (message->body->made) {
        load_id_write(id, worker->load->run, message->number);
        ledger_line(&worker->ledger, (struct span){id, sizeof(id)});
    } else {
        ledger_line(&worker->ledger, message->body->id.length > 0 ? message->body->id : SPAN("-"));
    }
}

static void count_refused(struct load_session *session, struct load_message *message)
{
    message->begun = false;
    session->failing = false;
    atomic_fetch_add(&session->worker->load->refused, 1);
}

/* ---- writing steps ---- */

static void append_number(struct buffer *to, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    buffer_append(to, (struct span){digits + at, sizeof(digits) - at});
}

static void write_ehlo(struct load_session *session)
{
    buffer_append(&session->channel.out, SPAN("EHLO load.test\r\n"));
    session->next = LOAD_NOTHING;
}

static void write_starttls(struct load_session *session)
{
    buffer_append(&session->channel.out, SPAN("STARTTLS\r\n"));
    session->next = LOAD_NOTHING;
}

static void write_rset(struct load_session *session)
{
    buffer_append(&session->channel.out, SPAN("RSET\r\n"));
    session->next = LOAD_MAIL;
}

static void write_mail(struct load_session *session)
{
    struct buffer *out = &session->channel.out;
    const struct load_body *body = session->current.body;
    buffer_append(out, session->worker->load->mail);
    if (extensions_have(&session->extensions, EXTENSION_SIZE)) {
        buffer_append(out, SPAN(" SIZE="));
        append_number(out, body->size);
    }
    if (body->eight_bit && extensions_have(&session->extensions, EXTENSION_8BITMIME))
        buffer_append(out, SPAN(" BODY=8BITMIME"));
    buffer_append(out, SPAN("\r\n"));
    session->next = LOAD_RCPT;
}

/* What comes behind the last RCPT. */
static enum load_step content_step(const struct load_session *session)
{
    bool chunks =
        options_of(session)->chunking && extensions_have(&session->extensions, EXTENSION_CHUNKING);
    return chunks ? LOAD_CHUNK : LOAD_DATA;
}

static void write_rcpt(struct load_session *session)
{
    struct buffer *out = &session->channel.out;
    const struct load *load = session->worker->load;
    buffer_append(out, load->rcpt);
    if (load->options.domains > 0) {
        buffer_append(out, SPAN("d"));
        append_number(out, session->current.number % load->options.domains);
        buffer_append(out, SPAN("."));
    }
    buffer_append(out, span_of(load->options.to_domain));
    buffer_append(out, SPAN(">\r\n"));
    session->next = content_step(session);
}

static void write_data(struct load_session *session)
{
    buffer_append(&session->channel.out, SPAN("DATA\r\n"));
    session->next = LOAD_NOTHING;
}

/* The beginning of a body: a made one gets its Message-ID. */
static void begin_body(struct load_session *session, struct span body)
{
    struct buffer *out = &session->channel.out;
    size_t id_at = session->current.body->id_at;
    session->unsent = body;
    if (!session->current.body->made)
        return;
    buffer_append(out, (struct span){body.data, id_at});
    load_id_write(buffer_room(out, LOAD_ID_LENGTH), session->worker->load->run,
                  session->current.number);
    buffer_grew(out, LOAD_ID_LENGTH);
    session->unsent = span_skip(body, id_at + LOAD_ID_LENGTH);
}

/* A piece of the body; true when it was the last. */
static bool write_piece(struct load_session *session)
{
    struct span piece = session->unsent;
    if (piece.length > CHANNEL_OUT_MAX)
        piece.length = CHANNEL_OUT_MAX;
    buffer_append(&session->channel.out, piece);
    session->unsent = span_skip(session->unsent, piece.length);
    return session->unsent.length == 0;
}

static void write_chunk(struct load_session *session)
{
    struct buffer *out = &session->channel.out;
    if (!session->chunk_begun) {
        session->chunk_begun = true;
        buffer_append(out, SPAN("BDAT "));
        append_number(out, session->current.body->raw.length);
        buffer_append(out, SPAN(" LAST\r\n"));
        begin_body(session, session->current.body->raw);
    }
    if (write_piece(session))
        session->next = LOAD_NOTHING;
}

/* The last piece decides what is next. */
static void write_body(struct load_session *session)
{
    if (!write_piece(session))
        return;
    session->sent = session->current;
    session->current.begun = false;
    load_dialogue_begin(session);
}

static void write_quit(struct load_session *session)
{
    buffer_append(&session->channel.out, SPAN("QUIT\r\n"));
    session->next = LOAD_NOTHING;
}

/* ---- reading replies ---- */

static void on_greeting(struct load_session *session, const struct reply *reply)
{
    if (reply->code != 220)
        load_session_lose(session, "greeting", reply->text);
    else
        session->next = LOAD_EHLO;
}

static void on_ehlo(struct load_session *session, const struct reply *reply)
{
    if (!reply_is_positive(reply)) {
        load_session_lose(session, "EHLO", reply->text);
        return;
    }
    session->extensions = extensions_read(reply->text, 0);
    if (!options_of(session)->starttls || session->channel.tls)
        load_dialogue_begin(session);
    else if (extensions_have(&session->extensions, EXTENSION_STARTTLS))
        session->next = LOAD_STARTTLS;
    else
        load_session_give_up(session, "the server does not offer STARTTLS");
}

static void on_mail(struct load_session *session, const struct reply *reply)
{
    if (reply_is_positive(reply))
        return;
    load_session_note(session, "MAIL", reply->text);
    session->current.refused = true;
    if (session->next != LOAD_RCPT) /* the rest of the group is on its way: its replies come */
        return;
    count_refused(session, &session->current);
    load_dialogue_begin(session);
}

static void on_rcpt(struct load_session *session, const struct reply *reply)
{
    if (reply_is_positive(reply))
        return;
    if (!session->current.refused)
        load_session_note(session, "RCPT", reply->text);
    session->current.refused = true;
    if (session->next != content_step(session) || session->chunk_begun)
        return;
    session->unreset = true;
    count_refused(session, &session->current);
    load_dialogue_begin(session);
}

static void on_data(struct load_session *session, const struct reply *reply)
{
    if (reply->code == 354) {
        session->next = LOAD_BODY;
        if (session->current.refused) /* it wants a body though it took no recipient */
            session->unsent = SPAN(".\r\n");
        else
            begin_body(session, session->current.body->wire);
        return;
    }
    if (!session->current.refused)
        load_session_note(session, "DATA", reply->text);
    session->unreset = true;
    count_refused(session, &session->current);
    load_dialogue_begin(session);
}

static void on_body(struct load_session *session, const struct reply *reply)
{
    if (reply_is_positive(reply) && !session->sent.refused) {
        count_accepted(session, &session->sent);
        return;
    }
    if (!session->sent.refused)
        load_session_note(session, "end of data", reply->text);
    count_refused(session, &session->sent);
}

static void on_chunk(struct load_session *session, const struct reply *reply)
{
    if (reply_is_positive(reply) && !session->current.refused) {
        count_accepted(session, &session->current);
    } else {
        if (!session->current.refused)
            load_session_note(session, "BDAT LAST", reply->text);
        session->unreset = !reply_is_positive(reply); /* RFC 3030 2 */
        count_refused(session, &session->current);
    }
    load_dialogue_begin(session);
}

static void on_rset(struct load_session *session, const struct reply *reply)
{
    if (!reply_is_positive(reply))
        load_session_lose(session, "RSET", reply->text);
}

static void on_quit(struct load_session *session, const struct reply *reply)
{
    (void)reply;
    load_session_again(session);
}

static void on_starttls(struct load_session *session, const struct reply *reply)
{
    if (reply->code != 220)
        load_session_lose(session, "STARTTLS", reply->text);
    else if (buffer_length(&session->channel.in) > 0)
        load_session_lose(session, "STARTTLS", SPAN("bytes behind the 220"));
    else
        load_session_start_tls(session);
}

static const struct {
    const char *name;
    bool ends_group; /* RFC 2920 3.1: nothing is sent behind it before its reply */
    void (*write)(struct load_session *session);
    void (*on_reply)(struct load_session *session, const struct reply *reply);
} steps[] = {
    [LOAD_GREETING] = {"greeting", true, NULL, on_greeting},
    [LOAD_EHLO] = {"EHLO", true, write_ehlo, on_ehlo},
    [LOAD_STARTTLS] = {"STARTTLS", true, write_starttls, on_starttls},
    [LOAD_RSET] = {"RSET", false, write_rset, on_rset},
    [LOAD_MAIL] = {"MAIL", false, write_mail, on_mail},
    [LOAD_RCPT] = {"RCPT", false, write_rcpt, on_rcpt},
    [LOAD_DATA] = {"DATA", true, write_data, on_data},
    [LOAD_BODY] = {"end of data", false, write_body, on_body},
    [LOAD_CHUNK] = {"BDAT LAST", true, write_chunk, on_chunk},
    [LOAD_QUIT] = {"QUIT", true, write_quit, on_quit},
};
_Static_assert(countof(steps) == LOAD_STEPS, "each step has its row");

/* ---- the queue ---- */

void load_dialogue_expect(struct load_session *session, enum load_step step)
{
    must(session->expected_count < LOAD_EXPECTED_MAX);
    unsigned at = (session->expected_first + session->expected_count++) % LOAD_EXPECTED_MAX;
    session->expected[at] = step;
    session->held = steps[step].ends_group;
}

static enum load_step pop(struct load_session *session)
{
    enum load_step step = session->expected[session->expected_first];
    session->expected_first = (session->expected_first + 1) % LOAD_EXPECTED_MAX;
    session->expected_count--;
    return step;
}

const char *load_dialogue_where(const struct load_session *session)
{
    return session->expected_count > 0 ? steps[session->expected[session->expected_first]].name
                                       : "idle";
}

static bool may_write(const struct load_session *session)
{
    bool pipelines = options_of(session)->pipelining &&
                     extensions_have(&session->extensions, EXTENSION_PIPELINING);
    if (buffer_length(&session->channel.out) >= CHANNEL_OUT_MAX)
        return false;
    return session->expected_count == 0 || (pipelines && !session->held);
}

void load_dialogue_write(struct load_session *session)
{
    while (session->next != LOAD_NOTHING && may_write(session)) {
        enum load_step step = session->next;
        steps[step].write(session);
        if (session->next != step) /* else there is more of this body */
            load_dialogue_expect(session, step);
    }
}

static void take_reply(struct load_session *session, const struct reply *reply)
{
    const char *where = load_dialogue_where(session);
    if (reply->code == 421)
        load_session_lose(session, where, reply->text);
    else if (session->expected_count == 0)
        load_session_lose(session, "a reply that nobody asked for", reply->text);
    else
        steps[pop(session)].on_reply(session, reply);
}

void load_dialogue_read(struct load_session *session)
{
    struct buffer *in = &session->channel.in;
    while (session->phase == LOAD_TALKING && buffer_length(in) > 0) {
        struct reply reply;
        size_t used;
        switch (reply_read(&session->worker->replies, buffer_span(in), &reply, &used)) {
        case REPLY_PARTIAL: return;
        case REPLY_MALFORMED:
            load_session_lose(session, load_dialogue_where(session), SPAN("not a reply"));
            return;
        case REPLY_COMPLETE: buffer_consume(in, used); take_reply(session, &reply);
        }
    }
}
