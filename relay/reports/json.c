#include "relay/reports/json.h"

#include "base/date.h"
#include "base/must.h"
#include "relay/reports/report.h"

#include <stdlib.h>

/* ---- values ---- */

static void put(json_t *object, const char *key, json_t *take)
{
    must(json_object_set_new_nocheck(object, key, take) == 0);
}

/* All text should be ASCII by now; what is not must not end the process. */
static json_t *text_of(const char *text)
{
    char *copy = must_strdup(text);
    for (char *at = copy; *at != '\0'; at++)
        if (*at < ' ' || *at >= 0x7f)
            *at = '?';
    json_t *string = json_string_nocheck(copy);
    free(copy);
    return string;
}

static void put_text(json_t *object, const char *key, const char *text)
{
    if (text[0] != '\0')
        put(object, key, text_of(text));
}

static void put_number(json_t *object, const char *key, uint64_t number)
{
    put(object, key, json_integer((json_int_t)number));
}

static void put_texts(json_t *object, const char *key, const char *const *texts, unsigned count)
{
    if (count == 0)
        return;
    json_t *list = json_array();
    for (unsigned i = 0; i < count; i++)
        must(json_array_append_new(list, text_of(texts[i])) == 0);
    put(object, key, list);
}

static void put_ip(json_t *object, const char *key, const struct ip *ip)
{
    char text[IP_TEXT_MAX];
    if (ip->family != 0)
        put_text(object, key, ip_format(ip, text));
}

static int add_bytes(const char *bytes, size_t length, void *buffer)
{
    buffer_append(buffer, (struct span){bytes, length});
    return 0;
}

static void write(json_t *take, struct buffer *to)
{
    must(json_dump_callback(take, add_bytes, to, JSON_COMPACT | JSON_ENSURE_ASCII) == 0);
    json_decref(take);
}

/* ---- reports (RFC 8460 4.4) ---- */

static json_t *policy_of(const struct tlsrpt_policy *policy)
{
    json_t *object = json_object();
    put_text(object, "policy-type", tlsrpt_policy_name(policy->type));
    put_texts(object, "policy-string", policy->strings, policy->string_count);
    put_text(object, "policy-domain", policy->domain);
    put_texts(object, "mx-host", policy->mx, policy->mx_count);
    return object;
}

static json_t *details_of(const struct tlsrpt_count *count)
{
    json_t *list = json_array();
    for (const struct tlsrpt_detail *detail = count->details; detail; detail = detail->next) {
        json_t *object = json_object();
        put_text(object, "result-type", tlsrpt_result_name(detail->result));
        put_ip(object, "sending-mta-ip", &detail->sending);
        put_text(object, "receiving-mx-hostname", detail->mx_host);
        put_text(object, "receiving-mx-helo", detail->helo);
        put_ip(object, "receiving-ip", &detail->receiving);
        put_number(object, "failed-session-count", detail->sessions);
        put_text(object, "failure-reason-code", detail->reason);
        must(json_array_append_new(list, object) == 0);
    }
    return list;
}

json_t *tally_policies(const struct tlsrpt_tally *tally)
{
    json_t *list = json_array();
    for (const struct tlsrpt_count *count = tally->counts; count; count = count->next) {
        json_t *object = json_object(), *summary = json_object();
        put(object, "policy", policy_of(&count->policy));
        put_number(summary, "total-successful-session-count", count->successes);
        put_number(summary, "total-failure-session-count", count->failures);
        put(object, "summary", summary);
        if (count->details != NULL)
            put(object, "failure-details", details_of(count));
        must(json_array_append_new(list, object) == 0);
    }
    return list;
}

void report_json(const struct reporter *reporter, const struct tlsrpt_tally *tally,
                 struct buffer *to)
{
    char start[DATE_TEXT_MAX], end[DATE_TEXT_MAX], id[REPORT_ID_MAX];
    json_t *report = json_object(), *range = json_object();
    put_text(range, "start-datetime", date_format(tally->day * TLSRPT_DAY_MS, start));
    put_text(range, "end-datetime", date_format((tally->day + 1) * TLSRPT_DAY_MS - 1000, end));
    put_text(report, "organization-name", reporter->organization);
    put(report, "date-range", range);
    put_text(report, "contact-info", reporter->contact);
    put_text(report, "report-id", report_id(reporter, tally, id));
    put(report, "policies", tally_policies(tally));
    write(report, to);
}

/* ---- datagrams ---- */

static int policy_number(enum tlsrpt_policy_type type)
{
    switch (type) {
    case TLSRPT_POLICY_TLSA: return 1;
    case TLSRPT_POLICY_STS: return 2;
    case TLSRPT_POLICY_NONE: return 9;
    }
    must_not_reach();
}

static int result_number(enum tlsrpt_result result)
{
    switch (result) {
    case TLSRPT_SUCCESS: return 0;
    case TLSRPT_STARTTLS_NOT_SUPPORTED: return 201;
    case TLSRPT_CERTIFICATE_HOST_MISMATCH: return 202;
    case TLSRPT_CERTIFICATE_NOT_TRUSTED: return 203;
    case TLSRPT_CERTIFICATE_EXPIRED: return 204;
    case TLSRPT_VALIDATION_FAILURE: return 205;
    case TLSRPT_STS_POLICY_FETCH_ERROR: return 301;
    case TLSRPT_STS_POLICY_INVALID: return 302;
    case TLSRPT_STS_WEBPKI_INVALID: return 303;
    case TLSRPT_TLSA_INVALID: return 304;
    case TLSRPT_DNSSEC_INVALID: return 305;
    case TLSRPT_DANE_REQUIRED: return 306;
    }
    must_not_reach();
}

static json_t *failures_of(const struct tlsrpt_session *session)
{
    json_t *list = json_array(), *failure = json_object();
    put_number(failure, "c", (uint64_t)result_number(session->result));
    put_ip(failure, "s", &session->sending);
    put_text(failure, "n", session->mx_host);
    put_text(failure, "h", session->helo);
    put_ip(failure, "r", &session->receiving);
    put_text(failure, "f", session->reason);
    must(json_array_append_new(list, failure) == 0);
    return list;
}

void report_datagram(const struct tlsrpt_session *session, struct buffer *to)
{
    const struct tlsrpt_policy *from = &session->policy;
    bool failed = session->result != TLSRPT_SUCCESS;
    json_t *datagram = json_object(), *policies = json_array(), *policy = json_object();
    put_text(datagram, "dpv", "1");
    put_text(datagram, "d", session->domain);
    put_text(datagram, "pr", session->record);
    put_number(policy, "policy-type", (uint64_t)policy_number(from->type));
    put_text(policy, "policy-domain", from->domain);
    put_texts(policy, "policy-string", from->strings, from->string_count);
    put_texts(policy, "mx-host", from->mx, from->mx_count);
    if (failed)
        put(policy, "failure-details", failures_of(session));
    put_number(policy, "t", failed);
    put_number(policy, "f", failed);
    must(json_array_append_new(policies, policy) == 0);
    put(datagram, "policies", policies);
    write(datagram, to);
}
