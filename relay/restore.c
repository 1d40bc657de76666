#include "relay/restore.h"

#include "base/log.h"
#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define GLANCES 256 /* envelopes read in one transaction, and added under one lock */

struct restore {
    struct spool *spool;
    struct dispatch *dispatch;
    uint64_t before; /* the first id of this run */
    atomic_bool stopping;
    pthread_t thread;
};

/* How many of the glances are from before this run. */
static size_t old_ones(const struct restore *restore, const struct spool_glance *glances,
                       size_t count)
{
    while (count > 0 && glances[count - 1].id >= restore->before)
        count--;
    return count;
}

static uint64_t restore_envelopes(struct restore *restore)
{
    struct spool_glance *glances = must_calloc(GLANCES, sizeof(*glances));
    uint64_t id = 0, envelopes = 0;
    uint16_t number = 0;
    bool first = true;
    size_t count;
    do {
        count = spool_scan(restore->spool, &id, &number, first, glances, GLANCES);
        count = old_ones(restore, glances, count);
        first = false;
        for (size_t i = 0; i < count; i++) {
            metric_add(METRIC_RESTORED, glances[i].recipients);
            metric_add(METRIC_QUEUED, glances[i].recipients);
        }
        dispatch_restore(restore->dispatch, glances, count);
        envelopes += count;
    } while (count > 0 && !atomic_load(&restore->stopping));
    free(glances);
    return envelopes;
}

static void keep_bodies(struct restore *restore)
{
    while (!atomic_load(&restore->stopping) && spool_scan_bodies(restore->spool, GLANCES) > 0)
        ;
}

static void *run(void *argument)
{
    struct restore *restore = argument;
    uint64_t envelopes = restore_envelopes(restore);
    if (!atomic_load(&restore->stopping))
        dispatch_restored(restore->dispatch);
    keep_bodies(restore);
    log_note("restored", "envelopes", "%llu", (unsigned long long)envelopes);
    log_flush();
    return NULL;
}

struct restore *restore_start(struct spool *spool, struct dispatch *dispatch)
{
    struct restore *restore = must_calloc(1, sizeof(*restore));
    restore->spool = spool;
    restore->dispatch = dispatch;
    restore->before = spool_next_id(spool, os_wall());
    must(pthread_create(&restore->thread, NULL, run, restore) == 0);
    return restore;
}

void restore_stop(struct restore **restore)
{
    atomic_store(&(*restore)->stopping, true);
    pthread_join((*restore)->thread, NULL);
    free(*restore);
    *restore = NULL;
}
