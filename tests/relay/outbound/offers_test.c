#include "relay/outbound/offers.h"

#include "tests/suite.h"

#include <stdio.h>

START_TEST(who_offered_the_last_time)
{
    struct offers offers;
    offers_init(&offers);
    offers_note(&offers, "mx.a.test", 25, false);
    ck_assert(!offers_know(&offers, "mx.a.test", 25));
    offers_note(&offers, "mx.a.test", 25, true);
    offers_note(&offers, "mx.a.test", 25, true);
    ck_assert(offers_know(&offers, "mx.a.test", 25));
    ck_assert(!offers_know(&offers, "mx.a.test", 587));
    ck_assert(!offers_know(&offers, "mx.b.test", 25));
    offers_note(&offers, "mx.a.test", 25, false);
    ck_assert(!offers_know(&offers, "mx.a.test", 25));
    offers_free(&offers);
}
END_TEST

START_TEST(it_is_bounded)
{
    struct offers offers;
    char name[32];
    offers_init(&offers);
    offers_note(&offers, "first.test", 25, true);
    for (int i = 0; i < OFFERS_MAX; i++) {
        snprintf(name, sizeof(name), "mx%d.test", i);
        offers_note(&offers, name, 25, true);
        if (i == OFFERS_MAX / 2)
            offers_note(&offers, "first.test", 25, true); /* seen again */
    }
    ck_assert_uint_eq(offers.hosts.count, OFFERS_MAX);
    ck_assert(offers_know(&offers, "first.test", 25));
    ck_assert(!offers_know(&offers, "mx0.test", 25));
    ck_assert(offers_know(&offers, "mx1.test", 25));
    offers_free(&offers);
}
END_TEST

TEST_MAIN("relay/outbound/offers", who_offered_the_last_time, it_is_bounded)
