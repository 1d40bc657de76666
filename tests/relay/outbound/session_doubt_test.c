/* Deliveries with CHUNKING that break: from where on a message may arrive twice, and replies to
 * what has not left yet. */
#include "tests/relay/outbound/dialogue.h"

#define BOTH "250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define MAIL "MAIL FROM:<s@app.test>\r\n"
#define RCPT(n) "RCPT TO:<r" #n "@test>\r\n"
#define LAST(n) "BDAT " #n " LAST\r\n"
#define MIB "BDAT 1048576\r\n"
#define OK "250 ok\r\n"
#define FLIGHT MAIL RCPT(0) RCPT(1) LAST(99)

#define BEGIN(flight) DELIVERS(flight, ASK_CHUNK)
#define LEAVES SENDS_CHUNK(NULL, ASK_BYTES)

START_TEST(in_doubt_only_when_the_last_byte_has_left)
{
    static const struct dialogue table[] = {
        {.name = "lost while it goes out",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), SAYS(OK "550 a\r\n", NULL, ASK_BYTES),
                   BREAKS(LOST, "reset", "bounced 550 - a\ndeferred 0 4.4.2 reset\n")}},
        {.name = "lost behind it, with no reply at all",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   BREAKS(LOST, "reset", "in-doubt 0 4.4.2 reset\nin-doubt 0 4.4.2 reset\n")}},
        {.name = "lost behind it: those refused are not in doubt",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES, SAYS(OK "550 a\r\n", NULL, ASK_BYTES),
                   BREAKS(LOST, "reset", "bounced 550 - a\nin-doubt 0 4.4.2 reset\n")}},
        {.name = "lost behind it: none is when MAIL was refused",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES, SAYS("550 a\r\n", NULL, ASK_BYTES),
                   BREAKS(LOST, "reset", "bounced 550 - a\nbounced 550 - a\n")}},
        {.name = "no reply to MAIL in time",
         .ehlo = BOTH,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), LEAVES,
                   BREAKS(LATE, NULL,
                          "in-doubt 0 4.4.2 timed out waiting for the reply to MAIL\n")}},
        {.name = "no reply to the message in time",
         .ehlo = BOTH,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), LEAVES, SAYS(OK OK, NULL, ASK_BYTES),
                   BREAKS(LATE, NULL,
                          "in-doubt 0 4.4.2 timed out waiting for the reply to BDAT LAST\n")}},
        {.name = "what is no reply",
         .ehlo = BOTH,
         .only_whole = true,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), LEAVES, SAYS(OK OK, NULL, ASK_BYTES),
                   ENDS("HTTP/1.1 400 Bad\r\n", NULL, ASK_CLOSE,
                        "in-doubt 0 4.4.2 the server's reply is not SMTP\n")}},
        {.name = "the next delivery is none",
         .ehlo = BOTH,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), LEAVES, SAYS(OK OK OK, NULL, ASK_CLAIM),
                   BEGIN(MAIL RCPT(0) LAST(99)),
                   BREAKS(LOST, "reset", "deferred 0 4.4.2 reset\n")}},
        {.name = "nor is one whose chunks have not all left",
         .ehlo = BOTH,
         .recipients = 1,
         .length = SESSION_CHUNK_BYTES + 1,
         .steps = {DELIVERS(MAIL RCPT(0), ASK_BYTES), SAYS(OK OK, MIB, ASK_CHUNK),
                   SENDS_CHUNK(LAST(1), ASK_CHUNK),
                   BREAKS(LOST, "reset", "deferred 0 4.4.2 reset\n")}},
        {.name = "but when they have it is, whichever reply is owed",
         .ehlo = BOTH,
         .recipients = 1,
         .length = SESSION_CHUNK_BYTES + 1,
         .steps = {DELIVERS(MAIL RCPT(0), ASK_BYTES), SAYS(OK OK, MIB, ASK_CHUNK),
                   SENDS_CHUNK(LAST(1), ASK_CHUNK), LEAVES,
                   BREAKS(LATE, NULL,
                          "in-doubt 0 4.4.2 timed out waiting for the reply to BDAT\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* A reply to what has not left yet cannot be one to it. */
START_TEST(replies_before_the_chunk)
{
    static const struct dialogue table[] = {
        {.name = "a yes is no yes",
         .ehlo = BOTH,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), SAYS(OK OK, NULL, ASK_BYTES),
                   ENDS(OK, NULL, ASK_CLOSE, "deferred 0 4.4.2 the server replied to nothing\n")}},
        {.name = "a no counts",
         .ehlo = BOTH,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), SAYS(OK OK, NULL, ASK_BYTES),
                   ENDS("552 5.3.4 large\r\n", NULL, ASK_CLOSE, "bounced 552 5.3.4 large\n")}},
        {.name = "so it does behind the replies that were owed",
         .ehlo = BOTH,
         .only_whole = true,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), ENDS(OK OK "552 5.3.4 large\r\n", NULL, ASK_CLOSE,
                                                      "bounced 552 5.3.4 large\n")}},
        {.name = "before BDAT was said",
         .ehlo = BOTH,
         .only_whole = true,
         .wary = true,
         .recipients = 1,
         .length = 99,
         .steps = {DELIVERS(MAIL RCPT(0), ASK_BYTES),
                   ENDS(OK OK OK, LAST(99), ASK_CLOSE,
                        "deferred 0 4.4.2 the server replied to nothing\n")}},
        {.name = "421 is always heard",
         .ehlo = BOTH,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), SAYS(OK OK, NULL, ASK_BYTES),
                   ENDS("421 bye\r\n", NULL, ASK_CLOSE, "deferred 421 - bye\n")}},
        {.name = "two replies to the message: what the first one says holds",
         .ehlo = BOTH,
         .only_whole = true,
         .recipients = 1,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) LAST(99)), LEAVES,
                   ENDS(OK OK OK OK, NULL, ASK_CLOSE, "delivered 250 - ok\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* RFC 5321 4.5.3.2: as for a block of DATA, and for its end. */
START_TEST(each_chunk_has_its_time)
{
    static const struct dialogue dialogue = {
        .name = "times", .ehlo = BOTH, .recipients = 1, .length = SESSION_CHUNK_BYTES + 1};
    struct play play = {.dialogue = &dialogue};
    play_begin(&play);
    play_hello(&play);
    play_deliver(&play);
    ck_assert_int_eq(play_server(&play, OK OK), ASK_CHUNK);
    ck_assert_int_eq(session_body_sent(&play.session), ASK_CHUNK);
    ck_assert_int_eq(session_body_sent(&play.session), ASK_BYTES);
    ck_assert_str_eq(session_awaits(&play.session), "BDAT");
    ck_assert_int_eq(session_timeout_ms(&play.session), 180000);
    ck_assert_int_eq(play_server(&play, OK), ASK_BYTES);
    ck_assert_str_eq(session_awaits(&play.session), "BDAT LAST");
    ck_assert_int_eq(session_timeout_ms(&play.session), 600000);
    play_end(&play);
}
END_TEST

/* What became of it is decided then: if the rest of it left for the server after all, the message
 * could arrive, and come again. */
START_TEST(halfway_until_the_last_byte_has_left)
{
    static const struct dialogue dialogue = {
        .name = "halfway", .ehlo = BOTH, .recipients = 2, .length = 99};
    struct play play = {.dialogue = &dialogue};
    play_begin(&play);
    play_hello(&play);
    ck_assert(!session_halfway(&play.session));
    ck_assert_int_eq(play_deliver(&play), ASK_CHUNK);
    ck_assert(session_halfway(&play.session));
    ck_assert_int_eq(session_body_sent(&play.session), ASK_BYTES);
    ck_assert(!session_halfway(&play.session));
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/outbound/session_doubt", halfway_until_the_last_byte_has_left,
          in_doubt_only_when_the_last_byte_has_left, replies_before_the_chunk,
          each_chunk_has_its_time)
