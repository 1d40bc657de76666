#include "base/span.h"

#include "base/must.h"

#include <string.h>
#include <strings.h>

struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

bool span_equal(struct span a, struct span b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool same_nocase(const char *a, const char *b, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool span_equal_nocase(struct span a, struct span b)
{
    return a.length == b.length && same_nocase(a.data, b.data, a.length);
}

bool span_starts_nocase(struct span whole, struct span prefix)
{
    return whole.length >= prefix.length && same_nocase(whole.data, prefix.data, prefix.length);
}

struct span span_skip(struct span whole, size_t count)
{
    if (count > whole.length)
        count = whole.length;
    if (count == 0)
        return whole; /* an empty span may have no data at all */
    return (struct span){whole.data + count, whole.length - count};
}

bool span_is_ascii(struct span text)
{
    uint64_t all = 0, some;
    size_t i = 0;
    for (; i + sizeof(some) <= text.length; i += sizeof(some)) {
        memcpy(&some, text.data + i, sizeof(some));
        all |= some;
    }
    for (; i < text.length; i++)
        all |= (unsigned char)text.data[i];
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_word(struct span *rest)
{
    while (rest->length > 0 && is_blank(rest->data[0]))
        *rest = span_skip(*rest, 1);
    size_t length = 0;
    while (length < rest->length && !is_blank(rest->data[length]))
        length++;
    struct span word = {rest->data, length};
    *rest = span_skip(*rest, length);
    return word;
}

bool span_line(struct span *rest, struct span *line)
{
    if (rest->length == 0)
        return false;
    const char *newline = memchr(rest->data, '\n', rest->length);
    size_t length = newline ? (size_t)(newline - rest->data) : rest->length;
    *line = (struct span){rest->data, length};
    if (newline && length > 0 && rest->data[length - 1] == '\r')
        line->length--;
    *rest = span_skip(*rest, newline ? length + 1 : length);
    return true;
}

struct span span_trim(struct span text)
{
    while (text.length > 0 && is_blank(text.data[0]))
        text = span_skip(text, 1);
    while (text.length > 0 && is_blank(text.data[text.length - 1]))
        text.length--;
    return text;
}

bool span_number(struct span text, uint64_t *value)
{
    uint64_t sum = 0;
    if (text.length == 0)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return true;
}

char *span_copy(struct span text)
{
    char *copy = must_calloc(text.length + 1, 1);
    if (text.length > 0)
        memcpy(copy, text.data, text.length);
    return copy;
}

#define FNV_OFFSET 14695981039346656037ULL
#define FNV_PRIME 1099511628211ULL

uint64_t span_hash(struct span text)
{
    uint64_t hash = FNV_OFFSET;
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * FNV_PRIME;
    return hash;
}

uint64_t span_hash_nocase(struct span text)
{
    uint64_t hash = FNV_OFFSET;
    for (size_t i = 0; i < text.length; i++)
        hash = (hash ^ (unsigned char)lower(text.data[i])) * FNV_PRIME;
    return hash;
}

void text_lower(char *text)
{
    for (; *text; text++)
        *text = lower(*text);
}
