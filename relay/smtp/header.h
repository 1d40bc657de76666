/* Watches a message's header go by (RFC 5322 2.2): which fields it has, and where it ends. Pure; it
 * keeps nothing but counts, changes nothing, and any cut of the stream gives the same result.
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
};

#define HEADER_NAME_MAX 10 /* of a name that matters, "message-id"; longer ones are not kept */

struct header_watch {
    bool over;
    bool cut;          /* it ended at a line that can be no field, without an empty one */
    bool eight_bit;    /* it has bytes above 127 */
    unsigned fields;   /* enum header_field bits */
    unsigned received; /* Received: fields */
    uint64_t bytes; /* of its whole lines; when it is over the empty line, or the body, follows */

    /* The line that is under way. */
    uint8_t state;
    char last; /* its last byte so far */
    uint8_t name_length;
    char name[HEADER_NAME_MAX + 1];
    uint64_t line_bytes;
};

/* Bytes that have gone by and belong to the header for certain: the line that is under way counts
 * once it is known for a field's. */
uint64_t header_bytes(const struct header_watch *watch);

/* Zeroed is fresh. Does nothing once the header is over. */
void header_watch(struct header_watch *watch, struct span piece);

/* The message ended: its header with it, if not before. A last line without its CRLF is not in
 * `bytes`, field or not. */
void header_end(struct header_watch *watch);
