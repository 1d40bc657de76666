/* The simulator: sim [--seed N] [--seeds N] [--messages N] [--for 10m] [--fresh N] [--twice]
 * [--traces] [--talk]. --fresh adds seeds that nobody has chosen, and says which; --twice runs each
 * again, and compares; --traces tells a hash of all that happened in each, --talk all of it. Spools
 * lie in $TMPDIR: let that be memory.
 *
 * Each seed is a run: a relay, its clients and the hosts it delivers to, in one thread on a virtual
 * clock; faults for a while, crashes in between, then everything works again and all mail must
 * come to its end. A run lives in a process of its own, each life of its relay too. */
#include "tests/sim/ledger.h"
#include "tests/sim/life.h"
#include "tests/sim/scenario.h"
#include "tests/sim/seeded.h"
#include "tests/sim/server.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)
#define LIVES_MAX 20

struct options {
    uint64_t seed, seeds, fresh;
    unsigned messages;
    int64_t for_s;
    bool talk, traces, twice;
};

static uint64_t totals[SIM_FAULTS], total_checks[SIM_PROMISES];
static uint64_t total_messages, total_recipients, total_twice, total_lives, total_trace;
static int64_t total_us;

/* ---- one run ---- */

static void draw_messages(unsigned count, struct random_state *chance)
{
    ledger->messages = count;
    for (unsigned i = 0; i < count; i++) {
        struct ledger_message *message = &ledger->message[i];
        message->recipients = (uint8_t)(1 + random_below(chance, LEDGER_RECIPIENTS_MAX));
        for (unsigned r = 0; r < message->recipients; r++)
            message->to[r].destination = (uint16_t)random_below(chance, scenario.domains);
    }
}

/* In a child: what it leaves behind is the ledger and the spool. */
static int live_once(const struct life_plan *plan)
{
    fflush(stdout);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        sim_talks = plan->talks;
        sim_seed(plan->seed + ledger->lives * 1000003u);
        seeded_begin(plan->seed + ledger->lives * 1000003u);
        sim_set_clock(ledger->clock_us > 0 ? ledger->clock_us : sim_now_us());
        servers_open(plan->seed, plan->directory);
        if (ledger->lives == 1)
            life_configure(plan->directory);
        int end = (int)live(plan);
        fflush(stdout);
        _exit(end);
    }
    int status;
    must(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    broken("the relay ended by signal %d", WTERMSIG(status));
    return LIFE_WRONG;
}

static void remove_all(const char *directory)
{
    char command[300];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    if (system(command) != 0)
        fprintf(stderr, "sim: %s stays\n", directory);
}

static bool run(uint64_t seed, const struct options *options)
{
    const char *above = getenv("TMPDIR");
    char directory[256];
    struct random_state chance = {seed};
    struct life_plan plan = {.seed = seed, .directory = directory, .talks = options->talk};
    snprintf(directory, sizeof(directory), "%s/millrace-sim-%d", above ? above : "/tmp", getpid());
    if (mkdir(directory, 0700) != 0) {
        perror(directory);
        exit(73);
    }
    memset(ledger, 0, sizeof(*ledger));
    scenario_draw(seed);
    draw_messages(options->messages, &chance);
    plan.heals_us = (int64_t)(60 + random_below(&chance, 1800)) * SECOND;
    unsigned crashes = (unsigned)random_below(&chance, 4);
    int end;
    do {
        bool dies = ledger->lives < crashes && ledger->lives < LIVES_MAX;
        int64_t since = ledger->clock_us > 0 ? ledger->clock_us : SECOND;
        plan.dies_us = dies ? since + (int64_t)random_below(&chance, 600 * SECOND) : INT64_MAX;
        plan.ends_us = (plan.heals_us > since ? plan.heals_us : since) + 7200 * SECOND;
        plan.disk_fails = scenario.disk_fails && ledger->lives < LIVES_MAX;
        ledger->lives++;
        end = live_once(&plan);
        if (end == LIFE_DIED) {
            sim_count(FAULT_CRASH);
            ledger_relay_died();
        }
    } while (end == LIFE_DIED);
    if (end == LIFE_DONE)
        ledger_judge();
    remove_all(directory);
    return ledger->broken[0] == '\0';
}

/* ---- many ---- */

static void add_up(void)
{
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        totals[i] += ledger->faults[i];
    for (unsigned i = 0; i < SIM_PROMISES; i++)
        total_checks[i] += ledger->checks[i];
    total_messages += ledger->handed_in;
    total_recipients += ledger->arrived + ledger->bounced;
    total_twice += ledger->twice;
    total_lives += ledger->lives;
    total_us += ledger->clock_us;
    total_trace = total_trace * 31 + ledger->trace;
}

static void print_totals(uint64_t seeds)
{
    printf("%llu seeds, %llu lives of the relay, %lld hours of its time: %llu messages taken, %llu "
           "arrivals and bounces, %llu of them twice (and excused); trace %016llx\n",
           (unsigned long long)seeds, (unsigned long long)total_lives,
           (long long)(total_us / (3600 * SECOND)), (unsigned long long)total_messages,
           (unsigned long long)total_recipients, (unsigned long long)total_twice,
           (unsigned long long)total_trace);
    printf("faults:\n");
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        printf("  %-20s %10llu\n", sim_fault_name((enum sim_fault)i),
               (unsigned long long)totals[i]);
    printf("promises looked after:\n");
    for (unsigned i = 0; i < SIM_PROMISES; i++)
        printf("  %-20s %10llu\n", sim_promise_name((enum sim_promise)i),
               (unsigned long long)total_checks[i]);
}

static void print_seed(uint64_t seed)
{
    printf("seed %llu: %u messages, %llu taken, %llu unsure, %llu arrived (%llu twice), %llu "
           "bounced, %llu connections (%llu in TLS), %u lives, %lld s, trace %016llx\n",
           (unsigned long long)seed, ledger->messages, (unsigned long long)ledger->handed_in,
           (unsigned long long)ledger->unsure, (unsigned long long)ledger->arrived,
           (unsigned long long)ledger->twice, (unsigned long long)ledger->bounced,
           (unsigned long long)ledger->connections, (unsigned long long)ledger->secured,
           ledger->lives, (long long)(ledger->clock_us / SECOND),
           (unsigned long long)ledger->trace);
}

static int64_t seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Again, from the beginning: nothing may differ. */
static bool run_again(uint64_t seed, const struct options *options)
{
    uint64_t before = ledger->trace;
    run(seed, options);
    if (ledger->trace != before)
        broken("the same seed gave two traces, %016llx and %016llx", (unsigned long long)before,
               (unsigned long long)ledger->trace);
    return ledger->broken[0] == '\0';
}

static bool run_seed(uint64_t seed, const struct options *options)
{
    bool fine = run(seed, options) && (!options->twice || run_again(seed, options));
    add_up();
    if (options->talk || options->traces || !fine)
        print_seed(seed);
    if (!fine)
        printf("seed %llu: BROKEN: %s\n  again: ./dev sim --seed %llu --messages %u --talk\n",
               (unsigned long long)seed, ledger->broken, (unsigned long long)seed,
               options->messages);
    else if (isatty(STDOUT_FILENO))
        printf("\rseed %llu ", (unsigned long long)seed);
    fflush(stdout);
    return fine;
}

/* One that nobody has chosen; it is told, so that what it finds can be had again. */
static uint64_t draw_seed(void)
{
    uint32_t seed;
    must(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    printf("fresh seeds, from %u on\n", seed);
    return seed;
}

/* Those that are asked for, or as many as there is time for; then some fresh ones. */
static int run_all(const struct options *options)
{
    int64_t until = seconds() + options->for_s;
    uint64_t count = 0, seed = options->seed;
    if (seed == 0)
        seed = options->for_s > 0 ? draw_seed() : 1;
    for (; options->for_s > 0 ? seconds() < until : count < options->seeds; count++)
        if (!run_seed(seed++, options))
            return 1;
    if (options->fresh > 0)
        seed = draw_seed();
    for (uint64_t i = 0; i < options->fresh; i++, count++)
        if (!run_seed(seed++, options))
            return 1;
    print_totals(count);
    return 0;
}

/* "90", "90s", "10m", "1h" */
static int64_t duration(const char *text)
{
    char *end;
    int64_t number = strtoll(text, &end, 10);
    return number * (*end == 'm' ? 60 : *end == 'h' ? 3600 : 1);
}

static void read_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {{"seed", required_argument, NULL, 's'},
                                          {"seeds", required_argument, NULL, 'n'},
                                          {"messages", required_argument, NULL, 'm'},
                                          {"for", required_argument, NULL, 'f'},
                                          {"fresh", required_argument, NULL, 'r'},
                                          {"traces", no_argument, NULL, 'c'},
                                          {"talk", no_argument, NULL, 't'},
                                          {"twice", no_argument, NULL, '2'},
                                          {0}};
    for (int found; (found = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (found) {
        case 's': options->seed = strtoull(optarg, NULL, 10); break;
        case 'n': options->seeds = strtoull(optarg, NULL, 10); break;
        case 'm': options->messages = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'f': options->for_s = duration(optarg); break;
        case 'r': options->fresh = strtoull(optarg, NULL, 10); break;
        case 'c': options->traces = true; break;
        case '2': options->twice = true; break;
        case 't': options->talk = true; break;
        default: exit(64);
        }
    if (options->messages == 0 || options->messages > LEDGER_MESSAGES_MAX) {
        fprintf(stderr, "sim: --messages 1 to %d\n", LEDGER_MESSAGES_MAX);
        exit(64);
    }
}

/* The order of what hangs on addresses must be the same each time. */
static void fix_addresses(char **argv)
{
    int now = personality(0xffffffff);
    if (now < 0 || (now & ADDR_NO_RANDOMIZE))
        return;
    if (personality((unsigned long)now | ADDR_NO_RANDOMIZE) >= 0)
        execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
    struct options options = {.seeds = 1, .messages = 1000};
    fix_addresses(argv);
    mallopt(M_PERTURB, 0xa5); /* who uses what was freed shall stumble */
    read_options(argc, argv, &options);
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(ledger != MAP_FAILED);
    return run_all(&options);
}
