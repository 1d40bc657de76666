#include "bench/spool_loop.h"

#include "base/crc32c.h"
#include "base/must.h"
#include "bench/arguments.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#define LINE 78

static const char help[] =
    "Usage: spool_loop --do alone|accept|aged --dir DIR [options]\n"
    "\n"
    "Drives a spool below DIR without a relay, and prints what it measured as JSON.\n"
    "\n"
    "  --size BYTES       of each body [4096]\n"
    "  --durability WHAT  commit, relaxed or none [commit]\n"
    "alone: commits of 64 messages, beside the same writes and syncs alone\n"
    "  --rounds N         [1]\n"
    "  --commits N        of each in a round [1000]\n"
    "accept: threads that each post a new message to the committer, and wait for it\n"
    "  --injectors N      [8]\n"
    "  --for TIME         [1s] ...\n"
    "  --most BYTES       ... or until so much has been written [1G]\n"
    "aged: commits of 64 messages in and 64 out, in a spool that has seen much and in a new one\n"
    "  --turnover N       messages that went through the old one [1000000]\n"
    "  --rounds N, --commits N\n";

/* ---- what the loops share ---- */

static _Noreturn void give_up(const char *why)
{
    fprintf(stderr, "spool_loop: %s\n", why);
    exit(EX_IOERR);
}

struct spool *loop_open(const struct loop *loop, const char *name, enum durability durability)
{
    char why[512], path[PATH_MAX];
    int code;
    if (mkdir(loop->directory, 0700) != 0 && errno != EEXIST)
        give_up("the directory cannot be made");
    snprintf(path, sizeof(path), "%s/%s", loop->directory, name);
    const struct spool_options options = {.directory = path, .durability = durability};
    struct spool *spool = spool_open(&options, why, sizeof(why), &code);
    if (spool == NULL)
        give_up(why);
    while (spool_scan_bodies(spool, 1000) > 0) {}
    return spool;
}

void loop_must(enum spool_result result, struct spool *spool)
{
    if (result != SPOOL_OK)
        give_up(spool_why(spool));
}

char *loop_bodies(uint64_t size)
{
    char *bodies = must_calloc(LOOP_BATCH, size);
    memset(bodies, 'x', LOOP_BATCH * size);
    for (uint64_t at = LINE; at + 2 <= LOOP_BATCH * size; at += LINE + 2) {
        bodies[at] = '\r';
        bodies[at + 1] = '\n';
    }
    return bodies;
}

static int64_t clock_ns(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct envelope *loop_message(struct spool *spool, uint64_t size)
{
    int64_t now_ms = clock_ns(CLOCK_REALTIME) / 1000000;
    struct message *message = message_create(SPAN("sender@loop.test"), 0, now_ms);
    message->id = spool_next_id(spool, now_ms);
    message->place.length = size;
    struct envelope *envelope = envelope_create(message, SPAN("destination.loop.test"));
    message_drop(&message); /* the envelope keeps it */
    must(envelope_add(envelope, SPAN("recipient@destination.loop.test"), SPAN("")) != NULL);
    envelope->due_ms = now_ms;
    return envelope;
}

void loop_accept_all(struct spool_batch *batch, struct envelope **envelopes, const char *bodies)
{
    struct segment_append appends[LOOP_BATCH];
    for (size_t i = 0; i < LOOP_BATCH; i++) {
        struct body_place *place = &envelopes[i]->message->place;
        const char *body = bodies + i * place->length;
        place->crc = crc32c(0, body, place->length);
        appends[i] = (struct segment_append){body, place};
    }
    spool_append(batch, appends, LOOP_BATCH);
    for (size_t i = 0; i < LOOP_BATCH; i++)
        spool_accept(batch, envelopes[i]->message, &envelopes[i], 1);
}

int64_t loop_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

struct loop_time loop_now(void)
{
    return (struct loop_time){loop_now_ns(), clock_ns(CLOCK_PROCESS_CPUTIME_ID)};
}

void loop_time_add(struct loop_time *sum, struct loop_time since)
{
    struct loop_time now = loop_now();
    sum->wall_ns += now.wall_ns - since.wall_ns;
    sum->cpu_ns += now.cpu_ns - since.cpu_ns;
}

double loop_rate(const struct loop_time *took, uint64_t messages)
{
    return (double)messages * 1e9 / (double)took->wall_ns;
}

double loop_cpu_us(const struct loop_time *took, uint64_t messages)
{
    return (double)took->cpu_ns / 1e3 / (double)messages;
}

static uint64_t disk_bytes; /* nftw has no argument for it */

static int add_blocks(const char *path, const struct stat *facts, int type, struct FTW *place)
{
    (void)path;
    (void)place;
    if (type == FTW_F)
        disk_bytes += (uint64_t)facts->st_blocks * 512;
    return 0;
}

uint64_t loop_disk_bytes(const char *directory)
{
    disk_bytes = 0;
    nftw(directory, add_blocks, 16, FTW_PHYS);
    return disk_bytes;
}

/* ---- the program ---- */

static bool read_durability(void *to, struct span value, char why[ARGUMENT_WHY_MAX])
{
    static const char *const names[] = {[DURABILITY_COMMIT] = "commit",
                                        [DURABILITY_RELAXED] = "relaxed",
                                        [DURABILITY_NONE] = "none"};
    enum durability *durability = to;
    for (size_t i = 0; i < countof(names); i++) {
        if (span_equal(value, span_of(names[i]))) {
            *durability = (enum durability)i;
            return true;
        }
    }
    snprintf(why, ARGUMENT_WHY_MAX, "is commit, relaxed or none");
    return false;
}

typedef void loop_function(const struct loop *loop);

static bool read_function(void *to, struct span value, char why[ARGUMENT_WHY_MAX])
{
    static const struct {
        const char *name;
        loop_function *function;
    } rows[] = {{"alone", loop_alone}, {"accept", loop_accept}, {"aged", loop_aged}};
    loop_function **function = to;
    for (size_t i = 0; i < countof(rows); i++) {
        if (span_equal(value, span_of(rows[i].name))) {
            *function = rows[i].function;
            return true;
        }
    }
    snprintf(why, ARGUMENT_WHY_MAX, "is alone, accept or aged");
    return false;
}

int main(int argc, char **argv)
{
    loop_function *function = NULL;
    struct loop loop = {.rounds = 1,
                        .commits = 1000,
                        .size = 4096,
                        .injectors = 8,
                        .ms = 1000,
                        .most_bytes = 1u << 30,
                        .turnover = 1000000};
    const struct argument rows[] = {
        {"--do", ARGUMENT_CALL, &function, 0, 0, read_function},
        {"--dir", ARGUMENT_TEXT, &loop.directory, 0, 0, NULL},
        {"--size", ARGUMENT_SIZE, &loop.size, 512, SEGMENT_BODY_MAX, NULL},
        {"--durability", ARGUMENT_CALL, &loop.durability, 0, 0, read_durability},
        {"--rounds", ARGUMENT_NUMBER, &loop.rounds, 1, 1000, NULL},
        {"--commits", ARGUMENT_NUMBER, &loop.commits, 1, 1000000, NULL},
        {"--injectors", ARGUMENT_NUMBER, &loop.injectors, 1, 1000, NULL},
        {"--for", ARGUMENT_DURATION, &loop.ms, 1, 3600000, NULL},
        {"--most", ARGUMENT_SIZE, &loop.most_bytes, 1, 1ull << 40, NULL},
        {"--turnover", ARGUMENT_NUMBER, &loop.turnover, 1, 1000000000, NULL},
    };
    int code = arguments_read(argc, argv, rows, countof(rows), help);
    if (code != ARGUMENTS_READ)
        return code;
    if (function == NULL || loop.directory == NULL)
        return arguments_fail(EX_USAGE, "spool_loop", "--do and --dir are needed");
    function(&loop);
    return EX_OK;
}
