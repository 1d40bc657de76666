/* Whatever a domain publishes as its TLSRPT record, and whatever the store kept of a tally. */
#include "tlspolicy/tlsrpt.h"
#include "tlspolicy/tlsrpt_record.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void read_record(struct span text)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct tlsrpt_record record;
    if (!tlsrpt_record_read(text, &arena, &record))
        return;
    must(record.count > 0 && record.count <= TLSRPT_URIS_MAX);
    for (unsigned i = 0; i < record.count; i++)
        for (const char *at = record.uris[i].target; *at != '\0'; at++)
            must(*at > ' ' && *at < 0x7f);
}

/* A tally that can be read is kept, and comes back. */
static void read_image(struct span image)
{
    struct tlsrpt *tlsrpt = tlsrpt_create();
    struct tlsrpt_tally tally;
    struct span rest = image, one;
    if (tlsrpt_image_next(&rest, &tally, &one)) {
        struct buffer again CLEANUP(buffer_free) = {0};
        must(tlsrpt_restore(tlsrpt, one));
        tlsrpt_images(tlsrpt, TLSRPT_TODAY, NULL, tally.day * TLSRPT_DAY_MS, &again);
        must(span_equal(buffer_span(&again), one));
        tlsrpt_tally_free(&tally);
    }
    tlsrpt_destroy(&tlsrpt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = {(const char *)data, size};
    read_record(all);
    read_image(all);
    return 0;
}
