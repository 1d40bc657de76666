#include "relay/discovery.h"
#include "relay/inbound/passwords.h"
#include "relay/outbound/attempt.h"
#include "relay/outbound/connection.h"
#include "relay/outbound/logins.h"
#include "relay/outbound/notifier.h"
#include "relay/reports/reports.h"
#include "relay/restore.h"
#include "relay/run_inside.h"
#include "tlspolicy/store.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define STEP_MS 200 /* a thread without work looks this often whether it should end */

/* ---- threads: each a loop around one step; false ends it ---- */

static bool step_worker(struct running_thread *thread)
{
    worker_step(thread->worker, STEP_MS);
    return true;
}

static bool step_committer(struct running_thread *thread)
{
    struct running *running = thread->running;
    if (committer_step(running->relay.committer, STEP_MS))
        return true;
    atomic_store(&running->broken, true);
    kill(getpid(), SIGTERM); /* wakes the main thread */
    return false;
}

static bool step_loader(struct running_thread *thread)
{
    loader_step(thread->running->relay.loader, STEP_MS);
    return true;
}

static bool step_passwords(struct running_thread *thread)
{
    passwords_step(thread->running->relay.passwords, STEP_MS);
    return true;
}

static bool step_logins(struct running_thread *thread)
{
    logins_step(thread->running->relay.logins, STEP_MS);
    return true;
}

static bool step_tickets(struct running_thread *thread)
{
    tickets_step(thread->running->relay.tickets, STEP_MS);
    return true;
}

static bool step_reports(struct running_thread *thread)
{
    reports_step(thread->running->relay.reports, STEP_MS);
    return true;
}

static void *run_thread(void *argument)
{
    struct running_thread *thread = argument;
    while (!atomic_load(&thread->running->ending) && thread->step(thread)) {
        health_beat(thread->health);
        log_flush();
    }
    return NULL;
}

static void start_thread(struct running *running, running_step *step, struct worker *worker)
{
    unsigned number = running->thread_count++;
    struct running_thread *thread = &running->threads[number];
    *thread = (struct running_thread){running, step, worker, &running->health.parts[number], 0};
    must(pthread_create(&thread->id, NULL, run_thread, thread) == 0);
    pthread_setname_np(thread->id, thread->health->name); /* as `top -H` shows it */
}

/* ---- starting ---- */

static bool fail(struct running *running, int exit_code)
{
    running->exit_code = exit_code;
    return false;
}

/* A cache: what is wrong with it stops nothing. */
static void open_store(struct running *running)
{
    char directory[PATH_MAX], why[STORE_WHY_MAX];
    snprintf(directory, sizeof(directory), "%s/tls", running->config->spool);
    running->relay.store = store_open(directory, why);
    if (why[0] != '\0')
        log_note("warning", "why", "%s", why);
    running->relay.tickets = tickets_create(running->relay.store, os_wall());
}

static bool open_spool(struct running *running)
{
    const struct config *config = running->config;
    struct spool_options options = {.directory = config->spool,
                                    .durability = config->durability,
                                    .map_bytes = config->map_bytes,
                                    .min_free_bytes = config->min_free_bytes};
    running->relay.spool =
        spool_open(&options, running->why, sizeof(running->why), &running->exit_code);
    if (running->relay.spool == NULL)
        return false;
    running->relay.committer = committer_create(running->relay.spool);
    running->relay.loader = loader_create(running->relay.spool);
    open_store(running);
    return true;
}

/* What was handed over need not be opened. */
static void take_sockets(struct running *running)
{
    const struct config *config = running->config;
    running->listening_count = config->listen_count;
    running->listening = must_calloc(config->listen_count, sizeof(*running->listening));
    for (unsigned i = 0; i < config->listen_count; i++) {
        const struct endpoint *at = &config->listen[i].at;
        running->listening[i] = (struct listening){*at, service_take(running->service, at)};
    }
    running->admin_handed_over = -1;
    if (config->admin.on && config->admin.path != NULL)
        running->admin_handed_over = service_take_path(running->service, config->admin.path);
    else if (config->admin.on)
        running->admin_handed_over = service_take(running->service, &config->admin.at);
    service_tell_unused(running->service);
}

/* SO_REUSEPORT would let two relays share a port in silence: look before. */
static bool ports_are_free(struct running *running)
{
    char text[ENDPOINT_TEXT_MAX];
    for (unsigned i = 0; i < running->config->listen_count; i++) {
        const struct endpoint *at = &running->config->listen[i].at;
        bool ours = at->port != 0 && running->listening[i].socket < 0;
        int error = ours ? os_listen_check(at) : 0;
        if (error == 0)
            continue;
        snprintf(running->why, sizeof(running->why),
                 "cannot listen on %s: %s; stop what listens there, or change the listen section",
                 endpoint_format(at, text), strerror(-error));
        return fail(running, EX_UNAVAILABLE);
    }
    return true;
}

static bool open_listeners(struct running *running)
{
    unsigned count = running->listening_count;
    bool fine = true;
    for (unsigned i = 0; i < running->worker_count && fine; i++) {
        struct worker *worker = running->workers[i];
        struct listening *where = listening_share(running->listening, count);
        worker->inbound = inbound_create(worker, where, running->why, sizeof(running->why));
        fine = worker->inbound != NULL;
        if (fine)
            inbound_endpoints(worker->inbound, running->listening); /* free ports: one for all */
        listening_close(where, count);
        free(where);
    }
    return fine || fail(running, EX_UNAVAILABLE);
}

static void create_discoverer(struct running *running)
{
    const struct discoverer_parts parts = {
        .resolve = running->resolve, .store = running->relay.store, .config = running->config};
    running->relay.discoverer = discoverer_create(&parts);
}

static void create_dispatch(struct running *running)
{
    struct dispatch_parts parts = {
        .config = running->config,
        .spool = running->relay.spool,
        .committer = running->relay.committer,
        .resolve = running->resolve,
        .discoverer = running->relay.discoverer,
        .workers = running->mailboxes,
        .worker_count = running->worker_count,
        .open = connection_open,
        .end_locally = attempt_end_locally,
        .wake = connection_wake,
    };
    running->relay.dispatch = dispatch_create(&parts);
}

static void create_reports(struct running *running)
{
    struct reports_parts parts = {
        .config = running->config,
        .store = running->relay.store,
        .resolve = running->resolve,
        .worker = &running->mailboxes[0],
        .hand_in = report_hand_in,
    };
    running->relay.reports = reports_create(&parts);
}

static bool create_workers(struct running *running)
{
    running->worker_count = running->config->workers;
    running->mailboxes = must_calloc(running->worker_count, sizeof(*running->mailboxes));
    running->workers = must_calloc(running->worker_count, sizeof(struct worker *));
    inbound_share(&running->relay);
    running->relay.notifier = notifier_create();
    running->relay.logins = logins_create();
    for (unsigned i = 0; i < running->worker_count; i++)
        running->workers[i] =
            worker_create(&running->relay, i, &running->mailboxes[i], running->config);
    const struct resolve_settings settings = config_resolver(running->config);
    running->resolve = resolve_create(&settings, running->why, sizeof(running->why));
    if (running->resolve == NULL)
        return fail(running, EX_CONFIG);
    create_discoverer(running);
    create_dispatch(running);
    create_reports(running);
    return open_listeners(running);
}

static bool start_control(struct running *running)
{
    running->control_parts =
        (struct control_parts){.path = running->config->control,
                               .spool = running->relay.spool,
                               .dispatch = running->relay.dispatch,
                               .committer = running->relay.committer,
                               .tlsrpt = reports_counts(running->relay.reports),
                               .started_ms = running->started_ms};
    running->control = control_start(&running->control_parts, running->why, sizeof(running->why));
    return running->control != NULL || fail(running, EX_CANTCREAT);
}

static bool start_http(struct running *running)
{
    const struct admin_config *admin = &running->config->admin;
    if (!admin->on)
        return true;
    const struct http_parts parts = {.admin = admin,
                                     .handed_over = running->admin_handed_over,
                                     .api = {.control = &running->control_parts,
                                             .health = &running->health,
                                             .tickets = running->relay.tickets,
                                             .hostname = running->config->hostname}};
    running->http = http_start(&parts, running->why, sizeof(running->why));
    return running->http != NULL || fail(running, EX_UNAVAILABLE);
}

static void start_threads(struct running *running)
{
    running->threads = must_calloc(running->worker_count + 6, sizeof(*running->threads));
    discoverer_start(running->relay.discoverer);
    /* First: what is accepted from now on must not be taken for what was there. */
    running->restore = restore_start(running->relay.spool, running->relay.dispatch);
    for (unsigned i = 0; i < running->worker_count; i++)
        start_thread(running, step_worker, running->workers[i]);
    start_thread(running, step_committer, NULL);
    start_thread(running, step_loader, NULL);
    start_thread(running, step_passwords, NULL);
    start_thread(running, step_logins, NULL);
    start_thread(running, step_tickets, NULL);
    start_thread(running, step_reports, NULL);
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

void running_log_listening(const char *on, const char *what, int handed_over)
{
    struct log_line line;
    log_begin(&line, "listening");
    log_string(&line, "on", on);
    log_string(&line, "for", what);
    if (handed_over >= 0)
        log_number(&line, "fd", handed_over);
    log_end(&line);
}

static void log_listeners(const struct running *running)
{
    char text[ENDPOINT_TEXT_MAX];
    for (unsigned i = 0; i < running->listening_count; i++)
        running_log_listening(endpoint_format(&running->listening[i].at, text), "mail",
                              running->listening[i].socket);
    if (running->http != NULL)
        running_log_listening(http_place(running->http), "admin", running->admin_handed_over);
}

static void log_started(const struct running *running)
{
    struct log_line line;
    const struct config *config = running->config;
    log_listeners(running);
    log_begin(&line, "started");
    log_string(&line, "version", MILLRACE_VERSION);
    log_string(&line, "hostname", config->hostname);
    log_string(&line, "spool", config->spool);
    log_string(&line, "control", config->control);
    log_string(&line, "submit", config->submit);
    log_number(&line, "workers", running->worker_count);
    log_number(&line, "pid", getpid());
    log_end(&line);
    if (config->durability != DURABILITY_COMMIT)
        log_note("warning", "why",
                 "durability is not \"commit\": mail that was accepted may be lost in a crash; "
                 "for load tests only");
    running_log_doubts(config);
    log_flush();
}

/* In the order of the threads. */
static void create_health(struct running *running)
{
    struct health *health = &running->health;
    for (unsigned i = 0; i < running->worker_count; i++)
        health_add(health, HEALTH_WORKER_MS, "worker %u", i);
    health_add(health, HEALTH_COMMITTER_MS, "committer");
    health_add(health, HEALTH_WORKER_MS, "loader");
    health_add(health, HEALTH_PASSWORDS_MS, "passwords");
    health_add(health, HEALTH_PASSWORDS_MS, "logins");
    health_add(health, HEALTH_COMMITTER_MS, "tickets");
    health_add(health, HEALTH_COMMITTER_MS, "reports");
    health->bound_most_ms = service_watchdog_ms(running->service);
    health->dispatch = running->relay.dispatch;
    health->spool = running->relay.spool;
    health_configure(health, running->config);
}

bool running_start(struct running *running)
{
    raise_descriptors();
    running->started_ms = os_now();
    running->service = service_create();
    take_sockets(running);
    if (!ports_are_free(running) || !open_spool(running) || !create_workers(running) ||
        !start_control(running))
        return false;
    create_health(running);
    running_load_authorities();
    if (!start_http(running))
        return false;
    start_threads(running);
    health_enter(&running->health, HEALTH_RUNNING);
    log_started(running);
    listening_close(running->listening, running->listening_count); /* the workers have theirs */
    return true;
}
