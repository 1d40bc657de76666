/* Every way in which a certificate may be what was asked for, or not, with a server that shows
 * it. Each row names the rule. */
#include "tests/tlspolicy/checked.h"
#include "tlspolicy/tls_inside.h"

/* ---- names ---- */

static struct tls_wants want_name(const char *const *name)
{
    return (struct tls_wants){
        .sni = "mx.example.test",
        .check = TLS_CHECK_NAMES,
        .names = name,
        .name_count = 1,
        .trust = trust,
    };
}

START_TEST(names)
{
    static const struct {
        const char *rule;
        const char *name;
        enum leaf leaf;
        enum tls_fault fault;
    } rows[] = {
        {"RFC 9525 6.3: a DNS-ID that is the same", "mx.example.test", GOOD, TLS_FAULT_NONE},
        {"RFC 9525 6.3: whatever its case", "MX.Example.TEST", GOOD, TLS_FAULT_NONE},
        {"RFC 8461 4.2: another name", "mx.example.test", OTHER, TLS_FAULT_NAME},
        {"RFC 9525 6.3: one of several", "www.other.test", OTHER, TLS_FAULT_NONE},
        {"RFC 9525 6.3: * as the whole left-most label", "mx.example.test", WILDCARD,
         TLS_FAULT_NONE},
        {"RFC 9525 6.3: * is one label, not two", "a.mx.example.test", WILDCARD, TLS_FAULT_NAME},
        {"RFC 9525 6.3: * is one label, not none", "example.test", WILDCARD, TLS_FAULT_NAME},
        {"RFC 9525 6.3: * as a part of a label", "mx.example.test", PARTIAL, TLS_FAULT_NAME},
        {"RFC 9525 6.3: * in another label", "mx.example.test", DEEP, TLS_FAULT_NAME},
        {"RFC 8461 4.2: the common name is not looked at", "mx.example.test", COMMON,
         TLS_FAULT_NAME},
        {"RFC 9525 2: nor beside a DNS-ID", "mx.example.test", COMMON_TOO, TLS_FAULT_NAME},
        {"RFC 8461 4.2: expired", "mx.example.test", EXPIRED, TLS_FAULT_EXPIRED},
        {"RFC 5280 6.1.3: not yet valid", "mx.example.test", FUTURE, TLS_FAULT_EXPIRED},
        {"RFC 5280 4.2.1.12: not for servers", "mx.example.test", CLIENT, TLS_FAULT_CHAIN},
        {"RFC 9525 6.5: an IP-ID is no DNS-ID", "mx.example.test", ADDRESS, TLS_FAULT_NAME},
        {"RFC 9525 6.5: an address by its IP-ID", "192.0.2.1", ADDRESS, TLS_FAULT_NONE},
        {"RFC 5321 4.1.3: as a literal", "[2001:db8::1]", ADDRESS, TLS_FAULT_NONE},
        {"RFC 9525 6.5: another address", "[192.0.2.2]", ADDRESS, TLS_FAULT_NAME},
        {"RFC 9525 6.5: not as a DNS-ID", "192.0.2.1", ADDRESS_AS_NAME, TLS_FAULT_NAME},
        {"a name that ends at a NUL is not that name", "mx.example.test", NUL, TLS_FAULT_NAME},
        {"any name below", ".example.test", GOOD, TLS_FAULT_NONE},
        {"any number of labels below", ".example.test", BELOW, TLS_FAULT_NONE},
        {"the name itself is not below it", ".mx.example.test", GOOD, TLS_FAULT_NAME},
        {"nor is one that only ends alike", ".xample.test", GOOD, TLS_FAULT_NAME},
        {"all that is below is below", ".example.test", WILDCARD, TLS_FAULT_NONE},
        {"part of a label is no name below", ".example.test", PARTIAL, TLS_FAULT_NAME},
        {"a NUL is no name below", ".evil.test", NUL, TLS_FAULT_NAME},
        {"not what is in the common name", ".example.test", COMMON, TLS_FAULT_NAME},
        {"a dot is nobody's parent", ".", GOOD, TLS_FAULT_NAME},
        {"the empty name is nobody's", "", GOOD, TLS_FAULT_NAME},
        {"many names to tell", "mx.example.test", MANY, TLS_FAULT_NAME},
    };
    for (size_t i = 0; i < countof(rows) * 2; i++) {
        size_t row = i / 2;
        serve_leaf(rows[row].leaf, i % 2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3);
        if (i % 2 == 0 || rows[row].leaf == GOOD)
            assert_verdict(rows[row].rule, want_name(&rows[row].name), rows[row].fault);
    }
}
END_TEST

START_TEST(one_of_several_names)
{
    const char *const both[] = {"example.test", ".example.test"};
    struct tls_wants wants = want_name(both);
    wants.name_count = 2;
    serve_leaf(GOOD, TLS_VERSION_ANY);
    assert_verdict("the second", wants, TLS_FAULT_NONE);
    serve_leaf(OTHER, TLS_VERSION_ANY);
    assert_verdict("none", wants, TLS_FAULT_NAME);
    ck_assert_str_eq(tls_why(ours), "the certificate is not for example.test or .example.test, "
                                    "but for other.test, www.other.test");
    wants.name_count = 0;
    serve_leaf(GOOD, TLS_VERSION_ANY);
    assert_verdict("no name at all", wants, TLS_FAULT_NAME);
}
END_TEST

START_TEST(chains)
{
    const char *const name = "mx.example.test";
    const struct issued *const bare[] = {&leaves[GOOD]};
    const struct issued *const self[] = {&lone};
    struct issued other = issue_certificate(&stranger, &leaf_issues[GOOD]);
    const struct issued *const foreign[] = {&other, &stranger};
    struct issued old = issue_certificate(
        &root, &(struct issue){.cn = "Old", .ca = true, .from = -30 * DAY, .until = -DAY});
    struct issued below = issue_certificate(&old, &leaf_issues[GOOD]);
    const struct issued *const aged[] = {&below, &old};
    struct issued leaf_issued = issue_certificate(&leaves[GOOD], &leaf_issues[GOOD]);
    const struct issued *const usurped[] = {&leaf_issued, &leaves[GOOD], &intermediate};
    const struct {
        const char *rule;
        const struct issued *const *chain;
        size_t count;
        enum tls_fault fault;
        const char *why;
    } rows[] = {
        {"RFC 5280 6.1: the intermediate CA is not sent", bare, 1, TLS_FAULT_CHAIN, "Between"},
        {"RFC 5280 6.1: by itself", self, 1, TLS_FAULT_CHAIN, "self-signed"},
        {"RFC 5280 6.1: by a CA nobody trusts", foreign, 2, TLS_FAULT_CHAIN, "CN=Stranger"},
        {"RFC 5280 6.1.3: an intermediate CA has expired", aged, 2, TLS_FAULT_EXPIRED, "CN=Old"},
        {"RFC 5280 6.1.4: by what is no CA", usurped, 3, TLS_FAULT_CHAIN, "mx.example.test"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        serve(rows[i].chain, rows[i].count, TLS_VERSION_ANY);
        assert_verdict(rows[i].rule, want_name(&name), rows[i].fault);
        ck_assert_msg(strstr(tls_why(ours), rows[i].why) != NULL, "%s", tls_why(ours));
    }
    issued_free(&other);
    issued_free(&old);
    issued_free(&below);
    issued_free(&leaf_issued);
}
END_TEST

/* What the operator names is trusted as it stands: a server's own certificate, too. */
START_TEST(a_ca_file_may_hold_any_certificate)
{
    char why[TLS_WHY_MAX];
    const char *const name = "mx.example.test";
    const struct issued *const self[] = {&lone}, *const bare[] = {&leaves[GOOD]};
    const struct {
        const struct issued *trusted;
        const struct issued *const *chain;
    } rows[] = {{&lone, self}, {&intermediate, bare}, {&leaves[GOOD], bare}};
    for (size_t i = 0; i < countof(rows); i++) {
        issued_write_ca(ca_file, rows[i].trusted);
        struct tls_wants wants = want_name(&name);
        CLEANUP(tls_trust_release) struct tls_trust *own = tls_trust_load(ca_file, why);
        wants.trust = own;
        serve(rows[i].chain, 1, TLS_VERSION_ANY);
        assert_verdict("as it stands", wants, TLS_FAULT_NONE);
        wants.trust = NULL; /* the system's: it has never heard of it */
        assert_verdict("the system's", wants, TLS_FAULT_CHAIN);
    }
}
END_TEST

/* ---- fingerprints ---- */

START_TEST(fingerprints)
{
    struct fingerprint list[2] = {0};
    struct tls_wants wants = {
        .check = TLS_CHECK_FINGERPRINTS, .fingerprints = list, .fingerprint_count = 2};
    static const enum leaf any[] = {GOOD, OTHER, EXPIRED, CLIENT, COMMON};
    for (size_t i = 0; i < countof(any); i++) {
        char data[2048];
        serve_leaf(any[i], TLS_VERSION_ANY);
        assert_verdict("none", wants, TLS_FAULT_FINGERPRINT);
        for (uint8_t selector = 0; selector < 2; selector++) {
            issued_tlsa(&leaves[any[i]], 3, selector, 1, data);
            memcpy(list[1].sha256, data, FINGERPRINT_BYTES);
            assert_verdict("of the certificate or its key", wants, TLS_FAULT_NONE);
        }
        issued_tlsa(&intermediate, 3, 0, 1, data); /* it is sent, but is not the server's */
        memcpy(list[1].sha256, data, FINGERPRINT_BYTES);
        assert_verdict("of its CA", wants, TLS_FAULT_FINGERPRINT);
        memset(list, 0, sizeof(list));
    }
    wants.fingerprint_count = 0;
    assert_verdict("none to look for", wants, TLS_FAULT_FINGERPRINT);
}
END_TEST

/* What nobody asks for costs nothing. */
START_TEST(a_chain_is_built_only_for_names)
{
    const char *const name = "mx.example.test";
    struct fingerprint print = {0};
    struct tls_wants wants = want_name(&name);
    wants.check_only = true;
    wants.fingerprints = &print;
    wants.fingerprint_count = 1;
    static const enum tls_check checks[] = {TLS_CHECK_NOTHING, TLS_CHECK_FINGERPRINTS,
                                            TLS_CHECK_NAMES};
    serve_leaf(GOOD, TLS_VERSION_ANY);
    for (size_t i = 0; i < countof(checks); i++) {
        wants.check = checks[i];
        ck_assert(talk(&wants));
        bool built = SSL_get0_verified_chain(ours->ssl) != NULL;
        ck_assert_int_eq(built, checks[i] == TLS_CHECK_NAMES);
        ck_assert_int_eq(facts().verified, checks[i] == TLS_CHECK_NAMES);
    }
}
END_TEST

CHECKED_MAIN("tlspolicy/verify", names, one_of_several_names, chains,
             a_ca_file_may_hold_any_certificate, fingerprints, a_chain_is_built_only_for_names)
