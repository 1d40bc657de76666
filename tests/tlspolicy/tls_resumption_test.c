/* Tickets: shown once, kept where they belong, and what a handshake that fails makes of them. */
#include "tests/tlspolicy/ends.h"

#include <string.h>

#define HOUR INT64_C(3600000)

START_TEST(resumption_1_3)
{
    begin(TLS_VERSION_1_3, 2);
    ck_assert(!talk("key"));
    ck_assert_uint_eq(tickets_now(), 2);
    call("key");
    ck_assert_uint_eq(tickets_now(), 1); /* shown once, and gone with it */
    ck_assert(shake(ALL));
    ck_assert(is_resumed());
    read_tickets();
    ck_assert_uint_ge(tickets_now(), 2); /* and there is another for it */
    for (int i = 0; i < 20; i++)
        ck_assert(talk("key"));
    ck_assert(!talk("another key"));
    end();
}
END_TEST

START_TEST(resumption_1_2)
{
    begin(TLS_VERSION_1_2, 2);
    ck_assert(!talk("key"));
    ck_assert_uint_eq(tickets_now(), 1);
    for (int i = 0; i < 5; i++) {
        ck_assert(talk("key"));
        ck_assert_uint_eq(tickets_now(), 1); /* back again */
    }
    ck_assert(!talk("another key"));
    end();
}
END_TEST

/* It would be the dearest part of a resumption, and nobody looks at it. */
START_TEST(tickets_hold_no_certificate)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        struct ticket_taken ticket;
        begin(most[i], 1);
        ck_assert(!talk("key"));
        ck_assert(tickets_take(tickets, SPAN("key"), now_ms, &ticket));
        ck_assert_ptr_nonnull(ticket.bytes);
        ck_assert_ptr_null(memmem(ticket.bytes, ticket.length, "localhost", strlen("localhost")));
        tickets_put(tickets, SPAN("key"), (struct span){ticket.bytes, ticket.length}, 60000,
                    now_ms);
        ticket_taken_free(&ticket);
        ck_assert(talk("key"));
        end();
    }
}
END_TEST

/* What comes of resuming lies in the store as it is, until somebody writes it. */
START_TEST(a_session_of_a_resumed_connection_can_be_written)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        struct ticket_taken ticket;
        char bytes[TICKET_BYTES_MAX];
        begin(most[i], 1);
        ck_assert(!talk("key"));
        ck_assert(talk("key"));
        ck_assert(tickets_take(tickets, SPAN("key"), now_ms, &ticket));
        ck_assert_ptr_nonnull(ticket.session);
        struct span packed = {bytes, ticket.session->pack(ticket.session, bytes)};
        ck_assert_uint_ge(ticket.session->size, packed.length);
        ticket_taken_free(&ticket);
        ck_assert_uint_eq(tickets_now(), 0);
        tickets_put(tickets, SPAN("key"), packed, 60000, now_ms);
        ck_assert(talk("key"));
        end();
    }
}
END_TEST

START_TEST(no_resumption_after_a_purge)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        begin(most[i], 2);
        ck_assert(!talk("key"));
        tickets_purge(tickets, SPAN("key"));
        ck_assert(!talk("key"));
        ck_assert(talk("key"));
        end();
    }
}
END_TEST

START_TEST(no_resumption_without_tickets)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        begin(most[i], 0);
        ck_assert(!talk("key"));
        ck_assert(!talk("key"));
        ck_assert_uint_eq(tickets_now(), 0);
        tls_server_destroy(&server);
        server = make_server(TLS_VERSION_ANY, most[i], 2);
        ck_assert(!talk("")); /* no key: nothing kept */
        ck_assert_uint_eq(tickets_now(), 0);
        tls_client_destroy(&client);
        client = tls_client_create(NULL, clock_ms);
        ck_assert(!talk("key")); /* no store */
        ck_assert(!talk("key"));
        end();
    }
}
END_TEST

/* Workers have contexts of their own; a client meets any of them. */
START_TEST(every_server_of_a_certificate_knows_its_tickets)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        begin(most[i], 2);
        ck_assert(!talk("key"));
        struct tls_server *first = server;
        server = make_server(TLS_VERSION_ANY, most[i], 2);
        ck_assert(talk("key"));
        tls_server_destroy(&first);
        scratch_remove(&scratch);
        scratch_make(&scratch); /* another certificate */
        tls_server_destroy(&server);
        server = make_server(TLS_VERSION_ANY, most[i], 2);
        ck_assert(!talk("key"));
        ck_assert(talk("key"));
        end();
    }
}
END_TEST

START_TEST(a_refused_ticket_costs_only_the_round)
{
    begin(TLS_VERSION_ANY, 2);
    ck_assert(!talk("key"));
    tls_server_destroy(&server);
    server = make_server(TLS_VERSION_ANY, TLS_VERSION_ANY, 0);
    ck_assert(!talk("key"));
    static const char *const broken[] = {"not a session at all", "short"};
    for (size_t i = 0; i < countof(broken); i++) {
        tickets_put(tickets, SPAN("key"), span_of(broken[i]), 60000, now_ms);
        ck_assert(!talk("key"));
    }
    end();
}
END_TEST

START_TEST(tickets_expire_by_our_clock)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        begin(most[i], 1);
        ck_assert(!talk("key"));
        now_ms += TLS_TICKET_LIFE_MS;
        ck_assert(!talk("key"));
        now_ms += TLS_TICKET_LIFE_MS - 1;
        ck_assert(talk("key"));
        /* One of 1.2 went back as old as it was. */
        now_ms += 1;
        ck_assert_int_eq(talk("key"), most[i] == TLS_VERSION_1_3);
        end();
    }
}
END_TEST

/* RFC 8446 4.6.1: a chain of tickets, each from a connection that resumed, would put off for ever
 * that the server shows its certificate. */
START_TEST(a_day_after_a_full_handshake_there_is_another)
{
    begin(TLS_VERSION_1_3, 1);
    ck_assert(!talk("key"));
    for (int hours = 1; hours < 24; hours++) {
        now_ms += HOUR;
        ck_assert_msg(talk("key"), "after %d hours", hours);
    }
    now_ms += HOUR - 1;
    ck_assert(talk("key"));
    now_ms += 1;
    ck_assert(!talk("key"));
    now_ms += HOUR;
    ck_assert(talk("key"));
    end();
}
END_TEST

START_TEST(a_full_handshake_is_to_be_had)
{
    begin(TLS_VERSION_1_3, 1);
    struct tls_wants wants = {.ticket_key = SPAN("key"), .full = true};
    for (unsigned i = 0; i < 2; i++) {
        ours = tls_connect(client, &wants);
        theirs = tls_accept(server);
        ck_assert(shake(ALL));
        read_tickets();
        ck_assert(!is_resumed());
        ck_assert_uint_eq(tickets_now(), i + 1);
        hang_up();
    }
    ck_assert(talk("key"));
    end();
}
END_TEST

/* The keys are the process's: each test that looks at their age begins with a fresh one. */
START_TEST(ticket_keys_grow_old)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    static const struct {
        int64_t sealed_ms, opened_ms; /* since the key was made */
        bool resumed;
    } rows[] = {
        {0, 11 * HOUR, true},
        {0, 13 * HOUR, true}, /* it seals no more, and opens still */
        {12 * HOUR - 1, 12 * HOUR + TLS_TICKET_LIFE_MS - 1, true},
        {0, 12 * HOUR + TLS_TICKET_LIFE_MS, false},
        {12 * HOUR, 24 * HOUR, true}, /* by the next key */
        {0, 100 * HOUR, false},
    };
    for (size_t i = 0; i < countof(rows) * countof(most); i++) {
        begin(most[i % countof(most)], 1);
        server_ms += 1000 * HOUR;
        ck_assert(!talk("other")); /* the key is made */
        int64_t born_ms = server_ms;
        server_ms = born_ms + rows[i / countof(most)].sealed_ms;
        ck_assert(!talk("key"));
        server_ms = born_ms + rows[i / countof(most)].opened_ms;
        bool resumed = rows[i / countof(most)].resumed;
        ck_assert_msg(talk("key") == resumed, "row %zu", i / countof(most));
        struct tickets_facts facts;
        tickets_facts(tickets, &facts);
        ck_assert_uint_eq(facts.rejected, !resumed);
        end();
    }
}
END_TEST

START_TEST(a_connection_brings_so_many_tickets)
{
    begin(TLS_VERSION_1_3, TICKETS_PER_CONNECTION + 3);
    ck_assert(!talk("key"));
    ck_assert_uint_eq(tickets_now(), TICKETS_PER_CONNECTION);
    end();
}
END_TEST

START_TEST(a_handshake_that_fails_with_a_ticket_forgets_its_key)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        begin(most[i], 2);
        ck_assert(!talk("key"));
        ck_assert(!talk("other key"));
        uint64_t before = tickets_now();
        call("key");
        ck_assert_int_eq(tls_handshake(ours), TLS_MORE);
        buffer_append(tls_incoming(ours), SPAN("\x15\x03\x03\x00\x02\x02\x28"));
        ck_assert_int_eq(tls_handshake(ours), TLS_FAILED);
        ck_assert_uint_eq(tickets_now(), before / 2);
        ck_assert(!talk("key"));
        call("other key"); /* a stall, ended by the one who waited */
        ck_assert_int_eq(tls_handshake(ours), TLS_MORE);
        hang_up();
        ck_assert(!talk("other key"));
        end();
    }
}
END_TEST

START_TEST(a_failure_without_a_ticket_forgets_nothing)
{
    begin(TLS_VERSION_ANY, 2);
    struct tls_wants wants = {.ticket_key = SPAN("key")};
    ours = tls_connect(client, &wants); /* before there is a ticket */
    struct tls *slow = ours;
    ours = NULL;
    ck_assert(!talk("key"));
    ck_assert_int_eq(tls_handshake(slow), TLS_MORE);
    buffer_append(tls_incoming(slow), SPAN("garbage"));
    ck_assert_int_eq(tls_handshake(slow), TLS_FAILED);
    tls_free(&slow);
    ck_assert(talk("key"));
    end();
}
END_TEST

TEST_MAIN("tlspolicy/tls_resumption", resumption_1_3, resumption_1_2, tickets_hold_no_certificate,
          a_session_of_a_resumed_connection_can_be_written, no_resumption_after_a_purge,
          no_resumption_without_tickets, every_server_of_a_certificate_knows_its_tickets,
          a_refused_ticket_costs_only_the_round, tickets_expire_by_our_clock,
          a_day_after_a_full_handshake_there_is_another, a_full_handshake_is_to_be_had,
          ticket_keys_grow_old, a_connection_brings_so_many_tickets,
          a_handshake_that_fails_with_a_ticket_forgets_its_key,
          a_failure_without_a_ticket_forgets_nothing)
