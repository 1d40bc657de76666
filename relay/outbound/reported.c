#include "relay/outbound/reported.h"

#include "base/must.h"
#include "tlspolicy/terms.h"

#include <stdio.h>
#include <stdlib.h>

static struct tlsrpt_policy sts_of(const char *domain, const struct sts_policy *policy,
                                   struct arena *arena)
{
    if (policy == NULL || policy->mode == STS_NONE)
        return (struct tlsrpt_policy){.domain = domain};
    const char **lines = arena_take(arena, STS_LINES_MAX * sizeof(*lines));
    const char **mx = arena_take(arena, policy->count * sizeof(*mx));
    for (unsigned i = 0; i < policy->count; i++)
        mx[i] = arena_copy(arena, span_of(policy->patterns[i]));
    return (struct tlsrpt_policy){.type = TLSRPT_POLICY_STS,
                                  .domain = domain,
                                  .strings = lines,
                                  .string_count = sts_policy_lines(policy, arena, lines),
                                  .mx = mx,
                                  .mx_count = policy->count};
}

struct reported *reported_create(const char *domain, struct span record,
                                 const struct sts_policy *policy, enum sts_failure failure,
                                 const char *why)
{
    struct reported *reported = must_calloc(1, sizeof(*reported));
    atomic_init(&reported->references, 1);
    reported->domain = arena_copy(&reported->arena, span_of(domain));
    reported->record = arena_copy(&reported->arena, record);
    reported->failure = failure;
    reported->why = arena_copy(&reported->arena, span_of(why));
    reported->sts = sts_of(reported->domain, policy, &reported->arena);
    return reported;
}

struct reported *reported_keep(struct reported *reported)
{
    if (reported != NULL)
        atomic_fetch_add(&reported->references, 1);
    return reported;
}

void reported_drop(struct reported **reported)
{
    struct reported *dropped = *reported;
    *reported = NULL;
    if (dropped == NULL || atomic_fetch_sub(&dropped->references, 1) > 1)
        return;
    struct arena arena = dropped->arena;
    arena_free(&arena);
    free(dropped);
}

/* ---- what was in force ---- */

/* "3 1 1 AB12…", as a zone has it (RFC 8460 4.4). */
static const char *tlsa_text(const struct tlsa *record, struct arena *arena)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    buffer_print(&text, "%u %u %u ", record->usage, record->selector, record->matching);
    for (size_t i = 0; i < record->data.length && buffer_length(&text) < TLSRPT_TEXT_MAX - 2; i++)
        buffer_print(&text, "%02X", (unsigned char)record->data.data[i]);
    return arena_copy(arena, buffer_span(&text));
}

static struct tlsrpt_policy tlsa_of(const struct tls_terms *terms, const char *host,
                                    struct arena *arena)
{
    unsigned count =
        terms->record_count < TLSRPT_STRINGS_MAX ? terms->record_count : TLSRPT_STRINGS_MAX;
    const char **lines = arena_take(arena, count * sizeof(*lines));
    for (unsigned i = 0; i < count; i++)
        lines[i] = tlsa_text(&terms->records[i], arena);
    return (struct tlsrpt_policy){.type = TLSRPT_POLICY_TLSA,
                                  .domain = terms->tlsa_base != NULL ? terms->tlsa_base : host,
                                  .strings = lines,
                                  .string_count = count};
}

static bool is_about_tlsa(const struct tls_terms *terms)
{
    if (terms->refused == NULL)
        return terms->source == TLS_FROM_DANE || terms->record_count > 0;
    return terms->refusal == TLS_REFUSED_DNSSEC || terms->refusal == TLS_REFUSED_NO_TLSA ||
           terms->refusal == TLS_REFUSED_TLSA;
}

bool reported_policy(const struct reported *reported, const struct tls_terms *terms,
                     const char *host, struct arena *arena, struct tlsrpt_policy *policy)
{
    if (terms->source == TLS_FROM_HEADER) /* it says that the domain's policy is not to count */
        return false;
    if (is_about_tlsa(terms))
        *policy = tlsa_of(terms, host, arena);
    else if (terms->source == TLS_FROM_STS || terms->check_only)
        *policy = reported->sts;
    else
        *policy = (struct tlsrpt_policy){.domain = reported->domain};
    return true;
}
