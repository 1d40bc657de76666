/* The inside of the running relay, for its own files: starting.c, run.c (signals, ending) and
 * reload.c (a new configuration). Main thread only, but for what is atomic. */
#pragma once

#include "relay/admin/control.h"
#include "relay/admin/http.h"
#include "relay/health.h"
#include "relay/inbound/inbound.h"
#include "relay/outbound/dispatch.h"
#include "relay/service.h"
#include "relay/worker.h"

#include <pthread.h>

struct running_thread;
typedef bool running_step(struct running_thread *thread);

struct running_thread {
    struct running *running;
    running_step *step;
    struct worker *worker; /* NULL: not a worker's */
    struct health_part *health;
    pthread_t id;
};

struct running {
    struct config *config;
    struct relay relay;
    struct resolve *resolve;
    struct control_parts control_parts;
    struct control *control;
    struct http *http; /* NULL without an admin section */
    int admin_handed_over;
    struct service *service;
    struct health health;
    bool works;                  /* as was logged last */
    struct listening *listening; /* while it starts: one per listen section */
    unsigned listening_count;
    struct mailbox *mailboxes;
    struct worker **workers;
    unsigned worker_count;
    struct restore *restore;
    struct running_thread
        *threads; /* workers, then committer, loader, passwords, logins, tickets, reports */
    unsigned thread_count;
    atomic_bool ending;
    atomic_bool broken; /* the spool */
    int64_t started_ms;
    char why[512];
    int exit_code;
};

/* starting.c: false with why and an exit code; then what there is must be stopped all the same. */
bool running_start(struct running *running);

/* A listener for mail or admin; `handed_over` is its descriptor, or -1. */
void running_log_listening(const char *on, const char *what, int handed_over);

/* reload.c: reads the configuration again; one with errors changes nothing. */
void running_reload(struct running *running);
/* Reads the machine's CA certificates, which may have been upgraded meanwhile. */
void running_load_authorities(void);
/* Logs what is not wrong but holds up mail: that which must be sent from an address that is not
 * there waits, and all other mail does not. */
void running_log_doubts(const struct config *config);
