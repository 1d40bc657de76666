/* A growable byte queue: appended at the end, consumed at the front. Owns its memory. The
 * one who reads from the network bounds it; the buffer itself grows as it is asked to. */
#pragma once

#include "base/must.h"
#include "base/span.h"

struct buffer {
    char *memory;
    size_t start, end, capacity;
};

void buffer_free(struct buffer *buffer);
void buffer_wipe(struct buffer *buffer); /* frees it, and what was in it is overwritten first */

static inline size_t buffer_length(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

static inline struct span buffer_span(const struct buffer *buffer)
{
    if (buffer->memory == NULL) /* nothing to point into */
        return (struct span){NULL, 0};
    return (struct span){buffer->memory + buffer->start, buffer_length(buffer)};
}

/* Room for at least `room` more bytes; write there, then say how many with buffer_grew. */
char *buffer_room(struct buffer *buffer, size_t room);
static inline void buffer_grew(struct buffer *buffer, size_t count)
{
    must(count <= buffer->capacity - buffer->end);
    buffer->end += count;
}

void buffer_append(struct buffer *buffer, struct span bytes);
/* Puts the bytes, which lie elsewhere, in front of what is at offset `at`. */
void buffer_insert(struct buffer *buffer, size_t at, struct span bytes);
void buffer_print(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
void buffer_consume(struct buffer *buffer, size_t count);
void buffer_clear(struct buffer *buffer);

/* Gives back the memory of an empty buffer (an idle connection should cost nothing). */
void buffer_trim(struct buffer *buffer);

/* The bytes as one allocation that the caller frees, with a NUL behind them; the buffer
 * is empty afterwards. */
char *buffer_detach(struct buffer *buffer);
