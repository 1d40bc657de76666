/* The trace header (RFC 5321 4.4): what it says, and that nobody can write lines into it. */
#include "tests/relay/inbound/dialogue.h"

#define DATE "\tSat, 21 Nov 2026 13:00:05 +0000\r\n"

static const struct dialogue anybody = {.name = "trace", .listen.tls = LISTEN_TLS_OFFERED};

/* The body so far, from its first byte to where DATA was accepted. */
static void expect_trace(struct play *play, const char *wanted)
{
    ck_assert_int_eq(play->session.state, INBOUND_DATA);
    play_expect_text(play, "trace", buffer_span(&play->session.body), wanted);
}

#define ENVELOPE "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\nDATA\r\n"
#define BY(with)                                                                                   \
    "\tby relay.test (Millrace) with " with " id " NEXT_ID_TEXT "\r\n\tfor <r@b.test>;\r\n" DATE

START_TEST(it_tells_how_the_message_came)
{
    static const struct {
        const char *before, *trace;
        bool secured;
    } rows[] = {
        {"EHLO c.test\r\n" ENVELOPE, "Received: from c.test ([192.0.2.7])\r\n" BY("ESMTP"), false},
        {"HELO c.test\r\n" ENVELOPE, "Received: from c.test ([192.0.2.7])\r\n" BY("SMTP"), false},
        {"EHLO [192.0.2.9]\r\n" ENVELOPE,
         "Received: from [192.0.2.9] ([192.0.2.7])\r\n" BY("ESMTP"), false},
        {"EHLO a\r\nHELO b\r\n" ENVELOPE, "Received: from b ([192.0.2.7])\r\n" BY("SMTP"), false},
        {"EHLO c.test\r\n" ENVELOPE,
         "Received: from c.test ([192.0.2.7])\r\n\t(using TLSv1.3)\r\n" BY("ESMTPS"), true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct play play;
        play_open(&play, &anybody);
        if (rows[i].secured)
            inbound_secured(&play.session, "TLSv1.3");
        play_say(&play, rows[i].before);
        expect_trace(&play, rows[i].trace);
        play_end(&play);
    }
}
END_TEST

/* Who else gets it is nobody's business. */
START_TEST(for_names_only_a_single_recipient)
{
    struct play play;
    play_open(&play, &anybody);
    play_say(&play,
             "EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.test>\r\nRCPT TO:<t@b.test>\r\nDATA\r\n");
    expect_trace(
        &play,
        "Received: from c ([192.0.2.7])\r\n\tby relay.test (Millrace) with ESMTP id " NEXT_ID_TEXT
        ";\r\n" DATE);
    play_end(&play);
}
END_TEST

START_TEST(an_ipv6_client_is_tagged)
{
    struct play play;
    play_open(&play, &anybody);
    ck_assert(ip_parse(SPAN("2001:db8::1"), &play.session.client.ip));
    play_say(&play, "EHLO c\r\n" ENVELOPE);
    expect_trace(&play, "Received: from c ([IPv6:2001:db8::1])\r\n" BY("ESMTP"));
    play_end(&play);
}
END_TEST

/* A user of this machine: what the kernel says of it stands where an address would. */
START_TEST(a_local_user_is_named)
{
    static const struct {
        struct local_user user;
        const char *trace, *client;
    } rows[] = {
        {{1000, "ann"},
         "Received: from localhost (local user ann, uid 1000)\r\n" BY("ESMTP"),
         "local:1000:ann"},
        {{0, ""}, "Received: from localhost (local user uid 0)\r\n" BY("ESMTP"), "local:0"},
        {{UINT32_MAX, "abcdefghijklmnopqrstuvwxyz.-_123"},
         "Received: from localhost (local user abcdefghijklmnopqrstuvwxyz.-_123, uid 4294967295)"
         "\r\n" BY("ESMTP"),
         "local:4294967295:abcdefghijklmnopqrstuvwxyz.-_123"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct play play;
        char text[INBOUND_CLIENT_TEXT];
        play_open(&play, &anybody);
        play_local(&play, "*", &rows[i].user);
        play_say(&play, "EHLO localhost\r\n" ENVELOPE);
        expect_trace(&play, rows[i].trace);
        ck_assert_str_eq(inbound_client_format(&play.session, text), rows[i].client);
        play_end(&play);
    }
}
END_TEST

START_TEST(submit_users_says_which_local_user_may_relay)
{
    struct play play;
    play_open(&play, &anybody);
    play_local(&play, "bob", &(struct local_user){1000, "ann"});
    play_say(&play, "EHLO localhost\r\nMAIL FROM:<>\r\n");
    play_say(&play, "RCPT TO:<r@b.test>\r\n");
    play_expect_reply(&play, "550 5.7.1");
    play_local(&play, "ann", &(struct local_user){1000, "ann"});
    play_say(&play, "RCPT TO:<r@b.test>\r\n");
    play_expect_reply(&play, "250");
    play_end(&play);
}
END_TEST

/* ---- nothing of the client's can make a line ---- */

#define TRACE_LINES 4 /* from, by, for, date */

/* True when the whole dialogue was accepted; then the trace must be so many lines, all text. */
static bool trace_holds(struct play *play)
{
    if (play->session.state != INBOUND_DATA)
        return false;
    struct span trace = buffer_span(&play->session.body), line;
    unsigned lines = 0;
    for (; span_line(&trace, &line); lines++)
        for (size_t i = 0; i < line.length; i++)
            if (line.data[i] != '\t' && (line.data[i] < ' ' || line.data[i] > '~'))
                play_fail(play, "byte %d in the trace header", line.data[i]);
    if (lines != TRACE_LINES)
        play_fail(play, "the trace header has %u lines", lines);
    return true;
}

static void say_around(struct play *play, const char *before, const char *between, size_t count,
                       const char *after)
{
    char text[128];
    size_t length = strlen(before);
    memcpy(text, before, length);
    memcpy(text + length, between, count);
    memcpy(text + length + count, after, strlen(after));
    play_client(play, (struct span){text, length + count + strlen(after)});
}

static const struct place {
    const char *hello[2], *rcpt[2]; /* the bytes go in between */
} places[] = {
    {{"EHLO a", "b.test\r\n"}, {"RCPT TO:<r@b.test>\r\n", ""}},
    {{"HELO a", "b.test\r\n"}, {"RCPT TO:<r@b.test>\r\n", ""}},
    {{"EHLO [192.0.2.", "1]\r\n"}, {"RCPT TO:<r@b.test>\r\n", ""}},
    {{"EHLO c.test\r\n", ""}, {"RCPT TO:<a", "b@b.test>\r\n"}},
    {{"EHLO c.test\r\n", ""}, {"RCPT TO:<\"a", "b\"@b.test>\r\n"}},
    {{"EHLO c.test\r\n", ""}, {"RCPT TO:<\"a\\", "b\"@b.test>\r\n"}},
    {{"EHLO c.test\r\n", ""}, {"RCPT TO:<a@b", "c.test>\r\n"}},
    {{"EHLO c.test\r\n", ""}, {"RCPT TO:<a@[192.0.2.", "1]>\r\n"}},
    {{"EHLO c.test\r\n", ""}, {"RCPT TO:<@x", "y:a@b.test>\r\n"}},
};

static bool try_bytes(const struct place *place, const char *bytes, size_t count)
{
    struct play play;
    size_t in_hello = place->hello[1][0] != '\0' ? count : 0;
    play_open(&play, &anybody);
    say_around(&play, place->hello[0], bytes, in_hello, place->hello[1]);
    play_say(&play, "MAIL FROM:<s@a.test>\r\n");
    say_around(&play, place->rcpt[0], bytes, count - in_hello, place->rcpt[1]);
    play_say(&play, "DATA\r\n");
    bool accepted = trace_holds(&play);
    play_end(&play);
    return accepted;
}

START_TEST(no_byte_of_the_client_makes_a_line)
{
    for (size_t i = 0; i < countof(places); i++) {
        unsigned accepted = 0;
        for (unsigned byte = 0; byte < 256; byte++) {
            char one = (char)byte;
            accepted += try_bytes(&places[i], &one, 1);
        }
        ck_assert_msg(accepted > 0, "place %zu", i); /* else it proves nothing */
        try_bytes(&places[i], "\r\n", 2);
        try_bytes(&places[i], "\n\t", 2);
        try_bytes(&places[i], "\r\n ", 3);
    }
}
END_TEST

/* ---- what the message is noted with ---- */

START_TEST(body_8bitmime_is_kept_until_the_next_mail)
{
    struct play play;
    play_open(&play, &anybody);
    play_say(&play, "EHLO c\r\nMAIL FROM:<s@a.test> BODY=8BITMIME SIZE=5\r\n");
    ck_assert_int_eq(play.session.body_type, BODY_8BITMIME);
    play_say(&play, "RSET\r\nMAIL FROM:<s@a.test>\r\n");
    ck_assert_int_eq(play.session.body_type, BODY_7BIT);
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/inbound/trace", it_tells_how_the_message_came, for_names_only_a_single_recipient,
          an_ipv6_client_is_tagged, a_local_user_is_named,
          submit_users_says_which_local_user_may_relay, no_byte_of_the_client_makes_a_line,
          body_8bitmime_is_kept_until_the_next_mail)
