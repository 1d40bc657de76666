/* What a machine reads (RFC 3464 2.1; with UTF-8 addresses RFC 6533 4). */
#include "base/xtext.h"
#include "queue/bounce_inside.h"

#include <string.h>

/* ---- fields ---- */

static const char *action_of(enum notice notice)
{
    switch (notice) {
    case NOTICE_FAILED: return "failed";
    case NOTICE_DELAYED: return "delayed";
    case NOTICE_RELAYED: return "relayed";
    case NOTICE_NONE: break;
    }
    must_not_reach();
}

/* RFC 3463: the class says success, persistent transient or permanent; X.4.7 is a delivery time
 * that expired. What expired keeps the last deferral's code (RFC 3464 2.3.4 allows that). */
struct status status_told(enum notice notice, const struct verdict *verdict)
{
    struct status given = verdict->status;
    switch (notice) {
    case NOTICE_FAILED:
        if (verdict->kind == VERDICT_EXPIRED)
            return given.class == 4 || given.class == 5 ? given : (struct status){4, 4, 7};
        return given.class == 5 ? given : (struct status){5, 0, 0};
    case NOTICE_DELAYED: return given.class == 4 ? given : (struct status){4, 0, 0};
    case NOTICE_RELAYED: return given.class == 2 ? given : (struct status){2, 0, 0};
    case NOTICE_NONE: break;
    }
    must_not_reach();
}

static void put_date(const struct writing *writing, const char *field, int64_t ms)
{
    char date[MAIL_DATE_MAX];
    buffer_print(writing->to, "%s: %s\r\n", field, mail_date(ms, date));
}

/* "mx1.example.test[192.0.2.1]:25" is mx1.example.test, and where there is no name it is the
 * address, as a literal of RFC 5321 4.1.3. */
static void put_remote_mta(const struct writing *writing, struct span host)
{
    const char *open = host.length > 0 ? memchr(host.data, '[', host.length) : NULL;
    struct span name = host;
    if (open != NULL)
        name.length = (size_t)(open - host.data);
    put(writing, SPAN("Remote-MTA: dns; "));
    if (name.length > 0) {
        put_clean(writing, name);
    } else {
        struct span address = span_skip(host, 1);
        const char *close = memchr(address.data, ']', address.length);
        if (close != NULL)
            address.length = (size_t)(close - address.data);
        bool is_ipv6 = memchr(address.data, ':', address.length) != NULL;
        put(writing, is_ipv6 ? SPAN("[IPv6:") : SPAN("["));
        put_clean(writing, address);
        put(writing, SPAN("]"));
    }
    put(writing, SPAN("\r\n"));
}

/* ORCPT came as addr-type ";" xtext, and goes back decoded (RFC 3461 6.3). */
static void put_original_recipient(const struct writing *writing, struct span orcpt)
{
    struct buffer address CLEANUP(buffer_free) = {0};
    const char *semicolon = orcpt.length > 0 ? memchr(orcpt.data, ';', orcpt.length) : NULL;
    if (semicolon == NULL)
        return;
    struct span type = {orcpt.data, (size_t)(semicolon - orcpt.data)};
    struct span text = span_skip(orcpt, type.length + 1);
    bool is_utf8 = span_equal_nocase(type, SPAN("utf-8"));
    if (is_utf8 ? !utf8_xtext_decode(text, &address) : !xtext_decode(text, &address))
        return;
    /* Where UTF-8 may not stand its ASCII form does (RFC 6533 3). */
    bool as_it_came = is_utf8 && !writing->utf8 && !span_is_ascii(buffer_span(&address));
    put(writing, SPAN("Original-Recipient: "));
    put_clean(writing, type);
    put(writing, SPAN("; "));
    put_clean(writing, as_it_came ? text : buffer_span(&address));
    put(writing, SPAN("\r\n"));
}

static void put_envelope_id(const struct writing *writing, struct span envid)
{
    struct buffer decoded CLEANUP(buffer_free) = {0};
    if (envid.length == 0 || !xtext_decode(envid, &decoded))
        return;
    put(writing, SPAN("Original-Envelope-Id: "));
    put_clean(writing, buffer_span(&decoded));
    put(writing, SPAN("\r\n"));
}

/* ---- blocks ---- */

static void put_recipient(const struct writing *writing, unsigned i)
{
    const struct bounce *bounce = writing->bounce;
    const struct recipient *recipient = &bounce->envelope->recipients[i];
    const struct verdict *verdict = &bounce->verdicts[i];
    char status[STATUS_TEXT_MAX];
    struct span path = span_of(recipient->path);
    put(writing, SPAN("\r\n"));
    put_original_recipient(writing, span_of(recipient->orcpt));
    buffer_print(writing->to, "Final-Recipient: %s; ", span_is_ascii(path) ? "rfc822" : "utf-8");
    put_clean(writing, path);
    buffer_print(writing->to, "\r\nAction: %s\r\nStatus: %s\r\n", action_of(bounce->notices[i]),
                 status_format(status_told(bounce->notices[i], verdict), status));
    if (verdict->host.length > 0)
        put_remote_mta(writing, verdict->host);
    buffer_print(writing->to, "Diagnostic-Code: %s; ", verdict->code != 0 ? "smtp" : "x-millrace");
    put_reply(writing, verdict, "    ");
    put(writing, SPAN("\r\n"));
    put_date(writing, "Last-Attempt-Date", bounce->now_ms);
    if (bounce->notices[i] == NOTICE_DELAYED)
        put_date(writing, "Will-Retry-Until", bounce->until_ms);
}

void put_status_part(const struct writing *writing)
{
    const struct bounce *bounce = writing->bounce;
    const struct message *original = bounce->envelope->message;
    put_envelope_id(writing, span_of(original->envid));
    put(writing, SPAN("Reporting-MTA: dns; "));
    put_clean(writing, span_of(bounce->hostname));
    put(writing, SPAN("\r\n"));
    put_date(writing, "Arrival-Date", original->arrived_ms);
    if (original->deliver_by_ms != 0) /* RFC 2852 5 */
        put_date(writing, "Deliver-By-Date", original->deliver_by_ms);
    for (unsigned i = 0; i < bounce->envelope->count; i++)
        if (bounce->notices[i] != NOTICE_NONE)
            put_recipient(writing, i);
}
