#include "relay/health.h"

#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct health_part *health_add(struct health *health, int64_t bound_ms, const char *format, ...)
{
    va_list arguments;
    must(health->part_count < HEALTH_PARTS_MAX);
    struct health_part *part = &health->parts[health->part_count++];
    part->bound_ms = bound_ms;
    va_start(arguments, format);
    vsnprintf(part->name, sizeof(part->name), format, arguments);
    va_end(arguments);
    health_beat(part);
    return part;
}

void health_beat(struct health_part *part)
{
    atomic_store_explicit(&part->beat_ms, os_now(), memory_order_relaxed);
}

void health_enter(struct health *health, enum health_phase phase)
{
    atomic_store(&health->phase, phase);
}

void health_configure(struct health *health, const struct config *config)
{
    atomic_store(&health->queue_most, config->limits.queue);
    atomic_store(&health->memory_most, config->limits.memory);
}

static int64_t bound_of(const struct health *health, int64_t bound_ms)
{
    int64_t most = health->bound_most_ms;
    return most > 0 && most < bound_ms ? most : bound_ms;
}

bool health_works(const struct health *health, char why[HEALTH_WHY_MAX])
{
    int64_t now_ms = os_now();
    why[0] = '\0';
    for (unsigned i = 0; i < health->part_count; i++) {
        const struct health_part *part = &health->parts[i];
        int64_t silent_ms = now_ms - atomic_load_explicit(&part->beat_ms, memory_order_relaxed);
        if (silent_ms <= bound_of(health, part->bound_ms))
            continue;
        snprintf(why, HEALTH_WHY_MAX, "%s has not turned for %" PRId64 " s", part->name,
                 silent_ms / 1000);
        return false;
    }
    int64_t late_ms = health->dispatch != NULL ? dispatch_late_ms(health->dispatch) : 0;
    if (late_ms > bound_of(health, HEALTH_DISPATCH_MS))
        snprintf(why, HEALTH_WHY_MAX, "the dispatch is %" PRId64 " s behind", late_ms / 1000);
    return why[0] == '\0';
}

static const char *why_full(const struct health *health)
{
    uint64_t held = (uint64_t)metric_read(METRIC_BODY_MEMORY) + message_memory();
    if (health->spool != NULL && spool_full(health->spool))
        return "the spool is full";
    if (metric_read(METRIC_QUEUED) >= (int64_t)atomic_load(&health->queue_most))
        return "the queue is full (limits.queue)";
    if (held > 2 * atomic_load(&health->memory_most))
        return "too many bodies are in memory (limits.memory)";
    return NULL;
}

bool health_takes_mail(const struct health *health, char why[HEALTH_WHY_MAX])
{
    const char *not = NULL;
    switch (atomic_load(&health->phase)) {
    case HEALTH_STARTING: not = "starting"; break;
    case HEALTH_RUNNING: not = why_full(health); break;
    case HEALTH_DRAINING: not = "draining"; break;
    }
    snprintf(why, HEALTH_WHY_MAX, "%s", not != NULL ? not : "");
    return not == NULL && health_works(health, why);
}
