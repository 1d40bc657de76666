/* Whatever a policy server answers. */
#include "tlspolicy/policy_line.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct tls_policy policy = TLS_POLICY_DEFAULT;
    if (policy_line_read((struct span){(const char *)data, size}, &policy, &arena) == NULL) {
        must(policy.match_count <= POLICY_LINE_NAMES_MAX);
        must(policy.level != TLS_FINGERPRINT || policy.fingerprint_count > 0);
        for (unsigned i = 0; i < policy.match_count; i++)
            must(policy.matches[i].kind != MATCH_NAME || policy.matches[i].name[0] != '\0');
    }
    return 0;
}
