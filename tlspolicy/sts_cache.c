#include "tlspolicy/sts_cache.h"

#include <inttypes.h>
#include <string.h>

#define SECOND_MS 1000
#define REFRESH_AGAIN_MS 3600000

bool sts_in_force(const struct sts_policy *policy, int64_t now_ms)
{
    return policy != NULL && now_ms < policy->expires_ms;
}

int64_t sts_refresh_ms(const struct sts_policy *policy, struct random_state *random)
{
    int64_t after_ms = (int64_t)policy->max_age_s * SECOND_MS / 2;
    if (after_ms > STS_REFRESH_MOST_MS)
        after_ms = STS_REFRESH_MOST_MS;
    return policy->fetched_ms + after_ms - (int64_t)random_below(random, (uint64_t)after_ms / 4);
}

int64_t sts_refresh_again_ms(const struct sts_policy *policy, int64_t now_ms)
{
    int64_t after_ms = (policy->expires_ms - now_ms) / 2;
    if (after_ms > REFRESH_AGAIN_MS)
        after_ms = REFRESH_AGAIN_MS;
    return now_ms + (after_ms > STS_FAILED_WAIT_MS ? after_ms : STS_FAILED_WAIT_MS);
}

static bool has_failed_lately(const struct sts_memory *memory, const char *id, int64_t now_ms)
{
    int64_t since_ms = now_ms - memory->failed_ms; /* below 0: the clock was set back */
    return memory->failed_ms != 0 && strcmp(memory->failed_id, id) == 0 && since_ms >= 0 &&
           since_ms < STS_FAILED_WAIT_MS;
}

bool sts_wants_fetch(const struct sts_memory *memory, const char *id, int64_t now_ms)
{
    const struct sts_policy *policy = memory->policy;
    if (has_failed_lately(memory, id, now_ms))
        return false;
    return !sts_in_force(policy, now_ms) || strcmp(policy->id, id) != 0 ||
           now_ms >= memory->refresh_ms || now_ms < policy->fetched_ms;
}

void sts_note_failure(struct sts_memory *memory, const char *id, int64_t now_ms)
{
    memcpy(memory->failed_id, id, strlen(id) + 1);
    memory->failed_ms = now_ms;
}

/* ---- as bytes: a line of our own, then the policy as its text would have it ---- */

unsigned sts_policy_lines(const struct sts_policy *policy, struct arena *arena,
                          const char *lines[STS_LINES_MAX])
{
    unsigned count = 0;
    lines[count++] = "version: STSv1";
    lines[count++] = arena_print(arena, "mode: %s", sts_mode_name(policy->mode));
    for (unsigned i = 0; i < policy->count; i++)
        lines[count++] = arena_print(arena, "mx: %s", policy->patterns[i]);
    lines[count++] = arena_print(arena, "max_age: %" PRIu32, policy->max_age_s);
    return count;
}

void sts_record_write(const struct sts_policy *policy, struct buffer *to)
{
    struct arena arena CLEANUP(arena_free) = {0};
    const char *lines[STS_LINES_MAX];
    unsigned count = sts_policy_lines(policy, &arena, lines);
    buffer_print(to, "%d %" PRId64 " %s\n", STS_RECORD_VERSION, policy->fetched_ms, policy->id);
    for (unsigned i = 0; i < count; i++)
        buffer_print(to, "%s\n", lines[i]);
}

static bool read_number(struct span *line, uint64_t most, uint64_t *value)
{
    return span_number(span_word(line), value) && *value <= most;
}

bool sts_record_read(struct span bytes, struct arena *arena, struct sts_policy *policy)
{
    struct span line;
    uint64_t version, fetched_ms;
    if (!span_line(&bytes, &line) || !read_number(&line, STS_RECORD_VERSION, &version) ||
        version != STS_RECORD_VERSION || !read_number(&line, INT64_MAX / 2, &fetched_ms))
        return false;
    struct span id = span_word(&line);
    if (!sts_is_id(id) || line.length > 0 || sts_read_policy(bytes, arena, policy) != NULL)
        return false;
    memcpy(policy->id, id.data, id.length);
    policy->fetched_ms = (int64_t)fetched_ms;
    policy->expires_ms = policy->fetched_ms + (int64_t)policy->max_age_s * SECOND_MS;
    return true;
}

struct sts_policy *sts_policy_copy(const struct sts_policy *policy, struct arena *arena)
{
    struct sts_policy *copy = arena_take(arena, sizeof(*copy));
    const char **patterns = arena_take(arena, policy->count * sizeof(*patterns));
    for (unsigned i = 0; i < policy->count; i++)
        patterns[i] = arena_copy(arena, span_of(policy->patterns[i]));
    *copy = *policy;
    copy->patterns = patterns;
    return copy;
}
