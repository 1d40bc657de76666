#include "relay/mx.h"

#include "tests/suite.h"

#include <string.h>

static struct mx_list list;

#define ADD(bytes) mx_add(&list, SPAN(bytes))

static void expect(unsigned at, uint16_t preference, const char *name)
{
    ck_assert_uint_lt(at, list.count);
    ck_assert_uint_eq(list.hosts[at].preference, preference);
    ck_assert_str_eq(list.hosts[at].name, name);
}

START_TEST(order)
{
    ADD("\0\x14\2mx\1b\0");
    ADD("\1\0\2mx\1c\0");
    ADD("\0\x0a\2MX\1a\0");
    ADD("\0\x14\2mx\1d\0");
    ck_assert_uint_eq(list.count, 4);
    expect(0, 10, "mx.a");
    expect(1, 20, "mx.b"); /* equals stay in the order they came */
    expect(2, 20, "mx.d");
    expect(3, 256, "mx.c");
    ck_assert(!list.null);
}
END_TEST

START_TEST(each_name_once)
{
    ADD("\0\2\1a\0");
    ADD("\0\3\1b\0");
    ADD("\0\5\1A\0");
    ck_assert_uint_eq(list.count, 2);
    expect(0, 2, "a");
    ADD("\0\1\1B\0");
    ck_assert_uint_eq(list.count, 2);
    expect(0, 1, "b");
    expect(1, 2, "a");
}
END_TEST

START_TEST(no_mail_here)
{
    ADD("\0\0\0");
    ck_assert(list.null && list.count == 0);
    ADD("\0\0\1a\0");
    ck_assert_uint_eq(list.count, 1);
}
END_TEST

/* What is no host name, or no name at all, is passed over: \0\1 is the preference. */
START_TEST(bad_records)
{
    ADD("");
    ADD("\0");
    ADD("\0\1");
    ADD("\0\1\1");
    ADD("\0\1\1a");
    ADD("\0\1\2a\0");
    ADD("\0\1\1a\0\0");
    ADD("\0\1\3a b\0");
    ADD("\0\1\3a.b\0" /* a dot within a label would read as two labels */ "x");
    ADD("\0\1\2a\n\0");
    ADD("\0\1\2a\0\0");
    ADD("\0\1\xc0\x0c");
    ADD("\0\1\x40"
        "0123456789012345678901234567890123456789012345678901234567890123\0");
    ck_assert_uint_eq(list.count, 0);
    ck_assert(!list.null);
}
END_TEST

START_TEST(the_longest_name)
{
    char data[2 + 4 * 64 + 1];
    memset(data, 'a', sizeof(data));
    data[0] = data[1] = 0;
    for (int label = 0; label < 4; label++)
        data[2 + label * 64] = label < 3 ? 63 : 61;
    data[2 + 3 * 64 + 62] = 0;
    mx_add(&list, (struct span){data, 2 + 3 * 64 + 63});
    ck_assert_uint_eq(list.count, 1);
    ck_assert_uint_eq(strlen(list.hosts[0].name), 253);
    data[2 + 3 * 64] = 63;
    data[2 + 3 * 64 + 62] = 'a';
    data[2 + 4 * 64] = 0;
    data[3] = 'b';
    mx_add(&list, (struct span){data, sizeof(data)});
    ck_assert_uint_eq(list.count, 2); /* 255 bytes of text: as long as a domain may be */
    data[2 + 3 * 64 + 10] = 1;
    mx_add(&list, (struct span){data, sizeof(data)});
    ck_assert_uint_eq(list.count, 2);
}
END_TEST

START_TEST(more_than_there_is_room_for)
{
    char data[] = "\0\0\2ab\0";
    for (int i = 0; i < MX_RECORDS_MAX + 10; i++) {
        data[1] = (char)(200 - i);
        data[3] = (char)('a' + i / 26);
        data[4] = (char)('a' + i % 26);
        mx_add(&list, (struct span){data, sizeof(data) - 1});
    }
    ck_assert_uint_eq(list.count, MX_RECORDS_MAX);
    expect(0, 200 - MX_RECORDS_MAX + 1, "dv");
    expect(MX_RECORDS_MAX - 1, 200, "aa");
}
END_TEST

TEST_MAIN("relay/mx", order, each_name_once, no_mail_here, bad_records, the_longest_name,
          more_than_there_is_room_for)
