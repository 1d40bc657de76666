/* XCLIENT: a proxy says who its client is, and rights are weighed anew. */
#include "tests/relay/inbound/dialogue.h"

#define OFFERS(more)                                                                               \
    "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"        \
    "250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n" more "250 ENHANCEDSTATUSCODES\r\n"
#define OFFERED "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN\r\n"
#define OFFERS_MAY(more) OFFERS("250-DELIVERBY\r\n" more)
#define OK_MAIL "250 2.1.0 Ok\r\n"
#define OK_RCPT "250 2.1.5 Ok\r\n"
#define NO_RELAY "550 5.7.1 Relaying is not allowed for you\r\n"
#define NOT_FOR_YOU "550 5.7.0 XCLIENT is not for you\r\n"
#define ENVELOPE "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\n"
#define EHLO_FIRST "503 5.5.1 EHLO first, one MAIL at a time\r\n"

static struct network proxies; /* 192.0.2.7, where the client of a dialogue is */

#define FROM_PROXY .listen.xclient_from = {&proxies, 1}

START_TEST(dialogues)
{
    static const struct dialogue table[] = {
        {.name = "not from here",
         .steps = {SENDS("EHLO c.test\r\nXCLIENT NAME=a.test\r\n", OFFERS_MAY("") NOT_FOR_YOU,
                         INBOUND_MORE)}},
        {.name = "to a client that may not relay, and that may not say so again",
         FROM_PROXY,
         .steps = {SENDS("EHLO c.test\r\n", OFFERS_MAY(OFFERED), INBOUND_MORE),
                   SENDS("XCLIENT NAME=x.test ADDR=198.51.100.1\r\n", NULL, INBOUND_MOVE),
                   DOES(MOVED, GREETING), SENDS("MAIL FROM:<>\r\n", EHLO_FIRST, INBOUND_MORE),
                   SENDS("EHLO c.test\r\n" ENVELOPE, OFFERS("") OK_MAIL NO_RELAY, INBOUND_MORE),
                   SENDS("RSET\r\nXCLIENT ADDR=192.0.2.7\r\n", "250 2.0.0 Ok\r\n" NOT_FOR_YOU,
                         INBOUND_MORE)}},
        {.name = "to one that may",
         .stranger = true,
         FROM_PROXY,
         .steps = {SENDS("XCLIENT LOGIN=ann PORT=1\r\n", NULL, INBOUND_MOVE), DOES(MOVED, GREETING),
                   SENDS("EHLO c.test\r\n" ENVELOPE, OFFERS_MAY(OFFERED) OK_MAIL OK_RCPT,
                         INBOUND_MORE)}},
        {.name = "who logged in is forgotten when the next is passed on",
         .stranger = true,
         FROM_PROXY,
         .steps = {SENDS("XCLIENT LOGIN=ann\r\n", NULL, INBOUND_MOVE), DOES(MOVED, GREETING),
                   SENDS("XCLIENT PORT=1\r\n", NULL, INBOUND_MOVE), DOES(MOVED, GREETING),
                   SENDS("EHLO c.test\r\n" ENVELOPE, OFFERS(OFFERED) OK_MAIL NO_RELAY,
                         INBOUND_MORE)}},
        {.name = "HELO that is passed on is enough",
         FROM_PROXY,
         .steps = {SENDS("XCLIENT PROTO=SMTP HELO=c.test\r\n", NULL, INBOUND_MOVE),
                   DOES(MOVED, GREETING),
                   SENDS(ENVELOPE "DATA\r\n",
                         OK_MAIL OK_RCPT "354 End data with <CR><LF>.<CR><LF>\r\n", INBOUND_MORE)}},
        {.name = "no room for it",
         FROM_PROXY,
         .steps = {SENDS("XCLIENT ADDR=192.0.2.9\r\nNOOP\r\n", NULL, INBOUND_MOVE),
                   {.action = NO_PLACE,
                    .replies = "421 4.7.0 Too many connections from your address\r\n",
                    .ask = INBOUND_CLOSE}}},
        {.name = "what is wrong with it",
         FROM_PROXY,
         .steps = {SENDS("XCLIENT\r\nXCLIENT COLOUR=red\r\n",
                         "501 5.5.4 Syntax: XCLIENT attribute=value, with value in xtext\r\n"
                         "501 5.5.4 Syntax: XCLIENT attribute=value, with value in xtext\r\n",
                         INBOUND_MORE),
                   SENDS("EHLO c.test\r\nMAIL FROM:<>\r\nXCLIENT NAME=a.test\r\n",
                         OFFERS_MAY(OFFERED) OK_MAIL
                         "503 5.5.1 No XCLIENT within a transaction\r\n",
                         INBOUND_MORE),
                   SENDS("RCPT TO:<r@b.test>\r\n", OK_RCPT, INBOUND_MORE)}},
    };
    ck_assert(network_parse(SPAN("192.0.2.7/32"), &proxies));
    play_all(table, countof(table));
}
END_TEST

#define DATE "\tSat, 21 Nov 2026 13:00:05 +0000\r\n"
#define BY(with)                                                                                   \
    "\tby relay.test (Millrace) with " with " id " NEXT_ID_TEXT "\r\n\tfor <r@b.test>;\r\n" DATE

START_TEST(the_trace_tells_of_the_client)
{
    static const struct {
        const char *xclient, *hello, *trace, *client;
    } rows[] = {
        {"NAME=mail.c.test ADDR=192.0.2.9 PORT=4711", "EHLO c.test\r\n",
         "Received: from c.test (mail.c.test [192.0.2.9])\r\n" BY("ESMTP"), "192.0.2.9:4711"},
        {"NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1", "EHLO c.test\r\n",
         "Received: from c.test ([IPv6:2001:db8::1])\r\n" BY("ESMTP"), "[2001:db8::1]:0"},
        {"NAME=mail.c.test ADDR=[UNAVAILABLE]", "HELO c.test\r\n",
         "Received: from c.test (mail.c.test unknown)\r\n" BY("SMTP"), "unknown"},
        {"ADDR=[TEMPUNAVAIL] LOGIN=a+28b", "EHLO c.test\r\n",
         "Received: from c.test (unknown)\r\n\t(authenticated: a\\(b)\r\n" BY("ESMTPA"), "unknown"},
        {"HELO=[192.0.2.99] PROTO=ESMTP", "",
         "Received: from [192.0.2.99] ([192.0.2.7])\r\n" BY("ESMTP"), "192.0.2.7:40000"},
    };
    static const struct dialogue dialogue = {.name = "trace", FROM_PROXY};
    ck_assert(network_parse(SPAN("192.0.2.7/32"), &proxies));
    for (size_t i = 0; i < countof(rows); i++) {
        struct play play;
        char line[256], text[INBOUND_CLIENT_TEXT];
        play_open(&play, &dialogue);
        snprintf(line, sizeof(line), "XCLIENT %s\r\n", rows[i].xclient);
        ck_assert_int_eq(play_say(&play, line), INBOUND_MOVE);
        ck_assert_int_eq(inbound_moved(&play.session, true), INBOUND_MORE);
        ck_assert_str_eq(inbound_client_format(&play.session, text), rows[i].client);
        play.session.may_relay = true;
        play_say(&play, rows[i].hello);
        play_say(&play, "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\nDATA\r\n");
        play_expect_text(&play, "trace", buffer_span(&play.session.body), rows[i].trace);
        play_end(&play);
    }
}
END_TEST

TEST_MAIN("relay/inbound/xclient", dialogues, the_trace_tells_of_the_client)
