/* The sections that go by names of domains: `route`, `tls`, `destination` and `retry`; and `user`.
 */
#include "relay/config_read_inside.h"
#include "relay/smtp/address.h"
#include "relay/users.h"

#include <string.h>

/* By our name, or by an address at which we listen. */
static bool is_ourselves(const struct config *config, const struct next_hop_host *host)
{
    if (host->name == NULL)
        return config_is_own_listener(config, &host->ip, host->port);
    if (!span_equal_nocase(span_of(host->name), span_of(config->hostname)))
        return false;
    for (unsigned i = 0; i < config->listen_count; i++)
        if (config->listen[i].at.port == host->port)
            return true;
    return false;
}

static void check_route(struct reader *reader, size_t section, const void *item)
{
    const struct route_config *route = item;
    for (unsigned i = 0; i < route->count; i++)
        if (is_ourselves(reader->config, &route->hosts[i]))
            report_add(&reader->report, place_of(reader, section, "hosts"),
                       "route \"%s\" leads to this relay itself: mail would loop", route->name);
    if (route->count == 0)
        report_add(&reader->report, place_of(reader, section, "hosts"),
                   "route \"%s\" has no hosts: hosts = { \"mx.example:25\" }", route->name);
}

static void check_tls(struct reader *reader, size_t section, const void *item)
{
    const struct tls_config *tls = item;
    const struct tls_policy *policy = &tls->policy;
    bool by_name = policy->level == TLS_VERIFY || policy->level == TLS_SECURE;
    if (policy->level == TLS_FINGERPRINT && policy->fingerprint_count == 0)
        report_add(&reader->report, place_of(reader, section, "level"),
                   "level fingerprint needs fingerprints = { \"sha256:…\" }");
    if (policy->match_count > 0 && !by_name && is_set(reader, section, "match"))
        report_add(&reader->report, place_of(reader, section, "match"),
                   "match has no use at level %s: names are looked for at verify and secure",
                   tls_level_name(policy->level));
    if (tls->least != TLS_VERSION_ANY && tls->most != TLS_VERSION_ANY && tls->least > tls->most)
        report_add(&reader->report, place_of(reader, section, "min-version"),
                   "min-version is above max-version");
}

static void check_retry(struct reader *reader, size_t section, const void *item)
{
    const struct retry_config *retry = item;
    if (retry->retry.schedule.count == 0 && retry->retry.longest_ms < retry->retry.first_ms)
        report_add(&reader->report, place_of(reader, section, "longest"),
                   "longest is below first: no delay fits both");
}

struct table {
    enum section_kind kind;
    struct names *names;
    size_t item_size;     /* of a struct that begins with its name */
    const void *defaults; /* the section "*" when there is none; NULL: none is needed */
    void (*check)(struct reader *reader, size_t section, const void *item);
    const char *(*name_fault)(const char *name); /* what it would have to be; NULL when it is */
};

bool name_is_valid(struct span name)
{
    bool below = name.length > 1 && name.data[0] == '.';
    return span_equal(name, SPAN("*")) || domain_is_valid(below ? span_skip(name, 1) : name);
}

static const char *domain_fault(const char *name)
{
    return name_is_valid(span_of(name))
               ? NULL
               : "not a domain, as in example.com, .example.com (all below it) or *";
}

static const char *user_fault(const char *name)
{
    return user_name_fault(name) ? "not a user's name, or *" : NULL;
}

/* It stands in log lines. */
static const char *login_fault(const char *name)
{
    return config_is_user(span_of(name)) ? NULL : "not a name of letters, digits, '.', '_' and '-'";
}

static bool is_star(const struct walk *walk)
{
    const char *title = cfg_getstr(walk->cfg, CONFIG_TITLE);
    return title != NULL && strcmp(title, "*") == 0;
}

/* After its keys were read, for `tls` has a say. */
static void fill_ports(const struct config *config, struct route_config *route)
{
    uint16_t usual = route->tls == ROUTE_TLS_IMPLICIT ? PORT_SMTPS : config->smtp_port;
    for (unsigned i = 0; i < route->count; i++)
        if (route->hosts[i].port == PORT_UNSAID)
            route->hosts[i].port = usual;
}

static void read_item(struct reader *reader, const struct table *table, const struct walk *walk,
                      void *item)
{
    const char *section = config_section(table->kind)->name;
    const char *title = cfg_getstr(walk->cfg, CONFIG_TITLE);
    char *name = arena_copy(&reader->config->arena, span_of(title ? title : ""));
    text_lower(name);
    memcpy(item, &name, sizeof(name));
    size_t problems = reader->report.count;
    if (table->kind == SECTION_ROUTE)
        ((struct route_config *)item)->fallback_port = PORT_SUBMISSION;
    read_keys(reader, walk->section, walk->cfg, item);
    if (table->kind == SECTION_ROUTE)
        fill_ports(reader->config, item);
    if (table->kind == SECTION_TLS)
        ((struct tls_config *)item)->where = where(reader, walk->place);
    const char *fault = table->name_fault(name);
    if (fault != NULL)
        report_add(&reader->report, walk->place, "%s \"%.80s\": %s", section, name, fault);
    else if (!names_add(table->names, span_of(name), item))
        report_add(&reader->report, walk->place, "%s \"%.80s\" is there twice", section, name);
    else if (table->check != NULL && reader->report.count == problems && !reader->scan.broken)
        table->check(reader, walk->section, item);
}

/* The items as an array; "*" comes first, and is what the others start from. */
static void *read_table(struct reader *reader, const struct table *table, unsigned *count)
{
    struct walk walk = {0};
    size_t room = cfg_size(reader->root, config_section(table->kind)->name) + 1;
    char *items = arena_take(&reader->config->arena, room * table->item_size);
    *count = 0;
    if (table->defaults != NULL) {
        memcpy(items, table->defaults, table->item_size);
        while (walk_next(reader, table->kind, &walk) && !is_star(&walk))
            continue;
        if (walk.cfg != NULL && is_star(&walk))
            read_item(reader, table, &walk, items);
        else
            names_add(table->names, SPAN("*"), items);
        *count = 1;
    }
    size_t star = walk.section;
    for (walk = (struct walk){0}; walk_next(reader, table->kind, &walk);) {
        if (table->defaults != NULL && walk.section == star && is_star(&walk))
            continue;
        char *item = items + *count * table->item_size;
        if (table->defaults != NULL)
            memcpy(item, items, table->item_size);
        read_item(reader, table, &walk, item);
        (*count)++;
    }
    return items;
}

void read_tables(struct reader *reader)
{
    struct config *config = reader->config;
    static const struct tls_config tls = {.name = "*", .policy = TLS_POLICY_DEFAULT};
    static const struct destination_config destination = {.name = "*",
                                                          .max_connections = 20,
                                                          .messages_per_connection = 500,
                                                          .idle_ms = 30000,
                                                          .back_off_ms = 60000,
                                                          .max_hosts = CONFIG_HOSTS_MAX,
                                                          .max_addresses = 10};
    static const struct user_config user = {.name = "*"};
    config->login_list =
        read_table(reader,
                   &(struct table){SECTION_LOGIN, &config->logins, sizeof(struct login_config),
                                   NULL, NULL, login_fault},
                   &config->login_count);
    static const struct retry_config retry = {.name = "*", .retry = RETRY_DEFAULT};
    config->route_list =
        read_table(reader,
                   &(struct table){SECTION_ROUTE, &config->routes, sizeof(struct route_config),
                                   NULL, check_route, domain_fault},
                   &config->route_count);
    config->tls_list = read_table(
        reader,
        &(struct table){SECTION_TLS, &config->tls, sizeof(tls), &tls, check_tls, domain_fault},
        &config->tls_count);
    config->destination_list =
        read_table(reader,
                   &(struct table){SECTION_DESTINATION, &config->destinations, sizeof(destination),
                                   &destination, NULL, domain_fault},
                   &config->destination_count);
    config->retry_list = read_table(reader,
                                    &(struct table){SECTION_RETRY, &config->retries, sizeof(retry),
                                                    &retry, check_retry, domain_fault},
                                    &config->retry_count);
    config->user_list = read_table(
        reader,
        &(struct table){SECTION_USER, &config->user_names, sizeof(user), &user, NULL, user_fault},
        &config->user_count);
    finish_logins(reader);
    finish_routes(reader);
}
