/* The small parts of sink and load: Message-IDs, bodies, what was seen, the ledger and the
 * command line. */
#include "bench/arguments.h"
#include "bench/ledger.h"
#include "bench/load_body.h"
#include "bench/message_id.h"
#include "bench/seen.h"

#include "base/ip.h"
#include "base/map.h"
#include "relay/smtp/data.h"
#include "tests/suite.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Message-IDs ---- */

START_TEST(message_ids)
{
    static const struct {
        const char *message, *id; /* NULL: none */
    } rows[] = {
        {"Message-ID: <a@b>\r\n\r\n", "a@b"},
        {"From: x\r\nmessage-id:<a@b>\r\nMessage-ID: <c@d>\r\n\r\n", "a@b"},
        {"Message-ID: <a@b>", "a@b"},
        {"Message-ID:\r\n <a@b>\r\nFrom: x\r\n\r\n", "a@b"},
        {"MESSAGE-ID: a@b \r\n\r\n", "a@b"},
        {"From: x\r\n\r\nMessage-ID: <a@b>\r\n", NULL},
        {"X-Message-ID: <a@b>\r\n\r\n", NULL},
        {" Message-ID: <a@b>\r\n\r\n", NULL},
        {"Message-ID: <a b>\r\n\r\n", NULL},
        {"Message-ID: <a@\r\n b>\r\n\r\n", NULL},
        {"Message-ID: <a\x01@b>\r\n\r\n", NULL},
        {"Message-ID: <\xc3\xa4@b>\r\n\r\n", NULL},
        {"Message-ID: <>\r\n\r\n", NULL},
        {"Message-ID:\r\n\r\n", NULL},
        {"Message-ID:", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct span id;
        bool found = message_id_find(span_of(rows[i].message), &id);
        ck_assert_msg(found == (rows[i].id != NULL), "row %zu", i);
        if (found)
            ck_assert_msg(span_equal(id, span_of(rows[i].id)), "row %zu: %.*s", i, SPAN_FORMAT(id));
    }
}
END_TEST

START_TEST(message_id_as_long_as_a_line)
{
    char text[2000] = "Message-ID: <";
    struct span id;
    for (size_t length = MESSAGE_ID_MAX; length <= MESSAGE_ID_MAX + 1; length++) {
        size_t head = strlen("Message-ID: <");
        memset(text + head, 'a', length);
        strcpy(text + head + length, ">\r\n\r\n");
        ck_assert(message_id_find(span_of(text), &id) == (length <= MESSAGE_ID_MAX));
    }
}
END_TEST

/* ---- bodies ---- */

static const char date[] = "Sat, 21 Nov 2026 13:00:05 +0000";

/* The message as a server reads it from the wire. */
static void read_wire(struct span wire, struct buffer *message)
{
    struct data_reader reader;
    size_t used;
    data_reader_init(&reader);
    ck_assert(data_read(&reader, wire, message, &used));
    ck_assert_uint_eq(used, wire.length);
    ck_assert(!reader.bare);
}

START_TEST(made_bodies_are_of_exact_size)
{
    char why[LOAD_WHY_MAX];
    for (size_t size = LOAD_SIZE_MIN; size < LOAD_SIZE_MIN + 400; size++) {
        CLEANUP(load_bodies_free) struct load_bodies bodies = {0};
        CLEANUP(buffer_free) struct buffer message = {0};
        ck_assert_msg(load_bodies_make(&bodies, size, "a@b.test", "c@d.test", date, why), "%s",
                      why);
        const struct load_body *body = &bodies.rows[0];
        read_wire(body->wire, &message);
        ck_assert_uint_eq(buffer_length(&message), size);
        ck_assert_uint_eq(body->size, size);
        ck_assert(body->made && !body->eight_bit);
    }
}
END_TEST

START_TEST(message_id_lies_where_it_is_patched)
{
    CLEANUP(load_bodies_free) struct load_bodies bodies = {0};
    char why[LOAD_WHY_MAX], id[LOAD_ID_LENGTH];
    struct span found;
    ck_assert(load_bodies_make(&bodies, 4096, "", "c@d.test", date, why));
    const struct load_body *body = &bodies.rows[0];
    load_id_write(id, 0, 0);
    ck_assert(message_id_find(body->wire, &found));
    ck_assert_ptr_eq(found.data, body->wire.data + body->id_at);
    ck_assert(span_equal(found, (struct span){id, sizeof(id)}));
    load_id_write(id, 0x123456789abcdef0, 0xfedcba9876543210);
    ck_assert(span_equal((struct span){id, sizeof(id)},
                         SPAN("123456789abcdef0.fedcba9876543210@load.test")));
}
END_TEST

START_TEST(no_room_for_the_header)
{
    CLEANUP(load_bodies_free) struct load_bodies bodies = {0};
    char why[LOAD_WHY_MAX], from[LOAD_SIZE_MIN];
    memset(from, 'a', sizeof(from));
    from[sizeof(from) - 1] = '\0';
    ck_assert(!load_bodies_make(&bodies, LOAD_SIZE_MIN, from, "c@d.test", date, why));
    ck_assert_ptr_nonnull(strstr(why, "no room for its header"));
}
END_TEST

static char directory[] = "/tmp/bench-parts-XXXXXX";

static void put(const char *name, struct span content)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content.data, 1, content.length, file), content.length);
    ck_assert_int_eq(fclose(file), 0);
}

static void remove_directory(void)
{
    char path[512];
    DIR *opened = opendir(directory);
    for (struct dirent *entry; (entry = readdir(opened)) != NULL;) {
        snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    closedir(opened);
    rmdir(directory);
}

START_TEST(bodies_from_files)
{
    static const char *const wanted[] = {"Message-ID: <a@b>\r\n\r\n.x\r\n..\r\n", "\r\n",
                                         "\xff\r\n"};
    char why[LOAD_WHY_MAX];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    put("1.eml", SPAN("Message-ID: <a@b>\n\r\n.x\r\n.."));
    put("2-bare.eml", SPAN("a\rb\n"));
    put("3.eml", SPAN("\n"));
    put("4-bare-at-end.eml", SPAN("a\r"));
    put("5-empty.eml", SPAN(""));
    put("6.eml", SPAN("\xff\n"));
    put(".hidden", SPAN("hidden\n"));
    CLEANUP(load_bodies_free) struct load_bodies bodies = {0};
    bool read = load_bodies_read(&bodies, directory, why);
    remove_directory();
    ck_assert_msg(read, "%s", why);
    ck_assert_uint_eq(bodies.count, countof(wanted));
    for (size_t i = 0; i < countof(wanted); i++) {
        CLEANUP(buffer_free) struct buffer message = {0};
        read_wire(bodies.rows[i].wire, &message);
        ck_assert(span_equal(buffer_span(&message), span_of(wanted[i])));
        ck_assert_uint_eq(bodies.rows[i].size, strlen(wanted[i]));
        ck_assert(!bodies.rows[i].made);
    }
    ck_assert(span_equal(bodies.rows[0].id, SPAN("a@b")));
    ck_assert_uint_eq(bodies.rows[1].id.length, 0);
    ck_assert(bodies.rows[2].eight_bit && !bodies.rows[0].eight_bit);
}
END_TEST

START_TEST(no_directory)
{
    CLEANUP(load_bodies_free) struct load_bodies bodies = {0};
    char why[LOAD_WHY_MAX];
    ck_assert(!load_bodies_read(&bodies, "/nonexistent", why));
    ck_assert_str_eq(why, "cannot read /nonexistent: No such file or directory");
}
END_TEST

/* ---- what was seen ---- */

START_TEST(seen_once_or_more)
{
    struct seen *seen = seen_create();
    for (uint64_t i = 0; i < 200000; i++)
        ck_assert(seen_add(seen, hash_number(i)));
    for (uint64_t i = 0; i < 200000; i++)
        ck_assert(!seen_add(seen, hash_number(i)));
    ck_assert(seen_add(seen, 0));
    ck_assert(!seen_add(seen, 0));
    ck_assert(!seen_full(seen));
    seen_destroy(&seen);
    ck_assert_ptr_null(seen);
}
END_TEST

/* ---- the ledger ---- */

START_TEST(ledger_appends)
{
    char path[] = "/tmp/bench-ledger-XXXXXX", text[64] = "";
    int file = mkstemp(path);
    ck_assert_int_ge(file, 0);
    struct ledger one, two, none;
    ck_assert_int_eq(ledger_open(&one, path), 0);
    ck_assert_int_eq(ledger_open(&two, path), 0);
    ledger_line(&one, SPAN("a@b"));
    ledger_line(&two, SPAN("c@d"));
    ck_assert(ledger_write(&two));
    ledger_line(&one, SPAN("e@f"));
    ck_assert(ledger_write(&one) && ledger_write(&one));
    ck_assert_int_eq(read(file, text, sizeof(text)), 12);
    ck_assert_str_eq(text, "c@d\na@b\ne@f\n");
    ledger_close(&one);
    ledger_close(&two);
    close(file);
    unlink(path);

    ck_assert_int_eq(ledger_open(&none, NULL), 0);
    ledger_line(&none, SPAN("a@b"));
    ck_assert_uint_eq(buffer_length(&none.lines), 0);
    ck_assert(ledger_write(&none));
    ledger_close(&none);
    ck_assert_int_eq(ledger_open(&none, "/nonexistent/ledger"), -ENOENT);
}
END_TEST

START_TEST(full_disk_is_told)
{
    struct ledger ledger;
    ck_assert_int_eq(ledger_open(&ledger, "/dev/full"), 0);
    ledger_line(&ledger, SPAN("a@b"));
    ck_assert(!ledger_write(&ledger));
    ledger_close(&ledger);
}
END_TEST

/* ---- the command line ---- */

static struct {
    bool flag, toggle;
    uint64_t number, size, duration;
    const char *text;
    struct endpoint endpoint;
} options;

static int read_words(char *one, char *two)
{
    const struct argument rows[] = {
        {"--flag", ARGUMENT_FLAG, .to = &options.flag},
        {"--toggle", ARGUMENT_SWITCH, .to = &options.toggle},
        {"--number", ARGUMENT_NUMBER, .to = &options.number, 1, 10},
        {"--size", ARGUMENT_SIZE, .to = &options.size, 512, 1 << 20},
        {"--duration", ARGUMENT_DURATION, .to = &options.duration, 1, 60000},
        {"--text", ARGUMENT_TEXT, .to = &options.text},
        {"--endpoint", ARGUMENT_ENDPOINT, .to = &options.endpoint},
    };
    char *words[] = {(char[]){"test"}, one, two};
    return arguments_read(two ? 3 : one ? 2 : 1, words, rows, countof(rows), "help\n");
}

START_TEST(good_words)
{
    ck_assert_int_eq(read_words(NULL, NULL), ARGUMENTS_READ);
    ck_assert_int_eq(read_words((char[]){"--flag"}, (char[]){"--toggle=on"}), ARGUMENTS_READ);
    ck_assert(options.flag && options.toggle);
    ck_assert_int_eq(read_words((char[]){"--toggle"}, (char[]){"off"}), ARGUMENTS_READ);
    ck_assert(!options.toggle);
    ck_assert_int_eq(read_words((char[]){"--number"}, (char[]){"10"}), ARGUMENTS_READ);
    ck_assert_uint_eq(options.number, 10);
    ck_assert_int_eq(read_words((char[]){"--size"}, (char[]){"4K"}), ARGUMENTS_READ);
    ck_assert_uint_eq(options.size, 4096);
    ck_assert_int_eq(read_words((char[]){"--duration=1m"}, NULL), ARGUMENTS_READ);
    ck_assert_uint_eq(options.duration, 60000);
    ck_assert_int_eq(read_words((char[]){"--endpoint"}, (char[]){"[::1]:25"}), ARGUMENTS_READ);
    ck_assert_uint_eq(options.endpoint.port, 25);
    ck_assert_int_eq(read_words((char[]){"--help"}, NULL), 0);
}
END_TEST

START_TEST(bad_words)
{
    static const struct {
        const char *one, *two;
    } rows[] = {
        {"--flags", NULL},        {"flag", NULL},          {"--flag=on", NULL},
        {"--toggle", "yes"},      {"--number", NULL},      {"--number", "0"},
        {"--number", "11"},       {"--number", "-1"},      {"--number=", NULL},
        {"--size", "511"},        {"--size", "2M"},        {"--duration", "2m"},
        {"--duration", "5"},      {"--text", ""},          {"--endpoint", "localhost:25"},
        {"--endpoint", "::1:25"}, {"--flag", "--unknown"}, {"-x", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char one[64], two[64];
        strcpy(one, rows[i].one);
        strcpy(two, rows[i].two ? rows[i].two : "");
        ck_assert_msg(read_words(one, rows[i].two ? two : NULL) == 64, "row %zu", i);
    }
}
END_TEST

TEST_MAIN("bench/parts", message_ids, message_id_as_long_as_a_line, made_bodies_are_of_exact_size,
          message_id_lies_where_it_is_patched, no_room_for_the_header, bodies_from_files,
          no_directory, seen_once_or_more, ledger_appends, full_disk_is_told, good_words, bad_words)
