#include "base/log.h"

#include "base/log_out.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define GATHERED_MAX 65536

static _Atomic enum log_format format_now = LOG_TEXT; /* a reload changes it under way */
static int64_t (*clock_ms)(void);

static _Thread_local struct {
    size_t length;
    char bytes[GATHERED_MAX];
} gathered;

void log_open(enum log_format format, int64_t (*wall_ms)(void))
{
    atomic_store_explicit(&format_now, format, memory_order_relaxed);
    clock_ms = wall_ms;
}

void log_set_format(enum log_format format)
{
    atomic_store_explicit(&format_now, format, memory_order_relaxed);
}

char *log_time(int64_t wall_ms, char text[LOG_TIME_MAX])
{
    /* The date changes once a second at most: each thread keeps the last one it made. */
    static _Thread_local time_t last = -1;
    static _Thread_local char date[LOG_TIME_MAX];
    time_t seconds = wall_ms / 1000;
    if (seconds != last) {
        struct tm parts;
        gmtime_r(&seconds, &parts);
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &parts);
        last = seconds;
    }
    snprintf(text, LOG_TIME_MAX, "%.19s.%03dZ", date, (int)(wall_ms % 1000));
    return text;
}

static void add(struct log_line *line, const char *bytes, size_t length)
{
    must(line->length + length < LOG_LINE_MAX);
    memcpy(line->text + line->length, bytes, length);
    line->length += length;
}

static void add_string(struct log_line *line, const char *text)
{
    add(line, text, strlen(text));
}

/* At worst each byte takes six (\u001b), and key, quotes and the line's end come on top. */
static bool fits(const struct log_line *line, const char *key, size_t value_length)
{
    return line->length + strlen(key) + value_length * 6 + 16 < LOG_LINE_MAX;
}

void log_begin(struct log_line *line, const char *event)
{
    char time[LOG_TIME_MAX];
    log_time(clock_ms ? clock_ms() : 0, time);
    line->length = 0;
    line->format = atomic_load_explicit(&format_now, memory_order_relaxed);
    bool json = line->format == LOG_JSON;
    add_string(line, json ? "{\"time\":\"" : "");
    add_string(line, time);
    add_string(line, json ? "\",\"event\":\"" : " ");
    add_string(line, event);
    add_string(line, json ? "\"" : "");
}

static void add_key(struct log_line *line, const char *key)
{
    if (line->format == LOG_JSON) {
        add_string(line, ",\"");
        add_string(line, key);
        add_string(line, "\":");
    } else {
        add_string(line, " ");
        add_string(line, key);
        add_string(line, "=");
    }
}

static bool is_plain(char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Whatever is not plain ASCII is escaped: a log is read on any terminal. */
static void add_escaped(struct log_line *line, struct span value)
{
    while (value.length > 0) {
        size_t plain = 0;
        while (plain < value.length && is_plain(value.data[plain]))
            plain++;
        add(line, value.data, plain);
        value = span_skip(value, plain);
        char escape[UTF8_ESCAPE_MAX];
        if (value.length > 0)
            add_string(line, utf8_escape(&value, escape));
    }
}

static bool needs_quotes(struct span value)
{
    for (size_t i = 0; i < value.length; i++)
        if (!is_plain(value.data[i]) || value.data[i] == ' ')
            return true;
    return value.length == 0;
}

void log_text(struct log_line *line, const char *key, struct span value)
{
    bool cut = value.length > LOG_VALUE_MAX;
    if (cut)
        value.length = LOG_VALUE_MAX;
    if (!fits(line, key, value.length + 3))
        return;
    bool quotes = line->format == LOG_JSON || needs_quotes(value);
    add_key(line, key);
    add_string(line, quotes ? "\"" : "");
    if (quotes)
        add_escaped(line, value);
    else
        add(line, value.data, value.length);
    add_string(line, cut ? "..." : "");
    add_string(line, quotes ? "\"" : "");
}

void log_string(struct log_line *line, const char *key, const char *value)
{
    log_text(line, key, span_of(value));
}

PRINTF_LIKE(3, 0)
static void print_value(struct log_line *line, const char *key, const char *format,
                        va_list arguments)
{
    char text[LOG_VALUE_MAX + 2]; /* one byte too many is enough to see that it was cut */
    int length = vsnprintf(text, sizeof(text), format, arguments);
    must(length >= 0);
    log_string(line, key, text);
}

void log_print(struct log_line *line, const char *key, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_value(line, key, format, arguments);
    va_end(arguments);
}

static void add_plain(struct log_line *line, const char *key, const char *digits)
{
    if (!fits(line, key, strlen(digits)))
        return;
    add_key(line, key);
    add_string(line, digits);
}

void log_number(struct log_line *line, const char *key, int64_t value)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRId64, value);
    add_plain(line, key, digits);
}

void log_seconds(struct log_line *line, const char *key, int64_t ms)
{
    char digits[32];
    if (ms < 0)
        ms = 0;
    snprintf(digits, sizeof(digits), "%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
    add_plain(line, key, digits);
}

struct span log_close(struct log_line *line)
{
    add_string(line, line->format == LOG_JSON ? "}\n" : "\n");
    return (struct span){line->text, line->length};
}

void log_end(struct log_line *line)
{
    struct span whole = log_close(line);
    if (gathered.length + whole.length > GATHERED_MAX)
        log_flush();
    memcpy(gathered.bytes + gathered.length, whole.data, whole.length);
    gathered.length += whole.length;
}

void log_note(const char *event, const char *key, const char *format, ...)
{
    struct log_line line;
    va_list arguments;
    log_begin(&line, event);
    va_start(arguments, format);
    print_value(&line, key, format, arguments);
    va_end(arguments);
    log_end(&line);
}

struct span log_take_gathered(void)
{
    struct span lines = {gathered.bytes, gathered.length};
    gathered.length = 0;
    return lines;
}

void log_flush(void)
{
    struct span lines = log_take_gathered();
    if (lines.length > 0)
        log_out(lines);
}
