#include "relay/txt.h"

#include <string.h>

bool txt_join(struct span data, size_t most, struct arena *arena, struct span *text)
{
    if (data.length == 0 || data.length > most + most / UINT8_MAX + 1)
        return false;
    char *joined = arena_take(arena, data.length);
    size_t used = 0;
    while (data.length > 0) {
        size_t length = (unsigned char)data.data[0];
        if (length + 1 > data.length || used + length > most)
            return false;
        memcpy(joined + used, data.data + 1, length);
        used += length;
        data = span_skip(data, length + 1);
    }
    *text = (struct span){joined, used};
    return true;
}
