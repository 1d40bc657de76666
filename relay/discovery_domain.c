/* What is remembered of a domain, and what the store keeps of that: its policy. */
#include "relay/discovery_inside.h"

#include "tlspolicy/store.h"

#include <stdlib.h>
#include <string.h>

static uint64_t domain_hash(const void *item)
{
    const struct domain *domain = item;
    return span_hash(span_of(domain->name));
}

static bool domain_same(const void *item, const void *key)
{
    const struct domain *domain = item;
    return strcmp(domain->name, key) == 0;
}

void domains_init(struct discoverer *discoverer)
{
    map_init(&discoverer->domains, domain_hash, domain_same);
    list_init(&discoverer->without);
    list_init(&discoverer->with);
}

/* ---- which are remembered ---- */

static void forget_tlsrpt(struct domain *domain)
{
    for (unsigned i = 0; i < domain->tlsrpt_count; i++)
        free(domain->tlsrpt[i]);
    domain->tlsrpt_count = 0;
}

static void domain_free(struct discoverer *discoverer, struct domain *domain)
{
    list_remove(&domain->used);
    heap_remove(&discoverer->refreshes, &domain->refresh);
    must(map_remove(&discoverer->domains, domain));
    forget_tlsrpt(domain);
    arena_free(&domain->arena);
    free(domain->why);
    free(domain->name);
    free(domain);
}

static bool is_idle(const struct domain *domain)
{
    return list_empty(&domain->questions) && !domain->looks_for_sts && !domain->looks_for_tlsrpt;
}

/* The one that was used longest ago, and is not in use now. */
static bool forget_one(struct discoverer *discoverer, const struct list *of)
{
    for (struct list_node *node = list_first(of); node != NULL; node = list_next(of, node)) {
        struct domain *domain = container_of(node, struct domain, used);
        if (!is_idle(domain))
            continue;
        domain_free(discoverer, domain);
        return true;
    }
    return false;
}

static struct domain *domain_add(struct discoverer *discoverer, const char *name)
{
    if (discoverer->domains.count >= DISCOVERY_DOMAINS_MAX &&
        !forget_one(discoverer, &discoverer->without) && !forget_one(discoverer, &discoverer->with))
        return NULL;
    struct domain *domain = must_calloc(1, sizeof(*domain));
    domain->name = must_strdup(name);
    list_init(&domain->questions);
    map_add(&discoverer->domains, domain);
    return domain;
}

static void note_use(struct discoverer *discoverer, struct domain *domain)
{
    list_remove(&domain->used);
    list_append(domain->sts.policy != NULL ? &discoverer->with : &discoverer->without,
                &domain->used);
}

struct domain *domain_use(struct discoverer *discoverer, const char *name)
{
    struct domain *domain = map_find(&discoverer->domains, span_hash(span_of(name)), name);
    if (domain == NULL)
        domain = domain_add(discoverer, name);
    if (domain != NULL)
        note_use(discoverer, domain);
    return domain;
}

/* ---- its policy ---- */

/* The policy's bytes, or none: the store forgets it then. */
static void write_behind(struct discoverer *discoverer, const struct domain *domain,
                         struct span record)
{
    struct store_write write = {.table = STORE_STS, .key = span_of(domain->name), .value = record};
    store_write(discoverer->store, &write, 1); /* it logs what goes wrong */
}

static void keep_policy(struct discoverer *discoverer, struct domain *domain,
                        const struct sts_policy *policy)
{
    struct arena old = domain->arena;
    domain->arena = (struct arena){0};
    domain->sts = (struct sts_memory){
        .policy = sts_policy_copy(policy, &domain->arena),
        .refresh_ms = sts_refresh_ms(policy, &discoverer->random),
    };
    note_use(discoverer, domain);
    heap_set(&discoverer->refreshes, &domain->refresh, domain->sts.refresh_ms);
    arena_free(&old);
}

static bool says_the_same(const struct sts_policy *one, const struct sts_policy *other)
{
    if (one == NULL || one->mode != other->mode || strcmp(one->id, other->id) != 0 ||
        one->max_age_s != other->max_age_s || one->count != other->count)
        return false;
    for (unsigned i = 0; i < one->count; i++)
        if (strcmp(one->patterns[i], other->patterns[i]) != 0)
            return false;
    return true;
}

static void log_change(const struct domain *domain, const struct sts_policy *policy)
{
    struct log_line line;
    log_begin(&line, "policy-changed");
    log_string(&line, "domain", domain->name);
    log_string(&line, "source", "sts");
    log_string(&line, "mode", sts_mode_name(policy->mode));
    log_string(&line, "policy", policy->id);
    log_print(&line, "max-age", "%us", policy->max_age_s);
    log_end(&line);
}

void domain_take_policy(struct discoverer *discoverer, struct domain *domain,
                        const struct sts_policy *policy)
{
    struct buffer record CLEANUP(buffer_free) = {0};
    bool lasts = sts_in_force(policy, discoverer->wall_ms);
    if (!discoverer->quiet && !says_the_same(domain->sts.policy, policy))
        log_change(domain, policy);
    if (lasts)
        sts_record_write(policy, &record);
    keep_policy(discoverer, domain, policy);
    write_behind(discoverer, domain, buffer_span(&record));
}

void domain_drop_policy(struct discoverer *discoverer, struct domain *domain)
{
    domain->sts.policy = NULL;
    domain->sts_until_ms = 0; /* who asks next looks whether there is one again */
    arena_free(&domain->arena);
    heap_remove(&discoverer->refreshes, &domain->refresh);
    note_use(discoverer, domain);
    write_behind(discoverer, domain, (struct span){0});
}

void domain_set_failure(struct domain *domain, enum sts_failure failure, const char *why)
{
    domain->failure = failure;
    free(domain->why);
    domain->why = why ? must_strdup(why) : NULL;
}

/* RFC 8460 3: exactly so. A NUL would end it early. */
static bool is_tlsrpt(struct span text)
{
    static const struct span version = SPAN("v=TLSRPTv1;");
    return text.length >= version.length && memcmp(text.data, version.data, version.length) == 0 &&
           memchr(text.data, '\0', text.length) == NULL;
}

void domain_set_tlsrpt(struct domain *domain, const struct span *texts, unsigned count)
{
    forget_tlsrpt(domain);
    for (unsigned i = 0; i < count && domain->tlsrpt_count < DISCOVERY_TLSRPT_MAX; i++)
        if (is_tlsrpt(texts[i]))
            domain->tlsrpt[domain->tlsrpt_count++] = span_copy(texts[i]);
}

/* ---- the store ---- */

struct loading {
    struct discoverer *discoverer;
    struct arena arena; /* of the keys */
    struct store_write *dead;
    size_t dead_count;
};

static void note_dead(struct loading *loading, struct span key)
{
    size_t count = loading->dead_count++;
    loading->dead = must_realloc(loading->dead, (count + 1) * sizeof(*loading->dead));
    loading->dead[count] = (struct store_write){
        .table = STORE_STS, .key = {arena_copy(&loading->arena, key), key.length}};
}

static bool load_one(void *context, struct span key, struct span value)
{
    struct loading *loading = context;
    struct discoverer *discoverer = loading->discoverer;
    struct arena arena CLEANUP(arena_free) = {0};
    struct sts_policy policy;
    if (!sts_record_read(value, &arena, &policy) || !sts_in_force(&policy, discoverer->wall_ms)) {
        note_dead(loading, key);
        return true;
    }
    const char *name = arena_copy(&arena, key);
    struct domain *domain = domain_use(discoverer, name);
    keep_policy(discoverer, domain, &policy);
    return discoverer->domains.count < DISCOVERY_DOMAINS_MAX;
}

/* What has expired meanwhile, or cannot be read, is removed. */
void domains_load(struct discoverer *discoverer)
{
    struct loading loading = {.discoverer = discoverer};
    store_each(discoverer->store, STORE_STS, load_one, &loading);
    store_write(discoverer->store, loading.dead, loading.dead_count);
    arena_free(&loading.arena);
    free(loading.dead);
}

void domains_free(struct discoverer *discoverer)
{
    size_t at = 0;
    for (struct domain *domain; (domain = map_walk(&discoverer->domains, &at)) != NULL;)
        domain_free(discoverer, domain);
    map_free(&discoverer->domains);
    heap_free(&discoverer->refreshes);
    heap_free(&discoverer->patience);
}
