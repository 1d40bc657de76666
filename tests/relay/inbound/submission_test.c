/* What MAIL and RCPT ask for beyond addresses, and what a submission's header lacks. */
#include "tests/relay/inbound/dialogue.h"

#define HOLD 3600000 /* ms that a message may be held, in these plays */
#define LIMITS                                                                                     \
    {                                                                                              \
        .hold_longest_ms = HOLD                                                                    \
    }
#define OFFERS_HEAD                                                                                \
    "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"                        \
    "250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"
#define OFFERS_TAIL "250 ENHANCEDSTATUSCODES\r\n"
#define OFFERS                                                                                     \
    OFFERS_HEAD "250-DELIVERBY\r\n250-FUTURERELEASE 3600 2026-11-21T14:00:05Z\r\n" OFFERS_TAIL
#define HELLO SENDS("EHLO c.test\r\n", OFFERS, INBOUND_MORE)
#define OK_MAIL "250 2.1.0 Ok\r\n"
#define OK_RCPT "250 2.1.5 Ok\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define OK_ENVELOPE OK_MAIL OK_RCPT GO
#define UNKNOWN "555 5.5.4 Parameter not recognized\r\n"
#define BAD(name) "501 5.5.4 The parameter " name " is wrong, or there twice\r\n"
#define NEED_UTF8 "553 5.6.7 The address is not ASCII, and MAIL had no SMTPUTF8\r\n"
#define UMLAUT "\xc3\xa4"

/* A message of one line, and what it is noted with. */
#define NOTED(mail, rcpt, body, what, noting)                                                      \
    {                                                                                              \
        .name = mail " " rcpt, .limits = LIMITS, .steps = {                                        \
            HELLO,                                                                                 \
            SENDS("MAIL FROM:" mail "\r\nRCPT TO:" rcpt "\r\nDATA\r\n", OK_ENVELOPE,               \
                  INBOUND_MORE),                                                                   \
            {.action = CLIENT,                                                                     \
             .text = body ".\r\n",                                                                 \
             .ask = INBOUND_COMMIT,                                                                \
             .message = what,                                                                      \
             .noted = &(const struct noted)noting}                                                 \
        }                                                                                          \
    }

#define NOTING(...)                                                                                \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

START_TEST(what_it_is_noted_with)
{
    const struct dialogue table[] = {
        NOTED("<s@a.test>", "<r@b.test>", "A: b\r\n", "s@a.test > r@b.test: A: b\r\n",
              NOTING(.flags = 0)),
        NOTED("<s@a.test> BODY=8BITMIME", "<r@b.test>", "\r\n" UMLAUT "\r\n",
              "s@a.test > r@b.test: \r\n" UMLAUT "\r\n", NOTING(.flags = MESSAGE_8BITMIME)),
        NOTED("<s@a.test> BODY=8BITMIME", "<r@b.test>", "\r\nA\r\n",
              "s@a.test > r@b.test: \r\nA\r\n", NOTING(.flags = 0)),
        /* DSN */
        NOTED("<s@a.test> RET=FULL ENVID=x+2By", "<r@b.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;r@b",
              "a\r\n", "s@a.test > r@b.test: a\r\n",
              NOTING(.flags = MESSAGE_RET_FULL, .envid = "x+2By", .orcpt = "rfc822;r@b",
                     .notify = NOTIFY_SUCCESS | NOTIFY_DELAY)),
        NOTED("<> RET=HDRS", "<r@b.test> NOTIFY=NEVER", "a\r\n", " > r@b.test: a\r\n",
              NOTING(.flags = MESSAGE_RET_HEADERS, .notify = NOTIFY_NEVER)),
        /* SMTPUTF8 said, and needed or not */
        NOTED("<s@a.test> SMTPUTF8", "<r@b.test>", "A: b\r\n\r\n" UMLAUT "\r\n",
              "s@a.test > r@b.test: A: b\r\n\r\n" UMLAUT "\r\n", NOTING(.flags = 0)),
        NOTED("<s@a.test> SMTPUTF8", "<r@b.test>", "A: " UMLAUT "\r\n",
              "s@a.test > r@b.test: A: " UMLAUT "\r\n", NOTING(.flags = MESSAGE_SMTPUTF8)),
        NOTED("<s@a.test>", "<r@b.test>", "A: " UMLAUT "\r\n",
              "s@a.test > r@b.test: A: " UMLAUT "\r\n", NOTING(.flags = 0)),
        NOTED("<" UMLAUT "@a.test> SMTPUTF8", "<r@b.test>", "a\r\n",
              UMLAUT "@a.test > r@b.test: a\r\n", NOTING(.flags = MESSAGE_SMTPUTF8)),
        NOTED("<s@a.test> SMTPUTF8", "<r@b" UMLAUT ".test> ORCPT=utf-8;r@b" UMLAUT ".test", "a\r\n",
              "s@a.test > r@b" UMLAUT ".test: a\r\n",
              NOTING(.flags = MESSAGE_SMTPUTF8, .orcpt = "utf-8;r@b" UMLAUT ".test")),
        /* times */
        NOTED("<s@a.test> HOLDFOR=3600", "<r@b.test>", "a\r\n", "s@a.test > r@b.test: a\r\n",
              NOTING(.release_ms = WALL_MS + HOLD)),
        NOTED("<s@a.test> HOLDFOR=0", "<r@b.test>", "a\r\n", "s@a.test > r@b.test: a\r\n",
              NOTING(.release_ms = 0)),
        NOTED("<s@a.test> HOLDUNTIL=2026-11-21T13:10:05Z", "<r@b.test>", "a\r\n",
              "s@a.test > r@b.test: a\r\n", NOTING(.release_ms = WALL_MS + 600000)),
        NOTED("<s@a.test> HOLDUNTIL=2026-11-21T13:00:04Z", "<r@b.test>", "a\r\n",
              "s@a.test > r@b.test: a\r\n", NOTING(.release_ms = 0)), /* it is past */
        NOTED("<s@a.test> BY=60;R", "<r@b.test>", "a\r\n", "s@a.test > r@b.test: a\r\n",
              NOTING(.flags = MESSAGE_BY_RETURN, .deliver_by_ms = WALL_MS + 60000)),
        NOTED("<s@a.test> BY=-60;NT", "<r@b.test>", "a\r\n", "s@a.test > r@b.test: a\r\n",
              NOTING(.flags = MESSAGE_BY_NOTIFY | MESSAGE_BY_TRACE,
                     .deliver_by_ms = WALL_MS - 60000)),
        NOTED("<s@a.test> HOLDFOR=60 BY=61;R", "<r@b.test>", "a\r\n", "s@a.test > r@b.test: a\r\n",
              NOTING(.flags = MESSAGE_BY_RETURN, .release_ms = WALL_MS + 60000,
                     .deliver_by_ms = WALL_MS + 61000)),
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(one_transaction_leaves_nothing_to_the_next)
{
    const struct dialogue dialogue = {
        .name = "nothing is left",
        .limits = LIMITS,
        .steps = {HELLO,
                  SENDS("MAIL FROM:<" UMLAUT
                        "@a.test> SMTPUTF8 RET=FULL ENVID=x HOLDFOR=60 BY=90;RT\r\n"
                        "RCPT TO:<" UMLAUT "@b.test> NOTIFY=NEVER ORCPT=rfc822;x\r\nRSET\r\n",
                        OK_MAIL OK_RCPT "250 2.0.0 Ok\r\n", INBOUND_MORE),
                  SENDS("MAIL FROM:<s@a.test>\r\nRCPT TO:<" UMLAUT "@b.test>\r\n"
                        "RCPT TO:<r@b.test>\r\nDATA\r\n",
                        OK_MAIL NEED_UTF8 OK_RCPT GO, INBOUND_MORE),
                  {.action = CLIENT,
                   .text = "A: " UMLAUT "\r\n.\r\n",
                   .ask = INBOUND_COMMIT,
                   .message = "s@a.test > r@b.test: A: " UMLAUT "\r\n",
                   .noted = &(const struct noted){.flags = 0}}}};
    play_all(&dialogue, 1);
}
END_TEST

START_TEST(what_is_refused)
{
    static const struct {
        const char *line, *reply;
    } rows[] = {
        {"MAIL FROM:<" UMLAUT "@a.test>\r\n", NEED_UTF8},
        {"MAIL FROM:<\xc0\xaf@a.test> SMTPUTF8\r\n",
         "553 5.1.7 The sender's address is not valid\r\n"},
        {"MAIL FROM:<s@a.test> SMTPUTF8=1\r\n", BAD("SMTPUTF8")},
        {"MAIL FROM:<s@a.test> ENVID=a+0D\r\n", BAD("ENVID")},
        {"MAIL FROM:<s@a.test> ret=none\r\n", BAD("RET")},
        {"MAIL FROM:<s@a.test> SIZE=1 SIZE=1\r\n", BAD("SIZE")},
        {"MAIL FROM:<s@a.test> BODY=9BIT\r\n", BAD("BODY")},
        {"MAIL FROM:<s@a.test> AUTH=<>\r\n", UNKNOWN},
        {"MAIL FROM:<s@a.test> HOLDFOR=3601\r\n",
         "501 5.5.4 The message would be held for longer than is offered\r\n"},
        {"MAIL FROM:<s@a.test> HOLDUNTIL=2026-11-21T14:00:06Z\r\n",
         "501 5.5.4 The message would be held for longer than is offered\r\n"},
        {"MAIL FROM:<s@a.test> HOLDFOR=60 BY=60;R\r\n",
         "501 5.5.4 BY is over before the message is released\r\n"},
        {"MAIL FROM:s@a.test\r\n", "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]\r\n"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct dialogue dialogue = {
            .name = rows[i].line,
            .limits = LIMITS,
            .steps = {
                HELLO, SENDS(rows[i].line, rows[i].reply, INBOUND_MORE),
                SENDS("MAIL FROM:<s@a.test> HOLDFOR=60 BY=60;N\r\n", OK_MAIL, INBOUND_MORE),
                SENDS("RCPT TO:<" UMLAUT "@b.test>\r\n", NEED_UTF8, INBOUND_MORE),
                SENDS("RCPT TO:<r@b.test> NOTIFY=NEVER,DELAY\r\n", BAD("NOTIFY"), INBOUND_MORE),
                SENDS("RCPT TO:r@b.test\r\n",
                      "501 5.5.4 Syntax: RCPT TO:<address> [parameters]\r\n", INBOUND_MORE)}};
        play_all(&dialogue, 1);
    }
}
END_TEST

START_TEST(who_is_offered_what)
{
    static const struct dialogue table[] = {
        {.name = "times are for those who may relay",
         .stranger = true,
         .limits = LIMITS,
         .steps = {SENDS("EHLO c.test\r\n", OFFERS_HEAD OFFERS_TAIL, INBOUND_MORE),
                   SENDS("MAIL FROM:<> HOLDFOR=1\r\n", UNKNOWN, INBOUND_MORE),
                   SENDS("MAIL FROM:<> BY=1;R\r\n", UNKNOWN, INBOUND_MORE)}},
        {.name = "holding may be off",
         .steps = {SENDS("EHLO c.test\r\n", OFFERS_HEAD "250-DELIVERBY\r\n" OFFERS_TAIL,
                         INBOUND_MORE),
                   SENDS("MAIL FROM:<> HOLDFOR=1\r\n", UNKNOWN, INBOUND_MORE)}},
        {.name = "HELO: nothing",
         .steps = {SENDS("HELO c.test\r\n", "250 relay.test\r\n", INBOUND_MORE),
                   SENDS("MAIL FROM:<> SIZE=1\r\n", UNKNOWN, INBOUND_MORE),
                   SENDS("MAIL FROM:<>\r\nRCPT TO:<a@b.test> NOTIFY=NEVER\r\n", OK_MAIL UNKNOWN,
                         INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- the header ---- */

#define NEW_FROM "From: <s@a.test>\r\n"
#define NEW_DATE "Date: Sat, 21 Nov 2026 13:00:05 +0000\r\n"
#define NEW_ID "Message-ID: <" NEXT_ID_TEXT "@relay.test>\r\n"

START_TEST(what_a_header_lacks)
{
    static const struct {
        const char *sender, *body, *wanted;
    } rows[] = {
        {"s@a.test", "Subject: x\r\n\r\nbody\r\n",
         "Subject: x\r\n" NEW_FROM NEW_DATE NEW_ID "\r\nbody\r\n"},
        {"", "Subject: x\r\n\r\nbody\r\n", "Subject: x\r\n" NEW_DATE NEW_ID "\r\nbody\r\n"},
        {"s@a.test", "Date: y\r\nFROM: z\r\n\r\nMessage-ID: body\r\n",
         "Date: y\r\nFROM: z\r\n" NEW_ID "\r\nMessage-ID: body\r\n"},
        {"s@a.test", "From: y\r\nDate: z\r\nMessage-Id: <x@y>\r\n\r\nbody\r\n",
         "From: y\r\nDate: z\r\nMessage-Id: <x@y>\r\n\r\nbody\r\n"},
        {"s@a.test", "\r\nbody\r\n", NEW_FROM NEW_DATE NEW_ID "\r\nbody\r\n"},
        {"s@a.test", "", NEW_FROM NEW_DATE NEW_ID},
        {"s@a.test", "From: y\r\nDate: z\r\n", "From: y\r\nDate: z\r\n" NEW_ID},
        /* the body begins where there is no field */
        {"s@a.test", "hello\r\n", NEW_FROM NEW_DATE NEW_ID "\r\nhello\r\n"},
        {"s@a.test", "Date: z\r\nhello\r\n", "Date: z\r\n" NEW_FROM NEW_ID "\r\nhello\r\n"},
        {"s@a.test", "From: y\r\nDate: z\r\nMessage-Id: <x@y>\r\nhello\r\n",
         "From: y\r\nDate: z\r\nMessage-Id: <x@y>\r\nhello\r\n"},
        {"\"a b\"@a.test", "Date: z\r\nMessage-ID: x\r\n\r\n",
         "Date: z\r\nMessage-ID: x\r\nFrom: <\"a b\"@a.test>\r\n\r\n"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char mail[128], body[256], chunk[256], message[512];
        snprintf(mail, sizeof(mail), "MAIL FROM:<%s>\r\nRCPT TO:<r@b.test>\r\n", rows[i].sender);
        snprintf(body, sizeof(body), "%s.\r\n", rows[i].body);
        snprintf(chunk, sizeof(chunk), "BDAT %zu LAST\r\n%s", strlen(rows[i].body), rows[i].body);
        snprintf(message, sizeof(message), "%s > r@b.test: %s", rows[i].sender, rows[i].wanted);
        const struct dialogue table[] = {
            {.name = rows[i].body,
             .listen = {.add_headers = true},
             .limits = LIMITS,
             .steps = {HELLO, SENDS(mail, OK_MAIL OK_RCPT, INBOUND_MORE),
                       SENDS("DATA\r\n", GO, INBOUND_MORE), HANDS_IN(body, NULL, message)}},
            {.name = chunk,
             .listen = {.add_headers = true},
             .limits = LIMITS,
             .steps = {HELLO, SENDS(mail, OK_MAIL OK_RCPT, INBOUND_MORE),
                       HANDS_IN(chunk, NULL, message)}},
        };
        play_all(table, countof(table));
    }
}
END_TEST

START_TEST(the_header_of_a_binary_message)
{
    static const struct dialogue dialogue = {
        .name = "binary",
        .listen = {.add_headers = true},
        .limits = LIMITS,
        .steps = {HELLO,
                  SENDS("MAIL FROM:<s@a.test> BODY=BINARYMIME\r\nRCPT TO:<r@b.test>\r\n",
                        OK_MAIL OK_RCPT, INBOUND_MORE),
                  SENDS("BDAT 8\r\nA: b\nc\r\n", "250 2.0.0 Ok: 8 octets so far\r\n", INBOUND_MORE),
                  HANDS_IN("BDAT 6 LAST\r\n\r\n\r\n\n\xff", NULL,
                           "s@a.test > r@b.test: A: b\nc\r\n" NEW_FROM NEW_DATE NEW_ID
                           "\r\n\r\n\n\xff")}};
    play_all(&dialogue, 1);
}
END_TEST

START_TEST(a_header_of_just_so_many_bytes)
{
    static const char large[] = "552 5.3.4 The message's header is larger than is taken here\r\n";
    static const struct {
        const char *body;
        bool fits;
    } rows[] = {
        {"A: 5678\r\n\r\nand the body may be as long as it likes\r\n.\r\n", true},
        {"A: 5678\r\nand the body may be as long as it likes\r\n.\r\n", true},
        {"A: 56789\r\n\r\nbody\r\n.\r\n", false},
        {"A: 1\r\nB: 2\r\n\r\nbody\r\n.\r\n", false},
        {"A: no end of the line, and none of the header\r\n.\r\n", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        const struct dialogue dialogue = {
            .name = rows[i].body,
            .limits = {.header_bytes = 9},
            .steps = {
                SENDS("HELO c\r\n", "250 relay.test\r\n", INBOUND_MORE),
                SENDS("MAIL FROM:<>\r\nRCPT TO:<r@b.test>\r\nDATA\r\n", OK_ENVELOPE, INBOUND_MORE),
                {.action = CLIENT,
                 .text = rows[i].body,
                 .replies = rows[i].fits ? NULL : large,
                 .ask = rows[i].fits ? INBOUND_COMMIT : INBOUND_MORE}}};
        play_all(&dialogue, 1);
    }
}
END_TEST

/* ---- the trace header ---- */

START_TEST(with_which_protocol)
{
    static const struct {
        const char *hello, *mail, *with;
        bool secured;
    } rows[] = {
        {"EHLO c\r\n", "MAIL FROM:<s@a.test> SMTPUTF8\r\n", "with UTF8SMTP id", false},
        {"EHLO c\r\n", "MAIL FROM:<s@a.test> SMTPUTF8\r\n", "with UTF8SMTPS id", true},
        {"EHLO c\r\n", "MAIL FROM:<s@a.test>\r\n", "with ESMTP id", false},
        {"EHLO c\r\n", "MAIL FROM:<s@a.test>\r\n", "with ESMTPS id", true},
        {"HELO c\r\n", "MAIL FROM:<s@a.test>\r\n", "with SMTP id", false},
        {"HELO c\r\n", "MAIL FROM:<s@a.test>\r\n", "with SMTP id", true},
    };
    static const struct dialogue dialogue = {.name = "with"};
    for (size_t i = 0; i < countof(rows); i++) {
        struct play play;
        play_open(&play, &dialogue);
        if (rows[i].secured)
            inbound_secured(&play.session, "TLSv1.3");
        play_say(&play, rows[i].hello);
        play_say(&play, rows[i].mail);
        play_say(&play, "RCPT TO:<r@b.test>\r\nDATA\r\n");
        char *trace = span_copy(buffer_span(&play.session.body));
        ck_assert_msg(strstr(trace, rows[i].with) != NULL, "row %zu: %s", i, trace);
        free(trace);
        play_end(&play);
    }
}
END_TEST

TEST_MAIN("relay/inbound/submission", what_it_is_noted_with,
          one_transaction_leaves_nothing_to_the_next, what_is_refused, who_is_offered_what,
          what_a_header_lacks, the_header_of_a_binary_message, a_header_of_just_so_many_bytes,
          with_which_protocol)
