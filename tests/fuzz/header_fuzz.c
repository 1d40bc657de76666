/* Whatever stands in a header: any cut of it gives the same, what is counted as its bytes was
 * there, and it ends where an empty line is, or at a line that can be no field. The first byte says
 * how long the pieces are. */
#include "relay/smtp/header.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check(const struct header_watch *watch, struct span all)
{
    must(watch->over && watch->bytes <= all.length);
    must(watch->fields < HEADER_TLS_REQUIRED << 1);
    must(((watch->fields & HEADER_RECEIVED) != 0) == (watch->received > 0));
    must(((watch->fields & HEADER_TLS_REQUIRED) != 0) == (watch->tls_required > 0));
    must(!header_says_tls_optional(watch) || watch->tls_required == 1);
    struct span header = {all.data, (size_t)watch->bytes};
    if (header.length > 0)
        must(header.length >= 2 && memcmp(header.data + header.length - 2, "\r\n", 2) == 0);
    must(header.length == 0 || memmem(header.data, header.length, "\r\n\r\n", 4) == NULL);
    struct span rest = span_skip(all, header.length);
    must(!watch->cut || !span_starts_nocase(rest, SPAN("\r\n")));
    must(!watch->cut || !span_starts_nocase(rest, SPAN("received:")));
}

static void must_be_same(const struct header_watch *a, const struct header_watch *b)
{
    must(a->over == b->over && a->cut == b->cut && a->eight_bit == b->eight_bit);
    must(a->fields == b->fields && a->received == b->received && a->bytes == b->bytes);
    must(a->tls_required == b->tls_required);
    must(header_says_tls_optional(a) == header_says_tls_optional(b));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = {(const char *)data, size};
    size_t piece = 1 + take_choice(&all, 32);
    struct header_watch whole = {0}, pieces = {0};
    header_watch(&whole, all);
    uint64_t so_far = 0;
    for (struct span rest = all; rest.length > 0;) {
        header_watch(&pieces, take_piece(&rest, piece));
        must(header_bytes(&pieces) >= so_far);
        so_far = header_bytes(&pieces);
        must(so_far <= all.length - rest.length);
    }
    must(header_bytes(&whole) == header_bytes(&pieces));
    header_end(&whole);
    header_end(&pieces);
    must_be_same(&whole, &pieces);
    check(&whole, all);
    return 0;
}
