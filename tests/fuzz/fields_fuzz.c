/* Whatever is read as fields: numbers come back as the bytes they were, and from the first that is
 * not all there nothing more comes. */
#include "base/fields.h"

#include "tests/fuzz/fuzz.h"

/* The first half says the widths (0: bytes, as many as the next says), the rest is read by them. */
static bool read_one(struct fields *fields, struct span *widths, struct buffer *again)
{
    unsigned width = take_choice(widths, 9);
    if (width == 0) {
        buffer_append(again, field_bytes(fields, take_choice(widths, 256)));
    } else {
        uint64_t number = field_number(fields, width);
        must(width == 8 || number >> (8 * width) == 0);
        must(!fields->bad || number == 0);
        if (!fields->bad)
            field_put(again, number, width);
    }
    return !fields->bad;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span widths = {(const char *)data, size / 2};
    struct span all = {(const char *)data + widths.length, size - widths.length};
    struct fields fields = {.rest = all};
    struct buffer again CLEANUP(buffer_free) = {0};
    while (widths.length > 0 && read_one(&fields, &widths, &again))
        ;
    size_t taken = all.length - fields.rest.length;
    must(buffer_length(&again) == taken);
    must(span_equal(buffer_span(&again), (struct span){all.data, taken}));
    if (fields.bad)
        must(field_bytes(&fields, 0).length == 0 && field_number(&fields, 1) == 0 && fields.bad);
    return 0;
}
