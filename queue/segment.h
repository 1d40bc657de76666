/* Append-only body files that the spool points into.
 *
 * DIR/bodies/NUMBER.seg holds many bodies; a body over SEGMENT_BODY_MAX has DIR/bodies/ID.msg
 * for itself. Appending and syncing belong to the committer's thread; reading may happen on
 * any thread, by place; a worker may write a large body's own file before the commit.
 * A segment is unlinked when its last live body goes; where a few stay behind and room gets short,
 * what lies dead between them is given back before. Nothing committed ever points at a torn tail,
 * so a crash needs no repair here.
 *
 * Errors are errno values (0: fine). */
#pragma once

#include "queue/message.h"

#define SEGMENT_BYTES (64u << 20)   /* a segment is sealed when it has grown to this: the default */
#define SEGMENT_BODY_MAX (1u << 20) /* larger bodies have a file of their own */

struct segments;

struct segments_options {
    const char *spool_directory;
    bool sync;      /* false: nothing is ever synced (load tests) */
    uint64_t bytes; /* at which a segment is sealed; 0: SEGMENT_BYTES */
    uint64_t above; /* no record there is names a segment with a higher number */
};

/* Opens (and makes) DIR/bodies. A new segment is begun at the first append; its number is
 * higher than any seen on disk, and than `above`: one that is missing is never taken for it. */
int segments_open(const struct segments_options *options, struct segments **segments);
/* Unlinks the segment in use, too, if nothing in it lives: an empty queue leaves no body behind. */
void segments_close(struct segments **segments);

/* One body of a batch: `place` is filled in. */
struct segment_append {
    const char *body;
    struct body_place *place; /* length and crc are set by the caller */
};

/* Writes all bodies with as few system calls as can be. On an error none of them counts:
 * what was written is a torn tail and is cut off. */
int segments_append(struct segments *segments, struct segment_append *bodies, size_t count);

/* Cuts the last append off again: its batch was not committed. At most once per append. */
void segments_cut(struct segments *segments);

/* Makes all that was appended durable (fdatasync; fsync of the directory when a file is
 * new). An error here must never be retried: the caller stops accepting. */
int segments_sync(struct segments *segments);

/* Books: a body counts as live from its commit (or the scan at start) to its release. */
void segments_keep(struct segments *segments, const struct body_place *place);
void segments_release(struct segments *segments, const struct body_place *place);

/* Until the scan at start has kept every body, nothing may be unlinked. Unlinks what turned
 * out dead: segments without live bytes, and own files of messages that do not exist. */
void segments_scanned(struct segments *segments);

/* Gives back to the file system some of what is dead in segments that a few bodies keep, once that
 * is as much as the disk has free: it is looked at when a segment is sealed, and, with `full`, now,
 * however much is free. The committer's thread, between batches, again and again: true while it
 * knows of more. */
bool segments_tidy(struct segments *segments, bool full);

/* Bytes of all segments and own files, without what was given back. Any thread. */
uint64_t segments_bytes(struct segments *segments);

/* Reads `length` bytes from `offset` within the body. EIO when the file is shorter. */
int segments_read(struct segments *segments, const struct body_place *place, uint64_t offset,
                  char *to, size_t length);

/* A large body's own file, written by a worker while it comes in. The committer syncs it
 * with the batch that accepts the message. */
struct own_file;
int own_file_create(struct segments *segments, uint64_t id, struct own_file **file);
int own_file_write(struct own_file *file, struct span bytes);
int own_file_sync(struct own_file *file);
void own_file_close(struct own_file **file);  /* keeps it */
void own_file_unlink(struct own_file **file); /* the message was not accepted */
