/* What the hosts of a destination must show, told when a search of its route has changed it. */
#include "base/log.h"
#include "relay/outbound/dispatch_lock.h"

#include <stdlib.h>
#include <string.h>

static void print_terms(struct buffer *to, const struct tls_terms *terms)
{
    if (terms->refused != NULL)
        buffer_print(to, "refused:%s", tls_source_name(terms->source));
    else
        buffer_print(to, "%s:%s%s", tls_level_name(terms->level), tls_source_name(terms->source),
                     terms->check_only ? ":testing" : "");
}

static bool are_alike(const struct tls_terms *one, const struct tls_terms *other)
{
    return one->level == other->level && one->source == other->source &&
           one->check_only == other->check_only &&
           (one->refused == NULL) == (other->refused == NULL);
}

/* "verify:sts"; or host by host where they differ. */
static char *policy_of(const struct site *site)
{
    struct buffer text = {0};
    bool alike = true;
    for (unsigned i = 1; i < site->host_count; i++)
        alike &= are_alike(&site->hosts[0].tls, &site->hosts[i].tls);
    for (unsigned i = 0; i < (alike ? 1 : site->host_count); i++) {
        buffer_print(&text, i > 0 ? ", " : "");
        if (!alike)
            buffer_print(&text, "%s ", site->hosts[i].name);
        print_terms(&text, &site->hosts[i].tls);
    }
    return buffer_detach(&text);
}

/* What needs no line where nothing was known before: all is as the operator's table has it. */
static bool is_plain(const struct site *site)
{
    for (unsigned i = 0; i < site->host_count; i++)
        if (site->hosts[i].tls.source != TLS_FROM_TABLE || site->hosts[i].tls.refused != NULL)
            return false;
    return true;
}

static const char *why_refused(const struct site *site)
{
    for (unsigned i = 0; i < site->host_count; i++)
        if (site->hosts[i].tls.refused != NULL)
            return site->hosts[i].tls.refused;
    return NULL;
}

static void tell(const struct route *route, const char *policy, const struct site *site)
{
    struct log_line line;
    const char *why = why_refused(site);
    log_begin(&line, "policy-changed");
    log_string(&line, "destination", route->destination->name);
    if (route->destination->security != SECURITY_USUAL)
        log_string(&line, "security", security_name(route->destination->security));
    if (route->policy != NULL)
        log_string(&line, "before", route->policy);
    log_string(&line, "policy", policy);
    if (why != NULL)
        log_string(&line, "why", why);
    log_end(&line);
}

void tell_policy(struct route *route, const struct site *site)
{
    char *policy = policy_of(site);
    bool changed = route->policy == NULL ? !is_plain(site) : strcmp(route->policy, policy) != 0;
    if (changed)
        tell(route, policy, site);
    free(route->policy);
    route->policy = policy;
}
