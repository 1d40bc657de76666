/* A rate kept exactly: a bucket that fills with tokens at that rate, and holds what comes in a
 * second, but at least one. Within any time no more get through than its tokens then, and those
 * that the bucket held. Pure; a zeroed bucket is full.
 *
 * Times are ms since 1970. A clock that is set back costs no more than a bucket takes to fill. */
#pragma once

#include "base/units.h"

struct bucket {
    int64_t full_at_ns; /* since 1970: when it will be, or was, full */
};

/* How many tokens it holds; UINT32_MAX without a limit (rate.count 0). */
unsigned bucket_tokens(const struct bucket *bucket, struct rate rate, int64_t now_ms);

/* Takes one of them. */
void bucket_take(struct bucket *bucket, struct rate rate, int64_t now_ms);

/* When it will hold so many: now_ms when it does, INT64_MAX when it never will. */
int64_t bucket_when(const struct bucket *bucket, struct rate rate, unsigned tokens, int64_t now_ms);

/* Nothing would be lost if it were forgotten. */
bool bucket_is_full(const struct bucket *bucket, int64_t now_ms);

/* Another one for the same purpose: what was taken from either was taken from this one. */
void bucket_join(struct bucket *bucket, const struct bucket *other);
