#include "relay/outbound/wants.h"

#include "base/arena.h"
#include "tests/suite.h"
#include "tests/tlspolicy/scratch.h"
#include "tlspolicy/trust.h"

#include <string.h>

static struct arena arena;

static struct tls_config config_of(enum tls_level level)
{
    return (struct tls_config){.policy = {.level = level}};
}

static struct tls_wants wants_for(const struct tls_config *tls)
{
    struct tls_terms terms =
        terms_of_policy(&tls->policy, "mx.example.test", "example.test", &arena);
    return wants_of(&terms, tls);
}

static char *key_of(const struct ticket_way *way, const struct tls_config *tls,
                    const char *next_hop)
{
    struct buffer key = {0};
    struct tls_terms terms = terms_of_policy(&tls->policy, "mx.example.test", next_hop, &arena);
    struct tls_wants wants = wants_of(&terms, tls);
    ticket_key(way, &wants, &terms, &key);
    ck_assert_uint_gt(buffer_length(&key), 0);
    return buffer_detach(&key);
}

static const struct ticket_way way = {.to = "mx.example.test[192.0.2.1]:25"};

static bool same_keys(const struct tls_config *a, const struct tls_config *b)
{
    char *of_a = key_of(&way, a, "example.test"), *of_b = key_of(&way, b, "example.test");
    bool same = strcmp(of_a, of_b) == 0;
    free(of_a);
    free(of_b);
    return same;
}

START_TEST(what_is_checked_at_each_level)
{
    static const struct {
        enum tls_level level;
        enum tls_check check;
    } rows[] = {
        {TLS_MAY, TLS_CHECK_NOTHING},
        {TLS_ENCRYPT, TLS_CHECK_NOTHING},
        {TLS_FINGERPRINT, TLS_CHECK_FINGERPRINTS},
        {TLS_VERIFY, TLS_CHECK_NAMES},
        {TLS_SECURE, TLS_CHECK_NAMES},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct tls_config tls = config_of(rows[i].level);
        ck_assert_int_eq(wants_for(&tls).check, rows[i].check);
        ck_assert_str_eq(wants_for(&tls).sni,
                         rows[i].level == TLS_SECURE ? "example.test" : "mx.example.test");
    }
}
END_TEST

START_TEST(the_key_holds_what_is_offered)
{
    const struct tls_config plain = config_of(TLS_ENCRYPT);
    struct tls_config other = plain;
    ck_assert(same_keys(&plain, &other));
    other.least = TLS_VERSION_1_3;
    ck_assert(!same_keys(&plain, &other));
    other = plain;
    other.most = TLS_VERSION_1_2;
    ck_assert(!same_keys(&plain, &other));
    other = plain;
    other.ciphers = "ECDHE+AESGCM";
    ck_assert(!same_keys(&plain, &other));
    other = plain;
    other.least = TLS_VERSION_1_2;
    other.most = TLS_VERSION_ANY;
    struct tls_config turned = plain;
    turned.least = TLS_VERSION_ANY;
    turned.most = TLS_VERSION_1_2;
    ck_assert(!same_keys(&other, &turned));
}
END_TEST

/* RFC 8446 4.6.1, C.4: from whom, to whom, and as whom. */
START_TEST(the_key_holds_the_way)
{
    static const struct ip sources[] = {{.family = 4, .bytes = {192, 0, 2, 8}},
                                        {.family = 4, .bytes = {192, 0, 2, 9}}};
    static const struct ticket_way ways[] = {
        {.to = "mx.example.test[192.0.2.1]:25"},
        {.to = "mx.example.test[192.0.2.2]:25"},
        {.to = "mx.example.test[192.0.2.1]:26"},
        {.to = "mx2.example.test[192.0.2.1]:25"},
        {.to = "mx.example.test[192.0.2.1]:25", .implicit = true},
        {.to = "mx.example.test[192.0.2.1]:25", .from = &sources[0]},
        {.to = "mx.example.test[192.0.2.1]:25", .from = &sources[1]},
        {.to = "mx.example.test[192.0.2.1]:25", .login = "one", .mark = "1"},
        {.to = "mx.example.test[192.0.2.1]:25", .login = "one", .mark = "2"},
        {.to = "mx.example.test[192.0.2.1]:25", .login = "two", .mark = "1"},
    };
    const struct tls_config tls = config_of(TLS_ENCRYPT);
    for (size_t i = 0; i < countof(ways); i++)
        for (size_t other = 0; other < countof(ways); other++) {
            char *one = key_of(&ways[i], &tls, "example.test");
            char *two = key_of(&ways[other], &tls, "example.test");
            ck_assert_msg((strcmp(one, two) == 0) == (i == other), "%zu and %zu", i, other);
            free(one);
            free(two);
        }
}
END_TEST

/* Two domains on one host share its tickets where the same is asked of it, and only there. */
START_TEST(the_key_holds_the_next_hop_where_it_is_looked_for)
{
    for (int level = TLS_MAY; level < TLS_LEVELS; level++) {
        const struct tls_config tls = config_of((enum tls_level)level);
        char *one = key_of(&way, &tls, "a.test"), *two = key_of(&way, &tls, "b.test");
        ck_assert_msg((strcmp(one, two) == 0) == (level != TLS_SECURE), "%d", level);
        free(one);
        free(two);
    }
}
END_TEST

/* The same CAs are the same after a restart: it is their content that counts. */
START_TEST(the_key_holds_who_is_trusted)
{
    char why[TLS_WHY_MAX];
    struct scratch one, two;
    scratch_make(&one);
    scratch_make(&two);
    struct tls_config first = config_of(TLS_VERIFY), again = first, other = first;
    first.trust = tls_trust_load(one.certificate, why);
    again.trust = tls_trust_load(one.certificate, why);
    other.trust = tls_trust_load(two.certificate, why);
    ck_assert(first.trust && again.trust && other.trust);
    ck_assert(same_keys(&first, &again));
    ck_assert(!same_keys(&first, &other));
    first.policy.level = other.policy.level = TLS_ENCRYPT; /* nobody is asked */
    ck_assert(same_keys(&first, &other));
    tls_trust_release(&first.trust);
    tls_trust_release(&again.trust);
    tls_trust_release(&other.trust);
    scratch_remove(&one);
    scratch_remove(&two);
}
END_TEST

TEST_MAIN("relay/outbound/wants", what_is_checked_at_each_level, the_key_holds_what_is_offered,
          the_key_holds_the_way, the_key_holds_the_next_hop_where_it_is_looked_for,
          the_key_holds_who_is_trusted)
