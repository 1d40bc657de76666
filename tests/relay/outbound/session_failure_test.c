/* How sessions end badly: 421 at any moment, lost and stalled connections, replies that are
 * none, and replies that nobody asked for. */
#include "tests/relay/outbound/dialogue.h"

#define BARE "250 mx.test\r\n"
#define PIPELINES "250-mx.test\r\n250 PIPELINING\r\n"
#define EHLO "EHLO relay.test\r\n"
#define MAIL "MAIL FROM:<s@app.test>\r\n"
#define RCPT(n) "RCPT TO:<r" #n "@test>\r\n"
#define DATA "DATA\r\n"
#define OK "250 ok\r\n"

/* ---- a walk through one delivery, which may end at any step ---- */

static const struct stop {
    const char *awaits;
    int64_t timeout_ms;
    const char *text;   /* the server's, that leads to the next stop; NULL: another thing does */
    enum action action; /* then that */
    bool delivering;
    bool doubt; /* the dot is out */
} stops[] = {
    {"greeting", 300000, "220 mx\r\n", NOTHING, false, false},
    {"EHLO", 300000, "500 ?\r\n", NOTHING, false, false},
    {"HELO", 300000, OK, NOTHING, false, false},
    {"nothing", 5000, NULL, DELIVER, false, false},
    {"MAIL", 300000, OK, NOTHING, true, false},
    {"RCPT", 300000, OK, NOTHING, true, false},
    {"RCPT", 300000, "450 later\r\n", NOTHING, true, false},
    {"DATA", 120000, "354 go\r\n", NOTHING, true, false},
    {"nothing", 5000, NULL, BODY, true, false}, /* the body is under way */
    {"end of data", 600000, "451 no\r\n", NOTHING, true, true},
    {"nothing", 5000, NULL, DELIVER, false, false},
    {"MAIL", 300000, "550 no\r\n", NOTHING, true, false},
    {"nothing", 5000, NULL, DELIVER, false, false},
    {"RSET", 20000, OK, NOTHING, true, false},
    {"MAIL", 300000, "550 no\r\n", NOTHING, true, false},
    {"nothing", 5000, NULL, QUIT, false, false},
    {"QUIT", 5000, NULL, NOTHING, false, false},
};

static void walk_to(struct play *play, size_t stop)
{
    static const struct dialogue dialogue = {.name = "walk", .recipients = 2};
    *play = (struct play){.dialogue = &dialogue};
    play_begin(play);
    for (size_t i = 0; i < stop; i++) {
        struct step step = {.action = stops[i].text ? SERVER : stops[i].action,
                            .text = stops[i].text};
        play_act(play, &step);
    }
    buffer_clear(&play->out);
}

START_TEST(each_step_has_its_name_and_its_time)
{
    for (size_t i = 0; i < countof(stops); i++) {
        struct play play;
        walk_to(&play, i);
        ck_assert_msg(strcmp(session_awaits(&play.session), stops[i].awaits) == 0, "stop %zu: %s",
                      i, session_awaits(&play.session));
        ck_assert_int_eq(session_timeout_ms(&play.session), stops[i].timeout_ms);
        play_end(&play);
    }
}
END_TEST

/* A local verdict: 4.4.1 as long as the host has said nothing at all, 4.4.2 then. */
static const char *local(const struct stop *at, const char *why, char text[256])
{
    snprintf(text, 256, "%s 0 4.4.%d %s\n", at->doubt ? "in-doubt" : "deferred",
             at == &stops[0] ? 1 : 2, why);
    return text;
}

/* The one refused before keeps its own verdict; all others get `wanted`. */
static void expect_ended(struct play *play, size_t stop, enum session_ask ask, const char *wanted)
{
    char text[512];
    const struct stop *at = &stops[stop];
    bool refused_before = strcmp(at->awaits, "DATA") == 0 || at->action == BODY || at->doubt;
    play->at = stop;
    if (ask != ASK_CLOSE)
        play_fail(play, "does not close, asks for %d", (int)ask);
    if (buffer_length(&play->out) > 0)
        play_fail(play, "still writes");
    ck_assert(play->session.closing);
    if (at->delivering) {
        snprintf(text, sizeof(text), "%s%s", wanted,
                 refused_before ? "deferred 450 - later\n" : wanted);
        play_expect_verdicts(play, text);
    }
    if (!play->session.ready) {
        struct dialogue dialogue = *play->dialogue;
        dialogue.failure = wanted;
        play->dialogue = &dialogue;
        play_expect_failure(play);
    } else {
        ck_assert_int_eq(play->session.failure.kind, VERDICT_NONE);
    }
    play_end(play);
}

START_TEST(a_421_ends_any_step)
{
    for (size_t i = 0; i < countof(stops); i++) {
        struct play play;
        walk_to(&play, i);
        enum session_ask ask = play_server(&play, "421-4.3.2 we\r\n421 4.3.2 close\r\n");
        expect_ended(&play, i, ask, "deferred 421 4.3.2 we close\n");
    }
}
END_TEST

START_TEST(a_lost_connection_is_in_doubt_only_behind_the_dot)
{
    for (size_t i = 0; i < countof(stops); i++) {
        struct play play;
        walk_to(&play, i);
        enum session_ask ask = session_lost(&play.session, "reset by peer");
        char text[256];
        expect_ended(&play, i, ask, local(&stops[i], "reset by peer", text));
    }
}
END_TEST

START_TEST(a_stalled_connection_says_where)
{
    for (size_t i = 0; i < countof(stops); i++) {
        struct play play;
        char why[128], text[256];
        if (strcmp(stops[i].awaits, "nothing") == 0)
            continue;
        walk_to(&play, i);
        enum session_ask ask = session_timed_out(&play.session);
        snprintf(why, sizeof(why), "timed out waiting for the reply to %s", stops[i].awaits);
        expect_ended(&play, i, ask, local(&stops[i], why, text));
    }
}
END_TEST

START_TEST(what_is_no_reply_ends_any_step)
{
    static const char *const texts[] = {"HTTP/1.1 400 Bad\r\n", "250-a\r\n251 b\r\n", "2500 ok\r\n",
                                        "199 ok\r\n", "\r\n"};
    for (size_t i = 0; i < countof(stops); i++) {
        for (size_t j = 0; j < countof(texts); j++) {
            struct play play;
            walk_to(&play, i);
            enum session_ask ask = play_server(&play, texts[j]);
            char text[256];
            expect_ended(&play, i, ask, local(&stops[i], "the server's reply is not SMTP", text));
        }
    }
}
END_TEST

START_TEST(a_reply_that_never_ends_is_none)
{
    struct play play;
    enum session_ask ask = ASK_BYTES;
    walk_to(&play, 0);
    for (int i = 0; i < REPLY_LINES_MAX + 1 && ask == ASK_BYTES; i++)
        ask = play_server(&play, "220-more\r\n");
    expect_ended(&play, 0, ask, "deferred 0 4.4.1 the server's reply is not SMTP\n");
}
END_TEST

/* ---- replies that nobody asked for ---- */

#define TO_THE_BODY                                                                                \
    DELIVERS(MAIL RCPT(0) RCPT(1) DATA, ASK_BYTES),                                                \
        SAYS(OK OK "550 5.1.1 no\r\n354 go\r\n", NULL, ASK_BODY)

START_TEST(unasked_replies_close)
{
    static const struct dialogue table[] = {
        {.name = "in the pool", .ehlo = PIPELINES, .steps = {SAYS(OK, NULL, ASK_CLOSE)}},
        {.name = "in the pool, a refusal",
         .ehlo = PIPELINES,
         .steps = {SAYS("451 4.4.2 idle\r\n", NULL, ASK_CLOSE)}},
        {.name = "a refusal in the middle of the body counts",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {TO_THE_BODY, ENDS("552 5.3.4 too much\r\n", NULL, ASK_CLOSE,
                                     "bounced 552 5.3.4 too much\nbounced 550 5.1.1 no\n")}},
        {.name = "so does one for now",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {TO_THE_BODY, ENDS("452 4.3.1 full\r\n", NULL, ASK_CLOSE,
                                     "deferred 452 4.3.1 full\nbounced 550 5.1.1 no\n")}},
        {.name = "a yes before the dot is no yes",
         .ehlo = PIPELINES,
         .recipients = 2,
         .steps = {TO_THE_BODY, ENDS("250 2.0.0 queued\r\n", NULL, ASK_CLOSE,
                                     "deferred 0 4.4.2 the server replied to nothing\n"
                                     "bounced 550 5.1.1 no\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* The same, with the reply before it in one piece: it must not be taken for the next one's. */
START_TEST(more_than_the_reply_closes)
{
    static const struct dialogue table[] = {
        {.name = "354 and a yes",
         .only_whole = true,
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES),
                   ENDS(OK OK "354 go\r\n250 2.0.0 queued\r\n", NULL, ASK_CLOSE,
                        "deferred 0 4.4.2 the server replied to nothing\n")}},
        {.name = "354 and a no",
         .only_whole = true,
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES),
                   ENDS(OK OK "354 go\r\n554 5.7.1 no\r\n", NULL, ASK_CLOSE,
                        "bounced 554 5.7.1 no\n")}},
        {.name = "354 and the beginning of something",
         .only_whole = true,
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES),
                   ENDS(OK OK "354 go\r\n2", NULL, ASK_CLOSE,
                        "deferred 0 4.4.2 the server replied to nothing\n")}},
        {.name = "two replies to the dot: what the first one says holds",
         .only_whole = true,
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK OK "354 go\r\n", NULL, ASK_BODY),
                   SENDS_BODY,
                   ENDS("250 queued\r\n250 queued\r\n", NULL, ASK_CLOSE,
                        "delivered 250 - queued\n")}},
        {.name = "queued, and 421 at once",
         .only_whole = true,
         .ehlo = PIPELINES,
         .recipients = 1,
         .steps = {DELIVERS(MAIL RCPT(0) DATA, ASK_BYTES), SAYS(OK OK "354 go\r\n", NULL, ASK_BODY),
                   SENDS_BODY,
                   ENDS("250 queued\r\n421 that was all\r\n", NULL, ASK_CLOSE,
                        "delivered 250 - queued\n")}},
        {.name = "more than the reply to EHLO: it never became ready",
         .only_whole = true,
         .steps = {SAYS("220 mx\r\n", EHLO, ASK_BYTES), SAYS(BARE OK, NULL, ASK_CLOSE)},
         .failure = "deferred 0 4.4.2 the server replied to nothing\n"},
        {.name = "the reply to EHLO behind the greeting: it answers what was not said yet",
         .only_whole = true,
         .steps = {SAYS("220 mx\r\n" BARE, EHLO, ASK_CLOSE)},
         .failure = "deferred 0 4.4.2 the server replied to nothing\n"},
        {.name = "two replies to MAIL, one of them to what comes next",
         .only_whole = true,
         .ehlo = BARE,
         .recipients = 1,
         .steps = {DELIVERS(MAIL, ASK_BYTES),
                   ENDS(OK OK, RCPT(0), ASK_CLOSE,
                        "deferred 0 4.4.2 the server replied to nothing\n")}},
        {.name = "more than the reply to QUIT is of no account",
         .only_whole = true,
         .ehlo = BARE,
         .steps = {{.action = QUIT, .client = "QUIT\r\n", .ask = ASK_BYTES},
                   SAYS("221 bye\r\n250 ok\r\n", NULL, ASK_CLOSE)}},
        {.name = "EHLO answered, and 421 at once",
         .only_whole = true,
         .steps = {SAYS("220 mx\r\n", EHLO, ASK_BYTES),
                   SAYS(BARE "421 4.3.2 busy\r\n", NULL, ASK_CLOSE)},
         .failure = "deferred 421 4.3.2 busy\n"},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- codes that answer something else ---- */

START_TEST(codes_that_are_out_of_step_close)
{
    static const struct {
        const char *awaits, *reply, *why; /* NULL: it is an answer, good or bad */
    } rows[] = {
        {"greeting", "354 go\r\n", "the server answered greeting with 354"},
        {"EHLO", "354 go\r\n", "the server answered EHLO with 354"},
        {"HELO", "334 go\r\n", "the server answered HELO with 334"},
        {"MAIL", "354 go\r\n", "the server answered MAIL with 354"},
        {"RCPT", "300 go\r\n", "the server answered RCPT with 300"},
        {"DATA", "250 ok\r\n", "the server answered DATA with 250"},
        {"end of data", "354 go\r\n", "the server answered end of data with 354"},
        {"RSET", "354 go\r\n", "the server answered RSET with 354"},
        {"MAIL", "252 ok\r\n", NULL}, /* RFC 5321 4.2: the first digit tells */
        {"RCPT", "299 ok\r\n", NULL},
        {"DATA", "399 go\r\n", NULL},
        {"end of data", "200 ok\r\n", NULL},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct play play;
        size_t stop = 0;
        while (strcmp(stops[stop].awaits, rows[i].awaits) != 0)
            stop++;
        walk_to(&play, stop);
        enum session_ask ask = play_server(&play, rows[i].reply);
        bool closes = rows[i].why != NULL;
        ck_assert_msg((ask == ASK_CLOSE) == closes, "row %zu: asks for %d", i, (int)ask);
        ck_assert_int_eq(play.session.turned_away, closes);
        if (closes) {
            char text[256];
            ck_assert_str_eq(play.session.fault, rows[i].why);
            ck_assert_str_eq(play.session.ended_at, rows[i].awaits);
            expect_ended(&play, stop, ask, local(&stops[stop], rows[i].why, text));
        } else {
            ck_assert_ptr_null(play.session.fault);
            play_end(&play);
        }
    }
}
END_TEST

START_TEST(a_5xx_that_is_tried_again_has_a_4_for_its_class)
{
    static const struct dialogue table[] = {
        {.name = "greeting 554",
         .steps = {SAYS("554 5.7.1 go away\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 554 4.7.1 5.7.1 go away\n"},
        {.name = "greeting 521 without a status",
         .steps = {SAYS("521 no mail here\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 521 - no mail here\n"},
        {.name = "HELO 504",
         .steps = {SAYS("220 mx\r\n", EHLO, ASK_BYTES),
                   SAYS("550 5.7.1 no\r\n", "HELO relay.test\r\n", ASK_BYTES),
                   SAYS("504 5.5.2 bad name\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 504 4.5.2 5.5.2 bad name\n"},
    };
    play_all(table, countof(table));
}
END_TEST

TEST_MAIN("relay/outbound/session_failure", each_step_has_its_name_and_its_time,
          a_421_ends_any_step, a_lost_connection_is_in_doubt_only_behind_the_dot,
          a_stalled_connection_says_where, what_is_no_reply_ends_any_step,
          a_reply_that_never_ends_is_none, unasked_replies_close, more_than_the_reply_closes,
          codes_that_are_out_of_step_close, a_5xx_that_is_tried_again_has_a_4_for_its_class)
