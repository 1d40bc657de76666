#include "relay/smtp/reply.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

static struct reply_reader reader;

/* Reads from memory of exactly this length, so that a sanitizer sees a step beyond it. */
static enum reply_result read_exact(struct span from, struct reply *reply, size_t *used)
{
    char *copy = span_copy(from);
    copy = must_realloc(copy, from.length);
    enum reply_result result = reply_read(&reader, (struct span){copy, from.length}, reply, used);
    free(copy); /* the reply holds none of it */
    return result;
}

/* ---- replies that are whole ---- */

struct row {
    const char *wire;
    uint16_t code, class, subject, detail;
    const char *text;
};

static const struct row good[] = {
    {"250 Ok\r\n", 250, 0, 0, 0, "Ok"},
    {"250 \r\n", 250, 0, 0, 0, ""},
    {"250\r\n", 250, 0, 0, 0, ""},
    {"220 mx.example.test ESMTP\r\n", 220, 0, 0, 0, "mx.example.test ESMTP"},
    {"599 x\r\n", 599, 0, 0, 0, "x"},
    {"200 x\r\n", 200, 0, 0, 0, "x"},
    {"250-a\r\n250-b\r\n250 c\r\n", 250, 0, 0, 0, "a\nb\nc"},
    {"250-a\r\n250\r\n", 250, 0, 0, 0, "a\n"},
    {"250-\r\n250-\r\n250 \r\n", 250, 0, 0, 0, "\n\n"},
    /* bare LF, alone and among CRLF */
    {"250 Ok\n", 250, 0, 0, 0, "Ok"},
    {"250-a\n250-b\r\n250 c\n", 250, 0, 0, 0, "a\nb\nc"},
    /* enhanced status codes (RFC 3463) */
    {"250 2.0.0 Ok\r\n", 250, 2, 0, 0, "Ok"},
    {"250 2.1.5\r\n", 250, 2, 1, 5, ""},
    {"550 5.7.1 No\r\n", 550, 5, 7, 1, "No"},
    {"451 4.7.650 Slow\r\n", 451, 4, 7, 650, "Slow"},
    {"550 5.999.999 x\r\n", 550, 5, 999, 999, "x"},
    {"550-5.7.26 a\r\n550-5.7.26 b\r\n550 5.7.26 c\r\n", 550, 5, 7, 26, "a\nb\nc"},
    {"550-5.7.1 a\r\n550-b\r\n550 5.7.2 c\r\n", 550, 5, 7, 1, "a\nb\n5.7.2 c"},
    {"550-a\r\n550 5.7.1 b\r\n", 550, 0, 0, 0, "a\n5.7.1 b"},
    /* what is none stays text */
    {"550 4.7.1 other class\r\n", 550, 0, 0, 0, "4.7.1 other class"},
    {"250 5.0.0 other class\r\n", 250, 0, 0, 0, "5.0.0 other class"},
    {"354 3.0.0 no such class\r\n", 354, 0, 0, 0, "3.0.0 no such class"},
    {"550 5.7.1x\r\n", 550, 0, 0, 0, "5.7.1x"},
    {"550 5.7 x\r\n", 550, 0, 0, 0, "5.7 x"},
    {"550 5.7. x\r\n", 550, 0, 0, 0, "5.7. x"},
    {"550 5..1 x\r\n", 550, 0, 0, 0, "5..1 x"},
    {"550 5.1000.1 x\r\n", 550, 0, 0, 0, "5.1000.1 x"},
    {"550 5.1.1000 x\r\n", 550, 0, 0, 0, "5.1.1000 x"},
    {"550  5.7.1 x\r\n", 550, 0, 0, 0, " 5.7.1 x"},
    {"550 5\r\n", 550, 0, 0, 0, "5"},
    {"220 5.6.7.8 is my address\r\n", 220, 0, 0, 0, "5.6.7.8 is my address"},
    {"220 2.6.7.8 is my address\r\n", 220, 0, 0, 0, "2.6.7.8 is my address"},
    /* bytes that have no place in a log or a bounce */
    {"250 a\tb\x01\x1b[1m\x7f\r\n", 250, 0, 0, 0, "a?b??[1m?"},
    {"250 a\rb\r\n", 250, 0, 0, 0, "a?b"},
    {"250 a\r\r\n", 250, 0, 0, 0, "a?"},
    {"250 \xc3\xa4\xff\r\n", 250, 0, 0, 0, "???"},
};

START_TEST(good_replies)
{
    for (size_t i = 0; i < countof(good); i++) {
        const struct row *row = &good[i];
        struct reply reply;
        size_t used;
        ck_assert_msg(read_exact(span_of(row->wire), &reply, &used) == REPLY_COMPLETE, "row %zu",
                      i);
        ck_assert_uint_eq(used, strlen(row->wire));
        ck_assert_msg(span_equal(reply.text, span_of(row->text)), "row %zu: \"%.*s\"", i,
                      SPAN_FORMAT(reply.text));
        ck_assert_msg(reply.code == row->code && reply.status_class == row->class &&
                          reply.status_subject == row->subject &&
                          reply.status_detail == row->detail,
                      "row %zu: %u %u.%u.%u", i, reply.code, reply.status_class,
                      reply.status_subject, reply.status_detail);
    }
    reply_reader_free(&reader);
}
END_TEST

/* However it trickles in: nothing before the last byte, and then the same. */
START_TEST(every_beginning_is_partial)
{
    for (size_t i = 0; i < countof(good); i++) {
        struct span wire = span_of(good[i].wire);
        struct reply reply;
        size_t used;
        for (size_t length = 0; length < wire.length; length++)
            ck_assert_msg(read_exact((struct span){wire.data, length}, &reply, &used) ==
                              REPLY_PARTIAL,
                          "row %zu, %zu bytes", i, length);
        ck_assert_int_eq(read_exact(wire, &reply, &used), REPLY_COMPLETE);
        ck_assert(span_equal(reply.text, span_of(good[i].text)));
    }
    reply_reader_free(&reader);
}
END_TEST

/* Pipelining: the reader takes one reply and leaves the next. */
START_TEST(replies_one_after_the_other)
{
    struct span wire = SPAN("250-2.1.0 a\r\n250 2.1.0 b\r\n550 5.1.1 c\r\n354 go\r\n25");
    static const struct {
        uint16_t code;
        size_t used;
        const char *text;
    } rows[] = {{250, 26, "a\nb"}, {550, 13, "c"}, {354, 8, "go"}};
    struct reply reply;
    size_t used;
    for (size_t i = 0; i < countof(rows); i++) {
        ck_assert_int_eq(read_exact(wire, &reply, &used), REPLY_COMPLETE);
        ck_assert_uint_eq(reply.code, rows[i].code);
        ck_assert_uint_eq(used, rows[i].used);
        ck_assert(span_equal(reply.text, span_of(rows[i].text)));
        wire = span_skip(wire, used);
    }
    ck_assert_int_eq(read_exact(wire, &reply, &used), REPLY_PARTIAL);
    reply_reader_free(&reader);
}
END_TEST

/* ---- replies that are none ---- */

START_TEST(bad_replies)
{
    static const struct span bad[] = {
        SPAN("x"),
        SPAN("\r\n"),
        SPAN("\n"),
        SPAN(" 250 Ok\r\n"),
        SPAN("25\r\n"),
        SPAN("2500 Ok\r\n"),
        SPAN("25o Ok\r\n"),
        SPAN("250_Ok\r\n"),
        SPAN("250\tOk\r\n"),
        SPAN("199 Ok\r\n"),
        SPAN("000 Ok\r\n"),
        SPAN("600 Ok\r\n"),
        SPAN("150 "),
        SPAN("SSH-2.0-OpenSSH\r\n"),
        SPAN("HTTP/1.1 200 Ok\r\n"),
        SPAN("\x15\x03\x03\x00\x02\x02\x28"),
        SPAN("250-a\r\n251 b\r\n"),
        SPAN("250-a\r\n550 b\r\n"),
        SPAN("250-a\r\nb\r\n"),
        SPAN("250-a\r\n\r\n"),
        SPAN("250 a\0b\r\n"),
        SPAN("250\0\r\n"),
        SPAN("250-a\0\r\n250 b\r\n"),
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct reply reply;
        size_t used;
        ck_assert_msg(read_exact(bad[i], &reply, &used) == REPLY_MALFORMED, "row %zu", i);
    }
    reply_reader_free(&reader);
}
END_TEST

/* ---- limits ---- */

/* A line of `length` bytes, its end counted. */
static void add_line(struct buffer *wire, char separator, size_t length)
{
    buffer_print(wire, "250%c", separator);
    for (size_t i = 4; i < length - 2; i++)
        buffer_append(wire, SPAN("x"));
    buffer_append(wire, SPAN("\r\n"));
}

static enum reply_result read_lines(size_t lines, size_t length)
{
    CLEANUP(buffer_free) struct buffer wire = {0};
    for (size_t i = 1; i < lines; i++)
        add_line(&wire, '-', length);
    add_line(&wire, ' ', length);
    struct reply reply;
    size_t used;
    enum reply_result result = read_exact(buffer_span(&wire), &reply, &used);
    if (result == REPLY_COMPLETE)
        ck_assert_uint_eq(used, lines * length);
    reply_reader_free(&reader);
    return result;
}

START_TEST(limits)
{
    ck_assert_int_eq(read_lines(1, REPLY_LINE_MAX), REPLY_COMPLETE);
    ck_assert_int_eq(read_lines(1, REPLY_LINE_MAX + 1), REPLY_MALFORMED);
    ck_assert_int_eq(read_lines(REPLY_LINES_MAX, 10), REPLY_COMPLETE);
    ck_assert_int_eq(read_lines(REPLY_LINES_MAX + 1, 10), REPLY_MALFORMED);
    ck_assert_int_eq(read_lines(32, REPLY_BYTES_MAX / 32), REPLY_COMPLETE);
    ck_assert_int_eq(read_lines(33, REPLY_BYTES_MAX / 32), REPLY_MALFORMED);
}
END_TEST

/* A peer that never comes to an end is seen through before the end comes. */
START_TEST(limits_hold_for_beginnings_too)
{
    CLEANUP(buffer_free) struct buffer wire = {0};
    struct reply reply;
    size_t used;
    add_line(&wire, ' ', REPLY_LINE_MAX + 2);
    struct span whole = buffer_span(&wire);
    ck_assert_int_eq(read_exact((struct span){whole.data, REPLY_LINE_MAX - 1}, &reply, &used),
                     REPLY_PARTIAL);
    ck_assert_int_eq(read_exact((struct span){whole.data, REPLY_LINE_MAX}, &reply, &used),
                     REPLY_MALFORMED);
    buffer_clear(&wire);
    for (size_t i = 0; i < REPLY_LINES_MAX - 1; i++)
        add_line(&wire, '-', 10);
    ck_assert_int_eq(read_exact(buffer_span(&wire), &reply, &used), REPLY_PARTIAL);
    add_line(&wire, '-', 10);
    ck_assert_int_eq(read_exact(buffer_span(&wire), &reply, &used), REPLY_MALFORMED);
    buffer_clear(&wire);
    for (size_t i = 0; i < 32; i++)
        add_line(&wire, '-', REPLY_BYTES_MAX / 32);
    ck_assert_int_eq(read_exact(buffer_span(&wire), &reply, &used), REPLY_MALFORMED);
}
END_TEST

START_TEST(classes)
{
    static const struct {
        uint16_t code;
        bool positive, intermediate, temporary, permanent;
    } rows[] = {
        {200, true, false, false, false}, {299, true, false, false, false},
        {300, false, true, false, false}, {399, false, true, false, false},
        {400, false, false, true, false}, {499, false, false, true, false},
        {500, false, false, false, true}, {599, false, false, false, true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct reply reply = {.code = rows[i].code};
        ck_assert_int_eq(reply_is_positive(&reply), rows[i].positive);
        ck_assert_int_eq(reply_is_intermediate(&reply), rows[i].intermediate);
        ck_assert_int_eq(reply_is_temporary(&reply), rows[i].temporary);
        ck_assert_int_eq(reply_is_permanent(&reply), rows[i].permanent);
    }
}
END_TEST

TEST_MAIN("relay/smtp/reply", good_replies, every_beginning_is_partial, replies_one_after_the_other,
          bad_replies, limits, limits_hold_for_beginnings_too, classes)
