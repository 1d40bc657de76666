#include "queue/bounce.h"

#include "base/utf8.h"
#include "queue/bounce_inside.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LINE_TEXT_MAX 900 /* RFC 5322 2.1.1 allows 998 to a line */
#define FOLD_AT 72

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

/* ---- what is owed ---- */

static bool wants(const struct recipient *recipient, enum notify_flag flag, bool unless_said)
{
    return recipient->notify == 0 ? unless_said : (recipient->notify & flag) != 0;
}

enum notice notice_owed(const struct message *message, const struct recipient *recipient,
                        const struct verdict *verdict, bool warn)
{
    bool by_notify = (message->flags & MESSAGE_BY_NOTIFY) != 0;
    bool by_trace = (message->flags & MESSAGE_BY_TRACE) != 0;
    if (message->sender[0] == '\0' || (message->flags & MESSAGE_BOUNCE) ||
        (recipient->notify & NOTIFY_NEVER))
        return NOTICE_NONE;
    switch (verdict->kind) {
    case VERDICT_BOUNCED:
    case VERDICT_EXPIRED:
        return wants(recipient, NOTIFY_FAILURE, true) ? NOTICE_FAILED : NOTICE_NONE;
    case VERDICT_DEFERRED:
    case VERDICT_IN_DOUBT: /* who gave a deadline wants to hear of it */
        return warn && (by_notify || wants(recipient, NOTIFY_DELAY, true)) ? NOTICE_DELAYED
                                                                           : NOTICE_NONE;
    case VERDICT_DELIVERED: /* a deadline that nobody keeps from here is told of as well */
        return by_trace || (by_notify && verdict->untimed) ||
                       (verdict->relayed && wants(recipient, NOTIFY_SUCCESS, false))
                   ? NOTICE_RELAYED
                   : NOTICE_NONE;
    case VERDICT_NONE:
    case VERDICT_DROPPED: return NOTICE_NONE;
    }
    must_not_reach();
}

enum notice notice_gravest(const struct bounce *bounce)
{
    enum notice gravest = NOTICE_NONE;
    for (unsigned i = 0; i < bounce->envelope->count; i++) {
        enum notice notice = bounce->notices[i];
        if (notice != NOTICE_NONE && (gravest == NOTICE_NONE || notice < gravest))
            gravest = notice;
    }
    return gravest;
}

/* Binary content needs a transport that few offer; what did not fail is with whoever took it
 * (RFC 3461 4.3); and of what came with REQUIRETLS no more than the header comes back, whatever RET
 * says (RFC 8689 5). */
bool bounce_is_full(const struct bounce *bounce)
{
    const struct message *original = bounce->envelope->message;
    const uint32_t never = MESSAGE_BINARYMIME | MESSAGE_REQUIRETLS;
    return (original->flags & MESSAGE_RET_FULL) && !(original->flags & never) &&
           bounce->copy_to == NULL && original->place.length <= bounce->full_max &&
           notice_gravest(bounce) == NOTICE_FAILED;
}

/* ---- foreign text ---- */

/* The next character of `rest` as it may be written: itself, a blank, or a question mark. */
static struct span next_clean(const struct writing *writing, struct span *rest)
{
    const char *start = rest->data;
    uint32_t code;
    bool whole = utf8_next(rest, &code);
    if (code == '\t' || code == '\r' || code == '\n')
        return SPAN(" ");
    if (code >= ' ' && code <= '~')
        return (struct span){start, 1};
    bool separator = code == 0x2028 || code == 0x2029;
    if (!writing->utf8 || !whole || code < 0xa0 || separator)
        return SPAN("?");
    return (struct span){start, (size_t)(rest->data - start)};
}

void put_clean(const struct writing *writing, struct span text)
{
    size_t written = 0;
    while (text.length > 0 && written < LINE_TEXT_MAX) {
        struct span next = next_clean(writing, &text);
        put(writing, next);
        written += next.length;
    }
}

void put_folded(const struct writing *writing, struct span text, const char *indent)
{
    size_t column = 0, written = 0;
    text = span_trim(text);
    while (text.length > 0 && written < LINE_TEXT_MAX) {
        struct span next = next_clean(writing, &text);
        written += next.length;
        if (next.data[0] == ' ' && column >= FOLD_AT) {
            buffer_print(writing->to, "\r\n%s", indent);
            column = 0;
            continue;
        }
        put(writing, next);
        column += next.length;
    }
}

void put_reply(const struct writing *writing, const struct verdict *verdict, const char *indent)
{
    char status[STATUS_TEXT_MAX];
    if (verdict->code != 0)
        buffer_print(writing->to, "%03u ", verdict->code % 1000u);
    if (verdict->code != 0 && status_belongs(verdict->status, verdict->code))
        buffer_print(writing->to, "%s ", status_format(verdict->status, status));
    put_folded(writing, verdict->text.length > 0 ? verdict->text : SPAN("(no words given)"),
               indent);
}

/* ---- the header ---- */

static const char *subject_of(enum notice notice)
{
    switch (notice) {
    case NOTICE_FAILED: return "Your message could not be delivered";
    case NOTICE_DELAYED: return "Your message is delayed";
    case NOTICE_RELAYED: return "Your message was passed on";
    case NOTICE_NONE: break;
    }
    must_not_reach();
}

static void put_fields_of(const struct writing *writing, const char *hostname, const char *to,
                          uint64_t id, int64_t now_ms)
{
    char text[MAIL_DATE_MAX];
    buffer_print(writing->to, "Date: %s\r\n", mail_date(now_ms, text));
    put(writing, SPAN("From: Mail Delivery System <MAILER-DAEMON@"));
    put_clean(writing, span_of(hostname));
    put(writing, SPAN(">\r\nTo: <"));
    put_clean(writing, span_of(to));
    buffer_print(writing->to, ">\r\nMessage-ID: <%s@", message_id_format(id, text));
    put_clean(writing, span_of(hostname));
    put(writing, SPAN(">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"));
}

/* It is protected as its original was (RFC 8689 5). */
static uint32_t inherited_flags(const struct message *original)
{
    if (original->flags & MESSAGE_REQUIRETLS)
        return MESSAGE_REQUIRETLS;
    return original->flags & MESSAGE_TLS_OPTIONAL;
}

static const char *receiver(const struct bounce *bounce)
{
    return bounce->copy_to != NULL ? bounce->copy_to : bounce->envelope->message->sender;
}

static void put_header(const struct writing *writing)
{
    const struct bounce *bounce = writing->bounce;
    buffer_print(writing->to, "Subject: %s%s\r\n", bounce->copy_to != NULL ? "Copy: " : "",
                 subject_of(notice_gravest(bounce)));
    put_fields_of(writing, bounce->hostname, receiver(bounce), bounce->id, bounce->now_ms);
    if (inherited_flags(bounce->envelope->message) & MESSAGE_TLS_OPTIONAL)
        put(writing, SPAN("TLS-Required: No\r\n"));
    if (writing->eight_bit)
        put(writing, SPAN("Content-Transfer-Encoding: 8bit\r\n"));
    buffer_print(writing->to,
                 "Content-Type: multipart/report; report-type=%s;\r\n"
                 "    boundary=\"%s\"\r\n\r\n"
                 "This is a delivery status notification in MIME format.\r\n",
                 writing->utf8 ? "global-delivery-status" : "delivery-status", writing->boundary);
}

/* ---- the parts ---- */

static void begin_part(const struct writing *writing, const char *type, bool eight_bit)
{
    buffer_print(writing->to, "\r\n--%s\r\nContent-Type: %s\r\n", writing->boundary, type);
    if (eight_bit)
        put(writing, SPAN("Content-Transfer-Encoding: 8bit\r\n"));
    put(writing, SPAN("\r\n"));
}

/* The original's header up to its empty line, in whole lines. */
static void put_original_header(const struct writing *writing)
{
    struct span rest = writing->bounce->body;
    struct span line;
    size_t room = BOUNCE_HEADERS_MAX;
    begin_part(writing, writing->utf8 ? "message/global-headers" : "text/rfc822-headers",
               writing->utf8);
    while (span_line(&rest, &line) && line.length > 0 && line.length + 2 <= room) {
        room -= line.length + 2;
        put_clean(writing, line);
        put(writing, SPAN("\r\n"));
    }
}

static void put_original(const struct writing *writing)
{
    if (!writing->full) {
        put_original_header(writing);
        return;
    }
    begin_part(writing, writing->utf8 ? "message/global" : "message/rfc822",
               !span_is_ascii(writing->bounce->body));
    put(writing, writing->bounce->body);
}

/* One that stands nowhere in the original. */
static void choose_boundary(struct writing *writing)
{
    char id[MESSAGE_ID_TEXT];
    struct span body = writing->bounce->body;
    message_id_format(writing->bounce->id, id);
    unsigned number = 0;
    do
        snprintf(writing->boundary, sizeof(writing->boundary), "=_%s.%u", id, ++number);
    while (body.length > 0 &&
           memmem(body.data, body.length, writing->boundary, strlen(writing->boundary)) != NULL);
}

static uint32_t flags_needed(const struct writing *writing, const char *to)
{
    uint32_t flags = MESSAGE_BOUNCE;
    if (!span_is_ascii(span_of(to)))
        flags |= MESSAGE_SMTPUTF8;
    if (!span_is_ascii(buffer_span(writing->to)))
        flags |= MESSAGE_8BITMIME;
    return flags;
}

uint32_t bounce_write(const struct bounce *bounce, struct buffer *to)
{
    struct writing writing = {
        .bounce = bounce,
        .to = to,
        .utf8 = (bounce->envelope->message->flags & MESSAGE_SMTPUTF8) != 0,
        .full = bounce_is_full(bounce) &&
                bounce->body.length == bounce->envelope->message->place.length,
    };
    writing.eight_bit = writing.utf8 || (writing.full && !span_is_ascii(bounce->body));
    choose_boundary(&writing);
    put_header(&writing);
    begin_part(&writing,
               writing.utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
               writing.utf8);
    put_text_part(&writing);
    begin_part(&writing,
               writing.utf8 ? "message/global-delivery-status" : "message/delivery-status",
               writing.utf8);
    put_status_part(&writing);
    put_original(&writing);
    buffer_print(to, "\r\n--%s--\r\n", writing.boundary);
    return flags_needed(&writing, receiver(bounce)) | inherited_flags(bounce->envelope->message);
}

/* ---- the summary ---- */

uint32_t bounce_summary_write(const struct bounce_summary *summary, struct buffer *to)
{
    char since[MAIL_DATE_MAX];
    struct writing writing = {.to = to, .utf8 = !span_is_ascii(span_of(summary->sender))};
    put(&writing, SPAN("Subject: More of your messages could not be delivered\r\n"));
    put_fields_of(&writing, summary->hostname, summary->sender, summary->id, summary->now_ms);
    put(&writing, SPAN("Content-Type: text/plain; charset=us-ascii\r\n\r\n"
                       "This is the mail server "));
    put_clean(&writing, span_of(summary->hostname));
    buffer_print(
        to,
        ".\r\n\r\nSo much of your mail came back that you were not told of each message.\r\n"
        "Since %s,\r\n%llu further notifications were not sent to you.\r\n\r\n"
        "The log of this server names every message and recipient; look there for\r\n"
        "lines that say \"bounce-suppressed\".\r\n",
        mail_date(summary->since_ms, since), (unsigned long long)summary->withheld);
    return flags_needed(&writing, summary->sender);
}
