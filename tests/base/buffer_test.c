#include "base/buffer.h"
#include "base/random.h"

#include "tests/suite.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyz"

static void assert_holds(const struct buffer *buffer, const char *wanted)
{
    ck_assert_msg(span_equal(buffer_span(buffer), span_of(wanted)), "\"%.*s\" is not \"%s\"",
                  SPAN_FORMAT(buffer_span(buffer)), wanted);
    ck_assert_uint_eq(buffer_length(buffer), strlen(wanted));
}

START_TEST(queue)
{
    struct buffer buffer = {0};
    assert_holds(&buffer, "");
    buffer_append(&buffer, (struct span){0});
    assert_holds(&buffer, "");
    buffer_append(&buffer, SPAN("one two "));
    buffer_append(&buffer, SPAN("three"));
    buffer_consume(&buffer, 4);
    assert_holds(&buffer, "two three");
    buffer_print(&buffer, " %d", 4);
    assert_holds(&buffer, "two three 4");
    buffer_consume(&buffer, 11);
    assert_holds(&buffer, "");
    ck_assert_uint_eq(buffer.end, 0); /* its room can be used again */
    buffer_free(&buffer);
    ck_assert_ptr_null(buffer.memory);
}
END_TEST

START_TEST(room_is_written_then_grown)
{
    struct buffer buffer = {0};
    memcpy(buffer_room(&buffer, 3), "abc", 3);
    assert_holds(&buffer, "");
    buffer_grew(&buffer, 2);
    assert_holds(&buffer, "ab");
    ck_assert_ptr_nonnull(buffer_room(&buffer, 0));
    buffer_free(&buffer);
}
END_TEST

START_TEST(prints_any_length)
{
    struct buffer buffer = {0};
    char text[3000];
    for (size_t length = 120; length < 135; length++) { /* around its first guess */
        memset(text, 'x', length);
        text[length] = '\0';
        buffer_print(&buffer, "%s", text);
        assert_holds(&buffer, text);
        buffer_clear(&buffer);
    }
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    buffer_print(&buffer, "%s", text);
    assert_holds(&buffer, text);
    buffer_free(&buffer);
}
END_TEST

static bool is_alphabet(struct span text, size_t from)
{
    for (size_t i = 0; i < text.length; i++)
        if (text.data[i] != LETTERS[(from + i) % 26])
            return false;
    return true;
}

/* A stream passes through: what goes in comes out, and the memory stays in proportion. */
START_TEST(stream)
{
    struct buffer buffer = {0};
    struct random_state random = {4};
    size_t in = 0, out = 0;
    for (int step = 0; step < 50000; step++) {
        size_t count = random_below(&random, 900);
        if (random_below(&random, 2) == 0 && buffer_length(&buffer) < 4096) {
            char *to = buffer_room(&buffer, count);
            for (size_t i = 0; i < count; i++)
                to[i] = LETTERS[in++ % 26];
            buffer_grew(&buffer, count);
        } else {
            count = count < buffer_length(&buffer) ? count : buffer_length(&buffer);
            ck_assert(is_alphabet((struct span){buffer_span(&buffer).data, count}, out));
            buffer_consume(&buffer, count);
            out += count;
        }
        ck_assert_uint_eq(buffer_length(&buffer), in - out);
    }
    ck_assert_uint_le(buffer.capacity, 16384);
    buffer_free(&buffer);
}
END_TEST

START_TEST(inserting)
{
    struct buffer buffer = {0};
    buffer_insert(&buffer, 0, SPAN("b"));
    buffer_insert(&buffer, 1, SPAN("d"));
    buffer_insert(&buffer, 0, SPAN("a"));
    buffer_insert(&buffer, 2, SPAN("c"));
    buffer_insert(&buffer, 2, SPAN(""));
    assert_holds(&buffer, "abcd");
    buffer_consume(&buffer, 2);
    buffer_insert(&buffer, 1, SPAN("-"));
    assert_holds(&buffer, "c-d");
    buffer_clear(&buffer);
    char text[4000];
    memset(text, 'x', sizeof(text));
    buffer_append(&buffer, SPAN("ab"));
    buffer_insert(&buffer, 1, (struct span){text, sizeof(text)}); /* it has to grow */
    struct span got = buffer_span(&buffer);
    ck_assert_uint_eq(got.length, sizeof(text) + 2);
    ck_assert(got.data[0] == 'a' && got.data[1] == 'x' && got.data[sizeof(text)] == 'x' &&
              got.data[sizeof(text) + 1] == 'b');
    buffer_free(&buffer);
}
END_TEST

START_TEST(trimming)
{
    struct buffer buffer = {0};
    buffer_append(&buffer, SPAN("x"));
    buffer_trim(&buffer);
    assert_holds(&buffer, "x");
    buffer_consume(&buffer, 1);
    buffer_trim(&buffer);
    ck_assert_ptr_null(buffer.memory);
}
END_TEST

START_TEST(detaching)
{
    struct buffer buffer = {0};
    char *text = buffer_detach(&buffer);
    ck_assert_str_eq(text, "");
    free(text);
    buffer_append(&buffer, SPAN("to be consumed: kept"));
    buffer_consume(&buffer, 16);
    text = buffer_detach(&buffer);
    ck_assert_str_eq(text, "kept");
    ck_assert_ptr_null(buffer.memory);
    ck_assert_uint_eq(buffer_length(&buffer), 0);
    free(text);
}
END_TEST

TEST_MAIN("base/buffer", queue, room_is_written_then_grown, prints_any_length, stream, inserting,
          trimming, detaching)
