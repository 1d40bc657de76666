/* AUTH as a client (RFC 4954), and TLS from the first byte (RFC 8314), as dialogues. */
#include "tests/relay/outbound/dialogue.h"

#include "relay/config.h"
#include "relay/outbound/login.h"

#define EHLO "EHLO relay.test\r\n"
#define GREETS SAYS("220 mx.test ready\r\n", EHLO, ASK_BYTES)
#define OFFERS(mechanisms, writes, asks)                                                           \
    SAYS("250-mx.test\r\n250-PIPELINING\r\n250 AUTH " mechanisms "\r\n", writes, asks)
#define GIVES(writes)                                                                              \
    {                                                                                              \
        .action = GIVE, .text = "pencil", .client = (writes), .ask = ASK_BYTES                     \
    }
#define SECURE                                                                                     \
    {                                                                                              \
        .action = SECURED, .client = EHLO, .ask = ASK_BYTES                                        \
    }
#define SECURE_FIRST                                                                               \
    {                                                                                              \
        .action = SECURED, .ask = ASK_BYTES                                                        \
    }
/* base64 of "\0app\0pencil", "app", "pencil" */
#define PLAIN "AGFwcABwZW5jaWw="
#define APP "YXBw"
#define PENCIL "cGVuY2ls"

static const struct login_config in_clear = {
    .name = "corp", .user = "app", .mechanisms = AUTH_BY_PASSWORD, .in_clear = true};
static const struct login_config careful = {
    .name = "corp", .user = "app", .mechanisms = AUTH_BY_PASSWORD};
static const struct login_config unverified = {
    .name = "corp", .user = "app", .mechanisms = AUTH_BY_PASSWORD, .unverified = true};
static const struct login_config weak = {
    .name = "corp", .user = "app", .mechanisms = AUTH_BIT(AUTH_PLAIN), .in_clear = true};
static const struct login_config token = {
    .name = "cloud", .user = "app", .mechanisms = AUTH_BY_TOKEN, .in_clear = true};

START_TEST(a_yes)
{
    static const struct dialogue dialogues[] = {
        {.name = "PLAIN, with its initial response; AUTH=<> follows (RFC 4954 4 and 5)",
         .recipients = 1,
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN", NULL, ASK_SECRET), GIVES("AUTH PLAIN " PLAIN "\r\n"),
                   SAYS("235 2.7.0 yes\r\n", NULL, ASK_CLAIM),
                   DELIVERS("MAIL FROM:<s@app.test> AUTH=<>\r\nRCPT TO:<r0@test>\r\nDATA\r\n",
                            ASK_BYTES)}},
        {.name = "LOGIN, which the server begins",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("LOGIN", "AUTH LOGIN\r\n", ASK_BYTES),
                   SAYS("334 VXNlcm5hbWU6\r\n", NULL, ASK_SECRET), GIVES(APP "\r\n"),
                   SAYS("334 UGFzc3dvcmQ6\r\n", PENCIL "\r\n", ASK_BYTES),
                   SAYS("235 2.7.0 yes\r\n", NULL, ASK_CLAIM)}},
        {.name = "CRAM-MD5 (RFC 2195): before LOGIN and PLAIN",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN LOGIN CRAM-MD5", "AUTH CRAM-MD5\r\n", ASK_BYTES),
                   SAYS("334 PDFAbXgudGVzdD4=\r\n", NULL, ASK_SECRET),
                   GIVES("YXBwIGU5MTAzOWY0NmQ3OGY5YTc1MjU0YTQ1MjBlOWQ4NzJj\r\n"),
                   SAYS("235 2.7.0 yes\r\n", NULL, ASK_CLAIM)}},
        {.name = "a token (RFC 7628)",
         .login = &token,
         .steps = {GREETS, OFFERS("PLAIN XOAUTH2", NULL, ASK_SECRET),
                   GIVES("AUTH XOAUTH2 dXNlcj1hcHABYXV0aD1CZWFyZXIgcGVuY2lsAQE=\r\n"),
                   SAYS("235 yes\r\n", NULL, ASK_CLAIM)}},
        {.name = "each mechanism in turn, until one has a yes",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN LOGIN CRAM-MD5 X", "AUTH CRAM-MD5\r\n", ASK_BYTES),
                   SAYS("504 5.5.4 not here\r\n", "AUTH LOGIN\r\n", ASK_BYTES),
                   SAYS("334 VXNlcm5hbWU6\r\n", NULL, ASK_SECRET), GIVES(APP "\r\n"),
                   SAYS("535 5.7.8 no\r\n", NULL, ASK_SECRET), GIVES("AUTH PLAIN " PLAIN "\r\n"),
                   SAYS("235 yes\r\n", NULL, ASK_CLAIM)}},
        {.name = "after TLS, by what is offered there (RFC 3207 4.2)",
         .login = &unverified,
         .policy.level = TLS_ENCRYPT,
         .steps = {GREETS,
                   SAYS("250-mx.test\r\n250-STARTTLS\r\n250 AUTH LOGIN\r\n", "STARTTLS\r\n",
                        ASK_BYTES),
                   SAYS("220 go\r\n", NULL, ASK_TLS), SECURE, OFFERS("PLAIN", NULL, ASK_SECRET),
                   GIVES("AUTH PLAIN " PLAIN "\r\n"), SAYS("235 yes\r\n", NULL, ASK_CLAIM)}},
        {.name = "forgotten again: that says nothing of the mail (RFC 4954 6)",
         .recipients = 1,
         .login = &unverified,
         .policy.level = TLS_ENCRYPT,
         .implicit = true,
         .steps = {SECURE_FIRST, GREETS, OFFERS("PLAIN", NULL, ASK_SECRET),
                   GIVES("AUTH PLAIN " PLAIN "\r\n"), SAYS("235 yes\r\n", NULL, ASK_CLAIM),
                   DELIVERS("MAIL FROM:<s@app.test> AUTH=<>\r\nRCPT TO:<r0@test>\r\nDATA\r\n",
                            ASK_BYTES),
                   ENDS("530 5.7.0 who?\r\n503 5.5.1 no\r\n503 5.5.1 no\r\n", NULL, ASK_CLAIM,
                        "deferred 530 4.7.0 5.7.0 who?\n")}},
        {.name = "a host that has shown who it is",
         .login = &careful,
         .policy.level = TLS_VERIFY,
         .implicit = true,
         .steps = {SECURE_FIRST, GREETS, OFFERS("PLAIN", NULL, ASK_SECRET),
                   GIVES("AUTH PLAIN " PLAIN "\r\n"), SAYS("235 yes\r\n", NULL, ASK_CLAIM)}},
    };
    play_all(dialogues, countof(dialogues));
}
END_TEST

START_TEST(a_no)
{
    static const struct dialogue dialogues[] = {
        {.name = "wrong for good: deferred all the same, for it is ours to mend (RFC 4954 6)",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN", NULL, ASK_SECRET), GIVES("AUTH PLAIN " PLAIN "\r\n"),
                   SAYS("535 5.7.8 no\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 535 4.7.8 5.7.8 no\n"},
        {.name = "not now",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN LOGIN", "AUTH LOGIN\r\n", ASK_BYTES),
                   SAYS("454 4.7.0 later\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 454 4.7.0 later\n"},
        {.name = "not ever again here",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN LOGIN", "AUTH LOGIN\r\n", ASK_BYTES),
                   SAYS("421 4.7.0 too many\r\n", NULL, ASK_CLOSE)},
         .failure = "deferred 421 4.7.0 too many\n"},
        {.name = "the server's words repeat the secret",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN", NULL, ASK_SECRET), GIVES("AUTH PLAIN " PLAIN "\r\n"),
                   SAYS("500 what is AUTH PLAIN AGFwcABw\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 500 4.7.8 (the server's words are not shown: they repeat what was "
                    "said to it)\n"},
        {.name = "a token that is not valid: with the reason (RFC 7628 3.2.2)",
         .login = &token,
         .steps = {GREETS, OFFERS("OAUTHBEARER", NULL, ASK_SECRET),
                   GIVES("AUTH OAUTHBEARER bixhPWFwcCwBaG9zdD1teC50ZXN0AXBvcnQ9MjUBYXV0aD1CZWFyZXI"
                         "gcGVuY2lsAQE=\r\n"),
                   SAYS("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n", "AQ==\r\n", ASK_BYTES),
                   SAYS("535 5.7.8 no\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 535 4.7.8 5.7.8 no ({\"status\":\"401\"})\n"},
        {.name = "no secret",
         .login = &in_clear,
         .steps = {GREETS,
                   OFFERS("PLAIN", NULL, ASK_SECRET),
                   {.action = NO_SECRET, .text = "why", .client = "QUIT\r\n", .ask = ASK_CLOSE}},
         .failure = "deferred 0 4.3.5 why\n"},
        {.name = "no secret when the server waits",
         .login = &in_clear,
         .steps =
             {GREETS,
              OFFERS("LOGIN", "AUTH LOGIN\r\n", ASK_BYTES),
              SAYS("334 VXNlcm5hbWU6\r\n", NULL, ASK_SECRET),
              {.action = NO_SECRET, .text = "why", .client = "*\r\nQUIT\r\n", .ask = ASK_CLOSE}},
         .failure = "deferred 0 4.3.5 why\n"},
        {.name = "nothing that the login may use",
         .login = &weak,
         .steps = {GREETS, OFFERS("LOGIN XOAUTH2 GSSAPI", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.9 the server offers none of the login's mechanisms\n"},
        {.name = "nothing at all: perhaps somebody took it out",
         .login = &weak,
         .steps = {GREETS, SAYS("250 mx.test\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.9 the server does not offer AUTH\n"},
        {.name = "lost in it",
         .login = &weak,
         .steps = {GREETS, OFFERS("PLAIN", NULL, ASK_SECRET), GIVES("AUTH PLAIN " PLAIN "\r\n"),
                   BREAKS(LATE, NULL, NULL)},
         .failure = "deferred 0 4.4.2 timed out waiting for the reply to AUTH\n"},
    };
    play_all(dialogues, countof(dialogues));
}
END_TEST

START_TEST(servers_that_are_wrong)
{
    static const struct dialogue dialogues[] = {
        {.name = "a yes before the end: no other mechanism gets a chance",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN CRAM-MD5", "AUTH CRAM-MD5\r\n", ASK_BYTES),
                   SAYS("235 yes\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.5 the server said yes before it had proven that it knows the "
                    "password\n"},
        {.name = "a challenge that is not base64",
         .login = &in_clear,
         .steps = {GREETS, OFFERS("PLAIN CRAM-MD5", "AUTH CRAM-MD5\r\n", ASK_BYTES),
                   SAYS("334 what?\r\n", "*\r\nQUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.5 the server's challenge is not base64\n"},
        {.name = "a challenge too many",
         .login = &weak,
         .steps = {GREETS, OFFERS("PLAIN", NULL, ASK_SECRET), GIVES("AUTH PLAIN " PLAIN "\r\n"),
                   SAYS("334 \r\n", "*\r\nQUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.5 the server asks for more than the mechanism has\n"},
        {.name = "a 3xx that is none of AUTH's",
         .login = &weak,
         .steps = {GREETS, OFFERS("PLAIN", NULL, ASK_SECRET), GIVES("AUTH PLAIN " PLAIN "\r\n"),
                   SAYS("354 go\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 354 4.7.8 go\n"},
        {.name = "one that asks on and on",
         .login = &token,
         .steps = {GREETS, OFFERS("XOAUTH2", NULL, ASK_SECRET),
                   GIVES("AUTH XOAUTH2 dXNlcj1hcHABYXV0aD1CZWFyZXIgcGVuY2lsAQE=\r\n"),
                   SAYS("334 e30=\r\n", "\r\n", ASK_BYTES), SAYS("334 e30=\r\n", "\r\n", ASK_BYTES),
                   SAYS("334 e30=\r\n", "\r\n", ASK_BYTES), SAYS("334 e30=\r\n", "\r\n", ASK_BYTES),
                   SAYS("334 e30=\r\n", "\r\n", ASK_BYTES), SAYS("334 e30=\r\n", "\r\n", ASK_BYTES),
                   SAYS("334 e30=\r\n", "\r\n", ASK_BYTES), SAYS("334 e30=\r\n", "\r\n", ASK_BYTES),
                   SAYS("334 e30=\r\n", "*\r\nQUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.5 the server asks for more and more\n"},
    };
    play_all(dialogues, countof(dialogues));
}
END_TEST

/* A secret goes to nobody for whom it is not meant, whatever is offered (RFC 4954 4 and 14). */
START_TEST(channels_that_are_not_good_enough)
{
    static const struct dialogue dialogues[] = {
        {.name = "in clear",
         .login = &careful,
         .steps = {GREETS, OFFERS("PLAIN CRAM-MD5", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.11 the login is not to be used without TLS\n"},
        {.name = "in clear, for TLS is not to be had",
         .login = &unverified,
         .policy.level = TLS_MAY,
         .steps = {GREETS, OFFERS("PLAIN CRAM-MD5", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.11 the login is not to be used without TLS\n"},
        {.name = "in clear, by HELO",
         .login = &unverified,
         .steps = {GREETS, SAYS("500 what?\r\n", "HELO relay.test\r\n", ASK_BYTES),
                   SAYS("250 mx.test\r\n", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.11 the login is not to be used without TLS\n"},
        {.name = "of a host that nobody knows",
         .login = &careful,
         .policy.level = TLS_ENCRYPT,
         .implicit = true,
         .steps = {SECURE_FIRST, GREETS, OFFERS("PLAIN CRAM-MD5", "QUIT\r\n", ASK_CLOSE)},
         .failure = "deferred 0 4.7.11 the login is only to be used with hosts that have shown who "
                    "they are\n"},
    };
    play_all(dialogues, countof(dialogues));
}
END_TEST

/* RFC 8314 3.3: what fails there never goes on in clear, whatever the level. */
START_TEST(tls_comes_first)
{
    static const struct dialogue dialogues[] = {
        {.name = "the greeting is inside; a STARTTLS keyword there is ignored",
         .implicit = true,
         .policy.level = TLS_MAY,
         .steps = {SECURE_FIRST, GREETS, SAYS("250-mx.test\r\n250 STARTTLS\r\n", NULL, ASK_CLAIM)}},
        {.name = "the certificate is not asked for at that level",
         .implicit = true,
         .steps = {SECURE_FIRST, GREETS, SAYS("250 mx.test\r\n", NULL, ASK_CLAIM)}},
        {.name = "the handshake fails",
         .implicit = true,
         .policy.level = TLS_MAY,
         .steps = {{.action = TLS_BAD, .text = "why", .outcome = TLS_ALERT, .ask = ASK_CLOSE}},
         .failure = "deferred 0 4.7.5 why\n"},
        {.name = "it stalls",
         .implicit = true,
         .steps = {{.action = LATE, .ask = ASK_CLOSE}},
         .failure = "deferred 0 4.7.5 timed out waiting for the reply to STARTTLS\n"},
        {.name = "it is lost",
         .implicit = true,
         .policy.level = TLS_MAY,
         .steps = {BREAKS(LOST, "why", NULL)},
         .failure = "deferred 0 4.7.5 why\n"},
        {.name = "the greeting does not come",
         .implicit = true,
         .policy.level = TLS_ENCRYPT,
         .steps = {SECURE_FIRST, {.action = LATE, .ask = ASK_CLOSE}},
         .failure = "deferred 0 4.4.1 timed out waiting for the reply to greeting\n"},
    };
    play_all(dialogues, countof(dialogues));
}
END_TEST

/* RFC 8314 5.1: nor is it tried in clear on another connection. */
START_TEST(nothing_follows_in_clear)
{
    static const enum tls_level levels[] = {TLS_NONE, TLS_MAY, TLS_ENCRYPT, TLS_VERIFY};
    static const enum tls_outcome outcomes[] = {TLS_ALERT, TLS_HANDSHAKE_FAILED, TLS_STALLED,
                                                TLS_RESIDUE};
    for (size_t i = 0; i < countof(levels) * countof(outcomes); i++) {
        struct dialogue dialogue = {.name = "implicit", .implicit = true};
        struct play play = {.dialogue = &dialogue};
        dialogue.policy.level = levels[i % countof(levels)];
        play_begin(&play);
        enum tls_outcome outcome = outcomes[i / countof(levels)];
        ck_assert_int_eq(session_tls_failed(&play.session, outcome, "why"), ASK_CLOSE);
        ck_assert_int_eq(play.session.next_step, TLS_NEXT_HOST);
        ck_assert(!play.session.ready);
        play_end(&play);
    }
}
END_TEST

/* The longest secret with the longest name fits the line (RFC 4954 3). */
START_TEST(the_longest_token)
{
    char user[LOGIN_USER_MAX + 1] = "", secret[LOGIN_SECRET_MAX + 1] = "";
    struct login_config config = token;
    struct dialogue dialogue = {.name = "long", .login = &config};
    struct play play = {.dialogue = &dialogue};
    config.user = memset(user, ',', sizeof(user) - 1); /* each as =2C */
    memset(secret, 'x', sizeof(secret) - 1);
    play_begin(&play);
    play_server(&play, "220 mx.test\r\n");
    ck_assert_int_eq(play_server(&play, "250-mx.test\r\n250 AUTH OAUTHBEARER\r\n"), ASK_SECRET);
    buffer_clear(&play.out);
    ck_assert_int_eq(session_give_secret(&play.session, secret), ASK_BYTES);
    ck_assert_uint_le(buffer_length(&play.out), 12288);
    ck_assert_int_eq(play_server(&play, "235 yes\r\n"), ASK_CLAIM);
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/outbound/session_login", a_yes, a_no, servers_that_are_wrong,
          channels_that_are_not_good_enough, tls_comes_first, nothing_follows_in_clear,
          the_longest_token)
