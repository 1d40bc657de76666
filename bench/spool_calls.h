/* What LMDB and the segments ask of the kernel to make a batch durable, written down call by call,
 * so that it can be done again by a loop that knows nothing of a spool. These stand before the C
 * library's functions of the same name. One thread writes while calls are written down. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum call_kind {
    CALL_WRITE,
    CALL_SYNC,           /* fdatasync */
    CALL_SYNC_DIRECTORY, /* fsync: a file is new */
};

struct call {
    enum call_kind kind;
    int file; /* as it was then */
    off_t offset;
    size_t bytes;
};

struct calls {
    struct call *items;
    size_t count, capacity;
};

struct calls_sum {
    uint64_t writes, bytes, syncs, synced_writes;
};

/* Until calls_stop all calls are written down behind those that `into` has; NULL: only counted. */
void calls_start(struct calls *into, struct calls_sum *sum);
void calls_stop(void);

/* The other end: files like those of the spool, in a directory of their own. */
struct replay;
/* `data`: the path of the spool's data.mdb, which is open: its descriptors tell what is what. */
struct replay *replay_open(const char *data, const char *directory);
void replay_close(struct replay **replay);
/* Does them again, in order: the same number of bytes at the same offsets, and the same syncs. The
 * bytes are those of `from`, which has as many as the longest call. */
void replay_calls(struct replay *replay, const struct calls *calls, const char *from);
size_t calls_longest(const struct calls *calls);
