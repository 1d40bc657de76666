#include "tlspolicy/tickets.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

#define MINUTE 60000

static struct tickets *tickets;

static void begin(void)
{
    tickets = tickets_create();
}

static void end(void)
{
    tickets_destroy(&tickets);
    ck_assert_ptr_null(tickets);
}

static void put(const char *key, const char *session, int64_t life_ms, int64_t now_ms)
{
    tickets_put(tickets, span_of(key), span_of(session), life_ms, now_ms);
}

static void assert_taken(const char *key, int64_t now_ms, const char *wanted)
{
    size_t length = 99;
    char *session = tickets_take(tickets, span_of(key), now_ms, &length);
    if (wanted == NULL) {
        ck_assert_ptr_null(session);
        ck_assert_uint_eq(length, 0);
        return;
    }
    ck_assert_ptr_nonnull(session);
    ck_assert(span_equal((struct span){session, length}, span_of(wanted)));
    free(session);
}

static struct tickets_facts facts(void)
{
    struct tickets_facts now;
    tickets_facts(tickets, &now);
    return now;
}

START_TEST(newest_first_and_once)
{
    begin();
    put("key", "one", MINUTE, 0);
    put("key", "two", MINUTE, 1);
    put("key", "three", MINUTE, 2);
    assert_taken("key", 3, "three");
    put("key", "four", MINUTE, 4);
    assert_taken("key", 5, "four");
    assert_taken("key", 5, "two");
    assert_taken("key", 5, "one");
    assert_taken("key", 5, NULL);
    ck_assert_uint_eq(facts().stored, 4);
    ck_assert_uint_eq(facts().hits, 4);
    ck_assert_uint_eq(facts().misses, 1);
    ck_assert_uint_eq(facts().now, 0);
    end();
}
END_TEST

START_TEST(keys_are_kept_apart)
{
    begin();
    put("key", "one", MINUTE, 0);
    put("key2", "two", MINUTE, 0);
    tickets_put(tickets, SPAN("key\0"), SPAN("three"), MINUTE, 0);
    assert_taken("ke", 0, NULL);
    assert_taken("KEY", 0, NULL);
    assert_taken("", 0, NULL);
    assert_taken("key", 0, "one");
    assert_taken("key", 0, NULL);
    assert_taken("key2", 0, "two");
    ck_assert_uint_eq(facts().now, 1);
    end();
}
END_TEST

START_TEST(they_expire)
{
    begin();
    put("key", "long", 2 * MINUTE, 0);
    put("key", "short", MINUTE, 0);
    assert_taken("key", MINUTE - 1, "short");
    put("key", "short", MINUTE, 0);
    assert_taken("key", MINUTE, "long"); /* behind an expired one that was newer */
    ck_assert_uint_eq(facts().expired, 1);
    put("key", "long", 2 * MINUTE, 0);
    assert_taken("key", 2 * MINUTE, NULL);
    ck_assert_uint_eq(facts().expired, 2);
    ck_assert_uint_eq(facts().now, 0);
    end();
}
END_TEST

START_TEST(our_own_limit_of_life_holds)
{
    begin();
    put("key", "one", 7LL * 24 * 3600 * 1000, 0);
    assert_taken("key", TICKET_LIFE_MS - 1, "one");
    put("key", "two", INT64_MAX, 0);
    assert_taken("key", TICKET_LIFE_MS, NULL);
    end();
}
END_TEST

START_TEST(what_cannot_be_used_is_not_kept)
{
    begin();
    put("key", "one", 0, 0);
    put("key", "one", -1, 0);
    put("key", "", MINUTE, 0);
    char *large = must_calloc(TICKET_BYTES_MAX + 1, 1);
    tickets_put(tickets, SPAN("key"), (struct span){large, TICKET_BYTES_MAX + 1}, MINUTE, 0);
    ck_assert_uint_eq(facts().stored, 0);
    tickets_put(tickets, SPAN("key"), (struct span){large, TICKET_BYTES_MAX}, MINUTE, 0);
    ck_assert_uint_eq(facts().stored, 1);
    free(large);
    end();
}
END_TEST

START_TEST(a_purge_takes_all_of_one_key)
{
    begin();
    put("key", "one", MINUTE, 0);
    put("key", "two", MINUTE, 0);
    put("other", "three", MINUTE, 0);
    tickets_purge(tickets, SPAN("key"));
    tickets_purge(tickets, SPAN("nobody's"));
    ck_assert_uint_eq(facts().now, 1);
    assert_taken("key", 0, NULL);
    assert_taken("other", 0, "three");
    end();
}
END_TEST

START_TEST(a_key_holds_so_many)
{
    begin();
    char text[16];
    for (int i = 0; i < TICKETS_PER_KEY + 3; i++) {
        snprintf(text, sizeof(text), "%d", i);
        put("key", text, MINUTE, 0);
    }
    ck_assert_uint_eq(facts().now, TICKETS_PER_KEY);
    ck_assert_uint_eq(facts().evicted, 3);
    for (int i = TICKETS_PER_KEY + 2; i >= 3; i--) {
        snprintf(text, sizeof(text), "%d", i);
        assert_taken("key", 0, text);
    }
    assert_taken("key", 0, NULL);
    end();
}
END_TEST

START_TEST(all_keys_hold_so_many)
{
    begin();
    char key[16];
    for (int i = 0; i < TICKETS_IN_ALL + 2; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put(key, key, MINUTE, 0);
    }
    ck_assert_uint_eq(facts().now, TICKETS_IN_ALL);
    ck_assert_uint_eq(facts().evicted, 2);
    assert_taken("0", 0, NULL);
    assert_taken("1", 0, NULL);
    assert_taken("2", 0, "2");
    snprintf(key, sizeof(key), "%d", TICKETS_IN_ALL + 1);
    assert_taken(key, 0, key);
    end();
}
END_TEST

START_TEST(expired_ones_make_room_first)
{
    begin();
    char key[16];
    for (int i = 0; i < TICKETS_IN_ALL; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put(key, key, i < 10 ? MINUTE : 2 * MINUTE, 0);
    }
    put("new", "new", MINUTE, MINUTE);
    ck_assert_uint_eq(facts().expired, 10);
    ck_assert_uint_eq(facts().evicted, 0);
    ck_assert_uint_eq(facts().now, TICKETS_IN_ALL - 10 + 1);
    end();
}
END_TEST

TEST_MAIN("tlspolicy/tickets", newest_first_and_once, keys_are_kept_apart, they_expire,
          our_own_limit_of_life_holds, what_cannot_be_used_is_not_kept,
          a_purge_takes_all_of_one_key, a_key_holds_so_many, all_keys_hold_so_many,
          expired_ones_make_room_first)
