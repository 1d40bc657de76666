#include "relay/admin/lines.h"

#include "relay/os.h"
#include "tests/queue/scratch.h"

#include <errno.h>
#include <sys/socket.h>

#define NEVER INT64_MAX

static struct lines ours;
static int theirs;
static int stop[2];

static void begin(size_t longest)
{
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(pipe(stop), 0);
    theirs = pair[1];
    lines_init(&ours, pair[0], stop[0], longest);
}

static void end(void)
{
    lines_free(&ours);
    close(theirs);
    close(stop[0]);
    close(stop[1]);
}

static void send_text(const char *text)
{
    ck_assert_int_eq(write(theirs, text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_line(const char *wanted)
{
    struct span line;
    ck_assert_int_eq(lines_read(&ours, NEVER, &line), LINES_OK);
    ck_assert_msg(span_equal(line, span_of(wanted)), "\"%.*s\"", SPAN_FORMAT(line));
}

static void assert_no_line(enum lines_result wanted, int64_t deadline_ms)
{
    struct span line;
    ck_assert_int_eq(lines_read(&ours, deadline_ms, &line), wanted);
}

START_TEST(lines_in_pieces)
{
    begin(100);
    send_text("one\n\nthr");
    assert_line("one");
    assert_line("");
    assert_no_line(LINES_LATE, 0);
    send_text("ee\nfour\n");
    assert_line("three");
    assert_line("four");
    send_text("no newline");
    shutdown(theirs, SHUT_WR);
    assert_no_line(LINES_ENDED, NEVER);
    end();
}
END_TEST

/* Longer than what is read at once, with its newline the first byte of a later read. */
START_TEST(a_line_over_several_reads)
{
    static char text[16384 + 2];
    begin(20000);
    memset(text, 'x', 16384);
    text[16384] = '\n';
    send_text(text);
    text[16384] = '\0';
    assert_line(text);
    end();
}
END_TEST

START_TEST(long_lines_are_refused)
{
    begin(8);
    send_text("1234567\n12345678\n");
    assert_line("1234567");
    assert_no_line(LINES_LONG, NEVER);
    end();

    begin(8);
    send_text("12345678"); /* whatever may follow */
    assert_no_line(LINES_LONG, NEVER);
    end();
}
END_TEST

START_TEST(a_silent_client_is_late)
{
    begin(100);
    assert_no_line(LINES_LATE, os_now() - 1);
    assert_no_line(LINES_LATE, 0);
    end();
}
END_TEST

START_TEST(a_client_that_does_not_read_is_late)
{
    static char bytes[4 << 20];
    begin(100);
    ck_assert_int_eq(lines_write(&ours, 0, (struct span){bytes, sizeof(bytes)}), LINES_LATE);
    close(theirs);
    ck_assert_int_eq(lines_write(&ours, NEVER, (struct span){bytes, sizeof(bytes)}), LINES_ENDED);
    end();
}
END_TEST

START_TEST(stop_ends_all_waiting)
{
    begin(100);
    close(stop[1]);
    assert_no_line(LINES_STOPPED, NEVER);
    ck_assert(!lines_pause(&ours, NEVER));
    ck_assert_int_eq(lines_write(&ours, NEVER, SPAN("x")), LINES_STOPPED);
    end();
}
END_TEST

START_TEST(a_pause_ends_when_the_client_leaves)
{
    begin(100);
    ck_assert(lines_pause(&ours, 0));
    close(theirs);
    ck_assert(!lines_pause(&ours, NEVER));
    end();
}
END_TEST

/* ---- the socket ---- */

static struct scratch scratch;
static char path[SCRATCH_MAX * 2];
static char why[400];
static struct unix_listener listener;

static bool listen_there(void)
{
    why[0] = '\0';
    return unix_listen(&(struct unix_place){"control", path, 0600}, &listener, why, sizeof(why));
}

static void begin_socket(void)
{
    scratch = scratch_make();
    scratch_file(&scratch, "control.sock", path);
}

/* As a relay leaves it that was killed. */
static void abandon(void)
{
    close(listener.socket);
    free(listener.path);
}

static void assert_refused(const char *word)
{
    ck_assert(!listen_there());
    ck_assert_msg(strstr(why, word) && strstr(why, path) && !strchr(why, '\n'), "%s", why);
}

START_TEST(connects_privately_and_cleans_up)
{
    struct stat facts;
    begin_socket();
    ck_assert_int_eq(unix_connect(path), -ENOENT);
    ck_assert_msg(listen_there(), "%s", why);
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 07777, 0600);
    int client = unix_connect(path);
    ck_assert_int_ge(client, 0);
    int server = unix_accept(&listener, -1);
    ck_assert_int_ge(server, 0);
    close(client);
    close(server);
    unix_close(&listener);
    ck_assert(!scratch_has(&scratch, "control.sock"));
    scratch_remove(&scratch);
}
END_TEST

START_TEST(an_abandoned_socket_is_replaced)
{
    begin_socket();
    ck_assert(listen_there());
    abandon();
    ck_assert(scratch_has(&scratch, "control.sock"));
    ck_assert_int_eq(unix_connect(path), -ECONNREFUSED);
    ck_assert_msg(listen_there(), "%s", why);
    int client = unix_connect(path);
    ck_assert_int_ge(client, 0);
    close(client);
    unix_close(&listener);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(a_live_socket_is_refused_and_lives_on)
{
    begin_socket();
    ck_assert(listen_there());
    struct unix_listener first = listener;
    assert_refused("in use");
    int client = unix_connect(path);
    ck_assert_int_ge(client, 0);
    close(client);
    unix_close(&first);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(another_file_is_never_removed)
{
    begin_socket();
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    assert_refused("no socket");
    ck_assert(scratch_has(&scratch, "control.sock"));

    remove(path);
    ck_assert(listen_there());
    struct unix_listener first = listener;
    remove(path);
    ck_assert(listen_there()); /* somebody else's in the same place */
    unix_close(&first);
    ck_assert(scratch_has(&scratch, "control.sock"));
    unix_close(&listener);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(places_where_no_socket_can_be)
{
    begin_socket();
    scratch_file(&scratch, "missing/control.sock", path);
    assert_refused("No such file");
    snprintf(path, sizeof(path), "%s/%0110d", scratch.path, 1);
    assert_refused("allows 107");
    ck_assert_int_eq(unix_connect(path), -ENAMETOOLONG);
    path[108] = '\0'; /* one byte too many: no room for the NUL */
    assert_refused("allows 107");
    scratch_remove(&scratch);
}
END_TEST

START_TEST(the_longest_path_is_fine)
{
    begin_socket();
    size_t length = strlen(scratch.path);
    snprintf(path, sizeof(path), "%s/%0*d", scratch.path, (int)(106 - length), 1);
    ck_assert_uint_eq(strlen(path), 107);
    ck_assert_msg(listen_there(), "%s", why);
    int client = unix_connect(path);
    ck_assert_int_ge(client, 0);
    close(client);
    unix_close(&listener);
    scratch_remove(&scratch);
}
END_TEST

TEST_MAIN("relay/admin/lines", lines_in_pieces, a_line_over_several_reads, long_lines_are_refused,
          a_silent_client_is_late, a_client_that_does_not_read_is_late, stop_ends_all_waiting,
          a_pause_ends_when_the_client_leaves, connects_privately_and_cleans_up,
          an_abandoned_socket_is_replaced, a_live_socket_is_refused_and_lives_on,
          another_file_is_never_removed, places_where_no_socket_can_be, the_longest_path_is_fine)
