#include "relay/inbound/rates.h"

#include "tests/suite.h"

#include <stdio.h>

#define HOUR_MS INT64_C(3600000)
#define START INT64_C(1000000)

static unsigned taken_at_once(struct rates *rates, const char *user, unsigned per_hour, int64_t now)
{
    unsigned count = 0;
    while (count < 100000 && rates_take(rates, user, per_hour, now))
        count++;
    return count;
}

START_TEST(an_hours_worth_at_once_and_then_evenly)
{
    static const unsigned limits[] = {1, 2, 7, 60, 1000};
    for (size_t i = 0; i < countof(limits); i++) {
        struct rates *rates = rates_create();
        unsigned per_hour = limits[i];
        ck_assert_uint_eq(taken_at_once(rates, "a", per_hour, START), per_hour);
        ck_assert(!rates_take(rates, "a", per_hour, START + HOUR_MS / per_hour - 1));
        ck_assert(rates_take(rates, "a", per_hour, START + HOUR_MS / per_hour + 1));
        ck_assert_uint_eq(taken_at_once(rates, "a", per_hour, START + 3 * HOUR_MS), per_hour);
        rates_destroy(&rates);
        ck_assert_ptr_null(rates);
    }
}
END_TEST

START_TEST(each_user_has_his_own)
{
    struct rates *rates = rates_create();
    ck_assert(rates_take(rates, "a", 1, START));
    ck_assert(!rates_take(rates, "a", 1, START));
    ck_assert(rates_take(rates, "b", 1, START));
    ck_assert(rates_take(rates, "A", 1, START));
    ck_assert_uint_eq(taken_at_once(rates, "c", 0, START), 100000); /* no limit */
    rates_destroy(&rates);
}
END_TEST

START_TEST(the_limit_may_change)
{
    struct rates *rates = rates_create();
    ck_assert_uint_eq(taken_at_once(rates, "a", 10, START), 10);
    ck_assert_uint_eq(taken_at_once(rates, "a", 20, START + HOUR_MS / 2), 10);
    ck_assert(!rates_take(rates, "a", 10, START + HOUR_MS / 2));
    rates_destroy(&rates);
}
END_TEST

START_TEST(the_oldest_is_forgotten_when_there_are_too_many)
{
    struct rates *rates = rates_create();
    char name[32];
    for (unsigned i = 0; i < RATES_USERS_MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        ck_assert(rates_take(rates, name, 1, START));
    }
    ck_assert(!rates_take(rates, "0", 1, START));
    ck_assert(rates_take(rates, "more", 1, START));
    ck_assert(!rates_take(rates, "0", 1, START));
    ck_assert(rates_take(rates, "1", 1, START));
    rates_destroy(&rates);
}
END_TEST

TEST_MAIN("relay/inbound/rates", an_hours_worth_at_once_and_then_evenly, each_user_has_his_own,
          the_limit_may_change, the_oldest_is_forgotten_when_there_are_too_many)
