#include "relay/policy_map.h"

#include "base/must.h"

#include <stdio.h>
#include <string.h>

/* ---- where it is ---- */

static bool take_prefix(struct span *text, struct span prefix)
{
    if (text->length < prefix.length || memcmp(text->data, prefix.data, prefix.length) != 0)
        return false;
    *text = span_skip(*text, prefix.length);
    return true;
}

static bool copy(char to[POLICY_MAP_TEXT_MAX], struct span from)
{
    if (from.length == 0 || from.length >= POLICY_MAP_TEXT_MAX)
        return false;
    for (size_t i = 0; i < from.length; i++)
        if (from.data[i] <= ' ' || from.data[i] > '~')
            return false;
    snprintf(to, POLICY_MAP_TEXT_MAX, "%.*s", SPAN_FORMAT(from));
    return true;
}

/* The name behind the last colon, and what stands before it. */
static bool take_name(struct span *text, struct policy_map *map)
{
    const char *colon = memrchr(text->data, ':', text->length);
    if (colon == NULL)
        return false;
    size_t before = (size_t)(colon - text->data);
    bool fine = copy(map->name, span_skip(*text, before + 1));
    text->length = before;
    return fine;
}

const char *policy_map_parse(const char *text, struct policy_map *map)
{
    struct span rest = span_of(text);
    *map = (struct policy_map){0};
    if (take_prefix(&rest, SPAN("tcp:"))) {
        map->protocol = POLICY_TCP;
        return endpoint_parse(rest, &map->at) ? NULL : "tcp: needs ADDRESS:PORT behind it";
    }
    map->protocol = POLICY_SOCKETMAP;
    bool inet = take_prefix(&rest, SPAN("socketmap:inet:"));
    if (!inet && !take_prefix(&rest, SPAN("socketmap:unix:")))
        return "it is written socketmap:inet:ADDRESS:PORT:NAME, socketmap:unix:PATH:NAME or "
               "tcp:ADDRESS:PORT";
    if (!take_name(&rest, map))
        return "the name of the map is missing behind the last colon";
    if (inet)
        return endpoint_parse(rest, &map->at) ? NULL : "socketmap:inet: needs ADDRESS:PORT:NAME";
    return copy(map->path, rest) ? NULL : "socketmap:unix: needs PATH:NAME, the path not too long";
}

/* ---- asking ---- */

/* tcp_table(5): what is not printable, and %, as %XX. */
static void print_coded(struct buffer *to, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text > ' ' && *text <= '~' && *text != '%')
            buffer_append(to, (struct span){text, 1});
        else
            buffer_print(to, "%%%02X", (unsigned char)*text);
}

void policy_map_ask(const struct policy_map *map, const char *next_hop, struct buffer *to)
{
    switch (map->protocol) {
    case POLICY_SOCKETMAP:
        buffer_print(to, "%zu:%s %s,", strlen(map->name) + 1 + strlen(next_hop), map->name,
                     next_hop);
        return;
    case POLICY_TCP:
        buffer_print(to, "get ");
        print_coded(to, next_hop);
        buffer_print(to, "\n");
        return;
    }
}

/* ---- what comes back ---- */

static enum policy_answer failed(struct arena *arena, struct span *text, const char *what,
                                 struct span said)
{
    size_t shown = said.length < 200 ? said.length : 200;
    char *why = arena_print(arena, "%s%s%.*s", what, shown > 0 ? ": " : "", (int)shown, said.data);
    for (char *c = why; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    *text = span_of(why);
    return POLICY_FAILED;
}

static enum policy_answer found(struct arena *arena, struct span *text, struct span value)
{
    *text = span_of(arena_copy(arena, value));
    return POLICY_FOUND;
}

/* "12:OK something," */
static enum policy_answer read_netstring(struct span came, struct span *inside)
{
    uint64_t length = 0;
    size_t at = 0;
    while (at < came.length && came.data[at] >= '0' && came.data[at] <= '9' && at < 6)
        length = length * 10 + (uint64_t)(came.data[at++] - '0');
    if (at == came.length && at < 6)
        return POLICY_UNFINISHED;
    if (at == 0 || at == came.length || came.data[at] != ':' || length > POLICY_MAP_REPLY_MAX)
        return POLICY_FAILED;
    came = span_skip(came, at + 1);
    if (came.length < length + 1)
        return POLICY_UNFINISHED;
    *inside = (struct span){came.data, (size_t)length};
    return came.data[length] == ',' && came.length == length + 1 ? POLICY_FOUND : POLICY_FAILED;
}

static enum policy_answer read_socketmap(struct span came, struct arena *arena, struct span *text)
{
    struct span inside;
    switch (read_netstring(came, &inside)) {
    case POLICY_UNFINISHED: return POLICY_UNFINISHED;
    case POLICY_FAILED:
    case POLICY_NOT_FOUND: return failed(arena, text, "its reply is no netstring", came);
    case POLICY_FOUND: break;
    }
    struct span rest = inside, word = span_word(&rest);
    if (span_equal(word, SPAN("OK")))
        return found(arena, text, span_trim(rest));
    if (span_equal(word, SPAN("NOTFOUND")))
        return POLICY_NOT_FOUND;
    return failed(arena, text, "it said", inside);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* False where a % is followed by no two digits. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        *to = *from;
        if (*from == '%') {
            int high = hex_digit(from[1]), low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0 || high * 16 + low == 0)
                return false;
            *to = (char)(high * 16 + low);
            from += 2;
        }
        to++;
    }
    *to = '\0';
    return true;
}

static enum policy_answer read_tcp(struct span came, struct arena *arena, struct span *text)
{
    const char *end = memchr(came.data, '\n', came.length);
    if (end == NULL)
        return POLICY_UNFINISHED;
    struct span line = {came.data, (size_t)(end - came.data)};
    char *decoded = arena_copy(arena, span_trim(span_skip(line, 4)));
    bool coded = line.length == 3 || (line.length > 3 && line.data[3] == ' ');
    bool whole = coded && line.length + 1 == came.length &&
                 memchr(line.data, '\0', line.length) == NULL && decode(decoded);
    if (whole && take_prefix(&line, SPAN("200")))
        return found(arena, text, span_of(decoded));
    if (whole && take_prefix(&line, SPAN("500")))
        return POLICY_NOT_FOUND;
    return failed(arena, text, "it said", line);
}

enum policy_answer policy_map_read(const struct policy_map *map, struct span came,
                                   struct arena *arena, struct span *text)
{
    enum policy_answer answer = POLICY_UNFINISHED;
    *text = (struct span){0};
    if (came.length == 0)
        return POLICY_UNFINISHED;
    switch (map->protocol) {
    case POLICY_SOCKETMAP: answer = read_socketmap(came, arena, text); break;
    case POLICY_TCP: answer = read_tcp(came, arena, text); break;
    }
    if (answer == POLICY_UNFINISHED && came.length > POLICY_MAP_REPLY_MAX + 8)
        return failed(arena, text, "its reply is too long", (struct span){0});
    return answer;
}
