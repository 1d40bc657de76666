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
#include "tests/sim/disk.h"
#include "tests/sim/ledger.h"
#include "tests/sim/operator.h"
#include "tests/sim/oracles.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 2
#define STEP_MS 3600000
#define GLANCES 256
#define CLOCK_PAUSE_US 300000000 /* between two jumps of the wall clock, on average */
#define LAST_STEPS 12            /* writes and syncs before a machine dies in a commit */
#define IDLE_STEPS 12            /* turns of the disk in which it does all that waits for it */
#define END_US 200000            /* that a relay with a broken disk may take to end */

struct living {
    const struct life_plan *plan;
    struct config *config;
    struct relay relay;
    struct mailbox mailboxes[WORKERS];
    struct worker *workers[WORKERS];
    bool asked[WORKERS];             /* what it waits for, since it was stepped */
    int64_t committer_us, loader_us; /* when the disk is done with what it does */
    int64_t broken_us;               /* since when the disk is broken; 0: it is not */
    struct action clock;
    bool dying;
    unsigned idle_steps; /* turns of the disk since anybody else did anything */
};

static struct living living;

/* ---- the configuration ---- */

static void configure_limits(FILE *file)
{
    fprintf(file,
            "destination \"*\" { max-connections = %u max-connections-per-host = %u "
            "messages-per-connection = %u rate = \"%u/s\" idle = 5s back-off = 10s }\n"
            "limits { connections-per-client = %u queue = %u }\n",
            scenario.per_site, scenario.per_host, scenario.per_session, scenario.rate,
            scenario.per_client, scenario.queue);
}

void life_configure(const char *directory)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/relay.conf", directory);
    FILE *file = fopen(path, "w");
    must(file != NULL);
    fprintf(file,
            "hostname = relay.test\nspool = \"%s/spool\"\nworkers = %d\n"
            "listen \"127.0.0.1:2525\" { add-headers = false }\nmap-size = 1G\nmin-free = 1\n"
            "builtin-rules = no\n"
            "retry \"*\" { first = 10s factor = 2 longest = 5m give-up = 2d warn-after = 0 }\n"
            "bounce { per-sender = \"1000000/h\" }\n"
            "tls \"*\" { level = may mta-sts = no }\n",
            directory, WORKERS);
    configure_limits(file);
    for (unsigned i = 0; i < scenario.domains; i++)
        if (scenario_encrypts(i))
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

static void restore(void)
{
    static struct spool_glance glances[GLANCES];
    uint64_t id = 0;
    uint16_t number = 0;
    size_t count;
    for (bool first = true;; first = false) {
        count = spool_scan(living.relay.spool, &id, &number, first, glances, GLANCES);
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            metric_add(METRIC_RESTORED, glances[i].recipients);
            metric_add(METRIC_QUEUED, glances[i].recipients);
        }
        dispatch_restore(living.relay.dispatch, glances, count);
    }
    dispatch_restored(living.relay.dispatch);
    while (spool_scan_bodies(living.relay.spool, GLANCES) > 0)
        continue;
}

static void open_spool(void)
{
    char why[512];
    int code;
    const struct spool_options options = {.directory = living.config->spool,
                                          .durability = living.config->durability,
                                          .map_bytes = living.config->map_bytes,
                                          .min_free_bytes = living.config->min_free_bytes};
    living.relay.spool = spool_open(&options, why, sizeof(why), &code);
    if (living.relay.spool == NULL)
        broken("the spool does not open: %s", why);
}

static void be_born(void)
{
    char why[512];
    struct relay *relay = &living.relay;
    living.config = configure(living.plan->directory);
    open_spool();
    if (ledger->broken[0] != '\0')
        return;
    oracles_begin(relay->spool);
    disk_begin(living.plan->disk_fails && !servers_healed());
    relay->committer = committer_create(relay->spool);
    relay->loader = loader_create(relay->spool);
    relay->tickets = tickets_create(NULL, os_wall());
    inbound_share(relay);
    relay->notifier = notifier_create();
    for (unsigned i = 0; i < WORKERS; i++)
        living.workers[i] = worker_create(relay, i, &living.mailboxes[i], living.config);
    const struct resolve_settings settings = {0};
    const struct dispatch_parts parts = {.config = living.config,
                                         .spool = relay->spool,
                                         .committer = relay->committer,
                                         .resolve = resolve_create(&settings, why, sizeof(why)),
                                         .workers = living.mailboxes,
                                         .worker_count = WORKERS,
                                         .open = connection_open,
                                         .end_locally = attempt_end_locally,
                                         .wake = connection_wake};
    relay->dispatch = dispatch_create(&parts);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct listening where = {living.config->listen[0].at, -1};
        living.workers[i]->inbound = inbound_create(living.workers[i], &where, why, sizeof(why));
        if (living.workers[i]->inbound == NULL)
            broken("cannot listen: %s", why);
    }
    restore();
}

/* ---- what the log tells ---- */

/* The relay writes whole lines, as long as nobody is slow to read them. */
static void read_log(const char *bytes, unsigned long length)
{
    static struct buffer text;
    buffer_append(&text, (struct span){bytes, length});
    for (;;) {
        struct span have = buffer_span(&text);
        char *end = have.length > 0 ? memchr(have.data, '\n', have.length) : NULL;
        if (end == NULL)
            return;
        char *line = span_copy((struct span){have.data, (size_t)(end - have.data)});
        buffer_consume(&text, (size_t)(end - have.data) + 1);
        sim_trace(span_of(line));
        if (living.plan->talks)
            printf("%s\n", line);
        oracles_log(line);
        free(line);
    }
}

/* ---- a clock that jumps ---- */

static void clock_jumps(struct action *action)
{
    if (servers_healed())
        return;
    sim_jump();
    for (unsigned i = 0; i < WORKERS; i++) /* as each looks at the clock now and then */
        os_wake(living.workers[i]->loop);
    oracles_excuse();
    sim_after(action, (int64_t)sim_below(2 * CLOCK_PAUSE_US));
}

/* ---- stepping ---- */

/* Mail alone is not enough: whoever posts it must have woken the worker. */
static bool worker_is_due(unsigned i)
{
    return sim_loop_is_due(living.workers[i]->loop);
}

static void step_worker(unsigned i)
{
    living.asked[i] = false;
    worker_step(living.workers[i], STEP_MS);
}

/* The relay ends as soon as it finds out; until then it may say no, but not yes. */
static void step_committer(void)
{
    bool works = committer_step(living.relay.committer, 0);
    /* While it is full as well, what cannot be written may be for want of room: it is tried again.
     */
    keeps(PROMISE_BROKEN_ENDS, works == !disk_is_broken() || (works && disk_is_full()),
          "the disk %s, and the spool %s: %s", disk_is_broken() ? "failed" : "works",
          works ? "goes on" : "gave up", committer_why(living.relay.committer));
    if (!works && living.broken_us == 0)
        living.broken_us = sim_now_us() + (int64_t)sim_below(END_US);
}

/* Somebody may have posted something: the disk turns again, from now on. */
static void stir_disk(void)
{
    if (living.idle_steps >= IDLE_STEPS) {
        living.committer_us = sim_now_us() + (int64_t)sim_below(8000);
        living.loader_us = sim_now_us() + (int64_t)sim_below(3000);
    }
    living.idle_steps = 0;
}

/* When nothing has happened for many of its turns, nothing waits for it. */
static bool disk_is_idle(void)
{
    return living.idle_steps >= IDLE_STEPS && living.broken_us == 0 && !disk_is_full();
}

static void step_disk(void)
{
    int64_t now_us = sim_now_us();
    if (disk_is_idle())
        return;
    if (now_us >= living.committer_us) {
        step_committer();
        living.idle_steps++;
        living.committer_us = now_us + (int64_t)sim_below(sim_chance(20) ? 200000 : 8000);
    }
    if (now_us >= living.loader_us) {
        loader_step(living.relay.loader, 0);
        living.loader_us = now_us + (int64_t)sim_below(3000);
    }
    if (living.broken_us > 0 && now_us >= living.broken_us)
        disk_dies();
}

static void step_anybody(bool *any)
{
    unsigned first = (unsigned)sim_below(WORKERS), disk_at = (unsigned)sim_below(WORKERS + 1);
    for (unsigned i = 0; i <= WORKERS; i++) {
        if (i == disk_at)
            step_disk();
        if (i == WORKERS || !worker_is_due((first + i) % WORKERS))
            continue;
        step_worker((first + i) % WORKERS);
        *any = true;
    }
}

/* Half of all machines die in the middle of a commit, the others between two steps. */
static void die_if_it_is_time(void)
{
    if (sim_now_us() < living.plan->dies_us || living.dying)
        return;
    living.dying = true;
    if (sim_chance(500))
        disk_dies();
    sim_count(FAULT_CRASH_IN_COMMIT);
    disk_dies_soon((unsigned)sim_below(LAST_STEPS));
}

/* Whoever has something to do at this moment, in an order that chance gives. */
static void do_what_is_due(void)
{
    for (int round = 0; round < 100000; round++) {
        bool any = false;
        step_anybody(&any);
        any |= sim_act();
        if (!any)
            return;
        stir_disk();
        die_if_it_is_time();
    }
    broken("the relay has something to do for ever, at %lld us", (long long)sim_now_us());
}

/* Who was stepped is asked once more what it waits for: its step may have changed it. Who was not
 * must have been woken by whoever changed it. */
static int64_t next_us(void)
{
    int64_t next = sim_next_us();
    for (unsigned i = 0; i < WORKERS; i++) {
        if (!living.asked[i])
            step_worker(i);
        living.asked[i] = true;
        int64_t at = sim_loop_next_us(living.workers[i]->loop);
        next = at < next ? at : next;
    }
    if (disk_is_idle())
        return next;
    int64_t disk = living.committer_us < living.loader_us ? living.committer_us : living.loader_us;
    return disk < next ? disk : next;
}

static bool is_done(void)
{
    return clients_are_done() && metric_read(METRIC_QUEUED) == 0 &&
           dispatch_out(living.relay.dispatch) == 0;
}

/* Nothing is left over: not in the spool, not in the books. */
static void judge_end(void)
{
    struct spool_facts facts;
    spool_facts(living.relay.spool, &facts);
    keeps(PROMISE_BOOKS, metrics_balanced(), "the books do not balance at the end");
    keeps(PROMISE_BOOKS, facts.envelopes == 0 && facts.messages == 0,
          "%llu messages and %llu envelopes stay in the spool", (unsigned long long)facts.messages,
          (unsigned long long)facts.envelopes);
}

static void heal_if_it_is_time(void)
{
    if (servers_healed() || sim_now_us() < living.plan->heals_us)
        return;
    servers_heal();
    clients_heal();
    disk_heal();
    oracles_excuse();
}

static enum life_end go_on(void)
{
    while (ledger->broken[0] == '\0') {
        heal_if_it_is_time();
        do_what_is_due();
        oracles_look();
        die_if_it_is_time();
        if (is_done()) {
            judge_end();
            return LIFE_DONE;
        }
        if (sim_now_us() >= living.plan->ends_us + ledger->back_us)
            broken("%lld recipients are still queued, long after everything works again",
                   (long long)metric_read(METRIC_QUEUED));
        int64_t next = next_us();
        if (next > sim_now_us())
            sim_set_clock(next < living.plan->dies_us || living.dying ? next
                                                                      : living.plan->dies_us);
    }
    return LIFE_WRONG;
}

void life_dies(void)
{
    ledger->clock_us = sim_now_us();
    fflush(stdout);
    _exit(LIFE_DIED);
}

enum life_end live(const struct life_plan *plan)
{
    living = (struct living){.plan = plan, .clock.act = clock_jumps};
    disk_log = read_log;
    log_open(LOG_TEXT, os_wall);
    be_born();
    if (ledger->broken[0] != '\0')
        return LIFE_WRONG;
    clients_open(LIFE_CLIENTS, &living.config->listen[0].at);
    operator_begin(living.relay.dispatch, living.relay.spool);
    if (scenario.clock_jumps)
        sim_after(&living.clock, (int64_t)sim_below(CLOCK_PAUSE_US));
    enum life_end end = go_on();
    ledger->clock_us = sim_now_us();
    return end;
}
