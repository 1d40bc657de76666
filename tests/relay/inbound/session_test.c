#include "tests/relay/inbound/dialogue.h"

#define OFFERS_ALL "250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"
#define OFFERS_HEAD                                                                                \
    "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n" OFFERS_ALL
#define OFFERS OFFERS_HEAD "250-DELIVERBY\r\n250 ENHANCEDSTATUSCODES\r\n"
#define HELLO_IN_TLS                                                                               \
    SENDS("EHLO c.test\r\n",                                                                       \
          OFFERS_HEAD "250-DELIVERBY\r\n250-REQUIRETLS\r\n250 ENHANCEDSTATUSCODES\r\n",            \
          INBOUND_MORE)
#define HELLO SENDS("EHLO c.test\r\n", OFFERS, INBOUND_MORE)
#define OK_MAIL "250 2.1.0 Ok\r\n"
#define OK_RCPT "250 2.1.5 Ok\r\n"
#define OK "250 2.0.0 Ok\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define QUEUED "250 2.0.0 Ok: queued as " NEXT_ID_TEXT "\r\n"
#define BYE "221 2.0.0 Bye\r\n"
#define ENVELOPE "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\nDATA\r\n"
#define OK_ENVELOPE OK_MAIL OK_RCPT GO
#define TO_DATA SENDS(ENVELOPE, OK_ENVELOPE, INBOUND_MORE)
#define LARGE "552 5.3.4 The message is larger than is taken here\r\n"
#define BARE_REFUSED "550 5.5.2 The message has a bare CR or LF: lines must end in CRLF\r\n"

/* ---- whole transactions ---- */

START_TEST(a_message_is_handed_in)
{
    static const struct dialogue table[] = {
        {.name = "command by command",
         .steps = {HELLO,
                   SENDS("MAIL FROM:<s@a.test>\r\n", OK_MAIL, INBOUND_MORE),
                   SENDS("RCPT TO:<R@B.test>\r\n", OK_RCPT, INBOUND_MORE),
                   SENDS("RCPT TO:<x@c.test>\r\n", OK_RCPT, INBOUND_MORE),
                   SENDS("DATA\r\n", GO, INBOUND_MORE),
                   HANDS_IN("A: b\r\n\r\nhello\r\n.\r\n", NULL,
                            "s@a.test > R@B.test x@c.test: A: b\r\n\r\nhello\r\n"),
                   DOES(COMMITTED, QUEUED),
                   {.action = CLIENT, .text = "quit\r\n", .replies = BYE, .ask = INBOUND_CLOSE}}},
        {.name = "all at once, and the next one and QUIT behind it",
         .steps = {HANDS_IN("EHLO c.test\r\n" ENVELOPE "one\r\n.\r\n" ENVELOPE
                            "two\r\n.\r\nQUIT\r\n",
                            OFFERS OK_ENVELOPE, "s@a.test > r@b.test: one\r\n"),
                   {.action = COMMITTED,
                    .replies = QUEUED OK_ENVELOPE,
                    .ask = INBOUND_COMMIT,
                    .message = "s@a.test > r@b.test: two\r\n"},
                   {.action = COMMITTED, .replies = QUEUED BYE, .ask = INBOUND_CLOSE}}},
        {.name = "lines that people type end in LF; a body's do not",
         .listen.newlines = NEWLINES_NORMALISE,
         .steps = {SENDS("HELO c.test\n", "250 relay.test\r\n", INBOUND_MORE),
                   SENDS("MAIL FROM:<>\nRCPT TO:<r@b.test>\nDATA\n", OK_ENVELOPE, INBOUND_MORE),
                   HANDS_IN("a\n.\nb\r\n.\r\n", NULL, " > r@b.test: a\r\n.\r\nb\r\n"),
                   DOES(COMMITTED, QUEUED)}},
        {.name = "an empty body",
         .steps = {HELLO, TO_DATA, HANDS_IN(".\r\n", NULL, "s@a.test > r@b.test: ")}},
        {.name = "dots",
         .steps = {HELLO, TO_DATA,
                   HANDS_IN("..\r\n...\r\n..a\r\n.b\r\na.\r\n\r\n.\r\n", NULL,
                            "s@a.test > r@b.test: .\r\n..\r\n.a\r\nb\r\na.\r\n\r\n")}},
        {.name = "commands in a body are body",
         .steps = {HELLO, TO_DATA,
                   HANDS_IN("QUIT\r\nDATA\r\n\r\n.\r\n", NULL,
                            "s@a.test > r@b.test: QUIT\r\nDATA\r\n\r\n")}},
        {.name = "no room, and then there is",
         .steps = {HELLO, TO_DATA, HANDS_IN("a\r\n.\r\n", NULL, NULL),
                   DOES(NO_ROOM, "452 4.3.1 The spool is full, try again later\r\n"), TO_DATA,
                   HANDS_IN("b\r\n.\r\n", NULL, "s@a.test > r@b.test: b\r\n"),
                   DOES(BROKEN, "451 4.3.0 The spool cannot be written, try again later\r\n"),
                   TO_DATA}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(what_is_begun_is_forgotten)
{
    static const struct dialogue table[] = {
        {.name = "RSET",
         .steps = {HELLO,
                   SENDS("MAIL FROM:<x@a.test>\r\nRCPT TO:<x@b.test>\r\nRSET\r\n",
                         OK_MAIL OK_RCPT OK, INBOUND_MORE),
                   TO_DATA, HANDS_IN("a\r\n.\r\n", NULL, "s@a.test > r@b.test: a\r\n")}},
        {.name = "EHLO is RSET too",
         .steps = {HELLO,
                   SENDS("MAIL FROM:<x@a.test>\r\nRCPT TO:<x@b.test>\r\nEHLO c.test\r\n",
                         OK_MAIL OK_RCPT OFFERS, INBOUND_MORE),
                   TO_DATA, HANDS_IN("a\r\n.\r\n", NULL, "s@a.test > r@b.test: a\r\n")}},
        {.name = "an EHLO that is none changes nothing",
         .steps = {HELLO, SENDS("MAIL FROM:<x@a.test>\r\nEHLO -\r\nRCPT TO:<x@b.test>\r\n",
                                OK_MAIL
                                "501 5.5.2 A host name or an address literal is needed\r\n" OK_RCPT,
                                INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- every command in every state ---- */

#define ENTERED 4 /* CONNECTED, READY, MAIL, RCPT: how a client gets there */
static const char *const entries[ENTERED] = {"", "EHLO c.test\r\n", "MAIL FROM:<s@a.test>\r\n",
                                             "RCPT TO:<r@b.test>\r\n"};

static const struct matrix_row {
    const char *command;
    const char *replies[ENTERED];
    enum inbound_ask ask; /* when it may come */
    int states[ENTERED];  /* afterwards; STAYS: as it was */
} matrix[] = {
#define STAYS (-1)
#define STAYS_ALL                                                                                  \
    {                                                                                              \
        STAYS, STAYS, STAYS, STAYS                                                                 \
    }
    {"EHLO d.test", {"250-", "250-", "250-", "250-"}, INBOUND_MORE, {1, 1, 1, 1}},
    {"HELO d.test", {"250 r", "250 r", "250 r", "250 r"}, INBOUND_MORE, {1, 1, 1, 1}},
    {"EHLO", {"501 5.5.2", "501 5.5.2", "501 5.5.2", "501 5.5.2"}, INBOUND_MORE, STAYS_ALL},
    {"HELO a b", {"501 5.5.2", "501 5.5.2", "501 5.5.2", "501 5.5.2"}, INBOUND_MORE, STAYS_ALL},
    {"MAIL FROM:<a@b.test>",
     {"503 5.5.1", "250 2.1.0", "503 5.5.1", "503 5.5.1"},
     INBOUND_MORE,
     {0, 2, 2, 3}},
    {"MAIL TO:<a@b.test>",
     {"503 5.5.1", "501 5.5.4", "503 5.5.1", "503 5.5.1"},
     INBOUND_MORE,
     STAYS_ALL},
    {"MAIL FROM:<a b@c>",
     {"503 5.5.1", "553 5.1.7", "503 5.5.1", "503 5.5.1"},
     INBOUND_MORE,
     STAYS_ALL},
    {"MAIL FROM:<> X=Y",
     {"503 5.5.1", "555 5.5.4", "503 5.5.1", "503 5.5.1"},
     INBOUND_MORE,
     STAYS_ALL},
    {"RCPT TO:<a@b.test>",
     {"503 5.5.1", "503 5.5.1", "250 2.1.5", "250 2.1.5"},
     INBOUND_MORE,
     {0, 1, 3, 3}},
    {"RCPT FROM:<a@b.test>",
     {"503 5.5.1", "503 5.5.1", "501 5.5.4", "501 5.5.4"},
     INBOUND_MORE,
     STAYS_ALL},
    {"RCPT TO:<>", {"503 5.5.1", "503 5.5.1", "553 5.1.3", "553 5.1.3"}, INBOUND_MORE, STAYS_ALL},
    {"RCPT TO:<a@b.test> N=1",
     {"503 5.5.1", "503 5.5.1", "555 5.5.4", "555 5.5.4"},
     INBOUND_MORE,
     STAYS_ALL},
    {"DATA",
     {"503 5.5.1", "503 5.5.1", "503 5.5.1", "354 "},
     INBOUND_MORE,
     {0, 1, 2, INBOUND_DATA}},
    {"DATA x", {"503 5.5.1", "503 5.5.1", "503 5.5.1", "501 5.5.4"}, INBOUND_MORE, STAYS_ALL},
    {"RSET", {"250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"}, INBOUND_MORE, {0, 1, 1, 1}},
    {"NOOP", {"250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"}, INBOUND_MORE, STAYS_ALL},
    {"VRFY a", {"252 2.5.0", "252 2.5.0", "252 2.5.0", "252 2.5.0"}, INBOUND_MORE, STAYS_ALL},
    {"VRFY", {"501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}, INBOUND_MORE, STAYS_ALL},
    {"HELP", {"214 2.0.0", "214 2.0.0", "214 2.0.0", "214 2.0.0"}, INBOUND_MORE, STAYS_ALL},
    {"STARTTLS", {"", "", "", ""}, INBOUND_TLS, STAYS_ALL},
    {"STARTTLS x", {"501 5.5.4", "501 5.5.4", "501 5.5.4", "501 5.5.4"}, INBOUND_MORE, STAYS_ALL},
    {"QUIT", {"221 2.0.0", "221 2.0.0", "221 2.0.0", "221 2.0.0"}, INBOUND_CLOSE, STAYS_ALL},
    {"POST / HTTP/1.1",
     {"421 4.7.0", "421 4.7.0", "421 4.7.0", "421 4.7.0"},
     INBOUND_CLOSE,
     STAYS_ALL},
    {"EXPN staff", {"502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1"}, INBOUND_MORE, STAYS_ALL},
    {"ETRN b.test", {"502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1"}, INBOUND_MORE, STAYS_ALL},
    {"BDAT 0",
     {"503 5.5.1", "503 5.5.1", "503 5.5.1", "250 2.0.0"},
     INBOUND_MORE,
     {0, 1, 2, INBOUND_CHUNKED}},
    {"NOOP any thing",
     {"250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"},
     INBOUND_MORE,
     STAYS_ALL},
    {"AUTH PLAIN", {"502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1"}, INBOUND_MORE, STAYS_ALL},
    {"XCLIENT NAME=a.test",
     {"550 5.7.0", "550 5.7.0", "550 5.7.0", "550 5.7.0"},
     INBOUND_MORE,
     STAYS_ALL},
    {"", {"500 5.5.2", "500 5.5.2", "500 5.5.2", "500 5.5.2"}, INBOUND_MORE, STAYS_ALL},
};

START_TEST(every_command_in_every_state)
{
    struct dialogue dialogue = {.listen.tls = LISTEN_TLS_OFFERED};
    for (size_t i = 0; i < countof(matrix); i++) {
        const struct matrix_row *row = &matrix[i];
        for (unsigned state = 0; state < ENTERED; state++) {
            struct play play;
            char line[64], name[96];
            snprintf(name, sizeof(name), "\"%s\" in state %u", row->command, state);
            snprintf(line, sizeof(line), "%s\r\n", row->command);
            dialogue.name = name;
            play_open(&play, &dialogue);
            for (unsigned entered = 1; entered <= state; entered++)
                play_say(&play, entries[entered]);
            ck_assert_uint_eq(play.session.state, state);
            enum inbound_ask ask = play_say(&play, line);
            play_expect_reply(&play, row->replies[state]);
            int then = row->states[state] == STAYS ? (int)state : row->states[state];
            if (ask != row->ask || (int)play.session.state != then)
                play_fail(&play, "asks for %d, is in state %u", (int)ask, play.session.state);
            bool error = row->replies[state][0] == '5';
            ck_assert_uint_eq(play.session.errors, error);
            play_end(&play);
        }
    }
}
END_TEST

/* ---- limits ---- */

#define UNKNOWN "500 5.5.2 Command not recognized\r\n"
#define ENOUGH "421 4.7.0 Too many errors, closing the connection\r\n"
#define NO_RELAY "550 5.7.1 Relaying is not allowed for you\r\n"

START_TEST(limits_have_their_replies)
{
    static const struct dialogue table[] = {
        {.name = "errors: the last one allowed is the last one",
         .limits = {.errors = 3},
         .steps = {SENDS("A\r\nNOOP\r\nB\r\n", UNKNOWN OK UNKNOWN, INBOUND_MORE),
                   SENDS("C\r\nNOOP\r\n", UNKNOWN ENOUGH, INBOUND_CLOSE)}},
        {.name = "an EHLO without a name may be that one",
         .limits = {.errors = 1},
         .steps = {SENDS("EHLO\r\n",
                         "501 5.5.2 A host name or an address literal is needed\r\n" ENOUGH,
                         INBOUND_CLOSE)}},
        {.name = "so may a HELO",
         .limits = {.errors = 1},
         .steps = {SENDS("HELO\r\n",
                         "501 5.5.2 A host name or an address literal is needed\r\n" ENOUGH,
                         INBOUND_CLOSE)}},
        {.name = "and a message that is refused",
         .limits = {.errors = 1},
         .steps = {HELLO, TO_DATA, SENDS("a\nb\r\n.\r\n", BARE_REFUSED ENOUGH, INBOUND_CLOSE)}},
        {.name = "recipients: those that were taken stay",
         .limits = {.recipients = 2},
         .steps = {HELLO,
                   SENDS("MAIL FROM:<>\r\nRCPT TO:<1@b.test>\r\nRCPT TO:<2@b.test>\r\n",
                         OK_MAIL OK_RCPT OK_RCPT, INBOUND_MORE),
                   SENDS("RCPT TO:<3@b.test>\r\n", "452 4.5.3 Too many recipients\r\n",
                         INBOUND_MORE),
                   SENDS("DATA\r\n", GO, INBOUND_MORE),
                   HANDS_IN("a\r\n.\r\n", NULL, " > 1@b.test 2@b.test: a\r\n")}},
        {.name = "SIZE= is believed",
         .steps = {HELLO, SENDS("MAIL FROM:<s@a.test> SIZE=1001\r\n", LARGE, INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test> SIZE=1000\r\n", OK_MAIL, INBOUND_MORE)}},
        {.name = "strangers may talk, but not relay",
         .stranger = true,
         .steps = {SENDS("EHLO c.test\r\n", OFFERS_HEAD "250 ENHANCEDSTATUSCODES\r\n",
                         INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\nDATA\r\n",
                         OK_MAIL NO_RELAY "503 5.5.1 RCPT first\r\n", INBOUND_MORE)}},
        {.name = "the queue is full: no error of the client",
         .limits = {.errors = 1},
         .steps = {HELLO, DOES(FULL, NULL),
                   SENDS("MAIL FROM:<s@a.test>\r\n",
                         "452 4.3.1 The queue is full, try again later\r\n", INBOUND_MORE),
                   SENDS("NOOP\r\n", OK, INBOUND_MORE)}},
        {.name = "going down: what is under way ends, then no more",
         .steps = {HELLO,
                   TO_DATA,
                   DOES(DRAIN, NULL),
                   HANDS_IN("a\r\n.\r\n" ENVELOPE, NULL, "s@a.test > r@b.test: a\r\n"),
                   {.action = COMMITTED,
                    .replies = QUEUED "421 4.3.2 The relay is going down, try again later\r\n",
                    .ask = INBOUND_CLOSE}}},
        {.name = "idle for too long",
         .steps = {HELLO, DOES(LATE, "421 4.4.2 Timed out waiting for input\r\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* The limit is for what is kept: the body as it will be, without the trace header. */
START_TEST(a_body_of_just_so_many_bytes)
{
    static const struct dialogue table[] = {
        {.name = "ten fit",
         .limits = {.message_bytes = 10},
         .steps = {SENDS("HELO c\r\n", "250 relay.test\r\n", INBOUND_MORE), TO_DATA,
                   HANDS_IN("..345\r\n89\r\n.\r\n", NULL, "s@a.test > r@b.test: .345\r\n89\r\n"),
                   DOES(COMMITTED, QUEUED)}},
        {.name = "eleven do not; what comes next is read as ever",
         .limits = {.message_bytes = 10},
         .steps = {SENDS("HELO c\r\n", "250 relay.test\r\n", INBOUND_MORE), TO_DATA,
                   SENDS("..345\r\n789\r\n.\r\n", LARGE, INBOUND_MORE), TO_DATA,
                   HANDS_IN("a\r\n.\r\n", NULL, "s@a.test > r@b.test: a\r\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(of_what_is_too_large_nothing_is_kept)
{
    static const struct dialogue dialogue = {.name = "too large", .limits = {.message_bytes = 10}};
    struct play play;
    play_open(&play, &dialogue);
    play_say(&play, "HELO c\r\n" ENVELOPE);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(play_say(&play, "more than ten\r\n"), INBOUND_MORE);
        ck_assert_uint_eq(buffer_length(&play.session.body), 0);
    }
    play_end(&play);
}
END_TEST

static void fill(char *line, size_t length, const char *verb)
{
    memset(line, 'x', length);
    memcpy(line, verb, strlen(verb));
    memcpy(line + length - 2, "\r\n", 3);
}

#define TOO_LONG "500 5.5.2 Line too long\r\n421 4.7.0 Closing the connection\r\n"

START_TEST(a_command_line_of_just_so_many_bytes)
{
    static char fits[COMMAND_LINE_MAX + 1], over[COMMAND_LINE_MAX + 2], far[2 * COMMAND_LINE_MAX];
    fill(fits, COMMAND_LINE_MAX, "NOOP ");
    fill(over, COMMAND_LINE_MAX + 1, "NOOP ");
    fill(far, sizeof(far) - 1, "NOOP ");
    const struct dialogue table[] = {
        {.name = "fits", .steps = {SENDS(fits, OK, INBOUND_MORE)}},
        {.name = "one over", .steps = {SENDS(over, TOO_LONG, INBOUND_CLOSE)}},
        {.name = "far over", .steps = {SENDS(far, TOO_LONG, INBOUND_CLOSE)}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- what may not pass ---- */

START_TEST(bare_newlines)
{
    static const char *const bodies[] = {
        "a\nb\r\n.\r\n",         "a\rb\r\n.\r\n",      "\na\r\n.\r\n",     "a\r\n\r.\r\n.\r\n",
        "a\n.\n.\r\nb\r\n.\r\n", "a\r\n.\rb\r\n.\r\n", "a\n.\r\n\r\n.\r\n"};
    for (size_t i = 0; i < countof(bodies); i++) {
        const struct dialogue dialogue = {
            .name = bodies[i],
            .steps = {HELLO, TO_DATA, SENDS(bodies[i], BARE_REFUSED, INBOUND_MORE), TO_DATA,
                      HANDS_IN("a\r\n.\r\n", NULL, "s@a.test > r@b.test: a\r\n")}};
        play_all(&dialogue, 1);
    }
    static const struct dialogue normalised = {
        .name = "normalised",
        .listen.newlines = NEWLINES_NORMALISE,
        .steps = {HELLO, TO_DATA,
                  HANDS_IN("a\nb\rc\r\n\r\rd\n.\n.\r\ne\r\n.\r\n", NULL,
                           "s@a.test > r@b.test: a\r\nb\r\nc\r\n\r\n\r\nd\r\n.\r\n.\r\ne\r\n"),
                  DOES(COMMITTED, QUEUED)}};
    play_all(&normalised, 1);
}
END_TEST

/* The refusal and the next transaction in one piece: it is a message like any other. */
START_TEST(a_refused_message_spoils_nothing_behind_it)
{
    static const struct dialogue dialogue = {
        .name = "pipelined behind a refusal",
        .steps = {HELLO, TO_DATA,
                  HANDS_IN("a\nb\r\n.\r\n" ENVELOPE "c\r\n.\r\n", BARE_REFUSED OK_ENVELOPE,
                           "s@a.test > r@b.test: c\r\n"),
                  DOES(COMMITTED, QUEUED)}};
    play_all(&dialogue, 1);
}
END_TEST

START_TEST(a_mail_loop_is_cut)
{
    for (unsigned count = RECEIVED_MAX; count <= RECEIVED_MAX + 1; count++) {
        const struct dialogue dialogue = {
            .name = "loop", .limits = {.message_bytes = 100000, .header_bytes = 100000}};
        struct play play;
        play_open(&play, &dialogue);
        play_say(&play, "EHLO c.test\r\n" ENVELOPE);
        for (unsigned i = 0; i < count; i++)
            ck_assert_int_eq(play_say(&play, "rEceived: by x\r\n\tReceived: no\r\n"), INBOUND_MORE);
        enum inbound_ask ask = play_say(&play, "\r\nReceived: in the body\r\n.\r\n");
        ck_assert_int_eq(ask, count > RECEIVED_MAX ? INBOUND_MORE : INBOUND_COMMIT);
        play_expect_reply(&play, count > RECEIVED_MAX ? "554 5.4.6 " : "");
        play_end(&play);
    }
}
END_TEST

START_TEST(a_command_is_one_line)
{
    static const struct span lines[] = {SPAN("NOOP a\rQUIT\r\n"), SPAN("NOOP a\0b\r\n"),
                                        SPAN("NOOP\r\r\n"), SPAN("\0\r\n"), SPAN("NOOP a\rb\n")};
    static const struct dialogue dialogue = {.name = "one line"};
    for (size_t i = 0; i < countof(lines); i++) {
        struct play play;
        play_open(&play, &dialogue);
        ck_assert_int_eq(play_client(&play, lines[i]), INBOUND_MORE);
        play_expect_text(&play, "reply", buffer_span(&play.out),
                         "500 5.5.2 NUL or bare CR in a command\r\n");
        play_end(&play);
    }
}
END_TEST

/* ---- STARTTLS ---- */

#define MUST_TLS "530 5.7.0 Must issue a STARTTLS command first\r\n"
#define OFFERS_TLS OFFERS_HEAD "250-DELIVERBY\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n"

START_TEST(starttls)
{
    static const struct dialogue table[] = {
        {.name = "not offered",
         .steps = {HELLO, SENDS("STARTTLS\r\n", "502 5.5.1 STARTTLS is not offered here\r\n",
                                INBOUND_MORE)}},
        {.name = "with a parameter",
         .listen.tls = LISTEN_TLS_OFFERED,
         .steps = {SENDS("EHLO c.test\r\n", OFFERS_TLS, INBOUND_MORE),
                   SENDS("STARTTLS now\r\n", "501 5.5.4 STARTTLS takes no parameter\r\n",
                         INBOUND_MORE)}},
        {.name = "all is forgotten, and it is not offered again",
         .listen.tls = LISTEN_TLS_OFFERED,
         .steps = {SENDS("EHLO c.test\r\nMAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\n",
                         OFFERS_TLS OK_MAIL OK_RCPT, INBOUND_MORE),
                   SENDS("STARTTLS\r\n", NULL, INBOUND_TLS),
                   DOES(CAN_TLS, "220 2.0.0 Ready to start TLS\r\n"), DOES(SECURED, NULL),
                   SENDS("DATA\r\n", "503 5.5.1 RCPT first\r\n", INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test>\r\n", "503 5.5.1 EHLO first, one MAIL at a time\r\n",
                         INBOUND_MORE),
                   HELLO_IN_TLS,
                   SENDS("STARTTLS\r\n", "503 5.5.1 TLS is already active\r\n", INBOUND_MORE),
                   TO_DATA, HANDS_IN("a\r\n.\r\n", NULL, "s@a.test > r@b.test: a\r\n"),
                   DOES(COMMITTED, QUEUED)}},
        {.name = "not available now",
         .listen.tls = LISTEN_TLS_OFFERED,
         .steps = {SENDS("EHLO c.test\r\nMAIL FROM:<s@a.test>\r\nSTARTTLS\r\n", OFFERS_TLS OK_MAIL,
                         INBOUND_TLS),
                   DOES(NO_TLS, "454 4.7.0 TLS is not available now, try again later\r\n"),
                   SENDS("RCPT TO:<r@b.test>\r\nDATA\r\n", OK_RCPT GO, INBOUND_MORE)}},
        {.name = "required (RFC 3207 4)",
         .listen.tls = LISTEN_TLS_REQUIRED,
         .steps = {SENDS("HELO c.test\r\nMAIL FROM:<>\r\nRSET\r\nVRFY x\r\nHELP\r\nXYZZY\r\n",
                         MUST_TLS MUST_TLS MUST_TLS MUST_TLS MUST_TLS MUST_TLS, INBOUND_MORE),
                   SENDS("NOOP\r\nEHLO c.test\r\n", OK OFFERS_TLS, INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test>\r\n", MUST_TLS, INBOUND_MORE),
                   SENDS("STARTTLS\r\n", NULL, INBOUND_TLS),
                   DOES(CAN_TLS, "220 2.0.0 Ready to start TLS\r\n"), DOES(SECURED, NULL),
                   HELLO_IN_TLS, TO_DATA}},
        {.name = "required, and not wanted",
         .listen.tls = LISTEN_TLS_REQUIRED,
         .steps = {{.action = CLIENT,
                    .text = "EHLO c.test\r\nQUIT\r\n",
                    .replies = OFFERS_TLS BYE,
                    .ask = INBOUND_CLOSE}}},
        {.name = "implicit: there already",
         .listen.tls = LISTEN_TLS_IMPLICIT,
         .steps = {HELLO_IN_TLS,
                   SENDS("STARTTLS\r\n", "503 5.5.1 TLS is already active\r\n", INBOUND_MORE),
                   TO_DATA}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(what_comes_behind_starttls_is_left_lying)
{
    static const struct dialogue dialogue = {.name = "residue", .listen.tls = LISTEN_TLS_OFFERED};
    struct play play;
    play_open(&play, &dialogue);
    ck_assert_int_eq(play_say(&play, "STARTTLS\r\nEHLO injected\r\n"), INBOUND_TLS);
    ck_assert(span_equal(buffer_span(&play.in), SPAN("EHLO injected\r\n")));
    play_expect_text(&play, "replies", buffer_span(&play.out), "");
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/inbound/session", a_message_is_handed_in, what_is_begun_is_forgotten,
          every_command_in_every_state, limits_have_their_replies, a_body_of_just_so_many_bytes,
          of_what_is_too_large_nothing_is_kept, a_command_line_of_just_so_many_bytes, bare_newlines,
          a_refused_message_spoils_nothing_behind_it, a_mail_loop_is_cut, a_command_is_one_line,
          starttls, what_comes_behind_starttls_is_left_lying)
