/* The mail around a report (RFC 8460 5.3). */
#include "base/date.h"
#include "queue/bounce.h"
#include "relay/inbound/sasl.h"
#include "relay/reports/report.h"
#include "relay/smtp/address.h"

#include <inttypes.h>
#include <stdio.h>

#define BASE64_LINE 76 /* RFC 2045 6.8 */
#define DATE_BYTES 10  /* "2026-11-21" */
#define DAY_S INT64_C(86400)

static const char *submitter(const struct reporter *reporter)
{
    return address_domain(span_of(reporter->from)).data;
}

/* "20261121.example.test" */
static char *id_left(const struct tlsrpt_tally *tally, char id[REPORT_ID_MAX])
{
    char date[DATE_TEXT_MAX];
    date_format(tally->day * TLSRPT_DAY_MS, date);
    snprintf(id, REPORT_ID_MAX, "%.4s%.2s%.2s.%s", date, date + 5, date + 8, tally->domain);
    return id;
}

char *report_id(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                char id[REPORT_ID_MAX])
{
    size_t length = span_of(id_left(tally, id)).length;
    snprintf(id + length, REPORT_ID_MAX - length, "@%s", reporter->hostname);
    return id;
}

/* The fields of RFC 8460 5.3; and TLS that does not work there must not keep the report away: that
 * is what it tells of (RFC 8460 3, RFC 8689 5). The Message-ID is the same when it is sent anew. */
static void put_header(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                       const char *address, int64_t now_ms, const char *boundary, struct buffer *to)
{
    char id[REPORT_ID_MAX], date[MAIL_DATE_MAX];
    report_id(reporter, tally, id);
    buffer_print(to, "Date: %s\r\n", mail_date(now_ms, date));
    buffer_print(to, "From: <%s>\r\nTo: <%s>\r\n", reporter->from, address);
    buffer_print(to, "Subject: Report Domain: %s\r\n Submitter: %s\r\n Report-ID: <%s>\r\n",
                 tally->domain, submitter(reporter), id);
    buffer_print(to, "Message-ID: <tlsrpt.%016" PRIx64 ".%s>\r\n", span_hash(span_of(address)), id);
    buffer_print(to, "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\n", tally->domain,
                 submitter(reporter));
    buffer_print(to,
                 "TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                 "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
                 " boundary=\"%s\"\r\n\r\n"
                 "This is a report of SMTP TLS in MIME format (RFC 8460).\r\n",
                 boundary);
}

static void put_words(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                      struct buffer *to)
{
    char date[DATE_TEXT_MAX];
    uint64_t successes = 0, failures = 0;
    for (const struct tlsrpt_count *count = tally->counts; count; count = count->next) {
        successes += count->successes;
        failures += count->failures;
    }
    date_format(tally->day * TLSRPT_DAY_MS, date);
    buffer_print(to,
                 "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
                 "This is an aggregate TLS report for the domain\r\n"
                 "    %s\r\n"
                 "on %.*s (UTC), as its TLSRPT record asks for it.\r\n\r\n"
                 "SMTP sessions with TLS as wanted: %" PRIu64 "\r\n"
                 "failures: %" PRIu64 "\r\n\r\n"
                 "It was written by a mail relay of\r\n"
                 "    %s\r\n"
                 "Questions go to <%s>.\r\n",
                 tally->domain, DATE_BYTES, date, successes, failures, reporter->organization,
                 reporter->contact);
}

static void put_base64(struct span bytes, struct buffer *to)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    base64_write(bytes, &text);
    for (struct span rest = buffer_span(&text); rest.length > 0;
         rest = span_skip(rest, BASE64_LINE)) {
        size_t length = rest.length < BASE64_LINE ? rest.length : BASE64_LINE;
        buffer_append(to, (struct span){rest.data, length});
        buffer_append(to, SPAN("\r\n"));
    }
}

/* Its name is as RFC 8460 5.1 has it. */
static void put_attachment(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                           struct span gzip, struct buffer *to)
{
    int64_t begin_s = tally->day * DAY_S;
    buffer_print(to,
                 "Content-Type: application/tlsrpt+gzip\r\n"
                 "Content-Transfer-Encoding: base64\r\n"
                 "Content-Disposition: attachment;\r\n"
                 " filename=\"%s!%s!%" PRId64 "!%" PRId64 "!001.json.gz\"\r\n\r\n",
                 submitter(reporter), tally->domain, begin_s, begin_s + DAY_S - 1);
    put_base64(gzip, to);
}

void report_mail(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                 const char *address, struct span gzip, int64_t now_ms, struct buffer *to)
{
    char boundary[32]; /* '_' stands in no base64, and nothing else has such a line */
    snprintf(boundary, sizeof(boundary), "=_tlsrpt.%" PRId64, tally->day);
    put_header(reporter, tally, address, now_ms, boundary, to);
    buffer_print(to, "\r\n--%s\r\n", boundary);
    put_words(reporter, tally, to);
    buffer_print(to, "\r\n--%s\r\n", boundary);
    put_attachment(reporter, tally, gzip, to);
    buffer_print(to, "\r\n--%s--\r\n", boundary);
}
