/* TLS reports (RFC 8460): what sessions with other hosts came to is counted here, kept in the
 * store, and told to the domains that want to know, a day at a time; and told to a collector at
 * once, where there is one.
 *
 * Any thread counts. All else is done by one thread, turn by turn: it writes behind what has been
 * counted, so that a relay that ends otherwise than it should has lost a few seconds of it, and it
 * sends each domain its report at the domain's own time. What cannot be handed in is tried again
 * for a day (RFC 8460 5.5). A report by mail is handed to the relay's own queue. */
#pragma once

#include "base/mailbox.h"
#include "relay/config.h"
#include "tlspolicy/tlsrpt.h"

#define REPORTS_SENDING_MAX 32 /* reports on their way at a time */
#define REPORTS_WRITE_MS 2000  /* what is counted is on disk after so long */
#define REPORTS_DATAGRAMS_MAX                                                                      \
    1000 /* that wait for the collector; more are dropped, and counted                             \
          */
#define REPORTS_FIRST_RETRY_MS 900000
#define REPORTS_LAST_RETRY_MS 14400000
#define REPORTS_GIVE_UP_MS 86400000 /* RFC 8460 5.5: after the first attempt */

struct resolve;
struct store;

/* A report by mail, for a worker to make durable; it comes back. */
struct report_mail {
    struct mail mail;
    struct mailbox *reply_to;
    const char *from, *to;
    struct buffer body; /* moves into the message */
    bool taken;
    uint64_t id; /* of the message */
    void *context;
    void (*reply)(struct mail *mail, void *taker); /* `deliver` when it comes back */
};

struct reports_parts {
    struct config *config; /* a reference is kept */
    struct store *store;   /* NULL: nothing is kept over a restart */
    struct resolve *resolve;
    struct mailbox *worker; /* who gets mails; `hand_in` is their `deliver` there */
    void (*hand_in)(struct mail *take_report_mail, void *taker);
};

struct reports;

/* With what the store has kept. */
struct reports *reports_create(const struct reports_parts *parts);
/* No more turns will come: what has come back is taken note of, and all is written down. */
void reports_end(struct reports *reports);
void reports_destroy(struct reports **reports);
void reports_reconfigure(struct reports *reports, struct config *config); /* any thread */

/* Any thread; no I/O. */
void reports_count(struct reports *reports, const struct tlsrpt_session *session, int64_t wall_ms);
struct tlsrpt *reports_counts(struct reports *reports);

/* One turn: `wall_ms` since 1970. */
void reports_turn(struct reports *reports, int64_t wall_ms);
/* A turn, after up to `wait_ms` for something to do. */
void reports_step(struct reports *reports, int wait_ms);
/* handing_in.c: a worker's part. */
void report_hand_in(struct mail *take_report_mail, void *taker);
