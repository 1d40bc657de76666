#include "queue/bounce.h"

#include "tests/queue/bounce_sample.h"

#include <string.h>

START_TEST(says_it_all)
{
    static const char *const wanted[] = {
        "Subject: Your message could not be delivered\r\n"
        "Date: Sat, 21 Nov 2026 13:00:05 +0000\r\n",
        "From: Mail Delivery System <MAILER-DAEMON@relay.example.com>\r\n",
        "\r\nTo: <sender@app.test>\r\n",
        "\r\nMessage-ID: <0000000000011@relay.example.com>\r\n",
        "\r\nAuto-Submitted: auto-replied\r\n",
        "\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n"
        "    boundary=\"=_0000000000011.1\"\r\n\r\n",
        "\r\n--=_0000000000011.1\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
        "It is about the message that you handed in\r\non Thu, 19 Nov 2026 13:00:05 +0000,\r\n"
        "with the subject: hello\r\nIts header is attached.\r\n",
        "\r\n<bounced@example.test>\r\n    mx1.example.test[192.0.2.1]:25 said:\r\n"
        "        550 5.1.1 No such user here\r\n    Check the address",
        "\r\n<expired@example.test>\r\n    could not be reached for 2 days.",
        "this mail server said:\r\n        refused\r\n",
        "\r\n--=_0000000000011.1\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; relay.example.com\r\n"
        "Arrival-Date: Thu, 19 Nov 2026 13:00:05 +0000\r\n\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; bounced@example.test\r\nAction: failed\r\n"
        "Status: 5.1.1\r\nRemote-MTA: dns; mx1.example.test\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 No such user here\r\n"
        "Last-Attempt-Date: Sat, 21 Nov 2026 13:00:05 +0000\r\n",
        "\r\n\r\nFinal-Recipient: rfc822; expired@example.test\r\nAction: failed\r\n"
        "Status: 4.4.7\r\nDiagnostic-Code: x-millrace; refused\r\n",
        "\r\n--=_0000000000011.1\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        "Subject: hello\r\nX-Folded: one\r\n two\r\n",
        "\r\n--=_0000000000011.1--\r\n",
    };
    struct sample sample;
    sample_begin(&sample);
    const char *text = sample_text(&sample);
    for (size_t i = 0; i < countof(wanted); i++)
        holds(text, wanted[i]);
    lacks(text, "delivered@example.test");
    lacks(text, "secret");
    lacks(text, "Will-Retry-Until");
    lacks(text, "Original-");
    lacks(text, "Deliver-By-Date");
    ck_assert_uint_eq(count_of(text, "\r\n--="), 4);
    sample_end(&sample);
}
END_TEST

/* The gravest of what is told gives the notification its subject. */
START_TEST(each_action_has_its_words)
{
    static const struct {
        enum notice notices[2]; /* of a deferral by a server, and of a delivery */
        const char *wanted[4], *unwanted;
    } table[] = {
        {{NOTICE_DELAYED, NOTICE_NONE},
         {"Subject: Your message is delayed\r\n",
          "It is tried again\r\nuntil Tue, 24 Nov 2026 13:00:05 +0000.\r\n",
          "could not be reached for 2 days. At the last attempt mx.test[192.0.2.2]:25 said:\r\n"
          "        451 4.3.0 Later\r\n    You need not send it again.\r\n",
          "Action: delayed\r\nStatus: 4.3.0\r\nRemote-MTA: dns; mx.test\r\n"
          "Diagnostic-Code: smtp; 451 4.3.0 Later\r\n"
          "Last-Attempt-Date: Sat, 21 Nov 2026 13:00:05 +0000\r\n"
          "Will-Retry-Until: Tue, 24 Nov 2026 13:00:05 +0000\r\n"},
         "relayed"},
        {{NOTICE_NONE, NOTICE_RELAYED},
         {"Subject: Your message was passed on\r\n", "it was passed on, as you asked to be told.",
          "mx.test[192.0.2.2]:25 said:\r\n        250 2.6.0 Fine\r\n    What becomes of it there",
          "Action: relayed\r\nStatus: 2.6.0\r\n"},
         "Will-Retry-Until"},
        {{NOTICE_DELAYED, NOTICE_RELAYED},
         {"Subject: Your message is delayed\r\n", "Action: delayed\r\n", "Action: relayed\r\n",
          "could not be reached"},
         "could not be delivered to"},
        {{NOTICE_FAILED, NOTICE_RELAYED},
         {"Subject: Your message could not be delivered\r\n", "Action: failed\r\n",
          "Action: relayed\r\n", "Status: 5.0.0\r\n"},
         "delayed"},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.verdicts[0] = (struct verdict){.kind = VERDICT_DEFERRED,
                                              .code = 451,
                                              .status = {4, 3, 0},
                                              .text = SPAN("Later"),
                                              .host = SPAN("mx.test[192.0.2.2]:25")};
        sample.verdicts[1] = (struct verdict){.kind = VERDICT_DELIVERED,
                                              .code = 250,
                                              .status = {2, 6, 0},
                                              .text = SPAN("Fine"),
                                              .host = SPAN("mx.test[192.0.2.2]:25")};
        sample.notices[0] = table[i].notices[0];
        sample.notices[1] = table[i].notices[1];
        sample.notices[2] = NOTICE_NONE;
        const char *text = sample_text(&sample);
        for (size_t j = 0; j < countof(table[i].wanted); j++)
            holds(text, table[i].wanted[j]);
        lacks(text, table[i].unwanted);
        sample_end(&sample);
    }
}
END_TEST

/* RFC 8689 5: protected as the original was, and of what came with REQUIRETLS no more than the
 * header comes back, whatever RET says. */
START_TEST(what_is_protected_stays_protected)
{
    static const struct {
        uint32_t flags, wanted;
        bool full, says_no;
    } table[] = {
        {MESSAGE_RET_FULL, 0, true, false},
        {MESSAGE_REQUIRETLS, MESSAGE_REQUIRETLS, false, false},
        {MESSAGE_REQUIRETLS | MESSAGE_RET_FULL, MESSAGE_REQUIRETLS, false, false},
        {MESSAGE_TLS_OPTIONAL | MESSAGE_RET_FULL, MESSAGE_TLS_OPTIONAL, true, true},
        {MESSAGE_REQUIRETLS | MESSAGE_TLS_OPTIONAL, MESSAGE_REQUIRETLS, false, false},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.message->flags = table[i].flags;
        const char *text = sample_text_of(&sample, false);
        ck_assert_uint_eq(sample.flags, MESSAGE_BOUNCE | table[i].wanted);
        ck_assert_uint_eq(count_of(text, "The secret text."), table[i].full);
        ck_assert_uint_eq(count_of(text, "\r\nTLS-Required: No\r\n"), table[i].says_no);
        ck_assert(strstr(text, "\r\nTLS-Required: No\r\n") < strstr(text, "\r\n\r\n"));
        sample.bounce.copy_to = "postmaster@relay.example.com"; /* a copy no less */
        sample_text_of(&sample, false);
        ck_assert_uint_eq(sample.flags, MESSAGE_BOUNCE | table[i].wanted);
        sample_end(&sample);
    }
}
END_TEST

START_TEST(who_asked_for_tls_is_told_that_it_lacks)
{
    static const struct {
        uint32_t flags;
        uint16_t detail;
        bool advised;
    } table[] = {
        {MESSAGE_REQUIRETLS, 30, true},
        {MESSAGE_REQUIRETLS, 10, true},
        {MESSAGE_REQUIRETLS, 1, false},
        {0, 10, false}, /* a server's own rule */
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.message->flags = table[i].flags;
        sample.verdicts[0].status = (struct status){5, 7, table[i].detail};
        const char *text = sample_text_of(&sample, false);
        ck_assert_uint_eq(count_of(text, "asked for TLS all the way (REQUIRETLS)"),
                          table[i].advised);
        sample_end(&sample);
    }
}
END_TEST

START_TEST(a_host_is_a_name_or_a_literal)
{
    static const struct {
        const char *host, *wanted;
    } table[] = {
        {"mx1.example.test[192.0.2.1]:25", "Remote-MTA: dns; mx1.example.test\r\n"},
        {"[192.0.2.1]:2526", "Remote-MTA: dns; [192.0.2.1]\r\n"},
        {"[2001:db8::1]:25", "Remote-MTA: dns; [IPv6:2001:db8::1]\r\n"},
        {"mx.example.test[2001:db8::1]:25", "Remote-MTA: dns; mx.example.test\r\n"},
        {"odd", "Remote-MTA: dns; odd\r\n"},
        {"[", "Remote-MTA: dns; []\r\n"},
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

/* What came with the message in xtext goes back decoded (RFC 3461 6.3). */
START_TEST(envelope_ids_and_original_recipients)
{
    static const struct {
        const char *envid, *orcpt;
        bool utf8;
        const char *wanted, *unwanted;
    } table[] = {
        {"QQ314159", "", false,
         "\r\n\r\nOriginal-Envelope-Id: QQ314159\r\nReporting-MTA: ", "Original-Recipient"},
        {"a+20b+0D+0Ac", "", false, "Original-Envelope-Id: a b  c\r\n", "+0D"},
        {"bad+2", "rfc822;bad+", false, "\r\n\r\nReporting-MTA", "Original-"},
        {"", "rfc822;Bob+2Btag@example.test", false,
         "\r\n\r\nOriginal-Recipient: rfc822; Bob+tag@example.test\r\nFinal-Recipient: ",
         "Original-Envelope-Id"},
        {"", "no-type", false, "\r\n\r\nFinal-Recipient", "Original-"},
        {"", "utf-8;\\x{E9}l@example.test", false,
         "Original-Recipient: utf-8; \\x{E9}l@example.test\r\n", "\xc3\xa9"},
        {"", "utf-8;plain@example.test", false, "Original-Recipient: utf-8; plain@example.test\r\n",
         "\\x"},
        {"", "utf-8;\\x{E9}l@example.test", true,
         "Original-Recipient: utf-8; \xc3\xa9l@example.test\r\n", "\\x"},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.message->envid = table[i].envid;
        sample.message->flags |= table[i].utf8 ? MESSAGE_SMTPUTF8 : 0;
        sample.envelope->recipients[0].orcpt = table[i].orcpt;
        const char *text = sample_text_of(&sample, table[i].utf8);
        holds(text, table[i].wanted);
        lacks(text, table[i].unwanted);
        sample_end(&sample);
    }
}
END_TEST

START_TEST(how_much_comes_back)
{
    static const char mail[] = "Subject: all\r\n\r\nThe text.\r\n--=_0000000000011.1\r\n"
                               "--=_0000000000011.2--\r\n";
    static const char eight[] = "Subject: all\r\n\r\nThe text: \xc3\xa9, \xff.\r\n";
    static const struct {
        uint32_t flags;
        const char *mail;
        size_t missing, full_max;
        enum notice notice;
        const char *copy_to;
        bool full;
        uint32_t needs;
    } table[] = {
        {0, mail, 0, 1000, NOTICE_FAILED, NULL, false, 0},
        {MESSAGE_RET_HEADERS, mail, 0, 1000, NOTICE_FAILED, NULL, false, 0},
        {MESSAGE_RET_FULL, mail, 0, 1000, NOTICE_FAILED, NULL, true, 0},
        {MESSAGE_RET_FULL, mail, 0, sizeof(mail) - 1, NOTICE_FAILED, NULL, true, 0},
        {MESSAGE_RET_FULL, mail, 0, sizeof(mail) - 2, NOTICE_FAILED, NULL, false, 0},
        {MESSAGE_RET_FULL, mail, 1, 1000, NOTICE_FAILED, NULL, false, 0},
        {MESSAGE_RET_FULL, mail, 0, 1000, NOTICE_DELAYED, NULL, false, 0},
        {MESSAGE_RET_FULL, mail, 0, 1000, NOTICE_FAILED, "postmaster@app.test", false, 0},
        {MESSAGE_RET_FULL | MESSAGE_BINARYMIME, mail, 0, 1000, NOTICE_FAILED, NULL, false, 0},
        {MESSAGE_RET_FULL | MESSAGE_8BITMIME, eight, 0, 1000, NOTICE_FAILED, NULL, true,
         MESSAGE_8BITMIME},
        {MESSAGE_8BITMIME, eight, 0, 1000, NOTICE_FAILED, NULL, false, 0},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        size_t length = strlen(table[i].mail);
        sample.message->flags = table[i].flags;
        sample.message->place.length = length;
        sample.bounce.body = (struct span){table[i].mail, length - table[i].missing};
        sample.bounce.full_max = table[i].full_max;
        sample.bounce.copy_to = table[i].copy_to;
        sample.notices[0] = sample.notices[2] = table[i].notice;
        const char *text = sample_text_of(&sample, table[i].needs != 0);
        bool full = strstr(text, "\r\nThe text") != NULL;
        ck_assert_msg(full == table[i].full, "row %zu: %s", i, text);
        ck_assert_uint_eq(sample.flags, MESSAGE_BOUNCE | table[i].needs);
        holds(text,
              full ? "Content-Type: message/rfc822\r\n" : "Content-Type: text/rfc822-headers");
        ck_assert_uint_eq(count_of(text, "Content-Transfer-Encoding: 8bit\r\n"),
                          table[i].needs != 0 ? 2 : 0);
        if (full && table[i].mail == mail) /* it holds what would have been our boundary */
            holds(text, "boundary=\"=_0000000000011.3\"");
        if (full)
            holds(text, table[i].mail);
        sample_end(&sample);
    }
}
END_TEST

/* RFC 6533: UTF-8 where the message brought it; SMTPUTF8 only where the sender's address needs it.
 */
START_TEST(international_mail)
{
    static const char *const wanted[] = {
        "To: <j\xc3\xbcrgen@app.test>\r\n",
        "\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: multipart/report; "
        "report-type=global-delivery-status;\r\n",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
        "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n",
        "Final-Recipient: utf-8; \xe7\x94\xa8@example.test\r\n",
        "Final-Recipient: rfc822; expired@example.test\r\n",
        "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Subject: h\xc3\xa9llo???\r\n",
    };
    struct sample sample;
    sample_begin(&sample);
    sample.message->flags = MESSAGE_SMTPUTF8;
    sample.message->sender = "j\xc3\xbcrgen@app.test";
    sample.envelope->recipients[0].path = "\xe7\x94\xa8@example.test";
    sample.bounce.body = SPAN("Subject: h\xc3\xa9llo\xff\xc2\x85\xe2\x80\xa8\r\n\r\ntext\r\n");
    const char *text = sample_text_of(&sample, true);
    for (size_t i = 0; i < countof(wanted); i++)
        holds(text, wanted[i]);
    ck_assert_uint_eq(sample.flags, MESSAGE_BOUNCE | MESSAGE_SMTPUTF8 | MESSAGE_8BITMIME);

    sample.message->flags |= MESSAGE_RET_FULL;
    sample.bounce.body = SPAN("Subject: h\xc3\xa9\r\n\r\ntext\r\n");
    sample.message->place.length = sample.bounce.body.length;
    holds(
        sample_text_of(&sample, true),
        "Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: h\xc3\xa9");

    sample.message->sender = "ascii@app.test";
    sample_text_of(&sample, true);
    ck_assert_uint_eq(sample.flags, MESSAGE_BOUNCE | MESSAGE_8BITMIME);
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
        {VERDICT_EXPIRED, {5, 4, 7}, "Status: 5.4.7\r\n"}, /* BY=…;R (RFC 2852 4.1.2) */
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct sample sample;
        sample_begin(&sample);
        sample.verdicts[0].kind = table[i].kind;
        sample.verdicts[0].status = table[i].status;
        sample.notices[2] = NOTICE_NONE;
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
                               "--=_0000000000011.2--\r\n\0 \xc3\xa9 \x1b[31m";
    static const char body[] = "--=_0000000000011.1--\r\n"
                               "Subject: caf\xc3\xa9 \x00 \r bare\r\n-\r\n\r\r\nX: y\r\n";
    struct span text = {evil, sizeof(evil) - 1};
    struct sample sample;
    sample_begin(&sample);
    sample.message->sender = sample.envelope->recipients[0].path = evil;
    sample.message->envid = "a+0D+0ABcc: x";
    sample.envelope->recipients[0].orcpt = "rfc822\r\nBcc:;a+0D+0ABcc:+20x";
    sample.verdicts[0].text = sample.verdicts[0].host = text;
    sample.bounce.body = (struct span){body, sizeof(body) - 1};
    const char *written = sample_text(&sample);
    ck_assert_uint_eq(count_of(written, "\r\n--=_0000000000011.2"), 4);
    ck_assert_uint_eq(count_of(written, "\r\nBcc:"), 0);
    ck_assert_uint_eq(count_of(written, "\r\nFinal-Recipient:"), 2);
    holds(written, "\r\nSubject: caf? ?   bare\r\n");
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

/* RFC 3461 4.1 and 5.2, RFC 2852 4: what is told of a recipient. */
START_TEST(what_is_owed)
{
    enum { BY_N = MESSAGE_BY_NOTIFY, BY_T = MESSAGE_BY_TRACE };
    static const struct {
        const char *sender;
        uint32_t flags;
        uint8_t notify;
        enum verdict_kind kind;
        bool relayed, warn;
        enum notice owed;
    } table[] = {
        {"a@b.test", 0, 0, VERDICT_BOUNCED, false, false, NOTICE_FAILED},
        {"a@b.test", 0, 0, VERDICT_EXPIRED, false, false, NOTICE_FAILED},
        {"a@b.test", 0, NOTIFY_FAILURE, VERDICT_BOUNCED, false, false, NOTICE_FAILED},
        {"a@b.test", 0, NOTIFY_NEVER, VERDICT_BOUNCED, false, false, NOTICE_NONE},
        {"a@b.test", 0, NOTIFY_DELAY | NOTIFY_SUCCESS, VERDICT_EXPIRED, false, false, NOTICE_NONE},
        {"", 0, 0, VERDICT_BOUNCED, false, false, NOTICE_NONE},
        {"", 0, NOTIFY_FAILURE, VERDICT_EXPIRED, false, false, NOTICE_NONE},
        {"a@b.test", MESSAGE_BOUNCE, 0, VERDICT_BOUNCED, false, false, NOTICE_NONE},

        {"a@b.test", 0, 0, VERDICT_DEFERRED, false, false, NOTICE_NONE},
        {"a@b.test", 0, 0, VERDICT_DEFERRED, false, true, NOTICE_DELAYED},
        {"a@b.test", 0, 0, VERDICT_IN_DOUBT, false, true, NOTICE_DELAYED},
        {"a@b.test", 0, NOTIFY_DELAY, VERDICT_DEFERRED, false, true, NOTICE_DELAYED},
        {"a@b.test", 0, NOTIFY_FAILURE, VERDICT_DEFERRED, false, true, NOTICE_NONE},
        {"a@b.test", 0, NOTIFY_NEVER, VERDICT_DEFERRED, false, true, NOTICE_NONE},
        {"a@b.test", BY_N, NOTIFY_FAILURE, VERDICT_DEFERRED, false, true, NOTICE_DELAYED},
        {"a@b.test", BY_N, NOTIFY_NEVER, VERDICT_DEFERRED, false, true, NOTICE_NONE},
        {"", 0, NOTIFY_DELAY, VERDICT_DEFERRED, false, true, NOTICE_NONE},
        {"a@b.test", 0, 0, VERDICT_BOUNCED, false, true, NOTICE_FAILED},

        {"a@b.test", 0, 0, VERDICT_DELIVERED, true, false, NOTICE_NONE},
        {"a@b.test", 0, NOTIFY_SUCCESS, VERDICT_DELIVERED, true, false, NOTICE_RELAYED},
        {"a@b.test", 0, NOTIFY_SUCCESS, VERDICT_DELIVERED, false, false, NOTICE_NONE},
        {"a@b.test", 0, NOTIFY_FAILURE, VERDICT_DELIVERED, true, false, NOTICE_NONE},
        {"a@b.test", BY_T, 0, VERDICT_DELIVERED, false, false, NOTICE_RELAYED},
        {"a@b.test", BY_T, NOTIFY_NEVER, VERDICT_DELIVERED, true, false, NOTICE_NONE},
        {"a@b.test", BY_N, 0, VERDICT_DELIVERED, false, false, NOTICE_NONE},
        {"", 0, NOTIFY_SUCCESS, VERDICT_DELIVERED, true, false, NOTICE_NONE},
        {"a@b.test", 0, NOTIFY_SUCCESS, VERDICT_DROPPED, true, true, NOTICE_NONE},
        {"a@b.test", 0, 0, VERDICT_NONE, true, true, NOTICE_NONE},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct message *message = message_create(span_of(table[i].sender), table[i].flags, 0);
        struct recipient recipient = {.path = "r@r.test", .orcpt = "", .notify = table[i].notify};
        struct verdict verdict = {.kind = table[i].kind, .relayed = table[i].relayed};
        enum notice owed = notice_owed(message, &recipient, &verdict, table[i].warn);
        ck_assert_msg(owed == table[i].owed, "row %zu", i);
        message_drop(&message);
    }
}
END_TEST

TEST_MAIN("queue/bounce", says_it_all, each_action_has_its_words, what_is_protected_stays_protected,
          who_asked_for_tls_is_told_that_it_lacks, a_host_is_a_name_or_a_literal,
          envelope_ids_and_original_recipients, how_much_comes_back, international_mail,
          status_fits_the_verdict, the_reply_is_the_servers_own, foreign_text_stays_text,
          lines_are_short_and_headers_are_bounded, what_is_owed)
