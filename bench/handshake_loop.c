/* Handshakes with a sink, one after the other on each thread, in the two ways of
 * bench/handshake_loop.h by turns: for bench/handshake. Prints one JSON object.
 *
 * A handshake is: connect, shake hands, read until the server's greeting has come (the tickets are
 * in front of it), close_notify, close. Its time ends with the handshake; its CPU, of this side
 * only and of the kernel for it, with the close. A message is a pipelined transaction on a
 * connection that is kept, from its first byte to its last reply. */
#include "bench/handshake_loop.h"

#include "base/must.h"
#include "bench/arguments.h"
#include "bench/histogram.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define TURNS 4 /* of each way */
#define THREADS_MAX 64
#define WARM_UP 16 /* not counted: caches, and a ticket for each */
#define REPLIES 3  /* to MAIL, RCPT, BDAT */

static const char help[] =
    "Usage: handshake_loop --to ADDR:PORT [OPTION]...\n"
    "Handshakes with `millrace sink --implicit-tls`, by OpenSSL alone and by the relay's code.\n"
    "\n"
    "  --ca FILE     check chain and name against these CAs; else nothing is checked\n"
    "  --resume      with tickets; else each handshake is a full one\n"
    "  --kept        messages over a connection that is kept, in place of handshakes\n"
    "  --threads N   1 unless said otherwise\n"
    "  --for TIME    of each way, as 800ms\n";

struct options {
    struct loop_plan plan;
    uint64_t threads, ms;
    bool kept;
};

struct counts {
    uint64_t done, resumed;
    int64_t cpu_ns, wall_ns;
    struct histogram times_ns;
};

struct thread {
    pthread_t id;
    const struct loop_way *way;
    const struct options *options;
    void *client;
    int64_t until_ns;
    struct counts counts; /* of all turns */
};

_Noreturn void loop_fail(const char *way, const char *what, const char *why)
{
    fprintf(stderr, "handshake_loop: %s: %s: %s\n", way, what, why);
    exit(EXIT_FAILURE);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    must(clock_gettime(clock, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- what is done again and again ---- */

static void shake(struct thread *thread)
{
    int64_t began = clock_ns(CLOCK_MONOTONIC);
    bool resumed = thread->way->connect(thread->client);
    histogram_add(&thread->counts.times_ns, (uint64_t)(clock_ns(CLOCK_MONOTONIC) - began));
    thread->counts.done++;
    thread->counts.resumed += resumed;
    thread->way->hear(thread->client, 1);
    thread->way->part(thread->client);
}

#define ENVELOPE "MAIL FROM:<a@load.test>\r\nRCPT TO:<b@load.test>\r\nBDAT 4096 LAST\r\n"
#define HEADER "Message-ID: <1@load.test>\r\n\r\n"

static char message[sizeof(ENVELOPE) - 1 + 4096];

static void make_message(void)
{
    memset(message, 'x', sizeof(message));
    for (size_t i = 0; i < sizeof(ENVELOPE HEADER) - 1; i++)
        message[i] = (ENVELOPE HEADER)[i];
}

static void deliver(struct thread *thread)
{
    int64_t began = clock_ns(CLOCK_MONOTONIC);
    thread->way->say(thread->client, (struct span){message, sizeof(message)});
    thread->way->hear(thread->client, REPLIES);
    histogram_add(&thread->counts.times_ns, (uint64_t)(clock_ns(CLOCK_MONOTONIC) - began));
    thread->counts.done++;
}

static void *run_thread(void *self)
{
    struct thread *thread = self;
    void (*once)(struct thread *) = thread->options->kept ? deliver : shake;
    int64_t cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    int64_t began_ns = clock_ns(CLOCK_MONOTONIC);
    while (clock_ns(CLOCK_MONOTONIC) < thread->until_ns)
        once(thread);
    thread->counts.wall_ns += clock_ns(CLOCK_MONOTONIC) - began_ns;
    thread->counts.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_ns;
    return NULL;
}

/* ---- turns ---- */

static void prepare(struct thread *thread)
{
    thread->client = thread->way->open(&thread->options->plan);
    for (unsigned i = 0; i < WARM_UP; i++)
        shake(thread);
    thread->counts = (struct counts){0};
    if (!thread->options->kept)
        return;
    thread->way->connect(thread->client);
    thread->way->hear(thread->client, 1);
    thread->way->say(thread->client, SPAN("HELO loop.test\r\n"));
    thread->way->hear(thread->client, 1);
}

static void run_turn(struct thread *threads, const struct options *options)
{
    int64_t turn_ns = (int64_t)options->ms * 1000000 / TURNS;
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + turn_ns;
    for (unsigned i = 0; i < options->threads; i++) {
        threads[i].until_ns = until_ns;
        must(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) == 0);
    }
    for (unsigned i = 0; i < options->threads; i++)
        must(pthread_join(threads[i].id, NULL) == 0);
}

/* ---- what came of it ---- */

static void print(const struct thread *threads, const struct options *options)
{
    static struct counts all;
    double rate = 0;
    all = (struct counts){0};
    for (unsigned i = 0; i < options->threads; i++) {
        const struct counts *one = &threads[i].counts;
        all.done += one->done;
        all.resumed += one->resumed;
        all.cpu_ns += one->cpu_ns;
        rate += (double)one->done / ((double)one->wall_ns / 1e9);
        histogram_merge(&all.times_ns, &one->times_ns);
    }
    printf("\"%s\":{\"done\":%" PRIu64 ",\"resumed\":%" PRIu64 ",\"rate\":%.1f,\"cpu_us\":%.2f,"
           "\"p50_us\":%.1f,\"p99_us\":%.1f}",
           threads->way->name, all.done, all.resumed, rate,
           (double)all.cpu_ns / 1e3 / (double)all.done,
           (double)histogram_quantile(&all.times_ns, 50, 100) / 1e3,
           (double)histogram_quantile(&all.times_ns, 99, 100) / 1e3);
}

static int run(const struct options *options)
{
    static const struct loop_way *const ways[] = {&loop_bare, &loop_relay};
    static struct thread threads[countof(ways)][THREADS_MAX];
    for (size_t way = 0; way < countof(ways); way++)
        for (unsigned i = 0; i < options->threads; i++) {
            threads[way][i] = (struct thread){.way = ways[way], .options = options};
            prepare(&threads[way][i]);
        }
    for (size_t turn = 0; turn < TURNS * countof(ways); turn++)
        run_turn(threads[(turn + turn / countof(ways)) % countof(ways)], options);
    printf("{");
    print(threads[0], options);
    printf(",");
    print(threads[1], options);
    printf("}\n");
    for (size_t way = 0; way < countof(ways); way++)
        for (unsigned i = 0; i < options->threads; i++) {
            if (options->kept)
                ways[way]->part(threads[way][i].client);
            ways[way]->close(&threads[way][i].client);
        }
    return EX_OK;
}

int main(int argc, char **argv)
{
    struct options options = {.threads = 1, .ms = 800};
    const struct argument rows[] = {
        {"--to", ARGUMENT_ENDPOINT, .to = &options.plan.to},
        {"--ca", ARGUMENT_TEXT, .to = &options.plan.ca},
        {"--resume", ARGUMENT_FLAG, .to = &options.plan.resumes},
        {"--kept", ARGUMENT_FLAG, .to = &options.kept},
        {"--threads", ARGUMENT_NUMBER, .to = &options.threads, 1, THREADS_MAX},
        {"--for", ARGUMENT_DURATION, .to = &options.ms, 1, 3600000},
    };
    int code = arguments_read(argc, argv, rows, countof(rows), help);
    if (code != ARGUMENTS_READ)
        return code;
    if (options.plan.to.ip.family == 0)
        return arguments_fail(EX_USAGE, "handshake_loop", "--to ADDR:PORT is missing");
    make_message();
    alarm((unsigned)(options.ms / 500 + 60)); /* a server that says nothing */
    return run(&options);
}
