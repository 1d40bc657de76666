/* Hosts that take only so much at a time: LIMITS (RFC 9422) and 452 to RCPT (RFC 5321 4.5.3.1.10).
 * A delivery then is several transactions on one connection. */
#include "tests/relay/outbound/dialogue.h"

#define LIMITS(text) "250-mx.test\r\n250-PIPELINING\r\n250 LIMITS " text "\r\n"
#define PIPELINES "250-mx.test\r\n250 PIPELINING\r\n"
#define CHUNKS(text) "250-mx.test\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 LIMITS " text "\r\n"
#define MAIL "MAIL FROM:<s@app.test>\r\n"
#define RCPT(n) "RCPT TO:<r" #n "@test>\r\n"
#define DATA "DATA\r\n"
#define OK "250 ok\r\n"
#define GO OK "354 go\r\n"
#define FULL "452 4.5.3 too many\r\n"
#define UNTRIED "deferred 0 4.5.3 the server takes no more on this connection\n"

START_TEST(no_more_recipients_than_the_host_takes)
{
    static const struct dialogue table[] = {
        {.name = "RCPTMAX: the rest in further transactions",
         .ehlo = LIMITS("RCPTMAX=2"),
         .recipients = 5,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES), SAYS(OK OK GO, NULL, ASK_BODY),
                   SENDS_BODY, SAYS("250 one\r\n", MAIL RCPT(2) RCPT(3) DATA, ASK_BYTES),
                   SAYS(OK OK GO, NULL, ASK_BODY), SENDS_BODY,
                   SAYS("250 two\r\n", MAIL RCPT(4) DATA, ASK_BYTES), SAYS(OK GO, NULL, ASK_BODY),
                   SENDS_BODY,
                   ENDS("250 three\r\n", NULL, ASK_CLAIM,
                        "delivered 250 - one\ndelivered 250 - one\ndelivered 250 - two\n"
                        "delivered 250 - two\ndelivered 250 - three\n")}},
        {.name = "RCPTMAX in chunks: one flight each",
         .ehlo = CHUNKS("RCPTMAX=1"),
         .recipients = 2,
         .length = 9,
         .steps = {DELIVERS(MAIL RCPT(0) "BDAT 9 LAST\r\n", ASK_CHUNK),
                   SENDS_CHUNK(NULL, ASK_BYTES),
                   SAYS(OK OK "250 one\r\n", MAIL RCPT(1) "BDAT 9 LAST\r\n", ASK_CHUNK),
                   SENDS_CHUNK(NULL, ASK_BYTES),
                   ENDS(OK "550 a\r\n554 b\r\n", NULL, ASK_CLAIM,
                        "delivered 250 - one\nbounced 550 - a\n")}},
        {.name = "refusals count too; RSET where a transaction came to nothing",
         .ehlo = LIMITS("RCPTMAX=1"),
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES),
                   SAYS(OK "550 a\r\n503 no\r\n", "RSET\r\n" MAIL RCPT(1) DATA, ASK_BYTES),
                   SAYS(OK OK GO, NULL, ASK_BODY), SENDS_BODY,
                   ENDS(OK, NULL, ASK_CLAIM, "bounced 550 - a\ndelivered 250 - ok\n")}},
        {.name = "MAIL refused: that is for all of them",
         .ehlo = LIMITS("RCPTMAX=1"),
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES),
                   ENDS("550 a\r\n503 b\r\n503 c\r\n", NULL, ASK_CLAIM,
                        "bounced 550 - a\nbounced 550 - a\n")}},
        {.name = "the message refused: that is for those who were offered",
         .ehlo = LIMITS("RCPTMAX=1"),
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK GO, NULL, ASK_BODY), SENDS_BODY,
                   SAYS("554 a\r\n", MAIL RCPT(1) DATA, ASK_BYTES), SAYS(OK GO, NULL, ASK_BODY),
                   SENDS_BODY, ENDS(OK, NULL, ASK_CLAIM, "bounced 554 - a\ndelivered 250 - ok\n")}},
        {.name = "lost behind the first dot: who was not offered is not in doubt",
         .ehlo = LIMITS("RCPTMAX=1"),
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK GO, NULL, ASK_BODY), SENDS_BODY,
                   BREAKS(LOST, "reset", "in-doubt 0 4.4.2 reset\ndeferred 0 4.4.2 reset\n")}},
        {.name = "lost in the second transaction: the first holds",
         .ehlo = LIMITS("RCPTMAX=1"),
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK GO, NULL, ASK_BODY), SENDS_BODY,
                   SAYS("250 one\r\n", MAIL RCPT(1) DATA, ASK_BYTES),
                   BREAKS(LOST, "reset", "delivered 250 - one\ndeferred 0 4.4.2 reset\n")}},
        {.name = "LIMITS not to be used",
         .ehlo = LIMITS("RCPTMAX=1"),
         .discarded = EXTENSION_LIMITS,
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(too_many_recipients)
{
    static const struct dialogue table[] = {
        {.name = "452 4.5.3 behind some that were taken: at once, and no more than those then",
         .ehlo = PIPELINES,
         .recipients = 4,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) RCPT(2) RCPT(3) DATA, ASK_BYTES),
                   SAYS(OK OK FULL FULL FULL "354 go\r\n", NULL, ASK_BODY), SENDS_BODY,
                   ENDS("250 one\r\n", MAIL RCPT(1) DATA, ASK_BYTES,
                        "delivered 250 - one\nnone 0 - \nnone 0 - \nnone 0 - \n"),
                   SAYS(OK GO, NULL, ASK_BODY), SENDS_BODY,
                   SAYS(OK, MAIL RCPT(2) DATA, ASK_BYTES)}},
        {.name = "552, its old word, and no enhanced code",
         .ehlo = PIPELINES,
         .recipients = 3,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) RCPT(2) DATA, ASK_BYTES),
                   SAYS(OK OK "552 too many\r\n452 too many\r\n354 go\r\n", NULL, ASK_BODY),
                   SENDS_BODY, SAYS(OK, MAIL RCPT(1) RCPT(2) DATA, ASK_BYTES),
                   SAYS(OK OK GO, NULL, ASK_BODY), SENDS_BODY,
                   ENDS("250 two\r\n", NULL, ASK_CLAIM,
                        "delivered 250 - ok\ndelivered 250 - two\ndelivered 250 - two\n")}},
        {.name = "none was taken before: it is no reason to ask again",
         .ehlo = PIPELINES,
         .recipients = 3,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) RCPT(2) DATA, ASK_BYTES),
                   ENDS(OK "550 5.1.1 a\r\n" FULL "552 5.5.3 b\r\n554 no\r\n", NULL, ASK_CLAIM,
                        "bounced 550 5.1.1 a\ndeferred 452 4.5.3 too many\n"
                        "deferred 552 4.5.3 5.5.3 b\n")}},
        {.name = "a full mailbox is another thing",
         .ehlo = PIPELINES,
         .recipients = 3,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) RCPT(2) DATA, ASK_BYTES),
                   SAYS(OK OK "552 5.2.2 full\r\n452 4.2.2 full\r\n354 go\r\n", NULL, ASK_BODY),
                   SENDS_BODY,
                   ENDS(OK, NULL, ASK_CLAIM,
                        "delivered 250 - ok\nbounced 552 5.2.2 full\ndeferred 452 4.2.2 full\n")}},
        {.name = "command by command: the others are not even asked for",
         .ehlo = "250 mx.test\r\n",
         .recipients = 3,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS(OK, RCPT(1), ASK_BYTES), SAYS(FULL, DATA, ASK_BYTES),
                   SAYS("354 go\r\n", NULL, ASK_BODY), SENDS_BODY, SAYS(OK, MAIL, ASK_BYTES),
                   SAYS(OK, RCPT(1), ASK_BYTES), SAYS("550 b\r\n", "RSET\r\n", ASK_BYTES),
                   SAYS(OK, MAIL, ASK_BYTES), SAYS(OK, RCPT(2), ASK_BYTES),
                   SAYS(OK, DATA, ASK_BYTES)}},
        {.name = "the rest refused at DATA, then in a transaction of its own",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES),
                   SAYS(OK OK FULL "451 later\r\n", "RSET\r\n" MAIL RCPT(1) DATA, ASK_BYTES),
                   ENDS(OK OK FULL "503 no\r\n", NULL, ASK_CLAIM,
                        "deferred 451 - later\ndeferred 452 4.5.3 too many\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(no_more_mails_than_the_host_takes)
{
    static const struct dialogue table[] = {
        {.name = "MAILMAX: who is left waits for another connection",
         .ehlo = LIMITS("MAILMAX=2 RCPTMAX=1"),
         .recipients = 3,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK GO, NULL, ASK_BODY), SENDS_BODY,
                   SAYS(OK, MAIL RCPT(1) DATA, ASK_BYTES), SAYS(OK GO, NULL, ASK_BODY), SENDS_BODY,
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\ndelivered 250 - ok\n" UNTRIED)}},
    };
    play_all(table, countof(table));
}
END_TEST

/* The connection asks before it claims. */
START_TEST(a_session_knows_when_it_is_spent)
{
    static const struct {
        const char *ehlo;
        unsigned envelopes; /* until it is */
    } rows[] = {{LIMITS("MAILMAX=1"), 1},
                {LIMITS("MAILMAX=3"), 3},
                {LIMITS("RCPTDOMAINMAX=2"), 2}, /* each envelope is one domain's */
                {LIMITS("MAILMAX=0"), 0},       /* no limit is 0 */
                {PIPELINES, 0}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct dialogue dialogue = {.name = "spent", .ehlo = rows[i].ehlo, .recipients = 1};
        struct play play = {.dialogue = &dialogue};
        play_begin(&play);
        play_hello(&play);
        for (unsigned envelopes = 0; envelopes < 5; envelopes++) {
            bool spent = rows[i].envelopes > 0 && envelopes >= rows[i].envelopes;
            ck_assert_msg(session_spent(&play.session) == spent, "row %zu, %u", i, envelopes);
            play_deliver(&play);
            ck_assert_int_eq(play_server(&play, "550 a\r\n503 b\r\n503 c\r\n"), ASK_CLAIM);
            play.session.open = false; /* without the RSET */
        }
        play_end(&play);
    }
}
END_TEST

/* Only they are due again at once. */
START_TEST(who_was_not_offered_is_marked)
{
    static const struct dialogue dialogue = {
        .name = "untried", .ehlo = LIMITS("MAILMAX=1 RCPTMAX=1"), .recipients = 2};
    struct play play = {.dialogue = &dialogue};
    play_begin(&play);
    play_hello(&play);
    play_deliver(&play);
    ck_assert_int_eq(play_server(&play, OK "450 a\r\n503 b\r\n"), ASK_CLAIM);
    ck_assert(!play.verdicts[0].untried);
    ck_assert(play.verdicts[1].untried);
    ck_assert_int_eq(play.verdicts[1].kind, VERDICT_DEFERRED);
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/outbound/session_limits", no_more_recipients_than_the_host_takes,
          too_many_recipients, no_more_mails_than_the_host_takes, a_session_knows_when_it_is_spent,
          who_was_not_offered_is_marked)
