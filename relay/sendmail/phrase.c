/* The name before an address. */
#include "base/utf8.h"
#include "relay/sendmail/compose.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 200  /* of a name; the rest is left out */
#define ENCODED_WORD_MAX 75 /* RFC 2047 2 */

/* No "=" and "?" either: nothing is to look like an encoded word. */
static bool is_atom_or_blank(struct span name)
{
    for (size_t i = 0; i < name.length; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (!isalnum(c) && (c & 0x80 || c == '\0' || strchr(" !#$%&'*+-/^_`{|}~", c) == NULL))
            return false;
    }
    return true;
}

static void write_quoted(struct span name, struct buffer *to)
{
    buffer_append(to, SPAN("\""));
    for (size_t i = 0; i < name.length; i++)
        buffer_print(to, strchr("\"\\", name.data[i]) ? "\\%c" : "%c", name.data[i]);
    buffer_append(to, SPAN("\""));
}

/* "Q" (RFC 2047 4.2), with the few characters that may stand in a phrase as they are (5.3). */
static void encode_character(struct span bytes, char text[16])
{
    for (size_t i = 0; i < bytes.length; i++, text += strlen(text)) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c < 0x80 && isalnum(c))
            snprintf(text, 4, "%c", c);
        else
            snprintf(text, 4, c == ' ' ? "_" : "=%02X", c);
    }
}

/* Words of at most 75 characters, none of which ends within a character. */
static void write_encoded(struct span name, struct buffer *to)
{
    static const struct span begin = SPAN("=?UTF-8?Q?"), end = SPAN("?=");
    size_t length = begin.length;
    uint32_t code;
    buffer_append(to, begin);
    while (name.length > 0) {
        char text[16] = "";
        struct span rest = name;
        utf8_next(&rest, &code);
        encode_character((struct span){name.data, name.length - rest.length}, text);
        if (length + strlen(text) + end.length > ENCODED_WORD_MAX) {
            buffer_append(to, end);
            buffer_append(to, SPAN("\r\n "));
            buffer_append(to, begin);
            length = begin.length;
        }
        buffer_append(to, span_of(text));
        length += strlen(text);
        name = rest;
    }
    buffer_append(to, end);
}

void write_phrase(struct span name, struct buffer *to)
{
    char copy[NAME_MAX_BYTES];
    if (!utf8_valid(name))
        return;
    size_t length = name.length < sizeof(copy) ? name.length : sizeof(copy);
    while (length < name.length && (name.data[length] & 0xC0) == 0x80)
        length--; /* not within a character */
    for (size_t i = 0; i < length; i++)
        copy[i] = iscntrl((unsigned char)name.data[i]) ? ' ' : name.data[i];
    struct span clean = span_trim((struct span){copy, length});
    if (clean.length == 0)
        return;
    if (is_atom_or_blank(clean))
        buffer_append(to, clean);
    else if (span_is_ascii(clean))
        write_quoted(clean, to);
    else
        write_encoded(clean, to);
}
