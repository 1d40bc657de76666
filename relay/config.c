/* A configuration's life, looking things up in it, and whether the files it names can be used.
 * Reading it is config_read.c, writing it config_dump.c. */
#include "relay/config.h"

#include "relay/os.h"
#include "relay/outbound/login.h"
#include "relay/secret.h"
#include "relay/smtp/address.h"
#include "relay/users.h"
#include "tlspolicy/trust.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *config_file(const char *given)
{
    static const char installed[] = MILLRACE_CONFIG_FILE;
    if (given != NULL)
        return given;
    return access(installed, F_OK) == 0 ? installed : NULL;
}

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
    names_free(&dropped->logins);
    names_free(&dropped->user_names);
    users_drop(&dropped->users);
    for (unsigned i = 0; i < dropped->tls_count; i++)
        tls_trust_release(&dropped->tls_list[i].trust);
    for (unsigned i = 0; i < dropped->login_count; i++)
        login_free(&dropped->login_list[i].login);
    for (unsigned i = 0; i < dropped->rule_count; i++)
        pattern_free(&dropped->rules[i].pattern);
    arena_free(&dropped->arena);
    free(dropped);
}

/* ---- looking up ---- */

struct resolve_settings config_resolver(const struct config *config)
{
    return (struct resolve_settings){
        .server = config->resolver,
        .dnssec = config->dnssec,
        .trust_anchor = config->trust_anchor,
    };
}

const struct route_config *config_route(const struct config *config, struct span domain)
{
    return names_find(&config->routes, domain);
}

bool config_is_implicit(const struct route_config *route, const struct next_hop_host *host)
{
    switch (route->tls) {
    case ROUTE_TLS_BY_PORT: return host->port == PORT_SMTPS;
    case ROUTE_TLS_STARTTLS: return false;
    case ROUTE_TLS_IMPLICIT: return true;
    }
    must_not_reach();
}

const struct tls_config *config_tls(const struct config *config, struct span domain)
{
    return names_find(&config->tls, domain);
}

const struct destination_config *config_destination(const struct config *config, struct span domain)
{
    return names_find(&config->destinations, domain);
}

const struct retry_config *config_retry_section(const struct config *config, struct span domain)
{
    return names_find(&config->retries, domain);
}

const struct retry *config_retry(const struct config *config, struct span domain)
{
    return &config_retry_section(config, domain)->retry;
}

const struct user_config *config_user(const struct config *config, const char *name)
{
    const struct user_config *found = names_exact(&config->user_names, span_of(name));
    return found ? found : names_exact(&config->user_names, SPAN("*"));
}

static bool is_sender(struct span allowed, struct span sender)
{
    struct span domain = address_domain(sender);
    if (span_equal(allowed, SPAN("<>")))
        return sender.length == 0;
    if (allowed.data[0] == '.')
        return domain.length > allowed.length &&
               span_equal_nocase(span_skip(domain, domain.length - allowed.length), allowed);
    if (memchr(allowed.data, '@', allowed.length))
        return span_equal_nocase(sender, allowed);
    return span_equal_nocase(domain, allowed);
}

bool config_may_send_as(const struct senders *senders, struct span sender)
{
    for (unsigned i = 0; i < senders->count; i++)
        if (is_sender(span_of(senders->list[i]), sender))
            return true;
    return senders->list == NULL;
}

bool config_may_relay(const struct config *config, const struct ip *client)
{
    return networks_hold(&config->relay_from, client);
}

bool config_is_user(struct span text)
{
    if (text.length == 0 || text.length > CONFIG_USER_MAX || text.data[0] == '-')
        return false;
    for (size_t i = 0; i < text.length; i++)
        if (!isalnum((unsigned char)text.data[i]) && strchr("._-", text.data[i]) == NULL)
            return false;
    return true;
}

bool config_may_submit(const struct config *config, unsigned uid, const char *name)
{
    for (unsigned i = 0; i < config->submit_user_count; i++) {
        const char *user = config->submit_users[i];
        uint64_t number;
        if (strcmp(user, "*") == 0 || (name[0] != '\0' && strcmp(user, name) == 0) ||
            (span_number(span_of(user), &number) && number == uid))
            return true;
    }
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

/* NULL when `path` is a directory that we have this access to. */
static const char *directory_fault(const char *path, int mode)
{
    struct stat facts;
    if (stat(path, &facts) != 0)
        return strerror(errno);
    if (!S_ISDIR(facts.st_mode))
        return "it is not a directory";
    return access(path, mode) == 0 ? NULL : strerror(errno);
}

static bool check_spool(const struct config *config, struct buffer *errors)
{
    char *existing = must_strdup(config->spool);
    cut_to_existing(existing);
    const char *fault = directory_fault(existing, R_OK | W_OK | X_OK);
    if (fault != NULL && strcmp(existing, config->spool) == 0)
        buffer_print(errors, "%s: spool %s cannot be used: %s\n", config->spool_where,
                     config->spool, fault);
    else if (fault != NULL)
        buffer_print(errors, "%s: spool %s cannot be made in %s: %s\n", config->spool_where,
                     config->spool, existing, fault);
    free(existing);
    return fault == NULL;
}

static size_t length_without_slashes(const char *path, size_t length)
{
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length;
}

/* The spool has been looked at already, and may still have to be made. */
static bool is_spool(const struct config *config, struct span directory)
{
    size_t length = length_without_slashes(config->spool, strlen(config->spool));
    return span_equal(directory, (struct span){config->spool, length});
}

static const char *socket_directory_fault(const struct config *config, const char *socket)
{
    const char *slash = strrchr(socket, '/');
    struct span directory = SPAN(".");
    if (slash != NULL) {
        size_t length = (size_t)(slash - socket) + 1;
        directory = (struct span){socket, length_without_slashes(socket, length)};
    }
    if (is_spool(config, directory))
        return NULL;
    char *path = must_strndup(directory.data, directory.length);
    const char *fault = directory_fault(path, W_OK | X_OK);
    free(path);
    return fault;
}

static bool check_socket(const struct config *config, const char *key, const char *path,
                         const char *where, struct buffer *errors)
{
    struct stat facts;
    const char *fault = socket_directory_fault(config, path);
    const char *advice = "let its directory exist and be writable";
    if (fault == NULL && lstat(path, &facts) == 0 && !S_ISSOCK(facts.st_mode)) {
        fault = "there is a file of that name which is no socket";
        advice = "remove it, or set another path";
    }
    if (fault != NULL)
        buffer_print(errors, "%s: %s %s cannot be made: %s: %s\n", where, key, path, fault, advice);
    return fault == NULL;
}

static bool read_users(struct config *config, struct buffer *errors)
{
    if (config->users_file == NULL)
        return true;
    config->users = users_read(config->users_file, config->users_where, errors);
    return config->users != NULL;
}

/* The system's CAs are there where this section needs them. */
static bool has_system_trust(const struct tls_config *tls, struct buffer *errors)
{
    char why[TLS_WHY_MAX];
    if (tls->policy.level != TLS_VERIFY && tls->policy.level != TLS_SECURE)
        return true;
    struct tls_trust *system CLEANUP(tls_trust_release) = tls_trust_system(why);
    if (system == NULL)
        buffer_print(errors, "%s: level = %s: %s\n", tls->where, tls_level_name(tls->policy.level),
                     why);
    return system != NULL;
}

/* What a section has from "*" is read once. */
static bool load_trust(struct config *config, struct tls_config *tls, struct buffer *errors)
{
    char why[TLS_WHY_MAX];
    const struct tls_config *star = config->tls_list;
    if (tls->ca_file == NULL)
        return has_system_trust(tls, errors);
    bool inherited = tls != star && tls->ca_file == star->ca_file;
    if (inherited)
        tls->trust = star->trust ? tls_trust_share(star->trust) : NULL;
    else
        tls->trust = tls_trust_load(tls->ca_file, why);
    if (tls->trust == NULL && !inherited)
        buffer_print(errors, "%s: ca-file: %s\n", tls->where, why);
    return tls->trust != NULL;
}

static bool check_ciphers(const struct tls_config *tls, struct buffer *errors)
{
    char why[TLS_WHY_MAX];
    if (tls->ciphers == NULL || tls_ciphers_check(tls->ciphers, why))
        return true;
    buffer_print(errors, "%s: ciphers: %s\n", tls->where, why);
    return false;
}

/* That a trust anchor is none, or a resolver not to be trusted, is found out here, and not with the
 * first mail. */
static bool check_resolver(const struct config *config, struct buffer *errors)
{
    char why[512];
    const struct resolve_settings settings = config_resolver(config);
    if (config->dnssec == DNSSEC_OFF || resolve_check(&settings, why, sizeof(why)))
        return true;
    buffer_print(errors, "%s: %s\n", config->dnssec_where, why);
    return false;
}

static bool check_policy_authorities(const struct config *config, struct buffer *errors)
{
    char why[TLS_WHY_MAX];
    if (config->mta_sts_ca_file == NULL)
        return true;
    struct tls_trust *trust CLEANUP(tls_trust_release) =
        tls_trust_load(config->mta_sts_ca_file, why);
    if (trust == NULL)
        buffer_print(errors, "%s: mta-sts-ca-file: %s\n", config->mta_sts_ca_where, why);
    return trust != NULL;
}

bool config_check_files(struct config *config, struct buffer *errors)
{
    bool fine = config->spool_where == NULL || check_spool(config, errors);
    if (config->control_where != NULL)
        fine &= check_socket(config, "control", config->control, config->control_where, errors);
    if (config->submit_where != NULL)
        fine &= check_socket(config, "submit", config->submit, config->submit_where, errors);
    for (unsigned i = 0; i < config->listen_count; i++) {
        const struct listen_config *listen = &config->listen[i];
        if (listen->tls != LISTEN_TLS_OFF && listen->certificate != NULL && listen->key != NULL)
            fine &= check_certificate(listen, errors);
    }
    for (unsigned i = 0; i < config->tls_count; i++) {
        fine &= load_trust(config, &config->tls_list[i], errors);
        fine &= check_ciphers(&config->tls_list[i], errors);
    }
    fine &= check_resolver(config, errors);
    fine &= check_policy_authorities(config, errors);
    return read_users(config, errors) && fine;
}

/* ---- addresses to connect from ---- */

static bool check_sources(const struct addresses *sources, struct buffer *doubts)
{
    char ip[IP_TEXT_MAX];
    bool fine = true;
    for (unsigned i = 0; i < sources->count; i++) {
        struct endpoint at = {.ip = sources->list[i]};
        int error = os_listen_check(&at); /* binds there, and no more */
        if (error < 0)
            buffer_print(doubts, "%s: source %s cannot be used: %s\n", sources->where,
                         ip_format(&at.ip, ip), strerror(-error));
        fine &= error == 0;
    }
    return fine;
}

/* The relay reads it again before each use; until it can, the mail that needs it waits. */
static bool check_secret(const struct login_config *login, struct buffer *doubts)
{
    static const struct exchange_want as_it_is;
    char why[LOGIN_WHY_MAX];
    char *secret CLEANUP(secret_free) = login_secret(login->login, &as_it_is, why);
    if (secret == NULL)
        buffer_print(doubts, "%s: login \"%s\" cannot be used: %s\n", login->where, login->name,
                     why);
    return secret != NULL;
}

bool config_doubts(const struct config *config, struct buffer *doubts)
{
    bool fine = true;
    for (unsigned i = 0; i < config->route_count; i++)
        fine &= check_sources(&config->route_list[i].sources, doubts);
    for (unsigned i = 0; i < config->destination_count; i++) {
        const struct addresses *sources = &config->destination_list[i].sources;
        if (i == 0 || sources->list != config->destination_list[0].sources.list) /* its own */
            fine &= check_sources(sources, doubts);
    }
    for (unsigned i = 0; i < config->login_count; i++)
        fine &= check_secret(&config->login_list[i], doubts);
    return fine;
}

void config_find_own(struct config *config)
{
    config->own = arena_take(&config->arena, CONFIG_OWN_MAX * sizeof(*config->own));
    config->own_count = os_own_addresses(config->own, CONFIG_OWN_MAX);
}

/* 0.0.0.0 and :: lead to loopback. */
static bool is_own_address(const struct config *config, const struct ip *ip)
{
    for (unsigned i = 0; i < config->own_count; i++)
        if (ip_equal(&config->own[i], ip))
            return true;
    return ip_is_loopback(ip) || ip_is_unspecified(ip);
}

static bool serves(const struct config *config, const struct ip *listener, const struct ip *ip)
{
    if (ip_is_unspecified(listener)) /* "[::]" serves both families */
        return (listener->family == 6 || ip->family == 4) && is_own_address(config, ip);
    return ip_equal(listener, ip) || (ip_is_unspecified(ip) && ip_is_loopback(listener));
}

bool config_may_fetch_from(const struct config *config, const struct ip *ip)
{
    if (ip_is_loopback(ip) || ip_is_unspecified(ip) || ip_is_private(ip))
        return config->allow_loopback;
    return ip_is_reachable(ip);
}

bool config_is_own_listener(const struct config *config, const struct ip *ip, uint16_t port)
{
    for (unsigned i = 0; i < config->listen_count; i++)
        if (config->listen[i].at.port == port && serves(config, &config->listen[i].at.ip, ip))
            return true;
    return false;
}
