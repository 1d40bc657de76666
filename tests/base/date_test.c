#include "base/date.h"

#include "tests/suite.h"

START_TEST(good_dates)
{
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-21T13:00:05Z", 1795266005000},
        {"2026-11-21t13:00:05z", 1795266005000},
        {"2026-11-21T13:00:05.1Z", 1795266005100},
        {"2026-11-21T13:00:05.1239999Z", 1795266005123},
        {"2026-11-21T14:00:05+01:00", 1795266005000},
        {"2026-11-21T04:30:05-08:30", 1795266005000},
        {"2026-11-22T12:59:05+23:59", 1795266005000},
        {"2026-11-21T13:00:05-00:00", 1795266005000},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"1990-12-31T23:59:60Z", 662687999000},
        {"9999-12-31T23:59:59Z", 253402300799000},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t ms = -1;
        ck_assert_msg(date_read(span_of(rows[i].text), &ms), "%s", rows[i].text);
        ck_assert_msg(ms == rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
    }
}
END_TEST

START_TEST(bad_dates)
{
    static const char *const rows[] = {
        "",
        "now",
        "2026-11-21",
        "2026-11-21T13:00:05",
        "2026-11-21 13:00:05Z",
        "2026-11-21T13:00Z",
        "2026-11-21T13:00:05Zx",
        "2026-11-21T13:00:05.Z",
        "2026-11-21T13:00:05,1Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T13:60:00Z",
        "2026-11-21T13:00:61Z",
        "2026-02-29T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "26-11-21T13:00:05Z",
        "2026-11-21T13:00:05+1:00",
        "2026-11-21T13:00:05+0100",
        "2026-11-21T13:00:05+24:00",
        "2026-11-21T13:00:05+01:60",
        "2026-11-21T13:00:05+01:00Z",
        "2026-11-21T+3:00:05Z",
        "+026-11-21T13:00:05Z",
        "2026-11-21T13:00:05UTC",
    };
    int64_t ms;
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_msg(!date_read(span_of(rows[i]), &ms), "%s", rows[i]);
}
END_TEST

START_TEST(formatted)
{
    char text[DATE_TEXT_MAX];
    ck_assert_str_eq(date_format(1795266005999, text), "2026-11-21T13:00:05Z");
    ck_assert_str_eq(date_format(0, text), "1970-01-01T00:00:00Z");
}
END_TEST

TEST_MAIN("base/date", good_dates, bad_dates, formatted)
