/* What TLS policy keeps on disk: an LMDB environment of its own, beside the spool's, in a
 * directory of mode 0700 with files of 0600, for there are secrets in it. Whoever holds the
 * spool's lock holds this too.
 *
 * It is a cache. What is damaged or of another format is thrown away and begun anew, and where it
 * cannot be had at all (a full disk) the relay runs without: a NULL store holds nothing and keeps
 * nothing. Each value carries a checksum; one that does not hold is never handed out.
 *
 * Commits sync their pages before the root that points at them, but not that root: a machine that
 * goes down loses the last one or two, and never finds a torn tree. (Without any sync it could,
 * and LMDB does not notice.) So what was removed last may be there once more. A process that is
 * killed loses nothing that was written.
 *
 * Writing waits for the disk: any thread may, but for an event loop's. */
#pragma once

#include "base/span.h"

#define STORE_FORMAT 1
#define STORE_MAP_BYTES (256u << 20) /* all of it together; beyond, writes fail */
#define STORE_KEY_MAX 511            /* bytes, LMDB's own */
#define STORE_WHY_MAX 512

enum store_table {
    STORE_TICKETS,
    STORE_STS,
    STORE_TLSRPT,
};
#define STORE_TABLES 3

struct store;

/* Opens or makes DIRECTORY; what is above it must exist. `why` is "" when all is well, and one line
 * otherwise: with a store, what was wrong with the one that it takes the place of; with NULL, why
 * there is none. */
struct store *store_open(const char *directory, char why[STORE_WHY_MAX]);
void store_close(struct store **store); /* what was written is on the disk then */

struct store_write {
    enum store_table table;
    struct span key;   /* 1..STORE_KEY_MAX bytes */
    struct span value; /* empty: removed; no matter if it was not there */
};

/* All of it or nothing. False when it did not fit or the disk failed: logged when that begins, and
 * when it is over. */
bool store_write(struct store *store, const struct store_write *writes, size_t count);

/* Gives every pair of the table to `take`, in order of keys as memcmp has it, until it returns
 * false. They are good until it returns. False when the table could not be read to its end. */
bool store_each(struct store *store, enum store_table table,
                bool (*take)(void *context, struct span key, struct span value), void *context);
