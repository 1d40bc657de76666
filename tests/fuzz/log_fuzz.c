/* Whatever is logged: a line stays one line of printable ASCII in which each value is at its own
 * key, and nothing else; as JSON it is one object, and its values are what was said. The first
 * byte chooses the format; then values, each with its length before it. */
#include "base/log.h"

#include "base/fields.h"
#include "base/log_out.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <string.h>

#define VALUES_MAX 16
#define KEYS "abcdefghijklmnop"

struct values {
    struct span list[VALUES_MAX];
    unsigned count;
};

static struct values values_read(struct span from)
{
    struct fields fields = {.rest = from};
    struct values values = {.count = 0};
    while (values.count < VALUES_MAX && fields.rest.length > 0) {
        size_t length = (size_t)field_number(&fields, 2);
        if (length > fields.rest.length)
            length = fields.rest.length;
        values.list[values.count++] = field_bytes(&fields, length);
    }
    return values;
}

static void write_line(struct log_line *line, const struct values *values)
{
    log_begin(line, "event");
    for (unsigned i = 0; i < values->count; i++)
        log_text(line, (char[]){KEYS[i], '\0'}, values->list[i]);
}

/* ---- as text ---- */

/* Cuts "value" or value off; true when a blank, or nothing, is behind it. */
static bool cut_value(struct span *rest)
{
    bool quoted = rest->length > 0 && rest->data[0] == '"';
    if (!quoted)
        while (rest->length > 0 && rest->data[0] != ' ') {
            must(rest->data[0] != '"' && rest->data[0] != '\\');
            *rest = span_skip(*rest, 1);
        }
    if (quoted) {
        *rest = span_skip(*rest, 1);
        while (rest->length > 0 && rest->data[0] != '"')
            *rest = span_skip(*rest, rest->data[0] == '\\' ? 2 : 1);
        must(rest->length > 0);
        *rest = span_skip(*rest, 1);
    }
    return rest->length == 0 || rest->data[0] == ' ';
}

/* Keys in their order; those whose value did not fit are not there. */
static void check_text(struct span rest)
{
    const char *key = KEYS;
    must(span_word(&rest).length > 0 && span_equal(span_word(&rest), SPAN("event")));
    while (rest.length > 0) {
        must(rest.length > 3 && rest.data[0] == ' ' && rest.data[2] == '=');
        const char *found = strchr(key, rest.data[1]);
        must(found != NULL);
        key = found + 1;
        rest = span_skip(rest, 3);
        must(cut_value(&rest));
    }
}

/* ---- as JSON ---- */

static void check_value(const json_t *line, char key, struct span value)
{
    const json_t *got = json_object_get(line, (char[]){key, '\0'});
    if (got == NULL || value.length > LOG_VALUE_MAX || !utf8_valid(value))
        return; /* did not fit, or is shown as well as can be */
    must(span_equal((struct span){json_string_value(got), json_string_length(got)}, value));
}

static void check_json(struct span line, const struct values *values)
{
    json_t *object =
        json_loadb(line.data, line.length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    must(json_is_object(object) && json_object_size(object) <= 2 + values->count);
    must(json_object_get(object, "time") != NULL);
    must(strcmp(json_string_value(json_object_get(object, "event")), "event") == 0);
    for (unsigned i = 0; i < values->count; i++)
        check_value(object, KEYS[i], values->list[i]);
    json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size};
    struct log_line line;
    enum log_format format = take_choice(&rest, 2) ? LOG_JSON : LOG_TEXT;
    const struct values values = values_read(rest);
    log_set_format(format);
    write_line(&line, &values);
    struct span whole = log_close(&line);
    must(whole.length <= LOG_LINE_MAX && whole.data[whole.length - 1] == '\n');
    whole.length--;
    must_be_printable(whole);
    if (format == LOG_TEXT)
        check_text(whole);
    else
        check_json(whole, &values);
    return 0;
}
