#include "base/span.h"

#include "tests/suite.h"

#include <string.h>

static const struct span nothing; /* no bytes and no address either */

static void assert_span(struct span got, const char *wanted)
{
    ck_assert_msg(span_equal(got, span_of(wanted)), "got \"%.*s\", wanted \"%s\"", SPAN_FORMAT(got),
                  wanted);
}

START_TEST(equality)
{
    static const struct {
        const char *a, *b;
        bool same, same_nocase;
    } rows[] = {
        {"", "", true, true},
        {"a", "", false, false},
        {"mail", "mail", true, true},
        {"mail", "MaIl", false, true},
        {"mail", "mails", false, false},
        {"[", "{", false, false}, /* 0x20 apart, but no letters */
        {"@", "`", false, false},
        {"\xc3\x84", "\xc3\xa4", false, false}, /* ASCII only */
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct span a = span_of(rows[i].a), b = span_of(rows[i].b);
        ck_assert_msg(span_equal(a, b) == rows[i].same, "row %zu", i);
        ck_assert_msg(span_equal_nocase(a, b) == rows[i].same_nocase, "row %zu nocase", i);
        if (rows[i].same)
            ck_assert_uint_eq(span_hash(a), span_hash(b));
        else
            ck_assert_uint_ne(span_hash(a), span_hash(b));
        ck_assert((span_hash_nocase(a) == span_hash_nocase(b)) == rows[i].same_nocase);
    }
    ck_assert(span_equal(nothing, SPAN("")));
    ck_assert(span_equal_nocase(nothing, SPAN("")));
    ck_assert_uint_eq(span_hash(nothing), span_hash(SPAN("")));
}
END_TEST

START_TEST(hash_is_fnv1a)
{
    ck_assert_uint_eq(span_hash(SPAN("")), 0xcbf29ce484222325u);
    ck_assert_uint_eq(span_hash(SPAN("a")), 0xaf63dc4c8601ec8cu);
    ck_assert_uint_eq(span_hash(SPAN("foobar")), 0x85944171f73967e8u);
    ck_assert_uint_eq(span_hash_nocase(SPAN("FooBar")), 0x85944171f73967e8u);
}
END_TEST

START_TEST(beginnings)
{
    ck_assert(span_starts_nocase(SPAN("MAIL FROM:<a>"), SPAN("mail from:")));
    ck_assert(span_starts_nocase(SPAN("mail"), SPAN("")));
    ck_assert(span_starts_nocase(SPAN("mail"), SPAN("MAIL")));
    ck_assert(!span_starts_nocase(SPAN("mai"), SPAN("mail")));
    ck_assert(!span_starts_nocase(SPAN("nail"), SPAN("mail")));
    ck_assert(span_starts_nocase(nothing, nothing));
}
END_TEST

START_TEST(skipping)
{
    assert_span(span_skip(SPAN("abc"), 0), "abc");
    assert_span(span_skip(SPAN("abc"), 2), "c");
    assert_span(span_skip(SPAN("abc"), 3), "");
    assert_span(span_skip(SPAN("abc"), 400), "");
    assert_span(span_skip(nothing, 5), "");
}
END_TEST

START_TEST(words)
{
    struct span rest = SPAN(" \t RCPT  TO:<a b>\t");
    assert_span(span_word(&rest), "RCPT");
    assert_span(span_word(&rest), "TO:<a");
    assert_span(span_word(&rest), "b>");
    assert_span(span_word(&rest), "");
    ck_assert_uint_eq(rest.length, 0);
    assert_span(span_word(&rest), "");
    rest = nothing;
    assert_span(span_word(&rest), "");
}
END_TEST

START_TEST(lines)
{
    struct span rest = SPAN("one\r\ntwo\n\n\r\nfi\rve\r\r\nsix\r"), line;
    static const char *const wanted[] = {"one", "two", "", "", "fi\rve\r", "six\r"};
    for (size_t i = 0; i < countof(wanted); i++) {
        ck_assert(span_line(&rest, &line));
        assert_span(line, wanted[i]);
    }
    ck_assert(!span_line(&rest, &line));
    rest = nothing;
    ck_assert(!span_line(&rest, &line));
    rest = SPAN("end\n");
    ck_assert(span_line(&rest, &line));
    ck_assert(!span_line(&rest, &line));
}
END_TEST

START_TEST(trimming)
{
    assert_span(span_trim(SPAN(" \ta b\t ")), "a b");
    assert_span(span_trim(SPAN("a")), "a");
    assert_span(span_trim(SPAN(" \t ")), "");
    assert_span(span_trim(SPAN("\r\n")), "\r\n"); /* blanks only */
    assert_span(span_trim(nothing), "");
}
END_TEST

START_TEST(numbers)
{
    static const struct {
        const char *text;
        bool is_number;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
        {"0x10", false, 0},
        {"/", false, 0}, /* the neighbours of the digits */
        {":", false, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        uint64_t value = 4711;
        ck_assert_msg(span_number(span_of(rows[i].text), &value) == rows[i].is_number, "\"%s\"",
                      rows[i].text);
        ck_assert_uint_eq(value, rows[i].is_number ? rows[i].value : 4711);
    }
}
END_TEST

START_TEST(copies)
{
    char *copy = span_copy((struct span){"abcdef", 3});
    ck_assert_str_eq(copy, "abc");
    free(copy);
    copy = span_copy(nothing);
    ck_assert_str_eq(copy, "");
    free(copy);
}
END_TEST

START_TEST(lower_case)
{
    char text[] = "AZaz@[`{09\xc3\x84";
    text_lower(text);
    ck_assert_str_eq(text, "azaz@[`{09\xc3\x84");
}
END_TEST

/* One byte above 127 in any place of any length. */
START_TEST(ascii)
{
    char text[40];
    ck_assert(span_is_ascii(nothing));
    for (size_t length = 1; length <= sizeof(text); length++) {
        memset(text, 0x7f, length);
        ck_assert(span_is_ascii((struct span){text, length}));
        for (size_t at = 0; at < length; at++) {
            text[at] = (char)0x80;
            ck_assert(!span_is_ascii((struct span){text, length}));
            ck_assert(span_is_ascii((struct span){text, at}));
            text[at] = 0x7f;
        }
    }
}
END_TEST

TEST_MAIN("base/span", equality, hash_is_fnv1a, beginnings, skipping, words, lines, trimming,
          numbers, copies, lower_case, ascii)
