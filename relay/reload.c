#include "relay/run_inside.h"

#include <string.h>

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_listeners(const struct config *old, const struct config *new)
{
    if (old->listen_count != new->listen_count)
        return false;
    for (unsigned i = 0; i < new->listen_count; i++)
        if (!ip_equal(&old->listen[i].at.ip, &new->listen[i].at.ip) ||
            old->listen[i].at.port != new->listen[i].at.port)
            return false;
    return true;
}

static bool same_admin(const struct admin_config *old, const struct admin_config *new)
{
    return old->on == new->on &&ip_equal(&old->at.ip, &new->at.ip) &&
           old->at.port == new->at.port &&same_text(old->path, new->path) &&
           old->actions == new->actions && old->destinations == new->destinations;
}

/* What needs a restart is said, not done by halves. */
static void tell_unchangeable(const struct config *old, const struct config *new)
{
    const struct {
        const char *key;
        bool same;
    } keys[] = {
        {"spool", same_text(old->spool, new->spool)},
        {"control", same_text(old->control, new->control)},
        {"submit", same_text(old->submit, new->submit)},
        {"resolver", same_text(old->resolver, new->resolver)},
        {"workers", old->workers == new->workers},
        {"durability", old->durability == new->durability},
        {"map-size", old->map_bytes == new->map_bytes},
        {"min-free", old->min_free_bytes == new->min_free_bytes},
        {"listen", same_listeners(old, new)},
        {"admin", same_admin(&old->admin, &new->admin)},
    };
    for (size_t i = 0; i < countof(keys); i++)
        if (!keys[i].same)
            log_note("reload-needs-restart", "key", "%s", keys[i].key);
}

static void log_errors(const struct buffer *errors)
{
    struct span rest = buffer_span(errors), line;
    while (span_line(&rest, &line))
        log_note("reload-failed", "why", "%.*s", SPAN_FORMAT(line));
}

void running_log_doubts(const struct config *config)
{
    struct buffer doubts CLEANUP(buffer_free) = {0};
    struct span rest, line;
    config_doubts(config, &doubts);
    for (rest = buffer_span(&doubts); span_line(&rest, &line);)
        log_note("warning", "why", "%.*s", SPAN_FORMAT(line));
}

void running_reload(struct running *running)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    service_tell_reloading(running->service);
    struct config *config = config_read(running->config->path, &errors);
    if (config == NULL || !config_check_files(config, &errors)) {
        log_errors(&errors);
        log_note("reload-failed", "what", "the old configuration stays in effect");
        if (config != NULL)
            config_drop(&config);
        return;
    }
    tell_unchangeable(running->config, config);
    running_log_doubts(config);
    log_set_format(config->log);
    health_configure(&running->health, config);
    dispatch_reconfigure(running->relay.dispatch, config);
    for (unsigned i = 0; i < running->worker_count; i++)
        worker_reconfigure(running->workers[i], config);
    config_drop(&running->config);
    running->config = config;
    log_note("reloaded", "configuration", "%s", config->path ? config->path : "defaults");
}
