#include "relay/outbound/transcript.h"

#include "tests/suite.h"

#include <stdio.h>

static struct transcript transcript;

static void begin(void)
{
    transcript_begin(&transcript, 1000);
}

static void add(enum transcript_by by, const char *bytes)
{
    transcript_add(&transcript, by, 1250, span_of(bytes));
}

static void end(void)
{
    transcript_free(&transcript);
}

/* All lines, each behind who said it. */
static const char *all(void)
{
    static const char *const by[] = {"> ", "< ", "* "};
    static char text[4 * TRANSCRIPT_BYTES_MAX];
    struct transcript_reader reader = {.notes = buffer_span(&transcript.notes)};
    struct transcript_line line;
    size_t length = 0;
    text[0] = '\0';
    while (transcript_next(&reader, &line)) {
        size_t more = strlen(line.text) + 3;
        ck_assert_uint_lt(length + more, sizeof(text));
        snprintf(text + length, sizeof(text) - length, "%s%s\n", by[line.by], line.text);
        length += more;
    }
    return text;
}

START_TEST(a_dialogue)
{
    begin();
    add(TRANSCRIPT_NOTE, "connected");
    add(TRANSCRIPT_SERVER, "220 mx ESMTP\r\n");
    add(TRANSCRIPT_RELAY, "EHLO relay\r\n");
    add(TRANSCRIPT_SERVER, "250-mx\r\n250 PIPELINING\r\n");
    add(TRANSCRIPT_RELAY, "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n");
    add(TRANSCRIPT_SERVER, "no CRLF");
    add(TRANSCRIPT_SERVER, "");
    ck_assert_str_eq(all(), "* connected\n< 220 mx ESMTP\n> EHLO relay\n< 250-mx\n"
                            "< 250 PIPELINING\n> MAIL FROM:<a@b>\n> RCPT TO:<c@d>\n< no CRLF\n");
    struct transcript_reader reader = {.notes = buffer_span(&transcript.notes)};
    struct transcript_line line;
    ck_assert(transcript_next(&reader, &line));
    ck_assert_int_eq(line.ms, 250);
    begin();
    ck_assert_str_eq(all(), "");
    end();
}
END_TEST

START_TEST(nothing_unprintable_comes_out)
{
    begin();
    transcript_add(&transcript, TRANSCRIPT_SERVER, 1000,
                   (struct span){"\x1b]0;x\x07\x00\x80\xc2\x85\r\ny\rz\n", 16});
    const char *text = all();
    ck_assert_str_eq(text, "< ?]0;x?????\n< y?z\n");
    end();
}
END_TEST

/* RFC 4954 4: the exchange lasts until a reply that is not 334. */
START_TEST(what_authenticates_us_is_not_kept)
{
    static const char *const commands[] = {
        "AUTH PLAIN AHNlY3JldAA=\r\n",
        "RSET\r\nAUTH PLAIN AHNlY3JldAA=\r\nc2VjcmV0\r\n",
        "auth PLAIN secret\r\n",
    };
    for (size_t i = 0; i < countof(commands); i++) {
        begin();
        add(TRANSCRIPT_RELAY, commands[i]);
        add(TRANSCRIPT_SERVER, "334 c2VjcmV0\r\n");
        add(TRANSCRIPT_RELAY, "c2VjcmV0\r\n");
        add(TRANSCRIPT_SERVER, "334 \r\n");
        add(TRANSCRIPT_RELAY, "*\r\n");
        add(TRANSCRIPT_SERVER, "535 5.7.8 no\r\n");
        add(TRANSCRIPT_RELAY, "AUTH CRAM-MD5\r\n");
        add(TRANSCRIPT_SERVER, "235 fine\r\n");
        add(TRANSCRIPT_RELAY, "MAIL FROM:<a@b> AUTH=<>\r\n");
        const char *text = all();
        ck_assert_ptr_null(strstr(text, "ecret"));
        ck_assert_ptr_null(strstr(text, "c2Vj"));
        ck_assert_ptr_null(strstr(text, "AHNl"));
        ck_assert_ptr_nonnull(strstr(text, " PLAIN ...\n< 334 ...\n> ...\n< 334 ...\n> ...\n"
                                           "< 535 5.7.8 no\n> AUTH CRAM-MD5\n< 235 fine\n"
                                           "> MAIL FROM:<a@b> AUTH=<>\n"));
        struct span kept = buffer_span(&transcript.notes);
        ck_assert_ptr_null(memmem(kept.data, kept.length, "c2Vj", 4));
        end();
    }
}
END_TEST

START_TEST(long_ones_are_cut)
{
    char bytes[TRANSCRIPT_NOTE_MAX * 2];
    begin();
    memset(bytes, 'x', sizeof(bytes));
    memcpy(bytes, "250-first\r\n", 11);
    memcpy(bytes + sizeof(bytes) - 11, "\r\n250 last\r", 11);
    transcript_add(&transcript, TRANSCRIPT_SERVER, 1000, (struct span){bytes, sizeof(bytes)});
    const char *text = all();
    ck_assert_uint_le(buffer_length(&transcript.notes), TRANSCRIPT_NOTE_MAX + 8);
    ck_assert_ptr_nonnull(strstr(text, "< 250-first\n"));
    ck_assert_ptr_nonnull(strstr(text, "x...\n< ...\n< xxx")); /* a line, and the middle */
    ck_assert_ptr_nonnull(strstr(text, "< 250 last"));
    end();
}
END_TEST

START_TEST(the_oldest_fall_out)
{
    char line[64];
    begin();
    for (int i = 0; i < 2000; i++) {
        snprintf(line, sizeof(line), "250 number %d\r\n", i);
        add(TRANSCRIPT_SERVER, line);
        ck_assert_uint_le(buffer_length(&transcript.notes), TRANSCRIPT_BYTES_MAX);
        ck_assert_uint_le(transcript.notes.capacity, TRANSCRIPT_BYTES_MAX);
    }
    const char *text = all();
    ck_assert_ptr_null(strstr(text, "number 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "number 1999\n"));
    ck_assert_ptr_nonnull(strstr(text, "number 1900\n"));
    ck_assert_int_eq(text[0], '<');
    end();
}
END_TEST

TEST_MAIN("relay/outbound/transcript", a_dialogue, nothing_unprintable_comes_out,
          what_authenticates_us_is_not_kept, long_ones_are_cut, the_oldest_fall_out)
