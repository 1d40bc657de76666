#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 512

void buffer_free(struct buffer *buffer)
{
    free(buffer->memory);
    *buffer = (struct buffer){0};
}

void buffer_wipe(struct buffer *buffer)
{
    if (buffer->memory != NULL)
        explicit_bzero(buffer->memory, buffer->capacity);
    buffer_free(buffer);
}

static void move_to_front(struct buffer *buffer)
{
    size_t length = buffer_length(buffer);
    must(buffer->memory != NULL);
    memmove(buffer->memory, buffer->memory + buffer->start, length);
    buffer->start = 0;
    buffer->end = length;
}

char *buffer_room(struct buffer *buffer, size_t room)
{
    if (buffer->capacity - buffer->end >= room && buffer->memory != NULL)
        return buffer->memory + buffer->end;
    if (buffer->start > 0 && buffer->start >= buffer_length(buffer))
        move_to_front(buffer);
    size_t wanted = buffer->end + room;
    if (wanted > buffer->capacity || buffer->memory == NULL) {
        size_t capacity = buffer->capacity ? buffer->capacity : CAPACITY_FIRST;
        while (capacity < wanted)
            capacity *= 2;
        buffer->memory = must_realloc(buffer->memory, capacity);
        buffer->capacity = capacity;
    }
    return buffer->memory + buffer->end;
}

void buffer_append(struct buffer *buffer, struct span bytes)
{
    if (bytes.length == 0)
        return;
    memcpy(buffer_room(buffer, bytes.length), bytes.data, bytes.length);
    buffer_grew(buffer, bytes.length);
}

void buffer_insert(struct buffer *buffer, size_t at, struct span bytes)
{
    size_t length = buffer_length(buffer);
    must(at <= length);
    if (bytes.length == 0)
        return;
    buffer_room(buffer, bytes.length);
    buffer_grew(buffer, bytes.length);
    char *place = buffer->memory + buffer->start + at;
    memmove(place + bytes.length, place, length - at);
    memcpy(place, bytes.data, bytes.length);
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    size_t room = 128;
    for (;;) {
        char *at = buffer_room(buffer, room);
        va_start(arguments, format);
        int length = vsnprintf(at, room, format, arguments);
        va_end(arguments);
        must(length >= 0);
        if ((size_t)length < room) {
            buffer_grew(buffer, (size_t)length);
            return;
        }
        room = (size_t)length + 1;
    }
}

void buffer_consume(struct buffer *buffer, size_t count)
{
    must(count <= buffer_length(buffer));
    buffer->start += count;
    if (buffer->start == buffer->end)
        buffer_clear(buffer);
}

void buffer_clear(struct buffer *buffer)
{
    buffer->start = buffer->end = 0;
}

void buffer_trim(struct buffer *buffer)
{
    if (buffer_length(buffer) == 0)
        buffer_free(buffer);
}

char *buffer_detach(struct buffer *buffer)
{
    buffer_append(buffer, (struct span){"", 1});
    if (buffer->start > 0)
        move_to_front(buffer);
    char *memory = buffer->memory;
    *buffer = (struct buffer){0};
    return memory;
}
