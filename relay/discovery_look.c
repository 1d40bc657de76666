/* How a domain is looked up: its TXT record, and where that says so the addresses of its policy
 * host and the policy (RFC 8461 3). */
#include "relay/discovery_inside.h"

#include "relay/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLICY_PATH "/.well-known/mta-sts.txt"

/* Looking for one policy. */
struct look {
    struct list_node node;
    struct discoverer *discoverer;
    struct domain *domain;
    bool fetching;
    char id[STS_ID_MAX + 1];
    char *host;
    struct ip addresses[2 * RESOLVE_ADDRESSES_MAX];
    struct https_request request;
};

static void ask(struct discoverer *discoverer, const char *prefix, const struct domain *domain,
                enum resolve_kind kind, void *context, void (*deliver)(struct mail *, void *))
{
    struct resolution *question = must_calloc(1, sizeof(*question));
    size_t size = strlen(prefix) + strlen(domain->name) + 1;
    question->domain = must_calloc(size, 1);
    snprintf(question->domain, size, "%s%s", prefix, domain->name);
    question->kind = kind;
    question->context = context;
    question->mail.deliver = deliver;
    question->reply_to = &discoverer->box;
    resolve_post(discoverer->resolve, question);
}

static void free_resolution(struct resolution **resolution)
{
    resolution_free(resolution);
}

/* ---- the end of a look ---- */

static void look_free(struct look *look)
{
    list_remove(&look->node);
    buffer_free(&look->request.answer);
    free(look->host);
    free(look);
}

/* When the policy is looked at again without being asked for. */
static void set_refresh(struct discoverer *discoverer, struct domain *domain)
{
    struct sts_memory *sts = &domain->sts;
    int64_t wall_ms = discoverer->wall_ms;
    if (sts->policy == NULL)
        return;
    if (!sts_in_force(sts->policy, wall_ms) && !domain->just_fetched) {
        domain_drop_policy(discoverer, domain);
        return;
    }
    if (sts->refresh_ms <= wall_ms) /* the refresh led nowhere */
        sts->refresh_ms = sts_refresh_again_ms(sts->policy, wall_ms);
    int64_t at_ms =
        sts->refresh_ms < sts->policy->expires_ms ? sts->refresh_ms : sts->policy->expires_ms;
    heap_set(&discoverer->refreshes, &domain->refresh, at_ms);
}

static void end_look(struct look *look)
{
    struct discoverer *discoverer = look->discoverer;
    struct domain *domain = look->domain;
    domain->looks_for_sts = false;
    discoverer->looks--;
    discoverer->fetches -= look->fetching;
    look_free(look);
    set_refresh(discoverer, domain);
    domain_settle(discoverer, domain);
    domain->just_fetched = false;
}

/* ---- the policy ---- */

static void log_failure(const struct look *look, enum sts_failure failure, const char *why)
{
    struct log_line line;
    const struct sts_policy *policy = look->domain->sts.policy;
    log_begin(&line, "sts-failed");
    log_string(&line, "domain", look->domain->name);
    log_string(&line, "policy", look->id);
    log_string(&line, "failure", sts_failure_name(failure));
    log_string(&line, "why", why);
    if (sts_in_force(policy, look->discoverer->wall_ms))
        log_string(&line, "in-force", policy->id); /* an older one */
    log_end(&line);
}

static void count_fetch(enum sts_failure failure)
{
    metric_add((enum metric)(METRIC_STS_FETCHED + (unsigned)failure), 1);
}

static void fail(struct look *look, enum sts_failure failure, const char *why)
{
    struct domain *domain = look->domain;
    sts_note_failure(&domain->sts, look->id, look->discoverer->wall_ms);
    domain_set_failure(domain, failure, why);
    count_fetch(failure);
    if (!look->discoverer->quiet)
        log_failure(look, failure, why);
    end_look(look);
}

/* "text/plain", and whatever parameters (RFC 8461 3.2). */
static bool is_plain_text(const char *type)
{
    struct span rest = span_of(type);
    const char *end = strchr(type, ';');
    if (end != NULL)
        rest.length = (size_t)(end - type);
    return span_equal_nocase(span_trim(rest), SPAN("text/plain"));
}

static void succeed(struct look *look, struct sts_policy *policy)
{
    struct discoverer *discoverer = look->discoverer;
    struct domain *domain = look->domain;
    memcpy(policy->id, look->id, sizeof(policy->id));
    policy->fetched_ms = discoverer->wall_ms;
    policy->expires_ms = policy->fetched_ms + (int64_t)policy->max_age_s * 1000;
    domain_take_policy(discoverer, domain, policy);
    domain_set_failure(domain, STS_NO_FAILURE, NULL);
    domain->just_fetched = true;
    count_fetch(STS_NO_FAILURE);
    end_look(look);
}

static void judge_answer(struct look *look)
{
    const struct https_request *request = &look->request;
    struct arena arena CLEANUP(arena_free) = {0};
    struct sts_policy policy;
    char why[HTTPS_WHY_MAX];
    if (request->status != 200) { /* a redirect, too (RFC 8461 3.3) */
        snprintf(why, sizeof(why), "the policy host answered %ld, not 200", request->status);
        fail(look, STS_FETCH_ERROR, why);
        return;
    }
    if (!is_plain_text(request->type)) {
        snprintf(why, sizeof(why), "the policy is of type \"%s\", not text/plain", request->type);
        fail(look, STS_POLICY_INVALID, why);
        return;
    }
    const char *wrong = sts_read_policy(buffer_span(&request->answer), &arena, &policy);
    if (wrong != NULL) {
        snprintf(why, sizeof(why), "the policy cannot be used: %s", wrong);
        fail(look, STS_POLICY_INVALID, why);
        return;
    }
    succeed(look, &policy);
}

static void judge(struct look *look)
{
    const struct https_request *request = &look->request;
    switch (request->result) {
    case HTTPS_ANSWERED: judge_answer(look); return;
    case HTTPS_CERTIFICATE: fail(look, STS_WEBPKI_INVALID, request->why); return;
    case HTTPS_LARGE: fail(look, STS_POLICY_INVALID, "the policy is longer than 64 KiB"); return;
    case HTTPS_FAILED:
    case HTTPS_SLOW: fail(look, STS_FETCH_ERROR, request->why); return;
    }
    must_not_reach();
}

/* Called while the thread waits: what came is judged in its next turn. */
static void fetched(struct https_request *request)
{
    struct look *look = container_of(request, struct look, request);
    list_remove(&look->node);
    list_append(&look->discoverer->fetches_done, &look->node);
}

static void fetch(struct look *look)
{
    const struct config *config = look->discoverer->config;
    struct https_request *request = &look->request;
    look->fetching = true;
    look->discoverer->fetches++;
    request->host = look->host;
    request->path = POLICY_PATH;
    request->port = config->mta_sts_port;
    request->addresses = look->addresses;
    request->ca_file = config->mta_sts_ca_file;
    request->within_ms = DISCOVERY_FETCH_MS;
    request->bytes_max = STS_TEXT_MAX;
    request->done = fetched;
    https_begin(look->discoverer->https, request);
}

/* ---- the addresses of its host ---- */

static void take_addresses(struct look *look, const struct resolution *answer)
{
    const struct resolved_host *host = &answer->hosts[0];
    for (unsigned i = 0; i < host->count && i < countof(look->addresses); i++)
        if (config_may_fetch_from(look->discoverer->config, &host->addresses[i]))
            look->addresses[look->request.address_count++] = host->addresses[i];
}

static void on_addresses(struct mail *mail, void *taker)
{
    struct resolution *answer CLEANUP(free_resolution) =
        container_of(mail, struct resolution, mail);
    struct look *look = answer->context;
    struct discoverer *discoverer = taker;
    if (atomic_load(&discoverer->stop)) {
        end_look(look);
        return;
    }
    if (answer->result != RESOLVE_OK || answer->count == 0) {
        fail(look, STS_FETCH_ERROR, answer->why ? answer->why : "the policy host has no address");
        return;
    }
    look->host = must_strdup(answer->domain);
    take_addresses(look, answer);
    if (look->request.address_count == 0) {
        fail(look, STS_FETCH_ERROR, "no address of the policy host may be connected to");
        return;
    }
    list_remove(&look->node);
    list_append(&discoverer->fetches_waiting, &look->node);
}

/* ---- the TXT record ---- */

/* Where DNS gives no answer an older policy is refreshed all the same: what is in force must not
 * run out because somebody keeps its record from us (RFC 8461 10.2). */
static bool id_of(const struct look *look, const struct resolution *answer, char id[STS_ID_MAX + 1])
{
    const struct sts_policy *policy = look->domain->sts.policy;
    if (answer->result == RESOLVE_OK)
        return sts_choose_record(answer->texts, answer->text_count, id) == STS_RECORD_FOUND;
    if (answer->result != RESOLVE_TEMPORARY || policy == NULL)
        return false;
    memcpy(id, policy->id, sizeof(policy->id));
    return true;
}

static void on_sts_record(struct mail *mail, void *taker)
{
    struct resolution *answer CLEANUP(free_resolution) =
        container_of(mail, struct resolution, mail);
    struct look *look = answer->context;
    struct domain *domain = look->domain;
    struct discoverer *discoverer = taker;
    domain->sts_until_ms = discoverer->wall_ms + answer->ttl_ms;
    bool has_id = id_of(look, answer, look->id);
    if (!has_id)
        domain_set_failure(domain, STS_NO_FAILURE, NULL);
    if (has_id && !atomic_load(&discoverer->stop) &&
        sts_wants_fetch(&domain->sts, look->id, discoverer->wall_ms))
        ask(discoverer, "mta-sts.", domain, RESOLVE_ADDRESSES, look, on_addresses);
    else
        end_look(look);
}

static void on_tlsrpt_record(struct mail *mail, void *taker)
{
    struct resolution *answer CLEANUP(free_resolution) =
        container_of(mail, struct resolution, mail);
    struct domain *domain = answer->context;
    struct discoverer *discoverer = taker;
    domain->looks_for_tlsrpt = false;
    domain->tlsrpt_until_ms = discoverer->wall_ms + answer->ttl_ms;
    domain_set_tlsrpt(domain, answer->texts, answer->text_count);
    domain_settle(discoverer, domain);
}

/* ---- beginning ---- */

void look_for_sts(struct discoverer *discoverer, struct domain *domain)
{
    if (domain->looks_for_sts)
        return;
    struct look *look = must_calloc(1, sizeof(*look));
    look->discoverer = discoverer;
    look->domain = domain;
    domain->looks_for_sts = true;
    list_append(&discoverer->looks_waiting, &look->node);
}

void look_for_tlsrpt(struct discoverer *discoverer, struct domain *domain)
{
    if (domain->looks_for_tlsrpt)
        return;
    domain->looks_for_tlsrpt = true;
    ask(discoverer, "_smtp._tls.", domain, RESOLVE_TXT, domain, on_tlsrpt_record);
}

static struct look *next_look(struct list *of)
{
    struct list_node *node = list_pop(of);
    return node ? container_of(node, struct look, node) : NULL;
}

static void judge_all(struct list *done)
{
    struct list_node *next;
    for (struct list_node *node = list_first(done); node != NULL; node = next) {
        next = list_next(done, node);
        judge(container_of(node, struct look, node));
    }
}

void looks_go_on(struct discoverer *discoverer)
{
    struct look *look;
    judge_all(&discoverer->fetches_done);
    while (discoverer->looks < DISCOVERY_LOOKS_MAX &&
           (look = next_look(&discoverer->looks_waiting)) != NULL) {
        discoverer->looks++;
        list_append(&discoverer->looking, &look->node);
        ask(discoverer, "_mta-sts.", look->domain, RESOLVE_TXT, look, on_sts_record);
    }
    while (discoverer->fetches < DISCOVERY_FETCHES_MAX &&
           (look = next_look(&discoverer->fetches_waiting)) != NULL) {
        list_append(&discoverer->looking, &look->node);
        fetch(look);
    }
}

static void free_all(struct list *looks)
{
    struct list_node *next;
    for (struct list_node *node = list_first(looks); node != NULL; node = next) {
        next = list_next(looks, node);
        look_free(container_of(node, struct look, node));
    }
}

void looks_free(struct discoverer *discoverer)
{
    free_all(&discoverer->looks_waiting);
    free_all(&discoverer->fetches_waiting);
    free_all(&discoverer->fetches_done);
    free_all(&discoverer->looking);
}
