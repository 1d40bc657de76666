/* Reading: the scan finds the statements, libconfuse reads their values, and what they mean is
 * checked here, key by key and then section by section. */
#include "relay/config.h"

#include "relay/config_read_inside.h"
#include "relay/config_list.h"
#include "relay/config_value.h"
#include "relay/os.h"
#include "relay/smtp/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- libconfuse ---- */

static cfg_opt_t option_of(const struct key *key)
{
    /* Everything is a string to libconfuse: units and limits are ours. */
    if (key_is_list(key))
        return (cfg_opt_t)CFG_STR_LIST(key->name, NULL, CFGF_NODEFAULT);
    return (cfg_opt_t)CFG_STR(key->name, NULL, CFGF_NODEFAULT);
}

static cfg_opt_t *options_of(struct arena *arena, enum section_kind kind, size_t *count)
{
    const struct section *section = config_section(kind);
    cfg_opt_t *options = arena_take(arena, (section->count + SECTIONS + 1) * sizeof(*options));
    *count = 0;
    for (size_t i = 0; i < section->count; i++)
        options[(*count)++] = option_of(&section->keys[i]);
    return options;
}

static cfg_opt_t *all_options(struct arena *arena)
{
    size_t count, inner_count;
    cfg_opt_t *options = options_of(arena, SECTION_TOP, &count);
    for (unsigned kind = SECTION_TOP + 1; kind < SECTIONS; kind++) {
        cfg_opt_t *inner = options_of(arena, (enum section_kind)kind, &inner_count);
        inner[inner_count++] = (cfg_opt_t)CFG_STR(CONFIG_TITLE, NULL, CFGF_NODEFAULT);
        inner[inner_count] = (cfg_opt_t)CFG_END();
        const char *name = config_section((enum section_kind)kind)->name;
        options[count++] = (cfg_opt_t)CFG_SEC(name, inner, CFGF_MULTI);
    }
    options[count] = (cfg_opt_t)CFG_END();
    return options;
}

/* Its error function is given nothing of ours; its scanner is one per process anyway. */
static struct reader *reading;

__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format,
                                                           va_list arguments)
{
    char text[256];
    size_t line = cfg->line > 0 ? (size_t)cfg->line : 1;
    vsnprintf(text, sizeof(text), format, arguments);
    if (line > reading->scan.line_count)
        line = reading->scan.line_count;
    report_add(&reading->report, &reading->scan.lines[line - 1], "%s", text);
    reading->scan.broken = true;
}

static void parse(struct reader *reader)
{
    reader->root = cfg_init(all_options(&reader->scan.arena), CFGF_NONE);
    must(reader->root != NULL);
    cfg_set_error_function(reader->root, on_error);
    reading = reader;
    cfg_parse_buf(reader->root, buffer_span(&reader->scan.text).data);
    reading = NULL;
}

bool walk_next(struct reader *reader, enum section_kind kind, struct walk *walk)
{
    const char *name = config_section(kind)->name;
    for (walk->section++; walk->section < reader->scan.section_count; walk->section++) {
        const struct scan_section *found = &reader->scan.sections[walk->section];
        if (found->kind != kind || found->muted)
            continue;
        if (walk->number == cfg_size(reader->root, name))
            return false;
        walk->cfg = cfg_getnsec(reader->root, name, walk->number++);
        walk->place = &found->place;
        return true;
    }
    return false;
}

/* ---- keys ---- */

/* What libconfuse has read of a list. */
static void read_list(struct reader *reader, const struct key *key, cfg_opt_t *option,
                      const struct place *place, void *item)
{
    unsigned count = cfg_opt_size(option);
    const char **texts = must_calloc(count + 1, sizeof(*texts));
    for (unsigned i = 0; i < count; i++)
        texts[i] = cfg_opt_getnstr(option, i);
    const struct list_text list = {.texts = texts, .count = count, .place = place};
    list_read(&list, key, item, reader->config, &reader->report);
    free(texts);
}

/* All keys that are set in this section, into `item`. */
void read_keys(struct reader *reader, size_t section, cfg_t *from, void *item)
{
    char why[VALUE_WHY_MAX];
    const struct section *keys = config_section(reader->scan.sections[section].kind);
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->keys[i];
        const struct place *place = scan_entry_place(&reader->scan, section, key);
        cfg_opt_t *option = place ? cfg_getopt(from, key->name) : NULL;
        if (option == NULL)
            continue;
        if (key_is_list(key))
            read_list(reader, key, option, place, item);
        else if (cfg_opt_size(option) > 0 && !value_read(key, span_of(cfg_opt_getnstr(option, 0)),
                                                         item, &reader->config->arena, why))
            report_add(&reader->report, place, "%s: %s", key->name, why);
    }
}

/* Where the key is set, else where its section begins. */
const struct place *place_of(const struct reader *reader, size_t section, const char *key)
{
    const struct scan_section *found = &reader->scan.sections[section];
    const struct place *place =
        scan_entry_place(&reader->scan, section, config_key_find(found->kind, span_of(key)));
    return place ? place : &found->place;
}

bool is_set(const struct reader *reader, size_t section, const char *key)
{
    return place_of(reader, section, key) != &reader->scan.sections[section].place;
}

const char *where(struct reader *reader, const struct place *place)
{
    return place_text(place, &reader->config->arena);
}

/* ---- listeners ---- */

static void check_listen(struct reader *reader, size_t section, struct listen_config *listen)
{
    const char *wanted = NULL, *at = "certificate";
    if (listen->certificate != NULL && listen->key == NULL)
        wanted = "certificate needs its key: key = \"FILE\"";
    else if (listen->certificate == NULL && listen->key != NULL)
        wanted = "key needs its certificate: certificate = \"FILE\"", at = "key";
    else if (listen->tls != LISTEN_TLS_OFF && listen->certificate == NULL)
        wanted = "tls needs certificate = \"FILE\" and key = \"FILE\"", at = "tls";
    if (wanted != NULL)
        report_add(&reader->report, place_of(reader, section, at), "%s", wanted);
}

static void check_auth(struct reader *reader, size_t section, const struct listen_config *listen)
{
    const char *wanted = NULL;
    if (listen->auth != LISTEN_AUTH_OFF && reader->config->users_file == NULL)
        wanted = "auth needs users = \"FILE\" at the top level";
    else if (listen->auth != LISTEN_AUTH_OFF && listen->tls == LISTEN_TLS_OFF &&
             !listen->auth_in_clear)
        wanted = "auth is never offered without TLS: set certificate and key, or auth-in-clear = "
                 "true";
    if (wanted != NULL)
        report_add(&reader->report, place_of(reader, section, "auth"), "%s", wanted);
}

static bool is_taken(const struct config *config, const struct endpoint *at)
{
    for (unsigned i = 0; i < config->listen_count; i++) {
        const struct endpoint *other = &config->listen[i].at;
        if (at->port != 0 && at->port == other->port && ip_equal(&at->ip, &other->ip))
            return true;
    }
    return false;
}

static void read_listen(struct reader *reader, const struct walk *walk)
{
    struct config *config = reader->config;
    struct listen_config listen = {.where = where(reader, walk->place), .add_headers = true};
    const char *title = cfg_getstr(walk->cfg, CONFIG_TITLE);
    size_t problems = reader->report.count;
    read_keys(reader, walk->section, walk->cfg, &listen);
    if (!is_set(reader, walk->section, "tls"))
        listen.tls = listen.certificate ? LISTEN_TLS_OFFERED : LISTEN_TLS_OFF;
    if (!is_set(reader, walk->section, "xclient-from"))
        listen.xclient_from = config->xclient_from;
    if (reader->report.count == problems && !reader->scan.broken) {
        check_listen(reader, walk->section, &listen);
        check_auth(reader, walk->section, &listen);
    }
    if (!endpoint_parse(span_of(title ? title : ""), &listen.at))
        report_add(&reader->report, walk->place,
                   "listen \"%.80s\": not ADDRESS:PORT, as in 127.0.0.1:2525 or [::]:587",
                   title ? title : "");
    else if (is_taken(config, &listen.at))
        report_add(&reader->report, walk->place, "listen \"%.80s\" is there twice", title);
    config->listen[config->listen_count++] = listen;
}

static void read_listens(struct reader *reader)
{
    struct config *config = reader->config;
    size_t room = cfg_size(reader->root, "listen") + 1;
    config->listen = arena_take(&config->arena, room * sizeof(*config->listen));
    for (struct walk walk = {0}; walk_next(reader, SECTION_LISTEN, &walk);)
        read_listen(reader, &walk);
    if (config->listen_count == 0) {
        config->listen_count = 1;
        config->listen[0].xclient_from = config->xclient_from;
        config->listen[0].where = where(reader, &reader->scan.sections[0].place);
        config->listen[0].add_headers = true;
        must(endpoint_parse(SPAN("127.0.0.1:2525"), &config->listen[0].at));
    }
}

/* ---- the top level ---- */

static const char *machine_name(struct arena *arena)
{
    char name[256] = "";
    if (gethostname(name, sizeof(name) - 1) != 0 || !domain_is_valid(span_of(name)))
        return "localhost";
    return arena_copy(arena, span_of(name));
}

static void set_defaults(struct config *config)
{
    *config = (struct config){
        .map_bytes = SPOOL_MAP_DEFAULT,
        .min_free_bytes = SPOOL_MIN_FREE_DEFAULT,
        .smtp_port = 25,
        .mta_sts_port = 443,
        .builtin_rules = true,
        .drain_ms = 30000,
        .limits = {.connections = 2000,
                   .connections_per_client = 200,
                   .recipients = 1000,
                   .message_bytes = 50u << 20,
                   .header_bytes = 256u << 10,
                   .hold_longest_ms = 30 * INT64_C(86400000),
                   .errors = 20,
                   .idle_ms = 300000,
                   .auth_failures = 10,
                   .auth_delay_ms = 500,
                   .queue = 2000000,
                   .memory = 256u << 20},
        .bounce = {.full_max = BOUNCE_FULL_MAX, .per_sender = {100, 3600000}},
    };
    atomic_init(&config->references, 1);
    names_init(&config->routes);
    names_init(&config->tls);
    names_init(&config->destinations);
    names_init(&config->retries);
    names_init(&config->logins);
    names_init(&config->user_names);
}

static void default_networks(struct config *config)
{
    struct network *list = arena_take(&config->arena, 2 * sizeof(*list));
    must(network_parse(SPAN("127.0.0.0/8"), &list[0]) && network_parse(SPAN("::1/128"), &list[1]));
    config->relay_from = (struct networks){list, 2};
}

static void everyone_submits(struct config *config)
{
    static const char *everyone[] = {"*"};
    config->submit_users = everyone;
    config->submit_user_count = countof(everyone);
}

/* Where a path is set, else where the spool is. A default is not what was meant where the key was
 * not understood: then its place is NULL, and config_check leaves it alone. */
static const char *path_where(struct reader *reader, const char *key, const char *value)
{
    const char *from = is_set(reader, 0, key) ? key : "spool";
    bool known = value != NULL || reader->report.count == 0;
    return known ? where(reader, place_of(reader, 0, from)) : NULL;
}

static void finish_socket(struct reader *reader, const char *key, const char **path)
{
    struct config *config = reader->config;
    if (*path == NULL)
        *path = arena_print(&config->arena, "%s/%s.sock", config->spool, key);
    if (strlen(*path) > CONFIG_SOCKET_MAX)
        report_add(&reader->report, place_of(reader, 0, is_set(reader, 0, key) ? key : "spool"),
                   "%s: the path of the socket has %zu bytes, %d at most: set %s to a shorter one",
                   key, strlen(*path), CONFIG_SOCKET_MAX, key);
}

static void finish_paths(struct reader *reader)
{
    struct config *config = reader->config;
    config->spool_where = path_where(reader, "spool", config->spool);
    config->control_where = path_where(reader, "control", config->control);
    config->submit_where = path_where(reader, "submit", config->submit);
    if (config->spool == NULL)
        config->spool = "./var/millrace";
    config->users_where = path_where(reader, "users", config->users_file);
    config->mta_sts_ca_where = path_where(reader, "mta-sts-ca-file", config->mta_sts_ca_file);
    finish_socket(reader, "control", &config->control);
    finish_socket(reader, "submit", &config->submit);
    if (strcmp(config->control, config->submit) == 0)
        report_add(&reader->report, place_of(reader, 0, "submit"),
                   "submit: %s is the control socket: the two need a place each", config->submit);
}

static void finish_top(struct reader *reader)
{
    struct config *config = reader->config;
    if (config->hostname == NULL)
        config->hostname = machine_name(&config->arena);
    if (config->workers == 0)
        config->workers = os_cores() < CONFIG_WORKERS_MAX ? os_cores() : CONFIG_WORKERS_MAX;
    if (!is_set(reader, 0, "relay-from"))
        default_networks(config);
    if (!is_set(reader, 0, "submit-users"))
        everyone_submits(config);
    if (config->origin == NULL)
        config->origin = config->hostname;
    finish_paths(reader);
}

/* A section that is there once at most. */
static void read_only(struct reader *reader, enum section_kind kind, void *item)
{
    struct walk walk = {0};
    if (walk_next(reader, kind, &walk))
        read_keys(reader, walk.section, walk.cfg, item);
}

static void read_tlsrpt(struct reader *reader)
{
    struct walk walk = {0};
    struct config *config = reader->config;
    struct tlsrpt_config *tlsrpt = &config->tlsrpt;
    if (!walk_next(reader, SECTION_TLSRPT, &walk))
        return;
    tlsrpt->on = true;
    read_keys(reader, walk.section, walk.cfg, tlsrpt);
    if (!is_set(reader, walk.section, "send"))
        tlsrpt->send = tlsrpt->collector == NULL; /* nobody wants two reports of a day */
    if (tlsrpt->organization == NULL)
        tlsrpt->organization = config->origin;
    if (tlsrpt->contact == NULL)
        tlsrpt->contact = arena_print(&config->arena, "postmaster@%s", config->origin);
    if (tlsrpt->from == NULL)
        tlsrpt->from = tlsrpt->contact;
    if (!span_is_ascii(span_of(tlsrpt->organization)))
        report_add(&reader->report, place_of(reader, walk.section, "organization"),
                   "organization: only ASCII can stand in a report");
    if (tlsrpt->collector != NULL && strlen(tlsrpt->collector) > CONFIG_SOCKET_MAX)
        report_add(&reader->report, place_of(reader, walk.section, "collector"),
                   "collector: the path of the socket has %zu bytes, %d at most",
                   strlen(tlsrpt->collector), CONFIG_SOCKET_MAX);
}

static void read_all(struct reader *reader)
{
    read_keys(reader, 0, reader->root, reader->config);
    finish_top(reader);
    read_listens(reader);
    read_admin(reader);
    read_only(reader, SECTION_LIMITS, &reader->config->limits);
    read_only(reader, SECTION_BOUNCE, &reader->config->bounce);
    read_tlsrpt(reader);
    read_tables(reader);
    read_rules(reader);
    finish_dnssec(reader);
}

enum check { /* each with what the one before it checks */
             CHECK_TEXT,
             CHECK_FILES,
             CHECK_DOUBTS,
};

static struct config *read_file(const char *path, enum check check, struct buffer *errors)
{
    static const struct builtin builtin = {RULES_BUILTIN_NAME, rules_builtin};
    struct reader reader = {.config = must_calloc(1, sizeof(struct config))};
    set_defaults(reader.config);
    config_find_own(reader.config);
    if (path != NULL)
        reader.config->path = arena_copy(&reader.config->arena, span_of(path));
    scan_read(&reader.scan, path, &builtin, &reader.report);
    parse(&reader);
    read_all(&reader);
    report_write(&reader.report, errors);
    bool fine = reader.report.count == 0;
    if (check >= CHECK_FILES)
        fine &= config_check_files(reader.config, errors);
    if (check >= CHECK_DOUBTS)
        fine &= config_doubts(reader.config, errors);
    if (!fine)
        config_drop(&reader.config);
    cfg_free(reader.root);
    report_free(&reader.report);
    scan_free(&reader.scan);
    return reader.config;
}

struct config *config_read(const char *path, struct buffer *errors)
{
    return read_file(path, CHECK_TEXT, errors);
}

struct config *config_check(const char *path, struct buffer *errors)
{
    return read_file(path, CHECK_FILES, errors);
}

struct config *config_check_strictly(const char *path, struct buffer *errors)
{
    return read_file(path, CHECK_DOUBTS, errors);
}
