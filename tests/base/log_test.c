#include "base/log.h"

#include "tests/suite.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIME_MS 1795266005123 /* 2026-11-21T13:00:05.123Z */

static char written[300000];
static FILE *caught; /* where standard error goes, while caught */
static int true_stderr;

static int64_t fixed_clock(void)
{
    return TIME_MS;
}

static void begin(enum log_format format)
{
    log_open(format, fixed_clock);
    caught = tmpfile();
    true_stderr = dup(STDERR_FILENO);
    ck_assert(caught && true_stderr >= 0);
    ck_assert_int_ge(dup2(fileno(caught), STDERR_FILENO), 0);
}

/* What was written, with standard error back in its place. */
static const char *end(void)
{
    log_flush();
    dup2(true_stderr, STDERR_FILENO);
    close(true_stderr);
    rewind(caught);
    size_t length = fread(written, 1, sizeof(written) - 1, caught);
    written[length] = '\0';
    fclose(caught);
    return written;
}

static const char *line_with(enum log_format format, struct span value)
{
    struct log_line line;
    begin(format);
    log_begin(&line, "delivered");
    log_text(&line, "to", value);
    log_end(&line);
    return end();
}

#define TEXT_HEAD "2026-11-21T13:00:05.123Z delivered to="
#define JSON_HEAD "{\"time\":\"2026-11-21T13:00:05.123Z\",\"event\":\"delivered\",\"to\":"

START_TEST(values)
{
    static const struct {
        const char *value, *text, *json;
    } rows[] = {
        {"<a@example.test>", "<a@example.test>", "\"<a@example.test>\""},
        {"", "\"\"", "\"\""},
        {"two words", "\"two words\"", "\"two words\""},
        {"x to=<evil>", "\"x to=<evil>\"", "\"x to=<evil>\""},
        {"line\r\n2026 forged", "\"line\\u000d\\u000a2026 forged\"",
         "\"line\\u000d\\u000a2026 forged\""},
        {"quote\" and \\", "\"quote\\\" and \\\\\"", "\"quote\\\" and \\\\\""},
        {"\x1b[31m\x7f", "\"\\u001b[31m\\u007f\"", "\"\\u001b[31m\\u007f\""},
        {"\xc3\xa9", "\"\\u00e9\"", "\"\\u00e9\""},
        {"\xf0\x9f\x93\xa7", "\"\\ud83d\\udce7\"", "\"\\ud83d\\udce7\""},
        {"a\xe9z", "\"a\\ufffdz\"", "\"a\\ufffdz\""}, /* Latin-1 */
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char wanted[200];
        snprintf(wanted, sizeof(wanted), TEXT_HEAD "%s\n", rows[i].text);
        ck_assert_str_eq(line_with(LOG_TEXT, span_of(rows[i].value)), wanted);
        snprintf(wanted, sizeof(wanted), JSON_HEAD "%s}\n", rows[i].json);
        ck_assert_str_eq(line_with(LOG_JSON, span_of(rows[i].value)), wanted);
    }
}
END_TEST

START_TEST(numbers)
{
    static const char *const wanted[] = {
        "2026-11-21T13:00:05.123Z x n=-5 s=12.007 z=0.000 p=7/x\n",
        "{\"time\":\"2026-11-21T13:00:05.123Z\",\"event\":\"x\",\"n\":-5,\"s\":12.007,\"z\":0.000,"
        "\"p\":\"7/x\"}\n"};
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        struct log_line line;
        begin((enum log_format)format);
        log_begin(&line, "x");
        log_number(&line, "n", -5);
        log_seconds(&line, "s", 12007);
        log_seconds(&line, "z", -3);
        log_print(&line, "p", "%d/%s", 7, "x");
        log_end(&line);
        ck_assert_str_eq(end(), wanted[format]);
    }
}
END_TEST

static void assert_cut(const char *got, const char *head)
{
    size_t length = strlen(head);
    ck_assert_uint_eq(strlen(got), length + LOG_VALUE_MAX + strlen("...\n"));
    ck_assert_str_eq(got + length + LOG_VALUE_MAX, "...\n");
}

START_TEST(long_values_are_cut_and_say_so)
{
    char value[LOG_VALUE_MAX + 100];
    memset(value, 'v', sizeof(value));
    assert_cut(line_with(LOG_TEXT, (struct span){value, sizeof(value)}), TEXT_HEAD);
    assert_cut(line_with(LOG_TEXT, (struct span){value, LOG_VALUE_MAX + 1}), TEXT_HEAD);
    ck_assert_ptr_null(strstr(line_with(LOG_TEXT, (struct span){value, LOG_VALUE_MAX}), "..."));

    begin(LOG_TEXT);
    value[sizeof(value) - 1] = '\0';
    log_note("note", "why", "%s", value);
    assert_cut(end(), "2026-11-21T13:00:05.123Z note why=");
}
END_TEST

/* However much is put in, a line stays one line that ends as a line should. */
START_TEST(a_full_line_leaves_keys_out)
{
    char value[LOG_VALUE_MAX];
    memset(value, '\n', sizeof(value)); /* six bytes each */
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        struct log_line line;
        begin((enum log_format)format);
        log_begin(&line, "x");
        for (int i = 0; i < 20; i++)
            log_text(&line, "key", (struct span){value, sizeof(value)});
        for (int i = 0; i < 3000; i++)
            log_number(&line, "n", i);
        log_end(&line);
        const char *got = end();
        size_t length = strlen(got);
        ck_assert_uint_lt(length, LOG_LINE_MAX);
        ck_assert_uint_gt(length, LOG_LINE_MAX / 2);
        ck_assert_ptr_eq(strchr(got, '\n'), got + length - 1);
        if (format == LOG_JSON)
            ck_assert_int_eq(got[length - 2], '}');
    }
}
END_TEST

START_TEST(a_line_keeps_the_format_it_began_with)
{
    struct log_line line;
    begin(LOG_JSON);
    log_begin(&line, "x");
    log_set_format(LOG_TEXT);
    log_number(&line, "n", 1);
    log_end(&line);
    log_note("y", "k", "v");
    ck_assert_str_eq(end(), "{\"time\":\"2026-11-21T13:00:05.123Z\",\"event\":\"x\",\"n\":1}\n"
                            "2026-11-21T13:00:05.123Z y k=v\n");
}
END_TEST

START_TEST(lines_are_gathered_and_none_is_lost)
{
    begin(LOG_TEXT);
    log_note("first", "k", "v");
    ck_assert_int_eq(lseek(fileno(caught), 0, SEEK_END), 0); /* nothing written yet */
    for (int i = 0; i < 4000; i++)                           /* more than is gathered at once */
        log_note("next", "i", "%d", i);
    const char *got = end();
    ck_assert_ptr_eq(strstr(got, "2026-11-21T13:00:05.123Z first k=v\n"), got);
    for (int i = 0; i < 4000; i++) {
        char wanted[32];
        snprintf(wanted, sizeof(wanted), " next i=%d\n", i);
        got = strstr(got, wanted);
        ck_assert_msg(got != NULL, "line %d", i);
    }
}
END_TEST

static void *log_from_a_thread(void *name)
{
    for (int i = 0; i < 500; i++) {
        log_note(name, "i", "%d", i);
        log_set_format(i % 2 ? LOG_TEXT : LOG_JSON);
        if (i % 7 == 0)
            log_flush();
    }
    log_flush();
    return NULL;
}

START_TEST(threads_do_not_mix)
{
    static char names[3][8] = {"one", "two", "three"};
    pthread_t threads[countof(names)];
    begin(LOG_TEXT);
    for (size_t i = 0; i < countof(names); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, log_from_a_thread, names[i]), 0);
    for (size_t i = 0; i < countof(names); i++)
        pthread_join(threads[i], NULL);
    int count = 0;
    struct span rest = span_of(end()), line;
    while (span_line(&rest, &line)) {
        bool json = span_starts_nocase(line, SPAN("{\"time\":\"2026-11-21T13:00:05.123Z\","));
        bool text = span_starts_nocase(line, SPAN("2026-11-21T13:00:05.123Z "));
        ck_assert_msg(json || text, "%.*s", SPAN_FORMAT(line));
        count++;
    }
    ck_assert_int_eq(count, 1500);
}
END_TEST

START_TEST(times)
{
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {TIME_MS, "2026-11-21T13:00:05.123Z"},
        {TIME_MS + 1, "2026-11-21T13:00:05.124Z"}, /* the same second: the date is kept */
        {951782400999, "2000-02-29T00:00:00.999Z"},
        {4102444799999, "2099-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char text[LOG_TIME_MAX];
        ck_assert_str_eq(log_time(rows[i].ms, text), rows[i].text);
    }
}
END_TEST

TEST_MAIN("base/log", values, numbers, long_values_are_cut_and_say_so, a_full_line_leaves_keys_out,
          a_line_keeps_the_format_it_began_with, lines_are_gathered_and_none_is_lost,
          threads_do_not_mix, times)
