/* DANE (RFC 6698, 7671, 7672): a server's certificate held against TLSA records. */
#include "tests/tlspolicy/checked.h"

#define BASE "mx.example.test"

static char data[8][2048];

static struct tls_wants want_records(const struct tlsa *records, unsigned count)
{
    return (struct tls_wants){
        .sni = BASE,
        .check = TLS_CHECK_DANE,
        .records = records,
        .record_count = count,
        .tlsa_base = BASE,
    };
}

/* Of a record for GOOD's certificate (3) or its CA (2). */
static struct tlsa record(uint8_t usage, uint8_t selector, uint8_t matching)
{
    const struct issued *of = usage == 2 || usage == 0 ? &intermediate : &leaves[GOOD];
    return issued_tlsa(of, usage, selector, matching, data[0]);
}

START_TEST(records_that_match)
{
    static const struct {
        const char *rule;
        uint8_t usage, selector, matching;
        enum tls_fault fault;
    } rows[] = {
        {"RFC 7672 3.1.1: DANE-EE, the key's SHA-256", 3, 1, 1, TLS_FAULT_NONE},
        {"RFC 6698 2.1: the certificate's", 3, 0, 1, TLS_FAULT_NONE},
        {"RFC 6698 2.1.3: SHA-512", 3, 1, 2, TLS_FAULT_NONE},
        {"RFC 6698 2.1.3: the key itself", 3, 1, 0, TLS_FAULT_NONE},
        {"RFC 6698 2.1.3: the certificate itself", 3, 0, 0, TLS_FAULT_NONE},
        {"RFC 7672 3.1.2: DANE-TA, the certificate's SHA-256", 2, 0, 1, TLS_FAULT_NONE},
        {"RFC 7672 3.1.2: the key's", 2, 1, 1, TLS_FAULT_NONE},
        {"RFC 7671 5.2.2: the key itself", 2, 1, 0, TLS_FAULT_NONE},
        {"RFC 7672 3.1.3: PKIX-TA is not for SMTP", 0, 0, 1, TLS_FAULT_TLSA},
        {"RFC 7672 3.1.3: PKIX-EE is not for SMTP", 1, 1, 1, TLS_FAULT_TLSA},
    };
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(rows) * 2; i++) {
        size_t row = i / 2;
        struct tlsa one = record(rows[row].usage, rows[row].selector, rows[row].matching);
        serve_leaf(GOOD, most[i % 2]);
        assert_verdict(rows[row].rule, want_records(&one, 1), rows[row].fault);
    }
}
END_TEST

START_TEST(records_that_do_not_match)
{
    struct tlsa stale[2] = {issued_tlsa(&leaves[OTHER], 3, 1, 1, data[0]),
                            issued_tlsa(&stranger, 2, 0, 1, data[1])};
    serve_leaf(GOOD, TLS_VERSION_ANY);
    assert_verdict("RFC 7672 2.2: a stale record", want_records(stale, 1), TLS_FAULT_TLSA);
    ck_assert_ptr_nonnull(strstr(tls_why(ours), "3 1 1 "));
    assert_verdict("RFC 7672 2.2: no record matches", want_records(stale, 2), TLS_FAULT_TLSA);
    struct tlsa mixed[2] = {stale[0], record(3, 1, 1)};
    mixed[1] = issued_tlsa(&leaves[GOOD], 3, 1, 1, data[2]);
    assert_verdict("RFC 7671 8.1: one of several is enough", want_records(mixed, 2),
                   TLS_FAULT_NONE);
    stale[0] = issued_tlsa(&intermediate, 3, 1, 1, data[0]);
    assert_verdict("RFC 7672 3.1.1: DANE-EE is the server's own", want_records(stale, 1),
                   TLS_FAULT_TLSA);
    stale[0] = issued_tlsa(&leaves[GOOD], 2, 1, 1, data[0]);
    stale[0].usage = 2; /* a certificate that has issued nothing is a trust anchor of itself */
    serve_leaf(OTHER, TLS_VERSION_ANY);
    assert_verdict("RFC 7672 3.1.2: another's key", want_records(stale, 1), TLS_FAULT_TLSA);
}
END_TEST

START_TEST(records_that_cannot_be_used)
{
    struct tlsa bad[4] = {record(3, 1, 1), record(3, 1, 1), record(3, 1, 1), record(3, 1, 1)};
    bad[0].usage = 4;
    bad[1].selector = 2;
    bad[2].matching = 3;
    bad[3].data.length--;
    serve_leaf(GOOD, TLS_VERSION_ANY);
    for (unsigned i = 0; i < countof(bad); i++)
        assert_verdict("RFC 7671 10.3: unusable", want_records(&bad[i], 1), TLS_FAULT_TLSA);
    assert_verdict("RFC 7672 2.2: all are unusable", want_records(bad, countof(bad)),
                   TLS_FAULT_TLSA);
    ck_assert_str_eq(tls_why(ours), "no TLSA record that can be used");
    assert_verdict("RFC 7672 2.2: there is none", want_records(NULL, 0), TLS_FAULT_TLSA);
    bad[0] = record(3, 1, 1);
    assert_verdict("RFC 7671 10.3: one can be used", want_records(bad, countof(bad)),
                   TLS_FAULT_NONE);
    struct tls_wants wants = want_records(bad, 1);
    char large[300] = "";
    memset(large, 'a', sizeof(large) - 1);
    const char *const bases[] = {NULL, "", ".", ".example.test", large};
    for (size_t i = 0; i < countof(bases); i++) {
        wants.tlsa_base = wants.sni = bases[i];
        assert_verdict("RFC 7672 2.2.3: no base domain", wants, TLS_FAULT_TLSA);
    }
}
END_TEST

/* RFC 7672 3.1.1: with DANE-EE neither name nor dates nor purpose; 3.1.2: with DANE-TA all. */
START_TEST(what_else_is_looked_at)
{
    static const struct {
        enum leaf leaf;
        enum tls_fault by_anchor;
    } rows[] = {
        {GOOD, TLS_FAULT_NONE},       {OTHER, TLS_FAULT_NAME},   {EXPIRED, TLS_FAULT_EXPIRED},
        {FUTURE, TLS_FAULT_EXPIRED},  {CLIENT, TLS_FAULT_CHAIN}, {COMMON, TLS_FAULT_NAME},
        {WILDCARD, TLS_FAULT_NONE},   {PARTIAL, TLS_FAULT_NAME}, {NUL, TLS_FAULT_NAME},
        {COMMON_TOO, TLS_FAULT_NAME}, {ADDRESS, TLS_FAULT_NAME},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct tlsa own = issued_tlsa(&leaves[rows[i].leaf], 3, 1, 1, data[0]);
        struct tlsa anchor = issued_tlsa(&intermediate, 2, 0, 1, data[1]);
        serve_leaf(rows[i].leaf, TLS_VERSION_ANY);
        assert_verdict("RFC 7672 3.1.1", want_records(&own, 1), TLS_FAULT_NONE);
        assert_verdict("RFC 7672 3.1.2", want_records(&anchor, 1), rows[i].by_anchor);
    }
}
END_TEST

/* RFC 7672 3.2.2: the base domain, the next hop, and what that is expanded to. */
START_TEST(names_under_a_trust_anchor)
{
    static const char *const next_hops[] = {"example.org", "other.test"};
    static const char *const dotted[] = {".example.test", ""};
    struct tlsa anchor = record(2, 0, 1);
    struct tls_wants wants = want_records(&anchor, 1);
    serve_leaf(OTHER, TLS_VERSION_ANY);
    assert_verdict("none", wants, TLS_FAULT_NAME);
    wants.names = next_hops;
    wants.name_count = 1;
    assert_verdict("another next hop", wants, TLS_FAULT_NAME);
    wants.name_count = 2;
    assert_verdict("the next hop", wants, TLS_FAULT_NONE);
    serve_leaf(GOOD, TLS_VERSION_ANY);
    assert_verdict("the base domain", wants, TLS_FAULT_NONE);
    serve_leaf(BELOW, TLS_VERSION_ANY);
    wants.names = dotted;
    assert_verdict("a dot in front matches nothing", wants, TLS_FAULT_NAME);
}
END_TEST

/* RFC 7671 5.2.2: a trust anchor is sent along, or its record holds all of it. */
START_TEST(a_trust_anchor_that_is_not_sent)
{
    const struct issued *const bare[] = {&leaves[GOOD]};
    const struct issued *const self[] = {&lone};
    struct tlsa anchor = record(2, 0, 1), whole = issued_tlsa(&intermediate, 2, 0, 0, data[1]);
    struct tlsa own = issued_tlsa(&lone, 3, 1, 1, data[2]);
    serve(bare, 1, TLS_VERSION_ANY);
    assert_verdict("a digest", want_records(&anchor, 1), TLS_FAULT_TLSA);
    assert_verdict("all of it", want_records(&whole, 1), TLS_FAULT_NONE);
    serve(self, 1, TLS_VERSION_ANY);
    assert_verdict("RFC 7671 5.1: self-signed", want_records(&own, 1), TLS_FAULT_NONE);
}
END_TEST

CHECKED_MAIN("tlspolicy/verify_dane", records_that_match, records_that_do_not_match,
             records_that_cannot_be_used, what_else_is_looked_at, names_under_a_trust_anchor,
             a_trust_anchor_that_is_not_sent)
