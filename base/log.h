/* The log: one line per thing that happened, as text or JSON, to standard error.
 *
 *     struct log_line line;
 *     log_begin(&line, "delivered");
 *     log_text(&line, "to", path);
 *     log_end(&line);
 *
 * Lines are gathered per thread and handed over by log_flush, which each thread calls once per
 * turn of its loop, to a thread that writes them: a reader that does not read stops nothing.
 * What LOG_BUFFER_MAX does not hold then is lost, and a line in its place tells how much:
 * `log-lost count=N`. Values are escaped here: no byte from the network can end a line or make
 * up a key. A value over LOG_VALUE_MAX bytes is cut and ends in "...". */
#pragma once

#include "base/must.h"
#include "base/span.h"

#define LOG_VALUE_MAX 1024
#define LOG_LINE_MAX 8192         /* keys that no longer fit are left out */
#define LOG_BUFFER_MAX (4u << 20) /* bytes of lines that nobody has read yet */

enum log_format {
    LOG_TEXT,
    LOG_JSON,
};

struct log_line {
    enum log_format format; /* as it was when the line began */
    size_t length;
    char text[LOG_LINE_MAX];
};

/* Before any thread starts. `wall_ms` is the clock: ms since 1970. */
void log_open(enum log_format format, int64_t (*wall_ms)(void));
void log_set_format(enum log_format format);

void log_begin(struct log_line *line, const char *event);
void log_text(struct log_line *line, const char *key, struct span value);
void log_string(struct log_line *line, const char *key, const char *value);
void log_print(struct log_line *line, const char *key, const char *format, ...) PRINTF_LIKE(3, 4);
void log_number(struct log_line *line, const char *key, int64_t value);
void log_seconds(struct log_line *line, const char *key, int64_t ms); /* "0.412" */
void log_end(struct log_line *line);

/* A whole line with one value: log_note("config-error", "why", "..."). */
void log_note(const char *event, const char *key, const char *format, ...) PRINTF_LIKE(3, 4);

/* Hands over what this thread gathered. Without log_start() it writes it, and waits for whoever
 * reads. */
void log_flush(void);

/* Starts the thread that writes, and has an abort write what is there first. */
void log_start(void);
/* Writes all that was handed over, for up to `patience_ms`, and ends the thread. False when the
 * reader was too slow: then the thread is left behind, and the process should end. */
bool log_stop(int patience_ms);

/* Lines that were lost so far. Any thread. */
uint64_t log_lost(void);

/* "2026-11-21T13:00:05.123Z" (24 bytes and a NUL). */
#define LOG_TIME_MAX 32
char *log_time(int64_t wall_ms, char text[LOG_TIME_MAX]);
