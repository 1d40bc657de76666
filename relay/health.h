/* Whether the process works (its threads turn, its dispatch is not behind) and whether it takes
 * mail: what the watchdog, GET /health and GET /ready ask. Each thread beats once per turn; who
 * asks takes no lock, so that a stuck relay still says that it is stuck. */
#pragma once

#include "relay/config.h"

struct dispatch;

#define HEALTH_WORKER_MS 10000 /* longest turn of a worker or the loader that is no fault */
#define HEALTH_COMMITTER_MS                                                                        \
    30000 /* a disk may take its time for a sync; tickets, reports: the same */
#define HEALTH_PASSWORDS_MS 30000 /* for as many as may wait */
#define HEALTH_DISPATCH_MS 10000  /* how late what is due may be looked at */
#define HEALTH_PARTS_MAX (CONFIG_WORKERS_MAX + 6)
#define HEALTH_WHY_MAX 128

enum health_phase {
    HEALTH_STARTING,
    HEALTH_RUNNING,
    HEALTH_DRAINING,
};

struct health_part {
    _Alignas(64) atomic_int_least64_t beat_ms; /* os_now() of the last turn */
    int64_t bound_ms;
    char name[24];
};

struct health {
    _Atomic(enum health_phase) phase;
    _Atomic uint64_t queue_most, memory_most; /* limits.queue and limits.memory */
    int64_t bound_most_ms;                    /* no bound is longer; 0: as above */
    struct dispatch *dispatch;                /* borrowed; NULL: not asked */
    struct spool *spool;
    unsigned part_count;
    struct health_part parts[HEALTH_PARTS_MAX];
};

/* One more thread that turns, before any asks: "worker 0". */
struct health_part *health_add(struct health *health, int64_t bound_ms, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Any number of times per turn. */
void health_beat(struct health_part *part);

void health_enter(struct health *health, enum health_phase phase);
void health_configure(struct health *health, const struct config *config);

/* Each: true, or false with what is the matter. */
bool health_works(const struct health *health, char why[HEALTH_WHY_MAX]);
bool health_takes_mail(const struct health *health, char why[HEALTH_WHY_MAX]);
