#include "base/must.h"
#include "base/random.h"
#include "bench/spool_loop.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT 1024    /* messages on their way: any of them may be the next to have an outcome */
#define STAYS_OF 10 /* one of so many is deferred, and stays */
#define RETRIES 3
#define AGEING_NS_MAX 90000000000 /* on a slow disk less goes through it, and that is told */
#define TIDY_NS_MAX 10000000000
#define HOUR_MINUTES 60
#define FIRST_RETRY_MS 300000

/* When a deferred message is tried again, and deferred again: minutes of the hour (retry: first
 * 5m, factor 2). */
static const unsigned retry_minutes[RETRIES] = {5, 15, 35};

struct deferred {
    uint64_t id, since; /* messages that had come in by then */
};

/* A spool with its mail: what is out, and what is deferred. */
struct traffic {
    struct spool *spool;
    const struct loop *loop;
    const char *bodies;
    struct random_state random;
    uint64_t came, hour; /* messages; so many are an hour's */
    uint64_t out[OUT + LOOP_BATCH];
    size_t out_count;
    struct deferred *deferred;
    size_t deferred_count, deferred_capacity;
    size_t retried[RETRIES]; /* so many of `deferred` have had this retry */
};

static void defer(struct spool_batch *batch, uint64_t id, unsigned attempts)
{
    struct envelope *envelope CLEANUP(envelope_free) =
        envelope_create(NULL, SPAN("destination.loop.test"));
    must(envelope_add(envelope, SPAN("recipient@destination.loop.test"), SPAN("")) != NULL);
    envelope->id = id;
    envelope->attempts = (uint16_t)attempts;
    envelope->due_ms = message_id_ms(id) + ((int64_t)FIRST_RETRY_MS << attempts);
    envelope->last_reply = "The user's mailbox is busy, try again later";
    envelope->last_host = "mx1.loop.test[192.0.2.1]:25";
    envelope->recipients[0].code = 451;
    envelope->recipients[0].status = (struct status){4, 3, 2};
    spool_update(batch, envelope);
}

static void keep_deferred(struct traffic *traffic, uint64_t id)
{
    if (traffic->deferred_count == traffic->deferred_capacity) {
        traffic->deferred_capacity =
            traffic->deferred_capacity ? traffic->deferred_capacity * 2 : 1024;
        traffic->deferred = must_realloc(traffic->deferred,
                                         traffic->deferred_capacity * sizeof(*traffic->deferred));
    }
    traffic->deferred[traffic->deferred_count++] = (struct deferred){id, traffic->came};
}

/* One that is out is delivered, or deferred for long. */
static void settle_one(struct traffic *traffic, struct spool_batch *batch)
{
    size_t at = (size_t)random_below(&traffic->random, traffic->out_count);
    uint64_t id = traffic->out[at];
    traffic->out[at] = traffic->out[--traffic->out_count];
    if (random_below(&traffic->random, STAYS_OF) > 0) {
        spool_remove(batch, id, 0);
        return;
    }
    defer(batch, id, 1);
    keep_deferred(traffic, id);
}

static void retry_due(struct traffic *traffic, struct spool_batch *batch)
{
    for (unsigned i = 0; i < RETRIES; i++) {
        uint64_t after = traffic->hour * retry_minutes[i] / HOUR_MINUTES;
        size_t *next = &traffic->retried[i];
        for (; *next < traffic->deferred_count; (*next)++) {
            const struct deferred *deferred = &traffic->deferred[*next];
            if (deferred->since + after > traffic->came)
                break;
            defer(batch, deferred->id, i + 2);
        }
    }
}

/* One commit: new mail, and as many outcomes of what has been out. */
static void turn(struct traffic *traffic, struct envelope **envelopes)
{
    struct spool_batch batch;
    spool_begin(traffic->spool, &batch, true);
    loop_accept_all(&batch, envelopes, traffic->bodies);
    while (traffic->out_count >= OUT)
        settle_one(traffic, &batch);
    retry_due(traffic, &batch);
    loop_must(spool_commit(&batch), traffic->spool);
    spool_tidy(traffic->spool); /* as the committer does */
}

static void turns(struct traffic *traffic, uint64_t count, struct loop_time *took)
{
    static struct envelope *envelopes[LOOP_BLOCK][LOOP_BATCH];
    must(count <= LOOP_BLOCK);
    for (uint64_t i = 0; i < count; i++)
        for (size_t j = 0; j < LOOP_BATCH; j++)
            envelopes[i][j] = loop_message(traffic->spool, traffic->loop->size);
    struct loop_time began = loop_now();
    for (uint64_t i = 0; i < count; i++) {
        turn(traffic, envelopes[i]);
        for (size_t j = 0; j < LOOP_BATCH; j++)
            traffic->out[traffic->out_count++] = envelopes[i][j]->id;
        traffic->came += LOOP_BATCH;
    }
    loop_time_add(took, began);
    for (uint64_t i = 0; i < count; i++)
        for (size_t j = 0; j < LOOP_BATCH; j++)
            envelope_free(&envelopes[i][j]);
}

/* In blocks, until `messages` have come in, or for as long as there is time for it. */
static void pass(struct traffic *traffic, uint64_t messages, struct loop_time *took)
{
    while (traffic->came < messages && took->wall_ns < AGEING_NS_MAX)
        turns(traffic, LOOP_BLOCK, took);
}

static struct traffic *traffic_open(const struct loop *loop, const char *name, const char *bodies)
{
    struct traffic *traffic = must_calloc(1, sizeof(*traffic));
    struct loop_time unused = {0};
    traffic->spool = loop_open(loop, name, loop->durability);
    traffic->loop = loop;
    traffic->bodies = bodies;
    traffic->random.state = 1;
    traffic->hour = loop->turnover;
    pass(traffic, OUT, &unused);
    return traffic;
}

static void traffic_close(struct traffic **traffic)
{
    spool_close(&(*traffic)->spool);
    free((*traffic)->deferred);
    free(*traffic);
    *traffic = NULL;
}

static void print_traffic(const char *name, const struct traffic *traffic, const char *spool,
                          const struct loop_time *took, uint64_t messages)
{
    struct spool_facts facts;
    char path[PATH_MAX];
    spool_facts(traffic->spool, &facts);
    snprintf(path, sizeof(path), "%s/%s", traffic->loop->directory, spool);
    printf("\"%s\":{\"rate\":%.1f,\"cpu_us\":%.3f,\"live\":%" PRIu64 ",\"disk_bytes\":%" PRIu64
           ",\"index_bytes\":%" PRIu64 ",\"index_free_bytes\":%" PRIu64 "}",
           name, loop_rate(took, messages), loop_cpu_us(took, messages), facts.messages,
           loop_disk_bytes(path), facts.index_bytes, spool_index_free(traffic->spool));
}

static void round_of(const struct loop *loop, struct traffic *aged, uint64_t number,
                     const char *bodies)
{
    char name[32];
    struct loop_time aged_took = {0}, new_took = {0};
    uint64_t blocks = (loop->commits + LOOP_BLOCK - 1) / LOOP_BLOCK;
    snprintf(name, sizeof(name), "new.%" PRIu64, number);
    struct traffic *new = traffic_open(loop, name, bodies);
    for (uint64_t i = 0; i < blocks; i++) {
        turns(i % 2 ? aged : new, LOOP_BLOCK, i % 2 ? &aged_took : &new_took);
        turns(i % 2 ? new : aged, LOOP_BLOCK, i % 2 ? &new_took : &aged_took);
    }
    uint64_t messages = blocks * LOOP_BLOCK * LOOP_BATCH;
    printf("%s{", number ? "," : "");
    print_traffic("aged", aged, "aged", &aged_took, messages);
    printf(",");
    print_traffic("new", new, name, &new_took, messages);
    printf("}");
    traffic_close(&new);
}

/* The disk runs full: what is dead is given back. */
static void print_tidied(struct traffic *aged)
{
    char path[PATH_MAX];
    struct spool_facts facts;
    struct loop_time took = {0};
    struct segments *segments = spool_segments(aged->spool);
    snprintf(path, sizeof(path), "%s/aged", aged->loop->directory);
    uint64_t before = loop_disk_bytes(path);
    struct loop_time began = loop_now();
    int64_t end_ns = began.wall_ns + TIDY_NS_MAX;
    for (bool more = segments_tidy(segments, true); more && loop_now_ns() < end_ns;)
        more = segments_tidy(segments, false);
    loop_time_add(&took, began);
    spool_facts(aged->spool, &facts);
    printf("],\"live\":%" PRIu64 ",\"before_bytes\":%" PRIu64 ",\"after_bytes\":%" PRIu64
           ",\"tidy_s\":%.2f}\n",
           facts.messages, before, loop_disk_bytes(path), (double)took.wall_ns / 1e9);
}

void loop_aged(const struct loop *loop)
{
    char *bodies = loop_bodies(loop->size);
    struct loop_time took = {0};
    struct traffic *aged = traffic_open(loop, "aged", bodies);
    pass(aged, loop->turnover, &took);
    printf("{\"turnover\":%" PRIu64 ",\"deferred\":%zu,\"ageing_s\":%.1f,\"rounds\":[", aged->came,
           aged->deferred_count, (double)took.wall_ns / 1e9);
    aged->hour = UINT32_MAX; /* measured without retries, which a new one would not have */
    for (uint64_t i = 0; i < loop->rounds; i++)
        round_of(loop, aged, i, bodies);
    print_tidied(aged);
    traffic_close(&aged);
    free(bodies);
}
