/* BDAT and BODY=BINARYMIME (RFC 3030): what a chunk is, however it comes, and that nothing in it,
 * or behind a lie about it, is ever taken for a command. */
#include "tests/relay/inbound/dialogue.h"

#define HELLO SENDS("HELO c.test\r\nRSET\r\n", "250 relay.test\r\n250 2.0.0 Ok\r\n", INBOUND_MORE)
#define ENVELOPE "MAIL FROM:<s@a.test>\r\nRCPT TO:<r@b.test>\r\n"
#define OK_ENVELOPE "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
#define TO_BODY SENDS(ENVELOPE, OK_ENVELOPE, INBOUND_MORE)
#define OK "250 2.0.0 Ok\r\n"
#define QUEUED "250 2.0.0 Ok: queued as " NEXT_ID_TEXT "\r\n"
#define SO_FAR(count) "250 2.0.0 Ok: " #count " octets so far\r\n"
#define NO_RCPT "503 5.5.1 RCPT first\r\n"
#define GO_ON "503 5.5.1 BDAT has begun: go on with it, or RSET\r\n"
#define LARGE "552 5.3.4 The message is larger than is taken here\r\n"
#define ALREADY "503 5.5.1 The message was refused already\r\n"
#define BARE_REFUSED "550 5.5.2 The message has a bare CR or LF: lines must end in CRLF\r\n"
#define NOBODY_KNOWS "501 5.5.4 Syntax: BDAT octets [LAST]\r\n421 4.7.0 Closing the connection\r\n"

START_TEST(chunks_make_a_message)
{
    static const struct dialogue table[] = {
        {.name = "one",
         .steps = {HELLO, TO_BODY,
                   HANDS_IN("BDAT 13 LAST\r\nA: b\r\n\r\nhi.\r\n", NULL,
                            "s@a.test > r@b.test: A: b\r\n\r\nhi.\r\n"),
                   DOES(COMMITTED, QUEUED)}},
        {.name = "three, and an end of line across two of them",
         .steps = {HELLO, TO_BODY, SENDS("BDAT 3\r\nabc", SO_FAR(3), INBOUND_MORE),
                   SENDS("BDAT 2\r\nd\r", SO_FAR(4), INBOUND_MORE),
                   HANDS_IN("bdat 4 last\r\n\ne\r\n", NULL, "s@a.test > r@b.test: abcd\r\ne\r\n"),
                   DOES(COMMITTED, QUEUED)}},
        {.name = "the last may be empty",
         .steps = {HELLO, TO_BODY, SENDS("BDAT 5\r\nabc\r\n", SO_FAR(5), INBOUND_MORE),
                   HANDS_IN("BDAT 0 LAST\r\n", NULL, "s@a.test > r@b.test: abc\r\n"),
                   DOES(COMMITTED, QUEUED)}},
        {.name = "all may be",
         .steps = {HELLO, TO_BODY, SENDS("BDAT 0\r\n", SO_FAR(0), INBOUND_MORE),
                   HANDS_IN("BDAT 0 LAST\r\n", NULL, "s@a.test > r@b.test: "),
                   DOES(COMMITTED, QUEUED)}},
        {.name = "all at once, twice, and QUIT",
         .steps = {HELLO,
                   HANDS_IN(ENVELOPE "BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n" ENVELOPE
                                     "BDAT 3 LAST\r\nc\r\nQUIT\r\n",
                            OK_ENVELOPE SO_FAR(3), "s@a.test > r@b.test: a\r\nb\r\n"),
                   {.action = COMMITTED,
                    .replies = QUEUED OK_ENVELOPE,
                    .ask = INBOUND_COMMIT,
                    .message = "s@a.test > r@b.test: c\r\n"},
                   {.action = COMMITTED,
                    .replies = QUEUED "221 2.0.0 Bye\r\n",
                    .ask = INBOUND_CLOSE}}},
        {.name = "a last line without its end gets one",
         .steps = {HELLO, TO_BODY,
                   HANDS_IN("BDAT 4 LAST\r\na\r\nb", NULL, "s@a.test > r@b.test: a\r\nb\r\n")}},
        {.name = "dots are dots, and commands are text",
         .steps = {HELLO, TO_BODY,
                   HANDS_IN("BDAT 21 LAST\r\n.\r\n..\r\nQUIT\r\nBDAT 1\r\n", NULL,
                            "s@a.test > r@b.test: .\r\n..\r\nQUIT\r\nBDAT 1\r\n"),
                   DOES(COMMITTED, QUEUED), SENDS("NOOP\r\n", OK, INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(between_chunks)
{
    static const struct dialogue table[] = {
        {.name = "no other command of the transaction",
         .steps = {HELLO, TO_BODY, SENDS("BDAT 3\r\na\r\n", SO_FAR(3), INBOUND_MORE),
                   SENDS("DATA\r\n", GO_ON, INBOUND_MORE),
                   SENDS(ENVELOPE, GO_ON GO_ON, INBOUND_MORE), SENDS("NOOP\r\n", OK, INBOUND_MORE),
                   HANDS_IN("BDAT 3 LAST\r\nb\r\n", NULL, "s@a.test > r@b.test: a\r\nb\r\n")}},
        {.name = "RSET forgets",
         .steps = {HELLO, TO_BODY, SENDS("BDAT 3\r\na\r\nRSET\r\n", SO_FAR(3) OK, INBOUND_MORE),
                   SENDS("BDAT 3 LAST\r\nb\r\n", NO_RCPT, INBOUND_MORE), TO_BODY,
                   HANDS_IN("BDAT 3 LAST\r\nc\r\n", NULL, "s@a.test > r@b.test: c\r\n")}},
        {.name = "so does HELO",
         .steps = {HELLO, TO_BODY, SENDS("BDAT 3\r\na\r\n", SO_FAR(3), INBOUND_MORE), HELLO,
                   SENDS("BDAT 0 LAST\r\n", NO_RCPT, INBOUND_MORE)}},
        {.name = "DATA in the next transaction",
         .steps = {HELLO, TO_BODY, HANDS_IN("BDAT 1 LAST\r\na", NULL, "s@a.test > r@b.test: a\r\n"),
                   DOES(COMMITTED, QUEUED), TO_BODY,
                   SENDS("DATA\r\n", "354 End data with <CR><LF>.<CR><LF>\r\n", INBOUND_MORE),
                   HANDS_IN("BDAT 3 LAST\r\n.\r\n", NULL, "s@a.test > r@b.test: BDAT 3 LAST\r\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* The octets of a chunk that nobody can take are dropped, whatever they say. */
START_TEST(octets_of_nobody)
{
    static const struct dialogue table[] = {
        {.name = "before HELO",
         .steps = {SENDS("BDAT 6\r\nQUIT\r\nNOOP\r\n", NO_RCPT OK, INBOUND_MORE)}},
        {.name = "before MAIL",
         .steps = {HELLO, SENDS("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", NO_RCPT OK, INBOUND_MORE)}},
        {.name = "before RCPT",
         .steps = {HELLO,
                   SENDS("MAIL FROM:<>\r\nBDAT 20 LAST\r\nRCPT TO:<a@b.test>\r\nNOOP\r\n",
                         "250 2.1.0 Ok\r\n" NO_RCPT OK, INBOUND_MORE),
                   SENDS("RCPT TO:<r@b.test>\r\n", "250 2.1.5 Ok\r\n", INBOUND_MORE),
                   HANDS_IN("BDAT 1 LAST\r\na", NULL, " > r@b.test: a\r\n")}},
        {.name = "of a stranger",
         .stranger = true,
         .steps = {HELLO,
                   SENDS(ENVELOPE "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
                         "250 2.1.0 Ok\r\n550 5.7.1 Relaying is not allowed for you\r\n" NO_RCPT OK,
                         INBOUND_MORE)}},
        {.name = "each is an error",
         .limits = {.errors = 2},
         .steps = {SENDS("BDAT 0\r\nBDAT 0\r\nNOOP\r\n",
                         NO_RCPT NO_RCPT "421 4.7.0 Too many errors, closing the connection\r\n",
                         INBOUND_CLOSE)}},
        {.name = "in clear, where TLS is required",
         .listen = {.tls = LISTEN_TLS_REQUIRED},
         .steps = {SENDS("EHLO c\r\nBDAT 10\r\nSTARTTLS\r\nNOOP\r\n",
                         "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"
                         "250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"
                         "250-DELIVERBY\r\n250-STARTTLS\r\n250 ENHANCEDSTATUSCODES\r\n"
                         "530 5.7.0 Must issue a STARTTLS command first\r\n" OK,
                         INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

START_TEST(lies_about_the_size)
{
    static const char *const lies[] = {
        "BDAT\r\n",         "BDAT LAST\r\n",     "BDAT x\r\n",
        "BDAT -1\r\n",      "BDAT 0x10\r\n",     "BDAT 18446744073709551616\r\n",
        "BDAT 1 2\r\n",     "BDAT 1 LAST 2\r\n", "BDAT 1LAST\r\n",
        "BDAT 1 FIRST\r\n", "BDAT 1, LAST\r\n",  "BDAT 99999999999999999999999 LAST\r\n",
        "BDAT +1 LAST\r\n", "BDAT 1.0 LAST\r\n", "BDAT 1;LAST\r\n",
    };
    for (size_t i = 0; i < countof(lies); i++) {
        const struct dialogue dialogue = {
            .name = lies[i],
            .steps = {HELLO, TO_BODY, SENDS(lies[i], NOBODY_KNOWS, INBOUND_CLOSE)}};
        play_all(&dialogue, 1);
    }
}
END_TEST

START_TEST(what_is_too_large)
{
    static const struct dialogue table[] = {
        {.name = "just fits",
         .limits = {.message_bytes = 6},
         .steps = {HELLO, TO_BODY, SENDS("BDAT 3\r\na\r\n", SO_FAR(3), INBOUND_MORE),
                   HANDS_IN("BDAT 3 LAST\r\nb\r\n", NULL, "s@a.test > r@b.test: a\r\nb\r\n")}},
        {.name = "one chunk",
         .limits = {.message_bytes = 6},
         .steps = {HELLO, TO_BODY,
                   SENDS("BDAT 7 LAST\r\nQUIT\r\n\nNOOP\r\n", LARGE OK, INBOUND_MORE), TO_BODY,
                   HANDS_IN("BDAT 1 LAST\r\na", NULL, "s@a.test > r@b.test: a\r\n")}},
        {.name = "the second of four: it is told once, and does not count again",
         .limits = {.message_bytes = 6, .errors = 2},
         .steps = {HELLO, TO_BODY,
                   SENDS("BDAT 5\r\na\r\nb\rBDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\n"
                         "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
                         SO_FAR(4) LARGE ALREADY ALREADY OK, INBOUND_MORE),
                   TO_BODY, HANDS_IN("BDAT 1 LAST\r\na", NULL, "s@a.test > r@b.test: a\r\n")}},
        {.name = "RSET is a way out, too",
         .limits = {.message_bytes = 6},
         .steps = {HELLO, TO_BODY, SENDS("BDAT 7\r\n1234567RSET\r\n", LARGE OK, INBOUND_MORE),
                   SENDS("BDAT 0 LAST\r\n", NO_RCPT, INBOUND_MORE), TO_BODY}},
        {.name = "the header",
         .limits = {.header_bytes = 10},
         .steps = {HELLO, TO_BODY,
                   SENDS("BDAT 15 LAST\r\nA: 678901\r\n\r\nab",
                         "552 5.3.4 The message's header is larger than is taken here\r\n",
                         INBOUND_MORE),
                   TO_BODY,
                   HANDS_IN("BDAT 15 LAST\r\nA: 5678\r\n\r\nbody", NULL,
                            "s@a.test > r@b.test: A: 5678\r\n\r\nbody\r\n")}},
    };
    play_all(table, countof(table));
}
END_TEST

/* Nothing is kept of a chunk that says itself that it is too large. */
START_TEST(of_a_chunk_too_large_nothing_is_kept)
{
    static const struct dialogue dialogue = {.name = "large", .limits = {.message_bytes = 10}};
    struct play play;
    play_open(&play, &dialogue);
    play_say(&play, "HELO c\r\n" ENVELOPE "BDAT 18446744073709551615 LAST\r\nabc");
    ck_assert_uint_eq(buffer_length(&play.session.body), 0);
    ck_assert_int_eq(play.session.state, INBOUND_CHUNK);
    play_end(&play);
}
END_TEST

START_TEST(bare_newlines)
{
    static const char *const bodies[] = {"a\nb\r\n", "a\rb\r\n", "\na\r\n", "a\r\n\r.\r\n",
                                         "a\r\nb\r"};
    for (size_t i = 0; i < countof(bodies); i++) {
        char text[64];
        snprintf(text, sizeof(text), "BDAT %zu LAST\r\n%s", strlen(bodies[i]), bodies[i]);
        const struct dialogue dialogue = {
            .name = text,
            .steps = {HELLO, TO_BODY, SENDS(text, BARE_REFUSED, INBOUND_MORE), TO_BODY,
                      HANDS_IN("BDAT 1 LAST\r\na", NULL, "s@a.test > r@b.test: a\r\n")}};
        play_all(&dialogue, 1);
    }
    static const struct dialogue normalised = {
        .name = "normalised, also across chunks",
        .listen = {.newlines = NEWLINES_NORMALISE},
        .steps = {HELLO, TO_BODY, SENDS("BDAT 4\r\na\nb\r", SO_FAR(4), INBOUND_MORE),
                  HANDS_IN("BDAT 6 LAST\r\nc\r\n\n.\r", NULL,
                           "s@a.test > r@b.test: a\r\nb\r\nc\r\n\r\n.\r\n"),
                  DOES(COMMITTED, QUEUED)}};
    play_all(&normalised, 1);
}
END_TEST

#define HELLO_ALL                                                                                  \
    SENDS("EHLO c.test\r\n",                                                                       \
          "250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"                  \
          "250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-DELIVERBY\r\n"         \
          "250 ENHANCEDSTATUSCODES\r\n",                                                           \
          INBOUND_MORE)
#define BINARY_ENVELOPE "MAIL FROM:<s@a.test> BODY=BINARYMIME\r\nRCPT TO:<r@b.test>\r\n"
#define TO_BINARY SENDS(BINARY_ENVELOPE, OK_ENVELOPE, INBOUND_MORE)

START_TEST(binary_stays_as_it_is)
{
    static const struct noted binary = {.flags = MESSAGE_BINARYMIME};
    static const struct noted text = {.flags = 0};
    static const struct dialogue table[] = {
        {.name = "bare newlines, and no end of line at the end",
         .steps = {HELLO_ALL,
                   TO_BINARY,
                   {.action = CLIENT,
                    .text = "BDAT 12 LAST\r\na\nb\rc\r\n\r\n.\r\xff",
                    .ask = INBOUND_COMMIT,
                    .message = "s@a.test > r@b.test: a\nb\rc\r\n\r\n.\r\xff",
                    .noted = &binary},
                   DOES(COMMITTED, QUEUED),
                   TO_BODY,
                   {.action = CLIENT,
                    .text = "BDAT 1 LAST\r\na",
                    .ask = INBOUND_COMMIT,
                    .message = "s@a.test > r@b.test: a\r\n",
                    .noted = &text}}},
        {.name = "in chunks",
         .steps = {HELLO_ALL, TO_BINARY, SENDS("BDAT 2\r\n\r\n", SO_FAR(2), INBOUND_MORE),
                   SENDS("BDAT 1\r\n\r", SO_FAR(3), INBOUND_MORE),
                   HANDS_IN("BDAT 1 LAST\r\n\n", NULL, "s@a.test > r@b.test: \r\n\r\n")}},
        {.name = "not by DATA",
         .steps = {HELLO_ALL, TO_BINARY,
                   SENDS("DATA\r\n", "503 5.5.1 BODY=BINARYMIME comes by BDAT\r\n", INBOUND_MORE),
                   HANDS_IN("BDAT 1 LAST\r\na", NULL, "s@a.test > r@b.test: a")}},
        {.name = "too large",
         .limits = {.message_bytes = 3},
         .steps = {SENDS("EHLO\r\nHELO c\r\nMAIL FROM:<> BODY=BINARYMIME\r\n",
                         "501 5.5.2 A host name or an address literal is needed\r\n"
                         "250 relay.test\r\n555 5.5.4 Parameter not recognized\r\n",
                         INBOUND_MORE)}},
    };
    play_all(table, countof(table));
}
END_TEST

TEST_MAIN("relay/inbound/chunks", chunks_make_a_message, between_chunks, octets_of_nobody,
          lies_about_the_size, what_is_too_large, of_a_chunk_too_large_nothing_is_kept,
          bare_newlines, binary_stays_as_it_is)
