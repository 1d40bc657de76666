#include "base/ip.h"

#include "tests/suite.h"

#include <string.h>

static struct ip ip_of(const char *text)
{
    struct ip ip = {0};
    ck_assert_msg(ip_parse(span_of(text), &ip), "%s", text);
    return ip;
}

START_TEST(addresses)
{
    static const struct {
        const char *text, *again; /* NULL: refused */
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"2001:DB8::1", "2001:db8::1"},
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"::ffff:192.0.2.1", "192.0.2.1"}, /* IPv4-mapped */
        {"::192.0.2.1", "::192.0.2.1"},    /* IPv4-compatible is not */
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
        {"", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.01", NULL}, /* octal to some */
        {"192.0.2.1 ", NULL},
        {"0x7f.1", NULL},
        {"1", NULL},
        {":::", NULL},
        {"2001:db8::1::2", NULL},
        {"fe80::1%eth0", NULL},
        {"[::1]", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:0000", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct ip ip;
        char text[IP_TEXT_MAX];
        bool parsed = ip_parse(span_of(rows[i].text), &ip);
        ck_assert_msg(parsed == (rows[i].again != NULL), "\"%s\"", rows[i].text);
        if (parsed)
            ck_assert_str_eq(ip_format(&ip, text), rows[i].again);
    }
    struct ip ip;
    ck_assert(!ip_parse((struct span){0}, &ip));
    ck_assert(!ip_parse((struct span){"192.0.2.1\0x", 11}, &ip));
}
END_TEST

START_TEST(no_address)
{
    char text[IP_TEXT_MAX];
    struct ip none = {0}, also_none = {0};
    ck_assert_str_eq(ip_format(&none, text), "none");
    ck_assert(ip_equal(&none, &also_none));
}
END_TEST

START_TEST(sameness)
{
    struct ip a = ip_of("192.0.2.1"), mapped = ip_of("::ffff:192.0.2.1"), b = ip_of("192.0.2.2");
    struct ip six = ip_of("c000:201::"); /* begins with the same four bytes */
    ck_assert(ip_equal(&a, &mapped));
    ck_assert_uint_eq(ip_hash(&a), ip_hash(&mapped));
    ck_assert(!ip_equal(&a, &b));
    ck_assert(!ip_equal(&a, &six));
    ck_assert_uint_ne(ip_hash(&a), ip_hash(&b));
    uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1};
    struct ip of_bytes = ip_of_bytes(6, bytes);
    ck_assert(ip_equal(&a, &of_bytes));
}
END_TEST

START_TEST(special_addresses)
{
    static const struct {
        const char *text;
        bool loopback, unspecified;
    } rows[] = {
        {"127.0.0.1", true, false},  {"127.255.255.254", true, false},
        {"128.0.0.1", false, false}, {"126.255.255.255", false, false},
        {"::1", true, false},        {"::2", false, false},
        {"::", false, true},         {"0.0.0.0", false, true},
        {"0.1.2.3", false, true},    {"::ffff:127.0.0.1", true, false},
        {"1.0.0.0", false, false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct ip ip = ip_of(rows[i].text);
        ck_assert_msg(ip_is_loopback(&ip) == rows[i].loopback, "%s", rows[i].text);
        ck_assert_msg(ip_is_unspecified(&ip) == rows[i].unspecified, "%s", rows[i].text);
    }
}
END_TEST

START_TEST(what_can_be_another_host)
{
    static const struct {
        const char *text;
        bool reachable;
    } rows[] = {
        {"192.0.2.1", true},
        {"10.0.0.1", true},
        {"192.168.1.1", true},
        {"100.64.0.1", true},
        {"127.0.0.1", true},
        {"0.0.0.0", true},
        {"169.253.255.255", true},
        {"169.254.0.0", false},
        {"169.254.169.254", false},
        {"169.255.0.0", true},
        {"223.255.255.255", true},
        {"224.0.0.1", false},
        {"240.0.0.1", false},
        {"255.255.255.255", false},
        {"2001:db8::1", true},
        {"fd00::1", true},
        {"::1", true},
        {"::", true},
        {"fe7f::1", true},
        {"fe80::1", false},
        {"febf::1", false},
        {"fec0::1", true},
        {"ff02::1", false},
        {"::ffff:169.254.1.1", false},
        {"::ffff:10.0.0.1", true},
        {"::127.0.0.1", false},
        {"::2", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct ip ip = ip_of(rows[i].text);
        ck_assert_msg(ip_is_reachable(&ip) == rows[i].reachable, "%s", rows[i].text);
    }
    struct ip none = {0};
    ck_assert(!ip_is_reachable(&none));
}
END_TEST

START_TEST(networks_of_somebody)
{
    static const char *const private[] = {"10.0.0.1",    "172.16.0.1",   "172.31.255.255",
                                          "192.168.9.1", "100.64.0.1",   "100.127.0.1",
                                          "fc00::1",     "fd12:3456::1", "::ffff:10.0.0.1"};
    static const char *const public[] = {
        "9.255.255.255", "11.0.0.0",    "172.15.0.1", "172.32.0.0",  "192.167.0.1", "192.169.0.1",
        "100.63.0.1",    "100.128.0.0", "127.0.0.1",  "2001:db8::1", "fe00::1",     "::1"};
    for (size_t i = 0; i < countof(private); i++) {
        struct ip ip = ip_of(private[i]);
        ck_assert_msg(ip_is_private(&ip), "%s", private[i]);
    }
    for (size_t i = 0; i < countof(public); i++) {
        struct ip ip = ip_of(public[i]);
        ck_assert_msg(!ip_is_private(&ip), "%s", public[i]);
    }
}
END_TEST

START_TEST(endpoints)
{
    static const struct {
        const char *text, *again; /* NULL: refused */
    } rows[] = {
        {"192.0.2.1:25", "192.0.2.1:25"},
        {"[192.0.2.1]:25", "192.0.2.1:25"},
        {"[2001:db8::1]:65535", "[2001:db8::1]:65535"},
        {"[::ffff:192.0.2.1]:0", "192.0.2.1:0"},
        {"", NULL},
        {":25", NULL},
        {"192.0.2.1", NULL},
        {"192.0.2.1:", NULL},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:-1", NULL},
        {"192.0.2.1:25 ", NULL},
        {"2001:db8::1:25", NULL}, /* where would the address end? */
        {"[2001:db8::1]", NULL},
        {"[2001:db8::1]:", NULL},
        {"[2001:db8::1]25", NULL},
        {"[2001:db8::1:25", NULL},
        {"[]:25", NULL},
        {"mx.example.test:25", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct endpoint endpoint;
        char text[ENDPOINT_TEXT_MAX];
        bool parsed = endpoint_parse(span_of(rows[i].text), &endpoint);
        ck_assert_msg(parsed == (rows[i].again != NULL), "\"%s\"", rows[i].text);
        if (parsed)
            ck_assert_str_eq(endpoint_format(&endpoint, text), rows[i].again);
    }
    struct endpoint endpoint;
    ck_assert(!endpoint_parse((struct span){0}, &endpoint));
}
END_TEST

START_TEST(longest_texts_fit)
{
    struct endpoint endpoint = {.port = 65535};
    char text[ENDPOINT_TEXT_MAX];
    memset(endpoint.ip.bytes, 0xff, sizeof(endpoint.ip.bytes));
    endpoint.ip.family = 6;
    ck_assert_str_eq(endpoint_format(&endpoint, text),
                     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}
END_TEST

START_TEST(networks)
{
    static const struct {
        const char *network, *ip;
        bool holds;
    } rows[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.8/29", "192.0.2.15", true},
        {"192.0.2.8/29", "192.0.2.16", false},
        {"192.0.2.8/29", "192.0.2.7", false},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.0", false},
        {"0.0.0.0/0", "203.0.113.7", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"127.0.0.0/8", "::ffff:127.1.2.3", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1/128", "::1", true},
        {"::1/128", "::", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct network network;
        struct ip ip = ip_of(rows[i].ip);
        ck_assert_msg(network_parse(span_of(rows[i].network), &network), "%s", rows[i].network);
        ck_assert_msg(network_holds(&network, &ip) == rows[i].holds, "%s in %s", rows[i].ip,
                      rows[i].network);
    }
}
END_TEST

START_TEST(networks_refused)
{
    static const char *const rows[] = {
        "",        "/8",          "192.0.2.0/",  "192.0.2.0/33",  "192.0.2.1/24",
        "::1/127", "::/129",      "10.0.0.0/-1", "10.0.0.0/8/8",  "10.0.0.0/x",
        "10/8",    "128.0.0.0/0", "localhost",   "192.0.2.128/24"};
    struct network network;
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_msg(!network_parse(span_of(rows[i]), &network), "%s", rows[i]);
    ck_assert(!network_parse((struct span){0}, &network));
}
END_TEST

START_TEST(equal_endpoints)
{
    static const struct {
        const char *one, *other;
        bool equal;
    } rows[] = {
        {"127.0.0.1:25", "127.0.0.1:25", true},  {"127.0.0.1:25", "127.0.0.1:26", false},
        {"127.0.0.1:25", "127.0.0.2:25", false}, {"[::ffff:127.0.0.1]:25", "127.0.0.1:25", true},
        {"[::]:25", "0.0.0.0:25", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct endpoint one, other;
        ck_assert(endpoint_parse(span_of(rows[i].one), &one));
        ck_assert(endpoint_parse(span_of(rows[i].other), &other));
        ck_assert_int_eq(endpoint_equal(&one, &other), rows[i].equal);
    }
}
END_TEST

TEST_MAIN("base/ip", addresses, no_address, sameness, special_addresses, what_can_be_another_host,
          networks_of_somebody, endpoints, longest_texts_fit, networks, networks_refused,
          equal_endpoints)
