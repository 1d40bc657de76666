/* Whatever TLSA records say: what counts of them is well formed, in one order whichever way they
 * came, and a host for which nothing counts is never asked for less than TLS. */
#include "tlspolicy/dane.h"
#include "tests/fuzz/fuzz.h"

#define RECORDS_MAX 16

/* Each record: its length in a byte, then its bytes. */
static unsigned cut(struct span all, struct span records[RECORDS_MAX])
{
    unsigned count = 0;
    while (all.length > 0 && count < RECORDS_MAX) {
        size_t length = (unsigned char)all.data[0];
        all = span_skip(all, 1);
        records[count] = (struct span){all.data, length < all.length ? length : all.length};
        all = span_skip(all, records[count++].length);
    }
    return count;
}

static void print_key(struct span *records, unsigned count, bool only, struct buffer *key)
{
    const struct tls_policy policy = {.level = only ? TLS_DANE_ONLY : TLS_DANE};
    const struct dane_host host = {"base.test", "example.test", NULL, records, count};
    struct arena arena CLEANUP(arena_free) = {0};
    struct tls_terms terms = terms_of_policy(&policy, "mx.test", "example.test", &arena);
    dane_apply(&terms, &host, only, &arena);
    must((terms.level == TLS_DANE && terms.record_count > 0) || terms.level == TLS_ENCRYPT ||
         (only && terms.refused != NULL));
    must(!only || terms.level == TLS_DANE);
    for (unsigned i = 0; i < terms.record_count; i++)
        must(tlsa_is_usable(&terms.records[i]));
    terms_key(&terms, key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span records[RECORDS_MAX], reversed[RECORDS_MAX];
    struct buffer key CLEANUP(buffer_free) = {0}, other CLEANUP(buffer_free) = {0};
    if (size == 0)
        return 0;
    unsigned count = cut((struct span){(const char *)data + 1, size - 1}, records);
    for (unsigned i = 0; i < count; i++)
        reversed[i] = records[count - 1 - i];
    print_key(records, count, data[0] & 1, &key);
    print_key(reversed, count, data[0] & 1, &other);
    must(span_equal(buffer_span(&key), buffer_span(&other)));
    return 0;
}
