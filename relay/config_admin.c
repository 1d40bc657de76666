/* The admin section: where HTTP is answered. */
#include "relay/config_read_inside.h"

#include <string.h>

#define DESTINATIONS 20 /* a screen of them */

/* An address that others can reach is meant only when that is said. */
static const char *address_fault(const struct admin_config *admin)
{
    if (admin->at.ip.family == 0 || ip_is_loopback(&admin->at.ip) || admin->allow_remote)
        return NULL;
    return "everybody who reaches this address could ask: take a loopback address or a unix "
           "socket, or say allow-remote = true";
}

static bool is_listened_on(const struct config *config, const struct endpoint *at)
{
    for (unsigned i = 0; i < config->listen_count; i++)
        if (at->port != 0 && at->port == config->listen[i].at.port &&
            ip_equal(&at->ip, &config->listen[i].at.ip))
            return true;
    return false;
}

static const char *read_place(struct config *config, const char *title)
{
    struct admin_config *admin = &config->admin;
    if (strchr(title, '/') != NULL) {
        admin->path = arena_copy(&config->arena, span_of(title));
        return strlen(title) <= CONFIG_SOCKET_MAX ? NULL : "the path of the socket is too long";
    }
    if (!endpoint_parse(span_of(title), &admin->at))
        return "not ADDRESS:PORT or the path of a unix socket, as in 127.0.0.1:8025 or "
               "/run/millrace/admin.sock";
    if (is_listened_on(config, &admin->at))
        return "mail is taken there: take another port";
    return address_fault(admin);
}

static void read_section(struct reader *reader, const struct walk *walk)
{
    struct config *config = reader->config;
    const char *title = cfg_getstr(walk->cfg, CONFIG_TITLE);
    read_keys(reader, walk->section, walk->cfg, &config->admin);
    const char *fault = config->admin.on ? "there is one admin section already"
                                         : read_place(config, title != NULL ? title : "");
    /* A socket of our own is nobody else's; an address is every user's of the machine. */
    if (!is_set(reader, walk->section, "actions"))
        config->admin.actions = config->admin.path != NULL;
    if (fault != NULL)
        report_add(&reader->report, walk->place, "admin \"%.80s\": %s", title != NULL ? title : "",
                   fault);
    config->admin.on = true;
}

void read_admin(struct reader *reader)
{
    struct admin_config *admin = &reader->config->admin;
    *admin = (struct admin_config){.destinations = DESTINATIONS};
    for (struct walk walk = {0}; walk_next(reader, SECTION_ADMIN, &walk);)
        read_section(reader, &walk);
    if (reader->config->path != NULL)
        return;
    admin->on = true;
    must(endpoint_parse(SPAN("127.0.0.1:8025"), &admin->at));
}
