/* Whatever a domain publishes: the TXT record, the policy, and what the store kept of it. */
#include "tlspolicy/sts_cache.h"
#include "tests/fuzz/fuzz.h"

/* A policy that was read is kept, and comes back, as it was. */
static void keep(struct sts_policy *policy, struct arena *arena)
{
    struct buffer once CLEANUP(buffer_free) = {0}, twice CLEANUP(buffer_free) = {0};
    struct sts_policy again;
    must(policy->count <= STS_PATTERNS_MAX && policy->max_age_s <= STS_AGE_MOST_S);
    must(policy->count > 0 || policy->mode == STS_NONE);
    for (unsigned i = 0; i < policy->count; i++)
        must(sts_matches(policy, span_of(policy->patterns[i]))); /* `*` is a label, too */
    policy->id[0] = 'x';
    sts_record_write(policy, &once);
    must(sts_record_read(buffer_span(&once), arena, &again));
    sts_record_write(&again, &twice);
    must(span_equal(buffer_span(&once), buffer_span(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct span all = {(const char *)data, size};
    struct sts_policy policy;
    char id[STS_ID_MAX + 1];
    if (sts_choose_record(&all, 1, id) == STS_RECORD_FOUND)
        must(id[0] != '\0' && id[STS_ID_MAX] == '\0');
    if (sts_read_policy(all, &arena, &policy) == NULL)
        keep(&policy, &arena);
    if (sts_record_read(all, &arena, &policy))
        keep(&policy, &arena);
    return 0;
}
