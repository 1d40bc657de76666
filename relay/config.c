/* A configuration's life, looking things up in it, and whether the files it names can be used.
 * Reading it is config_read.c, writing it config_dump.c. */
#include "relay/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct config *config_keep(struct config *config)
{
    atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    return config;
}

void config_drop(struct config **config)
{
    struct config *dropped = *config;
    *config = NULL;
    if (dropped == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&dropped->references, 1, memory_order_acq_rel);
    must(before > 0);
    if (before > 1)
        return;
    names_free(&dropped->routes);
    names_free(&dropped->tls);
    names_free(&dropped->destinations);
    names_free(&dropped->retries);
    arena_free(&dropped->arena);
    free(dropped);
}

/* ---- looking up ---- */

const struct route_config *config_route(const struct config *config, struct span domain)
{
    return names_find(&config->routes, domain);
}

const struct tls_config *config_tls(const struct config *config, struct span domain)
{
    return names_find(&config->tls, domain);
}

const struct destination_config *config_destination(const struct config *config, struct span domain)
{
    return names_find(&config->destinations, domain);
}

const struct retry *config_retry(const struct config *config, struct span domain)
{
    const struct retry_config *found = names_find(&config->retries, domain);
    return &found->retry;
}

bool config_may_relay(const struct config *config, const struct ip *client)
{
    for (unsigned i = 0; i < config->relay_from_count; i++)
        if (network_holds(&config->relay_from[i], client))
            return true;
    return false;
}

/* ---- the files it names ---- */

static bool check_certificate(const struct listen_config *listen, struct buffer *errors)
{
    char why[TLS_WHY_MAX];
    const struct tls_server_options options = {.certificate = listen->certificate,
                                               .key = listen->key};
    struct tls_server *server = tls_server_create(&options, why);
    if (server == NULL)
        buffer_print(errors, "%s: %s\n", listen->where, why);
    bool fine = server != NULL;
    tls_server_destroy(&server);
    return fine;
}

/* The directory that is there already, of all above `path`. */
static void cut_to_existing(char *path)
{
    struct stat facts;
    while (stat(path, &facts) != 0 && errno == ENOENT) {
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            path[0] = '.';
        if (slash == NULL || slash == path)
            path[1] = '\0';
        else
            *slash = '\0';
    }
}

/* NULL when `path` is a directory that we may write to, or can be made. */
static const char *directory_fault(char *path)
{
    struct stat facts;
    cut_to_existing(path);
    if (stat(path, &facts) != 0)
        return strerror(errno);
    if (!S_ISDIR(facts.st_mode))
        return "it is not a directory";
    return access(path, R_OK | W_OK | X_OK) == 0 ? NULL : strerror(errno);
}

static bool check_spool(const struct config *config, struct buffer *errors)
{
    char *existing = must_strdup(config->spool);
    const char *fault = directory_fault(existing);
    if (fault != NULL && strcmp(existing, config->spool) == 0)
        buffer_print(errors, "%s: spool %s cannot be used: %s\n", config->spool_where,
                     config->spool, fault);
    else if (fault != NULL)
        buffer_print(errors, "%s: spool %s cannot be made in %s: %s\n", config->spool_where,
                     config->spool, existing, fault);
    free(existing);
    return fault == NULL;
}

bool config_check_files(const struct config *config, struct buffer *errors)
{
    bool fine = check_spool(config, errors);
    for (unsigned i = 0; i < config->listen_count; i++)
        if (config->listen[i].tls != LISTEN_TLS_OFF)
            fine &= check_certificate(&config->listen[i], errors);
    return fine;
}
