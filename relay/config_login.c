/* The `login` sections, and the routes that name them: what must be so before a secret may leave.
 */
#include "base/nearest.h"
#include "relay/config_read_inside.h"
#include "relay/outbound/login.h"

#include <string.h>

/* The item that this section became; NULL when something was wrong with its name. */
static void *item_of(const struct walk *walk, const struct names *names)
{
    const char *title = cfg_getstr(walk->cfg, CONFIG_TITLE);
    return names_exact(names, span_of(title ? title : ""));
}

/* ---- logins ---- */

static const char *login_wants(const struct login_config *login)
{
    if (login->user == NULL)
        return "login needs a user: user = \"NAME\"";
    if (strlen(login->user) > LOGIN_USER_MAX)
        return "user has more than 256 bytes";
    if ((login->password_file == NULL) == (login->token_file == NULL))
        return "login needs one of password-file = \"FILE\" and token-file = \"FILE\"";
    if (login->token_file == NULL && (login->mechanisms & AUTH_BY_TOKEN))
        return "OAUTHBEARER and XOAUTH2 need token-file, not password-file";
    if (login->token_file != NULL && (login->mechanisms & AUTH_BY_PASSWORD))
        return "with token-file there are only OAUTHBEARER and XOAUTH2";
    return NULL;
}

static void finish_login(struct reader *reader, const struct walk *walk, struct login_config *login)
{
    const char *wants = login_wants(login);
    if (wants != NULL)
        report_add(&reader->report, place_of(reader, walk->section, "mechanisms"), "%s", wants);
    if (login->mechanisms == 0)
        login->mechanisms = login->token_file ? AUTH_BY_TOKEN : AUTH_BY_PASSWORD;
    login->where = where(reader, walk->place);
    login->login =
        login_create(login->user, login->token_file ? login->token_file : login->password_file);
}

void finish_logins(struct reader *reader)
{
    for (struct walk walk = {0}; walk_next(reader, SECTION_LOGIN, &walk);) {
        struct login_config *login = item_of(&walk, &reader->config->logins);
        if (login != NULL && login->login == NULL && !reader->scan.broken)
            finish_login(reader, &walk, login);
    }
}

/* ---- what channel a route's hosts are spoken to on ---- */

static bool is_implicit(const struct route_config *route)
{
    for (unsigned i = 0; i < route->count; i++)
        if (!config_is_implicit(route, &route->hosts[i]))
            return false;
    return true;
}

/* Whether some mail goes by both of them. */
static bool meet(const struct config *config, const struct route_config *route,
                 const struct tls_config *tls)
{
    return config_tls(config, span_of(route->name)) == tls ||
           config_route(config, span_of(tls->name)) == route;
}

/* `dane` verifies where there are TLSA records, so it may as well not. */
static bool always_verifies(enum tls_level level)
{
    return tls_level_authenticates(level) && level != TLS_DANE;
}

static void check_level(struct reader *reader, const struct walk *walk,
                        const struct route_config *route, const struct tls_config *tls)
{
    const struct login_config *login = route->login;
    const char *level = tls_level_name(tls->policy.level);
    bool encrypted = tls->policy.level >= TLS_ENCRYPT || is_implicit(route);
    const struct place *place = place_of(reader, walk->section, "login");
    if (login->in_clear || !meet(reader->config, route, tls))
        return;
    if (!encrypted)
        report_add(&reader->report, place,
                   "login \"%s\" is never used in clear, and tls \"%s\" has level %s: set level = "
                   "\"verify\" there, or in-clear = true in the login",
                   login->name, tls->name, level);
    else if (!always_verifies(tls->policy.level) && !login->unverified)
        report_add(&reader->report, place,
                   "login \"%s\" is only used with hosts that have shown who they are, and tls "
                   "\"%s\" has level %s: set level = \"verify\" there, or unverified = true in the "
                   "login",
                   login->name, tls->name, level);
}

static void check_levels(struct reader *reader, const struct walk *walk,
                         const struct route_config *route)
{
    for (unsigned i = 0; i < reader->config->tls_count; i++)
        check_level(reader, walk, route, &reader->config->tls_list[i]);
}

/* ---- routes ---- */

static void report_unknown(struct reader *reader, const struct walk *walk, const char *name)
{
    const struct config *config = reader->config;
    const struct place *place = place_of(reader, walk->section, "login");
    const char **known =
        arena_take(&reader->scan.arena, (config->login_count + 1) * sizeof(*known));
    for (unsigned i = 0; i < config->login_count; i++)
        known[i] = config->login_list[i].name;
    const char *nearest = nearest_name(span_of(name), known, config->login_count);
    if (nearest != NULL)
        report_add(&reader->report, place, "there is no login \"%.80s\": did you mean \"%s\"?",
                   name, nearest);
    else
        report_add(&reader->report, place,
                   "there is no login \"%.80s\": write login \"%.80s\" { user = … password-file = "
                   "… }",
                   name, name);
}

static void finish_route(struct reader *reader, const struct walk *walk, struct route_config *route)
{
    if (route->fallback != FALLBACK_NONE && route->tls == ROUTE_TLS_STARTTLS)
        report_add(&reader->report, place_of(reader, walk->section, "fallback"),
                   "fallback has no use with tls = \"starttls\"");
    if (route->login_name == NULL)
        return;
    route->login = names_exact(&reader->config->logins, span_of(route->login_name));
    if (route->login == NULL)
        report_unknown(reader, walk, route->login_name);
    else if (route->count > 0)
        check_levels(reader, walk, route);
}

void finish_routes(struct reader *reader)
{
    for (struct walk walk = {0}; walk_next(reader, SECTION_ROUTE, &walk);) {
        struct route_config *route = item_of(&walk, &reader->config->routes);
        if (route != NULL && !reader->scan.broken)
            finish_route(reader, &walk, route);
    }
}
