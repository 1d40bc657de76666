/* What was said on one connection: the last of it, as it went over the wire, kept so that the
 * operator can read how a session came to fail. Belongs to its connection.
 *
 * To add costs a copy of the bytes and nothing more; lines are made when somebody reads them. What
 * authenticates us is left out when it is added: neither AUTH's responses nor what they answer is
 * ever here. No body is: its owner does not add any. */
#pragma once

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define TRANSCRIPT_BYTES_MAX 8192 /* half of it, the oldest, falls out when that is full */
#define TRANSCRIPT_NOTE_MAX 2048  /* of a longer one the beginning and the end are kept */
#define TRANSCRIPT_LINE_MAX 512   /* characters of a line when it is read */

enum transcript_by {
    TRANSCRIPT_RELAY,
    TRANSCRIPT_SERVER,
    TRANSCRIPT_NOTE, /* our own words about what happened */
};

struct transcript {
    struct buffer notes;
    int64_t began_ms; /* monotonic */
    bool secret;      /* an exchange of AUTH is under way */
};

/* Forgets what was before. */
void transcript_begin(struct transcript *transcript, int64_t now_ms);
void transcript_free(struct transcript *transcript);

/* Commands or replies, one or several, as they are; a line of a note needs no end. */
void transcript_add(struct transcript *transcript, enum transcript_by by, int64_t now_ms,
                    struct span bytes);

/* ---- reading: of the notes' bytes, which may have been copied ---- */

struct transcript_line {
    enum transcript_by by;
    int64_t ms;                         /* since it began */
    char text[TRANSCRIPT_LINE_MAX + 4]; /* printable ASCII, '?' for what is not; "..." behind what
                                           was cut */
};

struct transcript_reader {
    struct span notes; /* those still to come; begin with all of them */
    struct span rest;  /* of the note at hand */
    enum transcript_by by;
    int64_t ms;
};

/* The next line; false behind the last. */
bool transcript_next(struct transcript_reader *reader, struct transcript_line *line);
