/* The collector: a datagram for each session, to a socket that somebody else reads. What it does
 * not take at once is lost, and counted: no mail waits for it. */
#include "base/log.h"
#include "relay/reports/report.h"
#include "relay/reports/reports_inside.h"
#include "relay/unix_socket.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct datagram {
    struct mail mail;
    struct buffer text;
};

void collector_init(struct reports *reports)
{
    atomic_init(&reports->collects, false);
    atomic_init(&reports->datagrams, 0);
    atomic_init(&reports->datagrams_lost, 0);
    reports->collector = -1;
}

void collector_configure(struct reports *reports)
{
    const struct tlsrpt_config *tlsrpt = &reports->config->tlsrpt;
    bool collects = tlsrpt->on && tlsrpt->collector != NULL;
    if (collects && reports->collector < 0)
        reports->collector = unix_datagram();
    atomic_store(&reports->collects, collects);
}

/* Told once when it begins, and once when it is over. */
static void note(struct reports *reports, int error)
{
    const char *path = reports->config->tlsrpt.collector;
    if (error != 0 && !reports->collector_failed)
        log_note("collector-failed", "why", "%s: %s: what it does not take is lost", path,
                 strerror(error));
    if (error == 0 && reports->collector_failed)
        log_note("collector-works", "lost", "%" PRIu64, atomic_load(&reports->datagrams_lost));
    reports->collector_failed = error != 0;
}

static void send_datagram(struct mail *mail, void *taker)
{
    struct datagram *datagram = container_of(mail, struct datagram, mail);
    struct reports *reports = taker;
    atomic_fetch_sub(&reports->datagrams, 1);
    if (atomic_load(&reports->collects)) {
        int error = unix_send(reports->collector, reports->config->tlsrpt.collector,
                              buffer_span(&datagram->text).data, buffer_length(&datagram->text));
        atomic_fetch_add(&reports->datagrams_lost, error != 0);
        note(reports, error);
    }
    buffer_free(&datagram->text);
    free(datagram);
}

void collector_tell(struct reports *reports, const struct tlsrpt_session *session)
{
    if (!atomic_load(&reports->collects))
        return;
    if (atomic_fetch_add(&reports->datagrams, 1) >= REPORTS_DATAGRAMS_MAX) {
        atomic_fetch_sub(&reports->datagrams, 1);
        atomic_fetch_add(&reports->datagrams_lost, 1);
        return;
    }
    struct datagram *datagram = must_calloc(1, sizeof(*datagram));
    datagram->mail.deliver = send_datagram;
    report_datagram(session, &datagram->text);
    mailbox_post(&reports->inbox.box, &datagram->mail);
}

void collector_close(struct reports *reports)
{
    if (reports->collector >= 0)
        close(reports->collector);
    reports->collector = -1;
}
