#include "relay/smtp/header.h"

#include "tests/suite.h"

#include <string.h>

#define DATE HEADER_DATE
#define FROM HEADER_FROM
#define ID HEADER_MESSAGE_ID
#define RECEIVED HEADER_RECEIVED
#define TLS_REQUIRED HEADER_TLS_REQUIRED

struct row {
    struct span message;
    uint64_t bytes; /* of the header, without its empty line */
    bool over, cut, eight_bit;
    unsigned fields, received;
};

static void check_watch(const struct row *row, const struct header_watch *watch, size_t at)
{
    ck_assert_msg(watch->over == row->over && watch->cut == row->cut, "\"%.*s\" cut at %zu: over",
                  SPAN_FORMAT(row->message), at);
    ck_assert_msg(watch->bytes == row->bytes, "\"%.*s\" cut at %zu: %llu bytes",
                  SPAN_FORMAT(row->message), at, (unsigned long long)watch->bytes);
    ck_assert_msg(watch->fields == row->fields && watch->received == row->received &&
                      watch->eight_bit == row->eight_bit,
                  "\"%.*s\" cut at %zu: fields %x, %u received", SPAN_FORMAT(row->message), at,
                  watch->fields, watch->received);
}

static void check_row(const struct row *row)
{
    struct span message = row->message;
    for (size_t cut = 0; cut <= message.length; cut++) {
        struct header_watch watch = {0};
        header_watch(&watch, (struct span){message.data, cut});
        header_watch(&watch, span_skip(message, cut));
        check_watch(row, &watch, cut);
    }
    struct header_watch watch = {0};
    for (size_t i = 0; i < message.length; i++)
        header_watch(&watch, (struct span){message.data + i, 1});
    check_watch(row, &watch, 1);
}

START_TEST(headers)
{
    static const struct row rows[] = {
        {SPAN(""), 0, false, false, false, 0, 0},
        {SPAN("\r\n"), 0, true, false, false, 0, 0},
        {SPAN("\r\nDate: x\r\n"), 0, true, false, false, 0, 0},
        {SPAN("A: b\r\n\r\nDate: x\r\n"), 6, true, false, false, 0, 0},
        {SPAN("Date: x\r\n\r\n"), 9, true, false, false, DATE, 0},
        {SPAN("dAte:x\r\nFROM:y\r\nmessage-ID:z\r\n\r\n"), 30, true, false, false, DATE | FROM | ID,
         0},
        {SPAN("Date : x\r\nFrom \t: y\r\n\r\n"), 21, true, false, false, DATE | FROM, 0},
        {SPAN("X-Date: x\r\nDates: x\r\nDat: x\r\nMessage-IDs: x\r\nResent-Date: x\r\n\r\n"), 61,
         true, false, false, 0, 0},
        {SPAN("A: b\r\n Date: x\r\n\tFrom: y\r\nDate: x\r\n\r\n"), 35, true, false, false, DATE, 0},
        {SPAN("A: b\r\n \r\n\r\n"), 9, true, false, false, 0, 0},
        {SPAN("A:\r\nFrom:\r\n\r\n"), 11, true, false, false, FROM, 0},
        {SPAN("A: b\r\nDate: x"), 6, false, false, false, DATE, 0},
        {SPAN("A: b\r\nDate"), 6, false, false, false, 0, 0},
        {SPAN("A: b\r\n\r"), 6, false, false, false, 0, 0},
        {SPAN("Received: a\r\nreceived: b\r\n\tReceived: no\r\nX: Received: no\r\n\r\nReceived:"),
         58, true, false, false, RECEIVED, 2},
        {SPAN("TLS-Required: No\r\n\r\n"), 18, true, false, false, TLS_REQUIRED, 0},
        {SPAN("TLS-Requireds: No\r\n\r\n"), 19, true, false, false, 0, 0},
        /* not ASCII */
        {SPAN("A: \xc3\xa4\r\n\r\n"), 7, true, false, true, 0, 0},
        {SPAN("A: b\r\n \xff\r\n\r\n"), 10, true, false, true, 0, 0},
        {SPAN("A: b\r\n\r\n\xc3\xa4\r\n"), 6, true, false, false, 0, 0},
        /* lines that are no fields: the body begins there */
        {SPAN("hello\r\n"), 0, true, true, false, 0, 0},
        {SPAN("hello world\r\nDate: x\r\n"), 0, true, true, false, 0, 0},
        {SPAN(" Date: x\r\n"), 0, true, true, false, 0, 0},
        {SPAN(": x\r\n"), 0, true, true, false, 0, 0},
        {SPAN("Date: x\r\nno field\r\nFrom: y\r\n"), 9, true, true, false, DATE, 0},
        {SPAN("Date: x\r\nF\xc3\xa4: y\r\n"), 9, true, true, false, DATE, 0},
        {SPAN("Date: x\r\n\x01: y\r\n"), 9, true, true, false, DATE, 0},
        {SPAN("Date: x\r\nF\0: y\r\n"), 9, true, true, false, DATE, 0},
        {SPAN("Date: x\r\nFrom\r\n"), 9, true, true, false, DATE, 0},
        {SPAN("Date: x\r\n\rFrom: y\r\n"), 9, true, true, false, DATE, 0},
        /* of a mailbox file */
        {SPAN("From a@b Sat Nov 21 13:00:05 2026\r\nDate: x\r\n\r\n"), 44, true, false, false, DATE,
         0},
        {SPAN(">From a@b\r\nDate: x\r\n\r\n"), 20, true, false, false, DATE, 0},
        {SPAN("Date: x\r\nFrom a@b\r\n\r\n"), 9, true, true, false, DATE, 0},
        {SPAN("from a@b\r\nDate: x\r\n"), 0, true, true, false, 0, 0},
        /* bare CR and LF are bytes of a line */
        {SPAN("A: b\nDate: x\r\n\r\n"), 14, true, false, false, 0, 0},
        {SPAN("A: b\rDate: x\r\r\n\r\n"), 15, true, false, false, 0, 0},
        {SPAN("A: b\r\n\nDate: x\r\n"), 6, true, true, false, 0, 0},
    };
    for (size_t i = 0; i < countof(rows); i++)
        check_row(&rows[i]);
}
END_TEST

/* RFC 8689 3: "No" is all it may say, and once. */
START_TEST(tls_required_says_no)
{
    static const struct {
        struct span message;
        bool optional;
    } rows[] = {
        {SPAN("TLS-Required: No\r\n\r\n"), true},
        {SPAN("tls-required:nO\r\n\r\n"), true},
        {SPAN("A: b\r\nTLS-Required:\tNO \t\r\nB: c\r\n\r\n"), true},
        {SPAN("TLS-Required:\r\n No\r\n\r\n"), true},
        {SPAN("TLS-Required: No\r\n \r\n\r\n"), true},
        {SPAN("TLS-Required: No"), true},
        {SPAN("Received: a\r\nTLS-Required: No\r\nSubject: Yes\r\n Yes\r\n\r\n"), true},
        {SPAN("TLS-Required: Yes\r\n\r\n"), false},
        {SPAN("TLS-Required: None\r\n\r\n"), false},
        {SPAN("TLS-Required: N\r\n\r\n"), false},
        {SPAN("TLS-Required: N o\r\n\r\n"), false},
        {SPAN("TLS-Required: N\r\n o\r\n\r\n"), false},
        {SPAN("TLS-Required: No really\r\n\r\n"), false},
        {SPAN("TLS-Required: No\r\n really\r\n\r\n"), false},
        {SPAN("TLS-Required: No (comment)\r\n\r\n"), false},
        {SPAN("TLS-Required:\r\n\r\n"), false},
        {SPAN("TLS-Required: No\r\nTLS-Required: No\r\n\r\n"), false},
        {SPAN("TLS-Required: No\r\nA: b\r\nTLS-Required: Yes\r\n\r\n"), false},
        {SPAN("TLS-Required: N\r\nA: b\r\nTLS-Required: o\r\n\r\n"), false},
        {SPAN("X-TLS-Required: No\r\n\r\n"), false},
        {SPAN("A: b\r\n TLS-Required: No\r\n\r\n"), false},
        {SPAN("A: b\r\n\r\nTLS-Required: No\r\n"), false},
    };
    for (size_t i = 0; i < countof(rows); i++)
        for (size_t cut = 0; cut <= rows[i].message.length; cut++) {
            struct header_watch watch = {0};
            header_watch(&watch, (struct span){rows[i].message.data, cut});
            header_watch(&watch, span_skip(rows[i].message, cut));
            header_end(&watch);
            ck_assert_msg(header_says_tls_optional(&watch) == rows[i].optional, "%.*s cut at %zu",
                          SPAN_FORMAT(rows[i].message), cut);
        }
}
END_TEST

START_TEST(a_header_that_is_all)
{
    struct header_watch watch = {0};
    header_watch(&watch, SPAN("Date: x\r\nFrom: y"));
    header_end(&watch);
    ck_assert(watch.over && !watch.cut);
    ck_assert_uint_eq(watch.bytes, 9);
    ck_assert_uint_eq(watch.fields, DATE | FROM);
    header_watch(&watch, SPAN("\r\nMessage-ID: z\r\n"));
    ck_assert_uint_eq(watch.fields, DATE | FROM);
}
END_TEST

START_TEST(a_last_line_that_is_no_field)
{
    static const struct span messages[] = {SPAN("Date: x\r\nFrom"), SPAN("Date: x\r\nFrom "),
                                           SPAN("Date: x\r\n\r")};
    for (size_t i = 0; i < countof(messages); i++) {
        struct header_watch watch = {0};
        header_watch(&watch, messages[i]);
        header_end(&watch);
        ck_assert(watch.over && watch.cut);
        ck_assert_uint_eq(watch.bytes, 9);
    }
}
END_TEST

/* A name, and a name with blanks behind it, of just so many bytes. */
START_TEST(a_name_ends_where_a_line_must)
{
    for (unsigned blanks = 0; blanks < 2; blanks++) {
        for (unsigned length = 997; length <= 998; length++) {
            struct header_watch watch = {0};
            for (unsigned i = 0; i < length; i++)
                header_watch(&watch, blanks && i > 3 ? SPAN(" ") : SPAN("x"));
            ck_assert(!watch.over);
            ck_assert_uint_eq(header_bytes(&watch), 0);
            header_watch(&watch, SPAN(":"));
            ck_assert_int_eq(watch.over, length == 998);
            ck_assert_int_eq(watch.cut, length == 998);
            ck_assert_uint_eq(header_bytes(&watch), length == 997 ? 998 : 0);
        }
    }
}
END_TEST

TEST_MAIN("relay/smtp/header", headers, tls_required_says_no, a_header_that_is_all,
          a_last_line_that_is_no_field, a_name_ends_where_a_line_must)
