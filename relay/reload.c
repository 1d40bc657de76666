#include "relay/reports/reports.h"
#include "relay/run_inside.h"
#include "tlspolicy/trust.h"

#include <stdlib.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_admin(const struct admin_config *one, const struct admin_config *other)
{
    return one->on == other->on && endpoint_equal(&one->at, &other->at) &&
           same_text(one->path, other->path) && one->actions == other->actions &&
           one->destinations == other->destinations;
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
        {"workers", old->workers == new->workers},
        {"durability", old->durability == new->durability},
        {"map-size", old->map_bytes == new->map_bytes},
        {"min-free", old->min_free_bytes == new->min_free_bytes},
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

/* ---- listen sections ---- */

static bool has_section(const struct config *config, const struct endpoint *at)
{
    for (unsigned i = 0; i < config->listen_count; i++)
        if (endpoint_equal(&config->listen[i].at, at))
            return true;
    return false;
}

/* A socket that was handed over, or a new one; for all workers. -1 with a line in the log. */
static int open_section(struct running *running, const struct endpoint *at)
{
    char text[ENDPOINT_TEXT_MAX];
    int socket = service_take(running->service, at);
    if (socket < 0)
        socket = os_listen_alone(at);
    if (socket < 0)
        log_note("reload-failed", "why", "cannot listen on %s: %s", endpoint_format(at, text),
                 strerror(-socket));
    return socket;
}

/* Sockets for the sections that are new; NULL when one cannot be opened. */
static struct listening *open_sections(struct running *running, const struct config *config)
{
    struct listening *where = must_calloc(config->listen_count, sizeof(*where));
    for (unsigned i = 0; i < config->listen_count; i++)
        where[i] = (struct listening){config->listen[i].at, -1};
    for (unsigned i = 0; i < config->listen_count; i++) {
        if (has_section(running->config, &where[i].at))
            continue;
        where[i].socket = open_section(running, &where[i].at);
        if (where[i].socket >= 0)
            continue;
        listening_close(where, config->listen_count);
        free(where);
        return NULL;
    }
    return where;
}

static void log_sections(const struct config *old, const struct config *config,
                         const struct listening *where)
{
    char text[ENDPOINT_TEXT_MAX];
    for (unsigned i = 0; i < config->listen_count; i++) {
        struct endpoint at;
        if (where[i].socket < 0)
            continue;
        os_local(where[i].socket, &at);
        running_log_listening(endpoint_format(&at, text), "mail", -1);
    }
    for (unsigned i = 0; i < old->listen_count; i++)
        if (!has_section(config, &old->listen[i].at))
            log_note("listening-ended", "on", "%s", endpoint_format(&old->listen[i].at, text));
}

/* ---- reloading ---- */

void running_load_authorities(void)
{
    char why[TLS_WHY_MAX];
    if (!tls_trust_renew_system(why))
        log_note("warning", "why", "%s; until then no host can be verified by its name", why);
}

static void reconfigure_resolver(struct running *running, const struct config *config)
{
    const struct config *old = running->config;
    const struct resolve_settings settings = config_resolver(config);
    char why[512];
    if (same_text(old->resolver, config->resolver) && old->dnssec == config->dnssec &&
        same_text(old->trust_anchor, config->trust_anchor))
        return;
    if (!resolve_reconfigure(running->resolve, &settings, why, sizeof(why)))
        log_note("warning", "why", "DNS is asked as before: %s", why);
}

void running_log_doubts(const struct config *config)
{
    struct buffer doubts CLEANUP(buffer_free) = {0};
    struct span rest, line;
    config_doubts(config, &doubts);
    for (rest = buffer_span(&doubts); span_line(&rest, &line);)
        log_note("warning", "why", "%.*s", SPAN_FORMAT(line));
}

/* The configuration, and sockets for its new sections; or NULL, and it has been told why. */
static struct config *read_again(struct running *running, struct listening **where)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = config_read(running->config->path, &errors);
    *where = NULL;
    if (config == NULL || !config_check_files(config, &errors))
        log_errors(&errors);
    else
        *where = open_sections(running, config);
    if (*where == NULL && config != NULL)
        config_drop(&config);
    return config;
}

void running_reload(struct running *running)
{
    struct listening *where;
    service_tell_reloading(running->service);
    struct config *config = read_again(running, &where);
    if (config == NULL) {
        log_note("reload-failed", "what", "the old configuration stays in effect");
        return;
    }
    running_load_authorities(); /* their package may have been upgraded */
    tell_unchangeable(running->config, config);
    log_sections(running->config, config, where);
    running_log_doubts(config);
    log_set_format(config->log);
    health_configure(&running->health, config);
    reconfigure_resolver(running, config); /* before anybody asks under the new configuration */
    discoverer_reconfigure(running->relay.discoverer, config);
    dispatch_reconfigure(running->relay.dispatch, config);
    reports_reconfigure(running->relay.reports, config);
    for (unsigned i = 0; i < running->worker_count; i++)
        worker_reconfigure(running->workers[i], config,
                           listening_share(where, config->listen_count));
    listening_close(where, config->listen_count);
    free(where);
    config_drop(&running->config);
    running->config = config;
    log_note("reloaded", "configuration", "%s", config->path ? config->path : "defaults");
}
