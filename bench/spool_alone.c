#include "base/must.h"
#include "bench/spool_calls.h"
#include "bench/spool_loop.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_MESSAGES = LOOP_BLOCK * LOOP_BATCH };

struct alone {
    struct spool *spool;
    struct replay *replay;
    uint64_t size;
    char *bodies;
    struct calls calls; /* of the last block of the spool's */
    struct calls_sum spool_did, bare_did;
};

struct round {
    struct loop_time spool, bare;
};

/* Messages are made before the clock starts, and go after it has stopped: that is whose mail it
 * is. Their checksums are the spool's. */
static void spool_block(struct alone *alone, struct loop_time *took)
{
    static struct envelope *envelopes[BLOCK_MESSAGES];
    for (size_t i = 0; i < BLOCK_MESSAGES; i++)
        envelopes[i] = loop_message(alone->spool, alone->size);
    alone->calls.count = 0;
    calls_start(&alone->calls, &alone->spool_did);
    struct loop_time began = loop_now();
    for (size_t at = 0; at < BLOCK_MESSAGES; at += LOOP_BATCH) {
        struct spool_batch batch;
        spool_begin(alone->spool, &batch, true);
        loop_accept_all(&batch, &envelopes[at], alone->bodies);
        loop_must(spool_commit(&batch), alone->spool);
    }
    loop_time_add(took, began);
    calls_stop();
    for (size_t i = 0; i < BLOCK_MESSAGES; i++)
        envelope_free(&envelopes[i]);
}

static void bare_block(struct alone *alone, struct loop_time *took)
{
    must(calls_longest(&alone->calls) <= LOOP_BATCH * alone->size);
    calls_start(NULL, &alone->bare_did);
    struct loop_time began = loop_now();
    replay_calls(alone->replay, &alone->calls, alone->bodies);
    loop_time_add(took, began);
    calls_stop();
}

static void print_sum(const char *name, const struct calls_sum *sum, uint64_t commits)
{
    double all = (double)commits;
    printf(",\"%s_did\":{\"writes\":%.2f,\"bytes\":%.0f,\"syncs\":%.3f,\"synced_writes\":%.3f}",
           name, (double)sum->writes / all, (double)sum->bytes / all, (double)sum->syncs / all,
           (double)sum->synced_writes / all);
}

static void print_time(const char *name, const struct loop_time *took, uint64_t messages)
{
    printf("\"%s\":{\"rate\":%.1f,\"cpu_us\":%.3f}", name, loop_rate(took, messages),
           loop_cpu_us(took, messages));
}

static void alone_open(struct alone *alone, const struct loop *loop)
{
    char data[PATH_MAX], bare[PATH_MAX];
    *alone = (struct alone){.size = loop->size, .bodies = loop_bodies(loop->size)};
    alone->spool = loop_open(loop, "spool", loop->durability);
    snprintf(data, sizeof(data), "%s/spool/data.mdb", loop->directory);
    snprintf(bare, sizeof(bare), "%s/bare", loop->directory);
    alone->replay = replay_open(data, bare);
}

static void alone_close(struct alone *alone)
{
    replay_close(&alone->replay);
    spool_close(&alone->spool);
    free(alone->calls.items);
    free(alone->bodies);
}

void loop_alone(const struct loop *loop)
{
    struct alone alone;
    uint64_t blocks = (loop->commits + LOOP_BLOCK - 1) / LOOP_BLOCK;
    alone_open(&alone, loop);
    printf("{\"rounds\":[");
    for (uint64_t i = 0; i < loop->rounds; i++) {
        struct round round = {{0}, {0}};
        for (uint64_t block = 0; block < blocks; block++) {
            spool_block(&alone, &round.spool);
            bare_block(&alone, &round.bare);
        }
        printf("%s{", i ? "," : "");
        print_time("spool", &round.spool, blocks * BLOCK_MESSAGES);
        printf(",");
        print_time("bare", &round.bare, blocks * BLOCK_MESSAGES);
        printf("}");
    }
    uint64_t commits = loop->rounds * blocks * LOOP_BLOCK;
    printf("],\"commits\":%" PRIu64, commits);
    print_sum("spool", &alone.spool_did, commits);
    print_sum("bare", &alone.bare_did, commits);
    printf("}\n");
    alone_close(&alone);
}
