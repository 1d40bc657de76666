#include "base/distribution.h"

#include "tests/suite.h"

static struct distribution spread;

START_TEST(nothing)
{
    ck_assert_int_eq(distribution_quantile(&spread, 0.5), 0);
    ck_assert_int_eq(distribution_quantile(&spread, 1), 0);
    ck_assert_int_eq(distribution_most(&spread), 0);
}
END_TEST

/* A value alone is told exactly; beside a longer one, as up to an eighth more than it is. */
START_TEST(how_exact_a_value_is)
{
    static const int64_t values[] = {0,   1,    7,     8,      15,        16,       17,
                                     100, 1023, 12345, 999999, 432000000, 1LL << 39};
    int64_t value = values[_i % (int)countof(values)];
    distribution_add(&spread, value);
    ck_assert_int_eq(distribution_quantile(&spread, 0.5), value);
    ck_assert_int_eq(distribution_quantile(&spread, 0.99), value);
    ck_assert_int_eq(distribution_most(&spread), value);
    distribution_add(&spread, INT64_MAX);
    int64_t told = distribution_quantile(&spread, 0.5);
    ck_assert_int_ge(told, value);
    ck_assert_int_le(told, value + value / 8);
    ck_assert_int_eq(distribution_quantile(&spread, 1), INT64_MAX);
}
END_TEST

START_TEST(quantiles)
{
    static const struct {
        double share;
        int64_t least, most;
    } rows[] = {
        {0, 1, 1},        {0.001, 1, 1},     {0.005, 5, 5},      {0.5, 500, 562},
        {0.9, 900, 1000}, {0.99, 990, 1000}, {0.999, 999, 1000}, {1, 1000, 1000},
    };
    for (int64_t ms = 1000; ms >= 1; ms--)
        distribution_add(&spread, ms);
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t told = distribution_quantile(&spread, rows[i].share);
        ck_assert_msg(told >= rows[i].least && told <= rows[i].most, "%g: %ld", rows[i].share,
                      (long)told);
    }
    distribution_add(&spread, -5); /* the clock was set back: none, not an early one */
    ck_assert_int_eq(distribution_quantile(&spread, 0), 0);
    ck_assert_int_eq(distribution_most(&spread), 1000);
}
END_TEST

/* Values of 2^power and more are not below it, and all that are less are. */
START_TEST(powers_of_two)
{
    struct distribution_powers powers;
    for (unsigned power = 0; power < DISTRIBUTION_MOST_BITS; power++) {
        distribution_add(&spread, INT64_C(1) << power);
        distribution_add(&spread, (INT64_C(1) << power) - 1);
    }
    distribution_add(&spread, INT64_MAX / 2);
    distribution_powers(&spread, &powers);
    for (unsigned power = 0; power < DISTRIBUTION_MOST_BITS; power++)
        ck_assert_int_eq(powers.below[power], 2 * (int64_t)power + 1);
    ck_assert_int_eq(powers.count, 2 * DISTRIBUTION_MOST_BITS + 1);
    ck_assert_int_eq(powers.sum, 2 * ((INT64_C(1) << DISTRIBUTION_MOST_BITS) - 1) -
                                     DISTRIBUTION_MOST_BITS + INT64_MAX / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/distribution");
    TCase *tcase = tcase_create("base/distribution");
    tcase_add_test(tcase, nothing);
    tcase_add_loop_test(tcase, how_exact_a_value_is, 0, 13);
    tcase_add_test(tcase, quantiles);
    tcase_add_test(tcase, powers_of_two);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
