/* What the operator's own table says of a next hop, and what comes of it. */
#include "relay/outbound/route.h"

#include "tests/suite.h"

#include <stdlib.h>
#include <string.h>

#define TTL 3600000

struct trial {
    struct config config;
    struct tls_config tls;
    struct destination_config limits;
    struct destination destination;
    struct route route;
    struct route_search search;
};

static void open_trial(struct trial *trial, enum tls_level level)
{
    static const struct tls_match section = {MATCH_NAME, "section.test"};
    *trial = (struct trial){.config = {.hostname = "relay.test",
                                       .smtp_port = 2525,
                                       .tls_policy_map = "tcp:127.0.0.1:1"},
                            .tls = {.name = "*", .policy = TLS_POLICY_DEFAULT},
                            .limits = {.max_hosts = 20, .max_addresses = 10}};
    trial->tls.policy.level = level;
    trial->tls.policy.mta_sts = false;
    trial->tls.policy.matches = &section;
    trial->tls.policy.match_count = 1;
    names_init(&trial->config.routes);
    names_init(&trial->config.destinations);
    names_init(&trial->config.tls);
    names_add(&trial->config.tls, SPAN("*"), &trial->tls);
    names_add(&trial->config.destinations, SPAN("*"), &trial->limits);
    trial->destination.name = must_strdup("a.test");
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

/* The first thing that is asked is the table; what comes next. */
static enum search_state answer_table(struct trial *trial, enum policy_answer answer,
                                      const char *text)
{
    ck_assert_int_eq(route_search_next(&trial->search), SEARCH_DISCOVER);
    struct discovery *question = trial->search.discovery;
    ck_assert_str_eq(question->map, "tcp:127.0.0.1:1");
    ck_assert_str_eq(question->domain, "a.test");
    question->question.answer = answer;
    question->question.text = span_of(text);
    return route_search_next(&trial->search);
}

static enum search_state answer_dns(struct trial *trial)
{
    struct resolution *answer = trial->search.resolution;
    struct ip *ip = arena_take(&answer->arena, sizeof(*ip));
    ck_assert(ip_parse(SPAN("192.0.2.1"), ip));
    answer->result = RESOLVE_OK;
    answer->ttl_ms = TTL;
    answer->count = 1;
    answer->hosts = arena_take(&answer->arena, sizeof(*answer->hosts));
    answer->hosts[0] = (struct resolved_host){"mx.a.test", .count = 1, .addresses = ip};
    return route_search_next(&trial->search);
}

START_TEST(it_stands_in_place_of_the_section)
{
    static const struct {
        enum tls_level level;
        enum security security;
        enum policy_answer answer;
        const char *text, *terms;
    } rows[] = {
        {TLS_MAY, SECURITY_USUAL, POLICY_NOT_FOUND, "", "may:table sni=mx.a.test"},
        {TLS_VERIFY, SECURITY_USUAL, POLICY_NOT_FOUND, "",
         "verify:table sni=mx.a.test name=section.test"},
        {TLS_MAY, SECURITY_USUAL, POLICY_FOUND, "encrypt", "encrypt:server sni=mx.a.test"},
        {TLS_VERIFY, SECURITY_USUAL, POLICY_FOUND, "none", "none:server sni=mx.a.test"},
        {TLS_MAY, SECURITY_USUAL, POLICY_FOUND, "secure match=.a.test:b.test servername=hostname",
         "secure:server sni=mx.a.test name=.a.test name=b.test"},
        {TLS_VERIFY, SECURITY_USUAL, POLICY_FOUND, "secure",
         "secure:server sni=a.test name=a.test name=.a.test"},
        {TLS_MAY, SECURITY_USUAL, POLICY_FOUND,
         "fingerprint match=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
         "fingerprint:server sni=mx.a.test "
         "sha256=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"},
        /* RFC 8689 5: what the mail's own header says comes on top */
        {TLS_MAY, SECURITY_OPTIONAL, POLICY_FOUND, "secure", "may:header sni=mx.a.test"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct trial trial;
        struct buffer key CLEANUP(buffer_free) = {0};
        open_trial(&trial, rows[i].level);
        trial.destination.security = rows[i].security;
        ck_assert_int_eq(answer_table(&trial, rows[i].answer, rows[i].text), SEARCH_ASK);
        ck_assert_int_eq(answer_dns(&trial), SEARCH_FOUND);
        ck_assert_int_eq(trial.search.ttl_ms, POLICY_MAP_TTL_MS);
        arena_free(&trial.search.arena); /* nothing of the terms lies there */
        terms_key(&trial.search.hosts[0].tls, &key);
        ck_assert_msg(span_equal(buffer_span(&key), span_of(rows[i].terms)), "%.*s\nshould be\n%s",
                      SPAN_FORMAT(buffer_span(&key)), rows[i].terms);
        close_trial(&trial);
    }
}
END_TEST

START_TEST(it_fails_closed)
{
    static const struct {
        enum policy_answer answer;
        const char *text, *why;
    } rows[] = {
        {POLICY_FAILED, "it said: TEMP later",
         "the TLS policy map gives no answer: it said: TEMP later"},
        {POLICY_FOUND, "secure protocols=TLSv1.3",
         "the TLS policy map's answer is not understood: an attribute that is not known here"},
        {POLICY_FOUND, "",
         "the TLS policy map's answer is not understood: it begins with no level that is known "
         "here"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct trial trial;
        open_trial(&trial, TLS_MAY);
        ck_assert_int_eq(answer_table(&trial, rows[i].answer, rows[i].text), SEARCH_FAILED);
        const struct verdict *verdict = &trial.search.verdict;
        ck_assert_int_eq(verdict->kind, VERDICT_DEFERRED);
        ck_assert(verdict->status.class == 4 && verdict->status.subject == 7 &&
                  verdict->status.detail == 5);
        ck_assert_msg(span_equal(verdict->text, span_of(rows[i].why)), "%.*s",
                      SPAN_FORMAT(verdict->text));
        ck_assert(trial.search.no_policy);
        close_trial(&trial);
    }
}
END_TEST

TEST_MAIN("relay/outbound/route_table", it_stands_in_place_of_the_section, it_fails_closed)
