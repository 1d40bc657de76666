/* SMTP replies (RFC 5321 4.2): read from a server, pure.
 *
 * Limits are ours, against hostile peers: a line of REPLY_LINE_MAX bytes, REPLY_LINES_MAX
 * lines, REPLY_BYTES_MAX in all. */
#pragma once

#include "base/buffer.h"

#define REPLY_LINE_MAX 2048
#define REPLY_LINES_MAX 128
#define REPLY_BYTES_MAX (64u << 10)

struct reply {
    uint16_t code;                          /* 200..599 */
    uint8_t status_class;                   /* enhanced status code (RFC 3463), 0: none; */
    uint16_t status_subject, status_detail; /* one whose class is not the code's is ignored */
    struct span text; /* all lines joined by "\n", without codes; printable or '?' */
};

enum reply_result {
    REPLY_COMPLETE,
    REPLY_PARTIAL,   /* more bytes are needed */
    REPLY_MALFORMED, /* not a reply, codes disagree, or a limit was passed: close */
};

/* A reader keeps the text of one reply; reuse it for the next. */
struct reply_reader {
    struct buffer text;
};

void reply_reader_free(struct reply_reader *reader);

/* Reads one reply from the beginning of `from`. On REPLY_COMPLETE *used says how many bytes
 * it took, and the reply is valid until the reader is used again. */
enum reply_result reply_read(struct reply_reader *reader, struct span from, struct reply *reply,
                             size_t *used);

static inline bool reply_is_positive(const struct reply *reply)
{
    return reply->code >= 200 && reply->code < 300;
}

static inline bool reply_is_intermediate(const struct reply *reply)
{
    return reply->code >= 300 && reply->code < 400;
}

static inline bool reply_is_temporary(const struct reply *reply)
{
    return reply->code >= 400 && reply->code < 500;
}

static inline bool reply_is_permanent(const struct reply *reply)
{
    return reply->code >= 500 && reply->code < 600;
}
