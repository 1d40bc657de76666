#include "tests/relay/outbound/dialogue.h"

#define EHLO "EHLO relay.test\r\n"
#define GREETS SAYS("220 mx.test ready\r\n", EHLO, ASK_BYTES)
#define STARTS SAYS("250-mx.test\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "STARTTLS\r\n", ASK_BYTES)
#define GOES SAYS("220 go\r\n", NULL, ASK_TLS)
#define POLICY(asked, on_a_454, after)                                                             \
    {                                                                                              \
        .level = (asked), .on_454 = (on_a_454), .plain_after = (after)                             \
    }
#define NOT_OFFERED "deferred 0 4.7.4 TLS is required, but the server does not offer STARTTLS\n"

/* ---- the outcome table of tls-rules: level by level ---- */

enum way { /* how STARTTLS comes to its end */
           UNOFFERED,
           REPLY_454,
           REPLY_451,
           REPLY_502,
           REPLY_554,
           REPLY_250, /* anything but 220 is a no */
           HANDSHAKE,
           LOST_WAITING,
           STALLED_WAITING,
           STALLED_IN_HANDSHAKE,
           RESIDUE,
           ESTABLISHED,
           ALERT_AFTERWARDS,  /* of a server of TLS 1.3, RFC 8446 4.4.2.4 */
           SILENT_AFTERWARDS, /* that is a deferral like any other */
};
#define WAYS 14

static const char *const words[WAYS] = {
    [REPLY_454] = "454 4.7.0 not now\r\n", [REPLY_451] = "451 4.3.0 hm\r\n",
    [REPLY_502] = "502 5.5.1 unknown\r\n", [REPLY_554] = "554 5.7.0 no\r\n",
    [REPLY_250] = "250 sure\r\n",
};

struct cell {
    enum way way;
    enum tls_level level;
    enum session_ask ask;
    const char *client; /* behind the last word of the server */
    enum tls_outcome outcome;
    enum tls_step step;
    const char *failure;
};

static const struct cell cells[] = {
    {UNOFFERED, TLS_MAY, ASK_CLAIM, "", TLS_NOT_OFFERED, TLS_GO_PLAIN, ""},
    {REPLY_454, TLS_MAY, ASK_CLOSE, "QUIT\r\n", TLS_TEMPORARY, TLS_RETRY_LATER,
     "deferred 454 4.7.4 not now\n"},
    {REPLY_451, TLS_MAY, ASK_CLOSE, "QUIT\r\n", TLS_TEMPORARY, TLS_RETRY_LATER,
     "deferred 451 4.7.4 hm\n"},
    {REPLY_502, TLS_MAY, ASK_CLAIM, "", TLS_REFUSED, TLS_GO_PLAIN, ""},
    {REPLY_554, TLS_MAY, ASK_CLAIM, "", TLS_REFUSED, TLS_GO_PLAIN, ""},
    {REPLY_250, TLS_MAY, ASK_CLAIM, "", TLS_REFUSED, TLS_GO_PLAIN, ""},
    {HANDSHAKE, TLS_MAY, ASK_CLOSE, "", TLS_HANDSHAKE_FAILED, TLS_GO_PLAIN_ANEW,
     "deferred 0 4.7.5 why\n"},
    {LOST_WAITING, TLS_MAY, ASK_CLOSE, "", TLS_HANDSHAKE_FAILED, TLS_GO_PLAIN_ANEW,
     "deferred 0 4.7.5 why\n"},
    {STALLED_WAITING, TLS_MAY, ASK_CLOSE, "", TLS_STALLED, TLS_GO_PLAIN_ANEW,
     "deferred 0 4.7.5 timed out waiting for the reply to STARTTLS\n"},
    {STALLED_IN_HANDSHAKE, TLS_MAY, ASK_CLOSE, "", TLS_STALLED, TLS_GO_PLAIN_ANEW,
     "deferred 0 4.7.5 why\n"},
    {RESIDUE, TLS_MAY, ASK_CLOSE, "", TLS_RESIDUE, TLS_GO_PLAIN_ANEW, "deferred 0 4.7.5 why\n"},
    {ESTABLISHED, TLS_MAY, ASK_BYTES, EHLO, TLS_ESTABLISHED, TLS_GO_ENCRYPTED, ""},
    {ALERT_AFTERWARDS, TLS_MAY, ASK_CLOSE, EHLO, TLS_ALERT, TLS_GO_PLAIN_ANEW,
     "deferred 0 4.7.5 why\n"},
    {SILENT_AFTERWARDS, TLS_MAY, ASK_CLOSE, EHLO, TLS_ESTABLISHED, TLS_GO_ENCRYPTED,
     "deferred 0 4.4.2 timed out waiting for the reply to EHLO\n"},

    {UNOFFERED, TLS_ENCRYPT, ASK_CLOSE, "QUIT\r\n", TLS_NOT_OFFERED, TLS_NEXT_HOST, NOT_OFFERED},
    {REPLY_454, TLS_ENCRYPT, ASK_CLOSE, "QUIT\r\n", TLS_TEMPORARY, TLS_NEXT_HOST,
     "deferred 454 4.7.4 not now\n"},
    {REPLY_451, TLS_ENCRYPT, ASK_CLOSE, "QUIT\r\n", TLS_TEMPORARY, TLS_NEXT_HOST,
     "deferred 451 4.7.4 hm\n"},
    {REPLY_502, TLS_ENCRYPT, ASK_CLOSE, "QUIT\r\n", TLS_REFUSED, TLS_NEXT_HOST,
     "deferred 502 4.7.4 5.5.1 unknown\n"},
    {REPLY_554, TLS_ENCRYPT, ASK_CLOSE, "QUIT\r\n", TLS_REFUSED, TLS_NEXT_HOST,
     "deferred 554 4.7.4 5.7.0 no\n"},
    {REPLY_250, TLS_ENCRYPT, ASK_CLOSE, "QUIT\r\n", TLS_REFUSED, TLS_NEXT_HOST,
     "deferred 250 4.7.4 sure\n"},
    {HANDSHAKE, TLS_ENCRYPT, ASK_CLOSE, "", TLS_HANDSHAKE_FAILED, TLS_NEXT_HOST,
     "deferred 0 4.7.5 why\n"},
    {LOST_WAITING, TLS_ENCRYPT, ASK_CLOSE, "", TLS_HANDSHAKE_FAILED, TLS_NEXT_HOST,
     "deferred 0 4.7.5 why\n"},
    {STALLED_WAITING, TLS_ENCRYPT, ASK_CLOSE, "", TLS_STALLED, TLS_NEXT_HOST,
     "deferred 0 4.7.5 timed out waiting for the reply to STARTTLS\n"},
    {STALLED_IN_HANDSHAKE, TLS_ENCRYPT, ASK_CLOSE, "", TLS_STALLED, TLS_NEXT_HOST,
     "deferred 0 4.7.5 why\n"},
    {RESIDUE, TLS_ENCRYPT, ASK_CLOSE, "", TLS_RESIDUE, TLS_NEXT_HOST, "deferred 0 4.7.5 why\n"},
    {ESTABLISHED, TLS_ENCRYPT, ASK_BYTES, EHLO, TLS_ESTABLISHED, TLS_GO_ENCRYPTED, ""},
    {ALERT_AFTERWARDS, TLS_ENCRYPT, ASK_CLOSE, EHLO, TLS_ALERT, TLS_NEXT_HOST,
     "deferred 0 4.7.5 why\n"},
    {SILENT_AFTERWARDS, TLS_ENCRYPT, ASK_CLOSE, EHLO, TLS_ESTABLISHED, TLS_GO_ENCRYPTED,
     "deferred 0 4.4.2 timed out waiting for the reply to EHLO\n"},
};

/* Up to the reply to STARTTLS, or to where its lack shows. */
static enum session_ask go_there(struct play *play, enum way way)
{
    static const char *const offers[] = {"250-mx.test\r\n250 STARTTLS\r\n", "250 mx.test\r\n"};
    play_server(play, "220 mx.test ready\r\n");
    buffer_clear(&play->out);
    enum session_ask ask = play_server(play, offers[way == UNOFFERED]);
    if (way != UNOFFERED) {
        ck_assert_int_eq(ask, ASK_BYTES);
        ck_assert(span_equal(buffer_span(&play->out), SPAN("STARTTLS\r\n")));
        ck_assert_str_eq(session_awaits(&play->session), "STARTTLS");
        buffer_clear(&play->out);
    }
    return ask;
}

static enum session_ask end_there(struct play *play, enum way way)
{
    struct session *session = &play->session;
    if (words[way] != NULL)
        return play_server(play, words[way]);
    if (way == LOST_WAITING)
        return session_lost(session, "why");
    if (way == STALLED_WAITING)
        return session_timed_out(session);
    ck_assert_int_eq(play_server(play, "220 go\r\n"), ASK_TLS);
    if (way == ESTABLISHED || way == ALERT_AFTERWARDS || way == SILENT_AFTERWARDS) {
        enum session_ask ask = session_secured(session, NULL);
        if (way == ALERT_AFTERWARDS)
            ask = session_broke(session, TLS_ALERT, "why");
        if (way == SILENT_AFTERWARDS)
            ask = session_timed_out(session);
        return ask;
    }
    enum tls_outcome outcome = way == HANDSHAKE ? TLS_HANDSHAKE_FAILED
                               : way == RESIDUE ? TLS_RESIDUE
                                                : TLS_STALLED;
    return session_tls_failed(session, outcome, "why");
}

START_TEST(every_cell_of_the_table)
{
    unsigned seen = 0;
    for (size_t i = 0; i < countof(cells); i++) {
        const struct cell *cell = &cells[i];
        char name[32];
        snprintf(name, sizeof(name), "cell %zu", i);
        struct dialogue dialogue = {.name = name, .policy = TLS_POLICY_DEFAULT};
        dialogue.policy.level = cell->level;
        dialogue.failure = cell->failure;
        struct play play = {.dialogue = &dialogue};
        play_begin(&play);
        enum session_ask ask = go_there(&play, cell->way);
        if (cell->way != UNOFFERED)
            ask = end_there(&play, cell->way);
        ck_assert_msg(ask == cell->ask, "%s asks for %d", name, (int)ask);
        play_expect_text(&play, "the client wrote", buffer_span(&play.out), cell->client);
        ck_assert_msg(play.session.decided && play.session.outcome == cell->outcome, "%s: %s", name,
                      tls_outcome_name(play.session.outcome));
        ck_assert_msg(play.session.next_step == cell->step, "%s", name);
        ck_assert_int_eq(play.session.ready, cell->ask == ASK_CLAIM);
        ck_assert_int_eq(play.session.secure,
                         cell->way == ESTABLISHED || cell->way == SILENT_AFTERWARDS);
        play_expect_failure(&play);
        play_end(&play);
        seen |= 1u << cell->way;
    }
    ck_assert_uint_eq(seen, (1u << WAYS) - 1);
    ck_assert_uint_eq(countof(cells), 2 * WAYS);
}
END_TEST

START_TEST(the_level_and_the_past_decide)
{
    static const struct dialogue table[] = {
        {.name = "none never asks for TLS",
         .steps = {GREETS, SAYS("250-mx\r\n250 STARTTLS\r\n", "", ASK_CLAIM)}},
        {.name = "none does not miss it", .steps = {GREETS, SAYS("250 mx\r\n", "", ASK_CLAIM)}},
        {.name = "may does not ask a host that failed lately",
         .policy = POLICY(TLS_MAY, ON_454_RETRY, 3),
         .history = {.failed_lately = true},
         .steps = {GREETS, SAYS("250-mx\r\n250 STARTTLS\r\n", "", ASK_CLAIM)}},
        {.name = "encrypt asks all the same",
         .policy = POLICY(TLS_ENCRYPT, ON_454_RETRY, 3),
         .history = {.failed_lately = true},
         .steps = {GREETS, STARTS}},
        {.name = "may, third 454 in a row: still later",
         .policy = POLICY(TLS_MAY, ON_454_RETRY, 3),
         .history = {.temporary = 2},
         .steps = {GREETS, STARTS, SAYS("454 no\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 454 4.7.4 no\n"},
        {.name = "may, and the fourth: in clear",
         .policy = POLICY(TLS_MAY, ON_454_RETRY, 3),
         .history = {.temporary = 3},
         .steps = {GREETS, STARTS, SAYS("454 no\r\n", "", ASK_CLAIM)}},
        {.name = "may, on-454 plain",
         .policy = POLICY(TLS_MAY, ON_454_PLAIN, 3),
         .steps = {GREETS, STARTS, SAYS("454 no\r\n", "", ASK_CLAIM)}},
        {.name = "may, on-454 next-host",
         .policy = POLICY(TLS_MAY, ON_454_NEXT_HOST, 3),
         .history = {.temporary = 9},
         .steps = {GREETS, STARTS, SAYS("454 no\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 454 4.7.4 no\n"},
        {.name = "encrypt, however often it was 454",
         .policy = POLICY(TLS_ENCRYPT, ON_454_PLAIN, 0),
         .history = {.temporary = 99},
         .steps = {GREETS, STARTS, SAYS("454 no\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 454 4.7.4 no\n"},
        {.name = "encrypt, and a server that knows only HELO",
         .policy = POLICY(TLS_ENCRYPT, ON_454_RETRY, 3),
         .steps = {GREETS, SAYS("500 ?\r\n", "HELO relay.test\r\n", ASK_BYTES),
                   SAYS("250-mx\r\n250 STARTTLS\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = NOT_OFFERED},
        {.name = "may, and a server that knows only HELO",
         .policy = POLICY(TLS_MAY, ON_454_RETRY, 3),
         .steps = {GREETS, SAYS("500 ?\r\n", "HELO relay.test\r\n", ASK_BYTES),
                   SAYS("250 mx\r\n", "", ASK_CLAIM)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(a_421_to_starttls_closes)
{
    static const struct dialogue table[] = {
        {.name = "may",
         .policy = POLICY(TLS_MAY, ON_454_PLAIN, 0),
         .steps = {GREETS, STARTS, SAYS("421 4.7.0 bye\r\n", NULL, ASK_CLOSE)},
         .failure = "deferred 421 4.7.4 bye\n"},
        {.name = "encrypt",
         .policy = POLICY(TLS_ENCRYPT, ON_454_RETRY, 3),
         .steps = {GREETS, STARTS, SAYS("421 bye\r\n", NULL, ASK_CLOSE)},
         .failure = "deferred 421 4.7.4 bye\n"},
    };
    play_all(table, countof(table));
}
END_TEST

/* Where a 454 would be followed by clear text, a 421 may be only on another socket. */
START_TEST(after_a_421_clear_text_needs_a_new_socket)
{
    const struct tls_policy policy = {.level = TLS_MAY, .on_454 = ON_454_PLAIN};
    const struct tls_history history = {0};
    struct buffer out = {0};
    struct session session;
    size_t used;
    session_init(&session, "relay.test", "mx[192.0.2.1]:25", &policy, &history, 0, &out);
    ck_assert_int_eq(session_receive(&session, span_of("220 mx\r\n"), &used), ASK_BYTES);
    ck_assert_int_eq(session_receive(&session, span_of("250-mx\r\n250 STARTTLS\r\n"), &used),
                     ASK_BYTES);
    ck_assert_int_eq(session_receive(&session, span_of("421 bye\r\n"), &used), ASK_CLOSE);
    ck_assert(session.decided && !session.ready);
    ck_assert_int_eq(session.outcome, TLS_TEMPORARY);
    ck_assert_int_eq(session.next_step, TLS_GO_PLAIN_ANEW);
    session_free(&session);
    buffer_free(&out);
}
END_TEST

/* ---- inside TLS ---- */

#define MAIL "MAIL FROM:<s@app.test>\r\n"
#define SECURES                                                                                    \
    {                                                                                              \
        .action = SECURED, .client = EHLO, .ask = ASK_BYTES                                        \
    }

START_TEST(what_was_learnt_in_clear_is_forgotten)
{
    static const struct dialogue table[] = {
        {.name = "PIPELINING and SIZE were offered in clear only",
         .policy = POLICY(TLS_MAY, ON_454_RETRY, 3),
         .recipients = 2,
         .length = 500,
         .steps = {GREETS,
                   SAYS("250-mx\r\n250-PIPELINING\r\n250-SIZE 10\r\n250 STARTTLS\r\n",
                        "STARTTLS\r\n", ASK_BYTES),
                   GOES, SECURES, SAYS("250 mx\r\n", "", ASK_CLAIM), DELIVERS(MAIL, ASK_BYTES)}},
        {.name = "and what is offered now counts",
         .policy = POLICY(TLS_ENCRYPT, ON_454_RETRY, 3),
         .recipients = 1,
         .length = 500,
         .steps = {GREETS, SAYS("250-mx\r\n250 STARTTLS\r\n", "STARTTLS\r\n", ASK_BYTES), GOES,
                   SECURES, SAYS("250-mx\r\n250-SIZE\r\n250 PIPELINING\r\n", "", ASK_CLAIM),
                   DELIVERS("MAIL FROM:<s@app.test> SIZE=500\r\nRCPT TO:<r0@test>\r\nDATA\r\n",
                            ASK_BYTES)}},
        {.name = "STARTTLS inside TLS is passed over",
         .policy = POLICY(TLS_ENCRYPT, ON_454_RETRY, 3),
         .steps = {GREETS, STARTS, GOES, SECURES,
                   SAYS("250-mx\r\n250 STARTTLS\r\n", "", ASK_CLAIM)}},
        {.name = "EHLO refused inside TLS: HELO is no way out",
         .policy = POLICY(TLS_MAY, ON_454_RETRY, 3),
         .steps = {GREETS, STARTS, GOES, SECURES,
                   SAYS("502 5.5.1 what\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 502 4.5.1 5.5.1 what\n"},
        {.name = "530 inside TLS is what it says",
         .policy = POLICY(TLS_MAY, ON_454_RETRY, 3),
         .recipients = 1,
         .steps = {GREETS, STARTS, GOES, SECURES, SAYS("250 mx\r\n", "", ASK_CLAIM),
                   DELIVERS(MAIL, ASK_BYTES),
                   ENDS("530 5.7.0 log in\r\n", NULL, ASK_CLAIM, "bounced 530 5.7.0 log in\n")}},
        {.name = "lost before EHLO is answered: the host failed, not TLS",
         .policy = POLICY(TLS_MAY, ON_454_RETRY, 3),
         .steps = {GREETS, STARTS, GOES, SECURES, BREAKS(LOST, "gone", NULL)},
         .failure = "deferred 0 4.4.2 gone\n"},
    };
    play_all(table, countof(table));
}
END_TEST

/* Whoever has the 220 stops there: what lies behind it is the connection's to find. */
START_TEST(residue_is_left_where_it_is)
{
    struct dialogue dialogue = {.name = "residue", .policy = TLS_POLICY_DEFAULT};
    static const char text[] = "220 go\r\n250 injected\r\n";
    struct play play = {.dialogue = &dialogue};
    play_begin(&play);
    go_there(&play, RESIDUE);
    ck_assert_int_eq(play_receive(&play, span_of(text)), ASK_TLS);
    ck_assert(span_equal(buffer_span(&play.in), SPAN("250 injected\r\n")));
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/outbound/session_tls", every_cell_of_the_table, the_level_and_the_past_decide,
          a_421_to_starttls_closes, after_a_421_clear_text_needs_a_new_socket,
          what_was_learnt_in_clear_is_forgotten, residue_is_left_where_it_is)
