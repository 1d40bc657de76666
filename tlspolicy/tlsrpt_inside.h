/* The inside of TLSRPT's counts, for its own two files: tlsrpt.c (counting) and tlsrpt_image.c (a
 * tally as bytes). */
#pragma once

#include "tlspolicy/tlsrpt.h"

void tlsrpt_image_write(const struct tlsrpt_tally *tally, struct buffer *to);

static inline void *tally_take(struct tlsrpt_tally *tally, size_t size)
{
    tally->bytes += size;
    return arena_take(&tally->arena, size);
}

static inline char *tally_copy(struct tlsrpt_tally *tally, struct span text)
{
    tally->bytes += text.length + 1;
    return arena_copy(&tally->arena, text);
}
