#include "relay/smtp/command.h"

#include "tests/suite.h"

START_TEST(verbs)
{
    static const struct {
        struct span line;
        enum command_verb verb;
        const char *argument;
    } rows[] = {
        {SPAN("EHLO mx.example.test"), COMMAND_EHLO, "mx.example.test"},
        {SPAN("helo a"), COMMAND_HELO, "a"},
        {SPAN("MAIL FROM:<a@b> SIZE=1"), COMMAND_MAIL, "FROM:<a@b> SIZE=1"},
        {SPAN("Rcpt To:<a@b>"), COMMAND_RCPT, "To:<a@b>"},
        {SPAN("DATA"), COMMAND_DATA, ""},
        {SPAN("dAtA"), COMMAND_DATA, ""},
        {SPAN("RSET"), COMMAND_RSET, ""},
        {SPAN("NOOP"), COMMAND_NOOP, ""},
        {SPAN("NOOP any thing"), COMMAND_NOOP, "any thing"},
        {SPAN("QUIT"), COMMAND_QUIT, ""},
        {SPAN("QUIT  \t "), COMMAND_QUIT, ""},
        {SPAN("VRFY  a "), COMMAND_VRFY, "a"},
        {SPAN("HELP\tme"), COMMAND_HELP, "me"},
        {SPAN("STARTTLS"), COMMAND_STARTTLS, ""},
        {SPAN("StartTls now"), COMMAND_STARTTLS, "now"},
        {SPAN("bdat 10 LAST"), COMMAND_BDAT, "10 LAST"},
        {SPAN("EXPN staff"), COMMAND_REFUSED, "staff"},
        {SPAN("etrn x.test"), COMMAND_REFUSED, "x.test"},
        {SPAN("ATRN"), COMMAND_REFUSED, ""},
        {SPAN("TURN"), COMMAND_REFUSED, ""},
        {SPAN("SEND FROM:<a@b>"), COMMAND_REFUSED, "FROM:<a@b>"},
        {SPAN("SOML FROM:<a@b>"), COMMAND_REFUSED, "FROM:<a@b>"},
        {SPAN("SAML FROM:<a@b>"), COMMAND_REFUSED, "FROM:<a@b>"},
        {SPAN("\xc3\x84HLO"), COMMAND_UNKNOWN, ""},
        {SPAN("EHLOX a"), COMMAND_UNKNOWN, "a"},
        {SPAN("EHL a"), COMMAND_UNKNOWN, "a"},
        {SPAN("MAILFROM:<a@b>"), COMMAND_UNKNOWN, ""},
        {SPAN("auth PLAIN AGEAYg=="), COMMAND_AUTH, "PLAIN AGEAYg=="},
        {SPAN("XClient NAME=a ADDR=1.2.3.4"), COMMAND_XCLIENT, "NAME=a ADDR=1.2.3.4"},
        {SPAN("AUTHENTICATE PLAIN"), COMMAND_UNKNOWN, "PLAIN"},
        {SPAN("GET / HTTP/1.1"), COMMAND_FOREIGN, "/ HTTP/1.1"},
        {SPAN("post /x"), COMMAND_FOREIGN, "/x"},
        {SPAN("Host: x"), COMMAND_UNKNOWN, "x"},
        {SPAN(""), COMMAND_UNKNOWN, ""},
        {SPAN("   "), COMMAND_UNKNOWN, ""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct command got = command_read(rows[i].line);
        ck_assert_msg(got.verb == rows[i].verb, "row %zu: verb %d", i, (int)got.verb);
        ck_assert_msg(span_equal(got.argument, span_of(rows[i].argument)), "row %zu: \"%.*s\"", i,
                      SPAN_FORMAT(got.argument));
    }
    ck_assert_int_eq(command_read((struct span){0}).verb, COMMAND_UNKNOWN);
}
END_TEST

START_TEST(a_line_that_is_more_than_one_is_no_command)
{
    static const struct span lines[] = {
        SPAN("NOOP\rQUIT"),          SPAN("NOOP \r"),
        SPAN("NOOP a\0b"),           SPAN("RSET \0"),
        SPAN("NOOP a\nQUIT"),        SPAN("EHLO a\rMAIL FROM:<>"),
        SPAN("MAIL FROM:<a@b>\r x"), SPAN("RCPT TO:<\0>"),
    };
    for (size_t i = 0; i < countof(lines); i++)
        ck_assert_msg(command_read(lines[i]).verb == COMMAND_UNKNOWN, "row %zu", i);
}
END_TEST

START_TEST(chunks)
{
    static const struct {
        const char *argument;
        bool valid, last;
        uint64_t size;
    } rows[] = {
        {"0", true, false, 0},
        {"1000", true, false, 1000},
        {"1000 LAST", true, true, 1000},
        {"0\tlast ", true, true, 0},
        {"18446744073709551615", true, false, UINT64_MAX},
        {"18446744073709551616", false, false, 0},
        {"99999999999999999999999999 LAST", false, false, 0},
        {"", false, false, 0},
        {"LAST", false, false, 0},
        {"-1", false, false, 0},
        {"+1", false, false, 0},
        {"0x10", false, false, 0},
        {"1e3", false, false, 0},
        {"1000LAST", false, false, 0},
        {"1000 LAST LAST", false, false, 0},
        {"1000 FIRST", false, false, 0},
        {"10 20", false, false, 0},
        {"10,LAST", false, false, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        uint64_t size;
        bool last;
        ck_assert_msg(bdat_read(span_of(rows[i].argument), &size, &last) == rows[i].valid, "%s",
                      rows[i].argument);
        if (rows[i].valid)
            ck_assert_msg(size == rows[i].size && last == rows[i].last, "%s", rows[i].argument);
    }
}
END_TEST

TEST_MAIN("relay/smtp/command", verbs, a_line_that_is_more_than_one_is_no_command, chunks)
