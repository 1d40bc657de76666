#include "base/crc32c.h"
#include "base/must.h"
#include "bench/spool_loop.h"
#include "queue/committer.h"
#include "queue/inbox.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define STEP_MS 10

struct run {
    const struct loop *loop;
    struct spool *spool;
    struct committer *committer;
    char *bodies;
    pthread_barrier_t start;
    atomic_bool stop; /* the committer */
};

struct injector {
    struct run *run;
    pthread_t thread;
    struct inbox home;
    struct change change;
    struct histogram waits; /* us from posted to durable */
    uint64_t messages, messages_max;
};

static void *commit_all(void *with)
{
    struct run *run = with;
    while (!atomic_load(&run->stop))
        if (!committer_step(run->committer, STEP_MS))
            loop_must(SPOOL_BROKEN, run->spool);
    return NULL;
}

/* Its body is its own, as that of a message is which has just come in. */
static struct envelope *make_message(struct injector *injector)
{
    uint64_t size = injector->run->loop->size;
    struct envelope *envelope = loop_message(injector->run->spool, size);
    char *body = span_copy((struct span){injector->run->bodies, size});
    envelope->message->place.crc = crc32c(0, body, size);
    message_take_body(envelope->message, body);
    return envelope;
}

static void inject_one(struct injector *injector)
{
    struct envelope *envelope CLEANUP(envelope_free) = make_message(injector);
    injector->change = (struct change){.reply_to = &injector->home.box,
                                       .accept = envelope->message,
                                       .accepted = &envelope,
                                       .accepted_count = 1};
    int64_t posted_ns = loop_now_ns();
    committer_post(injector->run->committer, &injector->change);
    struct mail *mail = inbox_take(&injector->home, -1);
    must(mail == &injector->change.mail && mail->next == NULL);
    histogram_add(&injector->waits, (uint64_t)(loop_now_ns() - posted_ns) / 1000);
    loop_must(injector->change.result, injector->run->spool);
    injector->messages++;
}

static void *inject(void *with)
{
    struct injector *injector = with;
    pthread_barrier_wait(&injector->run->start);
    int64_t end_ns = loop_now_ns() + (int64_t)injector->run->loop->ms * 1000000;
    while (injector->messages < injector->messages_max && loop_now_ns() < end_ns)
        inject_one(injector);
    return NULL;
}

static struct injector *start_injectors(struct run *run)
{
    const struct loop *loop = run->loop;
    struct injector *injectors = must_calloc(loop->injectors, sizeof(*injectors));
    for (uint64_t i = 0; i < loop->injectors; i++) {
        injectors[i].run = run;
        injectors[i].messages_max = 1 + loop->most_bytes / loop->size / loop->injectors;
        inbox_init(&injectors[i].home);
        must(pthread_create(&injectors[i].thread, NULL, inject, &injectors[i]) == 0);
    }
    return injectors;
}

static void print_run(struct run *run, const struct loop_time *took, uint64_t messages,
                      const struct histogram *waits)
{
    struct committer_facts facts;
    committer_facts(run->committer, &facts);
    printf("{\"messages\":%" PRIu64 ",\"rate\":%.1f,\"mbytes\":%.2f,\"cpu_us\":%.3f,"
           "\"each_commit\":%.2f,\"commit_us\":%.1f,\"p50_us\":%" PRIu64 ",\"p99_us\":%" PRIu64
           "}\n",
           messages, loop_rate(took, messages),
           loop_rate(took, messages) * (double)run->loop->size / 1e6, loop_cpu_us(took, messages),
           (double)facts.changes / (double)facts.commits,
           (double)facts.commit_us / (double)facts.commits, histogram_quantile(waits, 50, 100),
           histogram_quantile(waits, 99, 100));
}

static void measure(struct run *run)
{
    struct injector *injectors = start_injectors(run);
    struct histogram *waits = must_calloc(1, sizeof(*waits));
    struct loop_time took = {0};
    uint64_t messages = 0;
    pthread_barrier_wait(&run->start);
    struct loop_time began = loop_now();
    for (uint64_t i = 0; i < run->loop->injectors; i++)
        pthread_join(injectors[i].thread, NULL);
    loop_time_add(&took, began);
    for (uint64_t i = 0; i < run->loop->injectors; i++) {
        histogram_merge(waits, &injectors[i].waits);
        messages += injectors[i].messages;
        inbox_free(&injectors[i].home);
    }
    print_run(run, &took, messages, waits);
    free(waits);
    free(injectors);
}

void loop_accept(const struct loop *loop)
{
    struct run run = {.loop = loop, .bodies = loop_bodies(loop->size)};
    pthread_t committer;
    run.spool = loop_open(loop, "spool", loop->durability);
    run.committer = committer_create(run.spool);
    pthread_barrier_init(&run.start, NULL, (unsigned)loop->injectors + 1);
    must(pthread_create(&committer, NULL, commit_all, &run) == 0);
    measure(&run);
    atomic_store(&run.stop, true);
    pthread_join(committer, NULL);
    pthread_barrier_destroy(&run.start);
    committer_destroy(&run.committer);
    spool_close(&run.spool);
    free(run.bodies);
}
