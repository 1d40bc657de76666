#include "relay/smtp/address.h"

#include "tests/suite.h"

#include <string.h>

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"

START_TEST(good_addresses)
{
    static const char *const good[] = {
        "a@b",
        "user@example.test",
        "User.Name+tag@Example.TEST",
        "!#$%&'*+-/=?^_`{|}~@example.test",
        "a@xn--bcher-kva.example",
        "a@_dmarc.under_score.example",
        "a@1.2.3",
        "a@b-c.d--e",
        "a.b.c@d",
        "\"\"@example.test",
        "\"a b\"@example.test",
        "\"a@b\"@example.test",
        "\"a>b\"@example.test",
        "\"a\\\"b\\\\c\"@example.test",
        "\"\\ \\@\"@example.test",
        "a@[192.0.2.1]",
        "a@[IPv6:2001:db8::1]",
        A60 "aaaa@example.test",
        "a@" A63 "." A63 "." A63 "." A63,
    };
    for (size_t i = 0; i < countof(good); i++)
        ck_assert_msg(address_is_valid(span_of(good[i])), "%s", good[i]);
}
END_TEST

START_TEST(bad_addresses)
{
    static const struct span bad[] = {
        SPAN(""),
        SPAN("a"),
        SPAN("@"),
        SPAN("a@"),
        SPAN("@b"),
        SPAN("postmaster"),
        SPAN("a@b@c"),
        SPAN("a b@c"),
        SPAN(" a@b"),
        SPAN("a@b "),
        SPAN("a@b c"),
        SPAN(".a@b"),
        SPAN("a.@b"),
        SPAN("a..b@c"),
        SPAN("a,b@c"),
        SPAN("a:b@c"),
        SPAN("<a@b>"),
        SPAN("a@b>"),
        SPAN("a(b)@c"),
        SPAN("\"a@b"),
        SPAN("a\"@b"),
        SPAN("\"@b"),
        SPAN("\"a\"b@c"),
        SPAN("\"a\"b\"@c"),
        SPAN("\"a\\\"@b"),
        SPAN("\"a\".b@c"),
        SPAN("a\\b@c"),
        SPAN("a@.b"),
        SPAN("a@b."),
        SPAN("a@b..c"),
        SPAN("a@-b"),
        SPAN("a@b-"),
        SPAN("a@b.-c"),
        SPAN("a@b/c"),
        SPAN("a@b\"c"),
        SPAN("a@192.0.2.1]"),
        SPAN("a@[192.0.2.1"),
        SPAN("a@[192.0.2.300]"),
        SPAN("a@[2001:db8::1]"),
        SPAN("a@[]"),
        /* injection: what would end a command or a log line */
        SPAN("a\r\nRCPT TO:<x@y>@b"),
        SPAN("a@b\r\nDATA"),
        SPAN("a@b\r"),
        SPAN("a@b\n"),
        SPAN("\ra@b"),
        SPAN("\"a\r\n\"@b"),
        SPAN("\"a\n\"@b"),
        SPAN("\"a\\\n\"@b"),
        SPAN("\"a\\\r\"@b"),
        SPAN("\"a\0\"@b"),
        SPAN("\"a\\\0\"@b"),
        SPAN("a\0@b"),
        SPAN("a@b\0"),
        SPAN("a@b\0.c"),
        SPAN("a\x7f@b"),
        SPAN("\"a\x7f\"@b"),
        SPAN("\"a\tb\"@c"),
        SPAN("a\tb@c"),
        /* only with SMTPUTF8 */
        SPAN("\xc3\xa4@b"),
        SPAN("\"\xc3\xa4\"@b"),
        SPAN("\"\\\xc3\"@b"),
        SPAN("a@b\xc3\xbc"
             "cher.example"),
        /* too long */
        SPAN(A60 "aaaaa@example.test"),
        SPAN("\"" A60 "aaa\"@example.test"),
        SPAN("a@" A63 "a.test"),
        SPAN("a@" A63 "." A63 "." A63 "." A63 ".a"),
    };
    for (size_t i = 0; i < countof(bad); i++)
        ck_assert_msg(!address_is_valid(bad[i]), "row %zu: \"%.*s\"", i, SPAN_FORMAT(bad[i]));
}
END_TEST

/* ---- with SMTPUTF8 ---- */

#define A_UMLAUT "\xc3\xa4"
#define IDEOGRAPH "\xe4\xb8\x80"

START_TEST(good_addresses_in_utf8)
{
    static const struct {
        const char *path, *destination;
    } rows[] = {
        {"a@B.test", "b.test"},
        {A_UMLAUT "@b.test", "b.test"},
        {IDEOGRAPH "." A_UMLAUT "@b", "b"},
        {"\"" A_UMLAUT " " IDEOGRAPH "\"@b", "b"},
        {"a@b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {"a@B\xc3\x9c"
         "CHER.Example",
         "xn--bcher-kva.example"},
        {"a@bu\xcc\x88"
         "cher.example",
         "xn--bcher-kva.example"}, /* not in NFC */
        {"a@stra\xc3\x9f"
         "e.de",
         "xn--strae-oqa.de"}, /* non-transitional */
        {"a@" IDEOGRAPH "." IDEOGRAPH, "xn--4gq.xn--4gq"},
        {"a@xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"a@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
        {"\xf0\x9f\x98\x80@b", "b"},
        {A_UMLAUT A_UMLAUT A_UMLAUT A_UMLAUT A_UMLAUT A10 A10 A10 A10 A10 "aaaa@b", "b"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char name[ADDRESS_DOMAIN_MAX + 1];
        struct span path = span_of(rows[i].path);
        ck_assert_msg(address_is_valid_utf8(path), "%s", rows[i].path);
        ck_assert_msg(address_is_valid(path) == span_is_ascii(path), "%s", rows[i].path);
        ck_assert_str_eq(address_destination(path, name), rows[i].destination);
    }
}
END_TEST

START_TEST(bad_addresses_in_utf8)
{
    static const struct span bad[] = {
        SPAN(A_UMLAUT),
        SPAN("@" A_UMLAUT),
        SPAN(A_UMLAUT "@"),
        SPAN("\"" A_UMLAUT "@b"),
        SPAN("\"\\" A_UMLAUT "\"@b"), /* a '\' quotes ASCII only */
        SPAN("\xc3@b"),               /* cut off */
        SPAN("\xa4@b"),               /* begins in the middle */
        SPAN("\xc0\xaf@b"),           /* overlong */
        SPAN("\xe0\x80\xaf@b"),
        SPAN("\xc0\x8d\xc0\x8a@b"), /* overlong CR and LF */
        SPAN("\xed\xa0\x80@b"),     /* a surrogate */
        SPAN("\xf4\x90\x80\x80@b"), /* beyond Unicode */
        SPAN("\xff@b"),
        SPAN("\xc2\x85@b"),         /* NEL */
        SPAN("\"\xc2\x9b\"@b"),     /* CSI */
        SPAN("\xe2\x80\xa8@b"),     /* line separator */
        SPAN("\"\xe2\x80\xa9\"@b"), /* paragraph separator */
        SPAN(A_UMLAUT "\r\n@b"),
        SPAN("\"" A_UMLAUT "\0\"@b"),
        SPAN("a@" A_UMLAUT ".."),
        SPAN("a@-" A_UMLAUT ".b"),
        SPAN("a@b\xc3\xbc cher.example"),
        SPAN("a@\xef\xbc\xa0"
             "b"), /* a wide '@' is mapped to one */
        SPAN("a@\xe2\x80\x8b"
             "b@c"),
        SPAN("a@b\xcc"),
        SPAN("a@\xcc\x88"
             "b"), /* begins with a combining mark */
        SPAN("a@\xd7\x90"
             "b"),                              /* against the rule for two directions */
        SPAN("a@\xf0\x9f\x98\x80\xef\xbf\xbe"), /* no character */
        SPAN(A60 "aaa" A_UMLAUT "@b"),
        SPAN("a@" A60 IDEOGRAPH IDEOGRAPH ".b"),
        SPAN("a@[" A_UMLAUT "]"),
    };
    for (size_t i = 0; i < countof(bad); i++)
        ck_assert_msg(!address_is_valid_utf8(bad[i]), "row %zu: \"%.*s\"", i, SPAN_FORMAT(bad[i]));
}
END_TEST

/* Any byte in any place: what is accepted holds none that could harm. */
START_TEST(no_harmful_byte_passes)
{
    static const char *const forms[] = {"ab@cd.ef", "\"ab\"@cd.ef", "\"a\\b\"@cd", "a@[192.0.2.1]"};
    char text[32];
    for (size_t i = 0; i < countof(forms); i++) {
        size_t length = strlen(forms[i]);
        for (size_t at = 0; at < length; at++) {
            for (int byte = 0; byte < 256; byte++) {
                memcpy(text, forms[i], length);
                text[at] = (char)byte;
                bool harmful = byte < ' ' || byte > '~' || (byte == ' ' && text[0] != '"');
                ck_assert_msg(!harmful || !address_is_valid((struct span){text, length}),
                              "%s with %d at %zu", forms[i], byte, at);
            }
        }
    }
}
END_TEST

START_TEST(domains_of_addresses)
{
    static const struct {
        const char *path, *domain;
    } rows[] = {
        {"a@b.c", "b.c"}, {"\"a@b\"@c", "c"}, {"a@[192.0.2.1]", "[192.0.2.1]"},
        {"a@", ""},       {"a", ""},          {"", ""},
    };
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_msg(span_equal(address_domain(span_of(rows[i].path)), span_of(rows[i].domain)),
                      "%s", rows[i].path);
    ck_assert(!address_is_valid((struct span){0}));
    ck_assert_uint_eq(address_domain((struct span){0}).length, 0);
}
END_TEST

START_TEST(domains)
{
    static const struct {
        struct span domain;
        bool valid;
    } rows[] = {
        {SPAN("localhost"), true},
        {SPAN("example.test"), true},
        {SPAN("a-b.c_d.1"), true},
        {SPAN("_spf.example"), true},
        {SPAN(A63), true},
        {SPAN(A63 "a"), false},
        {SPAN(A63 "." A63 "." A63 "." A63), true}, /* 255 */
        {SPAN(A63 "." A63 "." A63 "." A60 "."
                  "aaa"),
         false}, /* 256 */
        {SPAN(""), false},
        {SPAN("."), false},
        {SPAN("a."), false},
        {SPAN(".a"), false},
        {SPAN("a..b"), false},
        {SPAN("-a"), false},
        {SPAN("a-"), false},
        {SPAN("a b"), false},
        {SPAN("a\n"), false},
        {SPAN("a\0"), false},
        {SPAN("[192.0.2.1]"), false},
        {SPAN("a:25"), false},
        {SPAN("\xc3\xa4"), false},
    };
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_msg(domain_is_valid(rows[i].domain) == rows[i].valid, "row %zu: %.*s", i,
                      SPAN_FORMAT(rows[i].domain));
    ck_assert(!domain_is_valid((struct span){0}));
}
END_TEST

START_TEST(literals)
{
    static const struct {
        const char *literal, *ip; /* NULL: none */
    } rows[] = {
        {"[192.0.2.1]", "192.0.2.1"},
        {"[IPv6:2001:db8::1]", "2001:db8::1"},
        {"[ipv6:::1]", "::1"},
        {"[IPv6:::ffff:192.0.2.1]", "192.0.2.1"},
        {"192.0.2.1", NULL},
        {"[192.0.2.1", NULL},
        {"192.0.2.1]", NULL},
        {"[192.0.2]", NULL},
        {"[192.0.2.1 ]", NULL},
        {"[2001:db8::1]", NULL},    /* the tag is missing */
        {"[IPv6:192.0.2.1]", NULL}, /* the tag is wrong */
        {"[IPv6:2001:db8::1%1]", NULL},
        {"[IPv6:]", NULL},
        {"[x:y]", NULL},
        {"[]", NULL},
        {"[", NULL},
        {"]", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct ip ip = {0};
        char text[IP_TEXT_MAX];
        bool parsed = address_literal_parse(span_of(rows[i].literal), &ip);
        ck_assert_msg(parsed == (rows[i].ip != NULL), "%s", rows[i].literal);
        if (parsed)
            ck_assert_str_eq(ip_format(&ip, text), rows[i].ip);
    }
}
END_TEST

TEST_MAIN("relay/smtp/address", good_addresses, bad_addresses, good_addresses_in_utf8,
          bad_addresses_in_utf8, no_harmful_byte_passes, domains_of_addresses, domains, literals)
