#include "relay/metrics.h"

#include "tests/suite.h"

#include <pthread.h>
#include <stdio.h>
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
        metric_time(TIMING_DNS, i);
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
    struct distribution_powers powers;
    distribution_powers(metric_times(TIMING_DNS), &powers);
    ck_assert_int_eq(powers.count, THREADS * TIMES);
    ck_assert_int_eq(powers.sum, (int64_t)THREADS * TIMES * (TIMES - 1) / 2);
    ck_assert_int_eq(distribution_most(metric_times(TIMING_DNS)), TIMES - 1);
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

START_TEST(a_snapshot)
{
    int64_t values[METRIC_COUNT], difference;
    metric_add(METRIC_RECEIVED, 3);
    metric_add(METRIC_QUEUED, 3);
    ck_assert(metrics_snapshot(values, &difference));
    ck_assert_int_eq(difference, 0);
    ck_assert_int_eq(values[METRIC_QUEUED], 3);
    metric_add(METRIC_QUEUED, -2);
    ck_assert(!metrics_snapshot(values, &difference));
    ck_assert_int_eq(difference, 2);
    metric_add(METRIC_DELIVERED, 5);
    ck_assert(!metrics_snapshot(values, &difference));
    ck_assert_int_eq(difference, -3);
}
END_TEST

/* ---- as text ---- */

static struct buffer text;

/* Whether the text has this line. */
static bool printed(const char *line)
{
    buffer_clear(&text);
    metrics_print(&text);
    buffer_append(&text, (struct span){"", 1});
    char wanted[200];
    snprintf(wanted, sizeof(wanted), "\n%s\n", line);
    return strstr(buffer_span(&text).data, wanted) != NULL;
}

START_TEST(replies_that_refuse)
{
    static const struct {
        const char *replies, *line;
    } rows[] = {
        {"550 5.7.1 Relaying is not allowed\r\n",
         "millrace_inbound_rejected_total{class=\"5\",reason=\"policy\"} 1"},
        {"452 4.3.1 Full\r\n", "millrace_inbound_rejected_total{class=\"4\",reason=\"system\"} 1"},
        {"452 4.3.1 Full\r\n", "millrace_throttled_total{reason=\"full\"} 1"},
        {"452 4.7.1 Enough\r\n", "millrace_throttled_total{reason=\"user\"} 1"},
        {"452 4.5.3 Too many\r\n", "millrace_throttled_total{reason=\"recipients\"} 1"},
        {"500-5.5.2 a\r\n500 5.5.2 b\r\n250 2.0.0 c\r\n503 5.5.1 d\r\n",
         "millrace_inbound_rejected_total{class=\"5\",reason=\"protocol\"} 2"},
        {"550 no status\r\n", "millrace_inbound_rejected_total{class=\"5\",reason=\"other\"} 1"},
        {"550 5.9.1 x\r\n", "millrace_inbound_rejected_total{class=\"5\",reason=\"other\"} 1"},
        {"550 4.7.1 x\r\n", "millrace_inbound_rejected_total{class=\"5\",reason=\"other\"} 1"},
        {"421 \r\n4\r\n\r\n354 5.5.1 x\r\n",
         "millrace_inbound_rejected_total{class=\"4\",reason=\"other\"} 1"},
    };
    metric_replies(span_of(rows[_i].replies));
    ck_assert_msg(printed(rows[_i].line), "%s\n%s", rows[_i].line, buffer_span(&text).data);
}
END_TEST

START_TEST(handshakes)
{
    metric_handshake(false, true, "TLSv1.3");
    metric_handshake(true, false, "TLSv1.2");
    metric_tls_policy(TLS_FROM_TABLE, TLS_MAY, TLS_ESTABLISHED);
    ck_assert(printed("millrace_tls_handshakes_total{result=\"ok\",resumed=\"yes\","
                      "version=\"TLSv1.3\"} 1"));
    ck_assert(printed("millrace_inbound_tls_handshakes_total{result=\"ok\",resumed=\"no\","
                      "version=\"TLSv1.2\"} 1"));
    ck_assert(printed("millrace_tls_policy_total{source=\"table\",level=\"may\","
                      "result=\"established\"} 1"));
}
END_TEST

START_TEST(histograms)
{
    static const struct metrics_histogram sizes = {"sizes", "Sizes", 0, 1, 3};
    static struct distribution distribution;
    metric_time(TIMING_DELIVERY, 0);
    metric_time(TIMING_DELIVERY, 3);
    metric_time(TIMING_DELIVERY, 4);
    ck_assert(printed("millrace_delivery_latency_seconds_bucket{le=\"0.001\"} 1"));
    ck_assert(printed("millrace_delivery_latency_seconds_bucket{le=\"0.004\"} 2"));
    ck_assert(printed("millrace_delivery_latency_seconds_bucket{le=\"0.008\"} 3"));
    ck_assert(printed("millrace_delivery_latency_seconds_bucket{le=\"+Inf\"} 3"));
    ck_assert(printed("millrace_delivery_latency_seconds_sum 0.007"));
    ck_assert(printed("millrace_delivery_latency_seconds_count 3"));
    buffer_clear(&text);
    for (int i = 1; i <= 10; i++)
        distribution_add(&distribution, i);
    metrics_print_histogram(&text, &sizes, &distribution);
    ck_assert(span_equal(buffer_span(&text), SPAN("# HELP millrace_sizes Sizes\n"
                                                  "# TYPE millrace_sizes histogram\n"
                                                  "millrace_sizes_bucket{le=\"1\"} 1\n"
                                                  "millrace_sizes_bucket{le=\"3\"} 3\n"
                                                  "millrace_sizes_bucket{le=\"7\"} 7\n"
                                                  "millrace_sizes_bucket{le=\"+Inf\"} 10\n"
                                                  "millrace_sizes_sum 55\n"
                                                  "millrace_sizes_count 10\n")));
}
END_TEST

START_TEST(labels)
{
    metrics_print_label(&text, SPAN("a\"b\\c\nd\xc3\xa9\xff"));
    ck_assert_msg(span_equal(buffer_span(&text), SPAN("a\\\"b\\\\c\\\\u000ad\\\\u00e9\\\\ufffd")),
                  "%.*s", SPAN_FORMAT(buffer_span(&text)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("relay/metrics");
    TCase *tcase = tcase_create("relay/metrics");
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, all_threads_count);
    tcase_add_test(tcase, the_books);
    tcase_add_test(tcase, a_snapshot);
    tcase_add_loop_test(tcase, replies_that_refuse, 0, 10);
    tcase_add_test(tcase, handshakes);
    tcase_add_test(tcase, histograms);
    tcase_add_test(tcase, labels);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
