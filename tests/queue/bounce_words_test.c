#include "tests/queue/bounce_sample.h"

START_TEST(a_copy_names_the_sender)
{
    struct sample sample;
    sample_begin(&sample);
    sample.bounce.copy_to = "postmaster@app.test";
    const char *text = sample_text(&sample);
    holds(text, "Subject: Copy: Your message could not be delivered\r\n");
    holds(text, "\r\nTo: <postmaster@app.test>\r\n");
    holds(text, "the message that the sender handed in\r\non Thu, 19 Nov 2026 13:00:05 +0000,\r\n"
                "from <sender@app.test>,\r\nwith the subject: hello\r\n");
    sample_end(&sample);
}
END_TEST

START_TEST(the_subject_where_it_is_plain)
{
    static const struct {
        const char *header;
        bool shown;
    } table[] = {
        {"Subject: in the mail\r\n\r\n", true},
        {"From: x\r\nsubject:in the mail\r\n", true},
        {"From: x\r\n\r\nSubject: in the mail\r\n", false},
        {"Subject: =?utf-8?q?in the mail?=\r\n\r\n", false},
        {"Subject:  \r\n\r\n", false},
        {"X-Subject: in the mail\r\n", false},
        {"", false},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.bounce.body = span_of(table[i].header);
        bool shown = strstr(sample_text(&sample), "with the subject: in the mail\r\n") != NULL;
        ck_assert_msg(shown == table[i].shown, "row %zu", i);
        sample_end(&sample);
    }
}
END_TEST

START_TEST(the_summary_says_how_many)
{
    struct buffer to = {0};
    struct bounce_summary summary = {.hostname = "relay.example.com",
                                     .sender = "sender@app.test",
                                     .withheld = 4711,
                                     .since_ms = NOW - 3600000,
                                     .id = 33,
                                     .now_ms = NOW};
    ck_assert_uint_eq(bounce_summary_write(&summary, &to), MESSAGE_BOUNCE);
    buffer_append(&to, (struct span){"", 1});
    holds(to.memory,
          "\r\nTo: <sender@app.test>\r\nMessage-ID: <0000000000011@relay.example.com>\r\n"
          "Auto-Submitted: auto-replied\r\n");
    holds(to.memory, "Since Sat, 21 Nov 2026 12:00:05 +0000,\r\n4711 further notifications");
    buffer_clear(&to);
    summary.sender = "j\xc3\xbcrgen@app.test";
    ck_assert_uint_eq(bounce_summary_write(&summary, &to),
                      MESSAGE_BOUNCE | MESSAGE_SMTPUTF8 | MESSAGE_8BITMIME);
    buffer_free(&to);
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

/* RFC 2852: in what is told; and of a host that does not keep it the sender hears. */
START_TEST(a_deadline_is_named)
{
    struct recipient recipient = {.path = "r@r.test", .orcpt = ""};
    struct verdict verdict = {.kind = VERDICT_DELIVERED, .untimed = true};
    struct sample sample;
    sample_begin(&sample);
    sample.message->deliver_by_ms = NOW;
    holds(sample_text(&sample), "\r\nArrival-Date: Thu, 19 Nov 2026 13:00:05 +0000\r\n"
                                "Deliver-By-Date: Sat, 21 Nov 2026 13:00:05 +0000\r\n\r\n");
    ck_assert_int_eq(notice_owed(sample.message, &recipient, &verdict, false), NOTICE_NONE);
    sample.message->flags = MESSAGE_BY_NOTIFY;
    ck_assert_int_eq(notice_owed(sample.message, &recipient, &verdict, false), NOTICE_RELAYED);
    recipient.notify = NOTIFY_NEVER;
    ck_assert_int_eq(notice_owed(sample.message, &recipient, &verdict, false), NOTICE_NONE);
    sample_end(&sample);
}
END_TEST

TEST_MAIN("queue/bounce_words", a_copy_names_the_sender, the_subject_where_it_is_plain,
          the_summary_says_how_many, how_long_it_was_tried, dates, a_deadline_is_named)
