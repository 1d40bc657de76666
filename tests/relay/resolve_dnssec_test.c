/* What the resolver makes of signed zones, and of such as only seem to be (RFC 7672 2). */
#include "tests/relay/resolving.h"

#define DATA "aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899"
#define HEAD(name)                                                                                 \
    "$ORIGIN " name                                                                                \
    ".\n$TTL 600\n@ SOA ns hostmaster 1 3600 600 86400 120\n@ NS ns\nns A 127.0.0.1\n"

/* Signed with NSEC, and the same again with NSEC3: denials look different. */
static const char safe[] = "mx A 192.0.2.1\n"
                           "mx AAAA 2001:db8::1\n"
                           "_25._tcp.mx TLSA 3 1 1 " DATA "\n"
                           "_25._tcp.mx TLSA 2 0 1 " DATA "\n"
                           "_587._tcp.mx TLSA 3 0 2 " DATA DATA "\n"
                           "bare A 192.0.2.2\n"
                           "good MX 10 mx\n"
                           "none MX 10 bare\n"
                           "both MX 10 mx\n"
                           "both MX 20 bare\n"
                           "both MX 30 mx.plain.test.\n"
                           /* aliases: RFC 7672 2.2.2 */
                           "alias1 CNAME mx\n"
                           "toalias1 MX 10 alias1\n"
                           "alias2 CNAME bare\n"
                           "_25._tcp.alias2 TLSA 3 1 1 " DATA "\n"
                           "toalias2 MX 10 alias2\n"
                           "alias3 CNAME mx.plain.test.\n"
                           "_25._tcp.alias3 TLSA 3 1 1 " DATA "\n"
                           "toalias3 MX 10 alias3\n"
                           "alias4 CNAME bare\n"
                           "toalias4 MX 10 alias4\n"
                           "domain CNAME good\n"
                           "_25._tcp.farther CNAME _25._tcp.mx\n"
                           "farther A 192.0.2.3\n"
                           "tofarther MX 10 farther\n"
                           /* a part that nobody vouches for, one that fails, one that is false */
                           "open A 192.0.2.4\n"
                           "_tcp.open NS ns\n"
                           "toopen MX 10 open\n"
                           "dead A 192.0.2.5\n"
                           "_tcp.dead NS ns\n"
                           "todead MX 10 dead\n"
                           "todead MX 20 mx\n"
                           "false A 192.0.2.6\n"
                           "_tcp.false NS ns\n"
                           "_tcp.false DS 12345 13 2 " DATA "\n"
                           "tofalse MX 10 false\n"
                           "_mta-sts TXT \"v=STSv1; id=1\"\n";

static const char plain[] = HEAD("plain.test") "mx A 192.0.2.9\n"
                                               "_25._tcp.mx TLSA 3 1 1 " DATA "\n"
                                               "good MX 10 mx.safe.test.\n"
                                               "inner MX 10 alias.plain.test.\n"
                                               "alias CNAME mx.safe.test.\n"
                                               "_mta-sts TXT \"v=STSv1; id=1\"\n";

#define ZONE(name, file) "zone:\n  name: " name "\n  zonefile: " file "\n"
static const char zones[] = ZONE("safe.test", "safe.signed") ZONE("safe3.test", "safe3.signed")
    ZONE("plain.test", "plain.zone") ZONE("old.test", "old.signed")
        ZONE("_tcp.open.safe.test", "open.zone") ZONE("_tcp.dead.safe.test", "missing.zone")
            ZONE("_tcp.false.safe.test", "false.zone");

static const char sign[] =
    "cd %s && exec >sign.log 2>&1 && set -e\n"
    "sign() { zone=$1; shift; k=$(ldns-keygen -a ECDSAP256SHA256 -k $zone.test)\n"
    "  z=$(ldns-keygen -a ECDSAP256SHA256 $zone.test); cat $k.key >>anchors\n"
    "  ldns-signzone \"$@\" -f $zone.signed $zone.zone $z $k; }\n"
    "sign safe; sign safe3 -n; sign old -i 20200101000000 -e 20200201000000\n";

static void write_zone(const char *file, const char *head, const char *records)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    buffer_print(&text, "%s%s", head, records);
    scratch_write(&scratch, file, buffer_span(&text));
}

static bool write_zones(void)
{
    char command[SCRATCH_MAX + sizeof(sign)];
    write_zone("safe.zone", HEAD("safe.test"), safe);
    write_zone("safe3.zone", HEAD("safe3.test"), safe);
    write_zone("plain.zone", plain, "");
    write_zone("old.zone", HEAD("old.test"), "good MX 10 mx\nmx A 192.0.2.1\n");
    write_zone("open.zone", HEAD("_tcp.open.safe.test"), "_25 TLSA 3 1 1 " DATA "\n");
    write_zone("false.zone", HEAD("_tcp.false.safe.test"), "_25 TLSA 3 1 1 " DATA "\n");
    snprintf(command, sizeof(command), sign, scratch.path);
    return system("command -v ldns-signzone >/dev/null") == 0 && system(command) == 0;
}

static void set_up(void)
{
    char anchors[SCRATCH_FILE_MAX];
    const struct resolve_settings settings = {
        .server = server,
        .dnssec = DNSSEC_VALIDATE,
        .trust_anchor = scratch_name(&scratch, "anchors", anchors),
    };
    open_resolve(&settings);
}

static struct resolution *ask_with_tlsa(const char *domain, enum resolve_kind kind, uint16_t port)
{
    struct resolution *asked = make_question(domain, kind);
    asked->tlsa = true;
    asked->port = port;
    resolve_post(resolve, asked);
    await(1);
    return asked;
}

/* "secure; mx.safe.test: mx.safe.test 2", or "insecure; mx.safe.test: insecure" */
static const char *tell_tlsa(const struct resolution *resolution)
{
    static struct buffer text;
    buffer_clear(&text);
    if (resolution->result != RESOLVE_OK)
        return resolution->why;
    buffer_print(&text, "%s", resolution->secure ? "secure" : "insecure");
    if (resolution->canonical != NULL)
        buffer_print(&text, " as %s", resolution->canonical);
    for (unsigned i = 0; i < resolution->count; i++) {
        const struct resolved_tlsa *tlsa = &resolution->hosts[i].tlsa;
        buffer_print(&text, "; %s: ", resolution->hosts[i].name);
        switch (tlsa->state) {
        case TLSA_NOT_ASKED: buffer_print(&text, "not asked"); break;
        case TLSA_INSECURE: buffer_print(&text, "insecure"); break;
        case TLSA_NONE: buffer_print(&text, "none"); break;
        case TLSA_RECORDS: buffer_print(&text, "%s %u", tlsa->base, tlsa->count); break;
        case TLSA_FAILED: buffer_print(&text, "failed, %s", tlsa->why); break;
        }
    }
    buffer_append(&text, (struct span){"", 1});
    return buffer_span(&text).data;
}

/* `told` may be the beginning of what is told: libunbound's own words follow. */
static void expect(const char *domain, enum resolve_kind kind, uint16_t port, const char *told)
{
    struct resolution *answer CLEANUP(resolution_free) = ask_with_tlsa(domain, kind, port);
    const char *got = tell_tlsa(answer);
    ck_assert_msg(strncmp(got, told, strlen(told)) == 0, "%s:\n%s\nshould be\n%s", domain, got,
                  told);
    ck_assert_msg(strlen(got) == strlen(told) || strstr(told, "bogus") != NULL, "%s: %s", domain,
                  got);
}

/* ---- tests ---- */

struct row {
    const char *domain, *told;
};

START_TEST(mail_hosts)
{
    static const struct row rows[] = {
        {"good.safe.test", "secure; mx.safe.test: mx.safe.test 2"},
        {"GOOD.Safe.Test", "secure; mx.safe.test: mx.safe.test 2"},
        {"good.safe3.test", "secure; mx.safe3.test: mx.safe3.test 2"},
        /* proved that there are none, by NSEC and by NSEC3 */
        {"none.safe.test", "secure; bare.safe.test: none"},
        {"none.safe3.test", "secure; bare.safe3.test: none"},
        {"both.safe.test", "secure; mx.safe.test: mx.safe.test 2; bare.safe.test: none; "
                           "mx.plain.test: insecure"},
        /* no MX, and that is proved: the domain itself (RFC 7672 2.2.1) */
        {"mx.safe.test", "secure; mx.safe.test: mx.safe.test 2"},
        {"mx.safe3.test", "secure; mx.safe3.test: mx.safe3.test 2"},
        {"bare.safe.test", "secure; bare.safe.test: none"},
        /* RFC 7672 2.2.1: not by way of an MX that nobody vouches for */
        {"good.plain.test", "insecure; mx.safe.test: insecure"},
        {"mx.plain.test", "insecure; mx.plain.test: insecure"},
        /* an alias before the MX */
        {"domain.safe.test", "secure as good.safe.test; mx.safe.test: mx.safe.test 2"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        expect(rows[i].domain, RESOLVE_MX, 25, rows[i].told);
}
END_TEST

/* RFC 7672 2.2.2: the name at the end of secure aliases, then the one in the MX record. */
START_TEST(aliases)
{
    static const struct row rows[] = {
        {"toalias1.safe.test", "secure; alias1.safe.test: mx.safe.test 2"},
        {"toalias2.safe.test", "secure; alias2.safe.test: alias2.safe.test 1"},
        {"toalias3.safe.test", "secure; alias3.safe.test: alias3.safe.test 1"},
        {"toalias4.safe.test", "secure; alias4.safe.test: none"},
        {"tofarther.safe.test", "secure; farther.safe.test: farther.safe.test 2"},
        {"inner.plain.test", "insecure; alias.plain.test: insecure"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        expect(rows[i].domain, RESOLVE_MX, 25, rows[i].told);
    expect("alias.plain.test", RESOLVE_ADDRESSES, 25, "insecure; alias.plain.test: insecure");
}
END_TEST

/* RFC 7672 2.2.1: where no MX is asked for, the address answers alone must be secure. */
START_TEST(hosts_of_a_route)
{
    static const struct row rows[] = {
        {"mx.safe.test", "insecure; mx.safe.test: mx.safe.test 1"},
        {"alias1.safe.test", "insecure; alias1.safe.test: mx.safe.test 1"},
        {"bare.safe.test", "insecure; bare.safe.test: none"},
        {"mx.plain.test", "insecure; mx.plain.test: insecure"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        expect(rows[i].domain, RESOLVE_ADDRESSES, 587, rows[i].told);
}
END_TEST

/* RFC 7672 2.1.2, 2.2.2: a TLSA lookup that fails is told as such, and is never "none". */
START_TEST(failures)
{
    static const struct row rows[] = {
        {"toopen.safe.test", "secure; open.safe.test: insecure"},
        {"todead.safe.test", "secure; dead.safe.test: failed, _25._tcp.dead.safe.test TLSA: "
                             "SERVFAIL; mx.safe.test: mx.safe.test 2"},
        {"tofalse.safe.test",
         "secure; false.safe.test: failed, _25._tcp.false.safe.test TLSA: bogus (DNSSEC)"},
        /* signatures that are out of date: not even the MX counts */
        {"good.old.test", "good.old.test: bogus (DNSSEC)"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        expect(rows[i].domain, RESOLVE_MX, 25, rows[i].told);
}
END_TEST

START_TEST(what_is_told_of_a_failure)
{
    struct resolution *old CLEANUP(resolution_free) =
        ask_with_tlsa("good.old.test", RESOLVE_MX, 25);
    ck_assert_int_eq(old->result, RESOLVE_TEMPORARY);
    ck_assert_msg(strstr(old->why, "expired") != NULL, "%s", old->why);
    struct resolution *dead CLEANUP(resolution_free) =
        ask_with_tlsa("todead.safe.test", RESOLVE_MX, 25);
    ck_assert_int_eq(dead->ttl_ms, RESOLVE_TTL_LEAST_MS); /* looked at again soon */
}
END_TEST

START_TEST(records_come_as_they_are)
{
    struct resolution *asked CLEANUP(resolution_free) =
        ask_with_tlsa("mx.safe.test", RESOLVE_ADDRESSES, 587);
    ck_assert_uint_eq(asked->hosts[0].tlsa.count, 1);
    struct span data = asked->hosts[0].tlsa.records[0];
    ck_assert_uint_eq(data.length, 3 + 64);
    ck_assert_mem_eq(data.data, "\3\0\2\xaa\xbb", 5);
}
END_TEST

START_TEST(texts)
{
    static const struct {
        const char *name;
        bool secure;
    } rows[] = {
        {"_mta-sts.safe.test", true},
        {"_mta-sts.plain.test", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct resolution *answer CLEANUP(resolution_free) = ask(rows[i].name, RESOLVE_TXT);
        ck_assert_str_eq(tell(answer), "OK v=STSv1; id=1");
        ck_assert_int_eq(answer->secure, rows[i].secure);
    }
}
END_TEST

/* Nothing is secure where nothing is validated, and nothing is lost either. */
START_TEST(without_validation)
{
    const struct resolve_settings settings = {.server = server};
    close_resolve();
    open_resolve(&settings);
    expect("good.safe.test", RESOLVE_MX, 25, "insecure; mx.safe.test: insecure");
    struct resolution *old CLEANUP(resolution_free) = ask("good.old.test", RESOLVE_MX);
    ck_assert_str_eq(tell(old), "OK 10 mx.old.test 192.0.2.1");
}
END_TEST

START_TEST(anchors_that_are_none)
{
    static const struct {
        const char *file, *text;
    } rows[] = {{"gone", NULL}, {"prose", "Once upon a time\n"}};
    for (size_t i = 0; i < countof(rows); i++) {
        char path[SCRATCH_FILE_MAX], why[512] = "";
        const struct resolve_settings settings = {
            .server = server,
            .dnssec = DNSSEC_VALIDATE,
            .trust_anchor = scratch_name(&scratch, rows[i].file, path),
        };
        if (rows[i].text != NULL)
            scratch_write(&scratch, rows[i].file, span_of(rows[i].text));
        ck_assert_ptr_null(resolve_create(&settings, why, sizeof(why)));
        ck_assert_msg(strstr(why, "trust-anchor") != NULL && strstr(why, path) != NULL, "%s", why);
    }
}
END_TEST

static TCase *make_tests(void)
{
    TCase *tcase = tcase_create("relay/resolve_dnssec");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, set_up, close_resolve);
    tcase_add_test(tcase, mail_hosts);
    tcase_add_test(tcase, aliases);
    tcase_add_test(tcase, hosts_of_a_route);
    tcase_add_test(tcase, failures);
    tcase_add_test(tcase, what_is_told_of_a_failure);
    tcase_add_test(tcase, records_come_as_they_are);
    tcase_add_test(tcase, texts);
    tcase_add_test(tcase, without_validation);
    tcase_add_test(tcase, anchors_that_are_none);
    return tcase;
}

int main(void)
{
    return run_with_nsd("relay/resolve_dnssec", zones, write_zones, make_tests);
}
