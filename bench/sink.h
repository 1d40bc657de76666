/* The sink: a mail server that takes everything and keeps nothing, with faults on demand.
 *
 * One `struct sink` for the process, one `struct sink_worker` per thread, one `struct
 * sink_session` per connection. Replies leave at the end of a turn of the loop, behind the
 * lines of the ledger that stand for them: what was answered 250 is in the ledger. */
#pragma once

#include "base/list.h"
#include "base/wheel.h"
#include "bench/fault.h"
#include "bench/ledger.h"
#include "bench/seen.h"
#include "relay/channel.h"
#include "relay/smtp/extension.h"

#include <pthread.h>
#include <stdatomic.h>

#define SINK_HOSTNAME "sink.millrace.test"
#define SINK_THREADS_MAX 64
#define SINK_TICKETS 2               /* per full handshake, as most servers do */
#define SINK_CONNECTIONS_MAX 16384   /* per thread; further clients wait to be accepted */
#define SINK_RECIPIENTS_MAX 1000     /* per message: then 452 4.5.3 */
#define SINK_SIZE_MAX (64u << 20)    /* bytes of a message: then 552 5.3.4 */
#define SINK_HEADER_MAX 65536        /* how far a Message-ID is searched for */
#define SINK_UNSENT_MAX (256u << 10) /* replies of a client that does not read them */
#define SINK_LINGER_MS 500           /* after the last of --messages: for clients to QUIT */

struct sink_options {
    struct endpoint listen;
    uint64_t threads, messages; /* messages 0: until a signal */
    uint64_t round_trip_ms;     /* of what it says, see sink_distance.h */
    const char *certificate, *key, *self_signed;
    enum tls_version tls_least, tls_most;
    bool implicit_tls, json;
    const char *dump, *ledger;
    struct faults faults;
    unsigned extensions;      /* offered: enum extension bits; STARTTLS goes by the certificate */
    bool requiretls;          /* REQUIRETLS as well, inside TLS (RFC 8689) */
    struct extensions limits; /* its mail_max, rcpt_max and rcpt_domain_max are kept to */
};

struct sink_totals {
    uint64_t messages, recipients, bytes, connections, handshakes, resumed, duplicates;
    uint64_t requiretls;         /* of the messages: those that came with it */
    uint64_t last_message_ms;    /* when the last message was taken: ms since 1970; 0: never */
    uint64_t flights;            /* how often somebody waited for replies that were on their way */
    uint64_t faults[FAULTS_MAX]; /* by row of options.faults */
};

/* How many there are at once, over all threads, and were at most. */
struct sink_gauge {
    _Atomic unsigned now, most;
};

void sink_gauge_up(struct sink_gauge *gauge);
unsigned sink_gauge_down(struct sink_gauge *gauge); /* how many are left */

struct sink {
    struct sink_options options;
    struct tls_server *tls, *tls_no_ticket; /* NULL without TLS; shared by all threads */
    struct seen *seen;
    struct os_loop *main_loop; /* the main thread waits there */
    _Atomic uint64_t taken;    /* messages that came whole, those over options.messages too */
    struct sink_gauge clients; /* connections open */
    struct sink_gauge mails; /* transactions: from MAIL until the reply to the message is written */
    _Atomic bool finished;   /* options.messages have been taken */
    _Atomic bool stopping, failed;
};

struct sink_worker {
    struct sink *sink;
    pthread_t thread;
    struct os_loop *loop;
    struct watcher listening;
    int listener;
    bool accept_stopped; /* at a limit: go on when a connection has gone */
    struct wheel wheel;
    int64_t now;
    struct ledger ledger;
    struct random_state random;
    struct sink_totals totals;
    struct list sessions, unsent;
    struct list flights; /* replies on their way, the oldest first */
    unsigned session_count;
};

/* Listens on `at`; port 0 is replaced by the one it got. 0 or -errno. */
int sink_worker_open(struct sink_worker *worker, struct sink *sink, struct endpoint *at);
void *sink_worker_run(void *thread); /* a sink_worker: until sink->stopping */
void sink_worker_close(struct sink_worker *worker);

/* Sends what the session has to say: at once, or behind the ledger at the end of the turn.
 * The session may be gone afterwards. */
struct sink_session;
void sink_worker_flush(struct sink_worker *worker, struct sink_session *session);
void sink_worker_write_ledger(struct sink_worker *worker);

/* All of options.messages have been taken: wakes the main thread. */
void sink_finish(struct sink *sink);

/* Something that makes the counts worthless, as a full disk: says so and stops the sink. */
void sink_fail(struct sink *sink, const char *what, const char *which, int error);
