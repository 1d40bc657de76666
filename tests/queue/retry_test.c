#include "queue/retry.h"

#include "tests/suite.h"

#define NOW 1700000000000
#define HOUR 3600000ll
#define DAY (24 * HOUR)
#define DRAWS 2000

static const struct retry plain = RETRY_DEFAULT;

/* Least and most of many draws, as delays from NOW, for a message that is this old. */
static void draw(const struct retry *retry, unsigned attempts, int64_t age_ms, int64_t *least,
                 int64_t *most)
{
    struct random_state random = {1};
    struct message *message = message_create(SPAN(""), 0, NOW - age_ms);
    *least = INT64_MAX;
    *most = INT64_MIN;
    for (int i = 0; i < DRAWS; i++) {
        int64_t delay = retry_due_ms(retry, message, true, attempts, NOW, &random) - NOW;
        *least = delay < *least ? delay : *least;
        *most = delay > *most ? delay : *most;
    }
    message_drop(&message);
}

START_TEST(delays_grow_and_jitter)
{
    static const int64_t delays[] = {60000, 7200000};
    static const struct retry listed = {.schedule = {delays, 2}, .give_up_ms = 5 * DAY};
    static const struct {
        const struct retry *retry;
        unsigned attempts;
        int64_t least, most;
    } table[] = {
        {&plain, 1, 270000, 330000},         {&plain, 2, 540000, 660000},
        {&plain, 3, 1080000, 1320000},       {&plain, 6, 8640000, 10560000},
        {&plain, 7, 12960000, 14400000},     {&plain, 8, 12960000, 14400000},
        {&plain, 65535, 12960000, 14400000}, {&listed, 1, 54000, 66000},
        {&listed, 2, 6480000, 7920000},      {&listed, 65535, 6480000, 7920000},
    };
    for (size_t i = 0; i < countof(table); i++) {
        int64_t least;
        int64_t most;
        draw(table[i].retry, table[i].attempts, 0, &least, &most);
        ck_assert_int_ge(least, table[i].least);
        ck_assert_int_le(most, table[i].most);
        /* the whole range is used */
        ck_assert_int_lt(least, table[i].least + table[i].least / 100);
        ck_assert_int_gt(most, table[i].most - table[i].most / 100);
    }
}
END_TEST

START_TEST(odd_settings)
{
    static const struct {
        struct retry retry;
        unsigned attempts;
        int64_t least, most;
    } table[] = {
        {{.first_ms = 1000, .factor = 1, .longest_ms = 5000, .give_up_ms = 1000000},
         60000,
         900,
         1100},
        {{.first_ms = 1000, .factor = 0.5, .longest_ms = 5000, .give_up_ms = 1000000},
         9,
         900,
         1100},
        {{.first_ms = 1000, .factor = 1e300, .longest_ms = 5000, .give_up_ms = 1000000},
         65535,
         4500,
         5000},
        {{.first_ms = 9000, .factor = 2, .longest_ms = 5000, .give_up_ms = 1000000}, 1, 4500, 5000},
        {{.factor = 2, .longest_ms = 5000, .give_up_ms = 1000000}, 3, 0, 0},
        {{.first_ms = 1000, .factor = 2, .longest_ms = 5000}, 3, 0, 0},
    };
    for (size_t i = 0; i < countof(table); i++) {
        int64_t least;
        int64_t most;
        draw(&table[i].retry, table[i].attempts, 0, &least, &most);
        ck_assert_int_ge(least, table[i].least);
        ck_assert_int_le(most, table[i].most);
    }
}
END_TEST

/* Whatever the message's times are, an attempt is made where something must be told. */
START_TEST(moments_that_bound_the_next_attempt)
{
    enum { R = MESSAGE_BY_RETURN, N = MESSAGE_BY_NOTIFY, T = MESSAGE_BY_TRACE };
    static const struct {
        uint32_t flags;
        int64_t release, deliver_by, warn; /* release and deliver-by from NOW; 0: none */
        int64_t warns, last;               /* from NOW; -1: never */
    } table[] = {
        {0, 0, 0, 4 * HOUR, 4 * HOUR, 5 * DAY},
        {0, 0, 0, 0, -1, 5 * DAY},
        {0, 0, 0, 6 * DAY, 6 * DAY, 5 * DAY},
        {0, 2 * DAY, 0, 4 * HOUR, 2 * DAY + 4 * HOUR, 7 * DAY},
        {R, 0, HOUR, 4 * HOUR, 4 * HOUR, HOUR},
        {R | T, 0, HOUR, 4 * HOUR, 4 * HOUR, HOUR},
        {R, 0, 6 * DAY, 4 * HOUR, 4 * HOUR, 5 * DAY},
        {N, 0, HOUR, 4 * HOUR, HOUR, 5 * DAY},
        {N, 0, 8 * HOUR, 4 * HOUR, 8 * HOUR, 5 * DAY},
        {N, 0, 8 * HOUR, 0, 8 * HOUR, 5 * DAY},
        {R, 0, 0, 0, -1, 5 * DAY},
        {N, 0, 0, 0, -1, 5 * DAY},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct random_state random = {1};
        struct retry retry = plain;
        retry.warn_ms = table[i].warn;
        struct message *message = message_create(SPAN("a@b.test"), table[i].flags, NOW);
        message->release_ms = table[i].release ? NOW + table[i].release : 0;
        message->deliver_by_ms = table[i].deliver_by ? NOW + table[i].deliver_by : 0;
        int64_t warns = table[i].warns < 0 ? INT64_MAX : NOW + table[i].warns;
        int64_t last = NOW + table[i].last, first = warns < last ? warns : last;
        ck_assert_int_eq(retry_warn_ms(&retry, message), warns);
        ck_assert_int_eq(retry_last_ms(&retry, message), last);
        ck_assert_int_eq(retry_look_ms(&retry, message, false), first);
        ck_assert_int_eq(retry_look_ms(&retry, message, true), last);
        ck_assert_int_eq(retry_ripe(&retry, message, false, first - 1), RIPE_NOTHING);
        ck_assert_int_eq(retry_ripe(&retry, message, true, last - 1), RIPE_NOTHING);
        ck_assert_int_eq(retry_ripe(&retry, message, false, first),
                         first == last ? RIPE_EXPIRY : RIPE_WARNING);
        ck_assert_int_eq(retry_ripe(&retry, message, false, last), RIPE_EXPIRY);
        /* The next delay is two minutes at least: it ends at the bound. */
        ck_assert_int_eq(retry_due_ms(&retry, message, false, 1, first - 60000, &random), first);
        ck_assert_int_eq(retry_due_ms(&retry, message, true, 1, last - 60000, &random), last);
        message_drop(&message);
    }
}
END_TEST

TEST_MAIN("queue/retry", delays_grow_and_jitter, odd_settings, moments_that_bound_the_next_attempt)
