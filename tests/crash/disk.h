/* What a run does to a directory, in order: every write, change of size, name and sync below it.
 *
 * The program's own definitions of write(), open() and their kin stand before the C library's, for
 * our code and for LMDB's; they do what is asked, and note it. One thread only.
 *
 * A write through a descriptor with O_DSYNC is two operations, the write and the sync of it: a
 * crash may fall between them. */
#pragma once

#include "tests/crash/bytes.h"

#include <stdbool.h>

#define DISK_NAME_MAX 64

/* A file or a directory, whatever it is called. */
struct disk_node {
    bool directory;
    struct bytes content; /* when the recording began */
};

/* Names are relative to the recorded directory, which is node 0 and has none. */
struct disk_entry {
    char name[DISK_NAME_MAX];
    unsigned node;
};

enum disk_op_kind {
    DISK_CREATE,     /* `name` is `node` */
    DISK_RENAME,     /* `from` is now `name`, which is `node` */
    DISK_UNLINK,     /* `name` is no more */
    DISK_WRITE,      /* `length` bytes of `node` */
    DISK_RESIZE,     /* `node` has `offset` bytes now */
    DISK_SYNC,       /* of `node`; of a directory: of the names in it */
    DISK_SYNC_WRITE, /* of the write just before, and of nothing else */
};

struct disk_op {
    enum disk_op_kind kind;
    unsigned node;
    unsigned parent; /* of a name: the directory whose sync makes it durable */
    char name[DISK_NAME_MAX], from[DISK_NAME_MAX];
    uint64_t offset;
    char *bytes;
    size_t length;
};

struct disk_log {
    struct disk_node *nodes;
    size_t node_count;
    struct disk_entry *entries; /* when the recording began */
    size_t entry_count;
    struct disk_op *ops;
    size_t count, capacity;
};

/* What a disk, or a program, may do wrong: noted as if it had been done so. */
enum disk_lie {
    LIE_NONE,
    LIE_SEGMENTS_UNSYNCED,    /* the sync of a segment does nothing */
    LIE_OWN_FILES_UNSYNCED,   /* the sync of a body's own file does nothing */
    LIE_INDEX_UNSYNCED,       /* the sync of LMDB's pages does nothing */
    LIE_DIRECTORIES_UNSYNCED, /* the sync of a directory does nothing */
    LIE_SYNC_AFTER_COMMIT,    /* a segment is synced once the commit that needs it is through */
    LIE_UNLINK_BEFORE_COMMIT, /* bodies are unlinked before the commit that frees them */
};

/* What lies below `root` is durable. Until disk_end() all that is done there is noted. */
void disk_begin(const char *root, enum disk_lie lie);
struct disk_log *disk_end(void);
void disk_log_free(struct disk_log **log);

/* How many operations there have been. */
size_t disk_position(void);

/* The write after the next `after` ones fails with ENOSPC, as do all behind it, but those of
 * LMDB's last page. -1: the disk has room again. */
void disk_fills(int after);
