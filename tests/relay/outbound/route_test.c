#include "relay/outbound/route.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

#define TTL 120000
#define HOSTS_MAX 4
#define ADDRESSES_MAX 5

/* ---- a search, and what DNS would say ---- */

struct host_row {
    const char *name;
    uint16_t preference;
    const char *addresses[ADDRESSES_MAX];
};

struct answer {
    enum resolve_result result;
    const char *why; /* with RESOLVE_OK: what is missing */
    struct host_row hosts[HOSTS_MAX];
};

struct trial {
    struct config config;
    struct tls_config tls;
    struct destination_config limits;
    struct destination destination;
    struct route route;
    struct route_search search;
};

static void open_trial(struct trial *trial, const char *destination,
                       const struct route_config *configured)
{
    *trial = (struct trial){.config = {.hostname = "relay.test", .smtp_port = 2525},
                            .tls = {.name = "*", .policy = TLS_POLICY_DEFAULT},
                            .limits = {.max_hosts = 20, .max_addresses = 10}};
    trial->tls.policy.mta_sts = false; /* what a domain publishes: route_sts_test.c */
    names_init(&trial->config.routes);
    names_init(&trial->config.destinations);
    names_init(&trial->config.tls);
    names_add(&trial->config.tls, SPAN("*"), &trial->tls);
    names_add(&trial->config.destinations, SPAN("*"), &trial->limits);
    if (configured != NULL) /* the names hold what is not theirs, and do not touch it */
        names_add(&trial->config.routes, span_of(configured->name), (void *)(uintptr_t)configured);
    trial->destination.name = must_strdup(destination);
    trial->route.destination = &trial->destination;
}

static void begin(struct trial *trial)
{
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

static void expect_question(const struct trial *trial, const char *domain, enum resolve_kind kind)
{
    const struct resolution *question = trial->search.resolution;
    ck_assert_ptr_nonnull(question);
    ck_assert_str_eq(question->domain, domain);
    ck_assert_int_eq(question->kind, kind);
}

static void answer(struct trial *trial, const struct answer *from)
{
    struct resolution *to = trial->search.resolution;
    to->result = from->result;
    to->why = from->why;
    to->ttl_ms = TTL;
    to->hosts = arena_take(&to->arena, HOSTS_MAX * sizeof(*to->hosts));
    for (; to->count < HOSTS_MAX && from->hosts[to->count].name != NULL; to->count++) {
        const struct host_row *row = &from->hosts[to->count];
        struct resolved_host *host = &to->hosts[to->count];
        *host = (struct resolved_host){.name = row->name, .preference = row->preference};
        host->addresses = arena_take(&to->arena, ADDRESSES_MAX * sizeof(*host->addresses));
        for (; host->count < ADDRESSES_MAX && row->addresses[host->count] != NULL; host->count++)
            ck_assert(
                ip_parse(span_of(row->addresses[host->count]), &host->addresses[host->count]));
    }
}

/* "NAME PREFERENCE PORT ADDRESS…" a line each, or "KIND STATUS TEXT". */
static void expect(const struct trial *trial, enum search_state state, const char *wanted,
                   const char *name)
{
    struct buffer got = {0};
    const struct route_search *search = &trial->search;
    char text[IP_TEXT_MAX];
    ck_assert_msg(state != SEARCH_ASK, "%s: still asks", name);
    for (unsigned i = 0; state == SEARCH_FOUND && i < search->count; i++) {
        const struct site_host *host = &search->hosts[i];
        buffer_print(&got, "%s %u %u", host->name, host->preference, host->port);
        for (unsigned j = 0; j < host->count; j++)
            buffer_print(&got, " %s", ip_format(&host->addresses[j], text));
        buffer_append(&got, SPAN("\n"));
    }
    if (state == SEARCH_FAILED)
        buffer_print(&got, "%s %s %.*s", verdict_name(search->verdict.kind),
                     status_format(search->verdict.status, text),
                     SPAN_FORMAT(search->verdict.text));
    ck_assert_msg(span_equal(buffer_span(&got), span_of(wanted)), "%s:\n%.*s\nshould be:\n%s", name,
                  SPAN_FORMAT(buffer_span(&got)), wanted);
    buffer_free(&got);
}

/* ---- literals ---- */

START_TEST(a_literal_needs_no_dns)
{
    static const char refused[] = "bounced 5.4.4 mail to such an address is not allowed here";
    static const struct {
        const char *literal, *strict, *loopback_allowed;
    } rows[] = {
        {"[192.0.2.1]", "[192.0.2.1] 0 2525 192.0.2.1\n", "[192.0.2.1] 0 2525 192.0.2.1\n"},
        {"[ipv6:2001:db8::1]", "[2001:db8::1] 0 2525 2001:db8::1\n",
         "[2001:db8::1] 0 2525 2001:db8::1\n"},
        {"[127.0.0.1]", refused, "[127.0.0.1] 0 2525 127.0.0.1\n"},
        {"[127.9.9.9]", refused, "[127.9.9.9] 0 2525 127.9.9.9\n"},
        {"[ipv6:::1]", refused, "[::1] 0 2525 ::1\n"},
        {"[ipv6:::ffff:127.0.0.1]", refused, "[127.0.0.1] 0 2525 127.0.0.1\n"},
        {"[0.0.0.0]", refused, "[0.0.0.0] 0 2525 0.0.0.0\n"},
        {"[ipv6:::]", refused, "[::] 0 2525 ::\n"},
        {"[10.1.2.3]", "[10.1.2.3] 0 2525 10.1.2.3\n", "[10.1.2.3] 0 2525 10.1.2.3\n"},
        {"[169.254.169.254]", refused, refused},
        {"[ipv6:fe80::1]", refused, refused},
        {"[255.255.255.255]", refused, refused},
        {"[ipv6:::ffff:224.0.0.1]", refused, refused},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        for (int allowed = 0; allowed < 2; allowed++) {
            struct trial trial;
            open_trial(&trial, rows[i].literal, NULL);
            trial.config.allow_loopback = allowed;
            begin(&trial);
            enum search_state state = route_search_next(&trial.search);
            expect(&trial, state, allowed ? rows[i].loopback_allowed : rows[i].strict,
                   rows[i].literal);
            ck_assert_int_gt(trial.search.ttl_ms, 0);
            close_trial(&trial);
        }
    }
}
END_TEST

/* ---- MX ---- */

#define A1 "192.0.2.1"
#define A2 "192.0.2.2"
#define OWN "192.0.2.77" /* of our machine */
#define LOOP "bounced 5.4.6 the domain's best mail host is this relay: mail would loop"
#define NO_ADDRESS                                                                                 \
    "bounced 5.4.4 none of the domain's mail hosts has an address that mail may be sent to"

static const struct mx_row {
    const char *name;
    bool allow_loopback;
    struct answer answer;
    const char *wanted;
} mx_rows[] = {
    {"hosts and addresses, in their order",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {A1, "2001:db8::1"}}, {"mx2.test", 20, {A2}}}},
     "mx1.test 10 2525 2001:db8::1 192.0.2.1\nmx2.test 20 2525 192.0.2.2\n"},
    {"no such domain",
     false,
     {RESOLVE_NO_DOMAIN, "a.test: no such domain", {{0}}},
     "bounced 5.1.2 a.test: no such domain"},
    {"null MX",
     false,
     {RESOLVE_NULL_MX, "a.test: no mail", {{0}}},
     "bounced 5.1.10 a.test: no mail"},
    {"no address",
     false,
     {RESOLVE_NO_ADDRESS, "a.test: none", {{0}}},
     "bounced 5.4.4 a.test: none"},
    {"DNS fails",
     false,
     {RESOLVE_TEMPORARY, "a.test: SERVFAIL", {{0}}},
     "deferred 4.4.3 a.test: SERVFAIL"},
    {"a host without addresses is passed over",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {0}}, {"mx2.test", 20, {A2}}}},
     "mx2.test 20 2525 192.0.2.2\n"},

    {"ourselves as second: only the better ones",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {A1}}, {"RELAY.test", 20, {A2}}, {"mx3.test", 30, {A2}}}},
     "mx1.test 10 2525 192.0.2.1\n"},
    {"ourselves among equals: those go too",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {A1}}, {"mx2.test", 20, {A2}}, {"relay.test", 20, {A2}}}},
     "mx1.test 10 2525 192.0.2.1\n"},
    {"ourselves as the best",
     false,
     {RESOLVE_OK, NULL, {{"relay.test", 10, {A1}}, {"mx2.test", 20, {A2}}}},
     LOOP},
    {"ourselves as one of the best",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {A1}}, {"relay.test", 10, {A2}}}},
     LOOP},
    {"ourselves at the least preference there is",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {A1}}, {"relay.test", 65535, {A2}}}},
     "mx1.test 10 2525 192.0.2.1\n"},
    {"others at that preference stay",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 65535, {A1}}}},
     "mx1.test 65535 2525 192.0.2.1\n"},

    {"loopback addresses are left out",
     false,
     {RESOLVE_OK,
      NULL,
      {{"mx1.test", 10, {"127.0.0.1", A1, "::1"}}, {"mx2.test", 20, {"0.0.0.0"}}}},
     "mx1.test 10 2525 192.0.2.1\n"},
    {"so are those that lead nowhere",
     false,
     {RESOLVE_OK,
      NULL,
      {{"mx1.test", 10, {"169.254.169.254", A1, "fe80::1"}},
       {"mx2.test", 20, {"224.0.0.1", "255.255.255.255", "::ffff:127.0.0.1"}}}},
     "mx1.test 10 2525 192.0.2.1\n"},
    {"private ones are somebody's",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {"10.0.0.1", "192.168.0.1", "fd00::1"}}}},
     "mx1.test 10 2525 fd00::1 10.0.0.1 192.168.0.1\n"},
    {"ourselves by an address at which we listen",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {A1}}, {"mx2.test", 20, {A2, OWN}}}},
     "mx1.test 10 2525 192.0.2.1\n"},
    {"ourselves by loopback, allowed or not",
     true,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {A1}}, {"mx2.test", 20, {"::1"}}}},
     "mx1.test 10 2525 192.0.2.1\n"},
    {"ourselves by the address of any, as the best",
     true,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {"0.0.0.0"}}, {"mx2.test", 20, {A1}}}},
     LOOP},
    {"nothing but loopback",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {"127.0.0.1"}}, {"mx2.test", 20, {"::1"}}}},
     NO_ADDRESS},
    {"loopback where it is allowed",
     true,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {"127.0.0.1"}}}},
     "mx1.test 10 2525 127.0.0.1\n"},

    {"the better hosts could not be looked up: that is no reason to bounce",
     false,
     {RESOLVE_OK, "mx1.test: SERVFAIL", {{"mx1.test", 10, {0}}, {"relay.test", 20, {A2}}}},
     "deferred 4.4.3 mx1.test: SERVFAIL"},
    {"nor is it beside a loopback one",
     false,
     {RESOLVE_OK, "mx1.test: timeout", {{"mx1.test", 10, {0}}, {"mx2.test", 10, {"127.0.0.1"}}}},
     "deferred 4.4.3 mx1.test: timeout"},
    {"the better hosts have no address",
     false,
     {RESOLVE_OK, NULL, {{"mx1.test", 10, {0}}, {"relay.test", 20, {A2}}}},
     NO_ADDRESS},
};

/* Where it listens on all its addresses, at the port of MX hosts. */
static void listen_everywhere(struct trial *trial)
{
    static struct listen_config listen = {.at = {.port = 2525}};
    static struct ip own;
    ck_assert(ip_parse(SPAN("::"), &listen.at.ip) && ip_parse(SPAN(OWN), &own));
    trial->config.listen = &listen;
    trial->config.listen_count = 1;
    trial->config.own = &own;
    trial->config.own_count = 1;
}

START_TEST(mx_outcomes)
{
    for (size_t i = 0; i < countof(mx_rows); i++) {
        const struct mx_row *row = &mx_rows[i];
        struct trial trial;
        open_trial(&trial, "a.test", NULL);
        trial.config.allow_loopback = row->allow_loopback;
        if (strstr(row->name, "ourselves by") != NULL)
            listen_everywhere(&trial);
        begin(&trial);
        ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
        expect_question(&trial, "a.test", RESOLVE_MX);
        answer(&trial, &row->answer);
        expect(&trial, route_search_next(&trial.search), row->wanted, row->name);
        ck_assert_int_eq(trial.search.ttl_ms, TTL);
        close_trial(&trial);
    }
}
END_TEST

/* ---- which addresses of a host, and how many hosts ---- */

#define SIX "2001:db8::"
static const struct answer two_families = {
    RESOLVE_OK,
    NULL,
    {{"mx1.test", 10, {A1, A2, "192.0.2.3", SIX "1", SIX "2"}}, {"mx2.test", 20, {A2}}}};

START_TEST(families_take_turns_up_to_the_limit)
{
    static const struct {
        enum families families;
        unsigned addresses, hosts;
        const char *wanted;
    } rows[] = {
        {FAMILIES_BOTH, 10, 10,
         "mx1.test 10 2525 " SIX "1 " A1 " " SIX "2 " A2 " 192.0.2.3\nmx2.test 20 2525 " A2 "\n"},
        {FAMILIES_BOTH, 3, 1, "mx1.test 10 2525 " SIX "1 " A1 " " SIX "2\n"},
        {FAMILIES_BOTH, 1, 1, "mx1.test 10 2525 " SIX "1\n"},
        {FAMILIES_IPV4_FIRST, 4, 1, "mx1.test 10 2525 " A1 " " SIX "1 " A2 " " SIX "2\n"},
        {FAMILIES_IPV4, 2, 10, "mx1.test 10 2525 " A1 " " A2 "\nmx2.test 20 2525 " A2 "\n"},
        {FAMILIES_IPV6, 10, 10, "mx1.test 10 2525 " SIX "1 " SIX "2\n"}, /* mx2 has none */
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct trial trial;
        open_trial(&trial, "a.test", NULL);
        trial.limits = (struct destination_config){.families = rows[i].families,
                                                   .max_addresses = rows[i].addresses,
                                                   .max_hosts = rows[i].hosts};
        begin(&trial);
        ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
        answer(&trial, &two_families);
        expect(&trial, route_search_next(&trial.search), rows[i].wanted, "families");
        close_trial(&trial);
    }
}
END_TEST

START_TEST(a_family_that_is_not_used_is_no_way)
{
    static const struct answer only_four = {RESOLVE_OK, NULL, {{"mx1.test", 10, {A1}}}};
    static const char refused[] = "bounced 5.4.4 addresses of this family are not used here";
    struct trial trial;
    open_trial(&trial, "a.test", NULL);
    trial.limits.families = FAMILIES_IPV6;
    begin(&trial);
    ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
    answer(&trial, &only_four);
    expect(&trial, route_search_next(&trial.search), NO_ADDRESS, "MX");
    close_trial(&trial);
    open_trial(&trial, "[192.0.2.1]", NULL);
    trial.limits.families = FAMILIES_IPV6;
    begin(&trial);
    expect(&trial, route_search_next(&trial.search), refused, "literal");
    close_trial(&trial);
}
END_TEST

/* ---- the operator's routes ---- */

static struct next_hop_host hops[] = {
    {.name = "one.test", .port = 587},
    {.ip = {4, {192, 0, 2, 9}}, .port = 2526},
    {.name = "three.test", .port = 26},
    {.ip = {4, {127, 0, 0, 1}}, .port = 25},
};
static const struct route_config mixed = {.name = "a.test", .hosts = hops, .count = 4};
static const struct route_config addresses = {.name = ".corp.test", .hosts = &hops[3], .count = 1};
static const struct route_config everything = {.name = "*", .hosts = &hops[1], .count = 1};

START_TEST(a_configured_route_comes_first)
{
    static const struct {
        const struct route_config *route;
        const char *destination, *wanted;
    } rows[] = {
        {&addresses, "mail.corp.test", "[127.0.0.1] 0 25 127.0.0.1\n"}, /* it is the operator's */
        {&everything, "b.test", "[192.0.2.9] 0 2526 192.0.2.9\n"},
        {&everything, "[198.51.100.1]", "[192.0.2.9] 0 2526 192.0.2.9\n"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct trial trial;
        open_trial(&trial, rows[i].destination, rows[i].route);
        begin(&trial);
        expect(&trial, route_search_next(&trial.search), rows[i].wanted, rows[i].destination);
        ck_assert_int_eq(trial.search.ttl_ms, RESOLVE_TTL_MOST_MS);
        close_trial(&trial);
    }
    struct trial other;
    open_trial(&other, "corp.test", &addresses); /* ".corp.test" is what lies below it */
    begin(&other);
    ck_assert_int_eq(route_search_next(&other.search), SEARCH_ASK);
    expect_question(&other, "corp.test", RESOLVE_MX);
    close_trial(&other);
}
END_TEST

static const struct answer found_one = {RESOLVE_OK, NULL, {{"one.test", 0, {A1, "127.0.0.2"}}}};
static const struct answer found_three = {RESOLVE_OK, NULL, {{"three.test", 0, {A2}}}};
static const struct answer none = {RESOLVE_NO_DOMAIN, "no such name", {{0}}};
static const struct answer later = {RESOLVE_TEMPORARY, "SERVFAIL", {{0}}};

/* In the order they were written, whether they are names or addresses. */
static const struct {
    const struct answer *one, *three;
    const char *wanted;
    int64_t ttl_ms;
} configured_rows[] = {
    {&found_one, &found_three,
     "one.test 0 587 192.0.2.1 127.0.0.2\n[192.0.2.9] 1 2526 192.0.2.9\n"
     "three.test 2 26 192.0.2.2\n[127.0.0.1] 3 25 127.0.0.1\n",
     TTL},
    {&none, &found_three,
     "[192.0.2.9] 1 2526 192.0.2.9\nthree.test 2 26 192.0.2.2\n[127.0.0.1] 3 25 127.0.0.1\n",
     RESOLVE_TTL_LEAST_MS},
    {&found_one, &later,
     "one.test 0 587 192.0.2.1 127.0.0.2\n[192.0.2.9] 1 2526 192.0.2.9\n"
     "[127.0.0.1] 3 25 127.0.0.1\n",
     RESOLVE_TTL_LEAST_MS},
    {&later, &none, "[192.0.2.9] 1 2526 192.0.2.9\n[127.0.0.1] 3 25 127.0.0.1\n",
     RESOLVE_TTL_LEAST_MS},
};

START_TEST(configured_names_are_looked_up_one_by_one)
{
    for (size_t i = 0; i < countof(configured_rows); i++) {
        struct trial trial;
        open_trial(&trial, "a.test", &mixed);
        begin(&trial);
        ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
        expect_question(&trial, "one.test", RESOLVE_ADDRESSES);
        answer(&trial, configured_rows[i].one);
        ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
        expect_question(&trial, "three.test", RESOLVE_ADDRESSES);
        answer(&trial, configured_rows[i].three);
        expect(&trial, route_search_next(&trial.search), configured_rows[i].wanted, "configured");
        ck_assert_int_eq(trial.search.ttl_ms, configured_rows[i].ttl_ms);
        close_trial(&trial);
    }
}
END_TEST

START_TEST(a_configured_name_that_leads_nowhere_never_bounces)
{
    static const struct route_config only_names = {.name = "a.test", .hosts = &hops[0], .count = 1};
    static const struct {
        const struct answer *answer;
        const char *wanted;
    } rows[] = {{&none, "deferred 4.4.3 no such name"}, {&later, "deferred 4.4.3 SERVFAIL"}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct trial trial;
        open_trial(&trial, "a.test", &only_names);
        begin(&trial);
        ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
        answer(&trial, rows[i].answer);
        expect(&trial, route_search_next(&trial.search), rows[i].wanted, "nowhere");
        close_trial(&trial);
    }
}
END_TEST

/* A route may lead to loopback, but not to where we listen; and never bounces. */
START_TEST(a_route_to_ourselves_is_no_way)
{
    static struct next_hop_host to_us[] = {
        {.name = "one.test", .port = 2525},
        {.ip = {4, {127, 0, 0, 1}}, .port = 2525},
        {.ip = {4, {127, 0, 0, 1}}, .port = 26},
    };
    static const struct route_config some = {.name = "a.test", .hosts = to_us, .count = 3},
                                     all = {.name = "a.test", .hosts = to_us, .count = 2};
    static const struct answer found = {RESOLVE_OK, NULL, {{"one.test", 0, {OWN, "::1"}}}};
    static const struct answer half = {RESOLVE_OK, NULL, {{"one.test", 0, {OWN, A1}}}};
    static const struct {
        const struct route_config *route;
        const struct answer *answer;
        const char *wanted;
    } rows[] = {
        {&some, &found, "[127.0.0.1] 2 26 127.0.0.1\n"},
        {&some, &half, "one.test 0 2525 " A1 "\n[127.0.0.1] 2 26 127.0.0.1\n"},
        {&all, &found,
         "deferred 4.4.3 [127.0.0.1]: the route leads to this relay itself: mail would loop"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct trial trial;
        open_trial(&trial, "a.test", rows[i].route);
        listen_everywhere(&trial);
        begin(&trial);
        ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
        answer(&trial, rows[i].answer);
        expect(&trial, route_search_next(&trial.search), rows[i].wanted, "ourselves");
        close_trial(&trial);
    }
}
END_TEST

START_TEST(so_many_hosts_and_no_more)
{
    struct next_hop_host many[RESOLVE_HOSTS_MAX + 5];
    const struct route_config route = {.name = "a.test", .hosts = many, .count = countof(many)};
    struct trial trial;
    for (size_t i = 0; i < countof(many); i++)
        many[i] = hops[1];
    open_trial(&trial, "a.test", &route);
    begin(&trial);
    ck_assert_int_eq(route_search_next(&trial.search), SEARCH_FOUND);
    ck_assert_uint_eq(trial.search.count, RESOLVE_HOSTS_MAX);
    close_trial(&trial);
}
END_TEST

START_TEST(a_search_may_end_before_its_answer) /* the leak checker is the judge */
{
    struct trial trial;
    open_trial(&trial, "a.test", &mixed);
    begin(&trial);
    ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
    answer(&trial, &found_one);
    ck_assert_int_eq(route_search_next(&trial.search), SEARCH_ASK);
    ck_assert_uint_eq(trial.search.count, 2);
    close_trial(&trial);
}
END_TEST

TEST_MAIN("relay/outbound/route", a_literal_needs_no_dns, mx_outcomes,
          families_take_turns_up_to_the_limit, a_family_that_is_not_used_is_no_way,
          a_configured_route_comes_first, configured_names_are_looked_up_one_by_one,
          a_configured_name_that_leads_nowhere_never_bounces, a_route_to_ourselves_is_no_way,
          so_many_hosts_and_no_more, a_search_may_end_before_its_answer)
