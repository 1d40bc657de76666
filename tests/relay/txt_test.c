#include "relay/txt.h"

#include "base/buffer.h"
#include "tests/suite.h"

#define MOST 600

/* RFC 8460 3, RFC 8461 3.1: the strings of a record are concatenated without adding spaces. */
START_TEST(strings_are_joined)
{
    static const struct {
        struct span data;
        const char *text; /* NULL: refused */
    } rows[] = {
        {SPAN("\5hello"), "hello"}, {SPAN("\3v=S\5TSv1;\7 id=abc"), "v=STSv1; id=abc"},
        {SPAN("\0"), ""},           {SPAN("\0\1a\0\1b"), "ab"},
        {SPAN(""), NULL},           {SPAN("\5hell"), NULL},
        {SPAN("\1a\1"), NULL},      {SPAN("\377"), NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena CLEANUP(arena_free) = {0};
        struct span text;
        bool joined = txt_join(rows[i].data, MOST, &arena, &text);
        ck_assert_msg(joined == (rows[i].text != NULL), "row %zu", i);
        if (joined)
            ck_assert_msg(span_equal(text, span_of(rows[i].text)), "row %zu", i);
    }
}
END_TEST

START_TEST(no_longer_than_allowed)
{
    static const size_t lengths[] = {MOST - 1, MOST, MOST + 1, 3 * MOST};
    for (size_t i = 0; i < countof(lengths); i++) {
        struct buffer data CLEANUP(buffer_free) = {0};
        struct arena arena CLEANUP(arena_free) = {0};
        struct span text;
        for (size_t left = lengths[i]; left > 0;) {
            size_t piece = left < UINT8_MAX ? left : UINT8_MAX;
            buffer_print(&data, "%c%0*d", (int)piece, (int)piece, 7);
            left -= piece;
        }
        ck_assert_int_eq(txt_join(buffer_span(&data), MOST, &arena, &text), lengths[i] <= MOST);
        ck_assert(lengths[i] > MOST || text.length == lengths[i]);
    }
}
END_TEST

TEST_MAIN("relay/txt", strings_are_joined, no_longer_than_allowed)
