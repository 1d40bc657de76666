#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

static uint32_t by_table(uint32_t crc, const unsigned char *bytes, size_t length)
{
    static const uint32_t nibble[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
        0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ nibble[crc & 15];
        crc = (crc >> 4) ^ nibble[crc & 15];
    }
    return crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_cpu(uint32_t crc, const unsigned char *bytes,
                                                         size_t length)
{
    uint64_t wide = crc;
    for (; length >= 8; bytes += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof(word));
        wide = _mm_crc32_u64(wide, word);
    }
    crc = (uint32_t)wide;
    for (; length > 0; bytes++, length--)
        crc = _mm_crc32_u8(crc, *bytes);
    return crc;
}

static bool cpu_has_it(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t by_cpu(uint32_t crc, const unsigned char *bytes, size_t length)
{
    return by_table(crc, bytes, length);
}

static bool cpu_has_it(void)
{
    return false;
}
#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t length)
{
    return cpu_has_it() ? ~by_cpu(~crc, bytes, length) : crc32c_by_table(crc, bytes, length);
}

uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t length)
{
    return ~by_table(~crc, bytes, length);
}
