/* Mail data on the wire (RFC 5321 4.5.2, RFC 3030): dot-stuffing, the final dot, bare CR and LF.
 * Pure; any cut of the stream into pieces gives the same result. */
#pragma once

#include "base/buffer.h"

/* ---- reading: from the wire to the body ---- */

enum newlines {
    NEWLINES_REFUSE,    /* a bare CR or LF spoils the message; the stream is still followed */
    NEWLINES_NORMALISE, /* each becomes CRLF */
};

/* In either mode the body comes out with CRLF only, and a dot behind a bare CR or LF is a dot
 * like any other; the mode is the caller's, who refuses a message that is `bare`. */

struct data_reader {
    uint8_t state; /* what the bytes before this piece ended in */
    bool chunked;  /* the octets of BDAT: no dot means anything */
    bool bare;     /* a bare CR or LF was met */
};

void data_reader_init(struct data_reader *reader);
/* For text that comes by BDAT (RFC 3030): an end of line may lie across two chunks. */
void data_reader_init_chunked(struct data_reader *reader);

/* Reads from `from` and appends body bytes to `body`. Returns true when the final dot (only
 * ever CRLF.CRLF) was met; *used says how many bytes were taken (all of them when false). */
bool data_read(struct data_reader *reader, struct span from, struct buffer *body, size_t *used);

/* The last chunk has come: ends the last line where that is missing. */
void data_read_end(struct data_reader *reader, struct buffer *body);

/* ---- writing: from the body to the wire ---- */

struct data_writer {
    bool line_begins; /* the next byte begins a line */
};

void data_writer_init(struct data_writer *writer);

/* Appends `piece`, dot-stuffed, to `to`. The body holds no bare CR or LF. */
void data_write(struct data_writer *writer, struct span piece, struct buffer *to);

/* Ends the body's last line where that is missing, and appends the final ".\r\n". */
void data_write_end(struct data_writer *writer, struct buffer *to);
