/* How long an MTA-STS policy is kept and when it is fetched (RFC 8461 3.3, 5.1, 10.2). */
#include "tlspolicy/sts_cache.h"

#include "tests/suite.h"

#include <string.h>

#define NOW INT64_C(1700000000000)
#define DAY INT64_C(86400000)

static const char *const patterns[] = {"mx.example.test", "*.example.test"};

static struct sts_policy policy_of(uint32_t max_age_s)
{
    return (struct sts_policy){.mode = STS_ENFORCE,
                               .max_age_s = max_age_s,
                               .count = countof(patterns),
                               .patterns = patterns,
                               .id = "one",
                               .fetched_ms = NOW,
                               .expires_ms = NOW + (int64_t)max_age_s * 1000};
}

START_TEST(it_is_in_force_until_it_expires)
{
    struct sts_policy week = policy_of(604800), at_once = policy_of(0);
    ck_assert(!sts_in_force(NULL, NOW));
    ck_assert(sts_in_force(&week, NOW));
    ck_assert(sts_in_force(&week, NOW + 7 * DAY - 1));
    ck_assert(!sts_in_force(&week, NOW + 7 * DAY));
    ck_assert(!sts_in_force(&at_once, NOW));
}
END_TEST

/* RFC 8461 3.3: refreshed before it expires, about once a day; jitter spreads what came together.
 */
START_TEST(it_is_refreshed_ahead_with_jitter)
{
    static const struct {
        uint32_t max_age_s;
        int64_t at_most_ms;
    } cases[] = {{0, 0}, {1, 500}, {3600, 1800000}, {172800, DAY}, {31557600, DAY}};
    struct random_state random = {1};
    for (size_t i = 0; i < countof(cases); i++) {
        struct sts_policy policy = policy_of(cases[i].max_age_s);
        int64_t first = INT64_MAX, last = 0;
        for (int n = 0; n < 1000; n++) {
            int64_t after = sts_refresh_ms(&policy, &random) - NOW;
            first = after < first ? after : first;
            last = after > last ? after : last;
        }
        ck_assert_int_le(last, cases[i].at_most_ms);
        ck_assert_int_ge(first, cases[i].at_most_ms * 3 / 4);
        ck_assert(cases[i].at_most_ms < 1000 || first < last);
    }
}
END_TEST

START_TEST(a_refresh_that_led_nowhere_is_tried_again)
{
    struct sts_policy week = policy_of(604800), hour = policy_of(3600);
    ck_assert_int_eq(sts_refresh_again_ms(&week, NOW), NOW + 3600000);
    ck_assert_int_eq(sts_refresh_again_ms(&hour, NOW), NOW + 1800000);
    ck_assert_int_eq(sts_refresh_again_ms(&hour, NOW + 3590000), NOW + 3590000 + 300000);
}
END_TEST

START_TEST(when_it_is_fetched)
{
    struct sts_policy policy = policy_of(604800);
    struct sts_memory nothing = {0};
    struct sts_memory memory = {.policy = &policy, .refresh_ms = NOW + DAY};
    ck_assert(sts_wants_fetch(&nothing, "one", NOW));
    ck_assert(!sts_wants_fetch(&memory, "one", NOW));
    ck_assert(!sts_wants_fetch(&memory, "one", NOW + DAY - 1));
    ck_assert(sts_wants_fetch(&memory, "one", NOW + DAY)); /* ahead */
    ck_assert(sts_wants_fetch(&memory, "one", NOW + 8 * DAY));
    ck_assert(sts_wants_fetch(&memory, "two", NOW)); /* a new id */
    ck_assert(sts_wants_fetch(&memory, "One", NOW));
    ck_assert(sts_wants_fetch(&memory, "one", NOW - 1)); /* the clock was set back */
}
END_TEST

/* RFC 8461 3.3: five minutes or longer for the same id; the old policy stays meanwhile (5.1). */
START_TEST(a_failed_fetch_is_not_repeated_at_once)
{
    struct sts_policy policy = policy_of(604800);
    struct sts_memory memory = {.policy = &policy, .refresh_ms = NOW + DAY};
    sts_note_failure(&memory, "two", NOW);
    ck_assert(!sts_wants_fetch(&memory, "two", NOW));
    ck_assert(!sts_wants_fetch(&memory, "two", NOW + 299999));
    ck_assert(sts_wants_fetch(&memory, "two", NOW + 300000));
    ck_assert(sts_wants_fetch(&memory, "three", NOW)); /* another id is another matter */
    ck_assert(sts_wants_fetch(&memory, "two", NOW - 1));
    ck_assert(sts_in_force(memory.policy, NOW));

    struct sts_memory nothing = {0};
    sts_note_failure(&nothing, "one", NOW);
    ck_assert(!sts_wants_fetch(&nothing, "one", NOW + 1));
    ck_assert(sts_wants_fetch(&nothing, "one", NOW + STS_FAILED_WAIT_MS));
}
END_TEST

START_TEST(a_record_comes_back_as_it_was)
{
    struct arena arena = {0};
    struct sts_policy read;
    for (enum sts_mode mode = STS_NONE; mode <= STS_ENFORCE; mode++) {
        struct sts_policy policy = policy_of(604800);
        struct buffer bytes = {0};
        policy.mode = mode;
        sts_record_write(&policy, &bytes);
        ck_assert(sts_record_read(buffer_span(&bytes), &arena, &read));
        ck_assert_int_eq(read.mode, mode);
        ck_assert_uint_eq(read.max_age_s, 604800);
        ck_assert_int_eq(read.fetched_ms, NOW);
        ck_assert_int_eq(read.expires_ms, NOW + 7 * DAY);
        ck_assert_str_eq(read.id, "one");
        ck_assert_uint_eq(read.count, 2);
        ck_assert_str_eq(read.patterns[1], "*.example.test");
        buffer_free(&bytes);
    }
    arena_free(&arena);
}
END_TEST

START_TEST(damaged_records)
{
#define TEXT "version: STSv1\nmode: none\nmax_age: 9\n"
    static const struct span good = SPAN("1 5 a\n" TEXT);
    static const struct span bad[] = {
        SPAN(""),
        SPAN("1 5 a"),
        SPAN("0 5 a\n" TEXT),
        SPAN("2 5 a\n" TEXT),
        SPAN("1 5\n" TEXT),
        SPAN("1 x a\n" TEXT),
        SPAN("1 9223372036854775807 a\n" TEXT),
        SPAN("1 5 a b\n" TEXT),
        SPAN("1 5 a\r\0\n" TEXT),
        SPAN("1 5 a123456789a123456789a123456789abc\n" TEXT),
        SPAN("1 5 a\nversion: STSv1\n"),
        SPAN("\0\0\0"),
    };
    struct arena arena = {0};
    struct sts_policy read;
    ck_assert(sts_record_read(good, &arena, &read));
    for (size_t i = 0; i < countof(bad); i++)
        ck_assert_msg(!sts_record_read(bad[i], &arena, &read), "case %zu", i);
    arena_free(&arena);
}
END_TEST

START_TEST(a_copy_stands_alone)
{
    struct arena from = {0}, to = {0};
    struct sts_policy policy;
    ck_assert(sts_record_read(SPAN("1 5 a\n" TEXT "mx: a.test\nmx: *.b.test\n"), &from, &policy));
    struct sts_policy *copy = sts_policy_copy(&policy, &to);
    arena_free(&from);
    const char *lines[STS_LINES_MAX];
    ck_assert_uint_eq(sts_policy_lines(copy, &to, lines), 5);
    ck_assert_str_eq(lines[0], "version: STSv1");
    ck_assert_str_eq(lines[1], "mode: none");
    ck_assert_str_eq(lines[2], "mx: a.test");
    ck_assert_str_eq(lines[3], "mx: *.b.test");
    ck_assert_str_eq(lines[4], "max_age: 9");
    arena_free(&to);
}
END_TEST

TEST_MAIN("tlspolicy/sts_cache", it_is_in_force_until_it_expires, it_is_refreshed_ahead_with_jitter,
          a_refresh_that_led_nowhere_is_tried_again, when_it_is_fetched,
          a_failed_fetch_is_not_repeated_at_once, a_record_comes_back_as_it_was, damaged_records,
          a_copy_stands_alone);
