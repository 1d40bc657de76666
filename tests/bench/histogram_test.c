#include "bench/histogram.h"

#include "tests/suite.h"

static struct histogram histogram, other;

START_TEST(empty_is_zero)
{
    histogram = (struct histogram){0};
    ck_assert_uint_eq(histogram_quantile(&histogram, 50, 100), 0);
    ck_assert_uint_eq(histogram_quantile(&histogram, 100, 100), 0);
}
END_TEST

START_TEST(one_value_is_every_quantile)
{
    static const uint64_t values[] = {
        0,          1,         127, 128, 129, 255, 256, 1000, 4097, 1ULL << 39, (1ULL << 40) - 1,
        1ULL << 40, UINT64_MAX};
    for (size_t i = 0; i < countof(values); i++) {
        histogram = (struct histogram){0};
        histogram_add(&histogram, values[i]);
        ck_assert_uint_eq(histogram_quantile(&histogram, 1, 1000), values[i]);
        ck_assert_uint_eq(histogram_quantile(&histogram, 50, 100), values[i]);
        ck_assert_uint_eq(histogram_quantile(&histogram, 1, 1), values[i]);
        ck_assert_uint_eq(histogram.most, values[i]);
    }
}
END_TEST

/* Below 128 each value has its own bin: the ranks are exact. */
START_TEST(small_values_are_exact)
{
    histogram = (struct histogram){0};
    for (uint64_t value = 1; value <= 100; value++)
        histogram_add(&histogram, value);
    ck_assert_uint_eq(histogram_quantile(&histogram, 0, 100), 1);
    ck_assert_uint_eq(histogram_quantile(&histogram, 1, 100), 1);
    ck_assert_uint_eq(histogram_quantile(&histogram, 50, 100), 50);
    ck_assert_uint_eq(histogram_quantile(&histogram, 99, 100), 99);
    ck_assert_uint_eq(histogram_quantile(&histogram, 999, 1000), 100);
    ck_assert_uint_eq(histogram_quantile(&histogram, 100, 100), 100);
}
END_TEST

START_TEST(never_too_small_and_one_percent_too_large_at_most)
{
    for (uint64_t value = 1; value < 1ULL << HISTOGRAM_MOST_BITS; value += value / 7 + 1) {
        histogram = (struct histogram){0};
        histogram_add(&histogram, value);
        histogram_add(&histogram, UINT64_MAX); /* so that the top of the bin shows */
        uint64_t told = histogram_quantile(&histogram, 50, 100);
        ck_assert_uint_ge(told, value);
        ck_assert_uint_le(told - value, value / 100);
    }
}
END_TEST

START_TEST(a_few_slow_ones_show_in_the_tail)
{
    histogram = (struct histogram){0};
    for (int i = 0; i < 990; i++)
        histogram_add(&histogram, 100);
    for (int i = 0; i < 10; i++)
        histogram_add(&histogram, 50000);
    ck_assert_uint_eq(histogram_quantile(&histogram, 99, 100), 100);
    ck_assert_uint_eq(histogram_quantile(&histogram, 991, 1000), 50000);
    ck_assert_uint_eq(histogram_quantile(&histogram, 999, 1000), 50000);
}
END_TEST

START_TEST(merging_is_adding)
{
    histogram = other = (struct histogram){0};
    for (uint64_t value = 1; value <= 50; value++)
        histogram_add(&histogram, value);
    for (uint64_t value = 51; value <= 100; value++)
        histogram_add(&other, value);
    histogram_merge(&histogram, &other);
    ck_assert_uint_eq(histogram.count, 100);
    ck_assert_uint_eq(histogram.most, 100);
    ck_assert_uint_eq(histogram_quantile(&histogram, 75, 100), 75);
    other = (struct histogram){0};
    histogram_merge(&histogram, &other);
    ck_assert_uint_eq(histogram.most, 100);
}
END_TEST

TEST_MAIN("bench/histogram", empty_is_zero, one_value_is_every_quantile, small_values_are_exact,
          never_too_small_and_one_percent_too_large_at_most, a_few_slow_ones_show_in_the_tail,
          merging_is_adding)
