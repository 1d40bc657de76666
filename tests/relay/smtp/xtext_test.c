#include "relay/smtp/xtext.h"

#include "tests/suite.h"

static const struct row {
    struct span xtext, text;
} rows[] = {
    {SPAN("abc"), SPAN("abc")},
    {SPAN(""), SPAN("")},
    {SPAN("e+3Dmc2@example.com"), SPAN("e=mc2@example.com")},
    {SPAN("a+2Bb"), SPAN("a+b")},
    {SPAN("+20"), SPAN(" ")},
    {SPAN("+00+0A+FF"), SPAN("\0\n\xff")},
    {SPAN("!~"), SPAN("!~")},
};

START_TEST(there_and_back)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer text = {0}, xtext = {0};
        ck_assert_msg(xtext_read(rows[i].xtext, &text), "row %zu", i);
        ck_assert_msg(span_equal(buffer_span(&text), rows[i].text), "row %zu", i);
        xtext_write(rows[i].text, &xtext);
        ck_assert_msg(span_equal(buffer_span(&xtext), rows[i].xtext), "row %zu", i);
        buffer_free(&text);
        buffer_free(&xtext);
    }
}
END_TEST

START_TEST(small_letters_are_read_too)
{
    struct buffer text = {0};
    ck_assert(xtext_read(SPAN("+3d+2b"), &text));
    ck_assert(span_equal(buffer_span(&text), SPAN("=+")));
    buffer_free(&text);
}
END_TEST

START_TEST(what_is_none_appends_nothing)
{
    static const struct span none[] = {
        SPAN("a=b"),    SPAN("a b"), SPAN("+"),    SPAN("+4"),   SPAN("+4G"),
        SPAN("+G4"),    SPAN("a+"),  SPAN("\x7f"), SPAN("\x80"), SPAN("\t"),
        SPAN("ok\x01"), SPAN("\0"),  SPAN("++20"),
    };
    for (size_t i = 0; i < countof(none); i++) {
        struct buffer text = {0};
        buffer_append(&text, SPAN("before"));
        ck_assert_msg(!xtext_read(none[i], &text), "row %zu", i);
        ck_assert(span_equal(buffer_span(&text), SPAN("before")));
        buffer_free(&text);
    }
}
END_TEST

TEST_MAIN("relay/smtp/xtext", there_and_back, small_letters_are_read_too,
          what_is_none_appends_nothing)
