/* One report on its way: it goes to each URI of its domain's record, one after the other; what has
 * been handed in is remembered, so that nobody gets it twice. */
#include "base/date.h"
#include "base/log.h"
#include "relay/reports/report.h"
#include "relay/reports/reports_inside.h"
#include "relay/smtp/address.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define POST_MS 60000
#define POST_ANSWER_MAX 65536 /* bytes; nobody reads them */

static void go_on(struct sending *sending);

static struct reporter reporter_of(const struct config *config)
{
    return (struct reporter){.organization = config->tlsrpt.organization,
                             .contact = config->tlsrpt.contact,
                             .from = config->tlsrpt.from,
                             .hostname = config->hostname};
}

static void begin_line(const struct sending *sending, struct log_line *line, const char *event)
{
    char date[DATE_TEXT_MAX];
    date_format(sending->tally.day * TLSRPT_DAY_MS, date);
    log_begin(line, event);
    log_string(line, "domain", sending->tally.domain);
    log_print(line, "day", "%.10s", date);
}

/* ---- its end ---- */

static void log_dropped(const struct sending *sending)
{
    struct log_line line;
    begin_line(sending, &line, "tls-report-dropped");
    log_string(&line, "why", "it could not be handed in for a day");
    log_end(&line);
}

/* The later the slower: twice as long after the first attempt each time. */
static int64_t retry_ms(int64_t since_due_ms)
{
    if (since_due_ms < REPORTS_FIRST_RETRY_MS)
        return REPORTS_FIRST_RETRY_MS;
    return since_due_ms < REPORTS_LAST_RETRY_MS ? since_due_ms : REPORTS_LAST_RETRY_MS;
}

static void end(struct sending *sending)
{
    struct reports *reports = sending->reports;
    const struct tlsrpt_tally *tally = &sending->tally;
    int64_t since_due_ms = reports->wall_ms - tlsrpt_due_ms(tally->day, tally->domain);
    bool done = sending->sent == (UINT32_C(1) << sending->record.count) - 1;
    if (!done && (reports->ending || since_due_ms < REPORTS_GIVE_UP_MS)) {
        tlsrpt_postpone(reports->counts, tally->day, tally->domain, sending->sent,
                        reports->wall_ms + retry_ms(since_due_ms));
    } else {
        if (!done)
            log_dropped(sending);
        reports_forget(reports, tally->day, tally->domain);
    }
    sending_free(sending);
}

/* The URI whose turn it was has the report, or cannot have it now: `why`. */
static void uri_over(struct sending *sending, const char *why)
{
    struct log_line line;
    begin_line(sending, &line, why == NULL ? "tls-report-sent" : "tls-report-failed");
    log_string(&line, "to", sending->record.uris[sending->uri].target);
    if (why != NULL)
        log_string(&line, "why", why);
    log_end(&line);
    if (why == NULL)
        sending->sent |= UINT32_C(1) << sending->uri;
    sending->uri++;
}

static void uri_done(struct sending *sending, const char *why)
{
    uri_over(sending, why);
    go_on(sending);
}

/* ---- by mail ---- */

static void handed_in(struct mail *mail, void *taker)
{
    struct report_mail *report = container_of(mail, struct report_mail, mail);
    (void)taker;
    uri_done(report->context, report->taken ? NULL : "the spool is full");
}

static void send_by_mail(struct sending *sending, const char *address)
{
    struct reports *reports = sending->reports;
    struct reporter reporter = reporter_of(reports->config);
    char *from = arena_copy(&sending->tally.arena, span_of(reporter.from)); /* it may be reloaded */
    buffer_free(&sending->mail.body);                                       /* of the one before */
    sending->mail = (struct report_mail){.mail.deliver = reports->parts.hand_in,
                                         .reply_to = &reports->box,
                                         .from = from,
                                         .to = address,
                                         .context = sending,
                                         .reply = handed_in};
    report_mail(&reporter, &sending->tally, address, buffer_span(&sending->gzip), reports->wall_ms,
                &sending->mail.body);
    mailbox_post(reports->parts.worker, &sending->mail.mail);
}

/* ---- by HTTPS ---- */

static void judge_post(struct sending *sending)
{
    const struct https_request *post = &sending->post;
    char why[HTTPS_WHY_MAX];
    if (post->result == HTTPS_ANSWERED && post->status / 100 == 2) {
        uri_done(sending, NULL);
        return;
    }
    snprintf(why, sizeof(why), "the answer is %ld, no 200", post->status); /* RFC 8460 5.4 */
    uri_done(sending, post->result == HTTPS_ANSWERED ? why : post->why);
}

/* Called while the thread waits: nothing new may begin there. */
static void posted(struct https_request *post)
{
    container_of(post, struct sending, post)->posted = true;
}

void sendings_go_on(struct reports *reports)
{
    struct list_node *next;
    for (struct list_node *node = list_first(&reports->sendings); node != NULL; node = next) {
        struct sending *sending = container_of(node, struct sending, node);
        next = list_next(&reports->sendings, node);
        bool was_posted = sending->posted;
        sending->posted = false;
        if (was_posted)
            judge_post(sending);
    }
}

static void post(struct sending *sending)
{
    static const char *const headers[] = {"Content-Type: application/tlsrpt+gzip", NULL};
    struct reports *reports = sending->reports;
    const struct tlsrpt_uri *uri = &sending->record.uris[sending->uri];
    const char *ca_file = reports->config->tlsrpt.ca_file;
    unsigned count = sending->post.address_count;
    buffer_clear(&sending->post.answer);
    sending->post = (struct https_request){
        .host = uri->host,
        .path = uri->path,
        .port = uri->port,
        .addresses = sending->addresses,
        .address_count = count,
        .ca_file = ca_file ? arena_copy(&sending->tally.arena, span_of(ca_file)) : NULL,
        .body = buffer_span(&sending->gzip),
        .headers = headers,
        .within_ms = POST_MS,
        .bytes_max = POST_ANSWER_MAX,
        .done = posted,
        .answer = sending->post.answer,
    };
    https_begin(reports->https, &sending->post);
}

static void free_resolution(struct resolution **resolution)
{
    resolution_free(resolution);
}

static void on_addresses(struct mail *mail, void *taker)
{
    struct resolution *answer CLEANUP(free_resolution) =
        container_of(mail, struct resolution, mail);
    struct sending *sending = answer->context;
    const struct reports *reports = taker;
    unsigned count = 0, found = 0;
    if (answer->result == RESOLVE_OK && answer->count > 0)
        found = answer->hosts[0].count;
    for (unsigned i = 0; i < found && count < countof(sending->addresses); i++)
        if (config_may_fetch_from(reports->config, &answer->hosts[0].addresses[i]))
            sending->addresses[count++] = answer->hosts[0].addresses[i];
    sending->post.address_count = count;
    if (reports->ending)
        go_on(sending);
    else if (count > 0)
        post(sending);
    else
        uri_done(sending, found > 0     ? "no address of the host may be connected to"
                          : answer->why ? answer->why
                                        : "the host has no address");
}

static void send_by_https(struct sending *sending, const char *host)
{
    struct resolution *question = must_calloc(1, sizeof(*question));
    question->domain = must_strdup(host);
    question->kind = RESOLVE_ADDRESSES;
    question->context = sending;
    question->mail.deliver = on_addresses;
    question->reply_to = &sending->reports->box;
    resolve_post(sending->reports->parts.resolve, question);
}

/* ---- one after the other ---- */

static bool has_its_report(const struct sending *sending)
{
    return (sending->sent >> sending->uri & 1) != 0;
}

/* False when that URI can never be used: it counts as one that has its report. */
static bool send_to_uri(struct sending *sending)
{
    const struct tlsrpt_uri *uri = &sending->record.uris[sending->uri];
    switch (uri->scheme) {
    case TLSRPT_HTTPS: send_by_https(sending, uri->host); return true;
    case TLSRPT_MAILTO:
        if (!address_is_valid(span_of(uri->target)))
            return false;
        send_by_mail(sending, uri->target);
        return true;
    }
    must_not_reach();
}

static void go_on(struct sending *sending)
{
    while (sending->uri < sending->record.count && !sending->reports->ending) {
        if (has_its_report(sending)) {
            sending->uri++;
        } else if (send_to_uri(sending)) {
            return;
        } else {
            sending->sent |= UINT32_C(1) << sending->uri;
            uri_over(sending, "it is no address");
        }
    }
    end(sending);
}

void sending_begin(struct reports *reports, struct tlsrpt_tally *take)
{
    struct sending *sending = must_calloc(1, sizeof(*sending));
    struct buffer json CLEANUP(buffer_free) = {0};
    sending->reports = reports;
    sending->tally = *take;
    sending->sent = take->sent;
    list_append(&reports->sendings, &sending->node);
    reports->sending_count++;
    tlsrpt_postpone(reports->counts, take->day, take->domain, take->sent, INT64_MAX);
    bool wanted =
        tlsrpt_record_read(span_of(take->record), &sending->tally.arena, &sending->record);
    if (!wanted || !reports->config->tlsrpt.on || !reports->config->tlsrpt.send) {
        reports_forget(reports, take->day, take->domain);
        sending_free(sending);
        return;
    }
    struct reporter reporter = reporter_of(reports->config);
    report_json(&reporter, &sending->tally, &json);
    report_gzip(buffer_span(&json), &sending->gzip);
    go_on(sending);
}

void sending_free(struct sending *sending)
{
    list_remove(&sending->node);
    sending->reports->sending_count--;
    buffer_free(&sending->gzip);
    buffer_free(&sending->mail.body);
    buffer_free(&sending->post.answer);
    tlsrpt_tally_free(&sending->tally);
    free(sending);
}
