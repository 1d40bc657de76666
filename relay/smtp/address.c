#include "relay/smtp/address.h"

#include "base/utf8.h"
#include "relay/smtp/idna.h"

#include <stdio.h>
#include <string.h>

#define LOCAL_PART_MAX 64 /* RFC 5321 4.5.3.1.1 */
#define LABEL_MAX 63      /* RFC 1035 2.3.4 */

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* RFC 5322 3.2.3 */
static bool is_atext(char c)
{
    return is_letter_or_digit(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

bool atom_is_valid(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_atext(text.data[i]))
            return false;
    return text.length > 0;
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

/* Bytes of characters outside ASCII, once the whole is known to be good UTF-8. */
static bool is_high(char c)
{
    return (unsigned char)c >= 0x80;
}

/* Dot-string: atoms with one dot between each two. */
static bool dot_string_is_valid(struct span text)
{
    bool after_atext = false;
    for (size_t i = 0; i < text.length; i++) {
        bool dot = text.data[i] == '.';
        if (dot ? !after_atext : !is_atext(text.data[i]) && !is_high(text.data[i]))
            return false;
        after_atext = !dot;
    }
    return after_atext;
}

/* Quoted-string: printable, and a '"' or '\' only behind a '\'. */
static bool quoted_string_is_valid(struct span text)
{
    if (text.length < 2 || text.data[0] != '"' || text.data[text.length - 1] != '"')
        return false;
    struct span inside = {text.data + 1, text.length - 2};
    for (size_t i = 0; i < inside.length; i++) {
        bool escaped = inside.data[i] == '\\';
        if (inside.data[i] == '"' || (escaped && ++i == inside.length))
            return false;
        if (!is_printable(inside.data[i]) && (escaped || !is_high(inside.data[i])))
            return false;
    }
    return true;
}

static bool local_part_is_valid(struct span text)
{
    if (text.length == 0 || text.length > LOCAL_PART_MAX)
        return false;
    return text.data[0] == '"' ? quoted_string_is_valid(text) : dot_string_is_valid(text);
}

/* The last '@': a quoted local part may hold others, a domain none. */
static const char *last_at(struct span path)
{
    return path.length > 0 ? memrchr(path.data, '@', path.length) : NULL;
}

struct span address_domain(struct span path)
{
    const char *at = last_at(path);
    return at ? span_skip(path, (size_t)(at - path.data) + 1) : (struct span){0};
}

static bool domain_or_literal_is_valid(struct span domain)
{
    char ascii[IDNA_DOMAIN_MAX + 1];
    struct ip ip;
    if (!span_is_ascii(domain))
        return idna_to_ascii(domain, ascii);
    return domain_is_valid(domain) || address_literal_parse(domain, &ip);
}

static bool is_local_at_domain(struct span path)
{
    const char *at = last_at(path);
    if (at == NULL)
        return false;
    struct span local = {path.data, (size_t)(at - path.data)};
    return local_part_is_valid(local) && domain_or_literal_is_valid(address_domain(path));
}

bool address_is_valid(struct span path)
{
    return span_is_ascii(path) && is_local_at_domain(path);
}

/* No control characters of Unicode's either, nor its ends of lines: some terminals and logs take
 * them for such. */
static bool is_printable_utf8(struct span text)
{
    uint32_t code;
    while (text.length > 0) {
        if (!utf8_next(&text, &code))
            return false;
        if ((code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029)
            return false;
    }
    return true;
}

bool address_is_valid_utf8(struct span path)
{
    return is_printable_utf8(path) && is_local_at_domain(path);
}

char *address_destination(struct span path, char name[ADDRESS_DOMAIN_MAX + 1])
{
    struct span domain = address_domain(path);
    if (span_is_ascii(domain) || !idna_to_ascii(domain, name)) {
        snprintf(name, ADDRESS_DOMAIN_MAX + 1, "%.*s", SPAN_FORMAT(domain));
        text_lower(name);
    }
    return name;
}

/* A '-' at either end is left out by RFC 5321 4.1.2, and would be an option to many a tool.
 * '_' is not in that grammar, but is met in host names. */
static bool label_is_valid(struct span label)
{
    if (label.length == 0 || label.length > LABEL_MAX)
        return false;
    if (label.data[0] == '-' || label.data[label.length - 1] == '-')
        return false;
    for (size_t i = 0; i < label.length; i++)
        if (!is_letter_or_digit(label.data[i]) && label.data[i] != '-' && label.data[i] != '_')
            return false;
    return true;
}

bool domain_is_valid(struct span domain)
{
    if (domain.length == 0 || domain.length > ADDRESS_DOMAIN_MAX)
        return false;
    for (;;) {
        const char *dot = memchr(domain.data, '.', domain.length);
        struct span label = {domain.data, dot ? (size_t)(dot - domain.data) : domain.length};
        if (!label_is_valid(label))
            return false;
        if (dot == NULL)
            return true;
        domain = span_skip(domain, label.length + 1);
        if (domain.length == 0)
            return false;
    }
}

bool address_literal_parse(struct span literal, struct ip *ip)
{
    static const struct span tag = SPAN("IPv6:");
    if (literal.length < 2 || literal.data[0] != '[' || literal.data[literal.length - 1] != ']')
        return false;
    struct span inside = {literal.data + 1, literal.length - 2};
    bool tagged = span_starts_nocase(inside, tag);
    struct span text = tagged ? span_skip(inside, tag.length) : inside;
    bool has_colon = text.length > 0 && memchr(text.data, ':', text.length) != NULL;
    return tagged == has_colon && ip_parse(text, ip);
}
