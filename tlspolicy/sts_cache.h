/* How long an MTA-STS policy is kept, and when it is fetched (RFC 8461 3.3, 5.1, 10.2), as pure
 * functions of the time; and a policy as the store keeps it.
 *
 * What is in force stays so until it expires: neither a fetch that fails nor a TXT record that goes
 * away or changes takes it away. Only a newer policy does. */
#pragma once

#include "base/buffer.h"
#include "base/random.h"
#include "tlspolicy/sts.h"

#define STS_FAILED_WAIT_MS 300000    /* RFC 8461 3.3: after a failed fetch, for the same id */
#define STS_REFRESH_MOST_MS 86400000 /* RFC 8461 3.3: refreshed once a day … */
#define STS_RECORD_VERSION 1

struct sts_memory {
    const struct sts_policy *policy; /* the last one fetched, expired or not; NULL: none */
    int64_t refresh_ms;              /* of that policy: sts_refresh_ms() */
    char failed_id[STS_ID_MAX + 1];  /* of the last fetch that failed … */
    int64_t failed_ms;               /* … at this time; 0: none did */
};

/* NULL is not. One whose max_age is 0 never is: it holds for who asked, and nobody after him. */
bool sts_in_force(const struct sts_policy *policy, int64_t now_ms);

/* When a policy is fetched again ahead of its end: after half its life, a day at most, less up to a
 * quarter of that by chance, so that what came together does not come again together. */
int64_t sts_refresh_ms(const struct sts_policy *policy, struct random_state *random);

/* The same after a refresh that led nowhere: in an hour, or while there is time. */
int64_t sts_refresh_again_ms(const struct sts_policy *policy, int64_t now_ms);

/* Whether to fetch now, the domain's TXT record having this id. */
bool sts_wants_fetch(const struct sts_memory *memory, const char *id, int64_t now_ms);

void sts_note_failure(struct sts_memory *memory, const char *id, int64_t now_ms);

/* A policy as bytes, and back. False when they are no such record. Expiry is not looked at. */
void sts_record_write(const struct sts_policy *policy, struct buffer *to);
bool sts_record_read(struct span bytes, struct arena *arena, struct sts_policy *policy);

/* A copy that belongs to the arena. */
struct sts_policy *sts_policy_copy(const struct sts_policy *policy, struct arena *arena);
/* The policy's fields as its text has them: "version: STSv1", "mode: enforce", … (RFC 8460 4.4
 * wants them as strings). One for each line; returns how many. */
#define STS_LINES_MAX (STS_PATTERNS_MAX + 3)
unsigned sts_policy_lines(const struct sts_policy *policy, struct arena *arena,
                          const char *lines[STS_LINES_MAX]);
