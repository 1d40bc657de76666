/* A table by domain name: looked up exact first, then `.parent` by `.parent`, then `*`.
 * Keys are "example.test", ".example.test" (all names below it) and "*". Values belong to
 * the caller. Built once, then read by any number of threads. */
#pragma once

#include "base/map.h"
#include "base/span.h"

struct names {
    struct map map;
};

void names_init(struct names *names);
void names_free(struct names *names);

/* False when the key is there already. The key is copied and folded to lower case. */
bool names_add(struct names *names, struct span key, void *value);

/* The value that governs `name` (any case), or NULL when not even "*" was added. */
void *names_find(const struct names *names, struct span name);

/* The value added under exactly this key, or NULL. */
void *names_exact(const struct names *names, struct span key);
