#include "tlspolicy/policy_line.h"

#include "base/must.h"

#include <string.h>

struct reading {
    struct tls_policy *policy;
    struct arena *arena;
    struct tls_match *matches;
    struct fingerprint *prints;
};

/* ---- words ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == ',';
}

/* Cuts the next word off, or what stands in the next braces; empty at the end. False when the
 * braces do not close, or hold nothing. */
static bool next_word(struct span *rest, struct span *word)
{
    size_t length = 0;
    while (rest->length > 0 && is_blank(rest->data[0]))
        *rest = span_skip(*rest, 1);
    if (rest->length > 0 && rest->data[0] == '{') {
        const char *end = memchr(rest->data, '}', rest->length);
        if (end == NULL)
            return false;
        *word = span_trim((struct span){rest->data + 1, (size_t)(end - rest->data) - 1});
        *rest = span_skip(*rest, (size_t)(end - rest->data) + 1);
        return word->length > 0;
    }
    while (length < rest->length && !is_blank(rest->data[length]))
        length++;
    *word = (struct span){rest->data, length};
    *rest = span_skip(*rest, length);
    return true;
}

/* Up to the next `at`; what follows stays in `rest`. */
static struct span cut(struct span *rest, char at)
{
    const char *found = rest->length > 0 ? memchr(rest->data, at, rest->length) : NULL;
    size_t length = found != NULL ? (size_t)(found - rest->data) : rest->length;
    struct span head = {rest->data, length};
    *rest = span_skip(*rest, found != NULL ? length + 1 : length);
    return head;
}

/* ---- names ---- */

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* "mx.example" or ".example": below it. */
static bool is_name(struct span text)
{
    bool label = false;
    if (text.length > 0 && text.data[0] == '.')
        text = span_skip(text, 1);
    if (text.length == 0 || text.length > 253)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '.' ? !label : !is_name_byte(text.data[i]))
            return false;
        label = text.data[i] != '.';
    }
    return label;
}

static bool read_match(struct reading *reading, struct span text, struct tls_match *match)
{
    *match = (struct tls_match){0};
    if (span_equal_nocase(text, SPAN("hostname")))
        match->kind = MATCH_HOSTNAME;
    else if (span_equal_nocase(text, SPAN("nexthop")))
        match->kind = MATCH_NEXTHOP;
    else if (span_equal_nocase(text, SPAN("dot-nexthop")))
        match->kind = MATCH_DOT_NEXTHOP;
    else if (is_name(text)) {
        char *name = arena_copy(reading->arena, text);
        text_lower(name);
        *match = (struct tls_match){MATCH_NAME, name};
    } else {
        return false;
    }
    return true;
}

static const char *add_names(struct reading *reading, struct span value)
{
    struct tls_policy *policy = reading->policy;
    do {
        if (policy->match_count == POLICY_LINE_NAMES_MAX)
            return "more than 64 names in match";
        if (!read_match(reading, cut(&value, ':'), &reading->matches[policy->match_count]))
            return "what match says is no name";
        policy->match_count++;
    } while (value.length > 0);
    return NULL;
}

/* ---- fingerprints ---- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "AB:12:…", of SHA-256 and of nothing else. */
static bool read_print(struct span text, struct fingerprint *print)
{
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++) {
        if (text.length < 2 || digit_of(text.data[0]) < 0 || digit_of(text.data[1]) < 0)
            return false;
        print->sha256[i] = (uint8_t)(digit_of(text.data[0]) * 16 + digit_of(text.data[1]));
        text = span_skip(text, 2);
        if (text.length > 0 && text.data[0] == ':' && i + 1 < FINGERPRINT_BYTES)
            text = span_skip(text, 1);
    }
    return text.length == 0;
}

static const char *add_prints(struct reading *reading, struct span value)
{
    struct tls_policy *policy = reading->policy;
    do {
        if (policy->fingerprint_count == POLICY_LINE_NAMES_MAX)
            return "more than 64 fingerprints in match";
        if (!read_print(cut(&value, '|'), &reading->prints[policy->fingerprint_count]))
            return "what match says is no SHA-256 fingerprint";
        policy->fingerprint_count++;
    } while (value.length > 0);
    return NULL;
}

/* ---- attributes ---- */

static const char *take_match(struct reading *reading, struct span value)
{
    if (value.length == 0)
        return "match is empty";
    switch (reading->policy->level) {
    case TLS_FINGERPRINT: return add_prints(reading, value);
    case TLS_VERIFY:
    case TLS_SECURE: return add_names(reading, value);
    case TLS_NONE:
    case TLS_MAY:
    case TLS_ENCRYPT:
    case TLS_DANE:
    case TLS_DANE_ONLY: return "match is of no use at this level";
    }
    must_not_reach();
}

static const char *take_servername(struct reading *reading, struct span value)
{
    struct tls_match *name = arena_take(reading->arena, sizeof(*name));
    if (!read_match(reading, value, name) || name->kind == MATCH_DOT_NEXTHOP ||
        (name->kind == MATCH_NAME && name->name[0] == '.'))
        return "what servername says is no name";
    reading->policy->server_name = name;
    return NULL;
}

static bool is_for_reports(struct span name)
{
    static const char *const names[] = {"policy_type",   "policy_ttl",     "policy_domain",
                                        "policy_string", "policy_failure", "mx_host_pattern"};
    for (size_t i = 0; i < countof(names); i++)
        if (span_equal_nocase(name, span_of(names[i])))
            return true;
    return false;
}

static const char *take_attribute(struct reading *reading, struct span attribute)
{
    bool given = memchr(attribute.data, '=', attribute.length) != NULL;
    struct span name = span_trim(cut(&attribute, '=')), value = span_trim(attribute);
    if (!given)
        return "a word that is no attribute";
    if (span_equal_nocase(name, SPAN("match")))
        return take_match(reading, value);
    if (span_equal_nocase(name, SPAN("servername")))
        return take_servername(reading, value);
    return is_for_reports(name) ? NULL : "an attribute that is not known here";
}

static bool read_level(struct span word, enum tls_level *level)
{
    for (unsigned i = 0; i < TLS_LEVELS; i++)
        if (span_equal_nocase(word, span_of(tls_level_name((enum tls_level)i)))) {
            *level = (enum tls_level)i;
            return true;
        }
    return false;
}

/* ---- the line ---- */

static const char *read_line(struct reading *reading, struct span rest)
{
    struct span word;
    const char *why = NULL;
    if (!next_word(&rest, &word) || !read_level(word, &reading->policy->level))
        return "it begins with no level that is known here";
    while (why == NULL) {
        if (!next_word(&rest, &word))
            return "braces that do not close, or hold nothing";
        if (word.length == 0)
            break;
        why = take_attribute(reading, word);
    }
    bool prints = reading->policy->level == TLS_FINGERPRINT;
    if (why == NULL && prints && reading->policy->fingerprint_count == 0)
        return "fingerprint without match";
    return why;
}

const char *policy_line_read(struct span line, struct tls_policy *policy, struct arena *arena)
{
    struct tls_policy read = *policy;
    struct reading reading = {.policy = &read, .arena = arena};
    if (line.length > POLICY_LINE_MAX)
        return "it is longer than 8,192 bytes";
    reading.matches = arena_take(arena, POLICY_LINE_NAMES_MAX * sizeof(*reading.matches));
    reading.prints = arena_take(arena, POLICY_LINE_NAMES_MAX * sizeof(*reading.prints));
    read.match_count = read.fingerprint_count = 0;
    read.server_name = NULL;
    const char *why = read_line(&reading, line);
    if (why != NULL)
        return why;
    read.matches = reading.matches;
    read.fingerprints = reading.prints;
    *policy = read;
    return NULL;
}
