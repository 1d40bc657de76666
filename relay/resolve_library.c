/* How libunbound is set up: its limits, the name server, and its thread. */
#include "relay/resolve_inside.h"

#include <stdio.h>

static const struct {
    const char *name, *value;
} settings[] = {
    {"outgoing-range:", "256"}, /* a library's 16 sockets would make a burst of domains wait */
    {"msg-cache-size:", "16m"},
    {"rrset-cache-size:", "32m"},
    {"cache-max-ttl:", "3600"},
    {"cache-max-negative-ttl:", "300"},
    {"outbound-msg-retry:", "3"},   /* a name server that is silent is given up after 5 s */
    {"infra-keep-probing:", "yes"}, /* a name server that was down is noticed when it is back */
    /* RFC 6761 lets these be answered with NXDOMAIN; what they are is the name server's to say. */
    {"local-zone:", "test. transparent"},
    {"local-zone:", "home.arpa. transparent"},
};

static int set_server(struct ub_ctx *context, const char *server)
{
    char address[ENDPOINT_TEXT_MAX], ip[IP_TEXT_MAX];
    struct endpoint endpoint;
    if (server == NULL)
        return ub_ctx_resolvconf(context, NULL);
    if (!endpoint_parse(span_of(server), &endpoint))
        return UB_SYNTAX;
    snprintf(address, sizeof(address), "%s@%u", ip_format(&endpoint.ip, ip), endpoint.port);
    return ub_ctx_set_fwd(context, address);
}

/* No trust anchor: validation (and with it DANE) is to be switched on here. */
static bool configure(struct ub_ctx *context, const char *server, char *why, size_t why_size)
{
    int error = 0;
    ub_ctx_debugout(context, NULL); /* it would write to standard error on its own */
    for (size_t i = 0; i < countof(settings) && error == 0; i++)
        if ((error = ub_ctx_set_option(context, settings[i].name, settings[i].value)) != 0)
            snprintf(why, why_size, "libunbound does not take \"%s %s\": %s", settings[i].name,
                     settings[i].value, ub_strerror(error));
    if (error == 0 && (error = ub_ctx_async(context, 1)) != 0)
        snprintf(why, why_size, "libunbound cannot use a thread: %s", ub_strerror(error));
    if (error == 0 && (error = set_server(context, server)) != 0)
        snprintf(why, why_size, "name server %s cannot be used: %s",
                 server ? server : "of /etc/resolv.conf", ub_strerror(error));
    return error == 0;
}

struct ub_ctx *resolve_library(const char *server, char *why, size_t why_size)
{
    struct ub_ctx *context = ub_ctx_create();
    if (context == NULL) {
        snprintf(why, why_size, "libunbound cannot be started: too little memory or files");
        return NULL;
    }
    if (configure(context, server, why, why_size))
        return context;
    ub_ctx_delete(context);
    return NULL;
}
