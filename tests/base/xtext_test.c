#include "base/xtext.h"

#include "tests/suite.h"

static void expect(const struct buffer *got, struct span wanted, const char *what)
{
    ck_assert_msg(span_equal(buffer_span(got), wanted), "%s: %.*s", what,
                  SPAN_FORMAT(buffer_span(got)));
}

START_TEST(octets_to_xtext_and_back)
{
    static const struct {
        struct span octets;
        const char *text;
    } rows[] = {
        {SPAN(""), ""},
        {SPAN("abc-!~"), "abc-!~"},
        {SPAN("a+b=c"), "a+2Bb+3Dc"},
        {SPAN(" \t\r\n"), "+20+09+0D+0A"},
        {SPAN("\0\x7f\x80\xff"), "+00+7F+80+FF"},
        {SPAN("rfc822;a@b.test"), "rfc822;a@b.test"},
        {SPAN("\xc3\xa4@b"), "+C3+A4@b"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer text = {0}, octets = {0};
        xtext_encode(rows[i].octets, &text);
        expect(&text, span_of(rows[i].text), "encoded");
        ck_assert(xtext_valid(buffer_span(&text)));
        ck_assert(xtext_decode(buffer_span(&text), &octets));
        expect(&octets, rows[i].octets, "decoded");
        buffer_free(&text);
        buffer_free(&octets);
    }
}
END_TEST

START_TEST(every_octet)
{
    struct buffer text = {0}, octets = {0};
    char all[256];
    for (unsigned i = 0; i < sizeof(all); i++)
        all[i] = (char)i;
    xtext_encode((struct span){all, sizeof(all)}, &text);
    ck_assert(xtext_decode(buffer_span(&text), &octets));
    expect(&octets, (struct span){all, sizeof(all)}, "all octets");
    buffer_free(&text);
    buffer_free(&octets);
}
END_TEST

START_TEST(what_is_not_xtext)
{
    static const struct span bad[] = {
        SPAN("a b"),  SPAN("a\tb"), SPAN("a=b"),  SPAN("+"),    SPAN("a+"),    SPAN("+4"),
        SPAN("+4g"),  SPAN("+g4"),  SPAN("+2b"),  SPAN("+ 1"),  SPAN("++41"),  SPAN("\x7f"),
        SPAN("\x80"), SPAN("a\0b"), SPAN("+\0a"), SPAN("+4\0"), SPAN("a\r\n"),
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct buffer octets = {0};
        ck_assert_msg(!xtext_valid(bad[i]), "row %zu", i);
        ck_assert_msg(!xtext_decode(bad[i], &octets), "row %zu", i);
        ck_assert_uint_eq(buffer_length(&octets), 0);
        buffer_free(&octets);
    }
}
END_TEST

START_TEST(utf8_to_its_ascii_form_and_back)
{
    static const struct {
        const char *utf8, *text;
    } rows[] = {
        {"a@b.test", "a@b.test"},
        {"\xc3\xa4@b", "\\x{E4}@b"},
        {"\xe4\xb8\x80+=\\ x", "\\x{4E00}\\x{2B}\\x{3D}\\x{5C}\\x{20}x"},
        {"\xf0\x9f\x98\x80", "\\x{1F600}"},
        {"\xf4\x8f\xbf\xbf", "\\x{10FFFF}"},
        {"\xef\xbf\xbd\xdf\xbf\xe0\xa0\x80", "\\x{FFFD}\\x{7FF}\\x{800}"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer text = {0}, utf8 = {0};
        ck_assert(utf8_xtext_encode(span_of(rows[i].utf8), &text));
        expect(&text, span_of(rows[i].text), "encoded");
        ck_assert(utf8_xtext_valid(buffer_span(&text), false));
        ck_assert(xtext_valid(buffer_span(&text)));
        ck_assert(utf8_xtext_decode(buffer_span(&text), &utf8));
        expect(&utf8, span_of(rows[i].utf8), "decoded");
        buffer_free(&text);
        buffer_free(&utf8);
    }
}
END_TEST

START_TEST(utf8_as_it_is)
{
    struct buffer utf8 = {0};
    struct span text = SPAN("\xc3\xa4\\x{4E00}@b");
    ck_assert(utf8_xtext_valid(text, true));
    ck_assert(!utf8_xtext_valid(text, false));
    ck_assert(utf8_xtext_decode(text, &utf8));
    expect(&utf8, SPAN("\xc3\xa4\xe4\xb8\x80@b"), "decoded");
    buffer_free(&utf8);
}
END_TEST

START_TEST(what_is_not_its_form)
{
    static const struct span bad[] = {
        SPAN(""),           SPAN("a b"),          SPAN("a+b"),       SPAN("a=b"),
        SPAN("\\"),         SPAN("\\x"),          SPAN("\\x{"),      SPAN("\\x{}"),
        SPAN("\\x{4}"),     SPAN("\\x{4E00"),     SPAN("\\X{4E00}"), SPAN("\\x{4e00}"),
        SPAN("\\x{04E00}"), SPAN("\\x{110000}"),  SPAN("\\x{D800}"), SPAN("\\x{DFFF}"),
        SPAN("\\x{41}"),    SPAN("\\x{1234567}"), SPAN("\\x{00}"),   SPAN("\\x{4E G}"),
        SPAN("\\\\"),       SPAN("a\0b"),         SPAN("\x7f"),      SPAN("\xc3"),
        SPAN("\xc0\xaf"),   SPAN("\xed\xa0\x80"), SPAN("\\x{0D}"),   SPAN("\\x{7F}"),
        SPAN("\\x{85}"),    SPAN("\xc2\x85"),     SPAN("a\n"),
    };
    for (size_t i = 0; i < countof(bad); i++) {
        struct buffer utf8 = {0};
        ck_assert_msg(!utf8_xtext_valid(bad[i], true), "row %zu", i);
        ck_assert_msg(!utf8_xtext_decode(bad[i], &utf8), "row %zu", i);
        ck_assert_uint_eq(buffer_length(&utf8), 0);
        buffer_free(&utf8);
    }
    struct buffer text = {0};
    ck_assert(!utf8_xtext_encode(SPAN("a\xff"), &text));
    ck_assert(!utf8_xtext_encode(SPAN("a\0"), &text));
    ck_assert(!utf8_xtext_encode(SPAN("a\r\nb"), &text));
    ck_assert(!utf8_xtext_encode(SPAN("\xc2\x85"), &text));
    ck_assert(!utf8_xtext_encode(SPAN(""), &text));
    ck_assert_uint_eq(buffer_length(&text), 0);
    buffer_free(&text);
}
END_TEST

TEST_MAIN("base/xtext", octets_to_xtext_and_back, every_octet, what_is_not_xtext,
          utf8_to_its_ascii_form_and_back, utf8_as_it_is, what_is_not_its_form)
