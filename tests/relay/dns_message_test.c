#include "relay/dns_message.h"

#include "base/buffer.h"
#include "tests/suite.h"

#include <string.h>

/* A question for a.test, and where names lie in the message: 12 is a.test, 14 is test. */
#define HEAD(flags, answers, authority)                                                            \
    "\x12\x34" flags "\0\1\0" answers "\0" authority "\0\0"                                        \
    "\1a\4test\0\0\1\0\1"
#define FINE "\x81\x80"
#define VALIDATED "\x81\xa0"
#define A_TEST "\xc0\x0c"
#define TEST "\xc0\x0e"
#define RECORD(type, ttl, length) "\0" type "\0\1\0\0\0" ttl "\0" length
#define A "\1"
#define CNAME "\5"
#define SOA "\6"
#define MX "\x0f"
#define TLSA "\x34"
#define IP "\xc0\0\2\1"

/* "RECORDS secure ttl=60 as=b.test 2:4,4" */
static void tell(const struct dns_answer *answer, struct buffer *to)
{
    static const char *const words[] = {[ANSWER_NONE] = "NONE",
                                        [ANSWER_RECORDS] = "RECORDS",
                                        [ANSWER_NO_NAME] = "NO_NAME",
                                        [ANSWER_FAILED] = "FAILED"};
    buffer_print(to, "%s", words[answer->answer]);
    if (answer->answer == ANSWER_FAILED) {
        buffer_print(to, " %s", answer->failure);
        return;
    }
    buffer_print(to, "%s ttl=%u", answer->secure ? " secure" : "", answer->ttl_seconds);
    if (answer->canonical != NULL)
        buffer_print(to, " as=%s", answer->canonical);
    for (unsigned i = 0; i < answer->count; i++)
        buffer_print(to, " %zu", answer->records[i].length);
}

static void expect(struct span message, enum record_type type, const char *told, size_t row)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct buffer got CLEANUP(buffer_free) = {0};
    struct dns_answer answer;
    dns_message_read(message, "A.test", type, &arena, &answer);
    tell(&answer, &got);
    ck_assert_msg(span_equal(buffer_span(&got), span_of(told)), "row %zu: %.*s, not %s", row,
                  SPAN_FORMAT(buffer_span(&got)), told);
}

#define BROKEN "FAILED the name server's answer is broken"

START_TEST(answers)
{
    static const struct {
        struct span message;
        enum record_type type;
        const char *told;
    } rows[] = {
        {SPAN(HEAD(FINE, "\1", "\0") A_TEST RECORD(A, "\x3c", "\4") IP), TYPE_A,
         "RECORDS ttl=60 4"},
        {SPAN(HEAD(VALIDATED, "\2", "\0") A_TEST RECORD(A, "\x3c", "\4")
                  IP A_TEST RECORD(A, "\x3b", "\4") IP),
         TYPE_A, "RECORDS secure ttl=59 4 4"},
        {SPAN(HEAD(VALIDATED, "\1", "\0") "\1A\4TEST\0" RECORD(TLSA, "\1", "\5") "\3\1\1xy"),
         TYPE_TLSA, "RECORDS secure ttl=1 5"},
        /* what is of another name or type is not meant */
        {SPAN(HEAD(FINE, "\2", "\0") TEST RECORD(A, "\x3c", "\4")
                  IP A_TEST RECORD(TLSA, "\x3c", "\4") IP),
         TYPE_A, "NONE ttl=0"},
        /* names are written out */
        {SPAN(HEAD(FINE, "\1", "\0") A_TEST RECORD(MX, "\x3c", "\7") "\0\x0a\2mx" TEST), TYPE_MX,
         "RECORDS ttl=60 11"},
        /* aliases: the least TTL of all holds */
        {SPAN(HEAD(VALIDATED, "\2", "\0") A_TEST RECORD(
             CNAME, "\x0a", "\4") "\1b" TEST "\1b" TEST RECORD(A, "\x3c", "\4") IP),
         TYPE_A, "RECORDS secure ttl=10 as=b.test 4"},
        {SPAN(HEAD(VALIDATED, "\1", "\0") A_TEST RECORD(CNAME, "\x0a", "\4") "\1b" TEST),
         TYPE_CNAME, "RECORDS secure ttl=10 8"},
        {SPAN(HEAD(FINE, "\1", "\0") A_TEST RECORD(CNAME, "\x0a", "\2") A_TEST), TYPE_A,
         "FAILED its aliases go round, or too far"},
        {SPAN(HEAD(FINE, "\1", "\0") A_TEST RECORD(CNAME, "\x0a", "\5") "\3b.c\0"), TYPE_A,
         "NONE ttl=0"}, /* such a name cannot be told */
        /* denials: RFC 2308 5 */
        {SPAN(HEAD(VALIDATED, "\0", "\1")
                  TEST RECORD(SOA, "\x3c", "\x16") "\0\0"
                                                   "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x28"),
         TYPE_A, "NONE secure ttl=40"},
        {SPAN(HEAD("\x81\xa3", "\0", "\1")
                  TEST RECORD(SOA, "\x1e", "\x16") "\0\0"
                                                   "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x28"),
         TYPE_A, "NO_NAME secure ttl=30"},
        {SPAN(HEAD("\x81\x83", "\0", "\0")), TYPE_A, "NO_NAME ttl=0"},
        /* errors; what came with them does not count */
        {SPAN(HEAD("\x81\x82", "\0", "\0")), TYPE_A, "FAILED SERVFAIL"},
        {SPAN(HEAD("\x81\xa5", "\1", "\0") A_TEST RECORD(A, "\x3c", "\4") IP), TYPE_A,
         "FAILED REFUSED"},
        {SPAN(HEAD("\x81\x81", "\0", "\0")), TYPE_A, "FAILED the name server gave an error"},
        {SPAN(HEAD("\x83\x80", "\0", "\0")), TYPE_A, BROKEN}, /* truncated */
        {SPAN(HEAD("\x01\x80", "\0", "\0")), TYPE_A, BROKEN}, /* a question */
        /* names that lead on, to themselves, or out of the message */
        {SPAN(HEAD(FINE, "\1", "\0") "\xc0\x1c" RECORD(A, "\x3c", "\4") IP), TYPE_A, BROKEN},
        {SPAN(HEAD(FINE, "\1", "\0") "\xff\xff" RECORD(A, "\x3c", "\4") IP), TYPE_A, BROKEN},
        {SPAN(HEAD(FINE, "\1", "\0") "\x40" RECORD(A, "\x3c", "\4") IP), TYPE_A, BROKEN},
        {SPAN(HEAD(FINE, "\1", "\0") A_TEST RECORD(CNAME, "\x3c", "\2") "\xc0\xff"), TYPE_A,
         BROKEN},
        {SPAN(HEAD(FINE, "\1", "\0") A_TEST RECORD(A, "\x3c", "\5") IP), TYPE_A, BROKEN},
    };
    for (size_t i = 0; i < countof(rows); i++)
        expect(rows[i].message, rows[i].type, rows[i].told, i);
}
END_TEST

/* However short it is cut, it is broken and nothing else. */
START_TEST(cut_off)
{
    static const char whole[] = HEAD(VALIDATED, "\2", "\0")
        A_TEST RECORD(CNAME, "\x0a", "\4") "\1b" TEST "\1b" TEST RECORD(A, "\x3c", "\4") IP;
    for (size_t length = 0; length < sizeof(whole) - 1; length++) {
        char *copy = span_copy((struct span){whole, length}); /* so that a read beyond it shows */
        expect((struct span){copy, length}, TYPE_A, BROKEN, length);
        free(copy);
    }
}
END_TEST

START_TEST(so_many_and_no_more)
{
    struct buffer message CLEANUP(buffer_free) = {0};
    struct arena arena CLEANUP(arena_free) = {0};
    struct dns_answer answer;
    buffer_append(&message, SPAN(HEAD(FINE, "\xfa", "\0")));
    for (int i = 0; i < 250; i++)
        buffer_append(&message, SPAN(A_TEST RECORD(A, "\x3c", "\4") IP));
    dns_message_read(buffer_span(&message), "a.test", TYPE_A, &arena, &answer);
    ck_assert_uint_eq(answer.count, DNS_RECORDS_MAX);
}
END_TEST

TEST_MAIN("relay/dns_message", answers, cut_off, so_many_and_no_more)
