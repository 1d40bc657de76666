/* A suspension: no mail goes to a destination for now, because the operator or a rule said so. Its
 * envelopes wait, and expire in their time. It outlives a restart: the spool keeps it. */
#pragma once

#include "base/buffer.h"
#include "queue/message.h"

#define SUSPENSION_REASON_MAX 200 /* bytes; what is longer is cut */

struct suspension {
    char destination[DOMAIN_MAX_BYTES + 1];
    int64_t since_ms; /* ms since 1970 */
    int64_t until_ms; /* ms since 1970; 0: until it is lifted */
    char reason[SUSPENSION_REASON_MAX + 1];
};

/* The record, without the destination, which is its key. */
void suspension_write(struct buffer *to, const struct suspension *suspension);
/* False when the bytes are not a record of ours. */
bool suspension_read(struct span key, struct span from, struct suspension *suspension);
