#include "relay/outbound/route_dane.h"

#include "relay/outbound/route.h"
#include "tests/suite.h"

#include <string.h>

#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX                                                                                        \
    "61616161616161616161616161616161"                                                             \
    "61616161616161616161616161616161"

static struct span end_entity = SPAN("\3\1\1" HASH);
static struct span anchor = SPAN("\2\1\1" HASH);
static struct span unusable = SPAN("\1\1\1" HASH);

#define RECORDS(record)                                                                            \
    {                                                                                              \
        .state = TLSA_RECORDS, .base = "base.test", .count = 1, .records = (record)                \
    }

/* RFC 7672 2.2, 2.2.1, 3.1: level and answer, all of them. */
START_TEST(every_answer_at_every_level)
{
    static const struct {
        struct resolved_tlsa tlsa;
        const char *dane, *only; /* terms_key() */
    } rows[] = {
        {{.state = TLSA_NOT_ASKED},
         "may:table sni=mx.test",
         "dane:table sni=mx.test refused=it is an address: there can be no TLSA records"},
        {{.state = TLSA_INSECURE},
         "may:table sni=mx.test",
         "dane:table sni=mx.test refused=DNSSEC does not vouch for the way to it: TLSA records "
         "have no meaning"},
        {{.state = TLSA_NONE},
         "may:table sni=mx.test",
         "dane:table sni=mx.test refused=it has no TLSA records"},
        {{.state = TLSA_FAILED, .why = "_25._tcp.mx.test TLSA: SERVFAIL"},
         "may:table sni=mx.test refused=its TLSA records cannot be looked up: _25._tcp.mx.test "
         "TLSA: SERVFAIL",
         "dane:table sni=mx.test refused=its TLSA records cannot be looked up: _25._tcp.mx.test "
         "TLSA: SERVFAIL"},
        {RECORDS(&unusable), "encrypt:dane sni=mx.test",
         "dane:dane sni=mx.test refused=none of its TLSA records can be used"},
        {RECORDS(&end_entity), "dane:dane sni=base.test base=base.test tlsa=3/1/1/" HEX,
         "dane:dane sni=base.test base=base.test tlsa=3/1/1/" HEX},
        {RECORDS(&anchor),
         "dane:dane sni=base.test name=base.test name=a.test name=real.test base=base.test "
         "tlsa=2/1/1/" HEX,
         "dane:dane sni=base.test name=base.test name=a.test name=real.test base=base.test "
         "tlsa=2/1/1/" HEX},
    };
    for (size_t i = 0; i < countof(rows); i++)
        for (int only = 0; only < 2; only++) {
            struct arena arena CLEANUP(arena_free) = {0};
            struct buffer key CLEANUP(buffer_free) = {0};
            const struct tls_policy policy = {.level = only ? TLS_DANE_ONLY : TLS_DANE};
            const char *wanted = only ? rows[i].only : rows[i].dane;
            struct tls_terms terms = terms_of_policy(&policy, "mx.test", "a.test", &arena);
            dane_take_answer(&terms, &policy, &rows[i].tlsa, "a.test", "real.test", &arena);
            terms_key(&terms, &key);
            ck_assert_msg(span_equal(buffer_span(&key), span_of(wanted)), "%zu: %.*s", i,
                          SPAN_FORMAT(buffer_span(&key)));
        }
}
END_TEST

/* ---- a search ---- */

static struct config config = {.hostname = "relay.test", .smtp_port = 2525};
static struct destination_config limits = {.max_hosts = 20, .max_addresses = 10};
static struct tls_config tls = {.name = "*"};
static struct destination destination;
static struct route route = {.destination = &destination};
static struct route_search search;

static void begin(const char *name, const struct route_config *configured, enum tls_level level)
{
    names_init(&config.routes);
    names_init(&config.destinations);
    names_init(&config.tls);
    tls.policy = TLS_POLICY_DEFAULT;
    tls.policy.level = level;
    names_add(&config.tls, SPAN("*"), &tls);
    names_add(&config.destinations, SPAN("*"), &limits);
    if (configured != NULL)
        names_add(&config.routes, span_of(configured->name), (void *)(uintptr_t)configured);
    destination.name = must_strdup(name);
    route_search_init(&search, &route, &config);
}

static void end(void)
{
    route_search_free(&search);
    free(destination.name);
    names_free(&config.routes);
    names_free(&config.destinations);
    names_free(&config.tls);
}

static void answer(const struct resolved_host *hosts, unsigned count, const char *canonical)
{
    struct resolution *to = search.resolution;
    to->result = RESOLVE_OK;
    to->secure = true;
    to->canonical = canonical;
    to->ttl_ms = RESOLVE_TTL_LEAST_MS;
    to->count = count;
    to->hosts = arena_take(&to->arena, count * sizeof(*hosts));
    memcpy(to->hosts, hosts, count * sizeof(*hosts));
}

static struct ip address_of(const char *text)
{
    struct ip ip;
    ck_assert(ip_parse(span_of(text), &ip));
    return ip;
}

START_TEST(only_who_wants_dane_asks_for_it)
{
    for (int level = 0; level < TLS_LEVELS; level++) {
        begin("a.test", NULL, (enum tls_level)level);
        ck_assert_int_eq(route_search_next(&search), SEARCH_ASK);
        ck_assert_int_eq(search.resolution->tlsa, level == TLS_DANE || level == TLS_DANE_ONLY);
        ck_assert_uint_eq(search.resolution->port, 2525);
        end();
    }
}
END_TEST

/* RFC 7672 2.1.2: what was once known does not outlive its TTL because DNS is kept from answering.
 */
START_TEST(old_hosts_do_not_serve_on)
{
    for (int level = 0; level < TLS_LEVELS; level++) {
        begin("a.test", NULL, (enum tls_level)level);
        ck_assert_int_eq(route_search_may_be_late(&search),
                         level != TLS_DANE && level != TLS_DANE_ONLY);
        destination.security = SECURITY_REQUIRED; /* RFC 8689 4.2.1 */
        ck_assert(!route_search_may_be_late(&search));
        destination.security = SECURITY_USUAL;
        end();
    }
}
END_TEST

/* Whoever wants DANE of a relay that does not know what is secure gets no mail sent in its stead.
 */
START_TEST(a_table_that_wants_dane)
{
    static const struct {
        enum dnssec dnssec;
        enum search_state state;
    } rows[] = {{DNSSEC_OFF, SEARCH_FAILED}, {DNSSEC_VALIDATE, SEARCH_ASK}};
    for (size_t i = 0; i < countof(rows); i++) {
        begin("a.test", NULL, TLS_MAY);
        config.dnssec = rows[i].dnssec;
        config.tls_policy_map = "tcp:127.0.0.1:1";
        ck_assert_int_eq(route_search_next(&search), SEARCH_DISCOVER);
        search.discovery->question.answer = POLICY_FOUND;
        search.discovery->question.text = SPAN("dane");
        ck_assert_int_eq(route_search_next(&search), rows[i].state);
        ck_assert_int_eq(route_search_may_be_late(&search), false);
        config.tls_policy_map = NULL;
        end();
    }
}
END_TEST

/* RFC 7672 2.2.1: what one host's TLSA records are says nothing of another; 3.2.2: names. */
START_TEST(each_mx_for_itself)
{
    struct ip ip = address_of("192.0.2.1");
    const struct resolved_host hosts[] = {
        {"mx1.test", 10, 1, &ip, RECORDS(&anchor)},
        {"mx2.test", 20, 1, &ip, {.state = TLSA_NONE}},
        {"mx3.test", 30, 1, &ip, {.state = TLSA_FAILED, .why = "SERVFAIL"}},
    };
    begin("a.test", NULL, TLS_DANE);
    ck_assert_int_eq(route_search_next(&search), SEARCH_ASK);
    answer(hosts, countof(hosts), "real.test");
    search.policy.mta_sts = false;
    ck_assert_int_eq(route_search_next(&search), SEARCH_FOUND);
    ck_assert_uint_eq(search.count, 3);
    ck_assert_int_eq(search.hosts[0].tls.level, TLS_DANE);
    ck_assert_uint_eq(search.hosts[0].tls.name_count, 3);
    ck_assert_str_eq(search.hosts[0].tls.names[1], "a.test");
    ck_assert_str_eq(search.hosts[0].tls.names[2], "real.test");
    ck_assert_int_eq(search.hosts[1].tls.level, TLS_MAY);
    ck_assert_ptr_null(search.hosts[1].tls.refused);
    ck_assert_ptr_nonnull(search.hosts[2].tls.refused);
    ck_assert_int_eq(search.ttl_ms, RESOLVE_TTL_LEAST_MS); /* of the answer, TLSA included */
    end();
}
END_TEST

/* RFC 7672 2.2.3: without MX the host of the route is the next hop; its port is asked for. */
START_TEST(hosts_of_a_route)
{
    struct next_hop_host hops[] = {{.name = "mx.test", .port = 587},
                                   {.port = 25, .ip = address_of("192.0.2.2")}};
    const struct route_config configured = {.name = "a.test", .hosts = hops, .count = 2};
    struct ip ip = address_of("192.0.2.1");
    const struct resolved_host host = {"mx.test", 0, 1, &ip, RECORDS(&anchor)};
    begin("a.test", &configured, TLS_DANE_ONLY);
    ck_assert_int_eq(route_search_next(&search), SEARCH_ASK);
    ck_assert(search.resolution->tlsa && search.resolution->port == 587);
    answer(&host, 1, NULL);
    ck_assert_int_eq(route_search_next(&search), SEARCH_FOUND);
    ck_assert_uint_eq(search.count, 2);
    ck_assert_uint_eq(search.hosts[0].tls.name_count, 2);
    ck_assert_str_eq(search.hosts[0].tls.names[0], "base.test");
    ck_assert_str_eq(search.hosts[0].tls.names[1], "mx.test");
    ck_assert_ptr_nonnull(search.hosts[1].tls.refused);
    end();
}
END_TEST

TEST_MAIN("relay/outbound/route_dane", every_answer_at_every_level, only_who_wants_dane_asks_for_it,
          old_hosts_do_not_serve_on, a_table_that_wants_dane, each_mx_for_itself, hosts_of_a_route)
