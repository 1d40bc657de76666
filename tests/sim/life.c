#include "tests/sim/life.h"

#include "base/log.h"
#include "relay/inbound/inbound.h"
#include "relay/inbound/passwords.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/attempt.h"
#include "relay/outbound/connection.h"
#include "relay/outbound/dispatch.h"
#include "relay/outbound/notifier.h"
#include "relay/worker.h"
#include "tests/sim/client.h"
#include "tests/sim/ledger.h"
#include "tests/sim/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORKERS 2
#define CLIENTS 12
#define STEP_MS 3600000
#define GLANCES 256

struct living {
    const struct life_plan *plan;
    struct config *config;
    struct relay relay;
    struct mailbox mailboxes[WORKERS];
    struct worker *workers[WORKERS];
    int64_t committer_us, loader_us; /* when the disk is done with what it does */
    int log;
    off_t log_read;
};

/* ---- the configuration ---- */

void life_configure(const char *directory, unsigned destinations)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/relay.conf", directory);
    FILE *file = fopen(path, "w");
    must(file != NULL);
    fprintf(file,
            "hostname = relay.test\nspool = \"%s/spool\"\nworkers = %d\ndurability = none\n"
            "listen \"127.0.0.1:2525\" { add-headers = false }\nmap-size = 1G\nbuiltin-rules = no\n"
            "destination \"*\" { max-connections = 4 max-connections-per-host = 4 idle = 5s "
            "back-off = 10s }\n"
            "retry \"*\" { first = 10s factor = 2 longest = 5m give-up = 2d warn-after = 0 }\n"
            "bounce { per-sender = \"1000000/h\" }\n"
            "tls \"*\" { level = may mta-sts = no }\n",
            directory, WORKERS);
    for (unsigned i = 0; i < destinations; i++)
        if (server_plan(i)->must_encrypt)
            fprintf(file, "tls \"d%u.test\" { level = encrypt }\n", i);
    must(fclose(file) == 0);
}

static struct config *configure(const char *directory)
{
    char path[300];
    struct buffer errors CLEANUP(buffer_free) = {0};
    snprintf(path, sizeof(path), "%s/relay.conf", directory);
    struct config *config = config_read(path, &errors);
    if (config == NULL)
        fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    must(config != NULL);
    return config;
}

/* ---- putting it together ---- */

static void restore(struct living *living)
{
    static struct spool_glance glances[GLANCES];
    uint64_t id = 0;
    uint16_t number = 0;
    size_t count;
    for (bool first = true;; first = false) {
        count = spool_scan(living->relay.spool, &id, &number, first, glances, GLANCES);
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            metric_add(METRIC_RESTORED, glances[i].recipients);
            metric_add(METRIC_QUEUED, glances[i].recipients);
        }
        dispatch_restore(living->relay.dispatch, glances, count);
    }
    dispatch_restored(living->relay.dispatch);
    while (spool_scan_bodies(living->relay.spool, GLANCES) > 0)
        continue;
}

static void open_spool(struct living *living)
{
    char why[512];
    int code;
    const struct spool_options options = {.directory = living->config->spool,
                                          .durability = living->config->durability,
                                          .map_bytes = living->config->map_bytes,
                                          .min_free_bytes = 1};
    living->relay.spool = spool_open(&options, why, sizeof(why), &code);
    if (living->relay.spool == NULL)
        broken("the spool does not open: %s", why);
}

static void be_born(struct living *living)
{
    char why[512];
    struct relay *relay = &living->relay;
    living->config = configure(living->plan->directory);
    open_spool(living);
    if (ledger->broken[0] != '\0')
        return;
    relay->committer = committer_create(relay->spool);
    relay->loader = loader_create(relay->spool);
    relay->tickets = tickets_create(NULL, os_wall());
    inbound_share(relay);
    relay->notifier = notifier_create();
    for (unsigned i = 0; i < WORKERS; i++)
        living->workers[i] = worker_create(relay, i, &living->mailboxes[i], living->config);
    const struct resolve_settings settings = {0};
    const struct dispatch_parts parts = {.config = living->config,
                                         .spool = relay->spool,
                                         .committer = relay->committer,
                                         .resolve = resolve_create(&settings, why, sizeof(why)),
                                         .workers = living->mailboxes,
                                         .worker_count = WORKERS,
                                         .open = connection_open,
                                         .end_locally = attempt_end_locally,
                                         .wake = connection_wake};
    relay->dispatch = dispatch_create(&parts);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct listening where = {living->config->listen[0].at, -1};
        living->workers[i]->inbound = inbound_create(living->workers[i], &where, why, sizeof(why));
        if (living->workers[i]->inbound == NULL)
            broken("cannot listen: %s", why);
    }
    restore(living);
}

/* ---- what the log tells ---- */

static const char *value_of(const char *line, const char *key, char *to, size_t size)
{
    const char *at = strstr(line, key);
    if (at == NULL)
        return NULL;
    at += strlen(key);
    size_t length = strcspn(at, " >\n");
    snprintf(to, size, "%.*s", (int)(length < size ? length : size - 1), at);
    return to;
}

static void take_event(const char *line)
{
    char path[128];
    unsigned message;
    int recipient;
    const char *event = strchr(line, ' ');
    bool delivered = event && strncmp(event, " delivered ", 11) == 0;
    bool bounced =
        event && (strncmp(event, " bounced ", 9) == 0 || strncmp(event, " expired ", 9) == 0);
    bool lost = event && strncmp(event, " double-bounce ", 15) == 0;
    if ((!delivered && !bounced && !lost) || !value_of(line, " to=<", path, sizeof(path)) ||
        !ledger_parse(span_of(path), &message, &recipient))
        return;
    if (lost) /* its sender could not be told, and that was told */
        ledger->message[message].notices++;
    if (recipient < 0)
        return;
    struct ledger_recipient *to = ledger_recipient(message, recipient);
    if (to->delivered || to->bounced)
        broken("m%ur%d has its last verdict twice", message, recipient);
    to->delivered |= delivered;
    to->bounced |= bounced;
}

static void read_log(struct living *living)
{
    static char text[1u << 20];
    static size_t have;
    for (;;) {
        ssize_t count = pread(living->log, text + have, sizeof(text) - 1 - have, living->log_read);
        if (count <= 0)
            return;
        living->log_read += count;
        have += (size_t)count;
        text[have] = '\0';
        char *line = text, *end;
        for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = '\0';
            take_event(line);
            if (living->plan->talks)
                printf("%s\n", line);
        }
        have -= (size_t)(line - text);
        memmove(text, line, have);
    }
}

/* ---- stepping ---- */

static bool worker_is_due(struct living *living, unsigned i)
{
    return sim_loop_is_due(living->workers[i]->loop) || !mailbox_empty(&living->mailboxes[i]);
}

static void step_worker(struct living *living, unsigned i)
{
    worker_step(living->workers[i], STEP_MS);
}

static void step_disk(struct living *living)
{
    int64_t now_us = sim_now_us();
    if (now_us >= living->committer_us) {
        if (!committer_step(living->relay.committer, 0))
            broken("the spool broke: %s", committer_why(living->relay.committer));
        living->committer_us = now_us + (int64_t)sim_below(sim_chance(20) ? 200000 : 8000);
    }
    if (now_us >= living->loader_us) {
        loader_step(living->relay.loader, 0);
        living->loader_us = now_us + (int64_t)sim_below(3000);
    }
}

/* Whoever has something to do at this moment, in an order that chance gives. */
static void do_what_is_due(struct living *living)
{
    for (int round = 0; round < 100000; round++) {
        unsigned first = (unsigned)sim_below(WORKERS);
        bool any = false;
        step_disk(living);
        for (unsigned i = 0; i < WORKERS; i++)
            if (worker_is_due(living, (first + i) % WORKERS)) {
                step_worker(living, (first + i) % WORKERS);
                any = true;
            }
        any |= sim_act();
        if (!any)
            return;
    }
    broken("the relay has something to do for ever, at %lld us", (long long)sim_now_us());
}

/* Each is asked once more what it waits for: what was done may have changed it. */
static int64_t next_us(struct living *living)
{
    int64_t next = sim_next_us();
    for (unsigned i = 0; i < WORKERS; i++) {
        step_worker(living, i);
        int64_t at = sim_loop_next_us(living->workers[i]->loop);
        next = at < next ? at : next;
    }
    int64_t disk =
        living->committer_us < living->loader_us ? living->committer_us : living->loader_us;
    return disk < next ? disk : next;
}

static bool is_done(const struct living *living)
{
    return clients_are_done() && metric_read(METRIC_QUEUED) == 0 &&
           dispatch_out(living->relay.dispatch) == 0;
}

static void heal_if_it_is_time(const struct living *living)
{
    if (servers_healed() || sim_now_us() < living->plan->heals_us)
        return;
    servers_heal();
    clients_heal();
}

static enum life_end go_on(struct living *living)
{
    while (ledger->broken[0] == '\0') {
        heal_if_it_is_time(living);
        do_what_is_due(living);
        read_log(living);
        if (sim_now_us() >= living->plan->dies_us)
            return LIFE_DIED;
        if (is_done(living))
            return LIFE_DONE;
        if (sim_now_us() >= living->plan->ends_us)
            broken("%lld recipients are still queued, long after everything works again",
                   (long long)metric_read(METRIC_QUEUED));
        int64_t next = next_us(living);
        if (next > sim_now_us())
            sim_set_clock(next < living->plan->dies_us ? next : living->plan->dies_us);
    }
    return LIFE_WRONG;
}

enum life_end live(const struct life_plan *plan)
{
    static struct living living;
    living = (struct living){.plan = plan};
    living.log = memfd_create("log", 0);
    must(living.log >= 0);
    dup2(living.log, STDERR_FILENO);
    log_open(LOG_TEXT, os_wall);
    be_born(&living);
    if (ledger->broken[0] != '\0')
        return LIFE_WRONG;
    clients_open(CLIENTS, &living.config->listen[0].at);
    enum life_end end = go_on(&living);
    ledger->clock_us = sim_now_us();
    return end;
}
