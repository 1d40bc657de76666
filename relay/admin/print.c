#include "relay/admin/print.h"

#include "base/must.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

const char *json_text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

int64_t json_number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

char *short_age(int64_t seconds, char text[SHORT_TEXT_MAX])
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i + 1 < countof(units) && seconds < units[i].seconds)
        i++;
    snprintf(text, SHORT_TEXT_MAX, "%" PRId64 "%c", seconds / units[i].seconds, units[i].unit);
    return text;
}

char *short_size(int64_t bytes, char text[SHORT_TEXT_MAX])
{
    double size = (double)bytes / 1024;
    const char *unit = "KMGT";
    for (; size >= 1024 && unit[1] != '\0'; unit++)
        size /= 1024;
    if (bytes < 1024)
        snprintf(text, SHORT_TEXT_MAX, "%" PRId64, bytes);
    else
        snprintf(text, SHORT_TEXT_MAX, "%.1f%c", size, *unit);
    return text;
}

char *short_count(int64_t count, char text[SHORT_TEXT_MAX])
{
    char digits[SHORT_TEXT_MAX];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, (uint64_t)(count < 0 ? 0 : count));
    char *to = text;
    for (int i = 0; i < length && to < text + SHORT_TEXT_MAX - 2; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

char *short_time(const char *rfc3339, char text[SHORT_TEXT_MAX])
{
    snprintf(text, SHORT_TEXT_MAX, "%.19sZ", rfc3339);
    return text;
}

void print_field(const char *name, const char *before, const char *value, const char *after)
{
    char *shown = terminal_text(value);
    printf("  %-12s %s%s%s\n", name, before, shown, after);
    free(shown);
}

void print_optional_field(const json_t *object, const char *name, const char *key)
{
    const char *value = json_text_of(object, key);
    if (value[0] != '\0')
        print_field(name, "", value, "");
}

void print_security(const json_t *object)
{
    const char *security = json_text_of(object, "security");
    if (strcmp(security, "usual") != 0)
        print_optional_field(object, "security", "security");
}

void print_json(const json_t *object)
{
    json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
    putchar('\n');
}
