/* The inside of reports, for its own files: reports.c (the thread), sending.c (one report on its
 * way) and collector.c. All of it on the thread of reports. */
#pragma once

#include "base/list.h"
#include "relay/https.h"
#include "relay/reports/reports.h"
#include "relay/resolve.h"
#include "tlspolicy/tlsrpt_record.h"

#include <pthread.h>

struct reports {
    struct reports_parts parts;
    struct config *config; /* one reference; in use on this thread */
    struct tlsrpt *counts;
    struct mailbox box;
    struct https *https;
    int64_t wall_ms;  /* as of this turn */
    int64_t write_ms; /* when what was counted is next written down; ms since 1970 */

    struct list sendings; /* struct sending */
    unsigned sending_count;

    pthread_mutex_t lock;
    struct config *next_config; /* under the lock; NULL: none */

    atomic_bool collects;
    atomic_uint datagrams; /* that wait */
    _Atomic uint64_t datagrams_lost;
    uint64_t datagrams_told; /* of those lost, as of the last turn */
    struct list unsent;      /* struct datagram, oldest first */
    int collector;           /* the socket that sends; -1: not open */
    bool collector_failed;
    bool ending; /* nothing new begins */
};

/* A report on its way: to one URI of its domain's record after the other. */
struct sending {
    struct list_node node;
    struct reports *reports;
    struct tlsrpt_tally tally;
    struct tlsrpt_record record;
    struct buffer gzip;
    unsigned uri;  /* whose turn it is */
    uint32_t sent; /* bits, as in the tally */
    struct report_mail mail;
    struct ip addresses[2 * RESOLVE_ADDRESSES_MAX];
    struct https_request post;
    bool posted; /* it has come to an end: judged in the next turn */
};

/* The tally moves in. What comes of it is told to `counts`. */
void sending_begin(struct reports *reports, struct tlsrpt_tally *take);
void sending_free(struct sending *sending);
/* Those whose requests have ended go on. */
void sendings_go_on(struct reports *reports);
/* The tally is done with, here and in the store. */
void reports_forget(struct reports *reports, int64_t day, const char *domain);

void collector_init(struct reports *reports);
void collector_configure(struct reports *reports);
/* Any thread. */
void collector_tell(struct reports *reports, const struct tlsrpt_session *session);
void collector_turn(struct reports *reports);
void collector_close(struct reports *reports);
