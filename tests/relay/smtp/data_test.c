#include "relay/smtp/data.h"

#include "base/random.h"
#include "tests/suite.h"

#include <string.h>

/* ---- the model: a byte at a time, written to be plainly right ---- */

struct model {
    struct buffer body;
    size_t used;
    bool ended, bare;
};

enum before { BEFORE_LINE, BEFORE_BARE_LINE };

/* Where the line that begins at `at` has its end; `*width` is the newline's: 2 CRLF, 1 bare,
 * 0 none, or a CR of which nobody knows yet. */
static size_t line_end(struct span wire, size_t at, size_t *width)
{
    *width = 0;
    for (; at < wire.length; at++) {
        char c = wire.data[at];
        bool last = at + 1 == wire.length;
        if (c == '\r' && last)
            return at;
        if (c == '\r' && wire.data[at + 1] == '\n') {
            *width = 2;
            return at;
        }
        if (c == '\r' || c == '\n') {
            *width = 1;
            return at;
        }
    }
    return at;
}

static void model_free(struct model *model)
{
    buffer_free(&model->body);
}

static struct model model_read(struct span wire)
{
    struct model model = {.used = wire.length};
    enum before before = BEFORE_LINE;
    size_t width, at = 0;
    while (at < wire.length) {
        size_t end = line_end(wire, at, &width);
        struct span line = {wire.data + at, end - at};
        if (before == BEFORE_LINE && span_equal(line, SPAN(".")) && width == 2) {
            model.ended = true;
            model.used = end + width;
            return model;
        }
        if (before == BEFORE_LINE && line.length > 0 && line.data[0] == '.')
            line = span_skip(line, 1);
        buffer_append(&model.body, line);
        if (width == 0)
            return model;
        buffer_append(&model.body, SPAN("\r\n"));
        model.bare = model.bare || width == 1;
        before = width == 2 ? BEFORE_LINE : BEFORE_BARE_LINE;
        at = end + width;
    }
    return model;
}

/* ---- the reader in pieces, each in memory of its own so that a sanitizer sees its edges ---- */

static struct model read_pieces(struct span wire, const size_t *cuts, size_t count)
{
    struct model result = {0};
    struct data_reader reader;
    data_reader_init(&reader);
    size_t at = 0;
    for (size_t i = 0; i <= count && !result.ended; i++) {
        size_t until = i < count ? cuts[i] : wire.length, used;
        char *piece = span_copy((struct span){wire.data + at, until - at});
        char *exact = must_realloc(piece, until - at);
        result.ended = data_read(&reader, (struct span){exact, until - at}, &result.body, &used);
        free(exact);
        ck_assert(result.ended || used == until - at);
        result.used += used;
        at = until;
    }
    result.bare = reader.bare;
    return result;
}

static void assert_as_model(struct span wire, const size_t *cuts, size_t count)
{
    CLEANUP(model_free) struct model wanted = model_read(wire);
    CLEANUP(model_free) struct model got = read_pieces(wire, cuts, count);
    ck_assert_msg(span_equal(buffer_span(&got.body), buffer_span(&wanted.body)),
                  "body of \"%.*s\" cut at %zu: \"%.*s\" instead of \"%.*s\"", SPAN_FORMAT(wire),
                  count ? cuts[0] : 0, SPAN_FORMAT(buffer_span(&got.body)),
                  SPAN_FORMAT(buffer_span(&wanted.body)));
    ck_assert_int_eq(got.ended, wanted.ended);
    ck_assert_int_eq(got.bare, wanted.bare);
    ck_assert_uint_eq(got.used, wanted.used);
}

static void assert_all_cuts(struct span wire)
{
    size_t cuts[2];
    assert_as_model(wire, NULL, 0);
    for (cuts[0] = 0; cuts[0] <= wire.length; cuts[0]++)
        for (cuts[1] = cuts[0]; cuts[1] <= wire.length; cuts[1]++)
            assert_as_model(wire, cuts, 2);
}

/* ---- reading ---- */

START_TEST(known_answers)
{
    static const struct {
        const char *wire, *body;
        size_t left; /* bytes behind the final dot */
        bool ended, bare;
    } rows[] = {
        {".\r\n", "", 0, true, false},
        {"\r\n.\r\n", "\r\n", 0, true, false},
        {"a\r\n.\r\nQUIT\r\n", "a\r\n", 6, true, false},
        {"..\r\n.\r\n", ".\r\n", 0, true, false},
        {"...\r\n.a\r\n.\r\n", "..\r\na\r\n", 0, true, false},
        {"a.\r\n.\r\n", "a.\r\n", 0, true, false},
        /* Smuggling (CVE-2023-51764): none of these is an end, and what follows is content. */
        {"a\n.\nMAIL", "a\r\n.\r\nMAIL", 0, false, true},
        {"a\n.\r\nMAIL", "a\r\n.\r\nMAIL", 0, false, true},
        {"a\r.\rMAIL", "a\r\n.\r\nMAIL", 0, false, true},
        {"a\r.\r\nMAIL", "a\r\n.\r\nMAIL", 0, false, true},
        {"a\r\n.\nMAIL", "a\r\n\r\nMAIL", 0, false, true},
        {"a\r\n.\rMAIL", "a\r\n\r\nMAIL", 0, false, true},
        {"a\r\r\n.\r\n", "a\r\n\r\n", 0, true, true},
        {"a\n.\r\n.\r\n", "a\r\n.\r\n", 0, true, true},
        {"\n.\r\r\n.\r\n", "\r\n.\r\n\r\n", 0, true, true},
        {"a", "a", 0, false, false},
        {"a\r", "a", 0, false, false},
        {"a\r\n.", "a\r\n", 0, false, false},
        {"", "", 0, false, false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct span wire = span_of(rows[i].wire);
        CLEANUP(model_free) struct model got = read_pieces(wire, NULL, 0);
        ck_assert_msg(span_equal(buffer_span(&got.body), span_of(rows[i].body)), "row %zu", i);
        ck_assert_msg(got.ended == rows[i].ended && got.bare == rows[i].bare, "row %zu", i);
        ck_assert_msg(got.used == wire.length - rows[i].left, "row %zu: used %zu", i, got.used);
        assert_all_cuts(wire);
    }
}
END_TEST

START_TEST(nul_is_a_byte_like_any_other)
{
    struct span wire = SPAN("a\0b\r\n.\0\r\n\0.\r\n.\r\n");
    CLEANUP(model_free) struct model got = read_pieces(wire, NULL, 0);
    ck_assert(got.ended);
    ck_assert(span_equal(buffer_span(&got.body), SPAN("a\0b\r\n\0\r\n\0.\r\n")));
    assert_all_cuts(wire);
}
END_TEST

/* Every string of up to six of these bytes, in every cut into three. */
START_TEST(every_short_stream)
{
    static const char alphabet[] = {'\r', '\n', '.', 'x'};
    char text[6];
    for (size_t length = 1; length <= sizeof(text); length++) {
        for (uint32_t number = 0; number < 1u << (2 * length); number++) {
            for (size_t i = 0; i < length; i++)
                text[i] = alphabet[number >> (2 * i) & 3];
            assert_all_cuts((struct span){text, length});
        }
    }
}
END_TEST

/* A stream of bytes that matter, with some that do not in between. */
static void make_stream(struct random_state *random, struct buffer *stream, size_t length)
{
    static const char *const words[] = {"\r\n",
                                        "\r\n",
                                        "\r\n.",
                                        ".",
                                        "\r",
                                        "\n",
                                        "\r\n.\r",
                                        "x",
                                        "\n.\n",
                                        "\r.\r",
                                        "a line that is longer than a word of a machine"};
    buffer_clear(stream);
    while (buffer_length(stream) < length)
        buffer_append(stream, span_of(words[random_below(random, countof(words))]));
}

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static size_t make_cuts(struct random_state *random, size_t length, size_t cuts[16])
{
    size_t count = random_below(random, 17);
    for (size_t i = 0; i < count; i++)
        cuts[i] = random_below(random, length + 1);
    qsort(cuts, count, sizeof(*cuts), by_size);
    return count;
}

START_TEST(random_streams)
{
    struct random_state random = {1};
    CLEANUP(buffer_free) struct buffer stream = {0};
    size_t cuts[16];
    for (unsigned round = 0; round < 20000; round++) {
        make_stream(&random, &stream, random_below(&random, 400));
        size_t count = make_cuts(&random, buffer_length(&stream), cuts);
        assert_as_model(buffer_span(&stream), cuts, count);
    }
}
END_TEST

/* Bare newlines by the million: the time must not grow with the square. */
START_TEST(hostile_newlines_cost_no_more_than_their_length)
{
    enum { LENGTH = 2 << 20 };
    static const char bytes[] = {'\r', '\n'};
    for (size_t i = 0; i < countof(bytes); i++) {
        char *wire = must_calloc(LENGTH, 1);
        memset(wire, bytes[i], LENGTH);
        CLEANUP(model_free) struct model got = read_pieces((struct span){wire, LENGTH}, NULL, 0);
        ck_assert(got.bare && !got.ended);
        /* The last CR may yet be half a CRLF. */
        size_t lines = bytes[i] == '\r' ? LENGTH - 1 : LENGTH;
        ck_assert_uint_eq(buffer_length(&got.body), 2 * lines);
        free(wire);
    }
}
END_TEST

/* ---- reading chunks ---- */

/* What DATA would have made of it, had its dots been stuffed and its last line been ended. */
static void chunks_as_model(struct span text)
{
    struct data_reader reader;
    CLEANUP(buffer_free) struct buffer wanted = {0}, got = {0};
    size_t width, used, at = 0;
    bool bare = false;
    while (at < text.length) {
        size_t end = line_end(text, at, &width);
        bool last_cr = width == 0 && end < text.length; /* no chunk behind it */
        buffer_append(&wanted, (struct span){text.data + at, end - at});
        buffer_append(&wanted, SPAN("\r\n"));
        bare = bare || width == 1 || last_cr;
        at = end + width + last_cr;
    }
    for (size_t cut = 0; cut <= text.length; cut++) {
        data_reader_init_chunked(&reader);
        buffer_clear(&got);
        ck_assert(!data_read(&reader, (struct span){text.data, cut}, &got, &used));
        ck_assert_uint_eq(used, cut);
        ck_assert(!data_read(&reader, span_skip(text, cut), &got, &used));
        ck_assert_uint_eq(used, text.length - cut);
        data_read_end(&reader, &got);
        ck_assert_msg(span_equal(buffer_span(&got), buffer_span(&wanted)), "\"%.*s\": \"%.*s\"",
                      SPAN_FORMAT(text), SPAN_FORMAT(buffer_span(&got)));
        ck_assert_msg(reader.bare == bare, "\"%.*s\"", SPAN_FORMAT(text));
    }
}

START_TEST(every_short_text_in_chunks)
{
    static const char alphabet[] = {'\r', '\n', '.', 'x'};
    char text[6];
    chunks_as_model((struct span){0});
    for (size_t length = 1; length <= sizeof(text); length++) {
        for (uint32_t number = 0; number < 1u << (2 * length); number++) {
            for (size_t i = 0; i < length; i++)
                text[i] = alphabet[number >> (2 * i) & 3];
            chunks_as_model((struct span){text, length});
        }
    }
}
END_TEST

/* ---- writing ---- */

static void write_pieces(struct span body, const size_t *cuts, size_t count, struct buffer *wire)
{
    struct data_writer writer;
    data_writer_init(&writer);
    size_t at = 0;
    for (size_t i = 0; i <= count; i++) {
        size_t until = i < count ? cuts[i] : body.length;
        data_write(&writer, (struct span){body.data + at, until - at}, wire);
        at = until;
    }
    data_write_end(&writer, wire);
}

START_TEST(stuffing)
{
    static const struct {
        const char *body, *wire;
    } rows[] = {
        {"", ".\r\n"},
        {"a\r\n", "a\r\n.\r\n"},
        {"a", "a\r\n.\r\n"},
        {".", "..\r\n.\r\n"},
        {".\r\n", "..\r\n.\r\n"},
        {"..\r\n", "...\r\n.\r\n"},
        {"a.\r\n.b\r\n\r\n.\r\n", "a.\r\n..b\r\n\r\n..\r\n.\r\n"},
        {"\r\n.\r\n.\r\n", "\r\n..\r\n..\r\n.\r\n"},
    };
    CLEANUP(buffer_free) struct buffer wire = {0};
    for (size_t i = 0; i < countof(rows); i++) {
        struct span body = span_of(rows[i].body);
        for (size_t cut = 0; cut <= body.length; cut++) {
            buffer_clear(&wire);
            write_pieces(body, &cut, 1, &wire);
            ck_assert_msg(span_equal(buffer_span(&wire), span_of(rows[i].wire)),
                          "row %zu cut at %zu: \"%.*s\"", i, cut, SPAN_FORMAT(buffer_span(&wire)));
        }
    }
}
END_TEST

/* A body as the spool holds it: lines of any bytes but CR and LF, ended by CRLF. */
static void make_body(struct random_state *random, struct buffer *body)
{
    buffer_clear(body);
    for (uint64_t lines = random_below(random, 12); lines > 0; lines--) {
        for (uint64_t dots = random_below(random, 4); dots > 0; dots--)
            buffer_append(body, SPAN("."));
        for (uint64_t bytes = random_below(random, 100); bytes > 0; bytes--) {
            char c = (char)random_below(random, 256);
            buffer_append(body, (struct span){c == '\r' || c == '\n' ? "." : &c, 1});
        }
        buffer_append(body, SPAN("\r\n"));
    }
}

START_TEST(round_trip)
{
    struct random_state random = {2};
    CLEANUP(buffer_free) struct buffer body = {0}, wire = {0};
    size_t cuts[16];
    for (unsigned round = 0; round < 20000; round++) {
        make_body(&random, &body);
        buffer_clear(&wire);
        size_t count = make_cuts(&random, buffer_length(&body), cuts);
        write_pieces(buffer_span(&body), cuts, count, &wire);
        size_t length = buffer_length(&wire);
        buffer_append(&wire, SPAN("RSET\r\n"));
        count = make_cuts(&random, length, cuts);
        CLEANUP(model_free) struct model back = read_pieces(buffer_span(&wire), cuts, count);
        ck_assert(back.ended && !back.bare);
        ck_assert_uint_eq(back.used, length);
        ck_assert(span_equal(buffer_span(&back.body), buffer_span(&body)));
    }
}
END_TEST

TEST_MAIN("relay/smtp/data", known_answers, nul_is_a_byte_like_any_other, every_short_stream,
          random_streams, every_short_text_in_chunks,
          hostile_newlines_cost_no_more_than_their_length, stuffing, round_trip)
