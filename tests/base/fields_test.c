#include "base/fields.h"

#include "tests/suite.h"

static const struct {
    uint64_t number;
    unsigned width;
    struct span bytes;
} rows[] = {
    {0, 1, {"\0", 1}},
    {255, 1, {"\xff", 1}},
    {0x1234, 2, {"\x34\x12", 2}},
    {0x12345678, 4, {"\x78\x56\x34\x12", 4}},
    {UINT64_C(0x8000000000000001), 8, {"\x01\0\0\0\0\0\0\x80", 8}},
};

START_TEST(numbers_there_and_back)
{
    for (size_t i = 0; i < countof(rows); i++) {
        struct buffer text CLEANUP(buffer_free) = {0};
        field_put(&text, rows[i].number, rows[i].width);
        ck_assert_msg(span_equal(buffer_span(&text), rows[i].bytes), "row %zu", i);
        struct fields fields = {.rest = rows[i].bytes};
        ck_assert_uint_eq(field_number(&fields, rows[i].width), rows[i].number);
        ck_assert(!fields.bad && fields.rest.length == 0);
    }
}
END_TEST

START_TEST(too_little_is_bad_and_stays_so)
{
    struct fields fields = {.rest = SPAN("abc")};
    ck_assert(span_equal(field_bytes(&fields, 1), SPAN("a")));
    ck_assert_uint_eq(field_number(&fields, 4), 0);
    ck_assert(fields.bad);
    ck_assert_uint_eq(field_bytes(&fields, 1).length, 0);
    ck_assert_uint_eq(field_number(&fields, 1), 0);
}
END_TEST

TEST_MAIN("base/fields", numbers_there_and_back, too_little_is_bad_and_stays_so)
