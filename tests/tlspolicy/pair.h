/* Two ends of TLS in one process: what one has to send is carried to the other by hand. */
#pragma once

#include "tlspolicy/tls.h"

#define ALL SIZE_MAX /* a piece as large as what there is */

/* Moves up to `piece` bytes; false when there was none to move. */
static inline bool pair_carry(struct tls *from, struct tls *to, size_t piece)
{
    struct span bytes = buffer_span(tls_outgoing(from));
    if (bytes.length > piece)
        bytes.length = piece;
    buffer_append(tls_incoming(to), bytes);
    buffer_consume(tls_outgoing(from), bytes.length);
    return bytes.length > 0;
}

/* Both ends' handshakes, `piece` bytes at a time; true when both are through. */
static inline bool pair_shake(struct tls *here, struct tls *there, size_t piece)
{
    enum tls_progress a = TLS_MORE, b = TLS_MORE;
    bool moved = true;
    while (moved && a != TLS_FAILED && b != TLS_FAILED) {
        a = tls_handshake(here);
        b = tls_handshake(there);
        moved = pair_carry(here, there, piece);
        moved = pair_carry(there, here, piece) || moved;
    }
    return a == TLS_DONE && b == TLS_DONE;
}
