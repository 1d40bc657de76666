/* What the load sends: bodies in the form they have on the wire, made once. Of a made body
 * only the Message-ID changes from message to message, and is patched into a copy. */
#pragma once

#include "base/arena.h"

#define LOAD_ID_LENGTH 43 /* "<run>.<number>@load.test" */
#define LOAD_SIZE_MIN 256 /* the header takes most of it */
#define LOAD_SIZE_MAX (64u << 20)
#define LOAD_CORPUS_MAX (256u << 20) /* bytes of all files */
#define LOAD_WHY_MAX 256

struct load_body {
    struct span wire; /* dot-stuffed, with the final dot */
    struct span raw;  /* as it is, for BDAT */
    size_t size;      /* before that: what SIZE= says */
    bool eight_bit;
    bool made;      /* ours, with LOAD_ID_LENGTH bytes of Message-ID at id_at */
    size_t id_at;   /* in wire, and in raw */
    struct span id; /* of a file: its Message-ID, or empty */
};

struct load_bodies {
    struct arena arena;
    struct load_body *rows;
    size_t count, capacity;
};

void load_bodies_free(struct load_bodies *bodies);

/* One body of exactly `size` bytes; `date` as RFC 5322 3.3 has it. False with `why` when
 * the header alone is longer. */
bool load_bodies_make(struct load_bodies *bodies, size_t size, const char *from, const char *to,
                      const char *date, char why[LOAD_WHY_MAX]);

/* All files of a directory by name, each LF as CRLF. One with a bare CR may not be sent: it
 * is told on stderr and passed over. False with `why` when nothing is left or can be read. */
bool load_bodies_read(struct load_bodies *bodies, const char *directory, char why[LOAD_WHY_MAX]);

/* The Message-ID of a made body, LOAD_ID_LENGTH bytes without NUL. */
void load_id_write(char *to, uint64_t run, uint64_t number);
