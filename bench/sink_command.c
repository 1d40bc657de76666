/* What a client says, and what the sink does with it when no fault strikes. */
#include "base/map.h"
#include "bench/dump.h"
#include "bench/sink_session.h"
#include "relay/smtp/address.h"
#include "relay/smtp/parameters.h"

#include <string.h>

static bool is_secured(const struct sink_session *session)
{
    return session->channel.tls != NULL;
}

/* ---- commands ---- */

static const struct sink_options *options_of(const struct sink_session *session)
{
    return &session->worker->sink->options;
}

static unsigned offered_now(const struct sink_session *session)
{
    bool requiretls = options_of(session)->requiretls && is_secured(session);
    return options_of(session)->extensions | (requiretls ? EXTENSION_REQUIRETLS : 0u);
}

static void offer_limits(struct sink_session *session)
{
    const struct extensions *limits = &options_of(session)->limits;
    const struct {
        const char *name;
        unsigned value;
    } rows[] = {{"MAILMAX", limits->mail_max},
                {"RCPTMAX", limits->rcpt_max},
                {"RCPTDOMAINMAX", limits->rcpt_domain_max}};
    if (limits->offered == 0)
        return;
    buffer_print(&session->channel.out, "250-LIMITS");
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].value > 0)
            buffer_print(&session->channel.out, " %s=%u", rows[i].name, rows[i].value);
    sink_session_say(session, SPAN("\r\n"));
}

static void on_ehlo(struct sink_session *session, const struct command *command)
{
    (void)command;
    unsigned offered = offered_now(session);
    bool starttls = session->worker->sink->tls && !is_secured(session);
    sink_session_reset(session);
    session->greeted = true;
    sink_session_say(session, SPAN("250-" SINK_HOSTNAME "\r\n"));
    for (unsigned bit = 1; bit <= offered; bit <<= 1)
        if ((offered & bit) && bit == EXTENSION_SIZE)
            buffer_print(&session->channel.out, "250-SIZE %u\r\n", SINK_SIZE_MAX);
        else if (offered & bit)
            buffer_print(&session->channel.out, "250-%s\r\n", extension_name(bit));
    offer_limits(session);
    sink_session_say(session, starttls ? SPAN("250-STARTTLS\r\n") : SPAN(""));
    sink_session_say(session, SPAN("250 HELP\r\n"));
}

static void on_helo(struct sink_session *session, const struct command *command)
{
    (void)command;
    sink_session_reset(session);
    session->greeted = true;
    sink_session_say(session, SPAN("250 " SINK_HOSTNAME "\r\n"));
}

static void say_bad_parameters(struct sink_session *session, enum parameter_result result)
{
    switch (result) {
    case PARAMETERS_OK: must_not_reach();
    case PARAMETERS_SYNTAX: sink_session_say(session, SPAN("501 5.5.4 Syntax error\r\n")); return;
    case PARAMETERS_BAD_ADDRESS:
    case PARAMETERS_NEED_UTF8: sink_session_say(session, SPAN("553 5.1.3 Bad address\r\n")); return;
    case PARAMETERS_UNKNOWN:
        sink_session_say(session, SPAN("555 5.5.4 Parameter not offered\r\n"));
        return;
    }
    must_not_reach();
}

static bool at_limit(unsigned most, size_t count)
{
    return most > 0 && count >= most;
}

static void on_mail(struct sink_session *session, const struct command *command)
{
    struct mail_parameters parameters;
    enum parameter_result result = mail_read(command->argument, offered_now(session), &parameters);
    if (!session->greeted || session->has_mail) {
        sink_session_say(session, SPAN("503 5.5.1 Bad sequence of commands\r\n"));
    } else if (result != PARAMETERS_OK) {
        say_bad_parameters(session, result);
    } else if (parameters.has_size && parameters.size > SINK_SIZE_MAX) {
        sink_session_say(session, SPAN("552 5.3.4 Too large\r\n"));
    } else if (at_limit(options_of(session)->limits.mail_max, session->mails)) {
        sink_session_close_after(session, SPAN("421 4.7.0 No more mail in this session\r\n"));
    } else {
        session->mails++;
        sink_session_begin_mail(session);
        session->utf8 = parameters.utf8;
        session->binary = parameters.body == BODY_BINARYMIME;
        session->requiretls = parameters.requires_tls;
        sink_session_say(session, SPAN("250 2.1.0 Ok\r\n"));
    }
}

static size_t recipient_count(const struct sink_session *session)
{
    return buffer_length(&session->recipients) / sizeof(uint64_t);
}

/* RCPTDOMAINMAX is for the whole session (RFC 9422 4). */
static bool is_domain_within_limit(struct sink_session *session, struct span domain)
{
    unsigned most = options_of(session)->limits.rcpt_domain_max;
    uint64_t hash = span_hash_nocase(domain), other;
    struct span known = buffer_span(&session->domains);
    if (most == 0)
        return true;
    for (; known.length > 0; known = span_skip(known, sizeof(other))) {
        must(known.data != NULL);
        memcpy(&other, known.data, sizeof(other));
        if (other == hash)
            return true;
    }
    if (at_limit(most, buffer_length(&session->domains) / sizeof(hash)))
        return false;
    buffer_append(&session->domains, (struct span){(const char *)&hash, sizeof(hash)});
    return true;
}

static void on_rcpt(struct sink_session *session, const struct command *command)
{
    struct rcpt_parameters parameters;
    enum parameter_result result =
        rcpt_read(command->argument, options_of(session)->extensions, session->utf8, &parameters);
    if (!session->has_mail) {
        sink_session_say(session, SPAN("503 5.5.1 Need MAIL first\r\n"));
    } else if (result != PARAMETERS_OK) {
        say_bad_parameters(session, result);
    } else if (recipient_count(session) == SINK_RECIPIENTS_MAX ||
               at_limit(options_of(session)->limits.rcpt_max, recipient_count(session))) {
        sink_session_say(session, SPAN("452 4.5.3 Too many recipients\r\n"));
    } else if (!is_domain_within_limit(session, address_domain(parameters.path))) {
        sink_session_say(session, SPAN("452 4.5.3 Too many domains\r\n"));
    } else {
        uint64_t hash = span_hash_nocase(parameters.path);
        buffer_append(&session->recipients, (struct span){(const char *)&hash, sizeof(hash)});
        sink_session_say(session, SPAN("250 2.1.5 Ok\r\n"));
    }
}

static void on_data(struct sink_session *session, const struct command *command)
{
    (void)command;
    if (recipient_count(session) == 0) {
        sink_session_say(session, SPAN("503 5.5.1 Need RCPT first\r\n"));
        return;
    }
    if (session->chunked || session->binary) {
        sink_session_say(session, SPAN("503 5.5.1 BDAT, not DATA (RFC 3030)\r\n"));
        return;
    }
    data_reader_init(&session->reader);
    sink_session_become(session, SINK_DATA);
    sink_session_say(session, SPAN("354 Go ahead\r\n"));
}

/* Its octets come first, whatever is said to it then (RFC 3030 2). */
static void on_bdat(struct sink_session *session, const struct command *command)
{
    if (!(options_of(session)->extensions & EXTENSION_CHUNKING)) {
        sink_session_say(session, SPAN("502 5.5.1 No CHUNKING here\r\n"));
    } else if (!bdat_read(command->argument, &session->chunk_left, &session->chunk_last)) {
        sink_session_close_after(session, SPAN("501 5.5.4 Syntax error\r\n"));
    } else {
        session->reader.bare = false; /* that of a message before: here octets are octets */
        session->chunked = true;
        session->chunk_unfit = recipient_count(session) == 0;
        sink_session_become(session, SINK_CHUNK);
    }
}

static void on_rset(struct sink_session *session, const struct command *command)
{
    (void)command;
    sink_session_reset(session);
    sink_session_say(session, SPAN("250 2.0.0 Ok\r\n"));
}

static void on_noop(struct sink_session *session, const struct command *command)
{
    (void)command;
    sink_session_say(session, SPAN("250 2.0.0 Ok\r\n"));
}

static void on_quit(struct sink_session *session, const struct command *command)
{
    (void)command;
    sink_session_close_after(session, SPAN("221 2.0.0 Bye\r\n"));
}

static void on_vrfy(struct sink_session *session, const struct command *command)
{
    (void)command;
    sink_session_say(session, SPAN("252 2.0.0 Send it and see\r\n"));
}

static void on_help(struct sink_session *session, const struct command *command)
{
    (void)command;
    sink_session_say(session, SPAN("214 2.0.0 This is a sink: it takes everything\r\n"));
}

static void on_starttls(struct sink_session *session, const struct command *command)
{
    if (session->worker->sink->tls == NULL) {
        sink_session_say(session, SPAN("502 5.5.1 No TLS here\r\n"));
    } else if (is_secured(session)) {
        sink_session_say(session, SPAN("503 5.5.1 TLS is on already\r\n"));
    } else if (command->argument.length > 0) {
        sink_session_say(session, SPAN("501 5.5.4 STARTTLS takes no parameter\r\n"));
    } else {
        sink_session_become(session, SINK_STARTTLS);
        sink_session_say(session, SPAN("220 2.0.0 Ready to start TLS\r\n"));
    }
}

static void on_unknown(struct sink_session *session, const struct command *command)
{
    (void)command;
    sink_session_say(session, SPAN("502 5.5.2 Command not known\r\n"));
}

static const struct {
    enum fault_where where;
    void (*act)(struct sink_session *session, const struct command *command);
} commands[] = {
    [COMMAND_EHLO] = {FAULT_EHLO, on_ehlo},
    [COMMAND_HELO] = {FAULT_NOWHERE, on_helo}, /* the way out when EHLO is refused */
    [COMMAND_MAIL] = {FAULT_MAIL, on_mail},
    [COMMAND_RCPT] = {FAULT_RCPT, on_rcpt},
    [COMMAND_DATA] = {FAULT_DATA, on_data},
    [COMMAND_BDAT] = {FAULT_NOWHERE, on_bdat}, /* FAULT_BDAT is behind its octets */
    [COMMAND_RSET] = {FAULT_NOWHERE, on_rset},
    [COMMAND_NOOP] = {FAULT_NOWHERE, on_noop},
    [COMMAND_QUIT] = {FAULT_QUIT, on_quit},
    [COMMAND_VRFY] = {FAULT_NOWHERE, on_vrfy},
    [COMMAND_HELP] = {FAULT_NOWHERE, on_help},
    [COMMAND_STARTTLS] = {FAULT_STARTTLS, on_starttls},
    [COMMAND_REFUSED] = {FAULT_NOWHERE, on_unknown},
    [COMMAND_FOREIGN] = {FAULT_NOWHERE, on_unknown},
    [COMMAND_UNKNOWN] = {FAULT_NOWHERE, on_unknown},
};
_Static_assert(countof(commands) == COMMAND_VERBS, "each command has its row");

enum fault_where sink_command_where(const struct command *command, struct span line)
{
    if (command->verb == COMMAND_UNKNOWN && span_starts_nocase(line, SPAN("AUTH")))
        return FAULT_AUTH;
    return commands[command->verb].where;
}

void sink_command_act(struct sink_session *session, const struct command *command)
{
    commands[command->verb].act(session, command);
}

/* ---- a message ---- */

/* Counts the recipients for whom it came before, and remembers it for all of them. */
static void count_duplicates(struct sink_session *session, struct span id)
{
    struct sink_worker *worker = session->worker;
    const char *hashes = buffer_span(&session->recipients).data;
    must(hashes != NULL); /* DATA came behind a RCPT */
    for (size_t i = 0; i < recipient_count(session); i++) {
        uint64_t recipient;
        memcpy(&recipient, hashes + i * sizeof(recipient), sizeof(recipient));
        if (!seen_add(worker->sink->seen, hash_number(span_hash(id) ^ hash_number(recipient))))
            worker->totals.duplicates++;
    }
}

static void take(struct sink_session *session, uint64_t number)
{
    struct sink_worker *worker = session->worker;
    const struct sink_options *options = &worker->sink->options;
    struct span id = {session->id, session->id_length};
    worker->totals.messages++;
    worker->totals.requiretls += session->requiretls;
    worker->totals.recipients += recipient_count(session);
    worker->totals.bytes += session->size;
    worker->totals.last_message_ms = (uint64_t)os_wall();
    if (id.length > 0)
        count_duplicates(session, id);
    ledger_line(&worker->ledger, id.length > 0 ? id : SPAN("-"));
    if (options->dump) {
        int error = dump_write(options->dump, number, buffer_span(&session->body));
        if (error != 0)
            sink_fail(worker->sink, "dump to", options->dump, error);
    }
}

void sink_message_answer(struct sink_session *session)
{
    struct sink *sink = session->worker->sink;
    if (session->reader.bare) {
        sink_session_say(session, SPAN("550 5.5.2 Bare CR or LF\r\n"));
        return;
    }
    if (session->size > SINK_SIZE_MAX) {
        sink_session_say(session, SPAN("552 5.3.4 Too large\r\n"));
        return;
    }
    uint64_t number = atomic_fetch_add(&sink->taken, 1) + 1;
    if (sink->options.messages > 0 && number > sink->options.messages) {
        sink_session_close_after(session,
                                 SPAN("421 4.3.2 The sink has taken all it was to take\r\n"));
        return;
    }
    take(session, number);
    sink_session_say(session, SPAN("250 2.0.0 Ok\r\n"));
    if (number == sink->options.messages)
        sink_finish(sink);
}

/* The Message-ID is looked for as soon as the header is there; without --dump nothing is
 * kept behind it. */
void sink_message_read(struct sink_session *session, bool whole)
{
    struct header_watch *header = &session->header;
    size_t length = buffer_length(&session->body);
    struct span id;
    if (!session->id_sought)
        header_watch(header, span_skip(buffer_span(&session->body),
                                       (size_t)(header->bytes + header->line_bytes)));
    if (!session->id_sought && (whole || header->over || length >= SINK_HEADER_MAX)) {
        session->id_sought = true;
        if (message_id_find(buffer_span(&session->body), &id)) {
            memcpy(session->id, id.data, id.length);
            session->id_length = id.length;
        }
    }
    bool keep = session->worker->sink->options.dump && session->size <= SINK_SIZE_MAX;
    if (session->id_sought && !keep)
        buffer_clear(&session->body);
}
