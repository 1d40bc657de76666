#include "queue/bounce.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_TEXT_MAX 900 /* RFC 5322 2.1.1 allows 998 to a line */
#define FOLD_AT 72

bool bounce_is_owed(const struct message *message, const struct verdict *verdicts, unsigned count)
{
    if (message->sender[0] == '\0' || (message->flags & MESSAGE_BOUNCE))
        return false;
    for (unsigned i = 0; i < count; i++)
        if (verdicts[i].kind == VERDICT_BOUNCED || verdicts[i].kind == VERDICT_EXPIRED)
            return true;
    return false;
}

char *mail_date(int64_t wall_ms, char text[MAIL_DATE_MAX])
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm parts;
    time_t seconds = wall_ms / 1000;
    gmtime_r(&seconds, &parts);
    snprintf(text, MAIL_DATE_MAX, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[parts.tm_wday],
             parts.tm_mday, months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
             parts.tm_sec);
    return text;
}

/* ---- foreign text: printable ASCII on one line, whatever came ---- */

static char clean(char c)
{
    if (c == '\t' || c == '\r' || c == '\n')
        return ' ';
    return c >= ' ' && c <= '~' ? c : '?';
}

static void put_clean(struct buffer *to, struct span text)
{
    for (size_t i = 0; i < text.length && i < LINE_TEXT_MAX; i++) {
        char c = clean(text.data[i]);
        buffer_append(to, (struct span){&c, 1});
    }
}

/* Lines broken at blanks once they are long; each further one begins with `indent`. */
static void put_folded(struct buffer *to, struct span text, const char *indent)
{
    size_t column = 0;
    text = span_trim(text);
    for (size_t i = 0; i < text.length && i < LINE_TEXT_MAX; i++) {
        char c = clean(text.data[i]);
        if (c == ' ' && column >= FOLD_AT) {
            buffer_print(to, "\r\n%s", indent);
            column = 0;
            continue;
        }
        buffer_append(to, (struct span){&c, 1});
        column++;
    }
}

static void put_field(struct buffer *to, const char *name, struct span value)
{
    buffer_print(to, "%s: ", name);
    put_folded(to, value, "    ");
    buffer_append(to, SPAN("\r\n"));
}

/* ---- what the parts say ---- */

static bool is_reported(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_BOUNCED || verdict->kind == VERDICT_EXPIRED;
}

/* The code that was given when it fits what happened; else the one that says only that
 * (RFC 3463 3.1 and X.4.7, delivery time expired). */
static struct status reported_status(const struct verdict *verdict)
{
    bool expired = verdict->kind == VERDICT_EXPIRED;
    if (verdict->status.class == (expired ? 4 : 5))
        return verdict->status;
    return expired ? (struct status){4, 4, 7} : (struct status){5, 0, 0};
}

static const char *advice(const struct verdict *verdict)
{
    struct status status = reported_status(verdict);
    if (verdict->kind == VERDICT_EXPIRED)
        return "It was tried for as long as mail is kept here. Send it again when the other\r\n"
               "    side is back, or reach the recipient in another way.";
    switch (status.subject) {
    case 1: return "Check the address for a mistake and send the message again.";
    case 2: return "The mailbox cannot take it now. Ask the recipient in another way.";
    case 3: return "The other system cannot take this message. It may be too large.";
    case 6: return "The other system cannot take this form of content.";
    case 7: return "The other system refuses it by its rules. Its administrator can tell why.";
    }
    return "It will not be tried again. The words above say what was wrong.";
}

static struct span recipient_path(const struct bounce *bounce, unsigned i)
{
    return span_of(bounce->envelope->recipients[i].path);
}

/* "550 5.1.1 No such user", or our own words without codes. */
static void put_reply(struct buffer *to, const struct verdict *verdict, const char *indent)
{
    char status[STATUS_TEXT_MAX];
    if (verdict->code != 0)
        buffer_print(to, "%03u ", verdict->code % 1000u);
    if (verdict->code != 0 && status_belongs(verdict->status, verdict->code))
        buffer_print(to, "%s ", status_format(verdict->status, status));
    put_folded(to, verdict->text.length > 0 ? verdict->text : SPAN("(no words given)"), indent);
}

static void put_duration(struct buffer *to, int64_t ms)
{
    static const struct {
        int64_t ms;
        const char *name;
    } units[] = {{86400000, "day"}, {3600000, "hour"}, {60000, "minute"}, {1000, "second"}};
    size_t i = 0;
    while (i + 1 < countof(units) && ms < units[i].ms)
        i++;
    long count = ms > 0 ? (long)(ms / units[i].ms) : 0;
    buffer_print(to, "%ld %s%s", count, units[i].name, count == 1 ? "" : "s");
}

static void put_explanation(const struct bounce *bounce, unsigned i, struct buffer *to)
{
    const struct verdict *verdict = &bounce->verdicts[i];
    buffer_append(to, SPAN("\r\n<"));
    put_clean(to, recipient_path(bounce, i));
    buffer_append(to, SPAN(">\r\n    "));
    if (verdict->kind == VERDICT_EXPIRED) {
        buffer_append(to, SPAN("could not be reached for "));
        put_duration(to, bounce->now_ms - bounce->envelope->message->arrived_ms);
        buffer_append(to, SPAN(". At the last attempt "));
    }
    if (verdict->host.length > 0)
        put_clean(to, verdict->host);
    else
        buffer_append(to, SPAN("this mail server"));
    buffer_append(to, SPAN(" said:\r\n        "));
    put_reply(to, verdict, "        ");
    buffer_print(to, "\r\n    %s\r\n", advice(verdict));
}

/* "mx1.example.test[192.0.2.1]:25" -> "mx1.example.test"; "[192.0.2.1]:25" -> "[192.0.2.1]" */
static struct span host_name(struct span host)
{
    bool literal = host.length > 0 && host.data[0] == '[';
    const char *end = host.length > 0 ? memchr(host.data, literal ? ']' : '[', host.length) : NULL;
    if (end != NULL)
        host.length = (size_t)(end - host.data) + literal;
    return host;
}

static void put_recipient_fields(const struct bounce *bounce, unsigned i, struct buffer *to)
{
    const struct verdict *verdict = &bounce->verdicts[i];
    char text[MAIL_DATE_MAX];
    buffer_append(to, SPAN("\r\nFinal-Recipient: rfc822; "));
    put_clean(to, recipient_path(bounce, i));
    buffer_append(to, SPAN("\r\nAction: failed\r\n"));
    put_field(to, "Status", span_of(status_format(reported_status(verdict), text)));
    if (verdict->host.length > 0) {
        buffer_append(to, SPAN("Remote-MTA: dns; "));
        put_clean(to, host_name(verdict->host));
        buffer_append(to, SPAN("\r\n"));
    }
    buffer_print(to, "Diagnostic-Code: %s; ", verdict->code != 0 ? "smtp" : "x-millrace");
    put_reply(to, verdict, "    ");
    buffer_append(to, SPAN("\r\n"));
    put_field(to, "Last-Attempt-Date", span_of(mail_date(bounce->now_ms, text)));
}

/* ---- the parts ---- */

static void put_boundary(const struct bounce *bounce, struct buffer *to)
{
    char id[MESSAGE_ID_TEXT];
    buffer_print(to, "=_%s/", message_id_format(bounce->id, id));
    put_clean(to, span_of(bounce->hostname));
}

static void begin_part(const struct bounce *bounce, struct buffer *to, const char *type)
{
    buffer_append(to, SPAN("\r\n--"));
    put_boundary(bounce, to);
    buffer_print(to, "\r\nContent-Type: %s\r\n\r\n", type);
}

static void put_header(const struct bounce *bounce, struct buffer *to)
{
    char text[MAIL_DATE_MAX];
    put_field(to, "Date", span_of(mail_date(bounce->now_ms, text)));
    buffer_append(to, SPAN("From: Mail Delivery System <MAILER-DAEMON@"));
    put_clean(to, span_of(bounce->hostname));
    buffer_append(to, SPAN(">\r\nTo: <"));
    put_clean(to, span_of(bounce->envelope->message->sender));
    buffer_append(to, SPAN(">\r\nSubject: Your message could not be delivered\r\nMessage-ID: <"));
    buffer_print(to, "%s@", message_id_format(bounce->id, text));
    put_clean(to, span_of(bounce->hostname));
    buffer_append(to, SPAN(">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
                           "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                           "    boundary=\""));
    put_boundary(bounce, to);
    buffer_append(to, SPAN("\"\r\n\r\nThis is a delivery status notification in MIME format.\r\n"));
}

static void put_text_part(const struct bounce *bounce, struct buffer *to)
{
    begin_part(bounce, to, "text/plain; charset=us-ascii");
    buffer_append(to, SPAN("This is the mail server "));
    put_clean(to, span_of(bounce->hostname));
    buffer_append(
        to,
        SPAN(".\r\n\r\nYour message could not be delivered to the recipients named here, and\r\n"
             "will not be tried again for them. This says nothing about any others.\r\n"
             "The header of your message is attached.\r\n"));
    for (unsigned i = 0; i < bounce->envelope->count; i++)
        if (is_reported(&bounce->verdicts[i]))
            put_explanation(bounce, i, to);
}

static void put_status_part(const struct bounce *bounce, struct buffer *to)
{
    char text[MAIL_DATE_MAX];
    begin_part(bounce, to, "message/delivery-status");
    buffer_append(to, SPAN("Reporting-MTA: dns; "));
    put_clean(to, span_of(bounce->hostname));
    buffer_append(to, SPAN("\r\n"));
    put_field(to, "Arrival-Date", span_of(mail_date(bounce->envelope->message->arrived_ms, text)));
    for (unsigned i = 0; i < bounce->envelope->count; i++)
        if (is_reported(&bounce->verdicts[i]))
            put_recipient_fields(bounce, i, to);
}

/* The original's header up to its empty line, in whole lines. No line of it can be taken for
 * a boundary of ours: one that begins with a dash becomes a continuation. */
static void put_original_part(const struct bounce *bounce, struct buffer *to)
{
    struct span rest = bounce->body;
    struct span line;
    size_t room = BOUNCE_HEADERS_MAX;
    begin_part(bounce, to, "text/rfc822-headers");
    while (span_line(&rest, &line) && line.length > 0 && line.length + 2 <= room) {
        room -= line.length + 2;
        if (line.data[0] == '-')
            buffer_append(to, SPAN(" "));
        put_clean(to, line);
        buffer_append(to, SPAN("\r\n"));
    }
}

void bounce_write(const struct bounce *bounce, struct buffer *to)
{
    put_header(bounce, to);
    put_text_part(bounce, to);
    put_status_part(bounce, to);
    put_original_part(bounce, to);
    buffer_append(to, SPAN("\r\n--"));
    put_boundary(bounce, to);
    buffer_append(to, SPAN("--\r\n"));
}
