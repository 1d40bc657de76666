/* Numbers and bytes behind each other, as they lie on disk: little-endian, of a width that the
 * format fixes. Reading has an error that sticks: whoever reads asks once, at the end. */
#pragma once

#include "base/buffer.h"

/* Appends the lowest `width` bytes of the number. */
void field_put(struct buffer *to, uint64_t number, unsigned width);

struct fields {
    struct span rest;
    bool bad; /* there was less than was asked for, or the reader found it wrong */
};

/* The next bytes, in place; empty once it is bad. */
struct span field_bytes(struct fields *fields, size_t count);
/* The next number of that width, up to 8; 0 once it is bad. */
uint64_t field_number(struct fields *fields, unsigned width);
