/* Whom sessions are counted for, and under which policy (RFC 8460 3, 4). */
#include "relay/outbound/reported.h"

#include "relay/outbound/route.h"
#include "tests/suite.h"

#include <stdlib.h>
#include <string.h>

#define RECORD "v=TLSRPTv1; rua=mailto:r@a.test"

static const char *const patterns[] = {"mx.a.test", "*.a.test"};
static const struct sts_policy enforced = {
    .mode = STS_ENFORCE, .max_age_s = 86400, .count = 2, .patterns = patterns};

/* "TYPE DOMAIN STRING,STRING/MX,MX", or "-". */
static const char *shown(const struct reported *reported, const struct tls_terms *terms)
{
    static struct buffer text;
    struct arena arena CLEANUP(arena_free) = {0};
    struct tlsrpt_policy policy;
    buffer_clear(&text);
    if (!reported_policy(reported, terms, "mx.a.test", &arena, &policy)) {
        return "-";
    }
    buffer_print(&text, "%s %s ", tlsrpt_policy_name(policy.type), policy.domain);
    for (unsigned i = 0; i < policy.string_count; i++)
        buffer_print(&text, "%s%s", i > 0 ? "," : "", policy.strings[i]);
    buffer_print(&text, "/");
    for (unsigned i = 0; i < policy.mx_count; i++)
        buffer_print(&text, "%s%s", i > 0 ? "," : "", policy.mx[i]);
    buffer_append(&text, (struct span){"", 1});
    return buffer_span(&text).data;
}

#define STS_SHOWN                                                                                  \
    "sts a.test version: STSv1,mode: enforce,mx: mx.a.test,mx: *.a.test,max_age: 86400/"           \
    "mx.a.test,*.a.test"

START_TEST(rfc8460_4_the_policy_that_was_in_force)
{
    static const struct tlsa records[] = {{3, 1, 1, {"\x00\xAB", 2}}, {2, 0, 1, {"\xFF", 1}}};
    const struct {
        struct tls_terms terms;
        const char *shown;
    } rows[] = {
        {{.level = TLS_MAY}, "no-policy-found a.test /"},
        {{.level = TLS_SECURE}, "no-policy-found a.test /"}, /* the operator's own */
        {{.level = TLS_MAY, .source = TLS_FROM_HEADER}, "-"},
        {{.level = TLS_VERIFY, .source = TLS_FROM_STS}, STS_SHOWN},
        {{.level = TLS_MAY, .check_only = true}, STS_SHOWN}, /* testing */
        {{.level = TLS_VERIFY, .source = TLS_FROM_STS, .refused = "", .refusal = TLS_REFUSED_STS},
         STS_SHOWN},
        {{.level = TLS_DANE,
          .source = TLS_FROM_DANE,
          .tlsa_base = "base.test",
          .records = records,
          .record_count = 2},
         "tlsa base.test 3 1 1 00AB,2 0 1 FF/"},
        {{.level = TLS_ENCRYPT, .source = TLS_FROM_DANE}, "tlsa mx.a.test /"}, /* none usable */
        {{.level = TLS_MAY, .refused = "", .refusal = TLS_REFUSED_DNSSEC}, "tlsa mx.a.test /"},
        {{.level = TLS_DANE, .refused = "", .refusal = TLS_REFUSED_NO_TLSA}, "tlsa mx.a.test /"},
    };
    struct reported *reported =
        reported_create("a.test", SPAN(RECORD), &enforced, STS_NO_FAILURE, "");
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_str_eq(shown(reported, &rows[i].terms), rows[i].shown);
    reported_drop(&reported);
    ck_assert_ptr_null(reported);
}
END_TEST

START_TEST(it_is_shared)
{
    struct reported *one = reported_create("a.test", SPAN(RECORD), NULL, STS_FETCH_ERROR, "404");
    struct reported *other = reported_keep(one), *nobody = reported_keep(NULL);
    reported_drop(&one);
    ck_assert_str_eq(other->domain, "a.test");
    ck_assert_str_eq(other->record, RECORD);
    ck_assert_str_eq(other->why, "404");
    ck_assert_int_eq(other->sts.type, TLSRPT_POLICY_NONE);
    reported_drop(&other);
    reported_drop(&nobody);
}
END_TEST

/* ---- with a route ---- */

struct trial {
    struct config config;
    struct tls_config tls;
    struct destination_config limits;
    struct destination destination;
    struct route route;
    struct route_search search;
};

static void open_trial(struct trial *trial, enum tls_level level, enum security security)
{
    *trial = (struct trial){
        .config = {.hostname = "relay.test", .smtp_port = 2525, .tlsrpt = {.on = true}},
        .tls = {.name = "*", .policy = TLS_POLICY_DEFAULT},
        .limits = {.max_hosts = 20, .max_addresses = 10}};
    trial->tls.policy.level = level;
    names_init(&trial->config.routes);
    names_init(&trial->config.destinations);
    names_init(&trial->config.tls);
    names_add(&trial->config.tls, SPAN("*"), &trial->tls);
    names_add(&trial->config.destinations, SPAN("*"), &trial->limits);
    trial->destination.name = must_strdup("a.test");
    trial->destination.security = security;
    trial->route.destination = &trial->destination;
}

static void close_trial(struct trial *trial)
{
    route_search_free(&trial->search);
    free(trial->destination.name);
    names_free(&trial->config.routes);
    names_free(&trial->config.destinations);
    names_free(&trial->config.tls);
}

static enum search_state find_host(struct trial *trial)
{
    route_search_init(&trial->search, &trial->route, &trial->config);
    ck_assert_int_eq(route_search_next(&trial->search), SEARCH_ASK);
    struct resolution *answer = trial->search.resolution;
    struct ip *ip = arena_take(&answer->arena, sizeof(*ip));
    ck_assert(ip_parse(SPAN("192.0.2.1"), ip));
    answer->result = RESOLVE_OK;
    answer->count = 1;
    answer->hosts = arena_take(&answer->arena, sizeof(*answer->hosts));
    answer->hosts[0] = (struct resolved_host){"mx.a.test", .count = 1, .addresses = ip};
    return route_search_next(&trial->search);
}

static const struct reported *publish(struct trial *trial, struct span *records, unsigned count)
{
    struct discovery *answer = trial->search.discovery;
    answer->tlsrpt = records;
    answer->tlsrpt_count = count;
    answer->why = "";
    answer->sts = &enforced;
    ck_assert_int_eq(route_search_next(&trial->search), SEARCH_FOUND);
    return trial->search.reported;
}

/* RFC 8460 3: exactly one record, and one that names somebody. */
START_TEST(rfc8460_3_who_publishes_a_record)
{
    static struct span good = SPAN(RECORD), useless = SPAN("v=TLSRPTv1; rua=tel:1");
    struct trial trial;
    open_trial(&trial, TLS_MAY, SECURITY_USUAL);
    ck_assert_int_eq(find_host(&trial), SEARCH_DISCOVER);
    ck_assert(trial.search.discovery->wants_tlsrpt);
    const struct reported *reported = publish(&trial, &good, 1);
    ck_assert_str_eq(reported->domain, "a.test");
    ck_assert_str_eq(reported->record, RECORD);
    ck_assert_int_eq(reported->sts.type, TLSRPT_POLICY_STS);
    close_trial(&trial);

    struct span several[] = {good, good};
    const struct {
        struct span *records;
        unsigned count;
    } rows[] = {{NULL, 0}, {&useless, 1}, {several, 2}};
    for (size_t i = 0; i < countof(rows); i++) {
        open_trial(&trial, TLS_MAY, SECURITY_USUAL);
        ck_assert_int_eq(find_host(&trial), SEARCH_DISCOVER);
        ck_assert_ptr_null(publish(&trial, rows[i].records, rows[i].count));
        close_trial(&trial);
    }
}
END_TEST

static bool is_asked_for(enum tls_level level, enum security security, bool on)
{
    struct trial trial;
    open_trial(&trial, level, security);
    trial.config.tlsrpt.on = on;
    bool asked = find_host(&trial) == SEARCH_DISCOVER && trial.search.discovery->wants_tlsrpt;
    close_trial(&trial);
    return asked;
}

/* RFC 8460 3: sessions of reports themselves are not reported, nor where no TLS is tried. */
START_TEST(rfc8460_3_what_is_not_reported)
{
    ck_assert(is_asked_for(TLS_MAY, SECURITY_USUAL, true));
    ck_assert(is_asked_for(TLS_SECURE, SECURITY_USUAL, true));
    ck_assert(is_asked_for(TLS_MAY, SECURITY_PREFERRED, true));
    ck_assert(!is_asked_for(TLS_MAY, SECURITY_USUAL, false));
    ck_assert(!is_asked_for(TLS_NONE, SECURITY_USUAL, true));
    ck_assert(!is_asked_for(TLS_MAY, SECURITY_OPTIONAL, true));
}
END_TEST

TEST_MAIN("relay/outbound/reported", rfc8460_4_the_policy_that_was_in_force, it_is_shared,
          rfc8460_3_who_publishes_a_record, rfc8460_3_what_is_not_reported)
