/* The collector: a datagram for each session, to a socket that somebody else reads. What that does
 * not take at once is offered again, up to REPORTS_DATAGRAMS_MAX; what is more, or comes while
 * nobody reads there, is lost, and counted: no mail waits for it. */
#include "base/log.h"
#include "relay/reports/report.h"
#include "relay/reports/reports_inside.h"
#include "relay/unix_socket.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct datagram {
    struct mail mail;
    struct list_node node;
    struct buffer text;
};

void collector_init(struct reports *reports)
{
    atomic_init(&reports->collects, false);
    atomic_init(&reports->datagrams, 0);
    atomic_init(&reports->datagrams_lost, 0);
    list_init(&reports->unsent);
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

static void datagram_free(struct reports *reports, struct datagram *datagram)
{
    list_remove(&datagram->node);
    atomic_fetch_sub(&reports->datagrams, 1);
    buffer_free(&datagram->text);
    free(datagram);
}

static void take_datagram(struct mail *mail, void *taker)
{
    struct reports *reports = taker;
    list_append(&reports->unsent, &container_of(mail, struct datagram, mail)->node);
}

void collector_turn(struct reports *reports)
{
    const char *path = reports->config->tlsrpt.collector;
    uint64_t lost = atomic_load(&reports->datagrams_lost);
    for (struct list_node *node; (node = list_first(&reports->unsent)) != NULL;) {
        struct datagram *datagram = container_of(node, struct datagram, node);
        struct span text = buffer_span(&datagram->text);
        bool collects = atomic_load(&reports->collects);
        int error = collects ? unix_send(reports->collector, path, text.data, text.length) : 0;
        bool late = error == EAGAIN && !reports->ending; /* it is offered again */
        if (!late || lost > reports->datagrams_told)
            note(reports, error);
        reports->datagrams_told = lost;
        if (late)
            return;
        atomic_fetch_add(&reports->datagrams_lost, error != 0);
        datagram_free(reports, datagram);
    }
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
    datagram->mail.deliver = take_datagram;
    report_datagram(session, &datagram->text);
    mailbox_post(&reports->box, &datagram->mail);
}

void collector_close(struct reports *reports)
{
    for (struct list_node *node; (node = list_first(&reports->unsent)) != NULL;)
        datagram_free(reports, container_of(node, struct datagram, node));
    if (reports->collector >= 0)
        close(reports->collector);
    reports->collector = -1;
}
