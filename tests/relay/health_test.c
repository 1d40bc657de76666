#include "relay/health.h"

#include "relay/metrics.h"
#include "relay/os.h"
#include "tests/suite.h"

static struct health health;
static struct health_part *one, *other;

static void begin(void)
{
    static struct config config = {.limits = {.queue = 10, .memory = 1000}};
    one = health_add(&health, 10000, "worker %u", 1);
    other = health_add(&health, 30000, "other");
    health_configure(&health, &config);
}

/* As if the part had not turned for so long. */
static void silence(struct health_part *part, int64_t ms)
{
    atomic_store(&part->beat_ms, os_now() - ms);
}

static void assert_works(const char *wanted)
{
    char why[HEALTH_WHY_MAX];
    ck_assert_int_eq(health_works(&health, why), wanted == NULL);
    ck_assert_str_eq(why, wanted != NULL ? wanted : "");
}

static void assert_takes_mail(const char *wanted)
{
    char why[HEALTH_WHY_MAX];
    ck_assert_int_eq(health_takes_mail(&health, why), wanted == NULL);
    ck_assert_str_eq(why, wanted != NULL ? wanted : "");
}

START_TEST(threads_that_turn)
{
    begin();
    assert_works(NULL);
    silence(one, 9000);
    silence(other, 29000);
    assert_works(NULL);
    silence(other, 31500);
    assert_works("other has not turned for 31 s");
    silence(one, 11500);
    assert_works("worker 1 has not turned for 11 s");
    health_beat(one);
    health_beat(other);
    assert_works(NULL);
}
END_TEST

START_TEST(a_watchdog_may_want_it_shorter)
{
    begin();
    health.bound_most_ms = 2000;
    silence(other, 1000);
    assert_works(NULL);
    silence(other, 3500);
    assert_works("other has not turned for 3 s");
    health.bound_most_ms = 20000; /* never longer than the part's own */
    silence(one, 11500);
    assert_works("worker 1 has not turned for 11 s");
}
END_TEST

START_TEST(phases)
{
    begin();
    assert_takes_mail("starting");
    health_enter(&health, HEALTH_RUNNING);
    assert_takes_mail(NULL);
    silence(one, 60000);
    assert_takes_mail("worker 1 has not turned for 60 s");
    health_beat(one);
    health_enter(&health, HEALTH_DRAINING);
    assert_takes_mail("draining");
    assert_works(NULL);
}
END_TEST

START_TEST(full)
{
    begin();
    health_enter(&health, HEALTH_RUNNING);
    metric_add(METRIC_QUEUED, 10);
    assert_takes_mail("the queue is full (limits.queue)");
    metric_add(METRIC_QUEUED, -1);
    assert_takes_mail(NULL);
    metric_add(METRIC_BODY_MEMORY, 2001);
    assert_takes_mail("too many bodies are in memory (limits.memory)");
    assert_works(NULL);
}
END_TEST

TEST_MAIN("relay/health", threads_that_turn, a_watchdog_may_want_it_shorter, phases, full)
