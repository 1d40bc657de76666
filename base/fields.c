#include "base/fields.h"

void field_put(struct buffer *to, uint64_t number, unsigned width)
{
    char *at = buffer_room(to, width);
    for (unsigned i = 0; i < width; i++)
        at[i] = (char)(uint8_t)(number >> (8 * i));
    buffer_grew(to, width);
}

struct span field_bytes(struct fields *fields, size_t count)
{
    if (fields->bad || count > fields->rest.length) {
        fields->bad = true;
        return (struct span){"", 0};
    }
    struct span bytes = {fields->rest.data, count};
    fields->rest = span_skip(fields->rest, count);
    return bytes;
}

uint64_t field_number(struct fields *fields, unsigned width)
{
    struct span bytes = field_bytes(fields, width);
    uint64_t number = 0;
    for (size_t i = bytes.length; i > 0; i--)
        number = number << 8 | (uint8_t)bytes.data[i - 1];
    return number;
}
