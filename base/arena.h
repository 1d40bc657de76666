/* An arena: many small things that live and die together. Freed as a whole. */
#pragma once

#include "base/span.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
};

void arena_free(struct arena *arena);

/* Zeroed memory, aligned for any type, until arena_free. Never NULL. */
void *arena_take(struct arena *arena, size_t size);

/* A copy with a NUL behind it. */
char *arena_copy(struct arena *arena, struct span text);
char *arena_print(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
