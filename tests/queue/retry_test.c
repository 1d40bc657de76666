#include "queue/retry.h"

#include "tests/suite.h"

#define NOW 1700000000000
#define DRAWS 2000

static const struct retry plain = RETRY_DEFAULT;

/* Least and most of many draws, as delays from NOW. */
static void draw(const struct retry *retry, unsigned attempts, int64_t arrived_ms, int64_t *least,
                 int64_t *most)
{
    struct random_state random = {1};
    *least = INT64_MAX;
    *most = INT64_MIN;
    for (int i = 0; i < DRAWS; i++) {
        int64_t delay = retry_due(retry, attempts, arrived_ms, NOW, &random) - NOW;
        *least = delay < *least ? delay : *least;
        *most = delay > *most ? delay : *most;
    }
}

START_TEST(delays_grow_and_jitter)
{
    static const struct {
        unsigned attempts;
        int64_t least, most;
    } table[] = {
        {1, 270000, 330000},         {2, 540000, 660000},     {3, 1080000, 1320000},
        {6, 8640000, 10560000},      {7, 12960000, 14400000}, {8, 12960000, 14400000},
        {65535, 12960000, 14400000},
    };
    for (size_t i = 0; i < countof(table); i++) {
        int64_t least;
        int64_t most;
        draw(&plain, table[i].attempts, NOW, &least, &most);
        ck_assert_int_ge(least, table[i].least);
        ck_assert_int_le(most, table[i].most);
        /* the whole range is used */
        ck_assert_int_lt(least, table[i].least + table[i].least / 100);
        ck_assert_int_gt(most, table[i].most - table[i].most / 100);
    }
}
END_TEST

START_TEST(the_last_attempt_is_at_the_moment_of_giving_up)
{
    int64_t least;
    int64_t most;
    draw(&plain, 9, NOW - plain.give_up_ms + 60000, &least, &most);
    ck_assert_int_eq(least, 60000);
    ck_assert_int_eq(most, 60000);
}
END_TEST

START_TEST(odd_settings)
{
    static const struct {
        struct retry retry;
        unsigned attempts;
        int64_t least, most;
    } table[] = {
        {{1000, 1, 5000, 1000000}, 60000, 900, 1100},
        {{1000, 0.5, 5000, 1000000}, 9, 900, 1100},
        {{1000, 1e300, 5000, 1000000}, 65535, 4500, 5000},
        {{9000, 2, 5000, 1000000}, 1, 4500, 5000},
        {{0, 2, 5000, 1000000}, 3, 0, 0},
        {{1000, 2, 5000, 0}, 3, 0, 0},
    };
    for (size_t i = 0; i < countof(table); i++) {
        int64_t least;
        int64_t most;
        draw(&table[i].retry, table[i].attempts, NOW, &least, &most);
        ck_assert_int_ge(least, table[i].least);
        ck_assert_int_le(most, table[i].most);
    }
}
END_TEST

START_TEST(expiry)
{
    ck_assert(!retry_expired(&plain, NOW, NOW));
    ck_assert(!retry_expired(&plain, NOW, NOW + plain.give_up_ms - 1));
    ck_assert(retry_expired(&plain, NOW, NOW + plain.give_up_ms));
    ck_assert(!retry_expired(&plain, NOW, NOW - 86400000)); /* the clock went back */
}
END_TEST

TEST_MAIN("queue/retry", delays_grow_and_jitter, the_last_attempt_is_at_the_moment_of_giving_up,
          odd_settings, expiry)
