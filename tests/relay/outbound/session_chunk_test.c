/* Deliveries with CHUNKING (RFC 3030): what goes in one flight, every refusal within it, and chunks
 * that wait for each other. */
#include "tests/relay/outbound/dialogue.h"

#define BOTH "250-mx.test\r\n250-PIPELINING\r\n250 CHUNKING\r\n"
#define ALONE "250-mx.test\r\n250 CHUNKING\r\n"
#define MAIL "MAIL FROM:<s@app.test>\r\n"
#define RCPT(n) "RCPT TO:<r" #n "@test>\r\n"
#define LAST(n) "BDAT " #n " LAST\r\n"
#define MIB "BDAT 1048576\r\n"
#define OK "250 ok\r\n"
#define LARGE(chunks, rest) ((chunks) * (uint64_t)SESSION_CHUNK_BYTES + (rest))
#define FLIGHT MAIL RCPT(0) RCPT(1) LAST(99)
#define FLIGHT_AGAIN MAIL RCPT(1) LAST(99)

#define BEGIN(flight) DELIVERS(flight, ASK_CHUNK)
#define LEAVES SENDS_CHUNK(NULL, ASK_BYTES)

/* ---- one flight ---- */

START_TEST(a_small_message_is_one_flight)
{
    static const struct dialogue table[] = {
        {.name = "all are taken; the next one needs no RSET",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS(OK OK OK "250 2.0.0 queued\r\n", NULL, ASK_CLAIM,
                        "delivered 250 2.0.0 queued\ndelivered 250 2.0.0 queued\n"),
                   BEGIN(FLIGHT)}},
        {.name = "the replies come one by one, the first before the chunk has left",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), SAYS(OK, NULL, ASK_BYTES), SAYS(OK, NULL, ASK_BYTES), LEAVES,
                   SAYS(OK, NULL, ASK_BYTES),
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\ndelivered 250 - ok\n")}},
        {.name = "the largest of them",
         .ehlo = BOTH,
         .recipients = 1,
         .length = SESSION_FLIGHT_BYTES,
         .steps = {BEGIN(MAIL RCPT(0) LAST(65536)), LEAVES,
                   ENDS(OK OK OK, NULL, ASK_CLAIM, "delivered 250 - ok\n")}},
        {.name = "the smallest",
         .ehlo = BOTH,
         .recipients = 1,
         .steps = {BEGIN(MAIL RCPT(0) LAST(0)), LEAVES,
                   ENDS(OK OK OK, NULL, ASK_CLAIM, "delivered 250 - ok\n")}},
        {.name = "CHUNKING is not to be used",
         .ehlo = BOTH,
         .discarded = EXTENSION_CHUNKING,
         .recipients = 1,
         .length = 99,
         .steps = {DELIVERS(MAIL RCPT(0) "DATA\r\n", ASK_BYTES)}},
        {.name = "a server that may be gone: it answers before the body goes",
         .ehlo = BOTH,
         .wary = true,
         .recipients = 1,
         .length = 99,
         .steps = {DELIVERS(MAIL RCPT(0), ASK_BYTES), SAYS(OK, NULL, ASK_BYTES),
                   SAYS(OK, LAST(99), ASK_CHUNK), LEAVES,
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\n")}},
        {.name = "it is gone: nothing is in doubt",
         .ehlo = BOTH,
         .wary = true,
         .recipients = 1,
         .length = 99,
         .steps = {DELIVERS(MAIL RCPT(0), ASK_BYTES),
                   BREAKS(LOST, "closed", "deferred 0 4.4.2 closed\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

#define PARTS(writes)                                                                              \
    {                                                                                              \
        .action = QUIT, .client = (writes), .ask = ASK_BYTES                                       \
    }

/* The last mail of a connection, to one recipient. */
#define LASTLY(offered, octets) .ehlo = (offered), .last = true, .recipients = 1, .length = (octets)
#define QUITS SENDS_CHUNK("QUIT\r\n", ASK_BYTES)
#define ONE BEGIN(MAIL RCPT(0) LAST(99)), QUITS

/* RFC 2920 3.1 */
START_TEST(quit_goes_with_the_last_content)
{
    static const struct dialogue table[] = {
        {.name = "behind the chunk",
         LASTLY(BOTH, 99),
         .steps = {ONE, ENDS(OK OK OK, NULL, ASK_CLAIM, "delivered 250 - ok\n"), PARTS(NULL),
                   SAYS("221 bye\r\n", NULL, ASK_CLOSE)}},
        {.name = "all is refused",
         LASTLY(BOTH, 99),
         .steps = {ONE,
                   ENDS("550 5.7.1 no\r\n503 a\r\n503 b\r\n", NULL, ASK_CLAIM,
                        "bounced 550 5.7.1 no\n"),
                   PARTS(NULL), SAYS("221 bye\r\n", NULL, ASK_CLOSE)}},
        {.name = "it was taken, and the server says no goodbye",
         LASTLY(BOTH, 99),
         .steps = {ONE, ENDS(OK OK OK, NULL, ASK_CLAIM, "delivered 250 - ok\n"), PARTS(NULL),
                   BREAKS(LOST, "closed", NULL)}},
        {.name = "it is gone before it answers: in doubt, as ever",
         LASTLY(BOTH, 99),
         .steps = {ONE, BREAKS(LOST, "closed", "in-doubt 0 4.4.2 closed\n")}},
        {.name = "behind the last of several chunks",
         LASTLY(BOTH, LARGE(1, 5)),
         .steps = {DELIVERS(MAIL RCPT(0), ASK_BYTES), SAYS(OK, NULL, ASK_BYTES),
                   SAYS(OK, MIB, ASK_CHUNK), SENDS_CHUNK(LAST(5), ASK_CHUNK), QUITS,
                   SAYS(OK, NULL, ASK_BYTES), ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\n"),
                   PARTS(NULL)}},
        {.name = "behind the final dot",
         LASTLY("250-mx.test\r\n250 PIPELINING\r\n", 99),
         .steps = {DELIVERS(MAIL RCPT(0) "DATA\r\n", ASK_BYTES),
                   SAYS(OK OK "354 go\r\n", NULL, ASK_BODY), QUITS,
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\n"), PARTS(NULL)}},
        {.name = "not without PIPELINING",
         LASTLY(ALONE, 99),
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS(OK, LAST(99), ASK_CHUNK), LEAVES,
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\n"), PARTS("QUIT\r\n")}},
        {.name = "nor where some recipients may need another transaction",
         .ehlo = BOTH,
         .last = true,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS(OK OK "452 4.5.3 too many\r\n" OK, FLIGHT_AGAIN, ASK_CHUNK, NULL), LEAVES,
                   ENDS(OK OK OK, NULL, ASK_CLAIM, "delivered 250 - ok\ndelivered 250 - ok\n"),
                   PARTS("QUIT\r\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(refusals_within_the_flight)
{
    static const struct dialogue table[] = {
        {.name = "each recipient has its own reply",
         .ehlo = BOTH,
         .recipients = 4,
         .length = 99,
         .steps = {BEGIN(MAIL RCPT(0) RCPT(1) RCPT(2) RCPT(3) LAST(99)), LEAVES,
                   ENDS(OK "250 2.1.5 ok\r\n550 5.1.1 nobody\r\n451 4.2.0 grey\r\n251 moved\r\n"
                           "250 2.0.0 taken\r\n",
                        NULL, ASK_CLAIM,
                        "delivered 250 2.0.0 taken\nbounced 550 5.1.1 nobody\n"
                        "deferred 451 4.2.0 grey\ndelivered 250 2.0.0 taken\n")}},
        {.name = "MAIL refused: all that was sent behind it is answered; RSET comes first then",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS("550 5.7.1 not you\r\n503 MAIL\r\n503 MAIL\r\n503 5.5.1 RCPT\r\n", NULL,
                        ASK_CLAIM, "bounced 550 5.7.1 not you\nbounced 550 5.7.1 not you\n"),
                   BEGIN("RSET\r\n" FLIGHT), LEAVES, SAYS(OK OK OK OK, NULL, ASK_BYTES),
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\ndelivered 250 - ok\n"),
                   BEGIN(FLIGHT)}},
        {.name = "MAIL refused while the chunk is going out: it goes out whole",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), SAYS("451 4.3.0 later\r\n503 a\r\n503 b\r\n", NULL, ASK_BYTES),
                   LEAVES,
                   ENDS("503 c\r\n", NULL, ASK_CLAIM,
                        "deferred 451 4.3.0 later\ndeferred 451 4.3.0 later\n")}},
        {.name = "all recipients refused",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS(OK "550 a\r\n450 b\r\n554 5.5.1 no valid recipients\r\n", NULL, ASK_CLAIM,
                        "bounced 550 - a\ndeferred 450 - b\n"),
                   BEGIN("RSET\r\n" FLIGHT)}},
        {.name = "all recipients refused, but the chunk is taken: that ended it",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS(OK "550 a\r\n450 b\r\n" OK, NULL, ASK_CLAIM,
                        "bounced 550 - a\ndeferred 450 - b\n"),
                   BEGIN(FLIGHT)}},
        {.name = "the message refused for now",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS(OK "550 a\r\n" OK "452 4.3.1 disk full\r\n", NULL, ASK_CLAIM,
                        "bounced 550 - a\ndeferred 452 4.3.1 disk full\n"),
                   BEGIN("RSET\r\n" FLIGHT)}},
        {.name = "the message refused for good",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS(OK OK "450 b\r\n554 5.6.0 no\r\n", NULL, ASK_CLAIM,
                        "bounced 554 5.6.0 no\ndeferred 450 - b\n"),
                   BEGIN("RSET\r\n" FLIGHT)}},
        {.name = "the message answered with a 354: who knows",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS(OK OK "550 b\r\n354 go\r\n", NULL, ASK_CLOSE,
                        "in-doubt 0 4.4.2 the server answered BDAT LAST with 354\n"
                        "bounced 550 - b\n")}},
        {.name = "421 to MAIL: nothing was taken",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS("421 4.4.2 idle\r\n", NULL, ASK_CLOSE,
                        "deferred 421 4.4.2 idle\ndeferred 421 4.4.2 idle\n")}},
        {.name = "421 to the message",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 99,
         .steps = {BEGIN(FLIGHT), LEAVES,
                   ENDS(OK "550 a\r\n" OK "421 4.3.2 down\r\n", NULL, ASK_CLOSE,
                        "bounced 550 - a\ndeferred 421 4.3.2 down\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- several chunks ---- */

#define TO_CHUNKS DELIVERS(MAIL RCPT(0), ASK_BYTES), SAYS(OK OK, MIB, ASK_CHUNK)
#define NEXT SENDS_CHUNK(MIB, ASK_CHUNK)

START_TEST(a_large_body_waits_for_its_recipients)
{
    static const struct dialogue table[] = {
        {.name = "one byte too large for the flight",
         .ehlo = BOTH,
         .recipients = 2,
         .length = SESSION_FLIGHT_BYTES + 1,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1), ASK_BYTES), SAYS(OK "550 a\r\n", NULL, ASK_BYTES),
                   SAYS(OK, LAST(65537), ASK_CHUNK), LEAVES,
                   ENDS(OK, NULL, ASK_CLAIM, "bounced 550 - a\ndelivered 250 - ok\n")}},
        {.name = "no recipient taken: no body, but RSET",
         .ehlo = BOTH,
         .recipients = 2,
         .length = 50u << 20,
         .steps = {DELIVERS(MAIL RCPT(0) RCPT(1), ASK_BYTES),
                   ENDS(OK "550 a\r\n450 b\r\n", NULL, ASK_CLAIM,
                        "bounced 550 - a\ndeferred 450 - b\n"),
                   DELIVERS("RSET\r\n" MAIL RCPT(0) RCPT(1), ASK_BYTES)}},
        {.name = "MAIL refused: no body",
         .ehlo = BOTH,
         .recipients = 1,
         .length = 50u << 20,
         .steps = {DELIVERS(MAIL RCPT(0), ASK_BYTES),
                   ENDS("552 5.3.4 large\r\n503 no\r\n", NULL, ASK_CLAIM,
                        "bounced 552 5.3.4 large\n")}},
        {.name = "421 to MAIL: no body",
         .ehlo = BOTH,
         .recipients = 1,
         .length = 50u << 20,
         .steps = {DELIVERS(MAIL RCPT(0), ASK_BYTES),
                   ENDS("421 no\r\n", NULL, ASK_CLOSE, "deferred 421 - no\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(chunks_do_not_wait_for_each_other)
{
    static const struct dialogue table[] = {
        {.name = "exactly two",
         .ehlo = BOTH,
         .recipients = 1,
         .length = LARGE(2, 0),
         .steps = {TO_CHUNKS, SENDS_CHUNK(LAST(1048576), ASK_CHUNK), SAYS(OK, NULL, ASK_BYTES),
                   LEAVES,
                   ENDS("250 2.0.0 all\r\n", NULL, ASK_CLAIM, "delivered 250 2.0.0 all\n")}},
        {.name = "never more than so much on its way",
         .ehlo = BOTH,
         .recipients = 1,
         .length = LARGE(5, 7),
         .steps = {TO_CHUNKS, NEXT, NEXT, NEXT, LEAVES, SAYS(OK, MIB, ASK_CHUNK), LEAVES,
                   SAYS(OK, LAST(7), ASK_CHUNK), LEAVES, SAYS(OK OK OK, NULL, ASK_BYTES),
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\n")}},
        {.name = "replies to two of them at once",
         .ehlo = BOTH,
         .only_whole = true,
         .recipients = 1,
         .length = LARGE(5, 7),
         .steps = {TO_CHUNKS, NEXT, NEXT, NEXT, LEAVES, SAYS(OK OK, MIB, ASK_CHUNK),
                   SENDS_CHUNK(LAST(7), ASK_CHUNK), SAYS(OK, NULL, ASK_BYTES), LEAVES,
                   ENDS(OK OK OK, NULL, ASK_CLAIM, "delivered 250 - ok\n")}},
        {.name = "all replies owed and one too many",
         .ehlo = BOTH,
         .only_whole = true,
         .recipients = 1,
         .length = LARGE(5, 7),
         .steps = {TO_CHUNKS, NEXT, NEXT, NEXT, LEAVES,
                   ENDS(OK OK OK OK OK, MIB, ASK_CLOSE,
                        "deferred 0 4.4.2 the server replied to nothing\n")}},
        {.name = "without PIPELINING each waits for the one before",
         .ehlo = ALONE,
         .recipients = 1,
         .length = LARGE(1, 1),
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS(OK, MIB, ASK_CHUNK), LEAVES, SAYS(OK, LAST(1), ASK_CHUNK), LEAVES,
                   ENDS(OK, NULL, ASK_CLAIM, "delivered 250 - ok\n")}},
        {.name = "without PIPELINING a small one needs no DATA",
         .ehlo = ALONE,
         .recipients = 2,
         .length = 99,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS("550 a\r\n", RCPT(1), ASK_BYTES), SAYS(OK, LAST(99), ASK_CHUNK), LEAVES,
                   ENDS(OK, NULL, ASK_CLAIM, "bounced 550 - a\ndelivered 250 - ok\n")}},
        {.name = "without PIPELINING no BDAT when nobody was taken",
         .ehlo = ALONE,
         .recipients = 1,
         .length = 99,
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   ENDS("550 a\r\n", NULL, ASK_CLAIM, "bounced 550 - a\n"),
                   DELIVERS("RSET\r\n", ASK_BYTES)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(a_refused_chunk_is_the_last)
{
    static const struct dialogue table[] = {
        {.name = "those on their way are answered too; RSET comes first then",
         .ehlo = BOTH,
         .recipients = 1,
         .length = LARGE(9, 0),
         .steps = {TO_CHUNKS, NEXT, NEXT, NEXT, LEAVES,
                   SAYS("552 5.3.4 large\r\n", NULL, ASK_BYTES),
                   ENDS("503 a\r\n503 b\r\n503 c\r\n", NULL, ASK_CLAIM,
                        "bounced 552 5.3.4 large\n"),
                   DELIVERS("RSET\r\n" MAIL RCPT(0), ASK_BYTES)}},
        {.name = "the one going out goes out whole",
         .ehlo = BOTH,
         .recipients = 1,
         .length = LARGE(9, 0),
         .steps = {TO_CHUNKS, NEXT, SAYS("452 4.3.1 full\r\n", NULL, ASK_BYTES), LEAVES,
                   ENDS("503 a\r\n", NULL, ASK_CLAIM, "deferred 452 4.3.1 full\n")}},
        {.name = "a yes to one behind it changes nothing, not even to the last",
         .ehlo = BOTH,
         .recipients = 1,
         .length = LARGE(2, 1),
         .steps = {TO_CHUNKS, NEXT, SENDS_CHUNK(LAST(1), ASK_CHUNK), LEAVES,
                   SAYS("452 4.3.1 full\r\n" OK, NULL, ASK_BYTES),
                   ENDS(OK, NULL, ASK_CLAIM, "deferred 452 4.3.1 full\n"),
                   DELIVERS("RSET\r\n" MAIL RCPT(0), ASK_BYTES)}},
        {.name = "lost behind it: no doubt",
         .ehlo = BOTH,
         .recipients = 1,
         .length = LARGE(2, 1),
         .steps = {TO_CHUNKS, NEXT, SENDS_CHUNK(LAST(1), ASK_CHUNK), LEAVES,
                   SAYS("554 5.6.0 no\r\n", NULL, ASK_BYTES),
                   BREAKS(LOST, "reset", "bounced 554 5.6.0 no\n")}},
        {.name = "a 354 is no yes",
         .ehlo = BOTH,
         .recipients = 1,
         .length = LARGE(1, 1),
         .steps = {TO_CHUNKS, SENDS_CHUNK(LAST(1), ASK_CHUNK), LEAVES,
                   ENDS("354 go\r\n", NULL, ASK_CLOSE,
                        "in-doubt 0 4.4.2 the server answered BDAT with 354\n")}},
        {.name = "without PIPELINING nothing follows",
         .ehlo = ALONE,
         .recipients = 1,
         .length = LARGE(1, 1),
         .steps = {DELIVERS(MAIL, ASK_BYTES), SAYS(OK, RCPT(0), ASK_BYTES),
                   SAYS(OK, MIB, ASK_CHUNK), LEAVES,
                   ENDS("552 5.3.4 large\r\n", NULL, ASK_CLAIM, "bounced 552 5.3.4 large\n"),
                   DELIVERS("RSET\r\n", ASK_BYTES)}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- what a message costs ---- */

/* Answers all that is owed. */
static enum session_ask answer(struct play *play)
{
    char replies[64 * SESSION_EXPECTED_MAX] = "";
    const struct session *session = &play->session;
    for (unsigned i = 0; i < session->expected_count; i++) {
        unsigned at = (session->expected_first + i) % SESSION_EXPECTED_MAX;
        bool data = session->expected[at].step == STEP_DATA;
        strcat(replies, data ? "354 go\r\n" : OK);
    }
    return play_server(play, replies);
}

/* How often the client waits for the server while a message is delivered. */
static unsigned round_trips(struct play *play)
{
    unsigned trips = 0;
    for (enum session_ask ask = play_deliver(play); ask != ASK_CLAIM;) {
        bool content = ask == ASK_BODY || ask == ASK_CHUNK;
        trips += !content;
        ask = content ? session_body_sent(&play->session) : answer(play);
    }
    return trips;
}

START_TEST(round_trips_of_a_message)
{
    static const struct {
        const char *ehlo;
        uint64_t length;
        unsigned trips;
    } rows[] = {
        {"250 mx.test\r\n", 4096, 5}, /* MAIL, RCPT, RCPT, DATA, dot */
        {ALONE, 4096, 4},
        {"250-mx.test\r\n250 PIPELINING\r\n", 4096, 2},
        {BOTH, 4096, 1},
        {BOTH, SESSION_FLIGHT_BYTES, 1},
        {BOTH, SESSION_FLIGHT_BYTES + 1, 2},
        {BOTH, LARGE(4, 0), 2},
        {BOTH, LARGE(8, 0), 3},
        {ALONE, LARGE(4, 0), 7},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct dialogue dialogue = {
            .name = "trips", .ehlo = rows[i].ehlo, .recipients = 2, .length = rows[i].length};
        struct play play = {.dialogue = &dialogue};
        play_begin(&play);
        play_hello(&play);
        for (int message = 0; message < 2; message++) { /* the next one is no other */
            unsigned trips = round_trips(&play);
            ck_assert_msg(trips == rows[i].trips, "row %zu: %u round trips", i, trips);
            ck_assert_int_eq(play.verdicts[1].kind, VERDICT_DELIVERED);
        }
        play_end(&play);
    }
}
END_TEST

/* Which bytes of the body each chunk is. */
START_TEST(chunks_cover_the_body)
{
    static const struct dialogue dialogue = {
        .name = "chunks", .ehlo = BOTH, .recipients = 1, .length = LARGE(2, 5)};
    static const struct chunk wanted[] = {{0, SESSION_CHUNK_BYTES},
                                          {SESSION_CHUNK_BYTES, SESSION_CHUNK_BYTES},
                                          {2 * SESSION_CHUNK_BYTES, 5}};
    struct play play = {.dialogue = &dialogue};
    play_begin(&play);
    play_hello(&play);
    play_deliver(&play);
    enum session_ask ask = play_server(&play, OK OK);
    for (size_t i = 0; i < countof(wanted); i++) {
        ck_assert_int_eq(ask, ASK_CHUNK);
        struct chunk chunk = session_chunk(&play.session);
        ck_assert_uint_eq(chunk.offset, wanted[i].offset);
        ck_assert_uint_eq(chunk.length, wanted[i].length);
        ck_assert(!session_in_doubt(&play.session));
        ask = session_body_sent(&play.session);
    }
    ck_assert_int_eq(ask, ASK_BYTES);
    ck_assert(session_in_doubt(&play.session));
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/outbound/session_chunk", a_small_message_is_one_flight,
          quit_goes_with_the_last_content, refusals_within_the_flight,
          a_large_body_waits_for_its_recipients, chunks_do_not_wait_for_each_other,
          a_refused_chunk_is_the_last, round_trips_of_a_message, chunks_cover_the_body)
