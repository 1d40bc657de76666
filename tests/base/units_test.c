#include "base/units.h"

#include "base/nearest.h"
#include "base/utf8.h"

#include "tests/suite.h"

#include <string.h>

#define DAY_MS 86400000ll

START_TEST(durations)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {
        {"0", 0},
        {"0s", 0},
        {"250ms", 250},
        {"30s", 30000},
        {"5m", 300000},
        {"4h", 4 * 3600000},
        {"5d", 5 * DAY_MS},
        {"5D", 5 * DAY_MS},
        {"007s", 7000},
        {"9223372036854775807ms", INT64_MAX},
        {"9223372036854775808ms", -1},
        {"106751991167d", 106751991167 * DAY_MS}, /* the last that fits */
        {"106751991168d", -1},
        {"99999999999999999999s", -1},
        {"", -1},
        {"s", -1},
        {"5", -1}, /* five what? */
        {"00", -1},
        {"-5s", -1},
        {"+5s", -1},
        {"1.5h", -1},
        {"5 m", -1},
        {" 5m", -1},
        {"5m ", -1},
        {"1h30m", -1},
        {"5w", -1},
        {"5mss", -1},
        {"5K", -1},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t ms = -1;
        ck_assert_msg(units_duration(span_of(rows[i].text), &ms) == (rows[i].ms >= 0), "\"%s\"",
                      rows[i].text);
        ck_assert_int_eq(ms, rows[i].ms);
    }
    int64_t ms;
    ck_assert(!units_duration((struct span){0}, &ms));
}
END_TEST

START_TEST(rates)
{
    static const struct {
        const char *text;
        unsigned count;
        int64_t per_ms; /* 0: refused */
        const char *again;
    } rows[] = {
        {"0", 0, 1000, "0"},
        {"0/s", 0, 1000, "0"},
        {"5/s", 5, 1000, "5/s"},
        {"60/m", 60, 60000, "60/m"},
        {"100/h", 100, 3600000, "100/h"},
        {"1000/D", 1000, DAY_MS, "1000/d"},
        {"4294967295/s", UINT32_MAX, 1000, "4294967295/s"},
        {"4294967296/s", 0, 0, NULL},
        {"5/ms", 0, 0, NULL},
        {"5", 0, 0, NULL},
        {"5h", 0, 0, NULL},
        {"5/", 0, 0, NULL},
        {"/h", 0, 0, NULL},
        {"5 / h", 0, 0, NULL},
        {"-5/h", 0, 0, NULL},
        {"5/hour", 0, 0, NULL},
        {"", 0, 0, NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct rate rate = {0};
        char again[UNITS_TEXT_MAX];
        ck_assert_msg(units_rate(span_of(rows[i].text), &rate) == (rows[i].per_ms > 0), "\"%s\"",
                      rows[i].text);
        if (rows[i].per_ms == 0)
            continue;
        ck_assert_uint_eq(rate.count, rows[i].count);
        ck_assert_int_eq(rate.per_ms, rows[i].per_ms);
        ck_assert_str_eq(units_rate_format(rate, again), rows[i].again);
    }
}
END_TEST

START_TEST(sizes)
{
    static const struct {
        const char *text;
        bool fine;
        uint64_t bytes;
    } rows[] = {
        {"0", true, 0},
        {"900", true, 900},
        {"64K", true, 65536},
        {"50m", true, 50u << 20},
        {"2G", true, 2ull << 30},
        {"3T", true, 3ull << 40},
        {"18446744073709551615", true, UINT64_MAX},
        {"17179869183G", true, 17179869183ull << 30},
        {"17179869184G", false, 0},
        {"", false, 0},
        {"K", false, 0},
        {"-1", false, 0},
        {"1KB", false, 0},
        {"1 K", false, 0},
        {"1s", false, 0},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        uint64_t bytes = 0;
        ck_assert_msg(units_size(span_of(rows[i].text), &bytes) == rows[i].fine, "\"%s\"",
                      rows[i].text);
        ck_assert_uint_eq(bytes, rows[i].bytes);
    }
}
END_TEST

START_TEST(written_out)
{
    static const char *const durations_written[] = {"0",  "1ms", "1500ms", "30s", "90s",
                                                    "5m", "4h",  "36h",    "5d"};
    static const char *const sizes_written[] = {"0", "1", "1023", "1K", "50M", "1025K", "2G", "3T"};
    char text[UNITS_TEXT_MAX];
    for (size_t i = 0; i < countof(durations_written); i++) {
        int64_t ms;
        ck_assert(units_duration(span_of(durations_written[i]), &ms));
        ck_assert_str_eq(units_duration_format(ms, text), durations_written[i]);
    }
    for (size_t i = 0; i < countof(sizes_written); i++) {
        uint64_t bytes;
        ck_assert(units_size(span_of(sizes_written[i]), &bytes));
        ck_assert_str_eq(units_size_format(bytes, text), sizes_written[i]);
    }
    ck_assert_str_eq(units_duration_format(INT64_MAX, text), "9223372036854775807ms");
    ck_assert_str_eq(units_size_format(UINT64_MAX, text), "18446744073709551615");
}
END_TEST

START_TEST(nearest_names)
{
    static const char *const names[] = {"run",  "check-config", "queue",          "stats",
                                        "sink", "load",         "max-connections"};
    static const struct {
        const char *word, *name; /* NULL: near to none */
    } rows[] = {
        {"rum", "run"},
        {"rnu", "run"}, /* two letters swapped are one slip */
        {"RUN", "run"},
        {"runn", "run"},
        {"queu", "queue"},
        {"qeueu", "queue"},
        {"stat", "stats"},
        {"status", "stats"},
        {"check", "check-config"},
        {"checkconfig", "check-config"},
        {"max-connection", "max-connections"},
        {"max_conections", "max-connections"},
        {"", NULL},
        {"x", NULL},
        {"ch", NULL}, /* too short to be a beginning */
        {"send", NULL},
        {"configuration", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const char *got = nearest_name(span_of(rows[i].word), names, countof(names));
        if (rows[i].name == NULL)
            ck_assert_msg(got == NULL, "\"%s\": %s", rows[i].word, got);
        else
            ck_assert_str_eq(got, rows[i].name);
    }
    ck_assert_ptr_null(nearest_name(SPAN("run"), names, 0));
}
END_TEST

START_TEST(long_words_are_near_to_nothing)
{
    char word[NEAREST_WORD_MAX + 2];
    memset(word, 'a', sizeof(word) - 1);
    word[sizeof(word) - 1] = '\0';
    const char *const names[] = {word};
    struct span longest = {word, NEAREST_WORD_MAX};
    ck_assert_ptr_null(nearest_name(span_of(word), names, 1));
    ck_assert_ptr_null(nearest_name(longest, names, 1)); /* the name is too long */
    word[NEAREST_WORD_MAX] = '\0';
    ck_assert_ptr_eq(nearest_name(longest, names, 1), word);
}
END_TEST

START_TEST(utf8_characters)
{
    static const struct {
        const char *text;
        bool valid;
        uint32_t code;
        size_t length;
    } rows[] = {
        {"a", true, 'a', 1},
        {"\x7f", true, 0x7f, 1},
        {"\xc2\x80", true, 0x80, 2},
        {"\xdf\xbf", true, 0x7ff, 2},
        {"\xe0\xa0\x80", true, 0x800, 3},
        {"\xed\x9f\xbf", true, 0xd7ff, 3},
        {"\xee\x80\x80", true, 0xe000, 3},
        {"\xef\xbf\xbf", true, 0xffff, 3},
        {"\xf0\x90\x80\x80", true, 0x10000, 4},
        {"\xf4\x8f\xbf\xbf", true, 0x10ffff, 4},
        {"\x80", false, 0x80, 1},
        {"\xbf", false, 0xbf, 1},
        {"\xc0\x80", false, 0xc0, 1}, /* overlong */
        {"\xc1\xbf", false, 0xc1, 1},
        {"\xe0\x9f\xbf", false, 0xe0, 1},
        {"\xf0\x8f\xbf\xbf", false, 0xf0, 1},
        {"\xed\xa0\x80", false, 0xed, 1},     /* a surrogate */
        {"\xf4\x90\x80\x80", false, 0xf4, 1}, /* beyond the last */
        {"\xf5\x80\x80\x80", false, 0xf5, 1},
        {"\xff", false, 0xff, 1},
        {"\xc3", false, 0xc3, 1}, /* cut short */
        {"\xe2\x82", false, 0xe2, 1},
        {"\xc3x", false, 0xc3, 1},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct span whole = span_of(rows[i].text), rest = whole;
        uint32_t code;
        ck_assert_msg(utf8_next(&rest, &code) == rows[i].valid, "row %zu", i);
        ck_assert_uint_eq(code, rows[i].code);
        ck_assert_uint_eq(whole.length - rest.length, rows[i].length);
        ck_assert(utf8_valid(whole) == rows[i].valid);
    }
    ck_assert(utf8_valid((struct span){0}));
    ck_assert(!utf8_valid(SPAN("fine\xff")));
}
END_TEST

TEST_MAIN("base/units", durations, rates, sizes, written_out, nearest_names,
          long_words_are_near_to_nothing, utf8_characters)
