#include "relay/probe/probe_inside.h"

#include "relay/config_value.h"
#include "relay/os.h"
#include "relay/smtp/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the target ---- */

/* "HOST:PORT", "[ADDRESS]:PORT": that host, as a route of the operator's would name it. */
static bool names_a_host(const char *target)
{
    const char *bracket = strrchr(target, ']');
    return strchr(bracket ? bracket : target, ':') != NULL;
}

static bool read_host(struct probe *probe, char *why, size_t why_size)
{
    char fault[VALUE_WHY_MAX];
    struct span target = span_of(probe->options.target);
    if (!value_read_host(target, probe->options.config->smtp_port, &probe->arena, &probe->named,
                         fault)) {
        snprintf(why, why_size, "%s", fault);
        return false;
    }
    const char *colon = strrchr(probe->options.target, ':');
    target.length = (size_t)(colon - probe->options.target);
    probe->destination.name = arena_copy(&probe->arena, target);
    probe->single =
        (struct route_config){.name = probe->destination.name, .hosts = &probe->named, .count = 1};
    return true;
}

static bool read_target(struct probe *probe, char *why, size_t why_size)
{
    struct ip ip;
    struct span target = span_of(probe->options.target);
    if (names_a_host(probe->options.target))
        return read_host(probe, why, why_size);
    if (!domain_is_valid(target) && !address_literal_parse(target, &ip)) {
        snprintf(why, why_size,
                 "\"%.80s\" is neither a domain nor a host with its port, as in example.com, "
                 "mx.example.com:25 or [192.0.2.1]:25",
                 probe->options.target);
        return false;
    }
    char *name = arena_copy(&probe->arena, target);
    text_lower(name);
    probe->destination.name = name;
    return true;
}

/* ---- the way there ---- */

/* What is asked of other threads comes back here. */
struct desk {
    struct os_loop *loop;
    struct mailbox box;
    struct probe *probe;
    bool answered;
};

static void wake(void *owner)
{
    const struct desk *desk = owner;
    os_wake(desk->loop);
}

static void resolved(struct mail *mail, void *taker)
{
    struct resolution *answer = container_of(mail, struct resolution, mail);
    struct desk *desk = taker;
    desk->probe->search.resolution = answer;
    desk->answered = true;
}

static void discovered(struct mail *mail, void *taker)
{
    struct discovery *answer = container_of(mail, struct discovery, mail);
    struct desk *desk = taker;
    desk->probe->search.discovery = answer;
    desk->answered = true;
}

static void wait_for_answer(struct desk *desk)
{
    struct os_event events[OS_EVENTS_MAX];
    for (desk->answered = false; !desk->answered;) {
        os_wait(desk->loop, events, -1); /* whoever was asked has a deadline of his own */
        mailbox_deliver(&desk->box, desk);
    }
}

static bool search_hosts(struct probe *probe, struct desk *desk, struct resolve *resolve,
                         struct discoverer *discoverer)
{
    for (;;) {
        switch (route_search_next(&probe->search)) {
        case SEARCH_ASK: {
            struct resolution *question = probe->search.resolution;
            question->mail.deliver = resolved;
            question->reply_to = &desk->box;
            probe->search.resolution = NULL;
            resolve_post(resolve, question);
            wait_for_answer(desk);
            break;
        }
        case SEARCH_DISCOVER: {
            struct discovery *question = probe->search.discovery;
            question->mail.deliver = discovered;
            question->reply_to = &desk->box;
            probe->search.discovery = NULL;
            discoverer_post(discoverer, question);
            wait_for_answer(desk);
            break;
        }
        case SEARCH_FOUND: return true;
        case SEARCH_FAILED: return false;
        }
    }
}

static void begin_search(struct probe *probe)
{
    const struct config *config = probe->options.config;
    probe->route.destination = &probe->destination;
    route_search_init(&probe->search, &probe->route, config);
    if (probe->single.count > 0)
        probe->search.configured = &probe->single;
    if (probe->options.level != NULL) {
        probe->tls = *probe->search.terms.tls;
        probe->tls.policy.level = *probe->options.level;
        probe->search.terms.tls = &probe->tls;
        probe->search.policy = probe->tls.policy;
        probe->search.table_read = true; /* what is tried out is not asked for */
    }
}

/* Who asks for DANE on the command line asks for DNSSEC as well. */
static struct resolve_settings resolver_of(const struct probe_options *options)
{
    struct resolve_settings settings = config_resolver(options->config);
    bool dane = options->level && (*options->level == TLS_DANE || *options->level == TLS_DANE_ONLY);
    if (dane && settings.dnssec == DNSSEC_OFF) {
        settings.dnssec = DNSSEC_VALIDATE;
        settings.trust_anchor = CONFIG_TRUST_ANCHOR;
    }
    return settings;
}

static bool find_hosts(struct probe *probe, char *why, size_t why_size)
{
    struct desk desk = {.loop = os_loop_create(), .probe = probe};
    mailbox_init(&desk.box, wake, &desk);
    const struct resolve_settings settings = resolver_of(&probe->options);
    struct resolve *resolve = resolve_create(&settings, why, why_size);
    if (resolve != NULL) {
        const struct discoverer_parts parts = {
            .resolve = resolve, .config = probe->options.config, .quiet = true};
        struct discoverer *discoverer = discoverer_create(&parts);
        discoverer_start(discoverer);
        begin_search(probe);
        probe->found = search_hosts(probe, &desk, resolve, discoverer);
        discoverer_stop(discoverer);
        resolve_destroy(&resolve);
        discoverer_destroy(&discoverer);
    }
    os_loop_destroy(&desk.loop);
    return why[0] == '\0';
}

/* ---- all of it ---- */

/* By preference: equals in the order of DNS, so that two probes can be compared. */
static void visit_hosts(struct probe *probe)
{
    for (unsigned i = 0; i < probe->search.count && i < PROBE_HOSTS_MAX; i++) {
        struct probe_visit *visit = &probe->visits[probe->visit_count++];
        const struct site_host *host = &probe->search.hosts[i];
        visit->host = host;
        visit->refused = host->tls.refused != NULL;
        if (visit->refused)
            visit->failure = (struct verdict){.kind = VERDICT_DEFERRED,
                                              .stage = STAGE_STARTTLS,
                                              .status = {4, 7, 5},
                                              .text = span_of(host->tls.refused),
                                              .host = span_of(host->name)};
        else
            probe_visit_host(probe, host, visit);
    }
}

bool probe_run(struct probe *probe, const struct probe_options *options, char *why, size_t why_size)
{
    *probe = (struct probe){.options = *options};
    why[0] = '\0';
    if (!read_target(probe, why, why_size) || !find_hosts(probe, why, why_size))
        return false;
    if (probe->found)
        visit_hosts(probe);
    probe_judge(probe);
    return true;
}

void probe_free(struct probe *probe)
{
    route_search_free(&probe->search);
    arena_free(&probe->arena);
}
