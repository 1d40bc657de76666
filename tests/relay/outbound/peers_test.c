#include "relay/outbound/peers.h"

#include "tests/suite.h"

static struct endpoint at(const char *text)
{
    struct endpoint endpoint;
    ck_assert_msg(endpoint_parse(span_of(text), &endpoint), "%s", text);
    return endpoint;
}

START_TEST(so_many_and_no_more)
{
    struct peers peers;
    struct peer *taken[3];
    struct endpoint here = at("192.0.2.1:25");
    peers_init(&peers);
    ck_assert_uint_eq(peers_room(&peers, &here, 3), 3);
    ck_assert_ptr_null(peers_find(&peers, &here));
    for (unsigned i = 0; i < 3; i++) {
        taken[i] = peers_take(&peers, &here, 3);
        ck_assert_ptr_nonnull(taken[i]);
        ck_assert_ptr_eq(taken[i], peers_find(&peers, &here));
        ck_assert_uint_eq(peers_room(&peers, &here, 3), 2 - i);
    }
    ck_assert_ptr_null(peers_take(&peers, &here, 3));
    ck_assert_uint_eq(peers_room(&peers, &here, 2), 0); /* somebody with a lower limit */
    ck_assert_ptr_null(peers_take(&peers, &here, 2));
    ck_assert_uint_eq(peers_room(&peers, &here, 5), 2);
    peers_give(&peers, taken[0]);
    ck_assert_ptr_nonnull(peers_take(&peers, &here, 3));
    for (unsigned i = 0; i < 3; i++)
        peers_give(&peers, taken[i]);
    ck_assert_ptr_null(peers_find(&peers, &here));
    peers_free(&peers);
}
END_TEST

/* The same address by another name is the same; another port is not. */
START_TEST(what_is_one_peer)
{
    static const struct {
        const char *one, *other;
        bool same;
    } rows[] = {
        {"192.0.2.1:25", "[192.0.2.1]:25", true},
        {"192.0.2.1:25", "[::ffff:192.0.2.1]:25", true},
        {"192.0.2.1:25", "192.0.2.1:587", false},
        {"192.0.2.1:25", "192.0.2.2:25", false},
        {"[2001:db8::1]:25", "[2001:db8:0::1]:25", true},
        {"[::1]:25", "127.0.0.1:25", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct peers peers;
        struct endpoint one = at(rows[i].one), other = at(rows[i].other);
        peers_init(&peers);
        struct peer *taken = peers_take(&peers, &one, 1);
        ck_assert_uint_eq(peers_room(&peers, &other, 1), !rows[i].same);
        peers_give(&peers, taken);
        peers_free(&peers);
    }
}
END_TEST

TEST_MAIN("relay/outbound/peers", so_many_and_no_more, what_is_one_peer)
