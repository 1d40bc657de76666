/* Crash images: crash [--seed N] [--seeds N] [--images N] [--image N] [--relaxed] [--mutants]
 * Spools lie in $TMPDIR: let that be memory.
 *
 * A seed is a run of three lives of one spool. Each life is recorded; at every operation of it a
 * crash is supposed, and every kind of image of that moment is opened and judged. The next life
 * begins on one of these images. `--images` takes so many of them, evenly; 0 all. What does not
 * hold is told with the options that show it again.
 *
 * `--mutants`: the same on a disk that forgets a sync, and for a program that does things in the
 * wrong order. Each must be found out. */
#include "tests/crash/image.h"
#include "tests/crash/judge.h"
#include "tests/crash/life.h"

#include "base/must.h"

#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIVES 3
#define TURNS 25
#define MUTANT_SEEDS 3
#define NO_IMAGE UINT64_MAX

struct options {
    uint64_t seed, seeds;
    uint64_t images;     /* of each seed; 0: all */
    uint64_t only_image; /* of the seed; NO_IMAGE: every one */
    enum durability durability;
    enum disk_lie lie;
    bool answers_early, mutants, quiet;
};

struct totals {
    uint64_t images[IMAGE_KINDS], images_all, moments, operations, syncs;
    uint64_t left_out, acknowledged, found, extra, removed, damaged;
};

struct crash {
    const struct options *options;
    uint64_t seed;
    struct totals *totals;
    struct ledger ledger;
    struct judged judged;
    char spool[PATH_MAX / 2], image[PATH_MAX / 2];
    uint64_t number; /* of the image, in the run of this seed */
    uint64_t share;  /* images that this life may have; 0: all */
};

/* What is under trial, for whoever finds this process dead. */
static char trial[200];
static const char *work_directory;

/* ---- directories ---- */

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *place)
{
    (void)facts;
    (void)type;
    (void)place;
    return remove(path);
}

static void make_empty(const char *directory)
{
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    must(mkdir(directory, 0700) == 0);
}

/* ---- one image ---- */

static void add_up(struct totals *totals, const struct judged *judged, enum image_kind kind)
{
    totals->images[kind]++;
    totals->images_all++;
    totals->acknowledged += judged->acknowledged;
    totals->found += judged->found;
    totals->extra += judged->extra;
    totals->removed += judged->removed;
    totals->damaged += judged->damaged;
}

static uint64_t image_seed(const struct crash *crash)
{
    struct random_state mix = {crash->seed * 1000003 + crash->number};
    return random_next(&mix);
}

static void name_trial(const struct crash *crash, size_t position, enum image_kind kind)
{
    const struct options *options = crash->options;
    snprintf(trial, sizeof(trial), "--seed %" PRIu64 " --image %" PRIu64 "%s", crash->seed,
             crash->number, options->durability == DURABILITY_RELAXED ? " --relaxed" : "");
    if (options->only_image != NO_IMAGE)
        printf("image %" PRIu64 ": %s, after %zu operations\n", crash->number,
               image_kind_name(kind), position);
}

static bool try_image(struct crash *crash, const struct image_walk *walk, size_t position,
                      enum image_kind kind)
{
    bool alone = crash->options->only_image != NO_IMAGE;
    struct judge_case judge_case = {.directory = crash->image,
                                    .ledger = &crash->ledger,
                                    .position = position,
                                    .durability = crash->options->durability};
    name_trial(crash, position, kind);
    make_empty(crash->image);
    crash->totals->left_out += image_write(walk, kind, image_seed(crash), crash->image, alone);
    bool good = judge_image(&judge_case, &crash->judged);
    add_up(crash->totals, &crash->judged, kind);
    if (!good && !crash->options->quiet)
        printf("WRONG: %s, after %zu operations: %s\n  again: crash %s\n", image_kind_name(kind),
               position, crash->judged.wrong, trial);
    return good;
}

/* ---- one life ---- */

static bool is_wanted(const struct crash *crash, uint64_t of_all)
{
    const struct options *options = crash->options;
    if (options->only_image != NO_IMAGE)
        return crash->number == options->only_image;
    if (crash->share == 0 || crash->share >= of_all)
        return true;
    /* evenly: where the whole part of this quotient changes */
    return crash->number * crash->share / of_all != (crash->number + 1) * crash->share / of_all;
}

static size_t kinds_at(const struct image_walk *walk)
{
    return image_unsynced(walk) > 0 ? IMAGE_KINDS : 1;
}

static uint64_t count_images(const struct disk_log *log)
{
    struct image_walk *walk = image_walk_begin(log);
    uint64_t count = 0;
    for (size_t position = 0; position <= log->count; position++) {
        image_walk_to(walk, position);
        count += kinds_at(walk);
    }
    image_walk_end(&walk);
    return count;
}

static bool try_images(struct crash *crash, const struct disk_log *log)
{
    struct image_walk *walk = image_walk_begin(log);
    uint64_t all = count_images(log);
    bool good = true;
    for (size_t position = 0; good && position <= log->count; position++) {
        bool looked = false;
        image_walk_to(walk, position);
        for (size_t kind = 0; good && kind < kinds_at(walk); kind++, crash->number++)
            if (is_wanted(crash, all)) {
                good = try_image(crash, walk, position, (enum image_kind)kind);
                looked = true;
            }
        crash->totals->moments += looked;
    }
    image_walk_end(&walk);
    return good;
}

static void count_log(struct totals *totals, const struct disk_log *log)
{
    totals->operations += log->count;
    for (size_t i = 0; i < log->count; i++)
        totals->syncs += log->ops[i].kind == DISK_SYNC || log->ops[i].kind == DISK_SYNC_WRITE;
}

/* An id that never was stored may be given out again, and then is another message's. */
static void settle_ids(struct ledger *ledger, uint64_t highest_id)
{
    ledger->highest_id = highest_id;
    for (unsigned i = 0; i < ledger->letter_count; i++)
        if (ledger->letters[i].id > highest_id)
            ledger->letters[i].id = 0;
}

/* The spool is left as one of its images: what is found there is what the next life begins with. */
static bool crash_for_good(struct crash *crash, const struct disk_log *log,
                           struct random_state *chance)
{
    struct image_walk *walk = image_walk_begin(log);
    size_t position = log->count / 2 + random_below(chance, log->count / 2 + 1);
    enum image_kind kind = (enum image_kind)random_below(chance, IMAGE_KINDS);
    struct judge_case judge_case = {.directory = crash->spool,
                                    .ledger = &crash->ledger,
                                    .position = position,
                                    .durability = crash->options->durability,
                                    .looks_only = true};
    snprintf(trial, sizeof(trial), "--seed %" PRIu64 " (between lives)", crash->seed);
    image_walk_to(walk, position);
    make_empty(crash->spool);
    image_write(walk, kind, random_next(chance), crash->spool, false);
    image_walk_end(&walk);
    bool good = judge_image(&judge_case, &crash->judged);
    if (!good && !crash->options->quiet)
        printf("WRONG: %s, between lives: %s\n", trial, crash->judged.wrong);
    settle_ids(&crash->ledger, crash->judged.highest_id);
    return good;
}

static bool live(struct crash *crash, struct random_state *chance)
{
    struct life_plan plan = {.directory = crash->spool,
                             .durability = crash->options->durability,
                             .turns = TURNS,
                             .answers_early = crash->options->answers_early};
    snprintf(trial, sizeof(trial), "--seed %" PRIu64 " (recording)", crash->seed);
    disk_begin(crash->spool, crash->options->lie);
    life_run(&plan, &crash->ledger, chance);
    struct disk_log *log = disk_end();
    count_log(crash->totals, log);
    bool good = try_images(crash, log) && crash_for_good(crash, log, chance);
    disk_log_free(&log);
    ledger_end(&crash->ledger);
    ledger_begin(&crash->ledger, crash->judged.slots);
    return good;
}

/* ---- a run, and many ---- */

static bool run(const struct options *options, uint64_t seed, struct totals *totals)
{
    struct random_state chance = {seed};
    struct crash *crash = must_calloc(1, sizeof(*crash));
    crash->options = options;
    crash->seed = seed;
    crash->totals = totals;
    crash->share = (options->images + LIVES - 1) / LIVES;
    snprintf(crash->spool, sizeof(crash->spool), "%s/spool", work_directory);
    snprintf(crash->image, sizeof(crash->image), "%s/image", work_directory);
    make_empty(crash->spool);
    bool good = true;
    for (unsigned i = 0; i < LIVES && good; i++)
        good = live(crash, &chance);
    free(crash);
    return good;
}

static void print_totals(const struct options *options, const struct totals *totals)
{
    printf("%" PRIu64 " images of %" PRIu64 " operations (%" PRIu64 " syncs) at %" PRIu64
           " moments of %" PRIu64 " runs, each %d lives:",
           totals->images_all, totals->operations, totals->syncs, totals->moments, options->seeds,
           LIVES);
    for (unsigned kind = 0; kind < IMAGE_KINDS; kind++)
        printf(" %s %" PRIu64, image_kind_name((enum image_kind)kind), totals->images[kind]);
    printf("\n%" PRIu64 " operations lost, cut or half there\n", totals->left_out);
    printf("envelopes, over all images: %" PRIu64 " acknowledged, %" PRIu64
           " found with their bodies, %" PRIu64 " of them stored and not yet answered; %" PRIu64
           " done and not back\n",
           totals->acknowledged, totals->found, totals->extra, totals->removed);
    if (options->durability == DURABILITY_RELAXED)
        printf("relaxed: %" PRIu64 " bodies damaged, and known to be\n", totals->damaged);
}

static bool run_all(const struct options *options)
{
    struct totals totals = {0};
    for (uint64_t i = 0; i < options->seeds; i++)
        if (!run(options, options->seed + i, &totals))
            return false;
    if (!options->quiet)
        print_totals(options, &totals);
    return true;
}

/* ---- what must be caught ---- */

static const struct mutant {
    const char *name;
    enum disk_lie lie;
    bool answers_early;
} mutants[] = {
    {"the sync of a segment is left out", LIE_SEGMENTS_UNSYNCED, false},
    {"the sync of a body's own file is left out", LIE_OWN_FILES_UNSYNCED, false},
    {"the sync of LMDB's pages is left out", LIE_INDEX_UNSYNCED, false},
    {"the sync of directories is left out", LIE_DIRECTORIES_UNSYNCED, false},
    {"the commit comes before the sync of the segment", LIE_SYNC_AFTER_COMMIT, false},
    {"bodies are unlinked before the commit that frees them", LIE_UNLINK_BEFORE_COMMIT, false},
    {"the answer comes before the commit", LIE_NONE, true},
};

static void when_dying(void (*handler)(int))
{
    signal(SIGABRT, handler);
    signal(SIGBUS, handler);
    signal(SIGSEGV, handler);
}

/* In a process of its own: what it does not survive is caught, too. */
static bool is_caught(const struct options *options, const struct mutant *mutant)
{
    struct options changed = *options;
    changed.lie = mutant->lie;
    changed.answers_early = mutant->answers_early;
    changed.seeds = MUTANT_SEEDS;
    changed.quiet = true;
    fflush(stdout);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        when_dying(SIG_DFL);
        _exit(run_all(&changed) ? 0 : 1);
    }
    int status;
    must(waitpid(child, &status, 0) == child);
    return status != 0;
}

static bool catch_mutants(const struct options *options)
{
    bool all = true;
    for (size_t i = 0; i < sizeof(mutants) / sizeof(mutants[0]); i++) {
        bool caught = is_caught(options, &mutants[i]);
        printf("%s: %s\n", caught ? "caught" : "NOT CAUGHT", mutants[i].name);
        all = all && caught;
    }
    return all;
}

/* ---- the program ---- */

static void died(int number)
{
    static const char before[] = "WRONG: the process died\n  again: crash ";
    ssize_t written = write(STDOUT_FILENO, before, sizeof(before) - 1);
    written += write(STDOUT_FILENO, trial, strlen(trial));
    written += write(STDOUT_FILENO, "\n", 1);
    (void)written;
    signal(number, SIG_DFL);
    raise(number);
}

static void read_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {{"seed", required_argument, NULL, 's'},
                                          {"seeds", required_argument, NULL, 'n'},
                                          {"images", required_argument, NULL, 'i'},
                                          {"image", required_argument, NULL, 'o'},
                                          {"relaxed", no_argument, NULL, 'r'},
                                          {"mutants", no_argument, NULL, 'm'},
                                          {0}};
    for (int found; (found = getopt_long(argc, argv, "", names, NULL)) != -1;)
        switch (found) {
        case 's': options->seed = strtoull(optarg, NULL, 10); break;
        case 'n': options->seeds = strtoull(optarg, NULL, 10); break;
        case 'i': options->images = strtoull(optarg, NULL, 10); break;
        case 'o': options->only_image = strtoull(optarg, NULL, 10); break;
        case 'r': options->durability = DURABILITY_RELAXED; break;
        case 'm': options->mutants = true; break;
        default: exit(64);
        }
}

int main(int argc, char **argv)
{
    struct options options = {.seed = 1, .seeds = 1, .only_image = NO_IMAGE};
    const char *above = getenv("TMPDIR");
    char directory[PATH_MAX / 4];
    read_options(argc, argv, &options);
    snprintf(directory, sizeof(directory), "%s/millrace-crash-XXXXXX", above ? above : "/tmp");
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return 73;
    }
    work_directory = directory;
    when_dying(died);
    bool good = options.mutants ? catch_mutants(&options) : run_all(&options);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return good ? 0 : 1;
}
