#include "relay/smtp/xclient.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

/* What was read, as one line: only what was given. */
static void describe(const struct xclient *xclient, char text[1024])
{
    char ip[IP_TEXT_MAX];
    const char *protocol = xclient->extended ? "ESMTP" : "SMTP";
    const bool *given = xclient->given;
    text[0] = '\0';
    if (given[XCLIENT_NAME])
        sprintf(text + strlen(text), "name <%s> ", xclient->name);
    if (given[XCLIENT_ADDR])
        sprintf(text + strlen(text), "addr <%s> ", ip_format(&xclient->ip, ip));
    if (given[XCLIENT_PORT])
        sprintf(text + strlen(text), "port %u ", xclient->port);
    if (given[XCLIENT_PROTO])
        sprintf(text + strlen(text), "proto %s ", protocol);
    if (given[XCLIENT_HELO])
        sprintf(text + strlen(text), "helo <%s> ", xclient->helo);
    if (given[XCLIENT_LOGIN])
        sprintf(text + strlen(text), "login <%s> ", xclient->login);
}

START_TEST(attributes)
{
    static const struct {
        const char *argument, *read;
    } rows[] = {
        {"NAME=spike.porcupine.org ADDR=168.100.189.2",
         "name <spike.porcupine.org> addr <168.100.189.2> "},
        {"addr=192.0.2.1  PORT=40000", "addr <192.0.2.1> port 40000 "},
        {"ADDR=IPV6:2001:db8::1", "addr <2001:db8::1> "},
        {"ADDR=ipv6:::ffff:192.0.2.1", "addr <192.0.2.1> "},
        {"PROTO=ESMTP HELO=a.test", "proto ESMTP helo <a.test> "},
        {"PROTO=smtp", "proto SMTP "},
        {"HELO=[192.0.2.9]", "helo <[192.0.2.9]> "},
        {"LOGIN=app@corp.test", "login <app@corp.test> "},
        {"LOGIN=a+20+2Bb+C3+A4", "login <a +b\xc3\xa4> "},
        {"NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAIL] PORT=[UNAVAILABLE] HELO=[unavailable] "
         "LOGIN=[UNAVAILABLE] PROTO=[UNAVAILABLE]",
         "name <> addr <none> port 0 proto SMTP helo <> login <> "},
        {"LOGIN=+5BUNAVAILABLE+5D", "login <> "},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct xclient xclient;
        char text[1024];
        ck_assert_msg(xclient_read(span_of(rows[i].argument), &xclient), "row %zu", i);
        describe(&xclient, text);
        ck_assert_msg(strcmp(text, rows[i].read) == 0, "row %zu: %s", i, text);
    }
}
END_TEST

START_TEST(what_is_none)
{
    static const struct span rows[] = {
        SPAN(""),
        SPAN("NAME"),
        SPAN("NAME="),
        SPAN("=x"),
        SPAN("COLOUR=red"),
        SPAN("NAME=a.test NAME=b.test"),
        SPAN("NAME=a b"),
        SPAN("NAME=-a"),
        SPAN("NAME=a+0Ab"),
        SPAN("NAME=a+00"),
        SPAN("ADDR=192.0.2.256"),
        SPAN("ADDR=2001:db8::1"),
        SPAN("ADDR=IPV6:192.0.2.1"),
        SPAN("ADDR=IPV6:"),
        SPAN("PORT=65536"),
        SPAN("PORT=-1"),
        SPAN("PORT=smtp"),
        SPAN("PROTO=HTTP"),
        SPAN("HELO=a+20b"),
        SPAN("HELO=+5B192.0.2.300+5D"),
        SPAN("LOGIN=a+0D+0Ab"),
        SPAN("LOGIN=+7F"),
        SPAN("LOGIN=+C2+85"),
        SPAN("LOGIN=+FF"),
        SPAN("LOGIN=a+00b"),
        SPAN("LOGIN=a=b"),
        SPAN("LOGIN=a+2"),
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct xclient xclient;
        ck_assert_msg(!xclient_read(rows[i], &xclient), "row %zu", i);
    }
}
END_TEST

START_TEST(a_value_has_its_limit)
{
    char argument[6 + XCLIENT_TEXT_MAX + 2] = "LOGIN=";
    struct xclient xclient;
    memset(argument + 6, 'a', XCLIENT_TEXT_MAX + 1);
    ck_assert(!xclient_read(span_of(argument), &xclient));
    argument[6 + XCLIENT_TEXT_MAX] = '\0';
    ck_assert(xclient_read(span_of(argument), &xclient));
    ck_assert_uint_eq(strlen(xclient.login), XCLIENT_TEXT_MAX);
}
END_TEST

TEST_MAIN("relay/smtp/xclient", attributes, what_is_none, a_value_has_its_limit)
