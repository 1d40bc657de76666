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
        {SPAN("\xc3\x84HLO"), COMMAND_UNKNOWN, ""},
        {SPAN("EHLOX a"), COMMAND_UNKNOWN, "a"},
        {SPAN("EHL a"), COMMAND_UNKNOWN, "a"},
        {SPAN("MAILFROM:<a@b>"), COMMAND_UNKNOWN, ""},
        {SPAN("AUTH PLAIN"), COMMAND_UNKNOWN, "PLAIN"},
        {SPAN("GET / HTTP/1.1"), COMMAND_UNKNOWN, "/ HTTP/1.1"},
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

/* ---- MAIL ---- */

struct mail_row {
    const char *argument, *path;
    bool has_size;
    uint64_t size;
    bool eight_bit;
};

START_TEST(good_mail)
{
    static const struct mail_row rows[] = {
        {"FROM:<>", "", false, 0, false},
        {"FROM:<a@b>", "a@b", false, 0, false},
        {"from:<a@b>", "a@b", false, 0, false},
        {"FROM: <a@b>", "a@b", false, 0, false},
        {"FROM: \t <a@b>", "a@b", false, 0, false},
        {"FROM:<@x,@y.z:a@b>", "a@b", false, 0, false},
        {"FROM:<@x:a@b>", "a@b", false, 0, false},
        {"FROM:<\"a>b c\"@d>", "\"a>b c\"@d", false, 0, false},
        {"FROM:<\"a\\\">\"@d>", "\"a\\\">\"@d", false, 0, false},
        {"FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]", false, 0, false},
        {"FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]", false, 0, false},
        {"FROM:<a@b> SIZE=0", "a@b", true, 0, false},
        {"FROM:<a@b> SIZE=12345", "a@b", true, 12345, false},
        {"FROM:<a@b>  size=18446744073709551615 ", "a@b", true, UINT64_MAX, false},
        {"FROM:<a@b> BODY=8BITMIME", "a@b", false, 0, true},
        {"FROM:<a@b> body=8bitmime", "a@b", false, 0, true},
        {"FROM:<a@b> BODY=7BIT", "a@b", false, 0, false},
        {"FROM:<> BODY=8BITMIME\tSIZE=7", "", true, 7, true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct mail_parameters got;
        ck_assert_msg(mail_read(span_of(rows[i].argument), &got) == PARAMETERS_OK, "%s",
                      rows[i].argument);
        ck_assert_msg(span_equal(got.path, span_of(rows[i].path)), "%s: %.*s", rows[i].argument,
                      SPAN_FORMAT(got.path));
        ck_assert_msg(got.has_size == rows[i].has_size && got.size == rows[i].size &&
                          got.eight_bit == rows[i].eight_bit,
                      "%s", rows[i].argument);
    }
}
END_TEST

START_TEST(bad_mail)
{
    static const struct {
        const char *argument;
        enum parameter_result result;
    } rows[] = {
        {"", PARAMETERS_SYNTAX},
        {"FROM", PARAMETERS_SYNTAX},
        {"FROM:", PARAMETERS_SYNTAX},
        {"FROM: ", PARAMETERS_SYNTAX},
        {"FROM <a@b>", PARAMETERS_SYNTAX},
        {"FROM :<a@b>", PARAMETERS_SYNTAX},
        {"TO:<a@b>", PARAMETERS_SYNTAX},
        {"FROM:a@b", PARAMETERS_SYNTAX},
        {"FROM:<a@b", PARAMETERS_SYNTAX},
        {"FROM:<\"a@b>", PARAMETERS_SYNTAX},
        {"FROM:<\"a\\\"@b>", PARAMETERS_SYNTAX},
        {"FROM:<a@b>SIZE=1", PARAMETERS_SYNTAX},
        {"FROM:<a@b>>", PARAMETERS_SYNTAX},
        {"FROM:<<a@b>>", PARAMETERS_SYNTAX},
        {"FROM:< >", PARAMETERS_BAD_ADDRESS},
        {"FROM:<a>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<postmaster>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<a b@c>", PARAMETERS_BAD_ADDRESS},
        {"FROM:< a@b>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<a@b >", PARAMETERS_BAD_ADDRESS},
        {"FROM:<a@\xc3\xa4>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<@x>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<@x:>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<@x,:a@b>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<@x,y:a@b>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<@:a@b>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<@x@y:a@b>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<@x:@y:a@b>", PARAMETERS_BAD_ADDRESS},
        {"FROM:<a@b> SIZE", PARAMETERS_SYNTAX},
        {"FROM:<a@b> SIZE=", PARAMETERS_SYNTAX},
        {"FROM:<a@b> SIZE=x", PARAMETERS_SYNTAX},
        {"FROM:<a@b> SIZE=-1", PARAMETERS_SYNTAX},
        {"FROM:<a@b> SIZE=18446744073709551616", PARAMETERS_SYNTAX},
        {"FROM:<a@b> SIZE=1 SIZE=2", PARAMETERS_SYNTAX},
        {"FROM:<a@b> BODY", PARAMETERS_SYNTAX},
        {"FROM:<a@b> BODY=", PARAMETERS_SYNTAX},
        {"FROM:<a@b> BODY=7BIT BODY=8BITMIME", PARAMETERS_SYNTAX},
        {"FROM:<a@b> BODY=BINARYMIME", PARAMETERS_UNKNOWN},
        {"FROM:<a@b> RET=HDRS", PARAMETERS_UNKNOWN},
        {"FROM:<a@b> SMTPUTF8", PARAMETERS_UNKNOWN},
        {"FROM:<a@b> SIZE=1 AUTH=<>", PARAMETERS_UNKNOWN},
        {"FROM:<a@b> =", PARAMETERS_UNKNOWN},
        {"FROM:<> x", PARAMETERS_UNKNOWN},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct mail_parameters got;
        enum parameter_result result = mail_read(span_of(rows[i].argument), &got);
        ck_assert_msg(result == rows[i].result, "%s: %d", rows[i].argument, (int)result);
    }
}
END_TEST

/* ---- RCPT ---- */

START_TEST(rcpt)
{
    static const struct {
        struct span argument;
        enum parameter_result result;
        const char *path;
    } rows[] = {
        {SPAN("TO:<a@b>"), PARAMETERS_OK, "a@b"},
        {SPAN("to:<a@b> "), PARAMETERS_OK, "a@b"},
        {SPAN("TO: <a@b>"), PARAMETERS_OK, "a@b"},
        {SPAN("TO:<@x,@y:a@b>"), PARAMETERS_OK, "a@b"},
        {SPAN("TO:<\"a b\"@c>"), PARAMETERS_OK, "\"a b\"@c"},
        {SPAN("TO:<>"), PARAMETERS_BAD_ADDRESS, NULL},
        {SPAN("TO:<postmaster>"), PARAMETERS_BAD_ADDRESS, NULL},
        {SPAN("TO:<a@b..c>"), PARAMETERS_BAD_ADDRESS, NULL},
        {SPAN("TO:<a@b\r\nDATA>"), PARAMETERS_BAD_ADDRESS, NULL},
        {SPAN("TO:<a\0@b>"), PARAMETERS_BAD_ADDRESS, NULL},
        {SPAN("TO:<a@b> NOTIFY=NEVER"), PARAMETERS_UNKNOWN, NULL},
        {SPAN("TO:<a@b> SIZE=1"), PARAMETERS_UNKNOWN, NULL},
        {SPAN("FROM:<a@b>"), PARAMETERS_SYNTAX, NULL},
        {SPAN("TO:a@b"), PARAMETERS_SYNTAX, NULL},
        {SPAN("TO:"), PARAMETERS_SYNTAX, NULL},
        {SPAN(""), PARAMETERS_SYNTAX, NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct span path;
        enum parameter_result result = rcpt_read(rows[i].argument, &path);
        ck_assert_msg(result == rows[i].result, "row %zu: %d", i, (int)result);
        if (result == PARAMETERS_OK)
            ck_assert_msg(span_equal(path, span_of(rows[i].path)), "row %zu: %.*s", i,
                          SPAN_FORMAT(path));
    }
}
END_TEST

TEST_MAIN("relay/smtp/command", verbs, a_line_that_is_more_than_one_is_no_command, good_mail,
          bad_mail, rcpt)
