/* What MAIL and RCPT say of a message to a host that offers this and that, and whether such a
 * host can take it at all. */
#include "relay/outbound/session_inside.h"

#include "base/xtext.h"

#include <string.h>

static const struct message *message_of(const struct session *session)
{
    return session->delivery->envelope->message;
}

static bool has(const struct session *session, enum extension extension)
{
    return extensions_have(&session->extensions, extension);
}

/* ---- what a host cannot take ---- */

static bool refuse(const struct session *session, struct verdict *verdict, struct status status,
                   const char *why)
{
    *verdict = local_verdict(session, session->delivery->arena, VERDICT_BOUNCED, status, why);
    return true;
}

/* RFC 1870 6.1 */
static bool too_large(const struct session *session, struct verdict *verdict)
{
    uint64_t length = message_of(session)->place.length;
    uint64_t most = session->extensions.size;
    if (!has(session, EXTENSION_SIZE) || most == 0 || length <= most)
        return false;
    return refuse(session, verdict, (struct status){5, 3, 4},
                  arena_print(session->delivery->arena,
                              "the message of %llu bytes is larger than the %llu that the server "
                              "takes",
                              (unsigned long long)length, (unsigned long long)most));
}

/* Seconds until the message is to have been delivered; below 0 when that time has passed. */
static int64_t seconds_left(const struct session *session)
{
    return (message_of(session)->deliver_by_ms - session->delivery->now_ms) / 1000;
}

/* By-mode R goes only to a host that keeps the time as well, and has enough of it (RFC 2852 4).
 */
static bool too_late(const struct session *session, struct verdict *verdict)
{
    const struct status status = {5, 4, 7};
    if (!(message_of(session)->flags & MESSAGE_BY_RETURN))
        return false;
    if (!has(session, EXTENSION_DELIVERBY))
        return refuse(session, verdict, status,
                      "the message is to be returned unless it is delivered in time, and the "
                      "server does not offer DELIVERBY");
    int64_t left = seconds_left(session);
    if (left > 0 && left >= session->extensions.least_by)
        return false;
    return refuse(session, verdict, status,
                  arena_print(session->delivery->arena,
                              "the message is to be delivered within %lld s, and the server "
                              "wants %u",
                              (long long)left, session->extensions.least_by));
}

/* RFC 8689 4.2.1 */
static bool lacks_requiretls(const struct session *session, struct verdict *verdict)
{
    if (session->delivery->envelope->security != SECURITY_REQUIRED)
        return false;
    if (!session->promises)
        return refuse(session, verdict, (struct status){5, 7, 10},
                      "the message came with REQUIRETLS, and the server is not authenticated");
    if (has(session, EXTENSION_REQUIRETLS))
        return false;
    return refuse(session, verdict, (struct status){5, 7, 30},
                  "the message came with REQUIRETLS, and the server does not offer it");
}

bool cannot_take(const struct session *session, struct verdict *verdict)
{
    uint32_t flags = message_of(session)->flags;
    if (lacks_requiretls(session, verdict) || too_large(session, verdict) ||
        too_late(session, verdict))
        return true;
    if ((flags & MESSAGE_SMTPUTF8) && !has(session, EXTENSION_SMTPUTF8))
        return refuse(session, verdict, (struct status){5, 6, 7}, /* RFC 6531 3.5 */
                      "the message needs SMTPUTF8, and the server does not offer it");
    bool binary = has(session, EXTENSION_BINARYMIME) && has(session, EXTENSION_CHUNKING);
    if ((flags & MESSAGE_BINARYMIME) && !binary) /* RFC 3030 3 */
        return refuse(session, verdict, (struct status){5, 6, 3},
                      "the message is binary, and the server does not take that");
    if ((flags & MESSAGE_8BITMIME) && !has(session, EXTENSION_8BITMIME)) /* RFC 6152 3 */
        return refuse(session, verdict, (struct status){5, 6, 3},
                      "the message is 8-bit, and the server does not take that");
    return false;
}

/* ---- MAIL ---- */

static void write_body_type(struct session *session)
{
    uint32_t flags = message_of(session)->flags;
    if (flags & MESSAGE_BINARYMIME)
        buffer_append(session->out, SPAN(" BODY=BINARYMIME"));
    else if (flags & MESSAGE_8BITMIME)
        buffer_append(session->out, SPAN(" BODY=8BITMIME"));
}

/* RFC 3461 5.2.1: as they came, and not at all when they did not. */
static void write_mail_dsn(struct session *session)
{
    const struct message *message = message_of(session);
    if (!has(session, EXTENSION_DSN))
        return;
    if (message->flags & MESSAGE_RET_FULL)
        buffer_append(session->out, SPAN(" RET=FULL"));
    else if (message->flags & MESSAGE_RET_HEADERS)
        buffer_append(session->out, SPAN(" RET=HDRS"));
    if (*message->envid != '\0')
        buffer_print(session->out, " ENVID=%s", message->envid);
}

/* RFC 2852 4: nine digits at most; a time that has passed is negative, and by-mode N only. */
static void write_by(struct session *session)
{
    const int64_t most = 999999999;
    uint32_t flags = message_of(session)->flags;
    if (message_of(session)->deliver_by_ms == 0 || !has(session, EXTENSION_DELIVERBY))
        return;
    int64_t left = seconds_left(session);
    left = left > most ? most : left < -most ? -most : left;
    buffer_print(session->out, " BY=%lld;%s%s", (long long)left,
                 flags & MESSAGE_BY_RETURN ? "R" : "N", flags & MESSAGE_BY_TRACE ? "T" : "");
}

void write_mail(struct session *session)
{
    const struct message *message = message_of(session);
    buffer_print(session->out, "MAIL FROM:<%s>", message->sender);
    if (has(session, EXTENSION_SIZE))
        buffer_print(session->out, " SIZE=%llu", (unsigned long long)message->place.length);
    write_body_type(session);
    if (message->flags & MESSAGE_SMTPUTF8)
        buffer_append(session->out, SPAN(" SMTPUTF8"));
    write_mail_dsn(session);
    write_by(session);
    if ((message->flags & MESSAGE_REQUIRETLS) && session->promises &&
        has(session, EXTENSION_REQUIRETLS))
        buffer_append(session->out, SPAN(" REQUIRETLS"));
    if (session->login.done) /* RFC 4954 5: of the sender we vouch for nothing */
        buffer_append(session->out, SPAN(" AUTH=<>"));
    buffer_append(session->out, SPAN("\r\n"));
}

/* ---- RCPT ---- */

static void write_notify(struct session *session, uint8_t notify)
{
    static const struct {
        enum notify_flag flag;
        const char *word;
    } words[] = {{NOTIFY_NEVER, "NEVER"},
                 {NOTIFY_SUCCESS, "SUCCESS"},
                 {NOTIFY_FAILURE, "FAILURE"},
                 {NOTIFY_DELAY, "DELAY"}};
    const char *before = " NOTIFY=";
    for (size_t i = 0; i < countof(words); i++) {
        if (!(notify & words[i].flag))
            continue;
        buffer_print(session->out, "%s%s", before, words[i].word);
        before = ",";
    }
}

/* As it came; UTF-8 in it has another form where SMTPUTF8 is not spoken (RFC 6533 3). */
static void write_orcpt(struct session *session, const char *orcpt)
{
    CLEANUP(buffer_free) struct buffer utf8 = {0};
    const char *address = strchr(orcpt, ';');
    bool as_it_came =
        (message_of(session)->flags & MESSAGE_SMTPUTF8) || span_is_ascii(span_of(orcpt));
    if (address == NULL)
        return;
    if (as_it_came) {
        buffer_print(session->out, " ORCPT=%s", orcpt);
        return;
    }
    address++;
    if (!utf8_xtext_decode(span_of(address), &utf8))
        return;
    buffer_print(session->out, " ORCPT=%.*s", (int)(address - orcpt), orcpt);
    utf8_xtext_encode(buffer_span(&utf8), session->out);
}

void write_rcpt(struct session *session, unsigned recipient)
{
    const struct recipient *to = &session->delivery->envelope->recipients[recipient];
    buffer_print(session->out, "RCPT TO:<%s>", to->path);
    if (has(session, EXTENSION_DSN)) {
        write_notify(session, to->notify);
        write_orcpt(session, to->orcpt);
    }
    buffer_append(session->out, SPAN("\r\n"));
}
