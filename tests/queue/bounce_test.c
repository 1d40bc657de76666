#include "queue/bounce.h"

#include "tests/suite.h"

#include <string.h>

#define NOW 1795266005000 /* Sat, 21 Nov 2026 13:00:05 UTC */

struct sample {
    struct message *message;
    struct envelope *envelope;
    struct verdict verdicts[3];
    struct bounce bounce;
    struct buffer to;
};

static void sample_begin(struct sample *sample)
{
    *sample = (struct sample){0};
    sample->message = message_create(SPAN("sender@app.test"), 0, NOW - 2 * 86400000);
    sample->envelope = envelope_create(sample->message, SPAN("example.test"));
    envelope_add(sample->envelope, SPAN("bounced@example.test"), SPAN(""));
    envelope_add(sample->envelope, SPAN("delivered@example.test"), SPAN(""));
    envelope_add(sample->envelope, SPAN("expired@example.test"), SPAN(""));
    sample->verdicts[0] = (struct verdict){.kind = VERDICT_BOUNCED,
                                           .code = 550,
                                           .status = {5, 1, 1},
                                           .text = SPAN("No such user here"),
                                           .host = SPAN("mx1.example.test[192.0.2.1]:25")};
    sample->verdicts[1] = (struct verdict){.kind = VERDICT_DELIVERED, .code = 250};
    sample->verdicts[2] = (struct verdict){.kind = VERDICT_EXPIRED, .text = SPAN("refused")};
    sample->bounce = (struct bounce){
        .hostname = "relay.example.com",
        .envelope = sample->envelope,
        .verdicts = sample->verdicts,
        .body = SPAN("Subject: hello\r\nX-Folded: one\r\n two\r\n\r\nThe secret text.\r\n"),
        .id = 33,
        .now_ms = NOW,
    };
}

/* Writes it and returns it as text. */
static const char *sample_text(struct sample *sample)
{
    buffer_clear(&sample->to);
    bounce_write(&sample->bounce, &sample->to);
    struct span whole = buffer_span(&sample->to);
    for (size_t i = 0; i < whole.length; i++) {
        char c = whole.data[i];
        ck_assert_msg((c >= ' ' && c <= '~') || c == '\r' || c == '\n', "byte %d", c);
        ck_assert(c != '\n' || (i > 0 && whole.data[i - 1] == '\r'));
        ck_assert(c != '\r' || (i + 1 < whole.length && whole.data[i + 1] == '\n'));
    }
    buffer_append(&sample->to, (struct span){"", 1});
    return sample->to.memory;
}

static void sample_end(struct sample *sample)
{
    envelope_free(&sample->envelope);
    message_drop(&sample->message);
    buffer_free(&sample->to);
}

static void holds(const char *text, const char *wanted)
{
    ck_assert_msg(strstr(text, wanted) != NULL, "\"%s\" is not in:\n%s", wanted, text);
}

static unsigned count_of(const char *text, const char *wanted)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, wanted)) != NULL; at++)
        count++;
    return count;
}

START_TEST(says_it_all)
{
    static const char *const wanted[] = {
        "Date: Sat, 21 Nov 2026 13:00:05 +0000\r\n",
        "From: Mail Delivery System <MAILER-DAEMON@relay.example.com>\r\n",
        "\r\nTo: <sender@app.test>\r\n",
        "\r\nMessage-ID: <0000000000011@relay.example.com>\r\n",
        "\r\nAuto-Submitted: auto-replied\r\n",
        "\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n"
        "    boundary=\"=_0000000000011/relay.example.com\"\r\n\r\n",
        "\r\n--=_0000000000011/relay.example.com\r\nContent-Type: text/plain; charset=us-ascii\r\n",
        "\r\n<bounced@example.test>\r\n    mx1.example.test[192.0.2.1]:25 said:\r\n"
        "        550 5.1.1 No such user here\r\n    Check the address",
        "\r\n<expired@example.test>\r\n    could not be reached for 2 days.",
        "this mail server said:\r\n        refused\r\n",
        "\r\n--=_0000000000011/relay.example.com\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; relay.example.com\r\n"
        "Arrival-Date: Thu, 19 Nov 2026 13:00:05 +0000\r\n\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; bounced@example.test\r\nAction: failed\r\n"
        "Status: 5.1.1\r\nRemote-MTA: dns; mx1.example.test\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 No such user here\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; expired@example.test\r\nAction: failed\r\n"
        "Status: 4.4.7\r\nDiagnostic-Code: x-millrace; refused\r\n",
        "\r\n--=_0000000000011/relay.example.com\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        "Subject: hello\r\nX-Folded: one\r\n two\r\n",
        "\r\n--=_0000000000011/relay.example.com--\r\n",
    };
    struct sample sample;
    sample_begin(&sample);
    const char *text = sample_text(&sample);
    for (size_t i = 0; i < countof(wanted); i++)
        holds(text, wanted[i]);
    ck_assert_ptr_null(strstr(text, "delivered@example.test"));
    ck_assert_ptr_null(strstr(text, "secret"));
    ck_assert_uint_eq(count_of(text, "\r\n--="), 4);
    sample_end(&sample);
}
END_TEST

START_TEST(status_fits_the_verdict)
{
    static const struct {
        enum verdict_kind kind;
        struct status status;
        const char *wanted;
    } table[] = {
        {VERDICT_BOUNCED, {5, 2, 2}, "Status: 5.2.2\r\n"},
        {VERDICT_BOUNCED, {0, 0, 0}, "Status: 5.0.0\r\n"},
        {VERDICT_BOUNCED, {4, 2, 2}, "Status: 5.0.0\r\n"},
        {VERDICT_EXPIRED, {4, 2, 2}, "Status: 4.2.2\r\n"},
        {VERDICT_EXPIRED, {0, 0, 0}, "Status: 4.4.7\r\n"},
        {VERDICT_EXPIRED, {2, 0, 0}, "Status: 4.4.7\r\n"},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.verdicts[0].kind = table[i].kind;
        sample.verdicts[0].status = table[i].status;
        sample.verdicts[2].kind = VERDICT_DELIVERED;
        holds(sample_text(&sample), table[i].wanted);
        sample_end(&sample);
    }
}
END_TEST

START_TEST(who_said_it)
{
    static const struct {
        const char *host, *wanted;
    } table[] = {
        {"mx1.example.test[192.0.2.1]:25", "\r\nRemote-MTA: dns; mx1.example.test\r\n"},
        {"mx1.example.test[2001:db8::1]:587", "\r\nRemote-MTA: dns; mx1.example.test\r\n"},
        {"[192.0.2.1]:2526", "\r\nRemote-MTA: dns; [192.0.2.1]\r\n"},
        {"[2001:db8::1]:25", "\r\nRemote-MTA: dns; [2001:db8::1]\r\n"},
        {"mx1.example.test", "\r\nRemote-MTA: dns; mx1.example.test\r\n"},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.verdicts[0].host = span_of(table[i].host);
        holds(sample_text(&sample), table[i].wanted);
        sample_end(&sample);
    }
}
END_TEST

/* A status that we made of another is not put into the server's mouth. */
START_TEST(the_reply_is_the_servers_own)
{
    struct sample sample;
    sample_begin(&sample);
    sample.verdicts[2] = (struct verdict){.kind = VERDICT_EXPIRED,
                                          .code = 554,
                                          .status = {4, 7, 1},
                                          .text = SPAN("5.7.1 Go away"),
                                          .host = SPAN("[192.0.2.1]:25")};
    const char *text = sample_text(&sample);
    holds(text, "\r\nStatus: 4.7.1\r\n");
    holds(text, "\r\nDiagnostic-Code: smtp; 554 5.7.1 Go away\r\n");
    sample_end(&sample);
}
END_TEST

/* Whatever a peer or a sender brings: no further header, no further part, no 8-bit byte. */
START_TEST(foreign_text_stays_text)
{
    static const char evil[] = "x\r\nBcc: victim@example.test\r\n\r\n"
                               "--=_0000000000011/relay.example.com--\r\n\0 \xc3\xa9 \x1b[31m";
    static const char body[] = "--=_0000000000011/relay.example.com--\r\n"
                               "Subject: caf\xc3\xa9 \x00 \r bare\r\n-\r\n\r\r\nX: y\r\n";
    struct span text = {evil, sizeof(evil) - 1};
    struct sample sample;
    sample_begin(&sample);
    sample.message->sender = sample.envelope->recipients[0].path = evil;
    sample.verdicts[0].text = sample.verdicts[0].host = text;
    sample.bounce.body = (struct span){body, sizeof(body) - 1};
    const char *written = sample_text(&sample);
    ck_assert_uint_eq(count_of(written, "\r\n--="), 4);
    ck_assert_uint_eq(count_of(written, "\r\nBcc:"), 0);
    ck_assert_uint_eq(count_of(written, "\r\nFinal-Recipient:"), 2);
    holds(written, "\r\nSubject: caf?? ?   bare\r\n");
    sample_end(&sample);
}
END_TEST

START_TEST(lines_are_short_and_headers_are_bounded)
{
    struct sample sample;
    struct buffer body = {0};
    char path[PATH_MAX_BYTES + 1];
    char words[3000];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    for (size_t i = 0; i < sizeof(words); i++)
        words[i] = i % 10 == 9 ? ' ' : 'w';
    for (int i = 0; i < 4000; i++)
        buffer_print(&body, "X-Line-%d: some more of it\r\n", i);
    buffer_print(&body, "X-Long: %s%s\r\n\r\n", path, path);
    sample_begin(&sample);
    sample.envelope->recipients[0].path = path;
    sample.verdicts[0].text = (struct span){words, sizeof(words)};
    sample.bounce.body = buffer_span(&body);
    struct span rest = span_of(sample_text(&sample));
    struct span line;
    ck_assert_uint_lt(rest.length, BOUNCE_HEADERS_MAX + 10000);
    while (span_line(&rest, &line))
        ck_assert_uint_le(line.length, 998);
    sample.bounce.body = (struct span){body.memory + buffer_length(&body) - 2060, 2060};
    rest = span_of(sample_text(&sample));
    while (span_line(&rest, &line))
        ck_assert_uint_le(line.length, 998);
    buffer_free(&body);
    sample_end(&sample);
}
END_TEST

START_TEST(how_long_it_was_tried)
{
    static const struct {
        int64_t ms;
        const char *wanted;
    } table[] = {
        {-5, "for 0 seconds."},     {1000, "for 1 second."},   {59000, "for 59 seconds."},
        {60000, "for 1 minute."},   {7200000, "for 2 hours."}, {86400000, "for 1 day."},
        {432000000, "for 5 days."},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.message->arrived_ms = NOW - table[i].ms;
        holds(sample_text(&sample), table[i].wanted);
        sample_end(&sample);
    }
}
END_TEST

START_TEST(who_is_owed_one)
{
    static const struct {
        const char *sender;
        uint32_t flags;
        enum verdict_kind kinds[2];
        bool owed;
    } table[] = {
        {"a@b.test", 0, {VERDICT_DELIVERED, VERDICT_BOUNCED}, true},
        {"a@b.test", MESSAGE_8BITMIME, {VERDICT_EXPIRED, VERDICT_DELIVERED}, true},
        {"a@b.test", 0, {VERDICT_DELIVERED, VERDICT_DEFERRED}, false},
        {"a@b.test", 0, {VERDICT_DROPPED, VERDICT_IN_DOUBT}, false},
        {"a@b.test", MESSAGE_BOUNCE, {VERDICT_BOUNCED, VERDICT_BOUNCED}, false},
        {"", 0, {VERDICT_BOUNCED, VERDICT_EXPIRED}, false},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct message *message = message_create(span_of(table[i].sender), table[i].flags, 0);
        struct verdict verdicts[2] = {{.kind = table[i].kinds[0]}, {.kind = table[i].kinds[1]}};
        ck_assert(bounce_is_owed(message, verdicts, 2) == table[i].owed);
        ck_assert(!bounce_is_owed(message, verdicts, 0));
        message_drop(&message);
    }
}
END_TEST

START_TEST(dates)
{
    static const struct {
        int64_t ms;
        const char *text;
    } table[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 +0000"},
        {951827696789, "Tue, 29 Feb 2000 12:34:56 +0000"},
        {NOW, "Sat, 21 Nov 2026 13:00:05 +0000"},
    };
    char text[MAIL_DATE_MAX];
    for (size_t i = 0; i < countof(table); i++)
        ck_assert_str_eq(mail_date(table[i].ms, text), table[i].text);
    ck_assert_uint_lt(strlen(mail_date(INT64_MAX, text)), MAIL_DATE_MAX);
    ck_assert_uint_lt(strlen(mail_date(INT64_MIN, text)), MAIL_DATE_MAX);
}
END_TEST

TEST_MAIN("queue/bounce", says_it_all, status_fits_the_verdict, who_said_it,
          the_reply_is_the_servers_own, foreign_text_stays_text,
          lines_are_short_and_headers_are_bounded, how_long_it_was_tried, who_is_owed_one, dates)
