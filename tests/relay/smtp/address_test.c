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
        /* SMTPUTF8 is not offered yet */
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

TEST_MAIN("relay/smtp/address", good_addresses, bad_addresses, no_harmful_byte_passes,
          domains_of_addresses, domains, literals)
