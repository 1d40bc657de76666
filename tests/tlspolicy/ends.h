/* Both ends of TLS in one process, over their buffers, with clocks of their own; the server's
 * certificate is nobody's in particular. A test program has one pair at a time. */
#pragma once

#include "tests/suite.h"
#include "tests/tlspolicy/pair.h"
#include "tests/tlspolicy/scratch.h"

static int64_t now_ms = 1000000;
static int64_t server_ms = 1000000;

static int64_t clock_ms(void)
{
    return now_ms;
}

static int64_t server_clock_ms(void)
{
    return server_ms;
}

static struct scratch scratch;
static struct tickets *tickets;
static struct tls_client *client;
static struct tls_server *server;
static struct tls *ours, *theirs; /* the client's end, the server's end */

static inline struct tls_server *make_server(enum tls_version least, enum tls_version most,
                                             unsigned count)
{
    char why[TLS_WHY_MAX];
    struct tls_server_options options = {
        scratch.certificate, scratch.key, least, most, count, server_clock_ms,
    };
    struct tls_server *made = tls_server_create(&options, why);
    ck_assert_msg(made != NULL, "%s", why);
    ck_assert_str_eq(why, "");
    return made;
}

static inline void begin(enum tls_version most, unsigned count)
{
    scratch_make(&scratch);
    tickets = tickets_create(NULL, 0);
    client = tls_client_create(tickets, clock_ms);
    server = make_server(TLS_VERSION_ANY, most, count);
}

static inline void hang_up(void)
{
    tls_free(&ours);
    tls_free(&theirs);
    ck_assert(ours == NULL && theirs == NULL);
}

static inline void end(void)
{
    hang_up();
    tls_client_destroy(&client);
    tls_server_destroy(&server);
    tickets_destroy(&tickets);
    scratch_remove(&scratch);
    ck_assert(client == NULL && server == NULL);
}

static inline void call(const char *key)
{
    struct tls_wants wants = {.sni = "mx.example.test", .ticket_key = span_of(key)};
    hang_up();
    ours = tls_connect(client, &wants);
    theirs = tls_accept(server);
}

static inline bool shake(size_t piece)
{
    return pair_shake(ours, theirs, piece);
}

static inline bool is_resumed(void)
{
    struct tls_facts here, there;
    tls_facts(ours, &here);
    tls_facts(theirs, &there);
    ck_assert_int_eq(here.resumed, there.resumed);
    return here.resumed;
}

/* Reads what came in: with TLS 1.3, tickets. */
static inline void read_tickets(void)
{
    CLEANUP(buffer_free) struct buffer plain = {0};
    pair_carry(theirs, ours, ALL);
    ck_assert_int_eq(tls_read(ours, &plain, 100), TLS_MORE);
    ck_assert_uint_eq(buffer_length(&plain), 0);
}

/* A whole connection; whether it was resumed. */
static inline bool talk(const char *key)
{
    call(key);
    ck_assert_msg(shake(ALL), "%s / %s", tls_why(ours), tls_why(theirs));
    read_tickets();
    bool resumed = is_resumed();
    hang_up();
    return resumed;
}

static inline uint64_t tickets_now(void)
{
    struct tickets_facts facts;
    tickets_facts(tickets, &facts);
    return facts.now;
}

static inline void assert_why(const struct tls *tls)
{
    const char *why = tls_why(tls);
    ck_assert_str_ne(why, "");
    for (const char *c = why; *c; c++)
        ck_assert(*c >= ' ' && *c <= '~');
}
