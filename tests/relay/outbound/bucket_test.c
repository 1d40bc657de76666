#include "relay/outbound/bucket.h"

#include "base/random.h"
#include "tests/suite.h"

#include <string.h>

#define NOW 1800000000000 /* ms since 1970 */

static struct rate rate_of(const char *text)
{
    struct rate rate;
    ck_assert_msg(units_rate(span_of(text), &rate), "%s", text);
    return rate;
}

/* Takes all there is; how many that were. */
static unsigned empty(struct bucket *bucket, struct rate rate, int64_t now_ms)
{
    unsigned taken = 0;
    for (; bucket_tokens(bucket, rate, now_ms) > 0; taken++)
        bucket_take(bucket, rate, now_ms);
    return taken;
}

START_TEST(a_full_one_holds_what_comes_in_a_second)
{
    static const struct {
        const char *rate;
        unsigned tokens;
    } rows[] = {{"10/s", 10},    {"1/s", 1},   {"600/m", 10},    {"59/m", 1},
                {"61/m", 1},     {"119/m", 1}, {"120/m", 2},     {"1/h", 1},
                {"36000/h", 10}, {"1/d", 1},   {"864000/d", 10}, {"1000000/s", 1000000}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct bucket bucket = {0};
        struct rate rate = rate_of(rows[i].rate);
        ck_assert(bucket_is_full(&bucket, NOW));
        ck_assert_msg(bucket_tokens(&bucket, rate, NOW) == rows[i].tokens, "%s", rows[i].rate);
        ck_assert_uint_eq(empty(&bucket, rate, NOW), rows[i].tokens);
        ck_assert(!bucket_is_full(&bucket, NOW));
    }
}
END_TEST

START_TEST(without_a_limit_it_never_ends)
{
    struct bucket bucket = {0};
    struct rate none = {0, 1000};
    ck_assert_uint_eq(bucket_tokens(&bucket, none, NOW), UINT32_MAX);
    for (int i = 0; i < 1000; i++)
        bucket_take(&bucket, none, NOW);
    ck_assert(bucket_is_full(&bucket, NOW));
    ck_assert_int_eq(bucket_when(&bucket, none, 1000, NOW), NOW);
}
END_TEST

/* What it says of the time is so, to the ms. */
START_TEST(when_there_will_be_tokens)
{
    static const struct {
        const char *rate;
        unsigned tokens;
        int64_t after_ms; /* an empty one; -1: never */
    } rows[] = {{"10/s", 1, 100}, {"10/s", 10, 1000},   {"10/s", 11, -1},    {"600/m", 3, 300},
                {"3/s", 1, 334},  {"3/s", 3, 1001},     {"1/h", 1, 3600000}, {"1/h", 2, -1},
                {"7/m", 1, 8572}, {"1/d", 1, 86400000}, {"5000/s", 1, 1},    {"5000/s", 10, 2}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct bucket bucket = {0};
        struct rate rate = rate_of(rows[i].rate);
        empty(&bucket, rate, NOW);
        int64_t at = bucket_when(&bucket, rate, rows[i].tokens, NOW);
        ck_assert_msg(at == (rows[i].after_ms < 0 ? INT64_MAX : NOW + rows[i].after_ms),
                      "%s: %u after %lld", rows[i].rate, rows[i].tokens, (long long)(at - NOW));
        if (rows[i].after_ms < 0)
            continue;
        ck_assert_uint_lt(bucket_tokens(&bucket, rate, at - 1), rows[i].tokens);
        ck_assert_uint_ge(bucket_tokens(&bucket, rate, at), rows[i].tokens);
        ck_assert_int_eq(bucket_when(&bucket, rate, rows[i].tokens, at), at);
    }
}
END_TEST

/* However greedily and irregularly it is asked: what gets through in a time is what comes in then
 * and what the bucket held, and no less than that but for the last one. */
START_TEST(never_more_and_never_less)
{
    static const char *const rates[] = {"10/s", "7/s", "600/m", "59/m", "100/h", "3/m", "999/s"};
    struct random_state random = {11};
    for (size_t i = 0; i < countof(rates); i++) {
        struct bucket bucket = {0};
        struct rate rate = rate_of(rates[i]);
        unsigned held = bucket_tokens(&bucket, rate, NOW), taken = 0;
        int64_t now_ms = NOW;
        for (int step = 0; step < 10000; step++) {
            taken += empty(&bucket, rate, now_ms);
            double come = (double)(now_ms - NOW) * rate.count / (double)rate.per_ms;
            ck_assert_msg(taken <= held + come + 1e-6, "%s: %u in %lld ms", rates[i], taken,
                          (long long)(now_ms - NOW));
            int64_t next = bucket_when(&bucket, rate, 1, now_ms);
            ck_assert_int_gt(next, now_ms);
            now_ms = random_below(&random, 2) ? next : now_ms + 1;
        }
        double come = (double)(now_ms - NOW) * rate.count / (double)rate.per_ms;
        ck_assert_msg(taken + 2 > come, "%s: only %u", rates[i], taken);
    }
}
END_TEST

START_TEST(a_clock_set_back_costs_little)
{
    struct bucket bucket = {0};
    struct rate rate = rate_of("10/s");
    empty(&bucket, rate, NOW);
    int64_t before = NOW - 86400000;
    ck_assert_uint_eq(bucket_tokens(&bucket, rate, before), 0);
    ck_assert_int_eq(bucket_when(&bucket, rate, 1, before), before + 100);
}
END_TEST

START_TEST(what_was_taken_elsewhere_counts)
{
    struct bucket one = {0}, other = {0};
    struct rate rate = rate_of("10/s");
    empty(&one, rate, NOW);
    bucket_join(&other, &one);
    ck_assert_uint_eq(bucket_tokens(&other, rate, NOW), 0);
    bucket_join(&other, &(struct bucket){0});
    ck_assert_uint_eq(bucket_tokens(&other, rate, NOW), 0);
    ck_assert(bucket_is_full(&other, NOW + 1000));
}
END_TEST

TEST_MAIN("relay/outbound/bucket", a_full_one_holds_what_comes_in_a_second,
          without_a_limit_it_never_ends, when_there_will_be_tokens, never_more_and_never_less,
          a_clock_set_back_costs_little, what_was_taken_elsewhere_counts)
