#include "relay/families.h"

#include "base/must.h"

static unsigned index_of(uint8_t family)
{
    must(family == 4 || family == 6);
    return family == 6;
}

void family_failed(struct family_memory *memory, uint8_t family, int64_t now_ms)
{
    memory->down_until_ms[index_of(family)] = now_ms + FAMILIES_MEMORY_MS;
}

void family_worked(struct family_memory *memory, uint8_t family)
{
    memory->down_until_ms[index_of(family)] = 0;
}

bool family_is_down(const struct family_memory *memory, uint8_t family, int64_t now_ms)
{
    return now_ms < memory->down_until_ms[index_of(family)];
}
