/* OpenSSL's randomness and clock, from the seed. */
#pragma once

#include <stdint.h>

void seeded_begin(uint64_t seed);
