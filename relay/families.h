/* Which address families lead anywhere, as far as a worker has seen. Pure: a machine without IPv6
 * finds that out once in a while, not with every connection. */
#pragma once

#include "base/ip.h"

#define FAMILIES_MEMORY_MS 300000

struct family_memory {
    int64_t down_until_ms[2]; /* monotonic: IPv4, IPv6 */
};

/* The machine has no way to any address of this family. */
void family_failed(struct family_memory *memory, uint8_t family, int64_t now_ms);
void family_worked(struct family_memory *memory, uint8_t family);
bool family_is_down(const struct family_memory *memory, uint8_t family, int64_t now_ms);
