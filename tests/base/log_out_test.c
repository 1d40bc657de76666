/* The log's thread: readers that do not read, outputs that fail, and a process that aborts. */
#include "base/log.h"
#include "base/random.h"

#include "tests/suite.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 100000 /* that a test has for what should be done at once */
#define MANY 60000         /* lines: more than the buffer and the pipe hold */

static int true_stderr, reading_end;
static char *caught; /* all that was read, with a NUL */

static int64_t clock_ms(void)
{
    return 1795266005123;
}

static void *read_all(void *unused)
{
    FILE *memory;
    size_t length;
    char bytes[65536];
    ssize_t count;
    (void)unused;
    ck_assert((memory = open_memstream(&caught, &length)) != NULL);
    while ((count = read(reading_end, bytes, sizeof(bytes))) > 0)
        fwrite(bytes, 1, (size_t)count, memory);
    fclose(memory);
    return NULL;
}

static void send_stderr_to(int take_descriptor)
{
    ck_assert_int_ge(dup2(take_descriptor, STDERR_FILENO), 0);
    close(take_descriptor);
}

static void begin(void)
{
    int ends[2];
    log_open(LOG_TEXT, clock_ms);
    ck_assert_int_ge(true_stderr = dup(STDERR_FILENO), 0);
    ck_assert_int_eq(pipe(ends), 0);
    reading_end = ends[0];
    send_stderr_to(ends[1]);
}

static pthread_t begin_to_read(void)
{
    pthread_t reader;
    ck_assert_int_eq(pthread_create(&reader, NULL, read_all, NULL), 0);
    return reader;
}

static void end(pthread_t reader)
{
    send_stderr_to(true_stderr); /* the pipe's last writer: its reader sees the end */
    pthread_join(reader, NULL);
    close(reading_end);
}

static void log_numbers(int from, int to)
{
    char filling[90];
    memset(filling, 'f', sizeof(filling));
    for (int i = from; i < to; i++) {
        log_note("n", "i", "%d:%.*s", i, (int)sizeof(filling), filling);
        log_flush();
    }
}

/* Sees that the lines `from` and on are next in `rest`; returns the first that is not. */
static int see_numbers(struct span *rest, int from)
{
    struct span line, before = *rest;
    char wanted[60];
    for (;; from++, before = *rest) {
        snprintf(wanted, sizeof(wanted), "2026-11-21T13:00:05.123Z n i=%d:f", from);
        if (!span_line(rest, &line) || !span_starts_nocase(line, span_of(wanted)))
            break;
    }
    *rest = before;
    return from;
}

START_TEST(all_is_written)
{
    begin();
    pthread_t reader = begin_to_read();
    log_start();
    log_numbers(0, 1000);
    ck_assert(log_stop(PATIENCE_MS));
    log_numbers(1000, 1001); /* without the thread as it was before it */
    end(reader);
    struct span rest = span_of(caught);
    ck_assert_int_eq(see_numbers(&rest, 0), 1001);
    ck_assert_uint_eq(rest.length, 0);
    ck_assert_uint_eq(log_lost(), 0);
}
END_TEST

START_TEST(nobody_reads)
{
    char wanted[80];
    begin();
    log_start();
    log_numbers(0, MANY); /* and comes back */
    ck_assert(!log_stop(0));
    uint64_t lost = log_lost();
    ck_assert_uint_gt(lost, 0);
    pthread_t reader = begin_to_read();
    ck_assert(log_stop(PATIENCE_MS));
    log_start();
    log_numbers(MANY, MANY + 1);
    ck_assert(log_stop(PATIENCE_MS));
    end(reader);
    struct span rest = span_of(caught), line;
    int written = see_numbers(&rest, 0);
    ck_assert_uint_eq((uint64_t)written + lost, MANY);
    ck_assert(span_line(&rest, &line));
    snprintf(wanted, sizeof(wanted), "2026-11-21T13:00:05.123Z log-lost count=%d", MANY - written);
    ck_assert_msg(span_equal(line, span_of(wanted)), "%.*s", SPAN_FORMAT(line));
    ck_assert_int_eq(see_numbers(&rest, MANY), MANY + 1);
    ck_assert_uint_eq(rest.length, 0);
}
END_TEST

START_TEST(the_disk_is_full)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    begin();
    ck_assert_int_ge(full, 0);
    send_stderr_to(full);
    log_start();
    log_numbers(0, 100);
    bool stopped = log_stop(PATIENCE_MS);
    end(begin_to_read());
    ck_assert(stopped);
    ck_assert_uint_eq(log_lost(), 100);
}
END_TEST

/* ---- aborting ---- */

static pid_t abort_in_a_child(int lines)
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        log_start();
        log_numbers(0, lines);
        log_note("last", "k", "gathered only");
        must(lines < 0);
    }
    return child;
}

static void assert_aborted(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}

START_TEST(an_abort_comes_after_what_led_to_it)
{
    struct span line;
    begin();
    assert_aborted(abort_in_a_child(300)); /* lines that the pipe holds */
    end(begin_to_read());
    struct span rest = span_of(caught);
    ck_assert_int_eq(see_numbers(&rest, 0), 300);
    ck_assert(span_line(&rest, &line));
    ck_assert(span_equal(line, SPAN("2026-11-21T13:00:05.123Z last k=\"gathered only\"")));
    ck_assert(span_line(&rest, &line));
    ck_assert(span_starts_nocase(line, SPAN("millrace: broken invariant: lines < 0 (")));
    ck_assert_uint_eq(rest.length, 0);
}
END_TEST

START_TEST(an_abort_waits_for_no_reader)
{
    begin();
    assert_aborted(abort_in_a_child(MANY));
    end(begin_to_read());
}
END_TEST

/* ---- JSON ---- */

static char in_json[LOG_LINE_MAX];

static void assert_json(struct span value)
{
    FILE *file = tmpfile();
    struct log_line line;
    json_error_t error;
    ck_assert_int_ge(true_stderr = dup(STDERR_FILENO), 0);
    ck_assert_int_ge(dup2(fileno(file), STDERR_FILENO), 0);
    log_begin(&line, "x");
    log_text(&line, "value", value);
    log_seconds(&line, "s", 12);
    log_end(&line);
    log_flush();
    send_stderr_to(true_stderr);
    rewind(file);
    size_t length = fread(in_json, 1, sizeof(in_json), file);
    fclose(file);
    json_t *json = json_loadb(in_json, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    ck_assert_msg(json != NULL, "%s: %.*s", error.text, (int)length, in_json);
    ck_assert(json_is_string(json_object_get(json, "value")));
    ck_assert(json_is_real(json_object_get(json, "s")));
    json_decref(json);
}

START_TEST(json_of_any_bytes)
{
    struct random_state random = {1};
    char bytes[LOG_VALUE_MAX + 4];
    log_open(LOG_JSON, clock_ms);
    for (int i = 0; i < 256; i++) {
        const char pair[2] = {(char)i, 'x'};
        assert_json((struct span){pair, 1});
        assert_json((struct span){pair, 2});
    }
    for (int round = 0; round < 500; round++) { /* also where a character is cut */
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (char)random_below(&random, 256);
        assert_json((struct span){bytes, round % 2 ? sizeof(bytes) : random_below(&random, 40)});
    }
    for (size_t i = 0; i + 4 <= sizeof(bytes); i += 4)
        memcpy(bytes + i, "\xf0\x9f\x93\xae", 4);
    for (size_t i = 0; i < 4; i++)
        assert_json((struct span){bytes + i, LOG_VALUE_MAX});
}
END_TEST

TEST_MAIN("base/log_out", all_is_written, nobody_reads, the_disk_is_full,
          an_abort_comes_after_what_led_to_it, an_abort_waits_for_no_reader, json_of_any_bytes)
