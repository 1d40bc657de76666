#include "base/utf8.h"

#include "base/must.h"

#include <stdio.h>

/* How many bytes follow this first one; 4 when it cannot be one. */
static unsigned followers(unsigned char first)
{
    if (first < 0x80)
        return 0;
    if (first >= 0xc2 && first <= 0xdf)
        return 1;
    if (first >= 0xe0 && first <= 0xef)
        return 2;
    return first >= 0xf0 && first <= 0xf4 ? 3 : 4;
}

static bool is_overlong_or_forbidden(uint32_t code, unsigned following)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    return code < least[following] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff);
}

bool utf8_next(struct span *rest, uint32_t *code)
{
    must(rest->length > 0);
    struct span from = *rest;
    unsigned char first = (unsigned char)from.data[0];
    unsigned following = followers(first);
    *rest = span_skip(from, 1);
    *code = first;
    if (following == 4 || from.length <= following)
        return false;

    uint32_t sum = following == 0 ? first : first & (0x3fu >> following);
    for (unsigned i = 1; i <= following; i++) {
        unsigned char next = (unsigned char)from.data[i];
        if ((next & 0xc0) != 0x80)
            return false;
        sum = sum << 6 | (next & 0x3f);
    }
    if (is_overlong_or_forbidden(sum, following))
        return false;
    *rest = span_skip(from, following + 1);
    *code = sum;
    return true;
}

bool utf8_valid(struct span text)
{
    uint32_t code;
    while (text.length > 0)
        if (!utf8_next(&text, &code))
            return false;
    return true;
}

char *utf8_escape(struct span *rest, char escape[UTF8_ESCAPE_MAX])
{
    uint32_t code;
    if (!utf8_next(rest, &code))
        code = 0xfffd; /* the replacement character */
    if (code == '"' || code == '\\')
        snprintf(escape, UTF8_ESCAPE_MAX, "\\%c", (char)code);
    else if (code > 0xffff)
        snprintf(escape, UTF8_ESCAPE_MAX, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10),
                 0xdc00 + (code & 0x3ff));
    else
        snprintf(escape, UTF8_ESCAPE_MAX, "\\u%04x", code);
    return escape;
}
