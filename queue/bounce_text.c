/* What a person reads: which message, what happened to whom, who said so, and what to do. */
#include "queue/bounce_inside.h"

#define SUBJECT_SHOWN_MAX 200

/* ---- which message ---- */

/* The subject as people know it: when it stands there in plain words. */
static bool find_subject(struct span body, struct span *subject)
{
    struct span line;
    while (span_line(&body, &line) && line.length > 0) {
        if (!span_starts_nocase(line, SPAN("Subject:")))
            continue;
        *subject = span_trim(span_skip(line, 8));
        for (size_t i = 0; i + 1 < subject->length; i++)
            if (subject->data[i] == '=' && subject->data[i + 1] == '?') /* RFC 2047 */
                return false;
        return subject->length > 0 && subject->length <= SUBJECT_SHOWN_MAX;
    }
    return false;
}

static void put_about(const struct writing *writing)
{
    char date[MAIL_DATE_MAX];
    const struct bounce *bounce = writing->bounce;
    struct span subject;
    put(writing, SPAN("This is the mail server "));
    put_clean(writing, span_of(bounce->hostname));
    buffer_print(writing->to, ".\r\n\r\nIt is about the message that %s handed in\r\non %s",
                 bounce->copy_to != NULL ? "the sender" : "you",
                 mail_date(bounce->envelope->message->arrived_ms, date));
    if (bounce->copy_to != NULL) {
        put(writing, SPAN(",\r\nfrom <"));
        put_clean(writing, span_of(bounce->envelope->message->sender));
        put(writing, SPAN(">"));
    }
    if (find_subject(bounce->body, &subject)) {
        put(writing, SPAN(",\r\nwith the subject: "));
        put_folded(writing, subject, "    ");
        put(writing, SPAN("\r\n"));
    } else {
        put(writing, SPAN(".\r\n"));
    }
    buffer_print(writing->to, "%s is attached.\r\n", writing->full ? "All of it" : "Its header");
}

/* ---- what happened, and what to do ---- */

static bool ran_out_of_time(const struct verdict *verdict)
{
    return verdict->kind == VERDICT_EXPIRED && verdict->status.class == 5 &&
           verdict->status.subject == 4 && verdict->status.detail == 7;
}

/* RFC 8689 4.2.1 */
static bool lacks_tls(struct status status)
{
    return status.subject == 7 && (status.detail == 10 || status.detail == 30);
}

static const char *advice_on_failure(const struct message *original, const struct verdict *verdict)
{
    struct status status = status_told(NOTICE_FAILED, verdict);
    if ((original->flags & MESSAGE_REQUIRETLS) && lacks_tls(status))
        return "You asked for TLS all the way (REQUIRETLS), and the other side does not provide\r\n"
               "    it. Its administrator can; or send the message again without asking for that.";
    if (ran_out_of_time(verdict))
        return "Its time was set when it was handed in. Send it again with more time, or\r\n"
               "    reach the recipient in another way.";
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

static const char *advice_on(enum notice notice, const struct message *original,
                             const struct verdict *verdict)
{
    switch (notice) {
    case NOTICE_FAILED: return advice_on_failure(original, verdict);
    case NOTICE_DELAYED: return "You need not send it again.";
    case NOTICE_RELAYED: return "What becomes of it there is not reported.";
    case NOTICE_NONE: break;
    }
    must_not_reach();
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

static void put_recipient(const struct writing *writing, unsigned i)
{
    const struct bounce *bounce = writing->bounce;
    const struct verdict *verdict = &bounce->verdicts[i];
    bool waited = bounce->notices[i] == NOTICE_DELAYED || verdict->kind == VERDICT_EXPIRED;
    put(writing, SPAN("\r\n<"));
    put_clean(writing, span_of(bounce->envelope->recipients[i].path));
    put(writing, SPAN(">\r\n    "));
    if (waited) {
        put(writing, SPAN("could not be reached for "));
        put_duration(writing->to, bounce->now_ms - message_began_ms(bounce->envelope->message));
        put(writing, SPAN(". At the last attempt "));
    }
    put_clean(writing, verdict->host.length > 0 ? verdict->host : SPAN("this mail server"));
    put(writing, SPAN(" said:\r\n        "));
    put_reply(writing, verdict, "        ");
    buffer_print(writing->to, "\r\n    %s\r\n",
                 advice_on(bounce->notices[i], bounce->envelope->message, verdict));
}

static void put_heading(const struct writing *writing, enum notice notice)
{
    char date[MAIL_DATE_MAX];
    switch (notice) {
    case NOTICE_FAILED:
        put(writing,
            SPAN("\r\nIt could not be delivered to the recipients named here, and will "
                 "not be\r\ntried again for them. This says nothing about any others.\r\n"));
        return;
    case NOTICE_DELAYED:
        buffer_print(writing->to,
                     "\r\nIt could not be delivered yet to the recipients named here. It is tried "
                     "again\r\nuntil %s.\r\n",
                     mail_date(writing->bounce->until_ms, date));
        return;
    case NOTICE_RELAYED:
        put(writing, SPAN("\r\nFor the recipients named here it was passed on, as you asked to be "
                          "told.\r\n"));
        return;
    case NOTICE_NONE: break;
    }
    must_not_reach();
}

static void put_section(const struct writing *writing, enum notice notice)
{
    const struct bounce *bounce = writing->bounce;
    bool begun = false;
    for (unsigned i = 0; i < bounce->envelope->count; i++) {
        if (bounce->notices[i] != notice)
            continue;
        if (!begun)
            put_heading(writing, notice);
        begun = true;
        put_recipient(writing, i);
    }
}

void put_text_part(const struct writing *writing)
{
    put_about(writing);
    put_section(writing, NOTICE_FAILED);
    put_section(writing, NOTICE_DELAYED);
    put_section(writing, NOTICE_RELAYED);
}
