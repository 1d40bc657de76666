#include "relay/smtp/xtext.h"

/* An xchar other than "+", which begins a hexchar. */
static bool is_plain(char c)
{
    return c >= '!' && c <= '~' && c != '+' && c != '=';
}

/* Lower case too: the RFC asks for capitals, and senders write both. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

static bool read_char(struct span *rest, char *c)
{
    *c = rest->data[0];
    if (is_plain(*c)) {
        *rest = span_skip(*rest, 1);
        return true;
    }
    if (*c != '+' || rest->length < 3)
        return false;
    int high = hex_digit(rest->data[1]), low = hex_digit(rest->data[2]);
    *c = (char)(high * 16 + low);
    *rest = span_skip(*rest, 3);
    return high >= 0 && low >= 0;
}

bool xtext_read(struct span xtext, struct buffer *to)
{
    char *text = buffer_room(to, xtext.length);
    size_t length = 0;
    while (xtext.length > 0)
        if (!read_char(&xtext, &text[length++]))
            return false;
    buffer_grew(to, length);
    return true;
}

void xtext_write(struct span text, struct buffer *to)
{
    for (size_t i = 0; i < text.length; i++)
        if (is_plain(text.data[i]))
            buffer_append(to, (struct span){&text.data[i], 1});
        else
            buffer_print(to, "+%02X", (unsigned char)text.data[i]);
}
