#include "base/crc32c.h"
#include "base/random.h"

#include "tests/suite.h"

#include <string.h>

static void assert_crc(const void *bytes, size_t length, uint32_t wanted)
{
    ck_assert_uint_eq(crc32c(0, bytes, length), wanted);
    ck_assert_uint_eq(crc32c_by_table(0, bytes, length), wanted);
}

/* RFC 3720 B.4, whose bytes come lowest first. */
START_TEST(vectors)
{
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
        0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    uint8_t bytes[32];
    assert_crc("", 0, 0);
    assert_crc("123456789", 9, 0xe3069283);
    memset(bytes, 0, sizeof(bytes));
    assert_crc(bytes, sizeof(bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_crc(bytes, sizeof(bytes), 0x62a8ab43);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_crc(bytes, sizeof(bytes), 0x46dd794e);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(sizeof(bytes) - 1 - i);
    assert_crc(bytes, sizeof(bytes), 0x113fdb5c);
    assert_crc(read_command, sizeof(read_command), 0xd9963a56);
}
END_TEST

/* Every length and every alignment, whole and in two pieces, both ways. */
START_TEST(pieces)
{
    uint8_t bytes[80];
    struct random_state random = {6};
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)random_next(&random);
    for (size_t start = 0; start < 9; start++)
        for (size_t length = 0; start + length <= sizeof(bytes); length++) {
            uint32_t whole = crc32c_by_table(0, bytes + start, length);
            assert_crc(bytes + start, length, whole);
            size_t half = length / 3;
            uint32_t first = crc32c(0, bytes + start, half);
            ck_assert_uint_eq(crc32c(first, bytes + start + half, length - half), whole);
            ck_assert_uint_eq(crc32c_by_table(first, bytes + start + half, length - half), whole);
        }
}
END_TEST

TEST_MAIN("base/crc32c", vectors, pieces)
