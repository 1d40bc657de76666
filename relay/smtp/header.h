/* Watches a message's header go by (RFC 5322 2.2): which fields it has, what TLS-Required says, and
 * where it ends. Pure; it keeps little but counts, changes nothing, and any cut of the stream gives
 * the same result.
 *
 * Lines end in CRLF; in a binary message any other CR or LF is a byte of its line. The header ends
 * at the empty line, or at a line that can be no field: then there is none, and the body begins
 * with that line. "From somebody" of a mailbox file is passed over as the first line. */
#pragma once

#include "base/span.h"

enum header_field {
    HEADER_DATE = 1 << 0,
    HEADER_FROM = 1 << 1,
    HEADER_MESSAGE_ID = 1 << 2,
    HEADER_RECEIVED = 1 << 3,
    HEADER_TLS_REQUIRED = 1 << 4, /* RFC 8689 3 */
};

#define HEADER_NAME_MAX 12 /* of a name that matters, "tls-required"; longer ones are not kept */

struct header_watch {
    bool over;
    bool cut;              /* it ended at a line that can be no field, without an empty one */
    bool eight_bit;        /* it has bytes above 127 */
    unsigned fields;       /* enum header_field bits */
    unsigned received;     /* Received: fields */
    unsigned tls_required; /* TLS-Required: fields */
    uint64_t bytes; /* of its whole lines; when it is over the empty line, or the body, follows */

    /* The line that is under way. */
    uint8_t state;
    char last; /* its last byte so far */
    uint8_t name_length;
    char name[HEADER_NAME_MAX + 1];
    uint64_t line_bytes;

    /* What TLS-Required says, as much as matters. */
    bool in_tls_required; /* the line belongs to that field, or goes on with it */
    bool blank_since;     /* blanks came behind what was kept */
    uint8_t said_length;
    char said[3]; /* one more than "No" has: then it is something else */
};

/* "TLS-Required: No", in any case, and once (RFC 8689 3): what says so twice, or something else, is
 * no such request, and its message is protected as usual. */
bool header_says_tls_optional(const struct header_watch *watch);

/* Bytes that have gone by and belong to the header for certain: the line that is under way counts
 * once it is known for a field's. */
uint64_t header_bytes(const struct header_watch *watch);

/* Zeroed is fresh. Does nothing once the header is over. */
void header_watch(struct header_watch *watch, struct span piece);

/* The message ended: its header with it, if not before. A last line without its CRLF is not in
 * `bytes`, field or not. */
void header_end(struct header_watch *watch);
