#include "base/log.h"
#include "base/utf8.h"
#include "relay/admin/answer.h"

void json_put(json_t *object, const char *key, json_t *take)
{
    must(json_object_set_new_nocheck(object, key, take) == 0);
}

void json_put_number(json_t *object, const char *key, int64_t number)
{
    json_put(object, key, json_integer(number));
}

json_t *json_text(const char *text)
{
    struct buffer escaped CLEANUP(buffer_free) = {0};
    struct span rest = span_of(text);
    if (utf8_valid(rest))
        return json_string_nocheck(text);
    while (rest.length > 0) {
        uint32_t code;
        struct span at = rest;
        if (utf8_next(&rest, &code))
            buffer_append(&escaped, (struct span){at.data, at.length - rest.length});
        else
            buffer_print(&escaped, "\\x%02x", code);
    }
    return json_stringn_nocheck(buffer_span(&escaped).data, buffer_length(&escaped));
}

void json_put_text(json_t *object, const char *key, const char *text)
{
    json_put(object, key, json_text(text));
}

void json_put_time(json_t *object, const char *key, int64_t wall_ms)
{
    char text[LOG_TIME_MAX];
    json_put_text(object, key, log_time(wall_ms, text));
}
