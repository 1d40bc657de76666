#include "tests/crash/bytes.h"

#include "base/must.h"

#include <stdlib.h>
#include <string.h>

void bytes_resize(struct bytes *bytes, size_t size)
{
    if (size > bytes->capacity) {
        bytes->capacity = size * 2;
        bytes->memory = must_realloc(bytes->memory, bytes->capacity);
    }
    if (size > bytes->size)
        memset(bytes->memory + bytes->size, 0, size - bytes->size);
    bytes->size = size;
}

void bytes_put(struct bytes *bytes, uint64_t offset, const char *from, size_t length)
{
    if (length == 0)
        return;
    if (offset + length > bytes->size)
        bytes_resize(bytes, offset + length);
    memcpy(bytes->memory + offset, from, length);
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->memory);
    *bytes = (struct bytes){0};
}
