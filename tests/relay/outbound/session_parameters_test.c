/* What MAIL and RCPT say of a message to a host that offers this and that, and which messages a
 * host is not offered at all. */
#include "tests/relay/outbound/dialogue.h"

#define OFFERS(keyword) "250-mx.test\r\n250 " keyword "\r\n"
#define OFFERS2(one, other) "250-mx.test\r\n250-" one "\r\n250 " other "\r\n"
#define MAIL(parameters) "MAIL FROM:<s@app.test>" parameters "\r\n"
#define RCPT(n, parameters) "RCPT TO:<r" #n "@test>" parameters "\r\n"
#define OK "250 ok\r\n"

#define BEGINS(mail) .steps = {DELIVERS(mail, ASK_BYTES)}
#define REFUSED(verdict) .steps = {REFUSES("bounced 0 " verdict "\n")}

/* ---- DSN (RFC 3461 5.2) ---- */

static void with_dsn(struct message *message, struct envelope *envelope)
{
    message->envid = "QQ+2B1";
    envelope->recipients[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
    envelope->recipients[0].orcpt = "rfc822;Bob+2Btag@Old.test";
    envelope->recipients[1].notify = NOTIFY_NEVER;
}

static void with_envid_only(struct message *message, struct envelope *envelope)
{
    (void)envelope;
    message->envid = "a";
}

START_TEST(dsn_options_go_as_they_came)
{
    static const struct dialogue table[] = {
        {.name = "all of them",
         .ehlo = OFFERS2("DSN", "PIPELINING"),
         .recipients = 3,
         .flags = MESSAGE_RET_HEADERS,
         .prepare = with_dsn,
         BEGINS(MAIL(" RET=HDRS ENVID=QQ+2B1")
                    RCPT(0, " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Btag@Old.test")
                        RCPT(1, " NOTIFY=NEVER") RCPT(2, "") "DATA\r\n")},
        {.name = "RET=FULL",
         .ehlo = OFFERS("DSN"),
         .recipients = 1,
         .flags = MESSAGE_RET_FULL,
         BEGINS(MAIL(" RET=FULL"))},
        {.name = "ENVID alone",
         .ehlo = OFFERS("DSN"),
         .recipients = 1,
         .prepare = with_envid_only,
         BEGINS(MAIL(" ENVID=a"))},
        {.name = "none that did not come",
         .ehlo = OFFERS2("DSN", "PIPELINING"),
         .recipients = 1,
         BEGINS(MAIL("") RCPT(0, "") "DATA\r\n")},
        {.name = "none to a host that does not offer it",
         .ehlo = OFFERS("PIPELINING"),
         .recipients = 2,
         .flags = MESSAGE_RET_FULL,
         .prepare = with_dsn,
         BEGINS(MAIL("") RCPT(0, "") RCPT(1, "") "DATA\r\n")},
        {.name = "nor where it is not to be used",
         .ehlo = OFFERS2("DSN", "PIPELINING"),
         .discarded = EXTENSION_DSN,
         .recipients = 2,
         .prepare = with_dsn,
         BEGINS(MAIL("") RCPT(0, "") RCPT(1, "") "DATA\r\n")},
    };
    play_all(table, countof(table));
}
END_TEST

static void with_utf8_orcpt(struct message *message, struct envelope *envelope)
{
    (void)message;
    envelope->recipients[0].orcpt = "utf-8;j\xc3\xb6rg@test";
}

START_TEST(an_original_recipient_in_utf8)
{
    static const struct dialogue table[] = {
        {.name = "as it came, where SMTPUTF8 is spoken",
         .ehlo = "250-mx\r\n250-DSN\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n",
         .recipients = 1,
         .flags = MESSAGE_SMTPUTF8,
         .prepare = with_utf8_orcpt,
         BEGINS(MAIL(" SMTPUTF8") RCPT(0, " ORCPT=utf-8;j\xc3\xb6rg@test") "DATA\r\n")},
        {.name = "in ASCII where it is not",
         .ehlo = OFFERS2("DSN", "PIPELINING"),
         .recipients = 1,
         .prepare = with_utf8_orcpt,
         BEGINS(MAIL("") RCPT(0, " ORCPT=utf-8;j\\x{F6}rg@test") "DATA\r\n")},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- what a message needs ---- */

START_TEST(body_types)
{
    static const char no_binary[] = "bounced 0 5.6.3 the message is binary, and the server does "
                                    "not take that\n";
    static const struct dialogue table[] = {
        {.name = "binary, to a host that takes it",
         .ehlo = "250-mx\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250 SIZE\r\n",
         .recipients = 1,
         .length = 7,
         .flags = MESSAGE_BINARYMIME,
         BEGINS(MAIL(" SIZE=7 BODY=BINARYMIME"))},
        {.name = "binary, which may be 8-bit too",
         .ehlo = "250-mx\r\n250-BINARYMIME\r\n250-CHUNKING\r\n250 8BITMIME\r\n",
         .recipients = 1,
         .flags = MESSAGE_BINARYMIME | MESSAGE_8BITMIME,
         BEGINS(MAIL(" BODY=BINARYMIME"))},
        {.name = "binary, to a host that does not",
         .ehlo = OFFERS2("8BITMIME", "CHUNKING"),
         .recipients = 1,
         .flags = MESSAGE_BINARYMIME,
         .steps = {REFUSES(no_binary)}},
        {.name = "binary, to a host that has no chunks for it",
         .ehlo = OFFERS2("8BITMIME", "BINARYMIME"),
         .recipients = 1,
         .flags = MESSAGE_BINARYMIME,
         .steps = {REFUSES(no_binary)}},
        {.name = "binary, where chunks are not to be used",
         .ehlo = OFFERS2("BINARYMIME", "CHUNKING"),
         .discarded = EXTENSION_CHUNKING,
         .recipients = 1,
         .flags = MESSAGE_BINARYMIME,
         .steps = {REFUSES(no_binary)}},
        {.name = "8-bit in chunks",
         .ehlo = OFFERS2("8BITMIME", "CHUNKING"),
         .recipients = 1,
         .flags = MESSAGE_8BITMIME,
         BEGINS(MAIL(" BODY=8BITMIME"))},
    };
    play_all(table, countof(table));
}
END_TEST

static void with_utf8_paths(struct message *message, struct envelope *envelope)
{
    message->sender = "s\xc3\xa9@app.test";
    envelope->recipients[0].path = "j\xc3\xb6rg@b\xc3\xbc"
                                   "cher.test";
}

START_TEST(smtputf8)
{
    static const struct dialogue table[] = {
        {.name = "the paths go as they are",
         .ehlo = "250-mx\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n250 PIPELINING\r\n",
         .recipients = 1,
         .flags = MESSAGE_SMTPUTF8 | MESSAGE_8BITMIME,
         .prepare = with_utf8_paths,
         BEGINS("MAIL FROM:<s\xc3\xa9@app.test> BODY=8BITMIME SMTPUTF8\r\n"
                "RCPT TO:<j\xc3\xb6rg@b\xc3\xbc"
                "cher.test>\r\nDATA\r\n")},
        {.name = "not for a message that needs none",
         .ehlo = OFFERS("SMTPUTF8"),
         .recipients = 1,
         BEGINS(MAIL(""))},
        {.name = "a host that does not speak it",
         .ehlo = OFFERS("8BITMIME"),
         .recipients = 1,
         .flags = MESSAGE_SMTPUTF8,
         REFUSED("5.6.7 the message needs SMTPUTF8, and the server does not offer it")},
        {.name = "or is not to",
         .ehlo = OFFERS("SMTPUTF8"),
         .discarded = EXTENSION_SMTPUTF8,
         .recipients = 1,
         .flags = MESSAGE_SMTPUTF8,
         REFUSED("5.6.7 the message needs SMTPUTF8, and the server does not offer it")},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- DELIVERBY (RFC 2852) ---- */

static void within_90_s(struct message *message, struct envelope *envelope)
{
    (void)envelope;
    message->deliver_by_ms = PLAY_NOW + 90999;
}

static void late_by_5_s(struct message *message, struct envelope *envelope)
{
    (void)envelope;
    message->deliver_by_ms = PLAY_NOW - 5000;
}

static void within_ages(struct message *message, struct envelope *envelope)
{
    (void)envelope;
    message->deliver_by_ms = PLAY_NOW + 5000000000000;
}

START_TEST(deliver_by)
{
    static const struct dialogue table[] = {
        {.name = "the time that is left, by-mode R",
         .ehlo = OFFERS("DELIVERBY 90"),
         .recipients = 1,
         .flags = MESSAGE_BY_RETURN,
         .prepare = within_90_s,
         BEGINS(MAIL(" BY=90;R"))},
        {.name = "by-mode N with a trace",
         .ehlo = OFFERS("DELIVERBY"),
         .recipients = 1,
         .flags = MESSAGE_BY_NOTIFY | MESSAGE_BY_TRACE,
         .prepare = within_90_s,
         BEGINS(MAIL(" BY=90;NT"))},
        {.name = "by-mode N when the time has passed",
         .ehlo = OFFERS("DELIVERBY 600"),
         .recipients = 1,
         .flags = MESSAGE_BY_NOTIFY,
         .prepare = late_by_5_s,
         BEGINS(MAIL(" BY=-5;N"))},
        {.name = "no more than nine digits",
         .ehlo = OFFERS("DELIVERBY"),
         .recipients = 1,
         .flags = MESSAGE_BY_RETURN,
         .prepare = within_ages,
         BEGINS(MAIL(" BY=999999999;R"))},
        {.name = "no deadline", .ehlo = OFFERS("DELIVERBY"), .recipients = 1, BEGINS(MAIL(""))},
        {.name = "by-mode N to a host that does not know of it",
         .ehlo = OFFERS("8BITMIME"),
         .recipients = 1,
         .flags = MESSAGE_BY_NOTIFY,
         .prepare = within_90_s,
         BEGINS(MAIL(""))},
        {.name = "by-mode R never goes to such a host",
         .ehlo = OFFERS("8BITMIME"),
         .recipients = 1,
         .flags = MESSAGE_BY_RETURN,
         .prepare = within_90_s,
         REFUSED("5.4.7 the message is to be returned unless it is delivered in time, and the "
                 "server does not offer DELIVERBY")},
        {.name = "nor to one that wants more time",
         .ehlo = OFFERS("DELIVERBY 91"),
         .recipients = 1,
         .flags = MESSAGE_BY_RETURN,
         .prepare = within_90_s,
         REFUSED("5.4.7 the message is to be delivered within 90 s, and the server wants 91")},
        {.name = "nor when the time has passed",
         .ehlo = OFFERS("DELIVERBY"),
         .recipients = 1,
         .flags = MESSAGE_BY_RETURN,
         .prepare = late_by_5_s,
         REFUSED("5.4.7 the message is to be delivered within -5 s, and the server wants 0")},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- REQUIRETLS (RFC 8689) ---- */

static void from_nobody(struct message *message, struct envelope *envelope)
{
    message->sender = "";
    envelope->security = message_security(message);
}

#define NOT_OFFERED "5.7.30 the message came with REQUIRETLS, and the server does not offer it"

START_TEST(requiretls)
{
    static const struct dialogue table[] = {
        {.name = "it goes on with the message",
         .ehlo = OFFERS2("SIZE", "REQUIRETLS"),
         .recipients = 1,
         .flags = MESSAGE_REQUIRETLS,
         .promises = true,
         BEGINS(MAIL(" SIZE=0 REQUIRETLS"))},
        {.name = "nobody else's message gets it",
         .ehlo = OFFERS("REQUIRETLS"),
         .recipients = 1,
         .flags = MESSAGE_TLS_OPTIONAL,
         .promises = true,
         BEGINS(MAIL(""))},
        {.name = "not to a host that does not offer it",
         .ehlo = OFFERS("8BITMIME"),
         .recipients = 1,
         .flags = MESSAGE_REQUIRETLS,
         .promises = true,
         REFUSED(NOT_OFFERED)},
        {.name = "whatever else it lacks",
         .ehlo = OFFERS("SIZE 10"),
         .recipients = 1,
         .flags = MESSAGE_REQUIRETLS | MESSAGE_SMTPUTF8,
         .length = 11,
         .promises = true,
         REFUSED(NOT_OFFERED)},
        {.name = "nor to one that is not known for who it is (2)",
         .ehlo = OFFERS("REQUIRETLS"),
         .recipients = 1,
         .flags = MESSAGE_REQUIRETLS,
         REFUSED("5.7.10 the message came with REQUIRETLS, and the server is not authenticated")},
        {.name = "a notification goes with it",
         .ehlo = OFFERS("REQUIRETLS"),
         .recipients = 1,
         .flags = MESSAGE_REQUIRETLS | MESSAGE_BOUNCE,
         .prepare = from_nobody,
         .promises = true,
         BEGINS("MAIL FROM:<> REQUIRETLS\r\n")},
        {.name = "and without it where it is not offered (5)",
         .ehlo = OFFERS("8BITMIME"),
         .recipients = 1,
         .flags = MESSAGE_REQUIRETLS | MESSAGE_BOUNCE,
         .prepare = from_nobody,
         .promises = true,
         BEGINS("MAIL FROM:<>\r\n")},
        {.name = "or the host is not known for who it is (2)",
         .ehlo = OFFERS("REQUIRETLS"),
         .recipients = 1,
         .flags = MESSAGE_REQUIRETLS | MESSAGE_BOUNCE,
         .prepare = from_nobody,
         BEGINS("MAIL FROM:<>\r\n")},
    };
    play_all(table, countof(table));
}
END_TEST

TEST_MAIN("relay/outbound/session_parameters", dsn_options_go_as_they_came,
          an_original_recipient_in_utf8, body_types, smtputf8, deliver_by, requiretls)
