#include "bench/message_id.h"

#include <string.h>

/* The field's value with its continuation lines (RFC 5322 2.2.3): all up to the next line
 * that does not begin with a blank. */
static struct span unfolded(struct span value)
{
    size_t end = 0;
    while (end < value.length) {
        const char *newline = memchr(value.data + end, '\n', value.length - end);
        end = newline ? (size_t)(newline - value.data) + 1 : value.length;
        if (end < value.length && value.data[end] != ' ' && value.data[end] != '\t')
            break;
    }
    return (struct span){value.data, end};
}

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_word(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] <= ' ' || text.data[i] == 0x7f) /* 8-bit characters are negative here */
            return false;
    return text.length > 0 && text.length <= MESSAGE_ID_MAX;
}

static bool read_value(struct span value, struct span *id)
{
    while (value.length > 0 && is_white(value.data[0]))
        value = span_skip(value, 1);
    while (value.length > 0 && is_white(value.data[value.length - 1]))
        value.length--;
    if (value.length >= 2 && value.data[0] == '<' && value.data[value.length - 1] == '>')
        value = (struct span){value.data + 1, value.length - 2};
    *id = value;
    return is_word(value);
}

bool message_id_find(struct span message, struct span *id)
{
    const struct span field = SPAN("Message-ID:");
    struct span rest = message, line;
    while (span_line(&rest, &line) && line.length > 0)
        if (span_starts_nocase(line, field)) {
            size_t skipped = (size_t)(line.data - message.data) + field.length;
            return read_value(unfolded(span_skip(message, skipped)), id);
        }
    return false;
}
