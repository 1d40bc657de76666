#include "relay/metrics.h"

#include "tests/suite.h"

#include <pthread.h>
#include <string.h>

START_TEST(names)
{
    ck_assert_str_eq(metric_name(METRIC_MESSAGES_RECEIVED), "messages_received");
    ck_assert_str_eq(metric_name(METRIC_BODY_MEMORY), "body_memory");
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            ck_assert_str_ne(metric_name((enum metric)i), metric_name((enum metric)j));
}
END_TEST

#define THREADS 4
#define TIMES 20000

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < TIMES; i++) {
        metric_add(METRIC_RECEIVED, 2);
        metric_add(METRIC_DELIVERED, 1);
        metric_delay(i);
    }
    return NULL;
}

START_TEST(all_threads_count)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
    ck_assert_int_eq(metric_read(METRIC_RECEIVED), 2 * THREADS * TIMES);
    ck_assert_int_eq(metric_read(METRIC_DELIVERED), THREADS * TIMES);
    ck_assert_int_eq(metric_read(METRIC_DEFERRALS), 0);
    ck_assert_int_eq(metric_delay_max(), TIMES - 1);
}
END_TEST

START_TEST(the_books)
{
    static const enum metric went[] = {METRIC_DELIVERED, METRIC_BOUNCED, METRIC_EXPIRED,
                                       METRIC_DROPPED, METRIC_QUEUED};
    static const enum metric others[] = {METRIC_MESSAGES_RECEIVED, METRIC_DEFERRALS,
                                         METRIC_IN_DOUBT};
    ck_assert(metrics_balanced());
    metric_add(METRIC_RECEIVED, 3);
    ck_assert(!metrics_balanced());
    metric_add(METRIC_RESTORED, 2);
    for (size_t i = 0; i < countof(went); i++) {
        ck_assert(!metrics_balanced());
        metric_add(went[i], 1);
    }
    ck_assert(metrics_balanced());
    for (size_t i = 0; i < countof(others); i++)
        metric_add(others[i], 1);
    ck_assert(metrics_balanced());
    metric_add(METRIC_QUEUED, -1);
    ck_assert(!metrics_balanced());
    metric_add(METRIC_DELIVERED, 1);
    ck_assert(metrics_balanced());
}
END_TEST

START_TEST(no_delays)
{
    ck_assert_int_eq(metric_delay_quantile(0.5), 0);
    ck_assert_int_eq(metric_delay_quantile(1), 0);
    ck_assert_int_eq(metric_delay_max(), 0);
}
END_TEST

/* A delay alone is told exactly; beside a longer one, as up to an eighth more than it is. */
START_TEST(how_exact_a_delay_is)
{
    static const int64_t delays[] = {0,   1,    7,     8,      15,        16,       17,
                                     100, 1023, 12345, 999999, 432000000, 1LL << 39};
    int64_t delay = delays[_i % (int)countof(delays)];
    metric_delay(delay);
    ck_assert_int_eq(metric_delay_quantile(0.5), delay);
    ck_assert_int_eq(metric_delay_quantile(0.99), delay);
    ck_assert_int_eq(metric_delay_max(), delay);
    metric_delay(INT64_MAX);
    int64_t told = metric_delay_quantile(0.5);
    ck_assert_int_ge(told, delay);
    ck_assert_int_le(told, delay + delay / 8);
    ck_assert_int_eq(metric_delay_quantile(1), INT64_MAX);
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
        metric_delay(ms);
    for (size_t i = 0; i < countof(rows); i++) {
        int64_t told = metric_delay_quantile(rows[i].share);
        ck_assert_msg(told >= rows[i].least && told <= rows[i].most, "%g: %ld", rows[i].share,
                      (long)told);
    }
    metric_delay(-5); /* the clock was set back: none, not an early one */
    ck_assert_int_eq(metric_delay_quantile(0), 0);
    ck_assert_int_eq(metric_delay_max(), 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relay/metrics");
    TCase *tcase = tcase_create("relay/metrics");
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, all_threads_count);
    tcase_add_test(tcase, the_books);
    tcase_add_test(tcase, no_delays);
    tcase_add_loop_test(tcase, how_exact_a_delay_is, 0, 13);
    tcase_add_test(tcase, quantiles);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
