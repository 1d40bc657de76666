#include "relay/smtp/parameters.h"

#include "base/date.h"
#include "base/must.h"
#include "base/xtext.h"
#include "relay/smtp/address.h"

#include <string.h>

#define ENVID_MAX 100        /* RFC 3461 5.4 */
#define ORCPT_MAX 500        /* RFC 3461 5.4 */
#define AUTH_MAX 500         /* RFC 4954 3 */
#define SECONDS_DIGITS_MAX 9 /* RFC 2852 4, RFC 4865 4 */

/* ---- paths ---- */

/* The length of the path at the front of `text`, with its brackets; 0 when it has no end. In
 * a quoted local part a '>' is a character like any other. */
static size_t path_length(struct span text)
{
    bool quoted = false;
    for (size_t i = 1; i < text.length; i++) {
        char c = text.data[i];
        if (c == '>' && !quoted)
            return i + 1;
        if (c == '"')
            quoted = !quoted;
        if (c == '\\' && quoted)
            i++;
    }
    return 0;
}

/* Takes "@a,@b:" off the front: source routes are read and not followed (RFC 5321 C). */
static bool strip_source_route(struct span *path)
{
    while (path->length > 0 && path->data[0] == '@') {
        size_t end = 1;
        while (end < path->length && path->data[end] != ',' && path->data[end] != ':')
            end++;
        if (end == path->length || !domain_is_valid((struct span){path->data + 1, end - 1}))
            return false;
        bool last = path->data[end] == ':';
        *path = span_skip(*path, end + 1);
        if (last)
            return true;
        if (path->length == 0 || path->data[0] != '@')
            return false;
    }
    return true;
}

/* "FROM:<path>" or "TO:<path>"; a blank behind the colon is tolerated, as many send it. */
static enum parameter_result path_read(struct span argument, struct span keyword, struct span *path,
                                       struct span *parameters)
{
    if (!span_starts_nocase(argument, keyword))
        return PARAMETERS_SYNTAX;
    struct span text = span_trim(span_skip(argument, keyword.length));
    if (text.length == 0 || text.data[0] != '<')
        return PARAMETERS_SYNTAX;
    size_t length = path_length(text);
    if (length == 0)
        return PARAMETERS_SYNTAX;
    *parameters = span_skip(text, length);
    if (parameters->length > 0 && parameters->data[0] != ' ' && parameters->data[0] != '\t')
        return PARAMETERS_SYNTAX;
    *path = (struct span){text.data + 1, length - 2};
    return PARAMETERS_OK;
}

/* What stands between the brackets, unless that is nothing. */
static enum parameter_result path_check(struct span *path, bool utf8)
{
    if (!utf8 && !span_is_ascii(*path))
        return PARAMETERS_NEED_UTF8;
    bool valid =
        strip_source_route(path) && (utf8 ? address_is_valid_utf8(*path) : address_is_valid(*path));
    return valid ? PARAMETERS_OK : PARAMETERS_BAD_ADDRESS;
}

/* ---- parameters in general ---- */

struct parameter {
    struct span keyword, value;
    bool has_value;
};

/* False: 501. */
typedef bool parameter_reader(const struct parameter *parameter, void *into);

struct row {
    struct span keyword;
    unsigned extension; /* it belongs to */
    parameter_reader *read;
};

/* esmtp-param of RFC 5321 4.1.2, its keyword looked at by whoever compares it. */
static struct parameter parameter_split(struct span word)
{
    const char *equals = memchr(word.data, '=', word.length);
    if (equals == NULL)
        return (struct parameter){.keyword = word};
    size_t length = (size_t)(equals - word.data);
    return (struct parameter){{word.data, length}, span_skip(word, length + 1), true};
}

static enum parameter_result parameters_read(struct span rest, const struct row *rows, size_t count,
                                             unsigned offered, void *into, const char **wrong)
{
    unsigned seen = 0;
    for (struct span word; (word = span_word(&rest)).length > 0;) {
        struct parameter parameter = parameter_split(word);
        size_t i = 0;
        while (i < count && !span_equal_nocase(parameter.keyword, rows[i].keyword))
            i++;
        if (i == count || !(rows[i].extension & offered))
            return PARAMETERS_UNKNOWN;
        if (seen & 1u << i || !rows[i].read(&parameter, into)) {
            *wrong = rows[i].keyword.data;
            return PARAMETERS_SYNTAX;
        }
        seen |= 1u << i;
    }
    return PARAMETERS_OK;
}

/* One of the words, which end with NULL; its place, or -1. */
static int one_of(struct span value, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++)
        if (span_equal_nocase(value, span_of(words[i])))
            return i;
    return -1;
}

static bool read_seconds(struct span text, int64_t *ms)
{
    uint64_t seconds;
    if (text.length > SECONDS_DIGITS_MAX || !span_number(text, &seconds))
        return false;
    *ms = (int64_t)seconds * 1000;
    return true;
}

/* xtext, and what it stands for is printable ASCII, blanks among it: RFC 3461 4.2 and 4.4 want
 * that, and it will stand in a header of a delivery status notification. */
static bool is_printable_xtext(struct span text)
{
    struct buffer octets CLEANUP(buffer_free) = {0};
    if (text.length == 0 || !xtext_decode(text, &octets))
        return false;
    struct span decoded = buffer_span(&octets);
    must(decoded.data != NULL);
    for (size_t i = 0; i < decoded.length; i++)
        if (decoded.data[i] < ' ' || decoded.data[i] > '~')
            return false;
    return true;
}

/* ---- MAIL ---- */

static bool read_size(const struct parameter *parameter, void *into)
{
    struct mail_parameters *mail = into;
    mail->has_size = true;
    return span_number(parameter->value, &mail->size);
}

/* RFC 6152 3, RFC 3030 3 */
static bool read_body(const struct parameter *parameter, void *into)
{
    static const char *const words[] = {"7BIT", "8BITMIME", "BINARYMIME", NULL};
    int found = one_of(parameter->value, words);
    ((struct mail_parameters *)into)->body = (enum body_type)found;
    return found >= 0;
}

static bool read_utf8(const struct parameter *parameter, void *into)
{
    ((struct mail_parameters *)into)->utf8 = true;
    return !parameter->has_value;
}

static bool read_ret(const struct parameter *parameter, void *into)
{
    static const char *const words[] = {"FULL", "HDRS", NULL};
    int found = one_of(parameter->value, words);
    ((struct mail_parameters *)into)->ret = found == 0 ? DSN_RETURN_FULL : DSN_RETURN_HEADERS;
    return found >= 0;
}

static bool read_envid(const struct parameter *parameter, void *into)
{
    ((struct mail_parameters *)into)->envid = parameter->value;
    return parameter->value.length <= ENVID_MAX && is_printable_xtext(parameter->value);
}

/* Of HOLDFOR and HOLDUNTIL there may be one. */
static bool read_hold_for(const struct parameter *parameter, void *into)
{
    struct mail_parameters *mail = into;
    return mail->hold_until_ms == 0 && read_seconds(parameter->value, &mail->hold_for_ms);
}

static bool read_hold_until(const struct parameter *parameter, void *into)
{
    struct mail_parameters *mail = into;
    return mail->hold_for_ms == 0 && date_read(parameter->value, &mail->hold_until_ms);
}

/* by-time ";" by-mode [by-trace] (RFC 2852 4) */
static bool read_by(const struct parameter *parameter, void *into)
{
    static const char *const modes[] = {"R", "N", "RT", "NT", NULL};
    struct mail_parameters *mail = into;
    struct span time = parameter->value;
    const char *semicolon = time.length > 0 ? memchr(time.data, ';', time.length) : NULL;
    if (semicolon == NULL)
        return false;
    time.length = (size_t)(semicolon - time.data);
    int mode = one_of(span_skip(parameter->value, time.length + 1), modes);
    bool has_sign = time.length > 0 && (time.data[0] == '-' || time.data[0] == '+');
    bool negative = has_sign && time.data[0] == '-';
    if (mode < 0 || !read_seconds(span_skip(time, has_sign), &mail->by_ms))
        return false;
    if (negative)
        mail->by_ms = -mail->by_ms;
    mail->by = mode % 2 == 0 ? BY_RETURN : BY_NOTIFY;
    mail->by_trace = mode >= 2;
    return mail->by == BY_NOTIFY || mail->by_ms > 0;
}

static bool read_auth(const struct parameter *parameter, void *into)
{
    ((struct mail_parameters *)into)->auth = parameter->value;
    return span_equal(parameter->value, SPAN("<>")) ||
           (parameter->value.length <= AUTH_MAX && is_printable_xtext(parameter->value));
}

/* RFC 8689 2: it has no value. */
static bool read_requiretls(const struct parameter *parameter, void *into)
{
    ((struct mail_parameters *)into)->requires_tls = true;
    return !parameter->has_value;
}

static const struct row mail_rows[] = {
    {SPAN("SIZE"), EXTENSION_SIZE, read_size},
    {SPAN("BODY"), EXTENSION_8BITMIME, read_body},
    {SPAN("SMTPUTF8"), EXTENSION_SMTPUTF8, read_utf8},
    {SPAN("RET"), EXTENSION_DSN, read_ret},
    {SPAN("ENVID"), EXTENSION_DSN, read_envid},
    {SPAN("HOLDFOR"), EXTENSION_FUTURERELEASE, read_hold_for},
    {SPAN("HOLDUNTIL"), EXTENSION_FUTURERELEASE, read_hold_until},
    {SPAN("BY"), EXTENSION_DELIVERBY, read_by},
    {SPAN("AUTH"), EXTENSION_AUTH, read_auth},
    {SPAN("REQUIRETLS"), EXTENSION_REQUIRETLS, read_requiretls},
};

enum parameter_result mail_read(struct span argument, unsigned offered,
                                struct mail_parameters *parameters)
{
    struct span rest;
    *parameters = (struct mail_parameters){0};
    enum parameter_result result = path_read(argument, SPAN("FROM:"), &parameters->path, &rest);
    if (result == PARAMETERS_OK)
        result = parameters_read(rest, mail_rows, countof(mail_rows), offered, parameters,
                                 &parameters->wrong);
    if (result != PARAMETERS_OK)
        return result;
    if (parameters->body == BODY_BINARYMIME && !(offered & EXTENSION_BINARYMIME))
        return PARAMETERS_UNKNOWN;
    bool null_sender = parameters->path.length == 0;
    return null_sender ? PARAMETERS_OK : path_check(&parameters->path, parameters->utf8);
}

/* ---- RCPT ---- */

/* NEVER, or a list of the others. */
static bool read_notify(const struct parameter *parameter, void *into)
{
    static const char *const words[] = {"NEVER", "SUCCESS", "FAILURE", "DELAY", NULL};
    struct rcpt_parameters *rcpt = into;
    struct span rest = parameter->value;
    for (bool more = true; more;) {
        const char *comma = rest.length > 0 ? memchr(rest.data, ',', rest.length) : NULL;
        struct span word = {rest.data, comma ? (size_t)(comma - rest.data) : rest.length};
        int found = one_of(word, words);
        if (found < 0)
            return false;
        rcpt->notify |= 1u << found;
        rest = span_skip(rest, word.length + 1);
        more = comma != NULL;
    }
    return !(rcpt->notify & DSN_NOTIFY_NEVER) || rcpt->notify == DSN_NOTIFY_NEVER;
}

/* addr-type ";" address: in xtext, or as RFC 6533 3 has it for UTF-8. */
static bool read_orcpt(const struct parameter *parameter, void *into)
{
    struct rcpt_parameters *rcpt = into;
    struct span value = parameter->value;
    const char *semicolon = value.length > 0 ? memchr(value.data, ';', value.length) : NULL;
    if (semicolon == NULL || value.length > ORCPT_MAX)
        return false;
    struct span type = {value.data, (size_t)(semicolon - value.data)};
    struct span address = span_skip(value, type.length + 1);
    rcpt->orcpt = value;
    if (span_equal_nocase(type, SPAN("utf-8")))
        return utf8_xtext_valid(address, rcpt->utf8);
    return atom_is_valid(type) && is_printable_xtext(address);
}

static const struct row rcpt_rows[] = {
    {SPAN("NOTIFY"), EXTENSION_DSN, read_notify},
    {SPAN("ORCPT"), EXTENSION_DSN, read_orcpt},
};

enum parameter_result rcpt_read(struct span argument, unsigned offered, bool utf8,
                                struct rcpt_parameters *parameters)
{
    struct span rest;
    *parameters = (struct rcpt_parameters){.utf8 = utf8};
    enum parameter_result result = path_read(argument, SPAN("TO:"), &parameters->path, &rest);
    if (result == PARAMETERS_OK)
        result = parameters_read(rest, rcpt_rows, countof(rcpt_rows), offered, parameters,
                                 &parameters->wrong);
    return result == PARAMETERS_OK ? path_check(&parameters->path, utf8) : result;
}
