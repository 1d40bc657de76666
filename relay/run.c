#include "relay/run.h"

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
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#define DRAIN_LOOK_MS 20
#define LOG_STOP_MS 5000 /* for whoever reads the log to take the last lines */
#define STOP_MS 10000 /* that an end may take once it has drained, as the service manager hears */
#define WATCH_MS 5000 /* how often the process looks whether it works */

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
        passwords_give_up(running->relay.passwords);
        logins_give_up(running->relay.logins);
        for (unsigned i = 0; i < running->worker_count; i++)
            worker_step(running->workers[i], 0);
    }
}

static void stop(struct running *running)
{
    http_stop(&running->http);
    if (running->control != NULL)
        control_stop(&running->control);
    if (running->restore != NULL)
        restore_stop(&running->restore);
    stop_threads(running);
    if (running->relay.discoverer != NULL)
        discoverer_stop(running->relay.discoverer);
    if (running->resolve != NULL)
        resolve_destroy(&running->resolve);
    settle(running);
    if (running->relay.tickets != NULL)
        tickets_flush(running->relay.tickets);
    if (running->relay.reports != NULL)
        reports_end(running->relay.reports);
    if (running->relay.dispatch != NULL && !all_quiet(running)) {
        log_stop(LOG_STOP_MS);
        _exit(running->exit_code); /* what is in hand is in the spool: it is not pulled away */
    }
    for (unsigned i = 0; i < running->worker_count; i++)
        worker_destroy(&running->workers[i]);
    if (running->relay.dispatch != NULL)
        dispatch_destroy(&running->relay.dispatch);
    discoverer_destroy(&running->relay.discoverer);
    notifier_destroy(&running->relay.notifier);
    reports_destroy(&running->relay.reports);
    logins_destroy(&running->relay.logins);
    inbound_unshare(&running->relay);
    if (running->relay.spool != NULL) {
        committer_destroy(&running->relay.committer);
        loader_destroy(&running->relay.loader);
        tickets_destroy(&running->relay.tickets);
        store_close(&running->relay.store);
        spool_close(&running->relay.spool);
    }
    service_destroy(&running->service);
    listening_close(running->listening, running->listening_count);
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
    if (running_start(&running)) {
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
