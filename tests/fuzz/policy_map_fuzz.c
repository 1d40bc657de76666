/* Whatever a policy server sends, by either protocol. */
#include "relay/policy_map.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct policy_map maps[] = {{.protocol = POLICY_SOCKETMAP, .name = "x"},
                                             {.protocol = POLICY_TCP}};
    for (size_t i = 0; i < countof(maps); i++) {
        struct arena arena CLEANUP(arena_free) = {0};
        struct span text, came = {(const char *)data, size};
        enum policy_answer answer = policy_map_read(&maps[i], came, &arena, &text);
        must(answer != POLICY_FOUND || text.length <= size);
        must(answer != POLICY_FAILED || text.length > 0);
    }
    return 0;
}
