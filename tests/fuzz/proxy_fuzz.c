/* Whatever a proxy says: the header is read alike whole and cut, and never beyond its limit. */
#include "relay/smtp/proxy.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header header, cut_header;
    size_t used, cut_used;
    struct span all = {(const char *)data, size};
    enum proxy_result result = proxy_read(all, &header, &used);
    must(used <= size && used <= PROXY_BYTES_MAX);
    must(result != PROXY_PARTIAL || size < PROXY_BYTES_MAX);
    must((result == PROXY_MALFORMED) == (header.why != NULL));
    if (result == PROXY_COMPLETE) {
        all.length = used - 1;
        must(proxy_read(all, &cut_header, &cut_used) == PROXY_PARTIAL);
    }
    return 0;
}
