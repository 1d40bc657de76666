/* What is in a file: any of it may be put in place, what lies between is zero. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct bytes {
    char *memory;
    size_t size, capacity;
};

void bytes_resize(struct bytes *bytes, size_t size); /* what is new is zero */
void bytes_put(struct bytes *bytes, uint64_t offset, const char *from, size_t length);
void bytes_free(struct bytes *bytes);
