#include "relay/smtp/parameters.h"

#include "base/buffer.h"
#include "tests/suite.h"

#define PLAIN (EXTENSION_SIZE | EXTENSION_8BITMIME)
#define ALL                                                                                        \
    (PLAIN | EXTENSION_CHUNKING | EXTENSION_BINARYMIME | EXTENSION_SMTPUTF8 | EXTENSION_DSN |      \
     EXTENSION_FUTURERELEASE | EXTENSION_DELIVERBY | EXTENSION_AUTH | EXTENSION_REQUIRETLS)

#define A10 "aaaaaaaaaa"
#define A50 A10 A10 A10 A10 A10
#define A100 A50 A50
#define A500 A100 A100 A100 A100 A100

/* ---- MAIL ---- */

START_TEST(paths_of_mail)
{
    static const struct {
        const char *argument, *path;
    } rows[] = {
        {"FROM:<>", ""},
        {"FROM:<a@b>", "a@b"},
        {"from:<a@b>", "a@b"},
        {"FROM: <a@b>", "a@b"},
        {"FROM: \t <a@b>", "a@b"},
        {"FROM:<@x,@y.z:a@b>", "a@b"},
        {"FROM:<@x:a@b>", "a@b"},
        {"FROM:<\"a>b c\"@d>", "\"a>b c\"@d"},
        {"FROM:<\"a\\\">\"@d>", "\"a\\\">\"@d"},
        {"FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]"},
        {"FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"},
        {"FROM:<a@b> SIZE=0", "a@b"},
        {"FROM:<> BODY=8BITMIME\tSIZE=7 ", ""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct mail_parameters got;
        ck_assert_msg(mail_read(span_of(rows[i].argument), PLAIN, &got) == PARAMETERS_OK, "%s",
                      rows[i].argument);
        ck_assert_msg(span_equal(got.path, span_of(rows[i].path)), "%s: %.*s", rows[i].argument,
                      SPAN_FORMAT(got.path));
    }
}
END_TEST

START_TEST(what_is_no_mail)
{
    static const struct {
        struct span argument;
        enum parameter_result result;
    } rows[] = {
        {SPAN(""), PARAMETERS_SYNTAX},
        {SPAN("FROM"), PARAMETERS_SYNTAX},
        {SPAN("FROM:"), PARAMETERS_SYNTAX},
        {SPAN("FROM: "), PARAMETERS_SYNTAX},
        {SPAN("FROM <a@b>"), PARAMETERS_SYNTAX},
        {SPAN("FROM :<a@b>"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b>"), PARAMETERS_SYNTAX},
        {SPAN("FROM:a@b"), PARAMETERS_SYNTAX},
        {SPAN("FROM:<a@b"), PARAMETERS_SYNTAX},
        {SPAN("FROM:<\"a@b>"), PARAMETERS_SYNTAX},
        {SPAN("FROM:<\"a\\\"@b>"), PARAMETERS_SYNTAX},
        {SPAN("FROM:<a@b>SIZE=1"), PARAMETERS_SYNTAX},
        {SPAN("FROM:<a@b>>"), PARAMETERS_SYNTAX},
        {SPAN("FROM:<<a@b>>"), PARAMETERS_SYNTAX},
        {SPAN("FROM:< >"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<a>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<postmaster>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<a b@c>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:< a@b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<a@b >"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<@x>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<@x:>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<@x,:a@b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<@x,y:a@b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<@:a@b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<@x@y:a@b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<@x:@y:a@b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<a\0@b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<a@b\r\nDATA>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("FROM:<a@b> ="), PARAMETERS_UNKNOWN},
        {SPAN("FROM:<a@b> x"), PARAMETERS_UNKNOWN},
        {SPAN("FROM:<> X=Y"), PARAMETERS_UNKNOWN},
        {SPAN("FROM:<> SIZE=1 X=Y"), PARAMETERS_UNKNOWN},
        {SPAN("FROM:<> NOTIFY=NEVER"), PARAMETERS_UNKNOWN},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct mail_parameters got;
        enum parameter_result result = mail_read(rows[i].argument, ALL, &got);
        ck_assert_msg(result == rows[i].result, "row %zu: %d", i, (int)result);
    }
}
END_TEST

START_TEST(good_parameters_of_mail)
{
    struct span from = SPAN("FROM:<a@b> ");
    static const struct {
        const char *words;
        struct mail_parameters wanted; /* all but the path */
    } rows[] = {
        {"", {.size = 0}},
        {"SIZE=0", {.has_size = true}},
        {"size=18446744073709551615 ", {.has_size = true, .size = UINT64_MAX}},
        {"BODY=7BIT", {.size = 0}},
        {"body=8bitmime", {.body = BODY_8BITMIME}},
        {"BODY=BINARYMIME", {.body = BODY_BINARYMIME}},
        {"SMTPUTF8", {.utf8 = true}},
        {"BODY=8BITMIME smtputf8 SIZE=5",
         {.has_size = true, .size = 5, .body = BODY_8BITMIME, .utf8 = true}},
        {"RET=FULL", {.ret = DSN_RETURN_FULL}},
        {"ret=hdrs", {.ret = DSN_RETURN_HEADERS}},
        {"ENVID=x", {.envid = SPAN("x")}},
        {"ENVID=a+20b+2B+3D RET=FULL", {.envid = SPAN("a+20b+2B+3D"), .ret = DSN_RETURN_FULL}},
        {"ENVID=" A100, {.envid = SPAN(A100)}},
        {"HOLDFOR=0", {.size = 0}},
        {"HOLDFOR=86400", {.hold_for_ms = 86400000}},
        {"HOLDFOR=999999999", {.hold_for_ms = 999999999000}},
        {"holduntil=2026-11-21T13:00:05Z", {.hold_until_ms = 1795266005000}},
        {"BY=120;R", {.by = BY_RETURN, .by_ms = 120000}},
        {"BY=+120;rt", {.by = BY_RETURN, .by_ms = 120000, .by_trace = true}},
        {"BY=0;N", {.by = BY_NOTIFY}},
        {"BY=-999999999;NT", {.by = BY_NOTIFY, .by_ms = -999999999000, .by_trace = true}},
        {"AUTH=<>", {.auth = SPAN("<>")}},
        {"AUTH=e+3Dmc2@example.test", {.auth = SPAN("e+3Dmc2@example.test")}},
        {"REQUIRETLS", {.requires_tls = true}},
        {"SIZE=5 requireTLS", {.has_size = true, .size = 5, .requires_tls = true}},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct mail_parameters got, wanted = rows[i].wanted;
        struct buffer argument = {0};
        buffer_append(&argument, from);
        buffer_append(&argument, span_of(rows[i].words));
        enum parameter_result result = mail_read(buffer_span(&argument), ALL, &got);
        ck_assert_msg(result == PARAMETERS_OK, "%s: %d", rows[i].words, (int)result);
        ck_assert_msg(
            got.has_size == wanted.has_size && got.size == wanted.size && got.body == wanted.body &&
                got.utf8 == wanted.utf8 && got.requires_tls == wanted.requires_tls &&
                got.ret == wanted.ret && span_equal(got.envid, wanted.envid) &&
                span_equal(got.auth, wanted.auth) && got.hold_for_ms == wanted.hold_for_ms &&
                got.hold_until_ms == wanted.hold_until_ms && got.by == wanted.by &&
                got.by_ms == wanted.by_ms && got.by_trace == wanted.by_trace,
            "%s", rows[i].words);
        buffer_free(&argument);
    }
}
END_TEST

START_TEST(bad_parameters_of_mail)
{
    static const char *const rows[] = {
        "SIZE",
        "SIZE=",
        "SIZE=x",
        "SIZE=-1",
        "SIZE=+1",
        "SIZE=1.5",
        "SIZE=18446744073709551616",
        "SIZE=1 SIZE=1",
        "BODY",
        "BODY=",
        "BODY=16BIT",
        "BODY=7BIT BODY=8BITMIME",
        "BODY=8BITMIME,7BIT",
        "SMTPUTF8=",
        "SMTPUTF8=yes",
        "REQUIRETLS=",
        "REQUIRETLS=yes",
        "REQUIRETLS REQUIRETLS",
        "SMTPUTF8 SMTPUTF8",
        "RET",
        "RET=",
        "RET=HEADERS",
        "RET=FULL RET=FULL",
        "RET=FULL,HDRS",
        "ENVID",
        "ENVID=",
        "ENVID=a=b",
        "ENVID=a+2",
        "ENVID=a+2b",
        "ENVID=a+",
        "ENVID=a+0D+0Ab",
        "ENVID=a+00",
        "ENVID=a+C3+A4",
        "ENVID=\xc3\xa4",
        "ENVID=x ENVID=y",
        "ENVID=" A100 "a",
        "HOLDFOR",
        "HOLDFOR=",
        "HOLDFOR=-1",
        "HOLDFOR=1h",
        "HOLDFOR=1000000000",
        "HOLDFOR=2026-11-21T13:00:05Z",
        "HOLDFOR=1 HOLDFOR=1",
        "HOLDFOR=1 HOLDUNTIL=2026-11-21T13:00:05Z",
        "HOLDUNTIL=2026-11-21T13:00:05Z HOLDFOR=1",
        "HOLDUNTIL=5",
        "HOLDUNTIL=",
        "HOLDUNTIL=2026-11-21",
        "BY",
        "BY=",
        "BY=;",
        "BY=;R",
        "BY=120",
        "BY=120;",
        "BY=120;X",
        "BY=120;RN",
        "BY=120;T",
        "BY=120;TR",
        "BY=0;R",
        "BY=-1;R",
        "BY=+;R",
        "BY=--1;N",
        "BY=1000000000;R",
        "BY=1;R BY=1;R",
        "BY=1;R;T",
        "AUTH",
        "AUTH=",
        "AUTH=a=b",
        "AUTH=+0D",
        "AUTH=+",
        "AUTH=<> AUTH=<>",
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct mail_parameters got;
        struct buffer argument = {0};
        buffer_print(&argument, "FROM:<a@b> %s", rows[i]);
        enum parameter_result result = mail_read(buffer_span(&argument), ALL, &got);
        ck_assert_msg(result == PARAMETERS_SYNTAX, "%s: %d", rows[i], (int)result);
        buffer_free(&argument);
    }
}
END_TEST

/* Each of them well formed, and with everything offered but its own extension. */
START_TEST(what_is_not_offered_is_unknown)
{
    static const struct {
        const char *argument;
        unsigned extension;
    } rows[] = {
        {"FROM:<a@b> SIZE=1", EXTENSION_SIZE},
        {"FROM:<a@b> BODY=8BITMIME", EXTENSION_8BITMIME},
        {"FROM:<a@b> BODY=BINARYMIME", EXTENSION_BINARYMIME},
        {"FROM:<> BODY=BINARYMIME", EXTENSION_BINARYMIME},
        {"FROM:<a@b> SMTPUTF8", EXTENSION_SMTPUTF8},
        {"FROM:<a@b> RET=FULL", EXTENSION_DSN},
        {"FROM:<a@b> ENVID=x", EXTENSION_DSN},
        {"FROM:<a@b> HOLDFOR=1", EXTENSION_FUTURERELEASE},
        {"FROM:<a@b> HOLDUNTIL=2026-11-21T13:00:05Z", EXTENSION_FUTURERELEASE},
        {"FROM:<a@b> BY=1;R", EXTENSION_DELIVERBY},
        {"FROM:<a@b> AUTH=<>", EXTENSION_AUTH},
        {"TO:<a@b> NOTIFY=NEVER", EXTENSION_DSN},
        {"TO:<a@b> ORCPT=rfc822;a@b", EXTENSION_DSN},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct mail_parameters mail;
        struct rcpt_parameters rcpt;
        struct span argument = span_of(rows[i].argument);
        bool to = argument.data[0] == 'T';
        for (unsigned offered = 0; offered < 2; offered++) {
            unsigned set = offered ? ALL : ALL & ~rows[i].extension;
            enum parameter_result result =
                to ? rcpt_read(argument, set, false, &rcpt) : mail_read(argument, set, &mail);
            ck_assert_msg(result == (offered ? PARAMETERS_OK : PARAMETERS_UNKNOWN), "%s",
                          rows[i].argument);
        }
    }
}
END_TEST

/* ---- UTF-8 ---- */

#define A_UMLAUT "\xc3\xa4"

START_TEST(utf8_needs_its_parameter)
{
    static const struct {
        const char *argument;
        enum parameter_result without, with;
    } rows[] = {
        {"FROM:<a@b>", PARAMETERS_OK, PARAMETERS_OK},
        {"FROM:<>", PARAMETERS_OK, PARAMETERS_OK},
        {"FROM:<" A_UMLAUT "@b>", PARAMETERS_NEED_UTF8, PARAMETERS_OK},
        {"FROM:<\"" A_UMLAUT ">\"@b>", PARAMETERS_NEED_UTF8, PARAMETERS_OK},
        {"FROM:<a@b" A_UMLAUT ".example>", PARAMETERS_NEED_UTF8, PARAMETERS_OK},
        {"FROM:<a@b> SIZE=1", PARAMETERS_OK, PARAMETERS_OK},
        {"FROM:<\xc0\xaf@b>", PARAMETERS_NEED_UTF8, PARAMETERS_BAD_ADDRESS},
        {"FROM:<\xff@b>", PARAMETERS_NEED_UTF8, PARAMETERS_BAD_ADDRESS},
        {"FROM:<@" A_UMLAUT ":a@b>", PARAMETERS_NEED_UTF8, PARAMETERS_BAD_ADDRESS},
        {"FROM:<" A_UMLAUT ">", PARAMETERS_NEED_UTF8, PARAMETERS_BAD_ADDRESS},
        {"FROM:<a@b> " A_UMLAUT "=1", PARAMETERS_UNKNOWN, PARAMETERS_UNKNOWN},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct mail_parameters got;
        struct buffer argument = {0};
        buffer_append(&argument, span_of(rows[i].argument));
        enum parameter_result result = mail_read(buffer_span(&argument), ALL, &got);
        ck_assert_msg(result == rows[i].without, "%s: %d", rows[i].argument, (int)result);
        buffer_append(&argument, SPAN(" SMTPUTF8"));
        result = mail_read(buffer_span(&argument), ALL, &got);
        ck_assert_msg(result == rows[i].with, "%s: %d", rows[i].argument, (int)result);
        buffer_free(&argument);
    }
}
END_TEST

/* ---- RCPT ---- */

START_TEST(good_rcpt)
{
    static const struct {
        const char *argument, *path;
        bool utf8;
        unsigned notify;
        const char *orcpt;
    } rows[] = {
        {"TO:<a@b>", "a@b", false, 0, ""},
        {"to:<a@b> ", "a@b", false, 0, ""},
        {"TO: <a@b>", "a@b", false, 0, ""},
        {"TO:<@x,@y:a@b>", "a@b", false, 0, ""},
        {"TO:<\"a b\"@c>", "\"a b\"@c", false, 0, ""},
        {"TO:<a%b@c>", "a%b@c", false, 0, ""},
        {"TO:<b!a@c>", "b!a@c", false, 0, ""},
        {"TO:<" A_UMLAUT "@c>", A_UMLAUT "@c", true, 0, ""},
        {"TO:<a@b> NOTIFY=NEVER", "a@b", false, DSN_NOTIFY_NEVER, ""},
        {"TO:<a@b> notify=success", "a@b", false, DSN_NOTIFY_SUCCESS, ""},
        {"TO:<a@b> NOTIFY=FAILURE,DELAY", "a@b", false, DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY, ""},
        {"TO:<a@b> NOTIFY=SUCCESS,FAILURE,DELAY,DELAY", "a@b", false,
         DSN_NOTIFY_SUCCESS | DSN_NOTIFY_FAILURE | DSN_NOTIFY_DELAY, ""},
        {"TO:<a@b> ORCPT=rfc822;a+2Bc@b", "a@b", false, 0, "rfc822;a+2Bc@b"},
        {"TO:<a@b> ORCPT=RFC822;\"a+20b\"@c NOTIFY=NEVER", "a@b", false, DSN_NOTIFY_NEVER,
         "RFC822;\"a+20b\"@c"},
        {"TO:<a@b> ORCPT=x400;/c=us/s+3Dx", "a@b", false, 0, NULL},
        {"TO:<a@b> ORCPT=utf-8;\\x{E4}@b", "a@b", false, 0, "utf-8;\\x{E4}@b"},
        {"TO:<a@b> ORCPT=utf-8;" A_UMLAUT "@b", "a@b", true, 0, "utf-8;" A_UMLAUT "@b"},
        {"TO:<a@b> ORCPT=rfc822;" A100 A100 A100 A100 A50 A10 A10 A10 A10 "aaa", "a@b", false, 0,
         "rfc822;" A100 A100 A100 A100 A50 A10 A10 A10 A10 "aaa"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct rcpt_parameters got;
        enum parameter_result result =
            rcpt_read(span_of(rows[i].argument), ALL, rows[i].utf8, &got);
        if (rows[i].orcpt == NULL) { /* no '=' in xtext */
            ck_assert_int_eq(result, PARAMETERS_SYNTAX);
            continue;
        }
        ck_assert_msg(result == PARAMETERS_OK, "%s: %d", rows[i].argument, (int)result);
        ck_assert_msg(span_equal(got.path, span_of(rows[i].path)) && got.notify == rows[i].notify &&
                          span_equal(got.orcpt, span_of(rows[i].orcpt)),
                      "%s", rows[i].argument);
    }
}
END_TEST

START_TEST(bad_rcpt)
{
    static const struct {
        struct span argument;
        enum parameter_result result;
    } rows[] = {
        {SPAN("FROM:<a@b>"), PARAMETERS_SYNTAX},
        {SPAN("TO:a@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:"), PARAMETERS_SYNTAX},
        {SPAN(""), PARAMETERS_SYNTAX},
        {SPAN("TO:<>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("TO:<postmaster>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("TO:<a@b..c>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("TO:<a@b@c>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("TO:<a!b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("TO:<a@b\r\nDATA>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("TO:<a\0@b>"), PARAMETERS_BAD_ADDRESS},
        {SPAN("TO:<" A_UMLAUT "@b>"), PARAMETERS_NEED_UTF8},
        {SPAN("TO:<a@b> SIZE=1"), PARAMETERS_UNKNOWN},
        {SPAN("TO:<a@b> RET=FULL"), PARAMETERS_UNKNOWN},
        {SPAN("TO:<a@b> SMTPUTF8"), PARAMETERS_UNKNOWN},
        {SPAN("TO:<a@b> NOTIFY"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY="), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY=ALWAYS"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY=NEVER,DELAY"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY=DELAY,NEVER"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY=DELAY,"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY=,DELAY"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY=DELAY,,FAILURE"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY=DELAY;FAILURE"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT="), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=a@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=;a@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc822;"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc(822);a@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc822;a+0D+0AX:+20y@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc822;a+@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc822;a+2b@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc822;" A_UMLAUT "@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc822;a+C3+A4@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=utf-8;" A_UMLAUT "@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=utf-8;\\x{D}\\x{A}"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=" A_UMLAUT ";a@b"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc822;a ORCPT=rfc822;a"), PARAMETERS_SYNTAX},
        {SPAN("TO:<a@b> ORCPT=rfc822;" A500), PARAMETERS_SYNTAX},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct rcpt_parameters got;
        enum parameter_result result = rcpt_read(rows[i].argument, ALL, false, &got);
        ck_assert_msg(result == rows[i].result, "row %zu: %d", i, (int)result);
    }
}
END_TEST

TEST_MAIN("relay/smtp/parameters", paths_of_mail, what_is_no_mail, good_parameters_of_mail,
          bad_parameters_of_mail, what_is_not_offered_is_unknown, utf8_needs_its_parameter,
          good_rcpt, bad_rcpt)
