#include "relay/smtp/command.h"

#include "base/must.h"
#include "relay/smtp/address.h"

#include <string.h>

/* ---- the verb ---- */

static const struct span verbs[] = {
    [COMMAND_EHLO] = SPAN("EHLO"),         [COMMAND_HELO] = SPAN("HELO"),
    [COMMAND_MAIL] = SPAN("MAIL"),         [COMMAND_RCPT] = SPAN("RCPT"),
    [COMMAND_DATA] = SPAN("DATA"),         [COMMAND_RSET] = SPAN("RSET"),
    [COMMAND_NOOP] = SPAN("NOOP"),         [COMMAND_QUIT] = SPAN("QUIT"),
    [COMMAND_VRFY] = SPAN("VRFY"),         [COMMAND_HELP] = SPAN("HELP"),
    [COMMAND_STARTTLS] = SPAN("STARTTLS"),
};
_Static_assert(countof(verbs) == COMMAND_UNKNOWN, "each verb but the unknown one has its word");

/* CR, LF and NUL have no place in a line: whoever sends one tries to pass for two lines. */
static bool is_one_line(struct span line)
{
    static const char outlaws[] = {'\0', '\r', '\n'};
    for (size_t i = 0; i < sizeof(outlaws); i++)
        if (line.length > 0 && memchr(line.data, outlaws[i], line.length))
            return false;
    return true;
}

struct command command_read(struct span line)
{
    struct command command = {.verb = COMMAND_UNKNOWN};
    struct span rest = line;
    struct span word = span_word(&rest);
    command.argument = span_trim(rest);
    for (unsigned verb = 0; verb < countof(verbs); verb++)
        if (span_equal_nocase(word, verbs[verb]) && is_one_line(line))
            command.verb = verb;
    return command;
}

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
    if (path->length == 0)
        return PARAMETERS_OK;
    bool valid = strip_source_route(path) && address_is_valid(*path);
    return valid ? PARAMETERS_OK : PARAMETERS_BAD_ADDRESS;
}

/* ---- parameters ---- */

struct parameter {
    struct span keyword, value;
    bool has_value;
};

/* esmtp-param of RFC 5321 4.1.2, its keyword looked at by whoever compares it. */
static struct parameter parameter_read(struct span word)
{
    const char *equals = memchr(word.data, '=', word.length);
    if (equals == NULL)
        return (struct parameter){.keyword = word};
    size_t length = (size_t)(equals - word.data);
    return (struct parameter){{word.data, length}, span_skip(word, length + 1), true};
}

static enum parameter_result size_read(const struct parameter *parameter,
                                       struct mail_parameters *parameters)
{
    if (parameters->has_size || !span_number(parameter->value, &parameters->size))
        return PARAMETERS_SYNTAX;
    parameters->has_size = true;
    return PARAMETERS_OK;
}

/* RFC 6152 3: 7BIT or 8BITMIME; BINARYMIME (RFC 3030) is not offered. */
static enum parameter_result body_read(const struct parameter *parameter, bool *seen,
                                       struct mail_parameters *parameters)
{
    if (*seen || parameter->value.length == 0)
        return PARAMETERS_SYNTAX;
    *seen = true;
    parameters->eight_bit = span_equal_nocase(parameter->value, SPAN("8BITMIME"));
    bool known = parameters->eight_bit || span_equal_nocase(parameter->value, SPAN("7BIT"));
    return known ? PARAMETERS_OK : PARAMETERS_UNKNOWN;
}

enum parameter_result mail_read(struct span argument, struct mail_parameters *parameters)
{
    struct span rest;
    bool body_seen = false;
    *parameters = (struct mail_parameters){0};
    enum parameter_result result = path_read(argument, SPAN("FROM:"), &parameters->path, &rest);
    for (struct span word; result == PARAMETERS_OK && (word = span_word(&rest)).length > 0;) {
        struct parameter parameter = parameter_read(word);
        if (span_equal_nocase(parameter.keyword, SPAN("SIZE")))
            result = size_read(&parameter, parameters);
        else if (span_equal_nocase(parameter.keyword, SPAN("BODY")))
            result = body_read(&parameter, &body_seen, parameters);
        else
            result = PARAMETERS_UNKNOWN;
    }
    return result;
}

enum parameter_result rcpt_read(struct span argument, struct span *path)
{
    struct span rest;
    enum parameter_result result = path_read(argument, SPAN("TO:"), path, &rest);
    if (result == PARAMETERS_OK && path->length == 0)
        return PARAMETERS_BAD_ADDRESS;
    if (result == PARAMETERS_OK && span_word(&rest).length > 0)
        return PARAMETERS_UNKNOWN;
    return result;
}
