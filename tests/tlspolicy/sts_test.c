/* MTA-STS (RFC 8461): the TXT record, the policy's text, and which hosts it means. */
#include "tlspolicy/sts.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

/* RFC 8461 3.1: exactly one that begins "v=STSv1;", an id of 1 to 32 letters and digits, the
 * first of doubles, unknown fields passed over. */
START_TEST(the_record_that_counts)
{
    static const struct {
        struct span texts[3];
        unsigned count;
        enum sts_record record;
        const char *id;
    } cases[] = {
        {{{0}}, 0, STS_RECORD_NONE, ""},
        {{SPAN("v=STSv1; id=20160831085700Z;")}, 1, STS_RECORD_FOUND, "20160831085700Z"},
        {{SPAN("v=STSv1;id=a")}, 1, STS_RECORD_FOUND, "a"},
        {{SPAN("v=STSv1;\tid=aB9 ; ")}, 1, STS_RECORD_FOUND, "aB9"},
        {{SPAN("v=STSv1; id=01234567890123456789012345678901")},
         1,
         STS_RECORD_FOUND,
         "01234567890123456789012345678901"},
        {{SPAN("v=STSv1; id=012345678901234567890123456789012")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; id=;")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; id=a-b;")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; id=a b;")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; id=a\0b;")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; ID=a;")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1;")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; x=y;")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; id")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1;; id=a")}, 1, STS_RECORD_INVALID, ""},
        /* doubles and the unknown */
        {{SPAN("v=STSv1; id=first; id=second")}, 1, STS_RECORD_FOUND, "first"},
        {{SPAN("v=STSv1; id=first; id=")}, 1, STS_RECORD_FOUND, "first"},
        {{SPAN("v=STSv1; x-9_.y=(!); id=a; z=1")}, 1, STS_RECORD_FOUND, "a"},
        {{SPAN("v=STSv1; -x=1; id=a")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; x\0=1; id=a")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; x=1=2; id=a")}, 1, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; =1; id=a")}, 1, STS_RECORD_INVALID, ""},
        /* those that begin otherwise are not there */
        {{SPAN("v=spf1 -all"), SPAN("v=STSv1; id=a"), SPAN("")}, 3, STS_RECORD_FOUND, "a"},
        {{SPAN("v=STSv1 ; id=a")}, 1, STS_RECORD_NONE, ""},
        {{SPAN("V=STSv1; id=a")}, 1, STS_RECORD_NONE, ""},
        {{SPAN(" v=STSv1; id=a")}, 1, STS_RECORD_NONE, ""},
        {{SPAN("v=STSv2; id=a"), SPAN("v=STSv1; id=b")}, 2, STS_RECORD_FOUND, "b"},
        /* and of several none counts, even were all but one ill-formed */
        {{SPAN("v=STSv1; id=a"), SPAN("v=STSv1; id=a")}, 2, STS_RECORD_INVALID, ""},
        {{SPAN("v=STSv1; id=a"), SPAN("v=STSv1;")}, 2, STS_RECORD_INVALID, ""},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        char id[STS_ID_MAX + 1] = "before";
        enum sts_record record = sts_choose_record(cases[i].texts, cases[i].count, id);
        ck_assert_msg(record == cases[i].record, "case %zu: %d", i, (int)record);
        ck_assert_str_eq(id, cases[i].id);
    }
}
END_TEST

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 604800\n"

/* RFC 8461 3.2 */
START_TEST(a_policy)
{
    struct arena arena = {0};
    struct sts_policy policy;
    ck_assert_ptr_null(
        sts_read_policy(SPAN("version: STSv1\r\nmode: testing\r\nmx: Mx1.Example.com\r\n"
                             "mx: *.example.net\r\nmx:backup.example.com  \r\n"
                             "max_age: 604800\r\n"),
                        &arena, &policy));
    ck_assert_int_eq(policy.mode, STS_TESTING);
    ck_assert_uint_eq(policy.max_age_s, 604800);
    ck_assert_uint_eq(policy.count, 3);
    ck_assert_str_eq(policy.patterns[0], "mx1.example.com");
    ck_assert_str_eq(policy.patterns[1], "*.example.net");
    ck_assert_str_eq(policy.patterns[2], "backup.example.com");
    arena_free(&arena);
}
END_TEST

START_TEST(what_is_a_policy_and_what_is_none)
{
    static const struct {
        struct span text;
        const char *why; /* NULL: it is one */
    } cases[] = {
        {SPAN(HEAD "mx: a.example"), NULL},
        {SPAN("mx: a.example\n" HEAD), NULL},                         /* any order */
        {SPAN(HEAD "mx: a.example\r\n\r\n\n"), NULL},                 /* LF and CRLF */
        {SPAN(HEAD "mx: a.example\nfuture-1_x.y: \xc3\xa9 b"), NULL}, /* unknown */
        {SPAN("version: STSv1\nmode: none\nmax_age: 0"), NULL},       /* none needs no mx */
        {SPAN("version: STSv1\nmode: testing\nmax_age: 31557600\nmx: a.example"), NULL},
        /* the first of doubles counts, but for mx */
        {SPAN(HEAD "mx: a.example\nversion: 2\nmode: x\nmax_age: -1"), NULL},

        {SPAN(""), "no version"},
        {SPAN("mode: enforce\nmax_age: 1\nmx: a.example"), "no version"},
        {SPAN("version: STSv2\nmode: none\nmax_age: 1"), "not STSv1"},
        {SPAN("version: stsv1\nmode: none\nmax_age: 1"), "not STSv1"},
        {SPAN("version: STSv1\nmax_age: 1\nmx: a.example"), "no mode"},
        {SPAN("version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a.example"), "mode is none of"},
        {SPAN("version: STSv1\nmode:\nmax_age: 1\nmx: a.example"), "mode is none of"},
        {SPAN("version: STSv1\nmode: enforce\nmx: a.example"), "no max_age"},
        {SPAN("version: STSv1\nmode: none\nmax_age: 31557601"), "max_age is no"},
        {SPAN("version: STSv1\nmode: none\nmax_age: 99999999999999999999"), "max_age is no"},
        {SPAN("version: STSv1\nmode: none\nmax_age: -1"), "max_age is no"},
        {SPAN("version: STSv1\nmode: none\nmax_age: 1d"), "max_age is no"},
        {SPAN("version: STSv1\nmode: none\nmax_age:"), "max_age is no"},
        {SPAN(HEAD), "no mx"},
        {SPAN(HEAD "mx:"), "no host name"},
        {SPAN(HEAD "mx: *"), "no host name"},
        {SPAN(HEAD "mx: *."), "no host name"},
        {SPAN(HEAD "mx: *.*.example"), "no host name"},
        {SPAN(HEAD "mx: a.*.example"), "no host name"},
        {SPAN(HEAD "mx: a*.example"), "no host name"},
        {SPAN(HEAD "mx: .example"), "no host name"},
        {SPAN(HEAD "mx: a..example"), "no host name"},
        {SPAN(HEAD "mx: a.example."), "no host name"},
        {SPAN(HEAD "mx: -a.example"), "no host name"},
        {SPAN(HEAD "mx: a b.example"), "no host name"},
        {SPAN(HEAD "mx: a,b.example"), "no host name"},
        {SPAN(HEAD "mx: a\0b.example"), "no host name"},
        {SPAN(HEAD "mx: \xc3\xa9.example"), "no host name"}, /* A-labels only */
        {SPAN(HEAD "mx: a.example\nmode"), "no \"name: value\""},
        {SPAN(HEAD "mx: a.example\n: x"), "no \"name: value\""},
        {SPAN(HEAD "mx: a.example\nx y: z"), "no \"name: value\""},
        {SPAN(HEAD "mx: a.example\n<html>"), "no \"name: value\""},
        {SPAN(HEAD "mx: a.example\nx: \x01"), "control characters"},
        {SPAN(HEAD "mx: a.example\rmx: b.example"), "no host name"}, /* CR ends no line */
    };
    for (size_t i = 0; i < countof(cases); i++) {
        struct arena arena = {0};
        struct sts_policy policy;
        const char *why = sts_read_policy(cases[i].text, &arena, &policy);
        bool right = cases[i].why ? why != NULL && strstr(why, cases[i].why) : why == NULL;
        ck_assert_msg(right, "case %zu: %s", i, why ? why : "taken");
        arena_free(&arena);
    }
}
END_TEST

START_TEST(its_limits)
{
    struct arena arena = {0};
    struct sts_policy policy;
    struct buffer {
        char text[STS_TEXT_MAX + 2];
        size_t length;
    } *big = must_calloc(1, sizeof(*big));
    big->length = (size_t)sprintf(big->text, "%s", HEAD);
    for (int i = 0; i < STS_PATTERNS_MAX; i++)
        big->length += (size_t)sprintf(big->text + big->length, "mx: mx%d.example\n", i);
    ck_assert_ptr_null(sts_read_policy((struct span){big->text, big->length}, &arena, &policy));
    ck_assert_uint_eq(policy.count, STS_PATTERNS_MAX);
    big->length += (size_t)sprintf(big->text + big->length, "mx: one.more.example\n");
    ck_assert_str_eq(sts_read_policy((struct span){big->text, big->length}, &arena, &policy),
                     "it has more than 200 mx");

    memset(big->text, '\n', sizeof(big->text));
    memcpy(big->text, HEAD "mx: a.example", strlen(HEAD "mx: a.example"));
    ck_assert_ptr_null(sts_read_policy((struct span){big->text, STS_TEXT_MAX}, &arena, &policy));
    ck_assert_str_eq(sts_read_policy((struct span){big->text, STS_TEXT_MAX + 1}, &arena, &policy),
                     "it is longer than 64 KiB");
    free(big);
    arena_free(&arena);
}
END_TEST

/* RFC 8461 4.1 */
START_TEST(which_hosts_match)
{
    static const char *const patterns[] = {"mx.example.com", "*.wild.example",
                                           "*.xn--bcher-kva.example"};
    static const struct sts_policy policy = {.count = countof(patterns), .patterns = patterns};
    static const struct {
        struct span host;
        bool matches;
    } cases[] = {
        {SPAN("mx.example.com"), true},
        {SPAN("MX.Example.COM"), true},
        {SPAN("a.wild.example"), true},
        {SPAN("A.WILD.example"), true},
        {SPAN("xn--mx-eka.xn--bcher-kva.example"), true},
        {SPAN("example.com"), false},
        {SPAN("a.mx.example.com"), false},
        {SPAN("mx.example.co"), false},
        {SPAN("mx.example.com.evil.example"), false},
        {SPAN("wild.example"), false},
        {SPAN(".wild.example"), false},
        {SPAN("a.b.wild.example"), false},
        {SPAN("awild.example"), false},
        {SPAN("*.wild.example"), true}, /* one label, whatever it is */
        {SPAN(""), false},
        {SPAN("."), false},
    };
    static const struct sts_policy nobody = {.count = 0};
    for (size_t i = 0; i < countof(cases); i++) {
        ck_assert_msg(sts_matches(&policy, cases[i].host) == cases[i].matches, "%.*s",
                      SPAN_FORMAT(cases[i].host));
        ck_assert(!sts_matches(&nobody, cases[i].host));
    }
}
END_TEST

TEST_MAIN("tlspolicy/sts", the_record_that_counts, a_policy, what_is_a_policy_and_what_is_none,
          its_limits, which_hosts_match);
