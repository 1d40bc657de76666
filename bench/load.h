/* The load: many connections that hand messages to one server, as fast as it takes them or
 * at a rate, and measure how long each takes.
 *
 * One `struct load` for the process, one `struct load_worker` per thread, one `struct
 * load_session` per connection. A message that a broken connection left without its 250 has
 * failed and is never sent again; another one takes its place. */
#pragma once

#include "base/list.h"
#include "base/wheel.h"
#include "bench/histogram.h"
#include "bench/ledger.h"
#include "bench/load_body.h"
#include "relay/channel.h"
#include "relay/smtp/reply.h"

#include <pthread.h>
#include <stdatomic.h>

#define LOAD_THREADS_MAX 64
#define LOAD_CONNECTIONS_MAX 10000
#define LOAD_DOMAINS_MAX 1000000
#define LOAD_RATE_MAX 10000000
#define LOAD_MESSAGES 1000 /* unless said otherwise */
#define LOAD_TIME_MAX_MS (30LL * 24 * 3600 * 1000)
#define LOAD_PAUSE_MS 100      /* between a failure and the next try to connect */
#define LOAD_PATIENCE_MS 30000 /* unless said otherwise */
#define LOAD_REACH_MS 5000     /* the patience before any connection has succeeded; the same */

struct load_options {
    struct endpoint to;
    uint64_t threads, connections, per_connection; /* per_connection 0: no limit */
    uint64_t messages; /* to be accepted, or refused; INT64_MAX: until the time is over */
    uint64_t for_ms;   /* 0: until all messages have been accepted */
    uint64_t rate;     /* messages a second; 0: as fast as they are taken (closed loop) */
    uint64_t size, domains;
    uint64_t patience_ms, reach_ms; /* reach_ms: before any connection has succeeded */
    const char *corpus, *from, *to_domain, *ledger;
    bool starttls, tls, resume, pipelining, chunking, json;
};

struct load {
    struct load_options options;
    struct load_bodies bodies;
    uint64_t run;               /* makes Message-IDs unique among runs */
    int64_t started_us, end_ms; /* end_ms: no message is begun later */
    struct span mail, rcpt;     /* what commands begin with */
    struct os_loop *main_loop;
    _Atomic int64_t left; /* messages not yet begun; failed ones are given back */
    _Atomic uint64_t accepted, failed, refused, connections;
    _Atomic unsigned working; /* threads */
    _Atomic bool stopping, broken;
};

struct load_session;

struct load_worker {
    struct load *load;
    pthread_t thread;
    struct os_loop *loop;
    struct wheel wheel;
    int64_t now_ms, now_us;
    struct tickets *tickets;
    struct tls_client *tls;
    struct reply_reader replies; /* a reply is looked at before the next one is read */
    struct ledger ledger;
    struct histogram latency; /* us */
    uint64_t full, resumed;   /* handshakes */
    int64_t last_us;          /* when the last message was accepted */
    unsigned index;           /* among all threads */
    uint64_t begun;           /* messages */
    uint64_t due_count;       /* messages that have been due (open loop) */
    struct list idle;         /* sessions that wait for a message to be due */
    struct load_session *sessions;
    unsigned session_count, alive;
    char trouble[LOAD_WHY_MAX]; /* the last one */
};

void load_worker_open(struct load_worker *worker, struct load *load, unsigned index);
void *load_worker_run(void *thread); /* a load_worker: until all of its sessions are done */
void load_worker_close(struct load_worker *worker);

/* ---- for the sessions of this worker ---- */

enum load_turn {
    LOAD_NOW,   /* a message may begin; *due_us says when it should have */
    LOAD_LATER, /* none is due: load_session_due will be called */
    LOAD_NEVER, /* no more messages */
};
enum load_turn load_worker_turn(struct load_worker *worker, int64_t *due_us);
uint64_t load_worker_number(struct load_worker *worker);    /* for a new message; never the same */
bool load_worker_is_done(const struct load_worker *worker); /* LOAD_NEVER would be said */

/* Something that makes the run worthless, as a full disk: says so and stops it. */
void load_break(struct load *load, const char *what, int error);
