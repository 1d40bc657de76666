#include "base/random.h"
#include "base/wheel.h"

#include "tests/suite.h"

#define TURN_MS ((int64_t)WHEEL_TICK_MS * WHEEL_SLOTS)

struct alarm {
    struct timer timer;
    int64_t fired_ms; /* -1: not yet */
    void (*then)(struct alarm *alarm);
};

static struct wheel wheel;
static struct alarm alarms[200];
static int64_t now_ms;

static void ring(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    ck_assert(!list_linked(&timer->node));
    alarm->fired_ms = now_ms;
    if (alarm->then)
        alarm->then(alarm);
}

static void begin(int64_t at_ms)
{
    now_ms = at_ms;
    wheel_init(&wheel, now_ms);
    for (size_t i = 0; i < countof(alarms); i++)
        alarms[i] = (struct alarm){.timer.fire = ring, .fired_ms = -1};
}

static void turn_at(int64_t at_ms)
{
    now_ms = at_ms;
    wheel_turn(&wheel, now_ms);
}

/* Lives as a worker does: sleeps as long as it is told to, then turns the wheel. */
static void live_until(int64_t end_ms)
{
    for (;;) {
        int wait = wheel_wait_ms(&wheel, now_ms);
        if (wait < 0 || now_ms + wait > end_ms)
            break;
        turn_at(now_ms + wait);
    }
    turn_at(end_ms);
}

START_TEST(fires_within_a_tick_and_never_early)
{
    struct random_state random = {5};
    for (int64_t start = 0; start < 40; start += 13) {
        begin(1000000 + start);
        for (size_t i = 0; i < countof(alarms); i++) {
            uint64_t span = i % 2 ? 300 : 3 * TURN_MS; /* some lie several rounds away */
            wheel_set(&wheel, &alarms[i].timer, now_ms + (int64_t)random_below(&random, span));
        }
        /* exactly whole rounds away: the slot where the wheel stands now */
        wheel_set(&wheel, &alarms[0].timer, now_ms / WHEEL_TICK_MS * WHEEL_TICK_MS + TURN_MS);
        live_until(now_ms + 4 * TURN_MS);
        for (size_t i = 0; i < countof(alarms); i++) {
            ck_assert_int_ge(alarms[i].fired_ms, alarms[i].timer.due_ms);
            ck_assert_int_le(alarms[i].fired_ms, alarms[i].timer.due_ms + WHEEL_TICK_MS);
        }
        ck_assert_uint_eq(wheel.count, 0);
        ck_assert_int_eq(wheel_wait_ms(&wheel, now_ms), -1);
    }
}
END_TEST

START_TEST(a_whole_round_away_alone)
{
    begin(16 * 1000 + 5);
    wheel_set(&wheel, &alarms[0].timer, 16 * 1000 + TURN_MS);
    live_until(now_ms + 2 * TURN_MS);
    ck_assert_int_ge(alarms[0].fired_ms, alarms[0].timer.due_ms);
    ck_assert_int_le(alarms[0].fired_ms, alarms[0].timer.due_ms + WHEEL_TICK_MS);
}
END_TEST

START_TEST(what_is_past_fires_at_the_next_tick)
{
    begin(5000);
    wheel_set(&wheel, &alarms[0].timer, 17);
    wheel_set(&wheel, &alarms[1].timer, 5000);
    live_until(5000 + 2 * WHEEL_TICK_MS);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ge(alarms[i].fired_ms, 5000);
        ck_assert_int_le(alarms[i].fired_ms, 5000 + WHEEL_TICK_MS);
    }
}
END_TEST

START_TEST(moves_and_clears)
{
    begin(5000);
    for (int i = 0; i < 4; i++)
        wheel_set(&wheel, &alarms[i].timer, 6000);
    wheel_set(&wheel, &alarms[1].timer, 7000);
    wheel_set(&wheel, &alarms[2].timer, 5500);
    wheel_clear(&wheel, &alarms[3].timer);
    wheel_clear(&wheel, &alarms[3].timer);
    ck_assert_uint_eq(wheel.count, 3);
    live_until(6500);
    ck_assert_int_ge(alarms[0].fired_ms, 6000);
    ck_assert_int_eq(alarms[1].fired_ms, -1);
    ck_assert_int_lt(alarms[2].fired_ms, 5550);
    ck_assert_int_eq(alarms[3].fired_ms, -1);
    ck_assert_uint_eq(wheel.count, 1);
}
END_TEST

/* A worker that was away for long: all that is due fires in one turn, the rest stays. */
START_TEST(catches_up_after_a_long_sleep)
{
    begin(5000);
    for (size_t i = 0; i < countof(alarms); i++)
        wheel_set(&wheel, &alarms[i].timer, 5000 + (int64_t)i * 1000);
    turn_at(5000 + 100 * 1000);
    for (size_t i = 0; i < countof(alarms); i++)
        ck_assert_msg((alarms[i].fired_ms >= 0) == (i <= 100), "alarm %zu", i);
    ck_assert_uint_eq(wheel.count, 99);
}
END_TEST

START_TEST(never_is_never)
{
    begin(5000);
    wheel_set(&wheel, &alarms[0].timer, INT64_MAX);
    turn_at(5000 + 10 * TURN_MS);
    ck_assert_int_eq(alarms[0].fired_ms, -1);
    ck_assert_uint_eq(wheel.count, 1);
}
END_TEST

static void clear_next_set_self(struct alarm *alarm)
{
    wheel_clear(&wheel, &alarm[1].timer);
    wheel_set(&wheel, &alarm->timer, 0); /* past already: not in this turn again */
    wheel_set(&wheel, &alarm[2].timer, now_ms + 1000);
}

START_TEST(firing_may_set_and_clear_others_that_are_due)
{
    begin(5000);
    for (int i = 0; i < 3; i++)
        wheel_set(&wheel, &alarms[i].timer, 5100);
    alarms[0].then = clear_next_set_self;
    turn_at(5200);
    ck_assert_int_eq(alarms[0].fired_ms, 5200);
    ck_assert_int_eq(alarms[1].fired_ms, -1);
    ck_assert_int_eq(alarms[2].fired_ms, -1);
    ck_assert_uint_eq(wheel.count, 2);
    alarms[0].then = NULL;
    live_until(7000);
    ck_assert_int_lt(alarms[0].fired_ms, 5300);
    ck_assert_int_eq(alarms[1].fired_ms, -1);
    ck_assert_int_ge(alarms[2].fired_ms, 6200);
}
END_TEST

START_TEST(waits_only_until_something_may_fire)
{
    begin(16000);
    ck_assert_int_eq(wheel_wait_ms(&wheel, now_ms), -1);
    wheel_set(&wheel, &alarms[0].timer, 16160);
    ck_assert_int_eq(wheel_wait_ms(&wheel, 16000), 160);
    ck_assert_int_eq(wheel_wait_ms(&wheel, 16100), 60);
    ck_assert_int_eq(wheel_wait_ms(&wheel, 99000), 0);
}
END_TEST

TEST_MAIN("base/wheel", fires_within_a_tick_and_never_early, a_whole_round_away_alone,
          what_is_past_fires_at_the_next_tick, moves_and_clears, catches_up_after_a_long_sleep,
          never_is_never, firing_may_set_and_clear_others_that_are_due,
          waits_only_until_something_may_fire)
