#include "relay/run.h"

#include "relay/admin/control.h"
#include "relay/inbound/inbound.h"
#include "relay/outbound/attempt.h"
#include "relay/outbound/connection.h"
#include "relay/outbound/dispatch.h"
#include "relay/outbound/notifier.h"
#include "relay/restore.h"
#include "relay/worker.h"

#include <errno.h>
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

struct running {
    struct config *config;
    struct relay relay;
    struct resolve *resolve;
    struct control *control;
    struct mailbox *mailboxes;
    struct worker **workers;
    unsigned worker_count;
    struct restore *restore;
    pthread_t *threads; /* workers, then committer, then loader */
    unsigned thread_count;
    atomic_bool ending;
    atomic_bool broken; /* the spool */
    int64_t started_ms;
    char why[512];
    int exit_code;
};

/* ---- threads: each a loop around one step ---- */

struct worker_thread {
    struct running *running;
    struct worker *worker;
};

static void *run_worker(void *argument)
{
    struct worker_thread thread = *(struct worker_thread *)argument;
    free(argument);
    while (!atomic_load(&thread.running->ending))
        worker_step(thread.worker, STEP_MS);
    return NULL;
}

static void *run_committer(void *argument)
{
    struct running *running = argument;
    while (!atomic_load(&running->ending)) {
        if (!committer_step(running->relay.committer, STEP_MS)) {
            atomic_store(&running->broken, true);
            kill(getpid(), SIGTERM); /* wakes the main thread */
            break;
        }
        log_flush();
    }
    return NULL;
}

static void *run_loader(void *argument)
{
    struct running *running = argument;
    while (!atomic_load(&running->ending)) {
        loader_step(running->relay.loader, STEP_MS);
        log_flush();
    }
    return NULL;
}

static void start_thread(struct running *running, void *(*run)(void *), void *argument)
{
    must(pthread_create(&running->threads[running->thread_count++], NULL, run, argument) == 0);
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

/* SO_REUSEPORT would let two relays share a port in silence: look before. */
static bool ports_are_free(struct running *running)
{
    char text[ENDPOINT_TEXT_MAX];
    for (unsigned i = 0; i < running->config->listen_count; i++) {
        const struct endpoint *at = &running->config->listen[i].at;
        int error = at->port ? os_listen_check(at) : 0;
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
    unsigned count = running->config->listen_count;
    struct endpoint *at = must_calloc(count, sizeof(*at));
    bool ok = true;
    for (unsigned i = 0; i < count; i++)
        at[i] = running->config->listen[i].at;
    for (unsigned i = 0; i < running->worker_count && ok; i++) {
        struct worker *worker = running->workers[i];
        worker->inbound = inbound_create(worker, at, running->why, sizeof(running->why));
        ok = worker->inbound != NULL;
        if (ok)
            inbound_endpoints(worker->inbound, at); /* a free port is the same for all */
    }
    free(at);
    return ok || fail(running, EX_UNAVAILABLE);
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
    for (unsigned i = 0; i < running->worker_count; i++) {
        struct worker_thread *thread = must_calloc(1, sizeof(*thread));
        *thread = (struct worker_thread){running, running->workers[i]};
        start_thread(running, run_worker, thread);
    }
    start_thread(running, run_committer, running);
    start_thread(running, run_loader, running);
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
    unsigned count = running->config->listen_count;
    struct endpoint *at = must_calloc(count, sizeof(*at));
    char text[ENDPOINT_TEXT_MAX];
    inbound_endpoints(running->workers[0]->inbound, at);
    for (unsigned i = 0; i < count; i++)
        log_note("listening", "on", "%s", endpoint_format(&at[i], text));
    free(at);
}

/* Mail that must be sent from there waits, and all other mail does not. */
static void log_doubts(const struct config *config)
{
    struct buffer doubts CLEANUP(buffer_free) = {0};
    struct span rest, line;
    config_doubts(config, &doubts);
    for (rest = buffer_span(&doubts); span_line(&rest, &line);)
        log_note("warning", "why", "%.*s", SPAN_FORMAT(line));
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
    log_doubts(config);
    log_flush();
}

static bool start(struct running *running)
{
    raise_descriptors();
    running->started_ms = os_now();
    if (!ports_are_free(running) || !open_spool(running) || !create_workers(running) ||
        !start_control(running))
        return false;
    start_threads(running);
    log_started(running);
    return true;
}

/* ---- signals ---- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_listeners(const struct config *old, const struct config *new)
{
    if (old->listen_count != new->listen_count)
        return false;
    for (unsigned i = 0; i < new->listen_count; i++)
        if (!ip_equal(&old->listen[i].at.ip, &new->listen[i].at.ip) ||
            old->listen[i].at.port != new->listen[i].at.port)
            return false;
    return true;
}

/* What needs a restart is said, not done by halves. */
static void tell_unchangeable(const struct config *old, const struct config *new)
{
    const struct {
        const char *key;
        bool same;
    } keys[] = {
        {"spool", same_text(old->spool, new->spool)},
        {"control", same_text(old->control, new->control)},
        {"submit", same_text(old->submit, new->submit)},
        {"resolver", same_text(old->resolver, new->resolver)},
        {"workers", old->workers == new->workers},
        {"durability", old->durability == new->durability},
        {"map-size", old->map_bytes == new->map_bytes},
        {"min-free", old->min_free_bytes == new->min_free_bytes},
        {"listen", same_listeners(old, new)},
    };
    for (size_t i = 0; i < countof(keys); i++)
        if (!keys[i].same)
            log_note("reload-needs-restart", "key", "%s", keys[i].key);
}

static void log_errors(const struct buffer *errors)
{
    struct span rest = buffer_span(errors), line;
    while (span_line(&rest, &line))
        log_note("reload-failed", "why", "%.*s", SPAN_FORMAT(line));
}

static void reload(struct running *running)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = config_read(running->config->path, &errors);
    if (config == NULL || !config_check_files(config, &errors)) {
        log_errors(&errors);
        log_note("reload-failed", "what", "the old configuration stays in effect");
        if (config != NULL)
            config_drop(&config);
        return;
    }
    tell_unchangeable(running->config, config);
    log_doubts(config);
    log_set_format(config->log);
    dispatch_reconfigure(running->relay.dispatch, config);
    for (unsigned i = 0; i < running->worker_count; i++)
        worker_reconfigure(running->workers[i], config);
    config_drop(&running->config);
    running->config = config;
    log_note("reloaded", "configuration", "%s", config->path ? config->path : "defaults");
}

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

/* Lets go what is under way, for as long as the deadline allows; a second signal ends it. */
static void drain(struct running *running, const sigset_t *signals)
{
    int64_t deadline = os_now() + running->config->drain_ms;
    log_note("draining", "deadline", "%llds", (long long)running->config->drain_ms / 1000);
    log_flush();
    dispatch_drain(running->relay.dispatch);
    for (unsigned i = 0; i < running->worker_count; i++)
        worker_drain(running->workers[i]);
    while (!all_quiet(running) && os_now() < deadline && !atomic_load(&running->broken)) {
        struct timespec wait = {.tv_nsec = DRAIN_LOOK_MS * 1000000L};
        int signal = sigtimedwait(signals, NULL, &wait);
        if (signal == SIGTERM || signal == SIGINT)
            return;
    }
}

static void wait_for_signals(struct running *running, const sigset_t *signals)
{
    for (;;) {
        int signal = sigwaitinfo(signals, NULL);
        if (signal == SIGHUP)
            reload(running);
        else if (signal == SIGUSR1)
            log_statistics();
        else if (signal == SIGTERM || signal == SIGINT)
            break;
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
        pthread_join(running->threads[i], NULL);
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
    free(running->threads);
    free(running->workers);
    free(running->mailboxes);
    config_drop(&running->config);
}

int relay_run(struct config *take_config)
{
    struct running running = {.config = take_config};
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
