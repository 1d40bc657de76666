#include "relay/sendmail/handin.h"

#include "base/xtext.h"
#include "queue/message.h"
#include "relay/admin/lines.h"
#include "relay/os.h"
#include "relay/smtp/data.h"
#include "relay/smtp/extension.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define REPLY_MS (5ll * 60 * 1000) /* RFC 5321 4.5.3.2, which has 10 min for the last one */
#define FINAL_REPLY_MS (10ll * 60 * 1000)
#define PIECE_BYTES (64u << 10) /* of the text, dot-stuffed and written at once */

struct client {
    struct lines lines;
    struct reply_reader reader;
    struct buffer received;
    size_t used; /* bytes of it that are the reply at hand */
    struct reply reply;
    struct extensions extensions;
    struct buffer command;
    const struct submission *submission;
    const struct sendmail_options *options;
    char *why; /* HANDIN_WHY_MAX bytes */
};

/* ---- replies ---- */

int refusal_exit(const struct reply *reply)
{
    static const struct {
        uint16_t subject, detail; /* of the enhanced status code (RFC 3463); detail 0: any */
        int code;
    } rows[] = {
        {1, 1, EX_NOUSER},  {1, 2, EX_NOHOST},  {1, 10, EX_NOHOST}, /* RFC 7505: null MX */
        {1, 3, EX_DATAERR}, {1, 7, EX_DATAERR}, {1, 8, EX_DATAERR}, {3, 4, EX_DATAERR},
        {5, 2, EX_DATAERR}, {6, 0, EX_DATAERR}, {7, 0, EX_NOPERM},
    };
    if (!reply_is_permanent(reply))
        return EX_TEMPFAIL;
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].subject == reply->status_subject &&
            (rows[i].detail == reply->status_detail || rows[i].detail == 0))
            return rows[i].code;
    return EX_UNAVAILABLE;
}

/* 75: the relay has gone, or is none. */
static int broken(struct client *client, const char *how)
{
    snprintf(client->why, HANDIN_WHY_MAX, "the relay %s: try again later", how);
    return EX_TEMPFAIL;
}

static int read_reply(struct client *client, int64_t within_ms)
{
    int64_t deadline = os_now() + within_ms;
    buffer_consume(&client->received, client->used);
    client->used = 0;
    for (;;) {
        struct span line;
        size_t used = 0;
        switch (
            reply_read(&client->reader, buffer_span(&client->received), &client->reply, &used)) {
        case REPLY_COMPLETE: client->used = used; return EX_OK;
        case REPLY_MALFORMED: return broken(client, "does not speak SMTP");
        case REPLY_PARTIAL: break;
        }
        switch (lines_read(&client->lines, deadline, &line)) {
        case LINES_OK: break;
        case LINES_LATE: return broken(client, "does not answer");
        case LINES_ENDED: return broken(client, "broke off");
        case LINES_LONG: return broken(client, "does not speak SMTP");
        case LINES_STOPPED: must_not_reach();
        }
        buffer_append(&client->received, line);
        buffer_append(&client->received, SPAN("\n"));
    }
}

/* What the relay says, as one line. */
static void say_reply(struct client *client, const char *before)
{
    const struct reply *reply = &client->reply;
    char status[24] = "";
    if (reply->status_class != 0)
        snprintf(status, sizeof(status), "%u.%u.%u ", reply->status_class, reply->status_subject,
                 reply->status_detail);
    snprintf(client->why, HANDIN_WHY_MAX, "%s%u %s%.*s", before, reply->code, status,
             SPAN_FORMAT(reply->text));
    for (char *at = client->why; (at = strchr(at, '\n')) != NULL;)
        *at = ' ';
}

/* It said no to `what`: what that means to the caller. */
static int refused(struct client *client, const char *what)
{
    char before[400];
    snprintf(before, sizeof(before), "the relay refused %.300s: ", what);
    say_reply(client, before);
    return refusal_exit(&client->reply);
}

/* ---- commands ---- */

/* Sends client->command and reads the reply. EX_OK when one came, whatever it says. */
static int exchange(struct client *client, int64_t within_ms)
{
    buffer_append(&client->command, SPAN("\r\n"));
    /* Where that fails, there may be a reply still: why it closed. */
    lines_write(&client->lines, os_now() + REPLY_MS, buffer_span(&client->command));
    buffer_clear(&client->command);
    return read_reply(client, within_ms);
}

static int greet(struct client *client)
{
    int code = read_reply(client, REPLY_MS);
    if (code == EX_OK && reply_is_positive(&client->reply)) {
        buffer_append(&client->command, SPAN("EHLO localhost"));
        code = exchange(client, REPLY_MS);
    }
    if (code != EX_OK)
        return code;
    client->extensions = extensions_read(client->reply.text, 0);
    return reply_is_positive(&client->reply) ? EX_OK : refused(client, "the connection");
}

static bool offers(const struct client *client, enum extension extension)
{
    return extensions_have(&client->extensions, extension);
}

static void add_dsn_of_mail(struct client *client)
{
    const struct sendmail_options *options = client->options;
    switch (options->ret) {
    case SENDMAIL_RET_UNSAID: break;
    case SENDMAIL_RET_FULL: buffer_append(&client->command, SPAN(" RET=FULL")); break;
    case SENDMAIL_RET_HEADERS: buffer_append(&client->command, SPAN(" RET=HDRS")); break;
    }
    if (options->envid == NULL)
        return;
    buffer_append(&client->command, SPAN(" ENVID="));
    xtext_encode(span_of(options->envid), &client->command);
}

static int say_mail(struct client *client)
{
    const struct submission *submission = client->submission;
    if (submission->utf8 && !offers(client, EXTENSION_SMTPUTF8)) {
        snprintf(client->why, HANDIN_WHY_MAX,
                 "an address has other characters than ASCII, and the relay takes none (SMTPUTF8)");
        return EX_DATAERR;
    }
    buffer_print(&client->command, "MAIL FROM:<%s>", submission->sender);
    if (offers(client, EXTENSION_SIZE))
        buffer_print(&client->command, " SIZE=%zu", buffer_length(&submission->text));
    if (submission->eight_bit && offers(client, EXTENSION_8BITMIME))
        buffer_append(&client->command, SPAN(" BODY=8BITMIME"));
    if (submission->utf8)
        buffer_append(&client->command, SPAN(" SMTPUTF8"));
    if (offers(client, EXTENSION_DSN))
        add_dsn_of_mail(client);
    int code = exchange(client, REPLY_MS);
    if (code != EX_OK || reply_is_positive(&client->reply))
        return code;
    return refused(client, submission->sender[0] ? submission->sender : "the null sender <>");
}

static void add_notify(struct client *client)
{
    static const struct {
        enum notify_flag flag;
        const char *word;
    } words[] = {{NOTIFY_NEVER, "NEVER"},
                 {NOTIFY_SUCCESS, "SUCCESS"},
                 {NOTIFY_FAILURE, "FAILURE"},
                 {NOTIFY_DELAY, "DELAY"}};
    const char *before = " NOTIFY=";
    for (size_t i = 0; i < countof(words); i++)
        if (client->options->notify & words[i].flag) {
            buffer_print(&client->command, "%s%s", before, words[i].word);
            before = ",";
        }
}

static int say_rcpt(struct client *client, const char *recipient)
{
    buffer_print(&client->command, "RCPT TO:<%s>", recipient);
    if (offers(client, EXTENSION_DSN))
        add_notify(client);
    return exchange(client, REPLY_MS);
}

/* RFC 5321 4.5.3.1.10: what does not fit goes in another transaction. */
static bool is_too_many(const struct reply *reply)
{
    return reply->code == 452 && reply->status_subject == 5 && reply->status_detail == 3;
}

/* From recipient number `first` on, as many as the transaction takes; *next is the first of the
 * next one. */
static int say_recipients(struct client *client, unsigned first, unsigned *next)
{
    const struct address_list *recipients = &client->submission->recipients;
    for (*next = first; *next < recipients->count; (*next)++) {
        int code = say_rcpt(client, recipients->items[*next]);
        if (code != EX_OK)
            return code;
        if (*next > first && is_too_many(&client->reply))
            return EX_OK;
        if (!reply_is_positive(&client->reply))
            return refused(client, recipients->items[*next]);
    }
    return EX_OK;
}

/* ---- the text ---- */

/* A relay that goes away meanwhile is met at the reply. */
static void write_text(struct client *client)
{
    struct span rest = buffer_span(&client->submission->text);
    struct buffer piece CLEANUP(buffer_free) = {0};
    struct data_writer writer;
    enum lines_result result = LINES_OK;
    data_writer_init(&writer);
    while (result == LINES_OK && rest.length > 0) {
        size_t length = rest.length < PIECE_BYTES ? rest.length : PIECE_BYTES;
        data_write(&writer, (struct span){rest.data, length}, &piece);
        rest = span_skip(rest, length);
        result = lines_write(&client->lines, os_now() + REPLY_MS, buffer_span(&piece));
        buffer_clear(&piece);
    }
    data_write_end(&writer, &piece);
    if (result == LINES_OK)
        lines_write(&client->lines, os_now() + REPLY_MS, buffer_span(&piece));
}

static int say_data(struct client *client)
{
    buffer_append(&client->command, SPAN("DATA"));
    int code = exchange(client, REPLY_MS);
    if (code != EX_OK)
        return code;
    if (!reply_is_intermediate(&client->reply))
        return refused(client, "the message");
    write_text(client);
    code = read_reply(client, FINAL_REPLY_MS);
    if (code != EX_OK || reply_is_positive(&client->reply))
        return code;
    return refused(client, "the message");
}

/* ---- all of it ---- */

static int transaction(struct client *client, unsigned first, unsigned *next)
{
    int code = say_mail(client);
    if (code == EX_OK)
        code = say_recipients(client, first, next);
    return code == EX_OK ? say_data(client) : code;
}

static int converse(struct client *client)
{
    unsigned count = client->submission->recipients.count, next = 0;
    int code = greet(client);
    for (unsigned first = 0; code == EX_OK && first < count; first = next) {
        code = transaction(client, first, &next);
        size_t length = strlen(client->why);
        if (code != EX_OK && first > 0)
            snprintf(client->why + length, HANDIN_WHY_MAX - length,
                     " (%u of %u recipients have it already)", first, count);
    }
    if (code == EX_OK)
        say_reply(client, "");
    lines_write(&client->lines, os_now() + REPLY_MS, SPAN("QUIT\r\n")); /* for good manners */
    return code;
}

int submit_unreachable(const char *path, int error, char why[HANDIN_WHY_MAX])
{
    const char *what = error == ENOENT         ? "there is no such socket"
                       : error == ECONNREFUSED ? "nobody listens there"
                                               : strerror(error);
    bool denied = error == EACCES || error == EPERM;
    snprintf(why, HANDIN_WHY_MAX, "no relay answers at %s (%s): %s", path, what,
             denied ? "let users reach that directory" : "start it, or try again later");
    return denied ? EX_NOPERM : EX_TEMPFAIL;
}

int hand_in(const char *socket_path, const struct submission *submission,
            const struct sendmail_options *options, char why[HANDIN_WHY_MAX])
{
    int socket = unix_connect(socket_path);
    if (socket < 0)
        return submit_unreachable(socket_path, -socket, why);
    struct client client = {.submission = submission, .options = options, .why = why};
    lines_init(&client.lines, socket, -1, REPLY_LINE_MAX);
    int code = converse(&client);
    lines_free(&client.lines);
    reply_reader_free(&client.reader);
    buffer_free(&client.received);
    buffer_free(&client.command);
    return code;
}
