/* The resolver against a real name server. */
#include "relay/dns_message.h"
#include "tests/relay/resolving.h"

static const char zone[] = "$ORIGIN example.test.\n"
                           "$TTL 600\n"
                           "@ SOA ns hostmaster 1 3600 600 86400 120\n"
                           "@ NS ns\n"
                           "ns A 127.0.0.1\n"
                           "a A 192.0.2.1\n"
                           "b A 192.0.2.2\n"
                           "b AAAA 2001:db8::2\n"
                           "six AAAA 2001:db8::6\n"
                           "text TXT \"neither MX nor address\"\n"
                           "_mta-sts TXT v=STSv1 \"; id=\" abc\n"
                           "_mta-sts.cname CNAME _mta-sts\n"
                           "cname CNAME a\n"
                           "order MX 30 a\n"
                           "order MX 10 B\n"
                           "order MX 20 six\n"
                           "plain A 192.0.2.9\n"
                           "plain AAAA 2001:db8::9\n"
                           "null MX 0 .\n"
                           "notnull MX 0 .\n"
                           "notnull MX 10 a\n"
                           "nowhere MX 10 gone\n"
                           "nowhere MX 20 text\n"
                           "nowhere A 192.0.2.66\n"
                           "half MX 10 gone\n"
                           "half MX 20 a\n"
                           "alias CNAME order\n"
                           "tocname MX 10 cname\n"
                           "away MX 10 mx.broken.test.\n"
                           "partly MX 10 mx.broken.test.\n"
                           "partly MX 20 a\n"
                           "dangling CNAME gone\n"
                           "chain1 CNAME chain2\n"
                           "chain2 CNAME chain3\n"
                           "chain3 CNAME chain4\n"
                           "chain4 CNAME chain5\n"
                           "chain5 CNAME order\n"
                           "loop1 CNAME loop2\n"
                           "loop2 CNAME loop1\n"
                           "self CNAME self\n"
                           "toloop MX 10 loop1\n"
                           "toloop MX 20 a\n"
                           "short 5 MX 10 a\n"
                           "long 86400 MX 10 long-host\n"
                           "long-host 86400 A 192.0.2.7\n"
                           "long-host 86400 AAAA 2001:db8::7\n";

static const char zones[] = "zone:\n"
                            "  name: example.test\n"
                            "  zonefile: example.zone\n"
                            "zone:\n" /* answered with SERVFAIL: it has no file */
                            "  name: broken.test\n"
                            "  zonefile: none.zone\n";

static bool write_zones(void)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    buffer_append(&text, span_of(zone));
    for (unsigned i = 0; i < 30; i++)
        buffer_print(&text, "many MX %u many%u\nmany%u A 192.0.2.%u\n", 100 - i, i, i, 100 + i);
    for (unsigned i = 0; i < 30; i++)
        buffer_print(&text, "long%u CNAME long%u\n", i, i + 1);
    buffer_print(&text, "long30 A 192.0.2.30\n");
    for (unsigned i = 0; i < 15; i++)
        buffer_print(&text, "wide A 192.0.2.%u\nwide AAAA 2001:db8::%u\n", i, i);
    for (unsigned i = 0; i < DNS_RECORDS_MAX + 10; i++)
        buffer_print(&text, "texts TXT \"text %u\"\n", i);
    buffer_print(&text, "bigtext TXT small\nbigtext TXT");
    for (unsigned i = 0; i <= RESOLVE_TEXT_BYTES_MAX / 200; i++)
        buffer_print(&text, " %0200u", i);
    buffer_print(&text, "\n");
    scratch_write(&scratch, "example.zone", buffer_span(&text));
    return true;
}

/* What is asked of libunbound, and all of it again of the resolver that is trusted. */
static const enum dnssec ways[] = {DNSSEC_OFF, DNSSEC_TRUST_AD};

static void open_at(const char *at, enum dnssec dnssec)
{
    const struct resolve_settings settings = {.server = at, .dnssec = dnssec};
    open_resolve(&settings);
}

static void set_up(void)
{
    open_at(server, DNSSEC_OFF);
}

static void open_again(int way)
{
    close_resolve();
    open_at(server, ways[way]);
}

static void tear_down(void)
{
    close_resolve();
}

/* ---- tests ---- */

START_TEST(answers)
{
    static const struct {
        const char *domain;
        enum resolve_kind kind;
        const char *told;
    } rows[] = {
        {"order.example.test", RESOLVE_MX,
         "OK 10 b.example.test 192.0.2.2 2001:db8::2; 20 six.example.test 2001:db8::6; "
         "30 a.example.test 192.0.2.1"},
        {"Order.Example.TEST", RESOLVE_MX,
         "OK 10 b.example.test 192.0.2.2 2001:db8::2; 20 six.example.test 2001:db8::6; "
         "30 a.example.test 192.0.2.1"},
        /* no MX: the domain itself (RFC 5321 5.1) */
        {"plain.example.test", RESOLVE_MX, "OK 0 plain.example.test 192.0.2.9 2001:db8::9"},
        {"six.example.test", RESOLVE_MX, "OK 0 six.example.test 2001:db8::6"},
        {"text.example.test", RESOLVE_MX, "NO_DOMAIN text.example.test: neither MX nor address"},
        {"gone.example.test", RESOLVE_MX, "NO_DOMAIN gone.example.test: no such domain (NXDOMAIN)"},
        {"dangling.example.test", RESOLVE_MX,
         "NO_DOMAIN dangling.example.test: no such domain (NXDOMAIN)"},
        /* null MX (RFC 7505) */
        {"null.example.test", RESOLVE_MX, "NULL_MX null.example.test: accepts no mail (null MX)"},
        {"notnull.example.test", RESOLVE_MX, "OK 10 a.example.test 192.0.2.1"},
        /* MX that lead nowhere are no reason to use the domain's own address */
        {"nowhere.example.test", RESOLVE_MX,
         "NO_ADDRESS nowhere.example.test: none of its mail hosts has an address"},
        {"half.example.test", RESOLVE_MX, "OK 10 gone.example.test; 20 a.example.test 192.0.2.1"},
        {"alias.example.test", RESOLVE_MX,
         "OK 10 b.example.test 192.0.2.2 2001:db8::2; 20 six.example.test 2001:db8::6; "
         "30 a.example.test 192.0.2.1"},
        {"tocname.example.test", RESOLVE_MX, "OK 10 cname.example.test 192.0.2.1"},
        /* chains of CNAME, which are followed so far and no further */
        {"chain1.example.test", RESOLVE_MX,
         "OK 10 b.example.test 192.0.2.2 2001:db8::2; 20 six.example.test 2001:db8::6; "
         "30 a.example.test 192.0.2.1"},
        {"long22.example.test", RESOLVE_ADDRESSES, "OK 0 long22.example.test 192.0.2.30"},
        {"toloop.example.test", RESOLVE_MX,
         "OK 10 loop1.example.test; 20 a.example.test 192.0.2.1"},
        /* failures */
        {"broken.test", RESOLVE_MX, "TEMPORARY broken.test: SERVFAIL"},
        {"away.example.test", RESOLVE_MX, "TEMPORARY mx.broken.test: SERVFAIL"},
        {"partly.example.test", RESOLVE_MX, "OK 10 mx.broken.test; 20 a.example.test 192.0.2.1"},
        {"not a domain", RESOLVE_MX, "NO_DOMAIN not a domain: not a domain name"},
        {"", RESOLVE_MX, "NO_DOMAIN : not a domain name"},
        /* one name's addresses */
        {"order.example.test", RESOLVE_ADDRESSES, "NO_ADDRESS order.example.test: no address"},
        {"B.Example.TEST", RESOLVE_ADDRESSES, "OK 0 b.example.test 192.0.2.2 2001:db8::2"},
        {"cname.example.test", RESOLVE_ADDRESSES, "OK 0 cname.example.test 192.0.2.1"},
        {"gone.example.test", RESOLVE_ADDRESSES,
         "NO_DOMAIN gone.example.test: no such name (NXDOMAIN)"},
        {"mx.broken.test", RESOLVE_ADDRESSES, "TEMPORARY mx.broken.test: SERVFAIL"},
        /* texts */
        {"text.example.test", RESOLVE_TXT, "OK neither MX nor address"},
        {"_mta-sts.example.test", RESOLVE_TXT, "OK v=STSv1; id=abc"},
        {"_mta-sts.cname.example.test", RESOLVE_TXT, "OK v=STSv1; id=abc"},
        {"plain.example.test", RESOLVE_TXT, "NO_DOMAIN plain.example.test: no TXT record"},
        {"gone.example.test", RESOLVE_TXT, "NO_DOMAIN gone.example.test: no such name (NXDOMAIN)"},
        {"mx.broken.test", RESOLVE_TXT, "TEMPORARY mx.broken.test: SERVFAIL"},
    };
    open_again(_i);
    for (size_t i = 0; i < countof(rows); i++) {
        struct resolution *answer CLEANUP(resolution_free) = ask(rows[i].domain, rows[i].kind);
        ck_assert_str_eq(tell(answer), rows[i].told);
    }
}
END_TEST

/* Either way of asking has its own words for it. */
static void expect_failure(const struct resolution *answer, enum dnssec way, const char *of_library,
                           const char *of_stub)
{
    char wanted[256];
    snprintf(wanted, sizeof(wanted), "TEMPORARY %s: %s", answer->domain,
             way == DNSSEC_TRUST_AD ? of_stub : of_library);
    ck_assert_str_eq(tell(answer), wanted);
}

START_TEST(aliases_that_lead_nowhere)
{
    static const struct {
        const char *domain;
        enum resolve_kind kind;
    } rows[] = {
        {"long0.example.test", RESOLVE_MX},
        {"long10.example.test", RESOLVE_ADDRESSES},
        {"loop1.example.test", RESOLVE_MX},
        {"self.example.test", RESOLVE_MX},
    };
    open_again(_i);
    for (size_t i = 0; i < countof(rows); i++) {
        struct resolution *answer CLEANUP(resolution_free) = ask(rows[i].domain, rows[i].kind);
        expect_failure(answer, ways[_i], "SERVFAIL", "its aliases go round, or too far");
    }
}
END_TEST

START_TEST(how_long_an_answer_holds)
{
    static const struct {
        const char *domain;
        int64_t least_ms, most_ms;
    } rows[] = {
        {"plain.example.test", 100000, 120000}, /* the SOA's, for the MX that is not there */
        {"order.example.test", 100000, 120000}, /* for an AAAA that is not there */
        {"long.example.test", RESOLVE_TTL_MOST_MS - 10000, RESOLVE_TTL_MOST_MS},
        {"short.example.test", RESOLVE_TTL_LEAST_MS, RESOLVE_TTL_LEAST_MS},
        {"partly.example.test", RESOLVE_TTL_LEAST_MS, RESOLVE_TTL_LEAST_MS},
        {"broken.test", RESOLVE_TTL_LEAST_MS, RESOLVE_TTL_LEAST_MS},
    };
    open_again(_i);
    for (size_t i = 0; i < countof(rows); i++) {
        struct resolution *answer CLEANUP(resolution_free) = ask(rows[i].domain, RESOLVE_MX);
        ck_assert_msg(answer->ttl_ms >= rows[i].least_ms && answer->ttl_ms <= rows[i].most_ms,
                      "%s: %ld", rows[i].domain, (long)answer->ttl_ms);
    }
}
END_TEST

START_TEST(limits)
{
    open_again(_i);
    struct resolution *texts CLEANUP(resolution_free) = ask("texts.example.test", RESOLVE_TXT);
    ck_assert_uint_eq(texts->text_count, DNS_RECORDS_MAX);
    struct resolution *big CLEANUP(resolution_free) = ask("bigtext.example.test", RESOLVE_TXT);
    ck_assert_str_eq(tell(big), "OK small"); /* the other one is longer than may be */
    struct resolution *many CLEANUP(resolution_free) = ask("many.example.test", RESOLVE_MX);
    ck_assert_int_eq(many->result, RESOLVE_OK);
    ck_assert_uint_eq(many->count, RESOLVE_HOSTS_MAX);
    for (unsigned i = 0; i < many->count; i++) {
        ck_assert_uint_eq(many->hosts[i].preference, 71 + i);
        ck_assert_uint_eq(many->hosts[i].count, 1);
    }
    struct resolution *wide CLEANUP(resolution_free) = ask("wide.example.test", RESOLVE_MX);
    ck_assert_uint_eq(wide->count, 1);
    ck_assert_uint_eq(wide->hosts[0].count, 2 * RESOLVE_ADDRESSES_MAX);
}
END_TEST

/* More than may be under way: all are answered, each with its own. */
START_TEST(many_at_once)
{
    static struct resolution *asked[RESOLVE_UNDER_WAY_MAX * 2];
    char domain[64];
    open_again(_i);
    for (unsigned i = 0; i < countof(asked); i++) {
        snprintf(domain, sizeof(domain), "x%u.%s.test", i, i % 2 ? "gone.example" : "broken");
        asked[i] = post(i % 4 ? domain : "order.example.test", RESOLVE_MX);
    }
    await(countof(asked));
    for (unsigned i = 0; i < countof(asked); i++) {
        enum resolve_result wanted = i % 4 == 0   ? RESOLVE_OK
                                     : i % 2 == 0 ? RESOLVE_TEMPORARY
                                                  : RESOLVE_NO_DOMAIN;
        ck_assert_msg(asked[i]->result == wanted, "%u: %s", i, tell(asked[i]));
        resolution_free(&asked[i]);
    }
}
END_TEST

/* Hears nobody but itself: for all others its port is closed, and none of them can take it. */
static int closed_port(uint16_t *port)
{
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    int made = udp_socket(port);
    must(getsockname(made, (struct sockaddr *)&address, &length) == 0);
    must(connect(made, (struct sockaddr *)&address, length) == 0);
    return made;
}

START_TEST(nobody_answers)
{
    uint16_t port;
    char at[ENDPOINT_TEXT_MAX];
    int closed = closed_port(&port);
    tear_down();
    snprintf(at, sizeof(at), "127.0.0.1:%u", port);
    open_at(at, ways[_i]);
    struct resolution *answer CLEANUP(resolution_free) = ask("order.example.test", RESOLVE_MX);
    expect_failure(answer, ways[_i], "SERVFAIL", "Could not contact DNS servers");
    close(closed);
}
END_TEST

START_TEST(the_end_answers_the_rest)
{
    static struct resolution *asked[RESOLVE_UNDER_WAY_MAX + 10];
    uint16_t port;
    char at[ENDPOINT_TEXT_MAX];
    int silent = udp_socket(&port);
    tear_down();
    snprintf(at, sizeof(at), "127.0.0.1:%u", port);
    open_at(at, ways[_i]);
    for (unsigned i = 0; i < countof(asked); i++)
        asked[i] = post("order.example.test", (enum resolve_kind)(i % 3));
    resolve_destroy(&resolve);
    await(countof(asked));
    for (unsigned i = 0; i < countof(asked); i++) {
        ck_assert_str_eq(tell(asked[i]),
                         "TEMPORARY order.example.test: the relay is shutting down");
        resolution_free(&asked[i]);
    }
    close(silent);
}
END_TEST

/* RFC 7672 2.1: the bit counts only on a channel on which nobody else can speak. */
START_TEST(who_is_not_trusted)
{
    static const char *const bad[] = {"192.0.2.53:53", "[2001:db8::53]:53"};
    for (size_t i = 0; i < countof(bad); i++) {
        char why[256] = "";
        const struct resolve_settings settings = {.server = bad[i], .dnssec = DNSSEC_TRUST_AD};
        ck_assert(!resolve_check(&settings, why, sizeof(why)));
        ck_assert_msg(strstr(why, "is not on this machine") != NULL, "%s", why);
    }
    char why[256] = "";
    const struct resolve_settings settings = {.server = "[::1]:53", .dnssec = DNSSEC_TRUST_AD};
    ck_assert_msg(resolve_check(&settings, why, sizeof(why)), "%s", why);
}
END_TEST

/* What is under way is asked again, of whoever is asked from then on. */
START_TEST(another_name_server)
{
    uint16_t port;
    char at[ENDPOINT_TEXT_MAX], why[256] = "";
    int silent = udp_socket(&port);
    const struct resolve_settings bad = {.server = "nobody", .dnssec = ways[_i]},
                                  good = {.server = server, .dnssec = ways[_i]};
    tear_down();
    snprintf(at, sizeof(at), "127.0.0.1:%u", port);
    open_at(at, ways[_i] == DNSSEC_OFF ? DNSSEC_TRUST_AD : DNSSEC_OFF);
    struct resolution *asked CLEANUP(resolution_free) = post("order.example.test", RESOLVE_MX);
    struct resolution *text CLEANUP(resolution_free) = post("text.example.test", RESOLVE_TXT);
    ck_assert(!resolve_reconfigure(resolve, &bad, why, sizeof(why)));
    ck_assert_ptr_nonnull(strstr(why, "cannot be used"));
    ck_assert(resolve_reconfigure(resolve, &good, why, sizeof(why)));
    ck_assert(resolve_reconfigure(resolve, &good, why, sizeof(why)));
    await(2);
    ck_assert_uint_eq(asked->count, 3);
    ck_assert_str_eq(tell(text), "OK neither MX nor address");
    close(silent);
}
END_TEST

START_TEST(servers_that_are_none)
{
    static const char *const bad[] = {"", "127.0.0.1", "localhost:53", "127.0.0.1:"};
    for (size_t i = 0; i < countof(bad); i++) {
        char why[256] = "";
        const struct resolve_settings settings = {.server = bad[i], .dnssec = ways[_i]};
        ck_assert_ptr_null(resolve_create(&settings, why, sizeof(why)));
        ck_assert_ptr_nonnull(strstr(why, "cannot be used"));
    }
}
END_TEST

static TCase *make_tests(void)
{
    TCase *tcase = tcase_create("relay/resolve");
    tcase_set_timeout(tcase, 60); /* more than libunbound waits for a server that is none */
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, answers, 0, countof(ways));
    tcase_add_loop_test(tcase, aliases_that_lead_nowhere, 0, countof(ways));
    tcase_add_loop_test(tcase, how_long_an_answer_holds, 0, countof(ways));
    tcase_add_loop_test(tcase, limits, 0, countof(ways));
    tcase_add_loop_test(tcase, many_at_once, 0, countof(ways));
    tcase_add_loop_test(tcase, nobody_answers, 0, countof(ways));
    tcase_add_loop_test(tcase, the_end_answers_the_rest, 0, countof(ways));
    tcase_add_test(tcase, who_is_not_trusted);
    tcase_add_loop_test(tcase, another_name_server, 0, countof(ways));
    tcase_add_loop_test(tcase, servers_that_are_none, 0, countof(ways));
    return tcase;
}

int main(void)
{
    return run_with_nsd("relay/resolve", zones, write_zones, make_tests);
}
