#include "bench/arguments.h"

#include "base/ip.h"
#include "base/must.h"
#include "base/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int arguments_fail(int code, const char *command, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "millrace %s: %s\n", command, text);
    return code;
}

static bool read_switch(struct span value, bool *to, char why[ARGUMENT_WHY_MAX])
{
    *to = span_equal(value, SPAN("on"));
    if (*to || span_equal(value, SPAN("off")))
        return true;
    snprintf(why, ARGUMENT_WHY_MAX, "on or off, not '%.*s'", SPAN_FORMAT(value));
    return false;
}

static bool read_number(const struct argument *row, struct span value, char why[ARGUMENT_WHY_MAX])
{
    uint64_t number;
    if (span_number(value, &number) && number >= row->least && number <= row->most) {
        *(uint64_t *)row->to = number;
        return true;
    }
    snprintf(why, ARGUMENT_WHY_MAX, "a number from %" PRIu64 " to %" PRIu64 ", not '%.*s'",
             row->least, row->most, SPAN_FORMAT(value));
    return false;
}

static bool read_size(const struct argument *row, struct span value, char why[ARGUMENT_WHY_MAX])
{
    uint64_t bytes;
    if (units_size(value, &bytes) && bytes >= row->least && bytes <= row->most) {
        *(uint64_t *)row->to = bytes;
        return true;
    }
    snprintf(why, ARGUMENT_WHY_MAX,
             "a size from %" PRIu64 " to %" PRIu64 " bytes, as 4096, 4K or 1M, not '%.*s'",
             row->least, row->most, SPAN_FORMAT(value));
    return false;
}

static bool read_duration(const struct argument *row, struct span value, char why[ARGUMENT_WHY_MAX])
{
    int64_t ms;
    if (units_duration(value, &ms) && (uint64_t)ms >= row->least && (uint64_t)ms <= row->most) {
        *(uint64_t *)row->to = (uint64_t)ms;
        return true;
    }
    snprintf(why, ARGUMENT_WHY_MAX,
             "a time as 500ms, 30s, 5m or 1h (at most %" PRIu64 "s), not '%.*s'", row->most / 1000,
             SPAN_FORMAT(value));
    return false;
}

static bool read_text(struct span value, const char **to, char why[ARGUMENT_WHY_MAX])
{
    *to = value.data; /* argv is NUL-terminated, and lives on */
    if (value.length > 0)
        return true;
    snprintf(why, ARGUMENT_WHY_MAX, "a value that is not empty");
    return false;
}

static bool read_endpoint(struct span value, struct endpoint *to, char why[ARGUMENT_WHY_MAX])
{
    if (endpoint_parse(value, to))
        return true;
    snprintf(why, ARGUMENT_WHY_MAX, "ADDRESS:PORT as 127.0.0.1:2525 or [::1]:2525, not '%.*s'",
             SPAN_FORMAT(value));
    return false;
}

static bool read_value(const struct argument *row, struct span value, char why[ARGUMENT_WHY_MAX])
{
    switch (row->kind) {
    case ARGUMENT_FLAG: *(bool *)row->to = true; return true;
    case ARGUMENT_SWITCH: return read_switch(value, row->to, why);
    case ARGUMENT_NUMBER: return read_number(row, value, why);
    case ARGUMENT_SIZE: return read_size(row, value, why);
    case ARGUMENT_DURATION: return read_duration(row, value, why);
    case ARGUMENT_TEXT: return read_text(value, row->to, why);
    case ARGUMENT_ENDPOINT: return read_endpoint(value, row->to, why);
    case ARGUMENT_CALL: return row->call(row->to, value, why);
    }
    must_not_reach();
}

static const struct argument *find(const struct argument *rows, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal(name, span_of(rows[i].name)))
            return &rows[i];
    return NULL;
}

/* Reads the option at argv[*at] and moves *at to its last word. */
static int read_one(int argc, char **argv, int *at, const struct argument *rows, size_t count)
{
    const char *command = argv[0], *word = argv[*at];
    const char *equals = strchr(word, '=');
    struct span name = {word, equals ? (size_t)(equals - word) : strlen(word)};
    const struct argument *row = find(rows, count, name);
    char why[ARGUMENT_WHY_MAX];
    if (row == NULL)
        return arguments_fail(EX_USAGE, command, "no option '%.*s': see millrace %s --help",
                              SPAN_FORMAT(name), command);
    if (row->kind == ARGUMENT_FLAG && equals)
        return arguments_fail(EX_USAGE, command, "%s takes no value", row->name);
    if (row->kind != ARGUMENT_FLAG && !equals && ++*at == argc)
        return arguments_fail(EX_USAGE, command, "%s wants a value: see millrace %s --help",
                              row->name, command);
    struct span value = equals ? span_of(equals + 1) : span_of(argv[*at]);
    if (!read_value(row, value, why))
        return arguments_fail(EX_USAGE, command, "%s: %s", row->name, why);
    return ARGUMENTS_READ;
}

int arguments_read(int argc, char **argv, const struct argument *rows, size_t count,
                   const char *help)
{
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
            return fputs(help, stdout) < 0 ? EX_IOERR : EX_OK;
        int code = read_one(argc, argv, &at, rows, count);
        if (code != ARGUMENTS_READ)
            return code;
    }
    return ARGUMENTS_READ;
}
