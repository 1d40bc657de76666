/* What the files around segment.c know of it: nobody else includes this. */
#pragma once

#include "base/list.h"
#include "base/map.h"
#include "queue/blocks.h"
#include "queue/segment.h"

#include <pthread.h>

struct body_file {
    uint64_t number;
    uint64_t live;  /* bytes of bodies that are committed and not yet released */
    uint64_t bytes; /* of the file */
    bool sealed;    /* nothing will be appended any more */
    struct blocks blocks;
    struct list_node holey; /* in `holey` of its segments */
};

struct segments {
    int directory;
    bool sync;
    uint64_t segment_bytes; /* at which one is sealed */
    pthread_mutex_t books;  /* guards the maps, the counts and `scanned` */
    struct map segments;    /* of body_file, by number */
    struct map orphans;     /* own files on disk that no message is known to need, by id */
    struct list holey;      /* body files to be punched */
    uint64_t own_file_bytes;
    bool scanned;
    atomic_bool directory_changed;

    /* The committer's: where it appends. */
    struct body_file *current;
    int file;           /* of `current`; -1 when there is none */
    uint64_t undo_size; /* size of `current` before the last append */
    bool unsynced;
    uint64_t next_number;
};

#define SEGMENT_NAME_BYTES 32
void segments_file_name(uint64_t number, bool own_file, char name[SEGMENT_NAME_BYTES]);

/* segment_holes.c; with the books locked. Finds none while more is free on the disk than they would
 * give back, but `anyhow`. */
void segments_find_holes(struct segments *segments, bool anyhow);

/* For own_file.c. */
int segments_create_own(struct segments *segments, uint64_t id, int *file);
void segments_unlink_own(struct segments *segments, uint64_t id);
bool segments_is_synced(const struct segments *segments); /* false: nothing is ever synced */
