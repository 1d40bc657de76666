/* Which hosts may be used for mail that came with REQUIRETLS, or whose header says
 * "TLS-Required: No", and on what terms (RFC 8689 4.2). */
#include "relay/outbound/route.h"

#include "tests/suite.h"

#include <string.h>

#define LITERAL "[192.0.2.1]"

static struct next_hop_host hops[] = {{"mx.c.test", {0}, 25},
                                      {NULL, {.family = 4, .bytes = {192, 0, 2, 9}}, 25}};
static const struct route_config by_name = {.name = "a.test", .hosts = hops, .count = 1};
static const struct route_config by_both = {.name = "a.test", .hosts = hops, .count = 2};
static const struct login_config login = {.name = "smarthost"};
static const struct route_config by_login = {
    .name = "a.test", .hosts = hops, .count = 1, .login = &login};
static const struct route_config by_address = {.name = "a.test", .hosts = &hops[1], .count = 1};

struct row {
    const char *destination;
    enum security security;
    enum tls_level level;
    const struct route_config *route; /* NULL: by MX, or literal */
    bool secure;                      /* DNSSEC proves the MX */
    const struct sts_policy *sts;     /* what the domain publishes; NULL: nothing, … */
    const char *why;                  /* … or it could not be had, for this reason */
    const char *wanted; /* "HOST LEVEL:SOURCE[:check] REQUIRETLS[ refused]" a line each,
                           or "KIND STATUS" */
};

/* One host for whatever was asked. */
static void answer(struct resolution *to, bool secure)
{
    to->result = RESOLVE_OK;
    to->secure = secure;
    to->ttl_ms = RESOLVE_TTL_LEAST_MS;
    to->count = 1;
    to->hosts = arena_take(&to->arena, sizeof(*to->hosts));
    to->hosts[0] = (struct resolved_host){.name = "mx.b.test", .preference = 10, .count = 1};
    to->hosts[0].addresses = arena_take(&to->arena, sizeof(struct ip));
    to->hosts[0].addresses[0] = (struct ip){.family = 4, .bytes = {192, 0, 2, 1}};
}

static void publish(struct discovery *to, const struct row *row)
{
    to->sts = row->sts;
    to->why = row->why ? row->why : "";
    to->ttl_ms = RESOLVE_TTL_LEAST_MS;
}

static void tell(const struct route_search *search, enum search_state state, struct buffer *got)
{
    char text[STATUS_TEXT_MAX];
    if (state == SEARCH_FAILED) {
        buffer_print(got, "%s %s", verdict_name(search->verdict.kind),
                     status_format(search->verdict.status, text));
        return;
    }
    for (unsigned i = 0; i < search->count; i++) {
        const struct tls_terms *tls = &search->hosts[i].tls;
        buffer_print(got, "%s %s:%s%s %d%s\n", search->hosts[i].name, tls_level_name(tls->level),
                     tls_source_name(tls->source), tls->check_only ? ":check" : "",
                     (int)tls->requiretls, tls->refused ? " refused" : "");
    }
}

static void search_row(const struct row *row)
{
    struct config config = {.hostname = "relay.test", .smtp_port = 25};
    struct tls_config tls = {.name = "*", .policy = TLS_POLICY_DEFAULT};
    struct destination_config limits = {.max_hosts = 20, .max_addresses = 10};
    struct destination destination = {.security = row->security};
    struct route route = {.destination = &destination};
    struct route_search search;
    struct buffer got CLEANUP(buffer_free) = {0};
    tls.policy.level = row->level;
    destination.name = must_strdup(row->destination);
    names_init(&config.routes);
    names_init(&config.destinations);
    names_init(&config.tls);
    names_add(&config.tls, SPAN("*"), &tls);
    names_add(&config.destinations, SPAN("*"), &limits);
    if (row->route != NULL)
        names_add(&config.routes, span_of(row->route->name), (void *)(uintptr_t)row->route);
    route_search_init(&search, &route, &config);
    enum search_state state;
    while ((state = route_search_next(&search)) == SEARCH_ASK || state == SEARCH_DISCOVER) {
        if (state == SEARCH_ASK)
            answer(search.resolution, row->secure);
        else
            publish(search.discovery, row);
    }
    tell(&search, state, &got);
    ck_assert_msg(span_equal(buffer_span(&got), span_of(row->wanted)), "%s %s %s:\n%.*s\nnot\n%s",
                  row->destination, security_name(row->security), tls_level_name(row->level),
                  SPAN_FORMAT(buffer_span(&got)), row->wanted);
    route_search_free(&search);
    free(destination.name);
    names_free(&config.routes);
    names_free(&config.destinations);
    names_free(&config.tls);
}

static void search_all(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        search_row(&rows[i]);
}

/* RFC 8689 4.2.1, step 2: without DNSSEC or MTA-STS the MX host could be anybody's. */
START_TEST(the_way_must_be_proven)
{
    static const struct row rows[] = {
        {"a.test", SECURITY_REQUIRED, TLS_MAY, NULL, true,
         .wanted = "mx.b.test verify:requiretls 2\n"},
        {"a.test", SECURITY_REQUIRED, TLS_MAY, NULL, false, .wanted = "bounced 5.7.10"},
        {"a.test", SECURITY_REQUIRED, TLS_VERIFY, NULL, false, .wanted = "bounced 5.7.10"},
        {"a.test", SECURITY_REQUIRED, TLS_SECURE, NULL, false,
         .wanted = "mx.b.test secure:table 2\n"},
        /* the operator's route is no look-up */
        {"a.test", SECURITY_REQUIRED, TLS_MAY, &by_name, false,
         .wanted = "mx.c.test verify:requiretls 2\n"},
        {"a.test", SECURITY_REQUIRED, TLS_NONE, &by_name, false,
         .wanted = "mx.c.test verify:requiretls 2\n"},
        /* an address carries no name to be held against a certificate */
        {"a.test", SECURITY_REQUIRED, TLS_MAY, &by_address, false, .wanted = "bounced 5.7.10"},
        {"a.test", SECURITY_REQUIRED, TLS_MAY, &by_both, false,
         .wanted = "mx.c.test verify:requiretls 2\n[192.0.2.9] may:table 2 refused\n"},
        {LITERAL, SECURITY_REQUIRED, TLS_MAY, NULL, true, .wanted = "bounced 5.7.10"},
    };
    search_all(rows, countof(rows));
}
END_TEST

/* RFC 8461 4.1 in place of DNSSEC, where it is enforced; what cannot be had now may be had later.
 */
START_TEST(mta_sts_proves_it_as_well)
{
    static const char *const patterns[] = {"mx.b.test"}, *const others[] = {"mx.z.test"};
    static const struct sts_policy enforced = {
        .mode = STS_ENFORCE, .count = 1, .patterns = patterns};
    static const struct sts_policy tested = {.mode = STS_TESTING, .count = 1, .patterns = patterns};
    static const struct sts_policy of_others = {
        .mode = STS_ENFORCE, .count = 1, .patterns = others};
    static const struct row rows[] = {
        {"a.test", SECURITY_REQUIRED, TLS_MAY, NULL, false, .sts = &enforced,
         .wanted = "mx.b.test verify:sts 2\n"},
        {"a.test", SECURITY_REQUIRED, TLS_NONE, NULL, false, .sts = &enforced,
         .wanted = "mx.b.test verify:sts 2\n"},
        {"a.test", SECURITY_REQUIRED, TLS_VERIFY, NULL, false, .sts = &enforced,
         .wanted = "mx.b.test verify:table 2\n"},
        {"a.test", SECURITY_REQUIRED, TLS_VERIFY, NULL, false, .sts = &of_others,
         .wanted = "bounced 5.7.10"},
        {"a.test", SECURITY_REQUIRED, TLS_MAY, NULL, false, .sts = &of_others,
         .wanted = "mx.b.test verify:sts 2 refused\n"}, /* as all mail: it waits (RFC 8461 5) */
        {"a.test", SECURITY_REQUIRED, TLS_MAY, NULL, false, .sts = &tested,
         .wanted = "bounced 5.7.10"},
        {"a.test", SECURITY_REQUIRED, TLS_MAY, NULL, false, .why = "timed out",
         .wanted = "deferred 4.7.10"},
        {"a.test", SECURITY_REQUIRED, TLS_MAY, NULL, true, .why = "timed out",
         .wanted = "mx.b.test verify:requiretls 2\n"},
        {"a.test", SECURITY_PREFERRED, TLS_MAY, NULL, false, .sts = &enforced,
         .wanted = "mx.b.test verify:sts 1\n"},
    };
    search_all(rows, countof(rows));
}
END_TEST

/* RFC 8689 5: nothing keeps a notification from going. */
START_TEST(a_notification_finds_its_way)
{
    static const struct row rows[] = {
        {"a.test", SECURITY_PREFERRED, TLS_MAY, NULL, true,
         .wanted = "mx.b.test may:table:check 1\n"},
        {"a.test", SECURITY_PREFERRED, TLS_MAY, NULL, false, .wanted = "mx.b.test may:table 0\n"},
        {"a.test", SECURITY_PREFERRED, TLS_VERIFY, &by_name, false,
         .wanted = "mx.c.test verify:table 1\n"},
        {LITERAL, SECURITY_PREFERRED, TLS_MAY, NULL, false, .wanted = LITERAL " may:table 0\n"},
    };
    search_all(rows, countof(rows));
}
END_TEST

/* RFC 8689 4.2.2; and the key of a site, and of tickets, tells it from usual mail. */
START_TEST(the_header_lowers_the_level)
{
    static const struct row rows[] = {
        {"a.test", SECURITY_OPTIONAL, TLS_SECURE, NULL, false,
         .wanted = "mx.b.test may:header 0\n"},
        {"a.test", SECURITY_OPTIONAL, TLS_DANE_ONLY, NULL, true,
         .wanted = "mx.b.test may:header 0\n"},
        {"a.test", SECURITY_OPTIONAL, TLS_MAY, &by_both, false,
         .wanted = "mx.c.test may:header 0\n[192.0.2.9] may:header 0\n"},
        {"a.test", SECURITY_OPTIONAL, TLS_NONE, NULL, false, .wanted = "mx.b.test none:header 0\n"},
        {"a.test", SECURITY_USUAL, TLS_MAY, NULL, true, .wanted = "mx.b.test may:table 0\n"},
        /* nobody gets the operator's credentials for what a header says */
        {"a.test", SECURITY_OPTIONAL, TLS_VERIFY, &by_login, false,
         .wanted = "mx.c.test verify:table 0\n"},
    };
    search_all(rows, countof(rows));
}
END_TEST

TEST_MAIN("relay/outbound/route_security", the_way_must_be_proven, mta_sts_proves_it_as_well,
          a_notification_finds_its_way, the_header_lowers_the_level)
