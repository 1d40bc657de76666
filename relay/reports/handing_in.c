/* A worker's part: a report becomes a message in the queue like any other. */
#include "base/crc32c.h"
#include "relay/outbound/notifier.h"
#include "relay/reports/reports.h"
#include "relay/smtp/address.h"
#include "relay/worker.h"

#include <stdlib.h>

struct handing_in {
    struct change change;
    struct worker *worker;
    struct report_mail *report;
    struct envelope *envelope;
};

/* Whatever TLS the domain has, or has not: the report goes (RFC 8460 3, RFC 8689 5). And nobody
 * needs to hear that it did not. */
static struct envelope *make_envelope(const struct worker *worker, struct report_mail *report)
{
    struct message *message =
        message_create(span_of(report->from), MESSAGE_TLS_OPTIONAL, worker->wall_ms);
    struct span body = buffer_span(&report->body);
    char name[ADDRESS_DOMAIN_MAX + 1];
    message->id = report->id = spool_next_id(worker->relay->spool, worker->wall_ms);
    message->place.length = body.length;
    message->place.crc = crc32c(0, body.data, body.length);
    message_take_body(message, buffer_detach(&report->body));
    struct span to = span_of(report->to);
    struct envelope *envelope = envelope_create(message, span_of(address_destination(to, name)));
    envelope->due_ms = worker->wall_ms;
    struct recipient *recipient = envelope_add(envelope, to, SPAN(""));
    must(recipient != NULL);
    recipient->notify = NOTIFY_NEVER;
    message_drop(&message); /* the envelope keeps it */
    return envelope;
}

static void log_received(const struct report_mail *report)
{
    struct log_line line;
    char id[MESSAGE_ID_TEXT];
    log_begin(&line, "tls-report-queued");
    log_string(&line, "id", message_id_format(report->id, id));
    log_print(&line, "from", "<%s>", report->from);
    log_print(&line, "to", "<%s>", report->to);
    log_end(&line);
}

static void committed(struct mail *mail, void *taker)
{
    struct change *change = container_of(mail, struct change, mail);
    struct handing_in *handing_in = container_of(change, struct handing_in, change);
    struct report_mail *report = handing_in->report;
    (void)taker;
    report->taken = change->result == SPOOL_OK;
    if (report->taken) {
        log_received(report);
        notification_submit(handing_in->worker, handing_in->envelope);
    } else {
        envelope_free(&handing_in->envelope);
    }
    free(handing_in);
    report->mail.deliver = report->reply;
    mailbox_post(report->reply_to, &report->mail);
}

void report_hand_in(struct mail *take_report_mail, void *taker)
{
    struct handing_in *handing_in = must_calloc(1, sizeof(*handing_in));
    handing_in->worker = taker;
    handing_in->report = container_of(take_report_mail, struct report_mail, mail);
    handing_in->envelope = make_envelope(handing_in->worker, handing_in->report);
    handing_in->change.mail.deliver = committed;
    handing_in->change.reply_to = handing_in->worker->mailbox;
    handing_in->change.accept = handing_in->envelope->message;
    handing_in->change.accepted = &handing_in->envelope;
    handing_in->change.accepted_count = 1;
    committer_post(handing_in->worker->relay->committer, &handing_in->change);
}
