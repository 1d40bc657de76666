/* The discoverer's thread: questions come in, wait for what is looked up, and are answered. */
#include "relay/discovery_inside.h"

#include "relay/os.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_AT_CLOCK_MS                                                                           \
    60000 /* it may have been set: what is due by it is looked for so often                        \
           */

/* ---- answering ---- */

static int64_t within(int64_t least, int64_t value, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

static bool holds(const struct discoverer *discoverer, const struct domain *domain)
{
    const struct sts_policy *policy = domain->sts.policy;
    return sts_in_force(policy, discoverer->wall_ms) || (policy != NULL && domain->just_fetched);
}

static int64_t ttl_ms(const struct discoverer *discoverer, const struct discovery *discovery,
                      const struct domain *domain)
{
    int64_t until_ms = discoverer->wall_ms + RESOLVE_TTL_MOST_MS;
    if (discovery->wants_sts && domain->sts_until_ms < until_ms)
        until_ms = domain->sts_until_ms;
    if (discovery->wants_tlsrpt && domain->tlsrpt_until_ms < until_ms)
        until_ms = domain->tlsrpt_until_ms;
    if (discovery->sts != NULL && discovery->sts->expires_ms < until_ms)
        until_ms = discovery->sts->expires_ms;
    return within(RESOLVE_TTL_LEAST_MS, until_ms - discoverer->wall_ms, RESOLVE_TTL_MOST_MS);
}

static void send_home(struct discovery *discovery)
{
    discovery->mail.deliver = discovery->reply;
    mailbox_post(discovery->reply_to, &discovery->mail);
}

static void answer(const struct discoverer *discoverer, struct discovery *discovery,
                   const struct domain *domain)
{
    struct arena *arena = &discovery->arena;
    if (discovery->wants_sts && holds(discoverer, domain))
        discovery->sts = sts_policy_copy(domain->sts.policy, arena);
    discovery->failure = domain->failure;
    discovery->why = domain->why ? arena_copy(arena, span_of(domain->why)) : "";
    discovery->tlsrpt_count = discovery->wants_tlsrpt ? domain->tlsrpt_count : 0;
    discovery->tlsrpt = arena_take(arena, DISCOVERY_TLSRPT_MAX * sizeof(*discovery->tlsrpt));
    for (unsigned i = 0; i < discovery->tlsrpt_count; i++)
        discovery->tlsrpt[i] = span_of(arena_copy(arena, span_of(domain->tlsrpt[i])));
    discovery->ttl_ms = ttl_ms(discoverer, discovery, domain);
    send_home(discovery);
}

static bool is_looked_up(const struct discovery *discovery, const struct domain *domain)
{
    return !(discovery->wants_sts && domain->looks_for_sts) &&
           !(discovery->wants_tlsrpt && domain->looks_for_tlsrpt);
}

/* The question waits no longer. */
static void end_waiting(struct discoverer *discoverer, struct asking *asking)
{
    list_remove(&asking->node);
    heap_remove(&discoverer->patience, &asking->patience);
    answer(discoverer, asking->discovery, asking->domain);
}

void domain_settle(struct discoverer *discoverer, struct domain *domain)
{
    struct list_node *next;
    for (struct list_node *node = list_first(&domain->questions); node != NULL; node = next) {
        struct asking *asking = container_of(node, struct asking, node);
        next = list_next(&domain->questions, node);
        if (is_looked_up(asking->discovery, domain))
            end_waiting(discoverer, asking);
    }
}

/* ---- questions ---- */

static void look_up(struct discoverer *discoverer, const struct discovery *discovery,
                    struct domain *domain)
{
    int64_t wall_ms = discoverer->wall_ms;
    if (discovery->wants_sts && (discovery->anew || wall_ms >= domain->sts_until_ms))
        look_for_sts(discoverer, domain);
    if (discovery->wants_tlsrpt && wall_ms >= domain->tlsrpt_until_ms)
        look_for_tlsrpt(discoverer, domain);
}

static void wait_for_looks(struct discoverer *discoverer, struct discovery *discovery,
                           struct domain *domain)
{
    bool in_force = sts_in_force(domain->sts.policy, discoverer->wall_ms);
    int64_t patience_ms = in_force && !discovery->anew ? DISCOVERY_NEWER_MS : DISCOVERY_FIRST_MS;
    struct asking *asking = arena_take(&discovery->arena, sizeof(*asking));
    asking->discovery = discovery;
    asking->domain = domain;
    list_append(&domain->questions, &asking->node);
    heap_set(&discoverer->patience, &asking->patience, discoverer->now_ms + patience_ms);
}

static void take_question(struct mail *mail, void *taker)
{
    struct discovery *discovery = container_of(mail, struct discovery, mail);
    struct discoverer *discoverer = taker;
    struct domain *domain = domain_use(discoverer, discovery->domain);
    if (domain == NULL || atomic_load(&discoverer->stop)) {
        discovery->why = "too many domains are being looked up";
        discovery->ttl_ms = RESOLVE_TTL_LEAST_MS;
        send_home(discovery);
        return;
    }
    domain->unasked = 0;
    look_up(discoverer, discovery, domain);
    if (is_looked_up(discovery, domain))
        answer(discoverer, discovery, domain);
    else
        wait_for_looks(discoverer, discovery, domain);
}

/* ---- time ---- */

static void end_patience(struct discoverer *discoverer)
{
    struct heap_node *node;
    for (int64_t at; (node = heap_top(&discoverer->patience, &at)) && at <= discoverer->now_ms;)
        end_waiting(discoverer, container_of(node, struct asking, patience));
}

/* A policy that nobody asks for is not refreshed for ever: it expires then. */
static void refresh_ahead(struct discoverer *discoverer)
{
    struct heap_node *node;
    for (int64_t at; (node = heap_top(&discoverer->refreshes, &at)) && at <= discoverer->wall_ms;) {
        struct domain *domain = container_of(node, struct domain, refresh);
        const struct sts_policy *policy = domain->sts.policy;
        heap_remove(&discoverer->refreshes, node);
        if (!sts_in_force(policy, discoverer->wall_ms))
            domain_drop_policy(discoverer, domain);
        else if (domain->unasked++ < DISCOVERY_UNASKED_MAX)
            look_for_sts(discoverer, domain);
        else
            heap_set(&discoverer->refreshes, node, policy->expires_ms);
    }
}

int discoverer_wait_ms(const struct discoverer *discoverer)
{
    int64_t wait_ms = LOOK_AT_CLOCK_MS, at;
    if (heap_top(&discoverer->patience, &at) != NULL)
        wait_ms = within(0, at - discoverer->now_ms, wait_ms);
    if (heap_top(&discoverer->refreshes, &at) != NULL)
        wait_ms = within(0, at - discoverer->wall_ms, wait_ms);
    return (int)wait_ms;
}

void discoverer_turn(struct discoverer *discoverer, int64_t wall_ms, int64_t now_ms)
{
    discoverer->wall_ms = wall_ms;
    discoverer->now_ms = now_ms;
    mailbox_deliver(&discoverer->box, discoverer);
    refresh_ahead(discoverer);
    looks_go_on(discoverer);
    end_patience(discoverer);
}

/* ---- the thread ---- */

static void *run(void *with)
{
    struct discoverer *discoverer = with;
    while (!atomic_load(&discoverer->stop)) {
        discoverer_turn(discoverer, os_wall(), os_now());
        log_flush();
        https_wait(discoverer->https, discoverer_wait_ms(discoverer));
    }
    return NULL;
}

static void wake(void *owner)
{
    struct discoverer *discoverer = owner;
    https_wake(discoverer->https);
}

/* ---- from outside ---- */

struct discoverer *discoverer_create(const struct discoverer_parts *parts)
{
    struct discoverer *discoverer = must_calloc(1, sizeof(*discoverer));
    discoverer->resolve = parts->resolve;
    discoverer->store = parts->store;
    discoverer->config = config_keep(parts->config);
    discoverer->quiet = parts->quiet;
    discoverer->https = https_create();
    discoverer->asker = policy_asker_create();
    discoverer->wall_ms = os_wall();
    os_random(&discoverer->random, sizeof(discoverer->random));
    mailbox_init(&discoverer->box, wake, discoverer);
    list_init(&discoverer->looks_waiting);
    list_init(&discoverer->fetches_waiting);
    list_init(&discoverer->fetches_done);
    list_init(&discoverer->looking);
    domains_init(discoverer);
    domains_load(discoverer);
    return discoverer;
}

void discoverer_start(struct discoverer *discoverer)
{
    must(pthread_create(&discoverer->thread, NULL, run, discoverer) == 0);
    pthread_setname_np(discoverer->thread, "discovery");
    discoverer->started = true;
}

void discoverer_stop(struct discoverer *discoverer)
{
    struct heap_node *node;
    atomic_store(&discoverer->stop, true);
    policy_asker_stop(discoverer->asker);
    https_wake(discoverer->https);
    if (discoverer->started)
        must(pthread_join(discoverer->thread, NULL) == 0);
    discoverer->started = false;
    mailbox_deliver(&discoverer->box, discoverer);
    for (int64_t at; (node = heap_top(&discoverer->patience, &at)) != NULL;)
        end_waiting(discoverer, container_of(node, struct asking, patience));
    log_flush();
}

void discoverer_destroy(struct discoverer **discoverer)
{
    struct discoverer *ended = *discoverer;
    *discoverer = NULL;
    if (ended == NULL)
        return;
    must(!ended->started);
    mailbox_deliver(&ended->box, ended); /* the resolver's last answers */
    looks_free(ended);
    https_destroy(&ended->https);
    policy_asker_destroy(&ended->asker);
    domains_free(ended);
    config_drop(&ended->config);
    free(ended);
}

/* On the thread that owns reply_to. */
static void table_answered(struct mail *mail, void *taker)
{
    struct policy_question *question = container_of(mail, struct policy_question, mail);
    struct discovery *discovery = container_of(question, struct discovery, question);
    discovery->ttl_ms = POLICY_MAP_TTL_MS;
    discovery->reply(&discovery->mail, taker);
}

static void ask_table(struct discoverer *discoverer, struct discovery *discovery)
{
    discovery->question = (struct policy_question){
        .mail.deliver = table_answered,
        .reply_to = discovery->reply_to,
        .map = discovery->map,
        .next_hop = discovery->domain,
        .arena = &discovery->arena,
    };
    policy_asker_post(discoverer->asker, &discovery->question);
}

void discoverer_post(struct discoverer *discoverer, struct discovery *take)
{
    take->reply = take->mail.deliver;
    if (take->map != NULL) {
        ask_table(discoverer, take);
        return;
    }
    take->mail.deliver = take_question;
    mailbox_post(&discoverer->box, &take->mail);
}

struct reconfiguration {
    struct mail mail;
    struct config *config; /* one reference */
};

static void take_config(struct mail *mail, void *taker)
{
    struct reconfiguration *reconfiguration = container_of(mail, struct reconfiguration, mail);
    struct discoverer *discoverer = taker;
    config_drop(&discoverer->config);
    discoverer->config = reconfiguration->config;
    free(reconfiguration);
}

void discoverer_reconfigure(struct discoverer *discoverer, struct config *config)
{
    struct reconfiguration *reconfiguration = must_calloc(1, sizeof(*reconfiguration));
    reconfiguration->mail.deliver = take_config;
    reconfiguration->config = config_keep(config);
    mailbox_post(&discoverer->box, &reconfiguration->mail);
}

void discovery_free(struct discovery **discovery)
{
    struct discovery *freed = *discovery;
    *discovery = NULL;
    if (freed == NULL)
        return;
    free(freed->domain);
    arena_free(&freed->arena);
    free(freed);
}
