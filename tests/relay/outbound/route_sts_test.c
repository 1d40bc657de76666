/* What a domain's MTA-STS policy makes of its mail hosts (RFC 8461 4, 5). */
#include "relay/outbound/route.h"

#include "tests/suite.h"

#include <stdlib.h>
#include <string.h>

#define TTL 120000

struct trial {
    struct config config;
    struct tls_config tls;
    struct destination_config limits;
    struct destination destination;
    struct route route;
    struct route_search search;
};

static void open_trial(struct trial *trial, const char *destination, enum tls_level level,
                       bool mta_sts)
{
    *trial = (struct trial){.config = {.hostname = "relay.test", .smtp_port = 2525},
                            .tls = {.name = "*", .policy = TLS_POLICY_DEFAULT},
                            .limits = {.max_hosts = 20, .max_addresses = 10}};
    trial->tls.policy.level = level;
    trial->tls.policy.mta_sts = mta_sts;
    names_init(&trial->config.routes);
    names_init(&trial->config.destinations);
    names_init(&trial->config.tls);
    names_add(&trial->config.tls, SPAN("*"), &trial->tls);
    names_add(&trial->config.destinations, SPAN("*"), &trial->limits);
    trial->destination.name = must_strdup(destination);
    trial->route.destination = &trial->destination;
    route_search_init(&trial->search, &trial->route, &trial->config);
}

static void close_trial(struct trial *trial)
{
    route_search_free(&trial->search);
    free(trial->destination.name);
    names_free(&trial->config.routes);
    names_free(&trial->config.destinations);
    names_free(&trial->config.tls);
}

/* a.test has two hosts: mx.a.test and other.test. */
static enum search_state find_hosts(struct trial *trial)
{
    ck_assert_int_eq(route_search_next(&trial->search), SEARCH_ASK);
    struct resolution *answer = trial->search.resolution;
    answer->result = RESOLVE_OK;
    answer->ttl_ms = TTL;
    answer->count = 2;
    answer->hosts = arena_take(&answer->arena, 2 * sizeof(*answer->hosts));
    for (unsigned i = 0; i < 2; i++) {
        struct ip *ip = arena_take(&answer->arena, sizeof(*ip));
        ck_assert(ip_parse(SPAN("192.0.2.1"), ip));
        answer->hosts[i] = (struct resolved_host){i == 0 ? "mx.a.test" : "other.test",
                                                  .preference = (uint16_t)(10 * (i + 1)),
                                                  .count = 1, .addresses = ip};
    }
    return route_search_next(&trial->search);
}

static void publish(struct trial *trial, enum sts_mode mode, int64_t ttl_ms)
{
    static const char *const patterns[] = {"*.a.test"};
    struct discovery *answer = trial->search.discovery;
    struct sts_policy *policy = arena_take(&answer->arena, sizeof(*policy));
    *policy = (struct sts_policy){.mode = mode, .count = 1, .patterns = patterns};
    answer->sts = policy;
    answer->ttl_ms = ttl_ms;
}

static void expect(const struct trial *trial, unsigned host, const char *wanted)
{
    struct buffer key CLEANUP(buffer_free) = {0};
    terms_key(&trial->search.hosts[host].tls, &key);
    ck_assert_msg(span_equal(buffer_span(&key), span_of(wanted)), "%.*s\nshould be\n%s",
                  SPAN_FORMAT(buffer_span(&key)), wanted);
}

#define MATCHES "its name matches no mx of the MTA-STS policy of a.test"

/* RFC 8461 4.1: a host that matches no pattern is not used; 4.2: the certificate must carry the
 * MX's own name. RFC 8461 5: in testing all is told, and nothing refused. */
START_TEST(each_mode_at_each_level)
{
    static const struct {
        enum tls_level level;
        enum sts_mode mode;
        const char *first, *second;
    } rows[] = {
        {TLS_MAY, STS_ENFORCE, "verify:sts sni=mx.a.test name=mx.a.test",
         "verify:sts sni=other.test name=other.test refused=" MATCHES},
        {TLS_ENCRYPT, STS_ENFORCE, "verify:sts sni=mx.a.test name=mx.a.test",
         "verify:sts sni=other.test name=other.test refused=" MATCHES},
        {TLS_DANE, STS_ENFORCE, "verify:sts sni=mx.a.test name=mx.a.test",
         "verify:sts sni=other.test name=other.test refused=" MATCHES},
        {TLS_MAY, STS_TESTING, "may:table:check sni=mx.a.test name=mx.a.test",
         "may:table:check sni=other.test name=other.test doubted=" MATCHES " (testing)"},
        {TLS_ENCRYPT, STS_TESTING, "encrypt:table:check sni=mx.a.test name=mx.a.test",
         "encrypt:table:check sni=other.test name=other.test doubted=" MATCHES " (testing)"},
        {TLS_MAY, STS_NONE, "may:table sni=mx.a.test", "may:table sni=other.test"},
        {TLS_ENCRYPT, STS_NONE, "encrypt:table sni=mx.a.test", "encrypt:table sni=other.test"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct trial trial;
        open_trial(&trial, "a.test", rows[i].level, true);
        ck_assert_int_eq(find_hosts(&trial), SEARCH_DISCOVER);
        ck_assert_str_eq(trial.search.discovery->domain, "a.test");
        ck_assert(trial.search.discovery->wants_sts && !trial.search.discovery->anew);
        publish(&trial, rows[i].mode, 2 * TTL);
        ck_assert_int_eq(route_search_next(&trial.search), SEARCH_FOUND);
        ck_assert_int_eq(trial.search.ttl_ms, TTL);
        expect(&trial, 0, rows[i].first);
        expect(&trial, 1, rows[i].second);
        close_trial(&trial);
    }
}
END_TEST

START_TEST(without_a_policy_all_is_as_the_operator_says)
{
    struct trial trial;
    open_trial(&trial, "a.test", TLS_MAY, true);
    trial.search.anew = true;
    ck_assert_int_eq(find_hosts(&trial), SEARCH_DISCOVER);
    ck_assert(trial.search.discovery->anew);
    trial.search.discovery->ttl_ms = TTL / 2;
    ck_assert_int_eq(route_search_next(&trial.search), SEARCH_FOUND);
    ck_assert_int_eq(trial.search.ttl_ms, TTL / 2); /* and asked again when that may have changed */
    expect(&trial, 0, "may:table sni=mx.a.test");
    close_trial(&trial);
}
END_TEST

/* What the operator wants, or forbids, nobody else changes. */
START_TEST(who_is_not_asked)
{
    static const struct {
        enum tls_level level;
        bool mta_sts;
        const char *first;
    } rows[] = {
        {TLS_MAY, false, "may:table sni=mx.a.test"},
        {TLS_NONE, true, "none:table sni=mx.a.test"},
        {TLS_FINGERPRINT, true, "fingerprint:table sni=mx.a.test"},
        {TLS_VERIFY, true, "verify:table sni=mx.a.test name=mx.a.test"},
        {TLS_SECURE, true, "secure:table sni=a.test name=a.test name=.a.test"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct trial trial;
        open_trial(&trial, "a.test", rows[i].level, rows[i].mta_sts);
        ck_assert_int_eq(find_hosts(&trial), SEARCH_FOUND);
        expect(&trial, 0, rows[i].first);
        close_trial(&trial);
    }
    struct trial literal; /* RFC 8461 3.4: a policy is a domain's */
    open_trial(&literal, "[192.0.2.1]", TLS_MAY, true);
    ck_assert_int_eq(route_search_next(&literal.search), SEARCH_FOUND);
    close_trial(&literal);
}
END_TEST

/* RFC 8461 2: MTA-STS never takes DANE's place, least of all where DANE has failed. */
START_TEST(dane_comes_first)
{
    static const char *const nothing[] = {"x.test"};
    static const struct sts_policy policies[] = {
        {.mode = STS_ENFORCE, .count = 1, .patterns = nothing},
        {.mode = STS_TESTING, .count = 1, .patterns = nothing},
    };
    for (size_t i = 0; i < countof(policies); i++) {
        struct arena arena = {0};
        struct buffer key = {0};
        struct tls_terms usable = {.level = TLS_DANE, .source = TLS_FROM_DANE, .sni = "mx.a.test"};
        struct tls_terms failed = {.level = TLS_DANE, .refused = "its TLSA records are bogus"};
        terms_apply_sts(&usable, &policies[i], "a.test", "mx.a.test", &arena);
        terms_apply_sts(&failed, &policies[i], "a.test", "mx.a.test", &arena);
        terms_key(&usable, &key);
        ck_assert(span_equal(buffer_span(&key), SPAN("dane:dane sni=mx.a.test")));
        ck_assert_str_eq(failed.refused, "its TLSA records are bogus");
        ck_assert(failed.doubted == NULL && failed.name_count == 0 && !failed.check_only);
        buffer_free(&key);
        arena_free(&arena);
    }
}
END_TEST

START_TEST(a_search_may_end_before_its_answer)
{
    struct trial trial;
    open_trial(&trial, "a.test", TLS_MAY, true);
    ck_assert_int_eq(find_hosts(&trial), SEARCH_DISCOVER);
    close_trial(&trial);
}
END_TEST

TEST_MAIN("relay/outbound/route_sts", each_mode_at_each_level,
          without_a_policy_all_is_as_the_operator_says, who_is_not_asked, dane_comes_first,
          a_search_may_end_before_its_answer);
