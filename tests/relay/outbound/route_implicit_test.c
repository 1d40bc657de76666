/* Where a route leads whose hosts are to be reached by TLS from the first byte on (RFC 8314), and
 * what they fall back to; from the words of the configuration on. */
#include "relay/outbound/route.h"

#include "tests/relay/config_reading.h"
#include "tests/suite.h"

/* Each host: "PORT LEVEL", and "implicit" where TLS comes first. */
static void print_hosts(const struct route_search *search, struct buffer *to)
{
    for (unsigned i = 0; i < search->count; i++) {
        const struct site_host *host = &search->hosts[i];
        buffer_print(to, "%s%u %s%s", i > 0 ? ", " : "", host->port,
                     tls_level_name(host->tls.level), host->implicit ? " implicit" : "");
        ck_assert_uint_eq(host->preference, i); /* in this order, and none beside another */
    }
}

static void expect_hosts(struct scratch *scratch, const char *text, const char *wanted)
{
    struct config *config CLEANUP(config_drop) = read_fine(scratch, text);
    struct destination destination = {.name = (char *)(uintptr_t) "a.test"};
    struct route route = {.destination = &destination};
    struct route_search search;
    struct buffer got CLEANUP(buffer_free) = {0};
    route_search_init(&search, &route, config);
    ck_assert_int_eq(route_search_next(&search), SEARCH_FOUND);
    print_hosts(&search, &got);
    ck_assert_msg(span_equal(buffer_span(&got), span_of(wanted)), "%s\ngave %.*s\nnot  %s", text,
                  SPAN_FORMAT(buffer_span(&got)), wanted);
    route_search_free(&search);
}

START_TEST(hosts_in_their_order)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"route a.test { hosts = { \"192.0.2.1:465\", \"192.0.2.1:587\", 192.0.2.2 } }",
         "465 encrypt implicit, 587 may, 25 may"},
        {"route a.test { tls = starttls hosts = { \"192.0.2.1:465\" } }", "465 may"},
        {"route a.test { tls = implicit hosts = { 192.0.2.1, \"192.0.2.2:1465\" } }",
         "465 encrypt implicit, 1465 encrypt implicit"},
        {"smtp-port = 26 route a.test { hosts = { 192.0.2.1, 192.0.2.2 } tls = implicit }",
         "465 encrypt implicit, 465 encrypt implicit"},
        {"smtp-port = 26 route a.test { hosts = { 192.0.2.1, \"192.0.2.2:465\" } }",
         "26 may, 465 encrypt implicit"},
        {"route a.test { hosts = { \"192.0.2.1:465\", \"192.0.2.2:465\", \"192.0.2.3:587\" }\n"
         "fallback = starttls }",
         "465 encrypt implicit, 587 encrypt, 465 encrypt implicit, 587 encrypt, 587 may"},
        {"route a.test { hosts = \"192.0.2.1:465\" fallback = starttls fallback-port = 2525 }",
         "465 encrypt implicit, 2525 encrypt"},
        {"route a.test { hosts = { \"192.0.2.1:465\", 192.0.2.1 } } tls a.test { level = none }",
         "465 encrypt implicit, 25 none"},
        {"route a.test { hosts = \"192.0.2.1:465\" fallback = starttls }\n"
         "tls a.test { level = verify }",
         "465 verify implicit, 587 verify"},
    };
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    for (size_t i = 0; i < countof(rows); i++)
        expect_hosts(&scratch, rows[i].text, rows[i].wanted);
}
END_TEST

/* What a host falls back to is asked for by itself: its TLSA records are others (RFC 7672 2.1). */
START_TEST(each_is_asked_for_with_its_port)
{
    static const char text[] =
        "route a.test { hosts = \"mx.test:465\" fallback = starttls } tls a.test { level = dane }";
    static const uint16_t ports[] = {465, 587};
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    struct config *config CLEANUP(config_drop) = read_fine(&scratch, text);
    struct destination destination = {.name = (char *)(uintptr_t) "a.test"};
    struct route route = {.destination = &destination};
    struct route_search search;
    struct buffer got CLEANUP(buffer_free) = {0};
    route_search_init(&search, &route, config);
    for (size_t i = 0; i < countof(ports); i++) {
        ck_assert_int_eq(route_search_next(&search), SEARCH_ASK);
        struct resolution *question = search.resolution;
        ck_assert_str_eq(question->domain, "mx.test");
        ck_assert_uint_eq(question->port, ports[i]);
        question->result = RESOLVE_OK;
        question->count = 1;
        question->hosts = arena_take(&question->arena, sizeof(*question->hosts));
        question->hosts[0].count = 1;
        question->hosts[0].addresses = arena_take(&question->arena, sizeof(struct ip));
        ck_assert(ip_parse(SPAN("192.0.2.1"), question->hosts[0].addresses));
    }
    ck_assert_int_eq(route_search_next(&search), SEARCH_FOUND);
    print_hosts(&search, &got);
    ck_assert_msg(span_equal(buffer_span(&got), SPAN("465 encrypt implicit, 587 encrypt")), "%.*s",
                  SPAN_FORMAT(buffer_span(&got)));
    route_search_free(&search);
}
END_TEST

TEST_MAIN("relay/outbound/route_implicit", hosts_in_their_order, each_is_asked_for_with_its_port)
