#include "tests/relay/outbound/dialogue.h"

#define BARE "250 mx.test\r\n"
#define PIPELINES "250-mx.test\r\n250 PIPELINING\r\n"
#define EHLO "EHLO relay.test\r\n"
#define MAIL "MAIL FROM:<s@app.test>\r\n"
#define RCPT(n) "RCPT TO:<r" #n "@test>\r\n"
#define DATA "DATA\r\n"
#define OK "250 ok\r\n"

/* ---- before mail ---- */

START_TEST(the_way_to_ready)
{
    static const struct dialogue table[] = {
        {.name = "EHLO",
         .steps = {SAYS("220 mx.test ESMTP\r\n", EHLO, ASK_BYTES), SAYS(PIPELINES, "", ASK_CLAIM)}},
        {.name = "a greeting of many lines",
         .steps = {SAYS("220-mx.test\r\n220-be kind\r\n220 ready\r\n", EHLO, ASK_BYTES),
                   SAYS(BARE, "", ASK_CLAIM)}},
        {.name = "HELO when EHLO is unknown; it offers nothing",
         .recipients = 2,
         .length = 99,
         .steps = {SAYS("220 mx\r\n", EHLO, ASK_BYTES),
                   SAYS("502-5.5.1 what?\r\n502 5.5.1 PIPELINING\r\n", "HELO relay.test\r\n",
                        ASK_BYTES),
                   SAYS("250-mx\r\n250-PIPELINING\r\n250 SIZE 1\r\n", "", ASK_CLAIM),
                   DELIVERS(MAIL, ASK_BYTES)}},
        {.name = "greeting 421",
         .steps = {SAYS("421 4.3.2 too busy\r\n", NULL, ASK_CLOSE)},
         .failure = "deferred 421 4.3.2 too busy\n"},
        {.name = "greeting 554: this host's word only",
         .steps = {SAYS("554 5.7.1 go\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 554 4.7.1 5.7.1 go\n"},
        {.name = "greeting 450",
         .steps = {SAYS("450 later\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 450 - later\n"},
        {.name = "EHLO 421",
         .steps = {SAYS("220 mx\r\n", EHLO, ASK_BYTES), SAYS("421 bye\r\n", NULL, ASK_CLOSE)},
         .failure = "deferred 421 - bye\n"},
        {.name = "EHLO 4xx is no reason for HELO",
         .steps = {SAYS("220 mx\r\n", EHLO, ASK_BYTES),
                   SAYS("451 4.3.0 later\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 451 4.3.0 later\n"},
        {.name = "HELO refused",
         .steps = {SAYS("220 mx\r\n", EHLO, ASK_BYTES),
                   SAYS("500 ?\r\n", "HELO relay.test\r\n", ASK_BYTES),
                   SAYS("550 no\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 550 - no\n"},
        {.name = "HELO 421",
         .steps = {SAYS("220 mx\r\n", EHLO, ASK_BYTES),
                   SAYS("500 ?\r\n", "HELO relay.test\r\n", ASK_BYTES),
                   SAYS("421 no\r\n", NULL, ASK_CLOSE)},
         .failure = "deferred 421 - no\n"},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- one transaction ---- */

START_TEST(with_pipelining_all_goes_at_once)
{
    static const struct dialogue table[] = {
        {.name = "all are taken",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES),
                   SAYS(OK OK OK "354 go\r\n", NULL, ASK_BODY), SENDS_BODY,
                   ENDS("250 2.0.0 queued\r\n", NULL, ASK_CLAIM,
                        "delivered 250 2.0.0 queued\ndelivered 250 2.0.0 queued\n")}},
        {.name = "each recipient has its own reply",
         .ehlo = PIPELINES,
         .recipients = 4,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) RCPT(2) RCPT(3) DATA, ASK_BYTES),
                   SAYS(OK "250 2.1.5 ok\r\n550 5.1.1 nobody\r\n451 4.2.0 grey\r\n251 moved\r\n"
                           "354 go\r\n",
                        NULL, ASK_BODY),
                   SENDS_BODY,
                   ENDS("250 2.0.0 taken\r\n", NULL, ASK_CLAIM,
                        "delivered 250 2.0.0 taken\nbounced 550 5.1.1 nobody\n"
                        "deferred 451 4.2.0 grey\ndelivered 250 2.0.0 taken\n")}},
        {.name = "MAIL refused: what was sent behind it is answered too",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES),
                   ENDS("550 5.7.1 not you\r\n503 MAIL first\r\n503 MAIL first\r\n503 no\r\n", NULL,
                        ASK_CLAIM, "bounced 550 5.7.1 not you\nbounced 550 5.7.1 not you\n")}},
        {.name = "all recipients refused and DATA too: no body",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES),
                   ENDS(OK "550 a\r\n450 b\r\n554 5.5.1 no valid recipients\r\n", NULL, ASK_CLAIM,
                        "bounced 550 - a\ndeferred 450 - b\n")}},
        {.name = "all recipients refused, but DATA taken: an empty body ends it",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES),
                   SAYS(OK "550 a\r\n450 b\r\n354 go\r\n", ".\r\n", ASK_BYTES),
                   ENDS("250 2.0.0 queued\r\n", NULL, ASK_CLAIM,
                        "bounced 550 - a\ndeferred 450 - b\n"),
                   DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES)}}, /* its dot ended it */
        {.name = "replies that come one by one",
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK, NULL, ASK_BYTES),
                   SAYS(OK, NULL, ASK_BYTES), SAYS("354 go\r\n", NULL, ASK_BODY), SENDS_BODY,
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(without_pipelining_one_command_at_a_time)
{
    static const struct dialogue table[] = {
        {.name = "mixed replies",
         .ehlo = BARE,
         .recipients = 3,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS("550 5.1.1 no\r\n", RCPT(1), ASK_BYTES), SAYS(OK, RCPT(2), ASK_BYTES),
                   SAYS("452 4.2.2 full\r\n", DATA, ASK_BYTES), SAYS("354 go\r\n", NULL, ASK_BODY),
                   SENDS_BODY,
                   ENDS(OK, NULL, ASK_CLAIM,
                        "bounced 550 5.1.1 no\ndelivered 250 - ok\ndeferred 452 4.2.2 full\n")}},
        {.name = "MAIL refused: nothing more is said",
         .ehlo = BARE,
         .recipients = 2,
         .steps = {DELIVERS(MAIL, ASK_BYTES),
                   ENDS("451 4.3.0 no\r\n", NULL, ASK_CLAIM,
                        "deferred 451 4.3.0 no\ndeferred 451 4.3.0 no\n")}},
        {.name = "all recipients refused: no DATA",
         .ehlo = BARE,
         .recipients = 2,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS("550 a\r\n", RCPT(1), ASK_BYTES),
                   ENDS("553 b\r\n", NULL, ASK_CLAIM, "bounced 550 - a\nbounced 553 - b\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(data_and_its_end)
{
    static const struct dialogue table[] = {
        {.name = "DATA 451: those not refused before are deferred",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES),
                   ENDS(OK "550 a\r\n" OK "451 4.3.0 later\r\n", NULL, ASK_CLAIM,
                        "bounced 550 - a\ndeferred 451 4.3.0 later\n")}},
        {.name = "DATA 554",
         .ehlo = BARE,
         .recipients = 1,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS(OK, DATA, ASK_BYTES),
                   ENDS("554 5.7.1 no\r\n", NULL, ASK_CLAIM, "bounced 554 5.7.1 no\n")}},
        {.name = "DATA 250 is no answer: nothing was sent",
         .ehlo = BARE,
         .recipients = 1,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS(OK, DATA, ASK_BYTES),
                   ENDS(OK, NULL, ASK_CLOSE,
                        "deferred 0 4.4.2 the server answered DATA with 250\n")}},
        {.name = "end of data 452",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES),
                   SAYS(OK "550 a\r\n" OK "354 go\r\n", NULL, ASK_BODY), SENDS_BODY,
                   ENDS("452 4.3.1 disk full\r\n", NULL, ASK_CLAIM,
                        "bounced 550 - a\ndeferred 452 4.3.1 disk full\n")}},
        {.name = "end of data 552",
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK OK "354 go\r\n", NULL, ASK_BODY),
                   SENDS_BODY,
                   ENDS("552 5.3.4 too big\r\n", NULL, ASK_CLAIM, "bounced 552 5.3.4 too big\n")}},
        {.name = "end of data 354: who knows",
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK OK "354 go\r\n", NULL, ASK_BODY),
                   SENDS_BODY,
                   ENDS("354 go on\r\n", NULL, ASK_CLOSE,
                        "in-doubt 0 4.4.2 the server answered end of data with 354\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- what the server offers, and what a message needs ---- */

START_TEST(a_message_that_cannot_be_taken_costs_no_command)
{
    static const struct dialogue table[] = {
        {.name = "SIZE is told and kept to",
         .ehlo = "250-mx\r\n250 SIZE 1000\r\n",
         .recipients = 1,
         .length = 1000,
         .steps = {DELIVERS("MAIL FROM:<s@app.test> SIZE=1000\r\n", ASK_BYTES)}},
        {.name = "SIZE too small",
         .ehlo = "250-mx\r\n250 SIZE 999\r\n",
         .recipients = 2,
         .length = 1000,
         .steps = {REFUSES("bounced 0 5.3.4 the message of 1000 bytes is larger than the 999 that "
                           "the server takes\n"
                           "bounced 0 5.3.4 the message of 1000 bytes is larger than the 999 that "
                           "the server takes\n")}},
        {.name = "SIZE without a limit",
         .ehlo = "250-mx\r\n250 SIZE\r\n",
         .recipients = 1,
         .length = 1000,
         .steps = {DELIVERS("MAIL FROM:<s@app.test> SIZE=1000\r\n", ASK_BYTES)}},
        {.name = "SIZE 0 is no limit either",
         .ehlo = "250-mx\r\n250 SIZE 0\r\n",
         .recipients = 1,
         .length = 1000,
         .steps = {DELIVERS("MAIL FROM:<s@app.test> SIZE=1000\r\n", ASK_BYTES)}},
        {.name = "8BITMIME",
         .ehlo = "250-mx\r\n250-SIZE\r\n250 8BITMIME\r\n",
         .recipients = 1,
         .flags = MESSAGE_8BITMIME,
         .length = 7,
         .steps = {DELIVERS("MAIL FROM:<s@app.test> SIZE=7 BODY=8BITMIME\r\n", ASK_BYTES)}},
        {.name = "8BITMIME offered, and not needed",
         .ehlo = "250-mx\r\n250 8BITMIME\r\n",
         .recipients = 1,
         .steps = {DELIVERS(MAIL, ASK_BYTES)}},
        {.name = "8BITMIME needed, and not offered; the next envelope may go",
         .ehlo = PIPELINES,
         .recipients = 1,
         .flags = MESSAGE_8BITMIME,
         .steps = {REFUSES("bounced 0 5.6.3 the message is 8-bit, and the server does not take "
                           "that\n"),
                   {.action = QUIT, .client = "QUIT\r\n", .ask = ASK_BYTES},
                   SAYS("221 bye\r\n", NULL, ASK_CLOSE)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(the_words_of_the_server_are_kept)
{
    static const struct dialogue table[] = {
        {.name = "many lines become one; only a status of the code's class counts",
         .ehlo = BARE,
         .recipients = 3,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS("550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", RCPT(1), ASK_BYTES),
                   SAYS("550 4.1.1 odd\r\n", RCPT(2), ASK_BYTES),
                   ENDS("450\r\n", NULL, ASK_CLAIM,
                        "bounced 550 5.1.1 no such user\nbounced 550 - 4.1.1 odd\n"
                        "deferred 450 - \n")}},
        {.name = "no byte of it can end a line",
         .ehlo = BARE,
         .recipients = 1,
         .steps = {DELIVERS(MAIL, ASK_BYTES),
                   ENDS("550 a\rb\tc\x80\x1b\r\n", NULL, ASK_CLAIM, "bounced 550 - a?b?c??\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(authentication_required_smells_of_a_stripped_starttls)
{
    static const struct dialogue table[] = {
        {.name = "530 in clear",
         .ehlo = BARE,
         .recipients = 1,
         .steps = {DELIVERS(MAIL, ASK_BYTES),
                   ENDS("530 5.7.0 Must issue STARTTLS\r\n", NULL, ASK_CLAIM,
                        "deferred 530 4.7.0 5.7.0 Must issue STARTTLS\n")}},
        {.name = "530 in clear, pipelined",
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES),
                   ENDS("530 5.7.0 TLS\r\n530 5.7.0 TLS\r\n530 5.7.0 TLS\r\n", NULL, ASK_CLAIM,
                        "deferred 530 4.7.0 5.7.0 TLS\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- from one transaction to the next ---- */

START_TEST(rset_only_after_what_was_not_ended)
{
    static const struct dialogue table[] = {
        {.name = "none after a good one, nor after one that its dot ended",
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK OK "354 go\r\n", NULL, ASK_BODY),
                   SENDS_BODY, SAYS(OK, NULL, ASK_CLAIM), DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES),
                   SAYS(OK OK "354 go\r\n", NULL, ASK_BODY), SENDS_BODY,
                   SAYS("554 5.6.0 no\r\n", NULL, ASK_CLAIM),
                   DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES)}},
        {.name = "after a failed one, pipelined, once",
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES),
                   SAYS(OK "550 a\r\n554 no\r\n", NULL, ASK_CLAIM),
                   DELIVERS("RSET\r\n" MAIL RCPT(0) DATA, ASK_BYTES),
                   SAYS(OK OK OK "354 go\r\n", NULL, ASK_BODY), SENDS_BODY,
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\n"),
                   DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES)}},
        {.name = "after a failed one, command by command",
         .ehlo = BARE,
         .recipients = 1,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS("550 a\r\n", NULL, ASK_CLAIM), DELIVERS("RSET\r\n", ASK_BYTES),
                   SAYS(OK, MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   ENDS("450 b\r\n", NULL, ASK_CLAIM, "deferred 450 - b\n")}},
        {.name = "RSET refused: the connection is good for nothing",
         .ehlo = BARE,
         .recipients = 1,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS("550 a\r\n", NULL, ASK_CLAIM),
                   DELIVERS("RSET\r\n", ASK_BYTES),
                   ENDS("500 ?\r\n", NULL, ASK_CLOSE,
                        "deferred 0 4.4.2 the server refused RSET\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* For the connection, which may have had its share of messages: the mail may be good elsewhere. */
START_TEST(a_mail_that_is_deferred_is_marked)
{
    static const struct {
        const char *reply;
        bool marked;
    } rows[] = {{"451 4.3.0 enough\r\n", true}, {"550 no\r\n", false}, {OK, false}};
    static const struct dialogue dialogue = {.name = "marked", .ehlo = BARE, .recipients = 1};
    for (size_t i = 0; i < countof(rows); i++) {
        struct play play = {.dialogue = &dialogue};
        play_begin(&play);
        play_hello(&play);
        play.session.mail_deferred = true; /* as the delivery before left it */
        play_deliver(&play);
        play_server(&play, rows[i].reply);
        ck_assert_int_eq(play.session.mail_deferred, rows[i].marked);
        play_end(&play);
    }
}
END_TEST

/* What a host without DSN has taken, it will not tell of (RFC 3461 5.2.2). */
START_TEST(delivered_to_a_host_without_dsn_is_relayed)
{
    static const struct {
        const char *ehlo, *reply;
        bool relayed;
    } rows[] = {
        {PIPELINES, OK, true},
        {PIPELINES, "550 no\r\n", false},
        {"250-mx.test\r\n250-DSN\r\n250 PIPELINING\r\n", OK, false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct dialogue dialogue = {.name = "relayed", .ehlo = rows[i].ehlo, .recipients = 1};
        struct play play = {.dialogue = &dialogue};
        play_begin(&play);
        play_hello(&play);
        play_deliver(&play);
        ck_assert_int_eq(play_server(&play, OK OK "354 go\r\n"), ASK_BODY);
        session_body_sent(&play.session);
        ck_assert_int_eq(play_server(&play, rows[i].reply), ASK_CLAIM);
        ck_assert_int_eq(play.verdicts[0].relayed, rows[i].relayed);
        play_end(&play);
    }
}
END_TEST

/* The widest transaction there is: RSET, MAIL, every recipient and DATA at once. */
START_TEST(a_full_envelope_fits_the_ring)
{
    static const char *const replies[] = {"250 ok\r\n", "550 no\r\n"};
    struct dialogue dialogue = {
        .name = "full", .ehlo = PIPELINES, .recipients = ENVELOPE_RECIPIENTS_MAX};
    struct play play = {.dialogue = &dialogue};
    play_begin(&play);
    play_hello(&play);
    for (unsigned round = 0; round < 5; round++) { /* and the ring goes round */
        ck_assert_int_eq(play_deliver(&play), ASK_BYTES);
        unsigned rset = round > 0;
        ck_assert_uint_eq(play.session.expected_count, ENVELOPE_RECIPIENTS_MAX + 2 + rset);
        for (unsigned i = 0; i < ENVELOPE_RECIPIENTS_MAX + 1 + rset; i++)
            ck_assert_int_eq(play_server(&play, replies[i > rset && i % 2]), ASK_BYTES);
        ck_assert_int_eq(play_server(&play, "451 no\r\n"), ASK_CLAIM);
        for (unsigned i = 0; i < ENVELOPE_RECIPIENTS_MAX; i++)
            ck_assert_int_eq(play.verdicts[i].kind,
                             (i + 1 + rset) % 2 ? VERDICT_BOUNCED : VERDICT_DEFERRED);
    }
    play_end(&play);
}
END_TEST

/* What an earlier host said of a recipient holds: no other host hears of him again. */
START_TEST(a_recipient_with_a_verdict_is_not_offered_again)
{
    struct dialogue dialogue = {.name = "rest", .ehlo = PIPELINES, .recipients = 3};
    struct play play = {.dialogue = &dialogue};
    play_begin(&play);
    play_hello(&play);
    play.verdicts[0].kind = VERDICT_DELIVERED;
    play.verdicts[2].kind = VERDICT_BOUNCED;
    play.delivery = (struct delivery){
        .envelope = play.envelope, .verdicts = play.verdicts, .arena = &play.arena};
    buffer_clear(&play.out);
    ck_assert_int_eq(session_deliver(&play.session, &play.delivery), ASK_BYTES);
    buffer_append(&play.out, (struct span){"", 1});
    ck_assert_ptr_nonnull(strstr(buffer_span(&play.out).data, "RCPT TO:<r1@test>"));
    ck_assert_ptr_null(strstr(buffer_span(&play.out).data, "r0@test"));
    ck_assert_ptr_null(strstr(buffer_span(&play.out).data, "r2@test"));
    ck_assert_int_eq(play_server(&play, "250 ok\r\n250 ok\r\n354 go\r\n"), ASK_BODY);
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/outbound/session", the_way_to_ready, with_pipelining_all_goes_at_once,
          without_pipelining_one_command_at_a_time, data_and_its_end,
          a_message_that_cannot_be_taken_costs_no_command, the_words_of_the_server_are_kept,
          authentication_required_smells_of_a_stripped_starttls, rset_only_after_what_was_not_ended,
          a_mail_that_is_deferred_is_marked, a_recipient_with_a_verdict_is_not_offered_again,
          delivered_to_a_host_without_dsn_is_relayed, a_full_envelope_fits_the_ring)
