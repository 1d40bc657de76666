/* What a certificate is held against when it is not a name: TLSA records (RFC 6698), and
 * digests that the operator has written down. Plain values; whoever made them owns the bytes. */
#pragma once

#include "base/span.h"

struct tlsa { /* RFC 6698 2.1 */
    uint8_t usage, selector, matching;
    struct span data;
};

#define FINGERPRINT_BYTES 32

struct fingerprint { /* SHA-256 of a certificate, or of its SubjectPublicKeyInfo */
    uint8_t sha256[FINGERPRINT_BYTES];
};
