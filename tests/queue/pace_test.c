#include "queue/pace.h"

#include "tests/suite.h"

#define NOW 1000000

static int64_t die(struct pace *pace, unsigned times, int64_t first_ms)
{
    struct random_state random = {7};
    *pace = (struct pace){0};
    pace_failed(pace, NOW, first_ms, &random);
    for (unsigned i = 1; i < times; i++) {
        pace_probe_began(pace);
        pace_failed(pace, NOW, first_ms, &random);
    }
    return pace->retry_at_ms - NOW;
}

START_TEST(alive_until_it_fails)
{
    struct pace pace = {0};
    ck_assert_int_eq(pace_ask(&pace, NOW), PACE_GO);
    int64_t delay = die(&pace, PACE_DEAD_AFTER, 0);
    ck_assert_int_ge(delay, PACE_FIRST_MS - PACE_FIRST_MS / 10);
    ck_assert_int_le(delay, PACE_FIRST_MS + PACE_FIRST_MS / 10);
    ck_assert_int_eq(pace_ask(&pace, NOW), PACE_WAIT);
    ck_assert_int_eq(pace_ask(&pace, pace.retry_at_ms - 1), PACE_WAIT);
    ck_assert_int_eq(pace_ask(&pace, pace.retry_at_ms), PACE_PROBE);
}
END_TEST

START_TEST(one_probe_at_a_time)
{
    struct pace pace;
    die(&pace, 1, 0);
    int64_t later = pace.retry_at_ms + 1;
    pace_probe_began(&pace);
    ck_assert_int_eq(pace_ask(&pace, later), PACE_WAIT);
    ck_assert_int_eq(pace_ask(&pace, INT64_MAX), PACE_WAIT);
    pace_succeeded(&pace);
    ck_assert_int_eq(pace_ask(&pace, NOW), PACE_GO);
    ck_assert_uint_eq(pace.failures, 0);
    ck_assert(!pace.probing);
}
END_TEST

START_TEST(back_off_doubles_up_to_a_bound)
{
    static const struct {
        unsigned times;
        int64_t first_ms, delay;
    } table[] = {
        {1, 0, 60000},    {2, 0, 120000}, {3, 0, 240000}, {6, 0, 1920000}, {7, 0, 3600000},
        {99, 0, 3600000}, {1, 500, 500},  {4, 500, 4000}, {1, 1, 1},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct pace pace;
        int64_t delay = die(&pace, table[i].times, table[i].first_ms);
        ck_assert_int_ge(delay, table[i].delay - table[i].delay / 10);
        ck_assert_int_le(delay, table[i].delay + table[i].delay / 10);
    }
}
END_TEST

/* Twenty connections that fail together are one death: the back-off is the first one. */
START_TEST(a_site_dies_once)
{
    struct random_state random = {7};
    struct pace pace = {0};
    for (int i = 0; i < 20; i++)
        pace_failed(&pace, NOW, 0, &random);
    ck_assert_int_le(pace.retry_at_ms - NOW, PACE_FIRST_MS + PACE_FIRST_MS / 10);
    int64_t until = pace.retry_at_ms;
    pace_failed(&pace, NOW + 30000, 0, &random);
    ck_assert_int_eq(pace.retry_at_ms, until);
}
END_TEST

START_TEST(one_wish_makes_one_probe)
{
    struct random_state random = {7};
    struct pace pace = {0};
    ck_assert(!pace_hurry(&pace, NOW, 1)); /* alive: nothing to shorten */
    pace_failed(&pace, NOW, 0, &random);
    ck_assert_int_eq(pace_ask(&pace, NOW), PACE_WAIT);
    ck_assert(pace_hurry(&pace, NOW, 1));
    ck_assert_int_eq(pace_ask(&pace, NOW), PACE_PROBE);
    pace_probe_began(&pace);
    ck_assert(!pace_hurry(&pace, NOW, 2)); /* it is being tried: the wish is not used up */
    pace_failed(&pace, NOW, 0, &random);
    ck_assert(!pace_hurry(&pace, NOW, 1)); /* the same wish, for another envelope */
    ck_assert_int_eq(pace_ask(&pace, NOW), PACE_WAIT);
    ck_assert(pace_hurry(&pace, NOW, 2));
    ck_assert_int_eq(pace_ask(&pace, NOW), PACE_PROBE);
}
END_TEST

START_TEST(jitter_spreads)
{
    struct random_state random = {3};
    int64_t least = INT64_MAX;
    int64_t most = 0;
    for (int i = 0; i < 1000; i++) {
        struct pace pace = {0};
        pace_failed(&pace, 0, 0, &random);
        least = pace.retry_at_ms < least ? pace.retry_at_ms : least;
        most = pace.retry_at_ms > most ? pace.retry_at_ms : most;
    }
    ck_assert_int_lt(least, 55000);
    ck_assert_int_gt(most, 65000);
}
END_TEST

TEST_MAIN("queue/pace", alive_until_it_fails, one_probe_at_a_time, back_off_doubles_up_to_a_bound,
          a_site_dies_once, one_wish_makes_one_probe, jitter_spreads)
