#include "relay/reports/report.h"

#include "tests/suite.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#define ZLIB_CONST /* what is read is const */
#include <zlib.h>

#define DAY INT64_C(16892) /* 2016-04-01, as in RFC 8460 B */

static const struct reporter reporter = {
    .organization = "Company-X",
    .contact = "sts-reporting@company-x.example",
    .from = "tlsrpt@mail.company-x.example",
    .hostname = "relay1.company-x.example",
};

static const char *const sts_lines[] = {"version: STSv1", "mode: testing",
                                        "mx: *.mail.company-y.example", "max_age: 86400"};
static const char *const sts_mx[] = {"*.mail.company-y.example"};
static const char *const tlsa_lines[] = {"3 1 1 AB12CD", "2 0 1 0011"};
static const struct tlsrpt_policy sts = {
    TLSRPT_POLICY_STS, "company-y.example", sts_lines, sts_mx, 4, 1};
static const struct tlsrpt_policy tlsa = {
    TLSRPT_POLICY_TLSA, "mx.company-y.example", tlsa_lines, NULL, 2, 0};
static const struct tlsrpt_policy no_policy = {.domain = "company-y.example"};

static struct ip ip(const char *text)
{
    struct ip ip;
    ck_assert(ip_parse(span_of(text), &ip));
    return ip;
}

static struct tlsrpt_session session_of(const struct tlsrpt_policy *policy,
                                        enum tlsrpt_result result)
{
    return (struct tlsrpt_session){.domain = "company-y.example",
                                   .record = "v=TLSRPTv1; rua=mailto:r@company-y.example",
                                   .policy = *policy,
                                   .result = result,
                                   .mx_host = "",
                                   .helo = "",
                                   .reason = ""};
}

static void count(struct tlsrpt *tlsrpt, struct tlsrpt_session session, unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        tlsrpt_count(tlsrpt, &session, DAY * TLSRPT_DAY_MS + 1);
}

/* The day of RFC 8460 B, with fewer sessions. */
static void make_tally(struct tlsrpt_tally *tally)
{
    struct buffer images CLEANUP(buffer_free) = {0};
    struct tlsrpt *tlsrpt = tlsrpt_create();
    struct tlsrpt_session expired = session_of(&sts, TLSRPT_CERTIFICATE_EXPIRED);
    expired.sending = ip("2001:db8:abcd:12::1");
    expired.mx_host = "mx1.mail.company-y.example";
    struct tlsrpt_session missing = session_of(&sts, TLSRPT_STARTTLS_NOT_SUPPORTED);
    missing.sending = ip("2001:db8:abcd:13::1");
    missing.mx_host = "mx2.mail.company-y.example";
    missing.receiving = ip("203.0.113.56");
    struct tlsrpt_session failed = session_of(&sts, TLSRPT_VALIDATION_FAILURE);
    failed.sending = ip("198.51.100.62");
    failed.receiving = ip("203.0.113.58");
    failed.mx_host = "mx-backup.mail.company-y.example";
    failed.helo = "mx\"backup";
    failed.reason = "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED";
    count(tlsrpt, session_of(&sts, TLSRPT_SUCCESS), 5326);
    count(tlsrpt, expired, 100);
    count(tlsrpt, missing, 200);
    count(tlsrpt, failed, 3);
    count(tlsrpt, session_of(&tlsa, TLSRPT_SUCCESS), 2);
    count(tlsrpt, session_of(&no_policy, TLSRPT_SUCCESS), 1);
    tlsrpt_images(tlsrpt, TLSRPT_CHANGED, NULL, 0, &images);
    struct span rest = buffer_span(&images);
    ck_assert(tlsrpt_image_next(&rest, tally, NULL));
    tlsrpt_destroy(&tlsrpt);
}

/* RFC 8460 4.4, after the example in its appendix B; "policies" and "mx-host" are arrays. */
static const char canonical[] =
    "{\"organization-name\":\"Company-X\","
    "\"date-range\":{\"start-datetime\":\"2016-04-01T00:00:00Z\","
    "\"end-datetime\":\"2016-04-01T23:59:59Z\"},"
    "\"contact-info\":\"sts-reporting@company-x.example\","
    "\"report-id\":\"20160401.company-y.example@relay1.company-x.example\","
    "\"policies\":["
    "{\"policy\":{\"policy-type\":\"sts\","
    "\"policy-string\":[\"version: STSv1\",\"mode: testing\","
    "\"mx: *.mail.company-y.example\",\"max_age: 86400\"],"
    "\"policy-domain\":\"company-y.example\",\"mx-host\":[\"*.mail.company-y.example\"]},"
    "\"summary\":{\"total-successful-session-count\":5326,\"total-failure-session-count\":303},"
    "\"failure-details\":["
    "{\"result-type\":\"certificate-expired\",\"sending-mta-ip\":\"2001:db8:abcd:12::1\","
    "\"receiving-mx-hostname\":\"mx1.mail.company-y.example\",\"failed-session-count\":100},"
    "{\"result-type\":\"starttls-not-supported\",\"sending-mta-ip\":\"2001:db8:abcd:13::1\","
    "\"receiving-mx-hostname\":\"mx2.mail.company-y.example\",\"receiving-ip\":\"203.0.113.56\","
    "\"failed-session-count\":200},"
    "{\"result-type\":\"validation-failure\",\"sending-mta-ip\":\"198.51.100.62\","
    "\"receiving-mx-hostname\":\"mx-backup.mail.company-y.example\","
    "\"receiving-mx-helo\":\"mx\\\"backup\",\"receiving-ip\":\"203.0.113.58\","
    "\"failed-session-count\":3,"
    "\"failure-reason-code\":\"X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED\"}]},"
    "{\"policy\":{\"policy-type\":\"tlsa\",\"policy-string\":[\"3 1 1 AB12CD\",\"2 0 1 0011\"],"
    "\"policy-domain\":\"mx.company-y.example\"},"
    "\"summary\":{\"total-successful-session-count\":2,\"total-failure-session-count\":0}},"
    "{\"policy\":{\"policy-type\":\"no-policy-found\",\"policy-domain\":\"company-y.example\"},"
    "\"summary\":{\"total-successful-session-count\":1,\"total-failure-session-count\":0}}]}";

/* As ck_assert_str_eq, which cannot show so much. */
static void assert_text(const char *text, const char *wanted)
{
    size_t same = 0;
    while (text[same] != '\0' && text[same] == wanted[same])
        same++;
    if (text[same] != wanted[same])
        ck_abort_msg("at %zu: \"%.60s\", not \"%.60s\"", same, text + same, wanted + same);
}

START_TEST(rfc8460_4_4_a_report)
{
    struct buffer json CLEANUP(buffer_free) = {0};
    struct tlsrpt_tally tally;
    make_tally(&tally);
    report_json(&reporter, &tally, &json);
    buffer_append(&json, (struct span){"", 1});
    assert_text(buffer_span(&json).data, canonical);
    tlsrpt_tally_free(&tally);
}
END_TEST

static void assert_inflates(struct span gzip, struct span wanted)
{
    z_stream stream = {.next_in = (z_const Bytef *)gzip.data, .avail_in = (uInt)gzip.length};
    char *bytes = must_calloc(1, wanted.length + 1);
    ck_assert_int_eq(inflateInit2(&stream, 15 + 16), Z_OK); /* gzip, and no other form */
    stream.next_out = (Bytef *)bytes;
    stream.avail_out = (uInt)wanted.length + 1;
    ck_assert_int_eq(inflate(&stream, Z_FINISH), Z_STREAM_END);
    ck_assert_uint_eq(stream.avail_in, 0);
    ck_assert(span_equal((struct span){bytes, stream.total_out}, wanted));
    inflateEnd(&stream);
    free(bytes);
}

START_TEST(what_is_zipped_unzips)
{
    struct buffer to CLEANUP(buffer_free) = {0};
    char noise[10000];
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)(i * i * 2654435761u >> 13);
    const struct span rows[] = {SPAN(""), SPAN("x"), SPAN(canonical), {noise, sizeof(noise)}};
    for (size_t i = 0; i < countof(rows); i++) {
        buffer_clear(&to);
        report_gzip(rows[i], &to);
        assert_inflates(buffer_span(&to), rows[i]);
    }
}
END_TEST

/* RFC 8460 5.3. */
START_TEST(rfc8460_5_3_a_mail)
{
    struct buffer mail CLEANUP(buffer_free) = {0};
    struct tlsrpt_tally tally;
    char gzip[100];
    make_tally(&tally);
    memset(gzip, 'x', sizeof(gzip));
    report_mail(&reporter, &tally, "r@company-y.example", (struct span){gzip, sizeof(gzip)},
                (DAY + 1) * TLSRPT_DAY_MS + 3600000, &mail);
    buffer_append(&mail, (struct span){"", 1});
    assert_text(
        buffer_span(&mail).data,
        "Date: Sat, 02 Apr 2016 01:00:00 +0000\r\n"
        "From: <tlsrpt@mail.company-x.example>\r\n"
        "To: <r@company-y.example>\r\n"
        "Subject: Report Domain: company-y.example\r\n"
        " Submitter: mail.company-x.example\r\n"
        " Report-ID: <20160401.company-y.example@relay1.company-x.example>\r\n"
        "Message-ID: <tlsrpt.13b112745b00107c.20160401.company-y.example@relay1.company-x.example>"
        "\r\n"
        "TLS-Report-Domain: company-y.example\r\n"
        "TLS-Report-Submitter: mail.company-x.example\r\n"
        "TLS-Required: No\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
        " boundary=\"=_tlsrpt.16892\"\r\n"
        "\r\n"
        "This is a report of SMTP TLS in MIME format (RFC 8460).\r\n"
        "\r\n"
        "--=_tlsrpt.16892\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n"
        "\r\n"
        "This is an aggregate TLS report for the domain\r\n"
        "    company-y.example\r\n"
        "on 2016-04-01 (UTC), as its TLSRPT record asks for it.\r\n"
        "\r\n"
        "SMTP sessions with TLS as wanted: 5329\r\n"
        "failures: 303\r\n"
        "\r\n"
        "It was written by a mail relay of\r\n"
        "    Company-X\r\n"
        "Questions go to <sts-reporting@company-x.example>.\r\n"
        "\r\n"
        "--=_tlsrpt.16892\r\n"
        "Content-Type: application/tlsrpt+gzip\r\n"
        "Content-Transfer-Encoding: base64\r\n"
        "Content-Disposition: attachment;\r\n"
        " filename=\"mail.company-x.example!company-y.example!1459468800!1459555199!001.json.gz\""
        "\r\n"
        "\r\n"
        "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4\r\n"
        "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eA==\r\n"
        "\r\n"
        "--=_tlsrpt.16892--\r\n");
    tlsrpt_tally_free(&tally);
}
END_TEST

static const char *datagram_of(const struct tlsrpt_session *session)
{
    static struct buffer text;
    buffer_clear(&text);
    report_datagram(session, &text);
    buffer_append(&text, (struct span){"", 1});
    return buffer_span(&text).data;
}

START_TEST(datagrams)
{
    struct tlsrpt_session session = session_of(&sts, TLSRPT_CERTIFICATE_HOST_MISMATCH);
    session.mx_host = "mx.company-y.example";
    session.helo = "mx1";
    session.reason = "why";
    session.sending = ip("192.0.2.1");
    session.receiving = ip("2001:db8::1");
    ck_assert_str_eq(datagram_of(&session),
                     "{\"dpv\":\"1\",\"d\":\"company-y.example\","
                     "\"pr\":\"v=TLSRPTv1; rua=mailto:r@company-y.example\","
                     "\"policies\":[{\"policy-type\":2,\"policy-domain\":\"company-y.example\","
                     "\"policy-string\":[\"version: STSv1\",\"mode: testing\","
                     "\"mx: *.mail.company-y.example\",\"max_age: 86400\"],"
                     "\"mx-host\":[\"*.mail.company-y.example\"],"
                     "\"failure-details\":[{\"c\":202,\"s\":\"192.0.2.1\","
                     "\"n\":\"mx.company-y.example\",\"h\":\"mx1\",\"r\":\"2001:db8::1\","
                     "\"f\":\"why\"}],\"t\":1,\"f\":1}]}");
    session = session_of(&no_policy, TLSRPT_SUCCESS);
    ck_assert_str_eq(datagram_of(&session),
                     "{\"dpv\":\"1\",\"d\":\"company-y.example\","
                     "\"pr\":\"v=TLSRPTv1; rua=mailto:r@company-y.example\","
                     "\"policies\":[{\"policy-type\":9,\"policy-domain\":\"company-y.example\","
                     "\"t\":0,\"f\":0}]}");
}
END_TEST

/* The numbers by which the collector knows policies and results. */
START_TEST(numbers_of_datagrams)
{
    static const int results[TLSRPT_RESULTS] = {[TLSRPT_STARTTLS_NOT_SUPPORTED] = 201,
                                                [TLSRPT_CERTIFICATE_HOST_MISMATCH] = 202,
                                                [TLSRPT_CERTIFICATE_NOT_TRUSTED] = 203,
                                                [TLSRPT_CERTIFICATE_EXPIRED] = 204,
                                                [TLSRPT_VALIDATION_FAILURE] = 205,
                                                [TLSRPT_STS_POLICY_FETCH_ERROR] = 301,
                                                [TLSRPT_STS_POLICY_INVALID] = 302,
                                                [TLSRPT_STS_WEBPKI_INVALID] = 303,
                                                [TLSRPT_TLSA_INVALID] = 304,
                                                [TLSRPT_DNSSEC_INVALID] = 305,
                                                [TLSRPT_DANE_REQUIRED] = 306};
    for (unsigned i = 1; i < TLSRPT_RESULTS; i++) {
        struct tlsrpt_session session = session_of(&tlsa, (enum tlsrpt_result)i);
        json_t *datagram = json_loads(datagram_of(&session), 0, NULL);
        int type, code;
        ck_assert_int_eq(json_unpack(datagram, "{s:[{s:i, s:[{s:i}]}]}", "policies", "policy-type",
                                     &type, "failure-details", "c", &code),
                         0);
        ck_assert_int_eq(type, 1);
        ck_assert_int_eq(code, results[i]);
        json_decref(datagram);
    }
}
END_TEST

TEST_MAIN("relay/reports/report", rfc8460_4_4_a_report, what_is_zipped_unzips, rfc8460_5_3_a_mail,
          datagrams, numbers_of_datagrams)
