#include "relay/sendmail/compose.h"

#include "queue/bounce.h"
#include "relay/sendmail/headers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* What a header has, as bits of enum field_kind. */
static bool has(unsigned found, enum field_kind kind)
{
    return (found & (1u << kind)) != 0;
}

void submission_free(struct submission *submission)
{
    addresses_free(&submission->recipients);
    buffer_free(&submission->text);
    arena_free(&submission->arena);
}

/* ---- who sends ---- */

static bool is_null_sender(const char *text)
{
    struct span sender = span_trim(span_of(text));
    return sender.length == 0 || span_equal(sender, SPAN("<>"));
}

static int find_sender(struct submission *submission, const char *given,
                       const struct caller *caller, char why[COMPOSE_WHY_MAX])
{
    struct address_list one CLEANUP(addresses_free);
    addresses_init(&one, caller->origin);
    submission->sender = "";
    if (given != NULL && is_null_sender(given))
        return EX_OK;
    const char *text = given ? given : caller->login;
    const char *fault = addresses_read(&one, span_of(text));
    if (fault == NULL && one.count == 1) {
        submission->sender = arena_copy(&submission->arena, span_of(one.items[0]));
        return EX_OK;
    }
    snprintf(why, COMPOSE_WHY_MAX, "%s is not the address of a sender: %.80s",
             given ? "the value of -f" : "your user name", fault ? fault : "one is needed");
    return given ? EX_USAGE : EX_NOUSER;
}

/* ---- who gets it ---- */

static int read_words(struct submission *submission, const struct sendmail_options *options,
                      char why[COMPOSE_WHY_MAX])
{
    for (unsigned i = 0; i < options->count; i++) {
        const char *fault =
            addresses_read(&submission->recipients, span_of(options->recipients[i]));
        if (fault == NULL)
            continue;
        snprintf(why, COMPOSE_WHY_MAX, "recipient \"%.80s\": %s", options->recipients[i], fault);
        return EX_USAGE;
    }
    if (submission->recipients.count > 0 || options->take_recipients)
        return EX_OK;
    snprintf(why, COMPOSE_WHY_MAX, "no recipients: what was named is no address");
    return EX_USAGE;
}

/* RFC 5322 3.6.6: who sends a message once more names its recipients in Resent- fields. */
static bool names_recipients(enum field_kind kind, bool resent)
{
    if (resent)
        return kind == FIELD_RESENT_TO || kind == FIELD_RESENT_BCC;
    return kind == FIELD_TO || kind == FIELD_BCC;
}

static int read_fields(struct submission *submission, struct span text, bool resent,
                       char why[COMPOSE_WHY_MAX])
{
    struct field field;
    while (field_next(&text, &field)) {
        if (!names_recipients(field.kind, resent))
            continue;
        const char *fault = addresses_read(&submission->recipients, field.value);
        if (fault == NULL)
            continue;
        snprintf(why, COMPOSE_WHY_MAX, "the field %.*s: %s", SPAN_FORMAT(field.name), fault);
        return EX_DATAERR;
    }
    if (submission->recipients.count > 0)
        return EX_OK;
    snprintf(why, COMPOSE_WHY_MAX, "no recipients in the header: %s",
             resent ? "no Resent-To, Resent-Cc or Resent-Bcc names one"
                    : "no To, Cc or Bcc names one");
    return EX_DATAERR;
}

/* ---- the text ---- */

static unsigned fields_of(struct span text)
{
    unsigned found = 0;
    struct field field;
    while (field_next(&text, &field))
        found |= 1u << field.kind;
    return found;
}

static bool is_resent(unsigned found)
{
    return has(found, FIELD_RESENT) || has(found, FIELD_RESENT_TO) || has(found, FIELD_RESENT_BCC);
}

/* Blind copies are nobody's business, and a Return-Path is for who delivers to write (RFC 5321
 * 4.4). */
static bool is_left_out(enum field_kind kind)
{
    return kind == FIELD_BCC || kind == FIELD_RESENT_BCC || kind == FIELD_RETURN_PATH;
}

static void write_from(const struct submission *submission, const struct sendmail_options *options,
                       const struct caller *caller, struct buffer *to)
{
    const char *name = options->full_name ? options->full_name : caller->full_name;
    struct buffer phrase CLEANUP(buffer_free) = {0};
    write_phrase(span_of(name), &phrase);
    buffer_append(to, SPAN("From: "));
    buffer_append(to, buffer_span(&phrase));
    if (buffer_length(&phrase) > 0)
        buffer_append(to, SPAN(" "));
    if (submission->sender[0] != '\0')
        buffer_print(to, "<%s>\r\n", submission->sender);
    else
        buffer_print(to, "<%s@%s>\r\n", caller->login, caller->origin);
}

static void write_missing(const struct submission *submission,
                          const struct sendmail_options *options, const struct caller *caller,
                          unsigned found, struct buffer *to)
{
    char date[MAIL_DATE_MAX];
    if (!has(found, FIELD_FROM))
        write_from(submission, options, caller, to);
    if (!has(found, FIELD_DATE))
        buffer_print(to, "Date: %s\r\n", mail_date(caller->wall_ms, date));
    if (!has(found, FIELD_MESSAGE_ID))
        buffer_print(to, "Message-ID: <%" PRIx64 ".%016" PRIx64 "@%s>\r\n",
                     (uint64_t)caller->wall_ms, caller->random, caller->hostname);
}

static void write_text(struct submission *submission, const struct sendmail_options *options,
                       const struct caller *caller, struct span text)
{
    struct buffer *to = &submission->text;
    unsigned found = fields_of(text);
    struct field field;
    while (field_next(&text, &field))
        if (!is_left_out(field.kind))
            buffer_append(to, field.whole);
    write_missing(submission, options, caller, found, to);
    if (text.length == 0 || text.data[0] != '\r') /* a body without the line that begins it */
        buffer_append(to, SPAN("\r\n"));
    buffer_append(to, text);
    submission->eight_bit = options->eight_bit || !span_is_ascii(buffer_span(to));
}

static bool has_utf8_address(const struct submission *submission)
{
    bool found = !span_is_ascii(span_of(submission->sender));
    for (unsigned i = 0; i < submission->recipients.count; i++)
        found |= !span_is_ascii(span_of(submission->recipients.items[i]));
    return found;
}

int compose(struct submission *submission, const struct sendmail_options *options,
            const struct caller *caller, struct span text, char why[COMPOSE_WHY_MAX])
{
    addresses_init(&submission->recipients, caller->origin);
    mailbox_line_skip(&text);
    int code = find_sender(submission, options->sender, caller, why);
    if (code == EX_OK)
        code = read_words(submission, options, why);
    if (code == EX_OK && options->take_recipients)
        code = read_fields(submission, text, is_resent(fields_of(text)), why);
    if (code != EX_OK)
        return code;
    write_text(submission, options, caller, text);
    submission->utf8 = has_utf8_address(submission);
    return EX_OK;
}
