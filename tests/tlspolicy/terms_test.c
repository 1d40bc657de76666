#include "tlspolicy/terms.h"

#include "tests/suite.h"

#include <string.h>

/* The terms in a form that a table can hold: level, source, names, SNI, refusal. */
static char *told(const struct tls_terms *terms, struct arena *arena)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    terms_key(terms, &text);
    return arena_copy(arena, buffer_span(&text));
}

#define HOSTNAME                                                                                   \
    {                                                                                              \
        MATCH_HOSTNAME, NULL                                                                       \
    }
#define NEXTHOP                                                                                    \
    {                                                                                              \
        MATCH_NEXTHOP, NULL                                                                        \
    }
#define DOT_NEXTHOP                                                                                \
    {                                                                                              \
        MATCH_DOT_NEXTHOP, NULL                                                                    \
    }
#define NO_NAME " refused=there is no name that its certificate could be held against: set match"

/* tls-rules, "Names and SNI": whom each level authenticates, and what is sent as SNI. */
START_TEST(names_by_level)
{
    static const struct row {
        enum tls_level level;
        struct tls_match matches[3];
        unsigned count;
        const char *host, *next_hop, *expected;
    } rows[] = {
        {TLS_NONE, {{0}}, 0, "mx.b.test", "a.test", "none:table sni=mx.b.test"},
        {TLS_MAY, {{0}}, 0, "mx.b.test", "a.test", "may:table sni=mx.b.test"},
        {TLS_ENCRYPT, {{0}}, 0, "mx.b.test", "a.test", "encrypt:table sni=mx.b.test"},
        {TLS_MAY, {{0}}, 0, "[192.0.2.1]", "[192.0.2.1]", "may:table sni="},
        {TLS_DANE, {{0}}, 0, "mx.b.test", "a.test", "may:table sni=mx.b.test"},
        {TLS_DANE_ONLY,
         {{0}},
         0,
         "mx.b.test",
         "a.test",
         "dane:table sni=mx.b.test refused=nothing is known of its TLSA records"},
        {TLS_VERIFY, {{0}}, 0, "mx.b.test", "a.test", "verify:table sni=mx.b.test name=mx.b.test"},
        {TLS_VERIFY, {NEXTHOP}, 1, "mx.b.test", "a.test", "verify:table sni=mx.b.test name=a.test"},
        {TLS_VERIFY,
         {{MATCH_NAME, ".c.test"}, HOSTNAME},
         2,
         "mx.b.test",
         "a.test",
         "verify:table sni=mx.b.test name=.c.test name=mx.b.test"},
        {TLS_VERIFY, {{0}}, 0, "[192.0.2.1]", "a.test", "verify:table sni=" NO_NAME},
        {TLS_VERIFY,
         {{MATCH_NAME, "c.test"}},
         1,
         "[192.0.2.1]",
         "a.test",
         "verify:table sni= name=c.test"},
        {TLS_SECURE,
         {{0}},
         0,
         "mx.b.test",
         "a.test",
         "secure:table sni=a.test name=a.test name=.a.test"},
        {TLS_SECURE, {NEXTHOP}, 1, "mx.b.test", "a.test", "secure:table sni=a.test name=a.test"},
        {TLS_SECURE,
         {DOT_NEXTHOP, HOSTNAME},
         2,
         "mx.b.test",
         "a.test",
         "secure:table sni=a.test name=.a.test name=mx.b.test"},
        {TLS_SECURE, {{0}}, 0, "[192.0.2.1]", "[192.0.2.1]", "secure:table sni=" NO_NAME},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena CLEANUP(arena_free) = {0};
        const struct tls_policy policy = {
            .level = rows[i].level, .matches = rows[i].matches, .match_count = rows[i].count};
        struct tls_terms terms = terms_of_policy(&policy, rows[i].host, rows[i].next_hop, &arena);
        ck_assert_msg(strcmp(told(&terms, &arena), rows[i].expected) == 0, "row %zu: %s", i,
                      told(&terms, &arena));
    }
}
END_TEST

START_TEST(the_operator_names_the_server)
{
    struct arena arena CLEANUP(arena_free) = {0};
    const struct tls_match name = {MATCH_NAME, "sni.test"}, hop = {MATCH_NEXTHOP, NULL};
    struct tls_policy policy = {.level = TLS_MAY, .server_name = &name};
    ck_assert_str_eq(terms_of_policy(&policy, "mx.test", "a.test", &arena).sni, "sni.test");
    policy.server_name = &hop;
    ck_assert_str_eq(terms_of_policy(&policy, "mx.test", "a.test", &arena).sni, "a.test");
    ck_assert_ptr_null(terms_of_policy(&policy, "mx.test", "[192.0.2.1]", &arena).sni);
}
END_TEST

/* On resumption nothing is checked again, so whatever was checked must be in the key. */
START_TEST(each_thing_that_is_checked_makes_another_key)
{
    static const struct fingerprint prints[2] = {{{1}}, {{2}}};
    static const struct tlsa records[] = {{3, 1, 1, {"ab", 2}}, {3, 1, 1, {"ac", 2}}};
    static const char *names[] = {"a.test", "b.test"};
    const struct tls_terms variants[] = {
        {.level = TLS_MAY},
        {.level = TLS_ENCRYPT},
        {.level = TLS_MAY, .source = TLS_FROM_HEADER},
        {.level = TLS_MAY, .check_only = true},
        {.level = TLS_MAY, .sni = "a.test"},
        {.level = TLS_MAY, .names = names, .name_count = 1},
        {.level = TLS_MAY, .names = names, .name_count = 2},
        {.level = TLS_MAY, .tlsa_base = "a.test", .records = records, .record_count = 1},
        {.level = TLS_MAY, .tlsa_base = "b.test", .records = records, .record_count = 1},
        {.level = TLS_MAY, .tlsa_base = "a.test", .records = records + 1, .record_count = 1},
        {.level = TLS_MAY, .tlsa_base = "a.test", .records = records, .record_count = 2},
        {.level = TLS_MAY, .fingerprints = prints, .fingerprint_count = 1},
        {.level = TLS_MAY, .fingerprints = prints + 1, .fingerprint_count = 1},
        {.level = TLS_MAY, .refused = "why"},
    };
    struct arena arena CLEANUP(arena_free) = {0};
    for (size_t i = 0; i < countof(variants); i++)
        for (size_t other = 0; other < countof(variants); other++) {
            bool same = strcmp(told(&variants[i], &arena), told(&variants[other], &arena)) == 0;
            ck_assert_msg(same == (i == other), "%zu and %zu", i, other);
        }
}
END_TEST

START_TEST(sources)
{
    static const char *const words[] = {"table", "server", "dane", "sts", "requiretls", "header"};
    _Static_assert(countof(words) == TLS_SOURCES, "a word for each source");
    for (unsigned i = 0; i < TLS_SOURCES; i++)
        ck_assert_str_eq(tls_source_name((enum tls_source)i), words[i]);
}
END_TEST

TEST_MAIN("tlspolicy/terms", names_by_level, the_operator_names_the_server,
          each_thing_that_is_checked_makes_another_key, sources)
