/* The simulator: sim [--seed N] [--seeds N] [--messages N] [--for SECONDS] [--talk]
 * Spools lie in $TMPDIR: let that be memory.
 *
 * Each seed is a run: a relay, its clients and the hosts it delivers to, in one thread on a virtual
 * clock; faults for a while, crashes in between, then everything works again and all mail must
 * come to its end. A run lives in a process of its own, each life of its relay too. */
#include "tests/sim/ledger.h"
#include "tests/sim/life.h"
#include "tests/sim/server.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)
#define LIVES_MAX 20

struct options {
    uint64_t seed, seeds;
    unsigned messages;
    int64_t for_s;
    bool talk;
};

static uint64_t totals[SIM_FAULTS];
static uint64_t total_messages, total_twice, total_lives;

/* ---- one run ---- */

static void draw_messages(unsigned count, unsigned destinations, struct random_state *chance)
{
    ledger->messages = count;
    for (unsigned i = 0; i < count; i++) {
        struct ledger_message *message = &ledger->message[i];
        message->recipients = (uint8_t)(1 + random_below(chance, LEDGER_RECIPIENTS_MAX));
        for (unsigned r = 0; r < message->recipients; r++)
            message->to[r].destination = (uint16_t)random_below(chance, destinations);
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
        sim_set_clock(ledger->clock_us > 0 ? ledger->clock_us : sim_now_us());
        servers_open(plan->destinations, plan->seed, plan->directory);
        if (ledger->lives == 1)
            life_configure(plan->directory, plan->destinations);
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
    struct life_plan plan = {.seed = seed,
                             .destinations = 20 + (unsigned)random_below(&chance, 2000),
                             .directory = directory,
                             .talks = options->talk};
    snprintf(directory, sizeof(directory), "%s/millrace-sim-%d", above ? above : "/tmp", getpid());
    if (mkdir(directory, 0700) != 0) {
        perror(directory);
        exit(73);
    }
    memset(ledger, 0, sizeof(*ledger));
    draw_messages(options->messages, plan.destinations, &chance);
    plan.heals_us = (int64_t)(60 + random_below(&chance, 1800)) * SECOND;
    unsigned crashes = (unsigned)random_below(&chance, 4);
    int end;
    do {
        bool dies = ledger->lives < crashes && ledger->lives < LIVES_MAX;
        int64_t since = ledger->clock_us > 0 ? ledger->clock_us : SECOND;
        plan.dies_us = dies ? since + (int64_t)random_below(&chance, 600 * SECOND) : INT64_MAX;
        plan.ends_us = (plan.heals_us > since ? plan.heals_us : since) + 7200 * SECOND;
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
    total_messages += ledger->handed_in;
    total_twice += ledger->twice;
    total_lives += ledger->lives;
}

static void print_totals(uint64_t seeds)
{
    printf("%llu seeds, %llu lives, %llu messages taken, %llu recipients twice (excused)\n",
           (unsigned long long)seeds, (unsigned long long)total_lives,
           (unsigned long long)total_messages, (unsigned long long)total_twice);
    for (unsigned i = 0; i < SIM_FAULTS; i++)
        printf("  %-20s %llu\n", sim_fault_name((enum sim_fault)i), (unsigned long long)totals[i]);
}

static int run_all(const struct options *options)
{
    time_t until = options->for_s ? time(NULL) + options->for_s : 0;
    uint64_t count = 0;
    for (uint64_t seed = options->seed;; seed++, count++) {
        if (until ? time(NULL) >= until : count >= options->seeds)
            break;
        bool fine = run(seed, options);
        add_up();
        if (options->talk || !fine)
            printf(
                "seed %llu: %u messages, %llu taken, %llu unsure, %llu arrived (%llu twice), %llu "
                "bounced, %llu connections (%llu in TLS), %u lives, %lld s\n",
                (unsigned long long)seed, ledger->messages, (unsigned long long)ledger->handed_in,
                (unsigned long long)ledger->unsure, (unsigned long long)ledger->arrived,
                (unsigned long long)ledger->twice, (unsigned long long)ledger->bounced,
                (unsigned long long)ledger->connections, (unsigned long long)ledger->secured,
                ledger->lives, (long long)(ledger->clock_us / SECOND));
        if (!fine) {
            printf("seed %llu: BROKEN: %s\n  again: sim --seed %llu --messages %u --talk\n",
                   (unsigned long long)seed, ledger->broken, (unsigned long long)seed,
                   options->messages);
            return 1;
        }
        if (isatty(STDOUT_FILENO))
            printf("\rseed %llu", (unsigned long long)seed), fflush(stdout);
    }
    print_totals(count);
    return 0;
}

static void read_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'},     {"seeds", required_argument, NULL, 'n'},
        {"messages", required_argument, NULL, 'm'}, {"for", required_argument, NULL, 'f'},
        {"talk", no_argument, NULL, 't'},           {0}};
    for (int found; (found = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (found) {
        case 's': options->seed = strtoull(optarg, NULL, 10); break;
        case 'n': options->seeds = strtoull(optarg, NULL, 10); break;
        case 'm': options->messages = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'f': options->for_s = strtoll(optarg, NULL, 10); break;
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
    struct options options = {.seed = 1, .seeds = 1, .messages = 1000};
    fix_addresses(argv);
    read_options(argc, argv, &options);
    ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(ledger != MAP_FAILED);
    return run_all(&options);
}
