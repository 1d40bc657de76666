#include "relay/outbound/recorder.h"

#include "tests/suite.h"

#include <stdio.h>

static struct recorder recorder;

static void fail_at(const char *destination, const char *what, const char *host, uint16_t code,
                    int64_t now_ms)
{
    struct failed_session session = {
        .what = what,
        .outcome = "",
        .level = "may",
        .tls = "none:table",
        .ends_ms = now_ms,
        .verdict = {.kind = VERDICT_DEFERRED,
                    .code = code,
                    .text = span_of("because"),
                    .host = span_of(host)},
        .notes = SPAN("notes"),
    };
    struct failed_session *made = failed_session_create(&session);
    recorder_add(&recorder, destination, made);
    failed_session_drop(&made);
}

static void drop_all(struct recorded *found, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        failed_session_drop(&found[i].session);
}

START_TEST(the_last_few_are_kept)
{
    struct recorded found[RECORDER_SESSIONS_MAX];
    recorder_init(&recorder);
    ck_assert_uint_eq(recorder_look(&recorder, "one.test", found), 0);
    for (uint16_t i = 0; i < 7; i++)
        fail_at("one.test", "deferred", "mx", (uint16_t)(450 + i), 1000 + i);
    fail_at("two.test", "tls-failed", "mx", 0, 5000);
    unsigned count = recorder_look(&recorder, "one.test", found);
    ck_assert_uint_eq(count, RECORDER_SESSIONS_MAX);
    for (unsigned i = 0; i < count; i++)
        ck_assert_uint_eq(found[i].session->verdict.code, 456 - i);
    ck_assert(span_equal(found[0].session->notes, SPAN("notes")));
    recorder_free(&recorder); /* what was looked at stays */
    ck_assert(span_equal(found[0].session->verdict.host, SPAN("mx")));
    drop_all(found, count);
}
END_TEST

START_TEST(equal_ones_are_counted)
{
    struct recorded found[RECORDER_SESSIONS_MAX];
    recorder_init(&recorder);
    fail_at("one.test", "tls-failed", "mx1", 0, 1000);
    for (int i = 0; i < 50; i++)
        fail_at("one.test", "tls-failed", "mx2", 454, 2000 + i);
    fail_at("one.test", "deferred", "mx2", 454, 3000);
    unsigned count = recorder_look(&recorder, "one.test", found);
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(found[0].session->what, "deferred");
    ck_assert_uint_eq(found[1].times, 50);
    ck_assert_int_eq(found[1].first_ms, 2000);
    ck_assert_int_eq(found[1].session->ends_ms, 2049);
    ck_assert(span_equal(found[2].session->verdict.host, SPAN("mx1")));
    drop_all(found, count);
    recorder_free(&recorder);
}
END_TEST

START_TEST(the_oldest_destination_goes)
{
    struct recorded found[RECORDER_SESSIONS_MAX];
    char name[32];
    recorder_init(&recorder);
    for (int i = 0; i < RECORDER_DESTINATIONS_MAX; i++) {
        snprintf(name, sizeof(name), "d%d.test", i);
        fail_at(name, "deferred", "mx", 450, i);
    }
    fail_at("d0.test", "deferred", "mx", 450, 5000); /* it is no longer the oldest */
    fail_at("new.test", "deferred", "mx", 450, 6000);
    ck_assert_uint_eq(recorder.destinations.count, RECORDER_DESTINATIONS_MAX);
    ck_assert_uint_eq(recorder_look(&recorder, "d1.test", found), 0);
    ck_assert_uint_eq(recorder_look(&recorder, "d0.test", found), 1);
    drop_all(found, 1);
    recorder_free(&recorder);
}
END_TEST

START_TEST(bytes_are_bounded)
{
    static char much[100000];
    char name[32];
    memset(much, 'x', sizeof(much) - 1);
    recorder_init(&recorder);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "d%d.test", i);
        fail_at(name, "deferred", much, 450, i);
        ck_assert_uint_le(recorder.bytes, RECORDER_BYTES_MAX);
    }
    ck_assert_uint_gt(recorder.destinations.count, 100);
    ck_assert_uint_lt(recorder.destinations.count, 200);
    recorder_free(&recorder);
    ck_assert_uint_eq(recorder.bytes, 0);
}
END_TEST

TEST_MAIN("relay/outbound/recorder", the_last_few_are_kept, equal_ones_are_counted,
          the_oldest_destination_goes, bytes_are_bounded)
