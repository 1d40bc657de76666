#include "relay/inbound/failures.h"

#include "tests/suite.h"

#include <stdio.h>

static struct ip ip_of(const char *text)
{
    struct ip ip;
    ck_assert(ip_parse(span_of(text), &ip));
    return ip;
}

START_TEST(each_client_has_its_own)
{
    struct failures *failures = failures_create();
    struct ip one = ip_of("192.0.2.1"), two = ip_of("192.0.2.2");
    struct ip six = ip_of("2001:db8::1"), same = ip_of("2001:db8::ffff"),
              other = ip_of("2001:db8:0:1::1");
    ck_assert_uint_eq(failures_count(failures, &one, 1000), 0);
    for (unsigned i = 1; i <= 3; i++)
        ck_assert_uint_eq(failures_add(failures, &one, 1000), i);
    ck_assert_uint_eq(failures_add(failures, &six, 1000), 1);
    ck_assert_uint_eq(failures_add(failures, &same, 1000), 2); /* the same /64 */
    ck_assert_uint_eq(failures_count(failures, &one, 1000), 3);
    ck_assert_uint_eq(failures_count(failures, &two, 1000), 0);
    ck_assert_uint_eq(failures_count(failures, &other, 1000), 0);
    failures_destroy(&failures);
    ck_assert_ptr_null(failures);
}
END_TEST

START_TEST(they_are_forgiven_one_by_one)
{
    struct failures *failures = failures_create();
    struct ip ip = ip_of("192.0.2.1");
    const int64_t minute = FAILURES_FORGIVEN_MS;
    for (unsigned i = 0; i < 3; i++)
        failures_add(failures, &ip, 0);
    ck_assert_uint_eq(failures_count(failures, &ip, minute - 1), 3);
    ck_assert_uint_eq(failures_count(failures, &ip, minute), 2);
    ck_assert_uint_eq(failures_add(failures, &ip, minute + 1), 3);
    ck_assert_uint_eq(failures_count(failures, &ip, 2 * minute), 2); /* since the last one went */
    ck_assert_uint_eq(failures_count(failures, &ip, 4 * minute - 1), 1);
    ck_assert_uint_eq(failures_count(failures, &ip, 4 * minute), 0);
    ck_assert_uint_eq(failures_add(failures, &ip, 4 * minute), 1);
    failures_destroy(&failures);
}
END_TEST

START_TEST(the_delay_doubles)
{
    static const struct {
        unsigned count;
        int64_t delay_ms;
    } rows[] = {{0, 500},  {1, 500},  {2, 1000}, {3, 2000},
                {4, 4000}, {5, 8000}, {6, 8000}, {99, 8000}};
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_int_eq(failures_delay_ms(rows[i].count, 500), rows[i].delay_ms);
    ck_assert_int_eq(failures_delay_ms(5, 0), 0);
}
END_TEST

START_TEST(the_oldest_is_forgotten_when_there_are_too_many)
{
    struct failures *failures = failures_create();
    struct ip first = ip_of("10.0.0.0"), second = ip_of("10.0.0.1");
    for (unsigned i = 0; i < FAILURES_CLIENTS_MAX; i++) {
        struct ip ip = {.family = 4,
                        .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};
        failures_add(failures, &ip, 0);
    }
    ck_assert_uint_eq(failures_add(failures, &first, 0), 2); /* now the youngest */
    struct ip more = ip_of("192.0.2.1");
    ck_assert_uint_eq(failures_add(failures, &more, 0), 1);
    ck_assert_uint_eq(failures_count(failures, &first, 0), 2);
    ck_assert_uint_eq(failures_count(failures, &second, 0), 0);
    failures_destroy(&failures);
}
END_TEST

TEST_MAIN("relay/inbound/failures", each_client_has_its_own, they_are_forgiven_one_by_one,
          the_delay_doubles, the_oldest_is_forgotten_when_there_are_too_many)
