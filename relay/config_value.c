#include "relay/config_value.h"

#include "base/nearest.h"
#include "base/units.h"
#include "relay/policy_map.h"
#include "relay/smtp/address.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A span for "%.*s" in a message: what is shown of a wrong value. */

/* ---- what is counted ---- */

struct counted {
    bool (*read)(struct span text, int64_t *value);
    char *(*format)(int64_t value, char text[UNITS_TEXT_MAX]);
    const char *what;
};

static bool read_plain(struct span text, int64_t *value)
{
    uint64_t number;
    if (!span_number(text, &number) || number > INT64_MAX)
        return false;
    *value = (int64_t)number;
    return true;
}

static char *format_plain(int64_t value, char text[UNITS_TEXT_MAX])
{
    snprintf(text, UNITS_TEXT_MAX, "%" PRId64, value);
    return text;
}

static bool read_size(struct span text, int64_t *value)
{
    uint64_t bytes;
    if (!units_size(text, &bytes) || bytes > INT64_MAX)
        return false;
    *value = (int64_t)bytes;
    return true;
}

static char *format_size(int64_t value, char text[UNITS_TEXT_MAX])
{
    return units_size_format((uint64_t)value, text);
}

static const struct counted *counted_of(enum key_kind kind)
{
    static const struct counted plain = {read_plain, format_plain, "a number"};
    static const struct counted size = {read_size, format_size, "a size, as in 64K, 50M or 2G"};
    static const struct counted duration = {units_duration, units_duration_format,
                                            "a duration, as in 250ms, 30s, 5m, 4h or 5d"};
    if (kind == KEY_SIZE)
        return &size;
    return kind == KEY_DURATION ? &duration : &plain;
}

static void store_number(const struct key *key, int64_t value, void *at)
{
    if (key->kind == KEY_PORT)
        *(uint16_t *)at = (uint16_t)value;
    else if (key->kind == KEY_NUMBER)
        *(unsigned *)at = (unsigned)value;
    else if (key->kind == KEY_SIZE)
        *(uint64_t *)at = (uint64_t)value;
    else
        *(int64_t *)at = value;
}

static int64_t load_number(const struct key *key, const void *at)
{
    if (key->kind == KEY_PORT)
        return *(const uint16_t *)at;
    if (key->kind == KEY_NUMBER)
        return *(const unsigned *)at;
    if (key->kind == KEY_SIZE)
        return (int64_t) * (const uint64_t *)at;
    return *(const int64_t *)at;
}

static bool read_number(const struct key *key, struct span text, void *at, char why[VALUE_WHY_MAX])
{
    const struct counted *counted = counted_of(key->kind);
    char least[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX];
    int64_t value;
    if (!counted->read(text, &value)) {
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not %s", VALUE_SHOWN(text), counted->what);
        return false;
    }
    if (value < key->least || value > key->most) {
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not within %s to %s", VALUE_SHOWN(text),
                 counted->format(key->least, least), counted->format(key->most, most));
        return false;
    }
    store_number(key, value, at);
    return true;
}

static void print_number(const struct key *key, const void *at, struct buffer *to)
{
    char text[UNITS_TEXT_MAX];
    buffer_print(to, "%s", counted_of(key->kind)->format(load_number(key, at), text));
}

/* ---- rates ---- */

static bool read_rate(const struct key *key, struct span text, struct rate *value,
                      char why[VALUE_WHY_MAX])
{
    if (!units_rate(text, value))
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not a rate, as in 5/s, 100/h, or 0 for no limit",
                 VALUE_SHOWN(text));
    else if (value->count > key->most)
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is more than %" PRId64, VALUE_SHOWN(text),
                 key->most);
    else
        return true;
    return false;
}

static void print_rate(struct buffer *to, struct rate value)
{
    char text[UNITS_TEXT_MAX];
    buffer_print(to, "\"%s\"", units_rate_format(value, text));
}

/* ---- factors ---- */

static bool read_factor(const struct key *key, struct span text, double *value,
                        char why[VALUE_WHY_MAX])
{
    char copy[32] = "", *end = copy;
    if (text.length > 0 && text.length < sizeof(copy) && text.data[0] != '-') {
        memcpy(copy, text.data, text.length);
        copy[text.length] = '\0';
        *value = strtod(copy, &end);
    }
    if (end == copy || *end != '\0' || strspn(copy, "0123456789.") != text.length)
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not a number, as in 2 or 1.5", VALUE_SHOWN(text));
    else if (*value < (double)key->least || *value > (double)key->most)
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not within %" PRId64 " to %" PRId64,
                 VALUE_SHOWN(text), key->least, key->most);
    else
        return true;
    return false;
}

static void print_factor(struct buffer *to, double value)
{
    char text[320];
    int digits = 1;
    do /* as few digits as give the same number again */
        snprintf(text, sizeof(text), "%.*g", digits++, value);
    while (strtod(text, NULL) != value);
    buffer_append(to, span_of(text));
}

/* ---- words ---- */

static bool is_one_of(struct span text, const char *const *words)
{
    for (; words != NULL && *words != NULL; words++)
        if (span_equal(text, span_of(*words)))
            return true;
    return false;
}

/* `value` is where an enum lies: as wide as an unsigned. */
static bool read_word(const struct key *key, struct span text, unsigned *value,
                      char why[VALUE_WHY_MAX])
{
    char list[160] = "";
    unsigned count = 0;
    for (; key->words[count] != NULL; count++) {
        if (span_equal(text, span_of(key->words[count]))) {
            *value = count;
            return true;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof(list) - used, "%s%s", used ? ", " : "", key->words[count]);
    }
    const char *nearest = nearest_name(text, key->words, count);
    if (nearest != NULL)
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not one of %s: did you mean \"%s\"?",
                 VALUE_SHOWN(text), list, nearest);
    else
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not one of %s", VALUE_SHOWN(text), list);
    return false;
}

static bool read_flag(struct span text, bool *value, char why[VALUE_WHY_MAX])
{
    static const char *const yes[] = {"true", "yes", "on", NULL};
    static const char *const no[] = {"false", "no", "off", NULL};
    *value = is_one_of(text, yes);
    if (*value || is_one_of(text, no))
        return true;
    snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is neither true nor false", VALUE_SHOWN(text));
    return false;
}

/* ---- texts ---- */

static bool is_printable(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] < ' ' || text.data[i] == 0x7f)
            return false;
    return true;
}

static bool read_text(const struct key *key, struct span text, const char **value,
                      struct arena *arena, char why[VALUE_WHY_MAX])
{
    struct endpoint endpoint;
    struct policy_map map;
    const char *wrong, *given = arena_copy(arena, text);
    if (key->kind == KEY_PATH && (text.length == 0 || !is_printable(text)))
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not the name of a file or directory",
                 VALUE_SHOWN(text));
    else if (key->kind == KEY_HOSTNAME && !domain_is_valid(text))
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not a host name, as in relay.example.com",
                 VALUE_SHOWN(text));
    else if (key->kind == KEY_ENDPOINT && (!endpoint_parse(text, &endpoint) || endpoint.port == 0))
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not ADDRESS:PORT, as in 127.0.0.1:53 or [::1]:53",
                 VALUE_SHOWN(text));
    else if (key->kind == KEY_POLICY_MAP && (wrong = policy_map_parse(given, &map)) != NULL)
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\": %s", VALUE_SHOWN(text), wrong);
    else if (key->kind == KEY_ADDRESS && !address_is_valid(text))
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not an address, as in postmaster@example.com",
                 VALUE_SHOWN(text));
    else if (key->kind == KEY_TEXT && (text.length == 0 || !is_printable(text)))
        snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is empty, or holds control characters",
                 VALUE_SHOWN(text));
    else {
        *value = given;
        return true;
    }
    return false;
}

void value_print_text(struct buffer *to, const char *text)
{
    buffer_append(to, SPAN("\""));
    for (; *text != '\0'; text++)
        buffer_print(to, strchr("\"\\$", *text) ? "\\%c" : "%c", *text);
    buffer_append(to, SPAN("\""));
}

/* ---- any ---- */

bool value_read(const struct key *key, struct span text, void *item, struct arena *arena,
                char why[VALUE_WHY_MAX])
{
    void *at = (char *)item + key->offset;
    switch (key->kind) {
    case KEY_PATH:
    case KEY_HOSTNAME:
    case KEY_ENDPOINT:
    case KEY_POLICY_MAP:
    case KEY_ADDRESS:
    case KEY_TEXT: return read_text(key, text, at, arena, why);
    case KEY_NUMBER:
    case KEY_PORT:
    case KEY_SIZE:
    case KEY_DURATION: return read_number(key, text, at, why);
    case KEY_FACTOR: return read_factor(key, text, at, why);
    case KEY_RATE: return read_rate(key, text, at, why);
    case KEY_FLAG: return read_flag(text, at, why);
    case KEY_WORD: return read_word(key, text, at, why);
    case KEY_MATCH: return value_read_server_name(text, at, arena, why);
    case KEY_HOSTS:
    case KEY_NETWORKS:
    case KEY_SCHEDULE:
    case KEY_ADDRESSES:
    case KEY_EXTENSIONS:
    case KEY_SENDERS:
    case KEY_MATCHES:
    case KEY_PRINTS:
    case KEY_USERS:
    case KEY_MECHANISMS: must_not_reach();
    }
    must_not_reach();
}

bool value_print(const struct key *key, const void *item, struct buffer *to)
{
    const void *at = (const char *)item + key->offset;
    switch (key->kind) {
    case KEY_PATH:
    case KEY_HOSTNAME:
    case KEY_ENDPOINT:
    case KEY_POLICY_MAP:
    case KEY_ADDRESS:
    case KEY_TEXT:
        if (*(const char *const *)at == NULL)
            return false;
        value_print_text(to, *(const char *const *)at);
        return true;
    case KEY_NUMBER:
    case KEY_PORT:
    case KEY_SIZE:
    case KEY_DURATION: print_number(key, at, to); return true;
    case KEY_FACTOR: print_factor(to, *(const double *)at); return true;
    case KEY_RATE: print_rate(to, *(const struct rate *)at); return true;
    case KEY_FLAG: buffer_print(to, "%s", *(const bool *)at ? "true" : "false"); return true;
    case KEY_WORD: value_print_text(to, key->words[*(const unsigned *)at]); return true;
    case KEY_MATCH: return value_print_server_name(*(const struct tls_match *const *)at, to);
    case KEY_HOSTS:
    case KEY_NETWORKS:
    case KEY_SCHEDULE:
    case KEY_ADDRESSES:
    case KEY_EXTENSIONS:
    case KEY_SENDERS:
    case KEY_MATCHES:
    case KEY_PRINTS:
    case KEY_USERS:
    case KEY_MECHANISMS: return false;
    }
    must_not_reach();
}

/* ---- hosts of a route ---- */

static bool read_port(struct span text, uint16_t *port)
{
    uint64_t number;
    if (!span_number(text, &number) || number < 1 || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Cuts ":PORT" off; false when what stands behind the colon is no port. */
static bool cut_port(struct span *text, uint16_t *port)
{
    const char *bracket = text->length ? memrchr(text->data, ']', text->length) : NULL;
    size_t from = bracket ? (size_t)(bracket - text->data) : 0;
    const char *colon = memchr(text->data + from, ':', text->length - from);
    if (colon == NULL)
        return true;
    struct span behind = span_skip(*text, (size_t)(colon - text->data) + 1);
    text->length = (size_t)(colon - text->data);
    return read_port(behind, port);
}

bool value_read_host(struct span text, uint16_t port, struct arena *arena,
                     struct next_hop_host *host, char why[VALUE_WHY_MAX])
{
    struct span name = text;
    *host = (struct next_hop_host){.port = port};
    if (text.length > 0 && cut_port(&name, &host->port)) {
        bool brackets = name.length > 2 && name.data[0] == '[' && name.data[name.length - 1] == ']';
        struct span inside = brackets ? (struct span){name.data + 1, name.length - 2} : name;
        if (address_literal_parse(name, &host->ip) || ip_parse(inside, &host->ip))
            return true;
        if (!brackets && domain_is_valid(name)) {
            host->name = arena_copy(arena, name);
            return true;
        }
    }
    snprintf(why, VALUE_WHY_MAX, "\"%.*s\" is not a host, as in mx.example:25 or [192.0.2.1]:25",
             VALUE_SHOWN(text));
    return false;
}

void value_print_host(const struct next_hop_host *host, struct buffer *to)
{
    char ip[IP_TEXT_MAX];
    if (host->name != NULL)
        buffer_print(to, "\"%s:%u\"", host->name, host->port);
    else
        buffer_print(to, "\"[%s]:%u\"", ip_format(&host->ip, ip), host->port);
}
