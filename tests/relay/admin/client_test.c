/* The client against a relay that says what it is told to; and the commands' own errors. */
#include "relay/admin/client.h"

#include "relay/admin/lines.h"
#include "relay/commands.h"
#include "tests/queue/scratch.h"

#include <pthread.h>
#include <sysexits.h>

static struct scratch scratch;
static char path[SCRATCH_MAX * 2];
static struct unix_listener listener;

static void begin(void)
{
    char why[300] = "";
    scratch = scratch_make();
    scratch_file(&scratch, "control.sock", path);
    ck_assert_msg(
        unix_listen(&(struct unix_place){"control", path, 0600}, &listener, why, sizeof(why)), "%s",
        why);
}

static void end(void)
{
    unix_close(&listener);
    scratch_remove(&scratch);
}

/* One client: its line must be `stats`; the answer is these bytes. */
static void *answer_once(void *bytes)
{
    struct lines lines;
    struct span line;
    lines_init(&lines, unix_accept(&listener, -1), -1, 1000);
    bool fine = lines_read(&lines, INT64_MAX, &line) == LINES_OK &&
                span_equal(line, SPAN("{\"command\":\"stats\"}"));
    lines_write(&lines, INT64_MAX, fine ? span_of(bytes) : SPAN("not asked for stats\n"));
    lines_free(&lines);
    return NULL;
}

static void count_object(json_t *object, void *count)
{
    ck_assert_int_eq(json_integer_value(json_object_get(object, "n")), ++*(int *)count);
}

static int ask(int *count)
{
    json_t *request = json_pack("{s:s}", "command", "stats");
    *count = 0;
    int code = control_ask("millrace test", path, request, count_object, count);
    json_decref(request);
    return code;
}

START_TEST(answers)
{
    static char texts[][120] = {
        "{\"n\":1}\n{\"n\":2}\n{\"end\":true}\n",
        "{\"end\":true}\n",
        "{\"n\":1}\n{\"end\":true,\"error\":\"no such thing\",\"exit\":65}\n",
        "{\"end\":true,\"error\":\"no code\"}\n",
        "{\"n\":1}\n",               /* broken off */
        "{\"n\":1}\n{\"end\":true}", /* in the last line, too */
        "",
        "{\"n\":1}\nwhat?\n",
    };
    static const struct {
        int code, count;
    } wanted[] = {{0, 2}, {0, 0}, {65, 1}, {70, 0}, {75, 1}, {75, 1}, {75, 0}, {75, 1}};
    begin();
    for (size_t i = 0; i < countof(texts); i++) {
        pthread_t thread;
        int count;
        ck_assert_int_eq(pthread_create(&thread, NULL, answer_once, texts[i]), 0);
        ck_assert_int_eq(ask(&count), wanted[i].code);
        ck_assert_int_eq(count, wanted[i].count);
        pthread_join(thread, NULL);
    }
    end();
}
END_TEST

START_TEST(no_relay)
{
    int count;
    begin();
    unix_close(&listener);
    ck_assert_int_eq(ask(&count), EX_UNAVAILABLE);
    snprintf(path, sizeof(path), "/%0200d", 1);
    ck_assert_int_eq(ask(&count), EX_UNAVAILABLE);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(where_the_socket_is)
{
    char *found = NULL;
    char file[SCRATCH_MAX * 2];
    scratch = scratch_make();
    ck_assert_int_eq(control_find("/given/control.sock", "/missing.conf", &found), 0);
    ck_assert_str_eq(found, "/given/control.sock");
    free(found);

    FILE *to = fopen(scratch_file(&scratch, "millrace.conf", file), "w");
    ck_assert_ptr_nonnull(to);
    fputs("control = \"/configured/control.sock\"\n", to);
    fclose(to);
    ck_assert_int_eq(control_find(NULL, file, &found), 0);
    ck_assert_str_eq(found, "/configured/control.sock");
    free(found);

    ck_assert_int_eq(control_find(NULL, "/missing.conf", &found), EX_CONFIG);
    scratch_remove(&scratch);
}
END_TEST

/* What is wrong in itself is said before any relay is looked for. */
START_TEST(exit_codes_of_the_commands)
{
    static const struct {
        int (*command)(int, char **);
        const char *words[8];
        int code;
    } rows[] = {
        {command_queue, {"queue", "--help"}, EX_OK},
        {command_queue, {"queue"}, EX_USAGE},
        {command_queue, {"queue", "lits"}, EX_USAGE},
        {command_queue, {"queue", "list", "--colour"}, EX_USAGE},
        {command_queue, {"queue", "list", "01K2X3Y4Z5A6B"}, EX_USAGE},
        {command_queue, {"queue", "list", "--older-than", "4"}, EX_USAGE},
        {command_queue, {"queue", "list", "--limit", "0"}, EX_USAGE},
        {command_queue, {"queue", "list", "--state", "asleep"}, EX_USAGE},
        {command_queue, {"queue", "list", "--sender", "\xff"}, EX_USAGE},
        {command_queue, {"queue", "show"}, EX_USAGE},
        {command_queue, {"queue", "show", "no-id"}, EX_USAGE},
        {command_queue, {"queue", "show", "\xff"}, EX_USAGE},
        {command_queue, {"queue", "drop"}, EX_USAGE},
        {command_queue, {"queue", "drop", "--all"}, EX_USAGE},
        {command_queue, {"queue", "list", "--control", "/missing.sock"}, EX_UNAVAILABLE},
        {command_queue,
         {"queue", "drop", "01K2X3Y4Z5A6B", "--control", "/missing.sock"},
         EX_UNAVAILABLE},
        {command_queue, {"queue", "list", "-c", "/missing.conf"}, EX_CONFIG},
        {command_stats, {"stats", "--help"}, EX_OK},
        {command_stats, {"stats", "more"}, EX_USAGE},
        {command_stats, {"stats", "--jsno"}, EX_USAGE},
        {command_stats, {"stats", "--json", "--control", "/missing.sock"}, EX_UNAVAILABLE},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char copies[8][40], *argv[9] = {NULL};
        int argc = 0;
        for (; argc < 8 && rows[i].words[argc] != NULL; argc++) {
            snprintf(copies[argc], sizeof(copies[argc]), "%s", rows[i].words[argc]);
            argv[argc] = copies[argc];
        }
        int code = rows[i].command(argc, argv);
        ck_assert_msg(code == rows[i].code, "row %zu: %d", i, code);
    }
}
END_TEST

TEST_MAIN("relay/admin/client", answers, no_relay, where_the_socket_is, exit_codes_of_the_commands)
