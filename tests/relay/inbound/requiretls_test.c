/* REQUIRETLS and TLS-Required as a server takes them (RFC 8689 2, 3 and 4.1). */
#include "tests/relay/inbound/dialogue.h"

#define OFFERS_HEAD                                                                                \
    "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"                        \
    "250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DELIVERBY\r\n"
#define OFFERS_TAIL "250 ENHANCEDSTATUSCODES\r\n"
#define OFFERS_IN_TLS OFFERS_HEAD "250-REQUIRETLS\r\n" OFFERS_TAIL
#define HELLO_IN_TLS SENDS("EHLO c.test\r\n", OFFERS_IN_TLS, INBOUND_MORE)
#define HELLO SENDS("EHLO c.test\r\n", OFFERS_HEAD OFFERS_TAIL, INBOUND_MORE)
#define OK_MAIL "250 2.1.0 Ok\r\n"
#define OK_ENVELOPE OK_MAIL "250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
#define UNKNOWN "555 5.5.4 Parameter not recognized\r\n"
#define BAD "501 5.5.4 The parameter REQUIRETLS is wrong, or there twice\r\n"

START_TEST(the_keyword_is_offered_inside_tls_only)
{
    static const struct dialogue table[] = {
        {.name = "in clear", .steps = {HELLO}},
        {.name = "in clear, and STARTTLS offered",
         .listen.tls = LISTEN_TLS_OFFERED,
         .steps = {SENDS("EHLO c.test\r\n", OFFERS_HEAD "250-STARTTLS\r\n" OFFERS_TAIL,
                         INBOUND_MORE),
                   SENDS("STARTTLS\r\n", NULL, INBOUND_TLS),
                   DOES(CAN_TLS, "220 2.0.0 Ready to start TLS\r\n"), DOES(SECURED, NULL),
                   HELLO_IN_TLS}},
        {.name = "TLS from the first byte",
         .listen.tls = LISTEN_TLS_IMPLICIT,
         .steps = {HELLO_IN_TLS}},
        {.name = "HELO offers nothing",
         .listen.tls = LISTEN_TLS_IMPLICIT,
         .steps = {SENDS("HELO c.test\r\n", "250 relay.test\r\n", INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test> REQUIRETLS\r\n", UNKNOWN, INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(the_parameter_has_no_value)
{
    static const struct dialogue table[] = {
        {.name = "in TLS",
         .listen.tls = LISTEN_TLS_IMPLICIT,
         .steps = {HELLO_IN_TLS, SENDS("MAIL FROM:<s@a.test> REQUIRETLS=\r\n", BAD, INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test> REQUIRETLS=yes\r\n", BAD, INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test> REQUIRETLS requiretls\r\n", BAD, INBOUND_MORE),
                   SENDS("MAIL FROM:<s@a.test> requiretls SIZE=1\r\n", OK_MAIL, INBOUND_MORE)}},
        {.name = "in clear it is not known",
         .steps = {HELLO, SENDS("MAIL FROM:<s@a.test> REQUIRETLS\r\n", UNKNOWN, INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

/* A message in TLS, and the flags that it gets. */
#define FLAGGED(mail, sender, header, wanted)                                                      \
    {                                                                                              \
        .name = mail " " header, .listen.tls = LISTEN_TLS_IMPLICIT, .steps = {                     \
            HELLO_IN_TLS,                                                                          \
            SENDS("MAIL FROM:" mail "\r\nRCPT TO:<r@b.test>\r\nDATA\r\n", OK_ENVELOPE,             \
                  INBOUND_MORE),                                                                   \
            {.action = CLIENT,                                                                     \
             .text = header "\r\nbody\r\n.\r\n",                                                   \
             .ask = INBOUND_COMMIT,                                                                \
             .message = sender " > r@b.test: " header "\r\nbody\r\n",                              \
             .noted = &(const struct noted){.flags = (wanted)}},                                   \
            DOES(COMMITTED, "250 2.0.0 Ok: queued as " NEXT_ID_TEXT "\r\n")                        \
        }                                                                                          \
    }

#define NO "TLS-Required: No\r\n"
#define SENDER "<s@a.test>"

START_TEST(a_message_is_tagged)
{
    const struct dialogue table[] = {
        FLAGGED(SENDER, "s@a.test", "A: b\r\n", 0),
        FLAGGED(SENDER " REQUIRETLS", "s@a.test", "A: b\r\n", MESSAGE_REQUIRETLS),
        FLAGGED("<> REQUIRETLS", "", "A: b\r\n", MESSAGE_REQUIRETLS),
        FLAGGED(SENDER, "s@a.test", NO, MESSAGE_TLS_OPTIONAL),
        FLAGGED(SENDER, "s@a.test", "tls-REQUIRED:\r\n\tnO\r\n", MESSAGE_TLS_OPTIONAL),
        FLAGGED(SENDER, "s@a.test", "TLS-Required: Yes\r\n", 0),
        FLAGGED(SENDER, "s@a.test", NO NO, 0),
        FLAGGED(SENDER, "s@a.test", "A: b\r\n\r\n" NO, 0),
        /* "the TLS-Required header field MUST be ignored" (RFC 8689 4.1) */
        FLAGGED(SENDER " REQUIRETLS", "s@a.test", NO, MESSAGE_REQUIRETLS),
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(a_message_does_not_inherit_the_tag_of_the_one_before)
{
    const struct dialogue table[] = {
        {.name = "RSET",
         .listen.tls = LISTEN_TLS_IMPLICIT,
         .steps = {HELLO_IN_TLS,
                   SENDS("MAIL FROM:" SENDER " REQUIRETLS\r\nRSET\r\nMAIL FROM:" SENDER
                         "\r\nRCPT TO:<r@b.test>\r\nDATA\r\n",
                         OK_MAIL "250 2.0.0 Ok\r\n" OK_ENVELOPE, INBOUND_MORE),
                   {.action = CLIENT,
                    .text = "A: b\r\n.\r\n",
                    .ask = INBOUND_COMMIT,
                    .message = "s@a.test > r@b.test: A: b\r\n",
                    .noted = &(const struct noted){.flags = 0}}}},
        {.name = "the header of the one before",
         .listen.tls = LISTEN_TLS_IMPLICIT,
         .steps = {HELLO_IN_TLS,
                   SENDS("MAIL FROM:" SENDER "\r\nRCPT TO:<r@b.test>\r\nDATA\r\n", OK_ENVELOPE,
                         INBOUND_MORE),
                   {.action = CLIENT,
                    .text = NO ".\r\n",
                    .ask = INBOUND_COMMIT,
                    .noted = &(const struct noted){.flags = MESSAGE_TLS_OPTIONAL}},
                   DOES(COMMITTED, "250 2.0.0 Ok: queued as " NEXT_ID_TEXT "\r\n"),
                   SENDS("MAIL FROM:" SENDER "\r\nRCPT TO:<r@b.test>\r\nDATA\r\n", OK_ENVELOPE,
                         INBOUND_MORE),
                   {.action = CLIENT,
                    .text = "A: b\r\n.\r\n",
                    .ask = INBOUND_COMMIT,
                    .noted = &(const struct noted){.flags = 0}}}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(the_operator_may_ignore_the_header)
{
    static const struct dialogue dialogue = {.name = "ignored"};
    struct play play;
    play_open(&play, &dialogue);
    play.config.tls_required = TLS_REQUIRED_IGNORE;
    play_say(&play, "EHLO c.test\r\nMAIL FROM:" SENDER "\r\nRCPT TO:<r@b.test>\r\nDATA\r\n");
    ck_assert_int_eq(play_say(&play, NO ".\r\n"), INBOUND_COMMIT);
    ck_assert_uint_eq(inbound_flags(&play.session), 0);
    play_end(&play);
}
END_TEST

TEST_MAIN("relay/inbound/requiretls", the_keyword_is_offered_inside_tls_only,
          the_parameter_has_no_value, a_message_is_tagged,
          a_message_does_not_inherit_the_tag_of_the_one_before, the_operator_may_ignore_the_header)
