/* CRC-32C (Castagnoli, as in RFC 3720 B.4); by the CPU's own instruction where it has one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Continues from `crc` (0 to begin) over `length` bytes. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t length);

/* The same for a CPU without such an instruction; slower. */
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t length);
