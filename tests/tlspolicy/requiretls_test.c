#include "tlspolicy/requiretls.h"

#include "tests/suite.h"

#include <string.h>

/* The terms in a form that a table can hold: level, source, what is said in MAIL, names, refusal.
 */
static char *told(const struct tls_terms *terms, struct arena *arena)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    terms_key(terms, &text);
    return arena_copy(arena, buffer_span(&text));
}

#define NAME "mx.b.test"
#define UNPROVEN                                                                                   \
    " refused=the message came with REQUIRETLS, and neither DNSSEC nor MTA-STS proves that this "  \
    "is a mail host of the domain"
#define NAMELESS                                                                                   \
    " refused=the message came with REQUIRETLS, and a host without a name cannot be authenticated"

/* What DNS and the domain may have made of the operator's section, for one host. */
static struct tls_terms terms_at(enum tls_level level, enum tls_source source, bool check_only,
                                 const char *host, struct arena *arena)
{
    struct tls_terms terms = {.level = level, .source = source, .check_only = check_only};
    if (host[0] != '[')
        terms.sni = host;
    if (level == TLS_VERIFY || check_only)
        terms_add_name(&terms, host, arena);
    else if (level == TLS_SECURE)
        terms_add_name(&terms, "a.test", arena);
    return terms;
}

/* RFC 8689 4.2.1: a host that is known for one of the next hop's (step 2), and authenticated (step
 * 4); what already asks for that stays as it is. */
START_TEST(what_requiretls_asks_of_a_host)
{
    static const struct {
        enum tls_level level;
        enum tls_source source;
        bool check_only, proven;
        const char *host, *expected;
    } rows[] = {
        {TLS_NONE, TLS_FROM_TABLE, false, true, NAME,
         "verify:requiretls sni=mx.b.test requiretls=2 name=mx.b.test"},
        {TLS_MAY, TLS_FROM_TABLE, false, true, NAME,
         "verify:requiretls sni=mx.b.test requiretls=2 name=mx.b.test"},
        {TLS_ENCRYPT, TLS_FROM_DANE, false, true, NAME, /* TLSA records, and none is usable */
         "verify:requiretls sni=mx.b.test requiretls=2 name=mx.b.test"},
        {TLS_MAY, TLS_FROM_TABLE, false, false, NAME,
         "may:table sni=mx.b.test requiretls=2" UNPROVEN},
        {TLS_VERIFY, TLS_FROM_TABLE, false, false, NAME,
         "verify:table sni=mx.b.test requiretls=2 name=mx.b.test" UNPROVEN},
        {TLS_VERIFY, TLS_FROM_TABLE, false, true, NAME,
         "verify:table sni=mx.b.test requiretls=2 name=mx.b.test"},
        /* MTA-STS proves it when it is enforced; in testing it proves nothing */
        {TLS_VERIFY, TLS_FROM_STS, false, false, NAME,
         "verify:sts sni=mx.b.test requiretls=2 name=mx.b.test"},
        {TLS_MAY, TLS_FROM_STS, true, false, NAME,
         "may:sts:check sni=mx.b.test requiretls=2 name=mx.b.test" UNPROVEN},
        {TLS_MAY, TLS_FROM_STS, true, true, NAME,
         "verify:requiretls sni=mx.b.test requiretls=2 name=mx.b.test"},
        {TLS_DANE, TLS_FROM_DANE, false, true, NAME, "dane:dane sni=mx.b.test requiretls=2"},
        {TLS_SECURE, TLS_FROM_TABLE, false, false, NAME,
         "secure:table sni=mx.b.test requiretls=2 name=a.test"},
        {TLS_FINGERPRINT, TLS_FROM_TABLE, false, false, "[192.0.2.1]",
         "fingerprint:table sni= requiretls=2"},
        {TLS_MAY, TLS_FROM_TABLE, false, true, "[192.0.2.1]",
         "may:table sni= requiretls=2" NAMELESS},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena CLEANUP(arena_free) = {0};
        struct tls_terms terms =
            terms_at(rows[i].level, rows[i].source, rows[i].check_only, rows[i].host, &arena);
        bool usable = terms_require(&terms, rows[i].host, rows[i].proven, &arena);
        ck_assert_str_eq(told(&terms, &arena), rows[i].expected);
        ck_assert_int_eq(usable, terms.refused == NULL);
    }
}
END_TEST

/* What was refused for a reason of its own, which may pass, stays so. */
START_TEST(another_refusal_stays)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct tls_terms terms = {.level = TLS_DANE, .refused = "SERVFAIL"};
    ck_assert(terms_require(&terms, NAME, true, &arena));
    ck_assert_str_eq(terms.refused, "SERVFAIL");
}
END_TEST

/* RFC 8689 5: a notification goes with REQUIRETLS where it can, and nothing stands in its way. */
START_TEST(what_is_preferred)
{
    static const struct {
        enum tls_level level;
        bool proven;
        const char *host, *expected;
    } rows[] = {
        {TLS_MAY, true, NAME, "may:table:check sni=mx.b.test requiretls=1 name=mx.b.test"},
        {TLS_ENCRYPT, true, NAME, "encrypt:table:check sni=mx.b.test requiretls=1 name=mx.b.test"},
        {TLS_VERIFY, true, NAME, "verify:table sni=mx.b.test requiretls=1 name=mx.b.test"},
        {TLS_SECURE, false, NAME, "secure:table sni=mx.b.test requiretls=1 name=a.test"},
        /* as usual mail, with which it shares connections */
        {TLS_NONE, true, NAME, "none:table sni=mx.b.test"},
        {TLS_MAY, false, NAME, "may:table sni=mx.b.test"},
        {TLS_VERIFY, false, NAME, "verify:table sni=mx.b.test name=mx.b.test"},
        {TLS_MAY, true, "[192.0.2.1]", "may:table sni="},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct arena arena CLEANUP(arena_free) = {0};
        struct tls_terms terms =
            terms_at(rows[i].level, TLS_FROM_TABLE, false, rows[i].host, &arena);
        terms_prefer(&terms, rows[i].host, rows[i].proven, &arena);
        ck_assert_str_eq(told(&terms, &arena), rows[i].expected);
    }
}
END_TEST

/* RFC 8689 4.2.2: STARTTLS is tried, and nothing fails for it. */
START_TEST(what_the_header_leaves)
{
    for (int level = 0; level < TLS_LEVELS; level++) {
        struct tls_policy policy = TLS_POLICY_DEFAULT;
        policy.level = (enum tls_level)level;
        struct tls_policy lowered = policy_without_tls_required(&policy);
        ck_assert_int_eq((int)lowered.level, (int)(level == TLS_NONE ? TLS_NONE : TLS_MAY));
        ck_assert(!lowered.mta_sts);
        ck_assert(policy.mta_sts);
    }
}
END_TEST

START_TEST(what_may_authenticate_a_host)
{
    for (int level = 0; level < TLS_LEVELS; level++) {
        struct tls_policy policy = TLS_POLICY_DEFAULT;
        policy.level = (enum tls_level)level;
        policy.mta_sts = false;
        struct tls_policy raised = policy_with_requiretls(&policy);
        ck_assert_int_eq((int)raised.level, (int)(level > TLS_DANE ? level : TLS_DANE));
        ck_assert(raised.mta_sts);
    }
}
END_TEST

TEST_MAIN("tlspolicy/requiretls", what_requiretls_asks_of_a_host, another_refusal_stays,
          what_is_preferred, what_the_header_leaves, what_may_authenticate_a_host)
