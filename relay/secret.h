/* Secrets, for both sides of SASL: files that are their owner's business alone, base64, and
 * SASLprep. Nothing here prints a secret, and copies of ours are overwritten before they are freed
 * (libgsasl frees its own as they are). */
#pragma once

#include "base/arena.h"
#include "base/buffer.h"

#include <sys/types.h>
#include <time.h>

/* Overwrites and frees. */
void secret_free(char **secret);

/* By SASLprep (RFC 4013): the caller frees it (a password: wipes it). NULL when it is not UTF-8, or
 * holds what must not be in a name or password, or is empty. `stored`: it is to be kept, so no
 * character may be one that Unicode has not assigned. */
char *sasl_prepare(struct span text, bool stored);

bool base64_read(struct span text, struct buffer *to); /* appends; false when it is none */
void base64_write(struct span bytes, struct buffer *to);

/* ---- files ---- */

struct secret_mark { /* another one: the file is not what it was */
    dev_t device;
    ino_t number;
    off_t size;
    struct timespec changed;
};

/* False when there is no such file. */
bool secret_file_mark(const char *path, struct secret_mark *mark);
bool secret_mark_equal(const struct secret_mark *a, const struct secret_mark *b);

/* Appends all of the file, of which `mark` (may be NULL) then tells. NULL, or what is wrong: it is
 * not there, has more than `most` bytes, or others than its owner may use it. */
const char *secret_file_read(const char *path, size_t most, struct buffer *text,
                             struct secret_mark *mark, struct arena *arena);
/* The same of one that is open already, whoever may use it. */
const char *secret_read_all(int file, size_t most, struct buffer *text, struct arena *arena);

/* Of the last failure of a system call. Never NULL, which says that all is well: a file system may
 * have error numbers that libc has no words for. */
const char *secret_errno(void);
