#include "relay/run.h"

#include "relay/outbound/attempt.h"
#include "relay/outbound/connection.h"
#include "relay/outbound/notifier.h"
#include "relay/restore.h"
#include "relay/run_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define STEP_MS 200 /* a thread without work looks this often whether it should end */
#define DRAIN_LOOK_MS 20
#define LOG_STOP_MS 5000 /* for whoever reads the log to take the last lines */
#define STOP_MS 10000 /* that an end may take once it has drained, as the service manager hears */
#define WATCH_MS 5000 /* how often the process looks whether it works */

/* ---- threads: each a loop around one step ---- */

static void *run_worker(void *argument)
{
    struct running_thread *thread = argument;
    while (!atomic_load(&thread->running->ending)) {
        worker_step(thread->worker, STEP_MS);
        health_beat(thread->health);
    }
    return NULL;
}

static void *run_committer(void *argument)
{
    struct running_thread *thread = argument;
    struct running *running = thread->running;
    while (!atomic_load(&running->ending)) {
        if (!committer_step(running->relay.committer, STEP_MS)) {
            atomic_store(&running->broken, true);
            kill(getpid(), SIGTERM); /* wakes the main thread */
            break;
        }
        health_beat(thread->health);
        log_flush();
    }
    return NULL;
}

static void *run_loader(void *argument)
{
    struct running_thread *thread = argument;
    while (!atomic_load(&thread->running->ending)) {
        loader_step(thread->running->relay.loader, STEP_MS);
        health_beat(thread->health);
        log_flush();
    }
    return NULL;
}

static void start_thread(struct running *running, void *(*run)(void *), struct worker *worker)
{
    unsigned number = running->thread_count++;
    struct running_thread *thread = &running->threads[number];
    *thread = (struct running_thread){running, worker, &running->health.parts[number], 0};
    must(pthread_create(&thread->id, NULL, run, thread) == 0);
    pthread_setname_np(thread->id, thread->health->name); /* as `top -H` shows it */
}

/* ---- starting ---- */

static bool fail(struct running *running, int exit_code)
{
    running->exit_code = exit_code;
    return false;
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
    service_tell_unused(running->service);
}

/* SO_REUSEPORT would let two relays share a port in silence: look before. */
static bool ports_are_free(struct running *running)
{
    char text[ENDPOINT_TEXT_MAX];
    for (unsigned i = 0; i < running->config->listen_count; i++) {
        const struct endpoint *at = &running->config->listen[i].at;
        bool ours = at->port != 0 && running->listening[i].handed_over < 0;
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
    for (unsigned i = 0; i < running->worker_count; i++) {
        struct worker *worker = running->workers[i];
        worker->inbound =
            inbound_create(worker, running->listening, running->why, sizeof(running->why));
        if (worker->inbound == NULL)
            return fail(running, EX_UNAVAILABLE);
        inbound_endpoints(worker->inbound, running->listening); /* a free port: the same for all */
    }
    return true;
}

static void create_dispatch(struct running *running)
{
    struct dispatch_parts parts = {
        .config = running->config,
        .spool = running->relay.spool,
        .committer = running->relay.committer,
        .resolve = running->resolve,
        .workers = running->mailboxes,
        .worker_count = running->worker_count,
        .open = connection_open,
        .end_locally = attempt_end_locally,
        .wake = connection_wake,
    };
    running->relay.dispatch = dispatch_create(&parts);
}

static bool create_workers(struct running *running)
{
    running->worker_count = running->config->workers;
    running->mailboxes = must_calloc(running->worker_count, sizeof(*running->mailboxes));
    running->workers = must_calloc(running->worker_count, sizeof(struct worker *));
    running->relay.clients = inbound_clients_create();
    running->relay.notifier = notifier_create();
    for (unsigned i = 0; i < running->worker_count; i++)
        running->workers[i] =
            worker_create(&running->relay, i, &running->mailboxes[i], running->config);
    running->resolve =
        resolve_create(running->config->resolver, running->why, sizeof(running->why));
    if (running->resolve == NULL)
        return fail(running, EX_CONFIG);
    create_dispatch(running);
    return open_listeners(running);
}

static bool start_control(struct running *running)
{
    struct control_parts parts = {.path = running->config->control,
                                  .spool = running->relay.spool,
                                  .dispatch = running->relay.dispatch,
                                  .committer = running->relay.committer,
                                  .started_ms = running->started_ms};
    running->control = control_start(&parts, running->why, sizeof(running->why));
    return running->control != NULL || fail(running, EX_CANTCREAT);
}

static void start_threads(struct running *running)
{
    running->threads = must_calloc(running->worker_count + 2, sizeof(*running->threads));
    /* First: what is accepted from now on must not be taken for what was there. */
    running->restore = restore_start(running->relay.spool, running->relay.dispatch);
    for (unsigned i = 0; i < running->worker_count; i++)
        start_thread(running, run_worker, running->workers[i]);
    start_thread(running, run_committer, NULL);
    start_thread(running, run_loader, NULL);
}

static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void log_listeners(const struct running *running)
{
    char text[ENDPOINT_TEXT_MAX];
    for (unsigned i = 0; i < running->listening_count; i++) {
        const struct listening *listening = &running->listening[i];
        struct log_line line;
        log_begin(&line, "listening");
        log_string(&line, "on", endpoint_format(&listening->at, text));
        if (listening->handed_over >= 0)
            log_number(&line, "fd", listening->handed_over);
        log_end(&line);
    }
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
    health->bound_most_ms = service_watchdog_ms(running->service);
    health->dispatch = running->relay.dispatch;
    health->spool = running->relay.spool;
    health_configure(health, running->config);
}

static bool start(struct running *running)
{
    raise_descriptors();
    running->started_ms = os_now();
    running->service = service_create();
    take_sockets(running);
    if (!ports_are_free(running) || !open_spool(running) || !create_workers(running) ||
        !start_control(running))
        return false;
    create_health(running);
    start_threads(running);
    health_enter(&running->health, HEALTH_RUNNING);
    log_started(running);
    return true;
}

/* ---- signals ---- */

static void log_statistics(void)
{
    struct log_line line;
    int64_t values[METRIC_COUNT], difference;
    bool balanced = metrics_snapshot(values, &difference);
    log_begin(&line, "statistics");
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        log_number(&line, metric_name((enum metric)i), values[i]);
    log_string(&line, "balanced", balanced ? "yes" : "no");
    log_end(&line);
}

static bool all_quiet(struct running *running)
{
    return metric_read(METRIC_INBOUND_OPEN) == 0 &&
           metric_sum(METRIC_CONNECTIONS_CLAIMING, METRIC_CONNECTIONS_CLOSING) == 0 &&
           dispatch_out(running->relay.dispatch) == 0;
}

/* ---- the service manager ---- */

static void tell_status(const struct running *running, const char *first)
{
    service_tell(running->service,
                 "%sSTATUS=%" PRId64 " recipients queued, %" PRId64 " connections in, %" PRId64
                 " out",
                 first, metric_read(METRIC_QUEUED), metric_read(METRIC_INBOUND_OPEN),
                 metric_sum(METRIC_CONNECTIONS_CLAIMING, METRIC_CONNECTIONS_CLOSING));
}

/* A change of the process's health is logged once. What does not work does not ping. */
static void watch(struct running *running)
{
    char why[HEALTH_WHY_MAX];
    bool works = health_works(&running->health, why);
    if (works != running->works)
        log_note(works ? "healthy" : "unhealthy", "why", "%s", works ? "all threads turn" : why);
    running->works = works;
    if (works)
        service_ping(running->service);
    log_flush();
}

/* The next signal, or 0 after up to `wait_ms`. */
static int next_signal(struct running *running, const sigset_t *signals, int64_t wait_ms)
{
    struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
    int signal = sigtimedwait(signals, NULL, &wait);
    watch(running);
    return signal > 0 ? signal : 0;
}

/* ---- signals ---- */

/* Lets go what is under way, for as long as the deadline allows; a second signal ends it. */
static void drain(struct running *running, const sigset_t *signals)
{
    int64_t deadline = os_now() + running->config->drain_ms;
    log_note("draining", "deadline", "%llds", (long long)running->config->drain_ms / 1000);
    log_flush();
    health_enter(&running->health, HEALTH_DRAINING);
    service_tell(running->service, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64 "\nSTATUS=draining",
                 (running->config->drain_ms + STOP_MS) * 1000);
    dispatch_drain(running->relay.dispatch);
    for (unsigned i = 0; i < running->worker_count; i++)
        worker_drain(running->workers[i]);
    while (!all_quiet(running) && os_now() < deadline && !atomic_load(&running->broken)) {
        int signal = next_signal(running, signals, DRAIN_LOOK_MS);
        if (signal == SIGTERM || signal == SIGINT)
            return;
    }
}

static void wait_for_signals(struct running *running, const sigset_t *signals)
{
    int64_t look_ms = service_watchdog_ms(running->service) / 2; /* in time for each ping */
    int64_t wait_ms = look_ms > 0 && look_ms < WATCH_MS ? look_ms : WATCH_MS;
    tell_status(running, "READY=1\n");
    for (;;) {
        int signal = next_signal(running, signals, wait_ms);
        if (signal == SIGHUP)
            running_reload(running);
        else if (signal == SIGUSR1)
            log_statistics();
        else if (signal == SIGTERM || signal == SIGINT)
            break;
        tell_status(running, signal == SIGHUP ? "READY=1\n" : "");
        log_flush();
    }
    if (!atomic_load(&running->broken))
        drain(running, signals);
}

/* ---- ending ---- */

static void stop_threads(struct running *running)
{
    atomic_store(&running->ending, true);
    for (unsigned i = 0; i < running->worker_count && running->thread_count > 0; i++)
        worker_wake(running->workers[i]);
    for (unsigned i = 0; i < running->thread_count; i++)
        pthread_join(running->threads[i].id, NULL);
}

/* What was posted and not yet done: committed, read, delivered to its owner; until none is left. */
static void settle(struct running *running)
{
    if (atomic_load(&running->broken) || running->relay.dispatch == NULL)
        return;
    for (int round = 0; round < 8; round++) {
        committer_step(running->relay.committer, 0);
        loader_step(running->relay.loader, 0);
        for (unsigned i = 0; i < running->worker_count; i++)
            worker_step(running->workers[i], 0);
    }
}

static void stop(struct running *running)
{
    if (running->control != NULL)
        control_stop(&running->control);
    if (running->restore != NULL)
        restore_stop(&running->restore);
    stop_threads(running);
    if (running->resolve != NULL)
        resolve_destroy(&running->resolve);
    settle(running);
    if (running->relay.dispatch != NULL && !all_quiet(running)) {
        log_stop(LOG_STOP_MS);
        _exit(running->exit_code); /* what is in hand is in the spool: it is not pulled away */
    }
    for (unsigned i = 0; i < running->worker_count; i++)
        worker_destroy(&running->workers[i]);
    if (running->relay.dispatch != NULL)
        dispatch_destroy(&running->relay.dispatch);
    notifier_destroy(&running->relay.notifier);
    if (running->relay.clients != NULL)
        inbound_clients_destroy(&running->relay.clients);
    if (running->relay.spool != NULL) {
        committer_destroy(&running->relay.committer);
        loader_destroy(&running->relay.loader);
        spool_close(&running->relay.spool);
    }
    service_destroy(&running->service);
    for (unsigned i = 0; i < running->listening_count; i++)
        if (running->listening[i].handed_over >= 0)
            os_close(running->listening[i].handed_over);
    free(running->listening);
    free(running->threads);
    free(running->workers);
    free(running->mailboxes);
    config_drop(&running->config);
}

int relay_run(struct config *take_config)
{
    struct running running = {.config = take_config, .works = true};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* inherited by every thread */
    signal(SIGPIPE, SIG_IGN);
    log_open(take_config->log, os_wall);
    log_start();
    if (start(&running)) {
        wait_for_signals(&running, &signals);
        if (atomic_load(&running.broken)) {
            snprintf(running.why, sizeof(running.why), "%s",
                     committer_why(running.relay.committer));
            log_note("spool-broken", "why", "%s", running.why);
            log_stop(LOG_STOP_MS);
            _exit(EX_IOERR); /* nothing more may be written; what was promised is on the disk */
        }
        log_note("stopped", "queued", "%lld", (long long)metric_read(METRIC_QUEUED));
    } else {
        log_stop(LOG_STOP_MS);
        fprintf(stderr, "millrace: %s\n", running.why);
    }
    stop(&running);
    log_stop(LOG_STOP_MS);
    return running.exit_code;
}
