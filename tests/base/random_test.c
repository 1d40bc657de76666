#include "base/random.h"

#include "tests/suite.h"

/* SplitMix64 as its authors have it: what a seed gives never changes. */
START_TEST(a_seed_repeats)
{
    struct random_state random = {1234567};
    static const uint64_t wanted[] = {6457827717110365317u, 3203168211198807973u,
                                      9817491932198370423u, 4593380528125082431u,
                                      16408922859458223821u};
    for (size_t i = 0; i < countof(wanted); i++)
        ck_assert_uint_eq(random_next(&random), wanted[i]);
}
END_TEST

START_TEST(stays_below)
{
    struct random_state random = {7};
    unsigned seen[6] = {0};
    for (int i = 0; i < 6000; i++) {
        uint64_t number = random_below(&random, countof(seen));
        ck_assert_uint_lt(number, countof(seen));
        seen[number]++;
    }
    for (size_t i = 0; i < countof(seen); i++) { /* 1000 each, give or take six deviations */
        ck_assert_uint_gt(seen[i], 820);
        ck_assert_uint_lt(seen[i], 1180);
    }
    ck_assert_uint_eq(random_below(&random, 1), 0);
    ck_assert_uint_eq(random_below(&random, 0), 0);
}
END_TEST

TEST_MAIN("base/random", a_seed_repeats, stays_below)
