#include "base/xtext.h"

#include "base/utf8.h"

#include <string.h>

static const char digits[] = "0123456789ABCDEF";

static int digit_value(char c)
{
    const char *found = c != '\0' ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Stands for itself in xtext (xchar). */
static bool is_plain(char c)
{
    return c >= '!' && c <= '~' && c != '+' && c != '=';
}

/* ---- xtext ---- */

/* Cuts one octet off `rest`, which must not be empty. */
static bool next_octet(struct span *rest, char *octet)
{
    *octet = rest->data[0];
    if (is_plain(*octet)) {
        *rest = span_skip(*rest, 1);
        return true;
    }
    if (*octet != '+' || rest->length < 3)
        return false;
    int high = digit_value(rest->data[1]), low = digit_value(rest->data[2]);
    if (high < 0 || low < 0)
        return false;
    *octet = (char)(high << 4 | low);
    *rest = span_skip(*rest, 3);
    return true;
}

bool xtext_valid(struct span text)
{
    char octet;
    while (text.length > 0)
        if (!next_octet(&text, &octet))
            return false;
    return true;
}

bool xtext_decode(struct span text, struct buffer *to)
{
    char octet;
    if (!xtext_valid(text))
        return false;
    while (text.length > 0 && next_octet(&text, &octet))
        buffer_append(to, (struct span){&octet, 1});
    return true;
}

void xtext_encode(struct span octets, struct buffer *to)
{
    for (size_t i = 0; i < octets.length; i++) {
        char c = octets.data[i];
        unsigned value = (unsigned char)c;
        char escaped[3] = {'+', digits[value >> 4], digits[value & 15]};
        buffer_append(to, is_plain(c) ? (struct span){&c, 1} : (struct span){escaped, 3});
    }
}

/* ---- addresses in UTF-8 ---- */

#define CODE_DIGITS_MAX 6

/* Stands for itself in the forms for UTF-8 (QCHAR). */
static bool is_plain_in_utf8(uint32_t code)
{
    return code < 0x80 && is_plain((char)code) && code != '\\';
}

static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/* Cuts "\x{4E00}" off `rest`: no leading zero but that of two digits, no surrogate, and nothing
 * that stands for itself. */
static bool next_embedded(struct span *rest, uint32_t *code)
{
    struct span number = span_skip(*rest, 3);
    const char *end = number.length > 0 ? memchr(number.data, '}', number.length) : NULL;
    if (!span_starts_nocase(*rest, SPAN("\\x{")) || rest->data[1] != 'x' || end == NULL)
        return false;
    number.length = (size_t)(end - number.data);
    if (number.length < 2 || number.length > CODE_DIGITS_MAX ||
        (number.length > 2 && number.data[0] == '0'))
        return false;
    *code = 0;
    for (size_t i = 0; i < number.length; i++) {
        if (digit_value(number.data[i]) < 0)
            return false;
        *code = *code << 4 | (uint32_t)digit_value(number.data[i]);
    }
    *rest = span_skip(*rest, 4 + number.length);
    bool surrogate = *code >= 0xd800 && *code <= 0xdfff;
    return *code <= 0x10ffff && !surrogate && !is_plain_in_utf8(*code);
}

static bool next_character(struct span *rest, bool eight_bit, uint32_t *code)
{
    if (rest->data[0] == '\\')
        return next_embedded(rest, code) && !is_control(*code);
    if (!utf8_next(rest, code) || is_control(*code))
        return false;
    return is_plain_in_utf8(*code) || (eight_bit && *code >= 0x80);
}

bool utf8_xtext_valid(struct span text, bool eight_bit)
{
    uint32_t code;
    if (text.length == 0)
        return false;
    while (text.length > 0)
        if (!next_character(&text, eight_bit, &code))
            return false;
    return true;
}

static void append_utf8(uint32_t code, struct buffer *to)
{
    unsigned following = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    char bytes[4] = {(char)(first[following] | code >> 6 * following)};
    for (unsigned i = 1; i <= following; i++)
        bytes[i] = (char)(0x80 | (code >> 6 * (following - i) & 0x3f));
    buffer_append(to, (struct span){bytes, following + 1});
}

bool utf8_xtext_decode(struct span text, struct buffer *to)
{
    uint32_t code;
    if (!utf8_xtext_valid(text, true))
        return false;
    while (text.length > 0 && next_character(&text, true, &code))
        append_utf8(code, to);
    return true;
}

bool utf8_xtext_encode(struct span utf8, struct buffer *to)
{
    uint32_t code;
    for (struct span rest = utf8; rest.length > 0;)
        if (!utf8_next(&rest, &code) || is_control(code))
            return false;
    if (utf8.length == 0)
        return false;
    while (utf8.length > 0) {
        utf8_next(&utf8, &code);
        if (is_plain_in_utf8(code))
            append_utf8(code, to);
        else
            buffer_print(to, "\\x{%02X}", code);
    }
    return true;
}
