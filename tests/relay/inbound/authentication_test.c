/* AUTH (RFC 4954), every branch; and what a user may. */
#include "tests/relay/inbound/dialogue.h"

#include <gsasl.h>

/* RFC 7677 3: the password is "pencil". */
#define KEYS                                                                                       \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"   \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define USERS "user:" KEYS "\n"
#define USERS_CLEAR USERS "cram:" KEYS ":{CLEAR}pencil\n"

#define OFFERS(auth)                                                                               \
    "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"        \
    "250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n" auth "250 ENHANCEDSTATUSCODES\r\n"
#define OFFERS_MAY(auth) OFFERS("250-DELIVERBY\r\n" auth)
#define AUTHS "250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n"
#define HELLO SENDS("EHLO c.test\r\n", OFFERS_MAY(AUTHS), INBOUND_MORE)
#define HELLO_IN_TLS SENDS("EHLO c.test\r\n", OFFERS_MAY("250-REQUIRETLS\r\n" AUTHS), INBOUND_MORE)
#define PLAIN_USER "AUTH PLAIN AHVzZXIAcGVuY2ls\r\n"
#define OK_AUTH "235 2.7.0 Authentication successful\r\n"
#define WRONG_AUTH "535 5.7.8 Authentication credentials invalid\r\n"
#define NO_BASE64 "501 5.5.2 The response is not base64\r\n"
#define AUTH_FIRST "530 5.7.0 Authentication required\r\n"
#define IS_BARRED "421 4.7.0 Too many failed attempts to authenticate, try again later\r\n"
#define EHLO_FIRST "503 5.5.1 EHLO first, and no AUTH within a transaction\r\n"
#define OK_MAIL "250 2.1.0 Ok\r\n"
#define OK_RCPT "250 2.1.5 Ok\r\n"
#define OK "250 2.0.0 Ok\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define ENVELOPE "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\n"

#define LOGS_IN                                                                                    \
    SENDS(PLAIN_USER, NULL, INBOUND_CHECK)                                                         \
    , DOES(FITS, OK_AUTH)
#define ASKS(what, says, asks)                                                                     \
    {                                                                                              \
        .action = (what), .replies = (says), .ask = (asks)                                         \
    }
#define OFFERED .listen = {.auth = LISTEN_AUTH_OFFERED, .auth_in_clear = true}, .users = USERS
#define STRANGER .stranger = true, OFFERED

START_TEST(exchanges)
{
    static const struct dialogue table[] = {
        {.name = "PLAIN with its initial response",
         STRANGER,
         .steps = {HELLO, LOGS_IN, SENDS(ENVELOPE "DATA\r\n", OK_MAIL OK_RCPT GO, INBOUND_MORE)}},
        {.name = "PLAIN, asked for",
         STRANGER,
         .steps = {HELLO, SENDS("auth plain\r\n", "334 \r\n", INBOUND_MORE),
                   SENDS("AHVzZXIAcGVuY2ls\r\n", NULL, INBOUND_CHECK), DOES(FITS, OK_AUTH)}},
        {.name = "PLAIN, and an empty initial response",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH PLAIN =\r\n", "334 \r\n", INBOUND_MORE),
                   SENDS("AHVzZXIAcGVuY2ls\r\n", NULL, INBOUND_CHECK), DOES(FITS, OK_AUTH)}},
        {.name = "LOGIN",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", INBOUND_MORE),
                   SENDS("dXNlcg==\r\n", "334 UGFzc3dvcmQ6\r\n", INBOUND_MORE),
                   SENDS("cGVuY2ls\r\n", NULL, INBOUND_CHECK), DOES(FITS, OK_AUTH)}},
        {.name = "LOGIN with the name at once, lines that people type",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH LOGIN dXNlcg==\n", "334 UGFzc3dvcmQ6\r\n", INBOUND_MORE),
                   SENDS("cGVuY2ls\n", NULL, INBOUND_CHECK), DOES(FITS, OK_AUTH)}},
        {.name = "a wrong password, then the right one",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH PLAIN AHVzZXIAcGVu\r\n", NULL, INBOUND_CHECK),
                   ASKS(WRONG, NULL, INBOUND_REFUSE), DOES(REFUSED, WRONG_AUTH), LOGS_IN}},
        {.name = "what comes behind it waits",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH PLAIN AHVzZXIAcGVu\r\nNOOP\r\n", NULL, INBOUND_CHECK),
                   ASKS(WRONG, NULL, INBOUND_REFUSE), DOES(REFUSED, WRONG_AUTH),
                   SENDS("QUIT\r\n", OK "221 2.0.0 Bye\r\n", INBOUND_CLOSE)}},
        {.name = "too many wait to be checked",
         STRANGER,
         .steps = {HELLO, SENDS(PLAIN_USER, NULL, INBOUND_CHECK),
                   DOES(BUSY, "454 4.7.0 Temporary authentication failure, try again later\r\n"),
                   LOGS_IN}},
        {.name = "no PLAIN message",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH PLAIN dXNlcg==\r\n", NULL, INBOUND_REFUSE),
                   DOES(REFUSED, WRONG_AUTH)}},
        {.name = "one too many",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH PLAIN dXNlcg==\r\n", NULL, INBOUND_REFUSE),
                   ASKS(BARRED, WRONG_AUTH IS_BARRED, INBOUND_CLOSE)}},
        {.name = "barred already: who does not authenticate goes on",
         OFFERED,
         .steps = {DOES(BAR, NULL),
                   SENDS("EHLO c.test\r\nNOOP\r\n", OFFERS_MAY(AUTHS) OK, INBOUND_MORE),
                   SENDS(PLAIN_USER, IS_BARRED, INBOUND_CLOSE)}},
        {.name = "cancelled",
         STRANGER,
         .steps = {HELLO,
                   SENDS("AUTH LOGIN\r\n*\r\n",
                         "334 VXNlcm5hbWU6\r\n"
                         "501 5.7.0 Authentication cancelled\r\n",
                         INBOUND_MORE),
                   LOGS_IN}},
        {.name = "no base64",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH PLAIN !\r\n", NO_BASE64, INBOUND_MORE),
                   SENDS("AUTH LOGIN\r\nQUIT!\r\n", "334 VXNlcm5hbWU6\r\n" NO_BASE64, INBOUND_MORE),
                   SENDS("AUTH LOGIN\r\na\rb\r\n", "334 VXNlcm5hbWU6\r\n" NO_BASE64, INBOUND_MORE),
                   LOGS_IN}},
        {.name = "a failed attempt is an error, too",
         STRANGER,
         .limits = {.errors = 1},
         .steps = {HELLO, SENDS("AUTH PLAIN dXNlcg==\r\n", NULL, INBOUND_REFUSE),
                   ASKS(BARRED, WRONG_AUTH "421 4.7.0 Too many errors, closing the connection\r\n",
                        INBOUND_CLOSE)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(where_there_is_none)
{
    static const struct dialogue table[] = {
        {.name = "not offered",
         .steps = {SENDS("EHLO c.test\r\n" PLAIN_USER,
                         OFFERS_MAY("") "502 5.5.1 AUTH is not offered here\r\n", INBOUND_MORE)}},
        {.name = "EHLO first",
         STRANGER,
         .steps = {SENDS(PLAIN_USER, EHLO_FIRST, INBOUND_MORE),
                   SENDS("HELO c.test\r\n" PLAIN_USER, "250 relay.test\r\n" EHLO_FIRST,
                         INBOUND_MORE)}},
        {.name = "not within a transaction",
         STRANGER,
         .steps = {HELLO, SENDS("MAIL FROM:<>\r\n" PLAIN_USER, OK_MAIL EHLO_FIRST, INBOUND_MORE),
                   SENDS("RSET\r\n", OK, INBOUND_MORE), LOGS_IN}},
        {.name = "once",
         STRANGER,
         .steps = {HELLO, LOGS_IN,
                   SENDS(PLAIN_USER, "503 5.5.1 You have authenticated already\r\n", INBOUND_MORE),
                   SENDS("EHLO c.test\r\n", OFFERS_MAY(""), INBOUND_MORE)}},
        {.name = "never in clear unless the listener says so; and it goes with STARTTLS",
         .stranger = true,
         .listen = {.auth = LISTEN_AUTH_OFFERED, .tls = LISTEN_TLS_OFFERED},
         .users = USERS,
         .steps = {SENDS("EHLO c.test\r\n", OFFERS("250-STARTTLS\r\n"), INBOUND_MORE),
                   SENDS(PLAIN_USER "MAIL FROM:<> AUTH=<>\r\n",
                         "538 5.7.11 Encryption is required: STARTTLS first\r\n"
                         "555 5.5.4 Parameter not recognized\r\n",
                         INBOUND_MORE),
                   SENDS("STARTTLS\r\n", NULL, INBOUND_TLS),
                   DOES(CAN_TLS, "220 2.0.0 Ready to start TLS\r\n"), DOES(SECURED, NULL),
                   HELLO_IN_TLS, LOGS_IN, SENDS(ENVELOPE, OK_MAIL OK_RCPT, INBOUND_MORE)}},
        {.name = "what was proved in clear is forgotten with TLS",
         .stranger = true,
         .listen = {.auth = LISTEN_AUTH_OFFERED, .auth_in_clear = true, .tls = LISTEN_TLS_OFFERED},
         .users = USERS,
         .steps = {SENDS("EHLO c.test\r\n", OFFERS_MAY("250-STARTTLS\r\n" AUTHS), INBOUND_MORE),
                   LOGS_IN, SENDS("STARTTLS\r\n", NULL, INBOUND_TLS),
                   DOES(CAN_TLS, "220 2.0.0 Ready to start TLS\r\n"), DOES(SECURED, NULL),
                   HELLO_IN_TLS, SENDS(ENVELOPE, OK_MAIL AUTH_FIRST, INBOUND_MORE)}},
        {.name = "mechanisms",
         STRANGER,
         .steps = {HELLO,
                   SENDS("AUTH CRAM-MD5\r\nAUTH GSSAPI\r\n",
                         "504 5.5.4 Unrecognized authentication mechanism\r\n"
                         "504 5.5.4 Unrecognized authentication mechanism\r\n",
                         INBOUND_MORE),
                   SENDS("AUTH\r\nAUTH PLAIN a b\r\n",
                         "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n"
                         "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n",
                         INBOUND_MORE)}},
        {.name = "CRAM-MD5 only where a password is kept for it",
         .stranger = true,
         .listen = {.auth = LISTEN_AUTH_OFFERED, .auth_in_clear = true},
         .users = USERS_CLEAR,
         .steps = {SENDS("EHLO c.test\r\n",
                         OFFERS_MAY("250-AUTH SCRAM-SHA-256 PLAIN LOGIN CRAM-MD5\r\n"),
                         INBOUND_MORE),
                   SENDS("AUTH CRAM-MD5 =\r\n",
                         "501 5.7.0 This mechanism has no initial response\r\n", INBOUND_MORE)}},
        {.name = "an attempt is not mail",
         STRANGER,
         .steps = {HELLO, SENDS("AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", INBOUND_MORE),
                   SENDS("MAIL FROM:<>\r\n", NO_BASE64, INBOUND_MORE),
                   SENDS(ENVELOPE, OK_MAIL AUTH_FIRST, INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(required)
{
    static const struct dialogue table[] = {
        {.name = "all but a few wait for it, whoever may relay otherwise",
         .listen = {.auth = LISTEN_AUTH_REQUIRED, .auth_in_clear = true},
         .users = USERS,
         .steps = {SENDS("HELO c.test\r\nRSET\r\nNOOP\r\nMAIL FROM:<>\r\nVRFY x\r\nHELP\r\nXYZ\r\n",
                         "250 relay.test\r\n" OK OK AUTH_FIRST AUTH_FIRST AUTH_FIRST AUTH_FIRST,
                         INBOUND_MORE),
                   SENDS("EHLO c.test\r\n", OFFERS_MAY(AUTHS), INBOUND_MORE),
                   SENDS("BDAT 5\r\nNOOP\nBDAT 0 LAST\r\n", AUTH_FIRST AUTH_FIRST, INBOUND_MORE),
                   LOGS_IN, SENDS(ENVELOPE, OK_MAIL OK_RCPT, INBOUND_MORE)}},
        {.name = "TLS comes before it",
         .listen = {.auth = LISTEN_AUTH_REQUIRED, .tls = LISTEN_TLS_REQUIRED},
         .users = USERS,
         .steps = {SENDS("EHLO c.test\r\n", OFFERS_MAY("250-STARTTLS\r\n"), INBOUND_MORE),
                   SENDS("MAIL FROM:<>\r\n" PLAIN_USER,
                         "530 5.7.0 Must issue a STARTTLS command first\r\n"
                         "530 5.7.0 Must issue a STARTTLS command first\r\n",
                         INBOUND_MORE),
                   SENDS("STARTTLS\r\n", NULL, INBOUND_TLS),
                   DOES(CAN_TLS, "220 2.0.0 Ready to start TLS\r\n"), DOES(SECURED, NULL),
                   SENDS("MAIL FROM:<>\r\n", AUTH_FIRST, INBOUND_MORE), HELLO_IN_TLS, LOGS_IN,
                   SENDS(ENVELOPE, OK_MAIL OK_RCPT, INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(the_parameter_of_mail)
{
    static const struct dialogue table[] = {
        {.name = "AUTH= is taken and means nothing (RFC 4954 5)",
         STRANGER,
         .steps = {HELLO, LOGS_IN,
                   SENDS("MAIL FROM:<s@a.test> AUTH=<>\r\nRSET\r\n", OK_MAIL OK, INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test> AUTH=e+3Dmc2@example.com SIZE=3\r\nRSET\r\n",
                         OK_MAIL OK, INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test> AUTH=a=b\r\n",
                         "501 5.5.4 The parameter AUTH is wrong, or there twice\r\n",
                         INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- what a user may ---- */

START_TEST(limits_of_users)
{
    static const char *senders[] = {".a.test", "x@y.test"};
    static const struct user_config few = {.recipients_per_message = 1, .messages_per_hour = 2};
    static const struct user_config sends = {.senders = {senders, 2}};
    static const struct dialogue table[] = {
        {.name = "so many recipients, so many messages",
         STRANGER,
         .user = &few,
         .steps = {HELLO, LOGS_IN,
                   SENDS(ENVELOPE "RCPT TO:<c@d.test>\r\nRSET\r\n",
                         OK_MAIL OK_RCPT "452 4.5.3 Too many recipients\r\n" OK, INBOUND_MORE),
                   SENDS(ENVELOPE "RSET\r\n", OK_MAIL OK_RCPT OK, INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test>\r\n",
                         "452 4.7.1 You have sent as many messages within an hour as you may, try "
                         "again later\r\n",
                         INBOUND_MORE)}},
        {.name = "they are a user's: not of whom a network lets in",
         OFFERED,
         .user = &few,
         .steps = {SENDS("EHLO c.test\r\n" ENVELOPE "RCPT TO:<c@d.test>\r\nRSET\r\n",
                         OFFERS_MAY(AUTHS) OK_MAIL OK_RCPT OK_RCPT OK, INBOUND_MORE),
                   SENDS("MAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n",
                         OK_MAIL OK OK_MAIL OK OK_MAIL, INBOUND_MORE)}},
        {.name = "senders",
         STRANGER,
         .user = &sends,
         .steps = {HELLO, LOGS_IN,
                   SENDS("MAIL FROM:<x@Y.test>\r\nRSET\r\nMAIL FROM:<s@b.A.test>\r\nRSET\r\n",
                         OK_MAIL OK OK_MAIL OK, INBOUND_MORE),
                   SENDS("MAIL FROM:<>\r\nMAIL FROM:<s@a.test>\r\n",
                         "550 5.7.1 You may not use this sender's address\r\n"
                         "550 5.7.1 You may not use this sender's address\r\n",
                         INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

/* ---- exchanges that are different each time ---- */

static const struct dialogue anybody = {.name = "exchange", STRANGER};

/* Plays the client's side with libgsasl; the last reply is in play->out. */
static void exchange(struct play *play, const char *mechanism, const char *name,
                     const char *password, bool initial)
{
    Gsasl *library;
    Gsasl_session *client;
    char *words = NULL, line[1024];
    ck_assert_int_eq(gsasl_init(&library), GSASL_OK);
    ck_assert_int_eq(gsasl_client_start(library, mechanism, &client), GSASL_OK);
    gsasl_property_set(client, GSASL_AUTHID, name);
    gsasl_property_set(client, GSASL_PASSWORD, password);
    if (initial)
        ck_assert_int_ge(gsasl_step64(client, "", &words), GSASL_OK);
    snprintf(line, sizeof(line), "AUTH %s %s\r\n", mechanism, initial ? words : "");
    gsasl_free(words);
    enum inbound_ask ask = play_say(play, line);
    while (ask == INBOUND_MORE && span_starts_nocase(buffer_span(&play->out), SPAN("334 "))) {
        struct span challenge = span_skip(buffer_span(&play->out), 4);
        snprintf(line, sizeof(line), "%.*s", (int)challenge.length - 2, challenge.data);
        if (gsasl_step64(client, line, &words) > GSASL_NEEDS_MORE)
            break;
        snprintf(line, sizeof(line), "%s\r\n", words);
        gsasl_free(words);
        ask = play_say(play, line);
    }
    if (ask == INBOUND_REFUSE) {
        buffer_clear(&play->out);
        inbound_refused(&play->session, false);
    }
    gsasl_finish(client);
    gsasl_done(library);
}

START_TEST(scram_and_cram)
{
    static const struct {
        const char *mechanism, *name, *password;
        bool initial, right;
    } rows[] = {
        {"SCRAM-SHA-256", "user", "pencil", true, true},
        {"SCRAM-SHA-256", "user", "pencil", false, true},
        {"SCRAM-SHA-256", "user", "pencils", true, false},
        {"SCRAM-SHA-256", "nobody", "pencil", true, false},
        {"CRAM-MD5", "cram", "pencil", false, true},
        {"CRAM-MD5", "cram", "pencils", false, false},
        {"CRAM-MD5", "user", "pencil", false, false},
        {"CRAM-MD5", "nobody", "pencil", false, false},
    };
    struct dialogue dialogue = anybody;
    dialogue.users = USERS_CLEAR;
    for (size_t i = 0; i < countof(rows); i++) {
        struct play play;
        play_open(&play, &dialogue);
        play_say(&play, "EHLO c.test\r\n");
        exchange(&play, rows[i].mechanism, rows[i].name, rows[i].password, rows[i].initial);
        play_expect_reply(&play, rows[i].right ? OK_AUTH : WRONG_AUTH);
        ck_assert_int_eq(play.session.may_relay, rows[i].right);
        ck_assert(play.session.sasl == NULL && play.session.state == INBOUND_READY);
        if (rows[i].right)
            ck_assert_str_eq(play.session.user, rows[i].name);
        play_end(&play);
    }
}
END_TEST

/* ---- lines ---- */

/* `line` with a response of so many 'A's in it, whole and byte by byte. */
static enum inbound_ask say_long(struct play *play, const char *before, size_t length, size_t piece)
{
    struct buffer line = {0};
    buffer_append(&line, span_of(before));
    for (size_t i = 0; i < length; i++)
        buffer_append(&line, SPAN("A"));
    buffer_append(&line, SPAN("\r\n"));
    play->piece = piece;
    buffer_clear(&play->out);
    enum inbound_ask ask = play_client(play, buffer_span(&line));
    buffer_free(&line);
    return ask;
}

START_TEST(lines_have_their_limit)
{
    static const struct {
        const char *before;
        bool command;
    } rows[] = {{"AUTH PLAIN ", true}, {"", false}};
    for (size_t i = 0; i < countof(rows) * 4; i++) {
        const char *before = rows[i / 4].before;
        bool too_long = i % 2;
        struct play play;
        play_open(&play, &anybody);
        play_say(&play, rows[i / 4].command ? "EHLO c.test\r\n" : "EHLO c.test\r\nAUTH PLAIN\r\n");
        size_t length = SASL_LINE_MAX - strlen(before) - 2 + too_long;
        enum inbound_ask ask = say_long(&play, before, length, i / 2 % 2 ? 97 : 0);
        ck_assert_int_eq(ask, too_long ? INBOUND_CLOSE : INBOUND_MORE);
        play_expect_reply(&play, too_long ? "500 5.5.6" : "501 5.5.2");
        play_end(&play);
    }
}
END_TEST

/* ---- the trace header ---- */

#define TAIL " id " NEXT_ID_TEXT "\r\n\tfor <r@b.test>;\r\n\tSat, 21 Nov 2026 13:00:05 +0000\r\n"

START_TEST(the_trace_names_who)
{
    static const struct {
        const char *user, *named;
        bool tls;
    } rows[] = {{"user", "user", true},
                {"user", "user", false},
                {"a(b)\\c", "a\\(b\\)\\\\c", false},
                {"app@corp.test", "app@corp.test", false},
                {"\xc3\xa4 b", "?? b", false}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct play play;
        char wanted[512];
        play_open(&play, &anybody);
        if (rows[i].tls)
            inbound_secured(&play.session, "TLSv1.3");
        play_say(&play, "EHLO c.test\r\n");
        play.session.user = must_strdup(rows[i].user);
        play.session.may_relay = true;
        play_say(&play, ENVELOPE "DATA\r\n");
        snprintf(wanted, sizeof(wanted),
                 "Received: from c.test ([192.0.2.7])\r\n%s\t(authenticated: %s)\r\n"
                 "\tby relay.test (Millrace) with ESMTP%sA" TAIL,
                 rows[i].tls ? "\t(using TLSv1.3)\r\n" : "", rows[i].named, rows[i].tls ? "S" : "");
        play_expect_text(&play, "trace", buffer_span(&play.session.body), wanted);
        play_end(&play);
    }
}
END_TEST

TEST_MAIN("relay/inbound/authentication", exchanges, where_there_is_none, required,
          the_parameter_of_mail, limits_of_users, scram_and_cram, lines_have_their_limit,
          the_trace_names_who)
