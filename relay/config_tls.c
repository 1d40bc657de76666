/* What a `tls` section holds certificates against: names, and digests. */
#include "relay/config_value.h"
#include "relay/smtp/address.h"

#include <stdio.h>
#include <string.h>

static const char *const match_words[] = {
    [MATCH_HOSTNAME] = "hostname",
    [MATCH_NEXTHOP] = "nexthop",
    [MATCH_DOT_NEXTHOP] = "dot-nexthop",
};

bool value_read_match(struct span text, struct tls_match *match, struct arena *arena,
                      char why[VALUE_WHY_MAX])
{
    bool below = text.length > 1 && text.data[0] == '.';
    *match = (struct tls_match){.kind = MATCH_NAME};
    for (unsigned kind = 0; kind < countof(match_words); kind++)
        if (span_equal(text, span_of(match_words[kind])))
            match->kind = (enum tls_match_kind)kind;
    if (match->kind != MATCH_NAME)
        return true;
    if (!domain_is_valid(below ? span_skip(text, 1) : text) ||
        !memchr(text.data, '.', text.length)) {
        snprintf(
            why, VALUE_WHY_MAX,
            "\"%.*s\" is not hostname, nexthop, dot-nexthop, a name, or .name for all below it",
            VALUE_SHOWN(text));
        return false;
    }
    char *name = arena_copy(arena, text);
    text_lower(name);
    match->name = name;
    return true;
}

const char *value_match_text(const struct tls_match *match)
{
    return match->kind == MATCH_NAME ? match->name : match_words[match->kind];
}

/* What is sent is one name. */
bool value_read_server_name(struct span text, const struct tls_match **value, struct arena *arena,
                            char why[VALUE_WHY_MAX])
{
    struct tls_match *match = arena_take(arena, sizeof(*match));
    if (!value_read_match(text, match, arena, why))
        return false;
    if (match->kind == MATCH_DOT_NEXTHOP || (match->kind == MATCH_NAME && match->name[0] == '.')) {
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not one name: hostname, nexthop, or a name",
                 VALUE_SHOWN(text));
        return false;
    }
    *value = match;
    return true;
}

bool value_print_server_name(const struct tls_match *match, struct buffer *to)
{
    if (match == NULL)
        return false;
    value_print_text(to, value_match_text(match));
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Two digits, with or without a colon before the next two. */
static bool read_digest(struct span text, struct fingerprint *print)
{
    unsigned count = 0;
    while (text.length >= 2 && count < FINGERPRINT_BYTES) {
        int high = hex_digit(text.data[0]), low = hex_digit(text.data[1]);
        if (high < 0 || low < 0)
            return false;
        print->sha256[count++] = (uint8_t)(high * 16 + low);
        text = span_skip(text, 2);
        if (text.length > 2 && text.data[0] == ':')
            text = span_skip(text, 1);
    }
    return count == FINGERPRINT_BYTES && text.length == 0;
}

bool value_read_print(struct span text, struct fingerprint *print, char why[VALUE_WHY_MAX])
{
    const struct span prefix = SPAN("sha256:");
    bool known =
        text.length > prefix.length && span_equal((struct span){text.data, prefix.length}, prefix);
    if (known && read_digest(span_skip(text, prefix.length), print))
        return true;
    snprintf(why, VALUE_WHY_MAX,
             "\"%.*s\" is not the SHA-256 of a certificate or of its public key: sha256: and 64 "
             "hexadecimal digits",
             VALUE_SHOWN(text));
    return false;
}

void value_print_print(const struct fingerprint *print, struct buffer *to)
{
    buffer_print(to, "\"sha256:");
    for (unsigned i = 0; i < FINGERPRINT_BYTES; i++)
        buffer_print(to, "%02x", print->sha256[i]);
    buffer_print(to, "\"");
}
