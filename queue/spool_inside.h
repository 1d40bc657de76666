/* What the spool's own files know of it: nobody else includes this. */
#pragma once

#include "base/must.h"
#include "queue/record.h"
#include "queue/spool.h"

#include <lmdb.h>
#include <pthread.h>

#define SPOOL_WHY_MAX 256

struct stored_body {
    uint64_t id;
    struct body_place place;
};

struct stored_bodies {
    struct stored_body *items;
    size_t count, capacity;
};

struct spool {
    MDB_env *env;
    MDB_dbi meta, message, envelope, destination;
    struct segments *segments;
    char *directory;
    int lock;
    enum durability durability;
    uint64_t min_free_bytes;

    _Atomic uint64_t last_id;
    uint64_t born; /* ids of earlier processes are below, ours above */
    atomic_bool full;

    void *map;          /* the file's, shared and read only; NULL: nobody knows where it is */
    atomic_size_t read; /* records, by all threads */

    /* The writer's. */
    uint64_t ids_reserved; /* on disk: the next process gives out none below */
    uint64_t ids_wanted;   /* the same, once the batch has committed */
    size_t page_bytes, map_pages, reserve_pages;
    size_t sure_batches; /* this many will fit before the free pages need counting again */
    bool appended;       /* the batch has bodies in the segments */
    size_t touched;      /* records, by the batch */
    struct stored_bodies accepted, removed; /* by the batch */
    struct buffer record;
    int64_t synced_ms;
    char why[SPOOL_WHY_MAX];

    /* The scan of bodies at start runs beside the writer. `scan` is held over a page of it,
     * and over a commit with its books: so a body is kept exactly if its release counts. */
    pthread_mutex_t scan;
    bool scan_began;
    uint64_t scanned_id; /* bodies up to here have been kept */
};

static inline MDB_val value_of(const void *bytes, size_t length)
{
    /* LMDB's values are for both ways; what is put is only read */
    return (MDB_val){.mv_size = length, .mv_data = (void *)(uintptr_t)bytes};
}

static inline struct span span_of_value(MDB_val value)
{
    return (struct span){value.mv_data, value.mv_size};
}

#define SPOOL_NEXT_ID                                                                              \
    "next-id" /* in `meta`: no process that opens the spool gives out a lower one */

int spool_put_number(struct spool *spool, MDB_txn *txn, const char *name, uint64_t number);

/* spool_map.c: any thread. */
void spool_find_map(struct spool *spool);
void spool_has_read(struct spool *spool, size_t records);

/* Bytes free on the spool's disk; UINT64_MAX when nobody can say. */
uint64_t spool_disk_free(const struct spool *spool);

/* Pages on LMDB's free list; 0 when it cannot be read. */
size_t spool_free_pages(struct spool *spool);
