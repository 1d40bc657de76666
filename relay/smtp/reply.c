#include "relay/smtp/reply.h"

#include <string.h>

void reply_reader_free(struct reply_reader *reader)
{
    buffer_free(&reader->text);
}

/* ---- lines: where they end, and whether they make a reply ---- */

struct reply_line {
    struct span text; /* behind code and separator, without line end */
    uint16_t code;
    bool last;
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether these first bytes can begin a line of a reply, as far as they go. */
static bool head_is_plausible(struct span head)
{
    for (size_t i = 0; i < head.length && i < 3; i++)
        if (!is_digit(head.data[i]))
            return false;
    return head.length == 0 || (head.data[0] >= '2' && head.data[0] <= '5');
}

/* `line` without its end: "250-text", "250 text", or "250" alone. */
static bool line_read(struct span line, struct reply_line *read)
{
    if (line.length < 3 || !head_is_plausible(line) || memchr(line.data, '\0', line.length))
        return false;
    if (line.length > 3 && line.data[3] != ' ' && line.data[3] != '-')
        return false;
    read->code =
        (uint16_t)((line.data[0] - '0') * 100 + (line.data[1] - '0') * 10 + (line.data[2] - '0'));
    read->last = line.length == 3 || line.data[3] == ' ';
    read->text = span_skip(line, 4);
    return true;
}

/* Cuts a line off `rest`. A bare LF ends one too: a server that sends it means no harm, and
 * the bytes behind it are no reply of ours. */
static enum reply_result next_line(struct span *rest, struct reply_line *line)
{
    const char *newline = rest->length ? memchr(rest->data, '\n', rest->length) : NULL;
    size_t length = newline ? (size_t)(newline - rest->data) + 1 : rest->length;
    if (newline == NULL) {
        bool hopeless = !head_is_plausible(*rest) || length >= REPLY_LINE_MAX;
        return hopeless ? REPLY_MALFORMED : REPLY_PARTIAL;
    }
    struct span whole;
    if (length > REPLY_LINE_MAX || !span_line(rest, &whole) || !line_read(whole, line))
        return REPLY_MALFORMED;
    return REPLY_COMPLETE;
}

/* How far the reply goes; no text is gathered before it is whole, so that one that trickles
 * in costs little. */
static enum reply_result measure(struct span from, uint16_t *code, size_t *used)
{
    struct span rest = from;
    struct reply_line line = {0};
    for (unsigned lines = 0; !line.last; lines++) {
        if (lines == REPLY_LINES_MAX)
            return REPLY_MALFORMED;
        enum reply_result result = next_line(&rest, &line);
        *used = from.length - rest.length;
        if (result == REPLY_PARTIAL && from.length >= REPLY_BYTES_MAX)
            return REPLY_MALFORMED;
        if (result != REPLY_COMPLETE)
            return result;
        if ((lines > 0 && line.code != *code) || *used > REPLY_BYTES_MAX)
            return REPLY_MALFORMED;
        *code = line.code;
    }
    return REPLY_COMPLETE;
}

/* ---- text ---- */

/* A number of one to three digits at the front of `rest`. */
static bool cut_number(struct span *rest, uint16_t *number)
{
    size_t digits = 0;
    while (digits < rest->length && digits < 4 && is_digit(rest->data[digits]))
        digits++;
    uint64_t value;
    if (digits > 3 || !span_number((struct span){rest->data, digits}, &value))
        return false;
    *number = (uint16_t)value;
    *rest = span_skip(*rest, digits);
    return true;
}

static bool cut_dot(struct span *rest)
{
    if (rest->length == 0 || rest->data[0] != '.')
        return false;
    *rest = span_skip(*rest, 1);
    return true;
}

/* Cuts "5.7.1 " off the front of `text` where it is there and of the class of the code. */
static bool cut_status(struct span *text, struct reply *status)
{
    struct span rest = *text;
    uint16_t class;
    if (!cut_number(&rest, &class) || !cut_dot(&rest) ||
        !cut_number(&rest, &status->status_subject) || !cut_dot(&rest) ||
        !cut_number(&rest, &status->status_detail))
        return false;
    if (class != status->code / 100 || class == 3) /* RFC 3463 2 knows 2, 4 and 5 */
        return false;
    if (rest.length > 0 && rest.data[0] != ' ')
        return false;
    status->status_class = (uint8_t) class;
    *text = span_skip(rest, 1);
    return true;
}

static bool same_status(const struct reply *a, const struct reply *b)
{
    return a->status_class == b->status_class && a->status_subject == b->status_subject &&
           a->status_detail == b->status_detail;
}

static void append_printable(struct buffer *to, struct span text)
{
    char *at = buffer_room(to, text.length + 1);
    for (size_t i = 0; i < text.length; i++)
        at[i] = text.data[i] >= ' ' && text.data[i] <= '~' ? text.data[i] : '?';
    buffer_grew(to, text.length);
}

/* The first line's status is the reply's; the other lines' are cut off where they repeat it,
 * and are text where they do not. */
static void gather(struct buffer *text, struct span whole, struct reply *reply)
{
    struct reply_line line = {0};
    for (bool first = true; !line.last; first = false) {
        must(next_line(&whole, &line) == REPLY_COMPLETE);
        struct reply status = {.code = reply->code};
        struct span shown = line.text;
        if (!first)
            buffer_append(text, SPAN("\n"));
        if (cut_status(&shown, &status) && first) {
            reply->status_class = status.status_class;
            reply->status_subject = status.status_subject;
            reply->status_detail = status.status_detail;
        }
        append_printable(text, same_status(&status, reply) ? shown : line.text);
    }
}

enum reply_result reply_read(struct reply_reader *reader, struct span from, struct reply *reply,
                             size_t *used)
{
    uint16_t code;
    enum reply_result result = measure(from, &code, used);
    if (result != REPLY_COMPLETE)
        return result;
    *reply = (struct reply){.code = code};
    buffer_clear(&reader->text);
    gather(&reader->text, (struct span){from.data, *used}, reply);
    reply->text = buffer_span(&reader->text);
    return REPLY_COMPLETE;
}
