/* The message as callers write it to standard input: lines that end in LF, or in CRLF, or both
 * by turns. It comes out with CRLF only, the last line ended, ready for data_write(). Pure; any
 * cut of the stream into pieces gives the same result.
 *
 * A CR alone becomes a line end too (the progress of some command in cron's mail), but in the
 * header a blank: there a line would be a field of somebody's making. NUL is left out: no mail may
 * have it (RFC 2045 2.8). */
#pragma once

#include "base/buffer.h"

struct input {
    bool dot_ends; /* a line with a dot alone ends the message: not with -i */
    bool ended;    /* by that dot: what follows is not read */
    bool header_over;
    bool in_line; /* the line has something in it */
    bool dot;     /* that begins the line and is not written yet: it may be alone */
    bool cr;      /* not written yet */
};

void input_read(struct input *input, struct span piece, struct buffer *to);
void input_end(struct input *input, struct buffer *to);
