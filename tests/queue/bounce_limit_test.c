#include "queue/bounce_limit.h"

#include "tests/suite.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW 1700000000000
#define HOUR 3600000ll

static const struct rate two = {2, HOUR};

static void expect_over(struct bounce_limit *limit, int64_t now_ms, const char *sender,
                        uint64_t count, int64_t since_ms)
{
    struct withheld withheld;
    ck_assert(bounce_limit_over(limit, two, now_ms, &withheld));
    ck_assert_str_eq(withheld.sender, sender);
    ck_assert_uint_eq(withheld.count, count);
    ck_assert_int_eq(withheld.since_ms, since_ms);
    free(withheld.sender);
}

static void expect_none(struct bounce_limit *limit, int64_t now_ms)
{
    struct withheld withheld;
    ck_assert(!bounce_limit_over(limit, two, now_ms, &withheld));
}

START_TEST(so_many_and_no_more)
{
    static const struct {
        const char *sender;
        int64_t at; /* from NOW */
        bool allowed;
    } table[] = {
        {"a@x.test", 0, true},         {"A@X.test", 1, true},         {"a@x.test", 2, false},
        {"b@x.test", 3, true},         {"a@x.test", HOUR - 1, false}, {"a@x.test", HOUR, true},
        {"a@x.test", HOUR + 1, true},  {"a@x.test", HOUR + 2, false}, {"b@x.test", 5 * HOUR, true},
        {"a@x.test", -9 * HOUR, true}, /* the clock went back */
    };
    struct bounce_limit limit;
    bounce_limit_init(&limit);
    for (size_t i = 0; i < countof(table); i++)
        ck_assert_msg(bounce_limit_allows(&limit, span_of(table[i].sender), two,
                                          NOW + table[i].at) == table[i].allowed,
                      "row %zu", i);
    bounce_limit_free(&limit);
}
END_TEST

START_TEST(no_limit)
{
    struct bounce_limit limit;
    bounce_limit_init(&limit);
    for (int i = 0; i < 100; i++)
        ck_assert(bounce_limit_allows(&limit, SPAN("a@x.test"), (struct rate){0, 1000}, NOW));
    ck_assert_int_eq(bounce_limit_next_ms(&limit, two), INT64_MAX);
    bounce_limit_free(&limit);
}
END_TEST

START_TEST(what_was_withheld_is_told_once)
{
    struct bounce_limit limit;
    bounce_limit_init(&limit);
    for (int i = 0; i < 7; i++)
        bounce_limit_allows(&limit, SPAN("flood@x.test"), two, NOW);
    bounce_limit_allows(&limit, SPAN("quiet@x.test"), two, NOW + 1);
    expect_none(&limit, NOW + HOUR - 1);
    ck_assert_int_eq(bounce_limit_next_ms(&limit, two), NOW + HOUR);
    expect_over(&limit, NOW + HOUR, "flood@x.test", 5, NOW);
    expect_none(&limit, NOW + HOUR);
    ck_assert_int_eq(bounce_limit_next_ms(&limit, two), NOW + HOUR + 1);
    expect_none(&limit, NOW + 2 * HOUR); /* there was nothing to tell of */
    ck_assert_int_eq(bounce_limit_next_ms(&limit, two), INT64_MAX);
    bounce_limit_free(&limit);
}
END_TEST

/* A window may end because the sender goes on before anybody asked what was over. */
START_TEST(a_new_window_does_not_swallow_the_old_count)
{
    struct bounce_limit limit;
    bounce_limit_init(&limit);
    for (int i = 0; i < 3; i++)
        bounce_limit_allows(&limit, SPAN("a@x.test"), two, NOW);
    for (int i = 0; i < 4; i++)
        bounce_limit_allows(&limit, SPAN("a@x.test"), two, NOW + HOUR);
    ck_assert_int_eq(bounce_limit_next_ms(&limit, two), NOW);
    expect_over(&limit, NOW + HOUR, "a@x.test", 1, NOW);
    expect_none(&limit, NOW + HOUR);
    expect_over(&limit, NOW + 2 * HOUR, "a@x.test", 2, NOW + HOUR);
    bounce_limit_free(&limit);
}
END_TEST

START_TEST(the_table_is_bounded)
{
    struct bounce_limit limit;
    char sender[32];
    bounce_limit_init(&limit);
    for (int i = 0; i < 3; i++)
        bounce_limit_allows(&limit, SPAN("first@x.test"), two, NOW);
    for (int i = 0; i < BOUNCE_LIMIT_SENDERS + 100; i++) {
        snprintf(sender, sizeof(sender), "%d@x.test", i);
        ck_assert(bounce_limit_allows(&limit, span_of(sender), two, NOW + 1));
    }
    ck_assert_uint_eq(limit.senders.count, BOUNCE_LIMIT_SENDERS);
    expect_over(&limit, NOW + 2, "first@x.test", 1, NOW);
    expect_none(&limit, NOW + 2);
    ck_assert(bounce_limit_allows(&limit, SPAN("first@x.test"), two, NOW + 3));
    bounce_limit_free(&limit);
}
END_TEST

TEST_MAIN("queue/bounce_limit", so_many_and_no_more, no_limit, what_was_withheld_is_told_once,
          a_new_window_does_not_swallow_the_old_count, the_table_is_bounded)
