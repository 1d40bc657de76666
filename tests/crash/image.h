/* What a crash may leave of a recorded run: a directory as a disk could have it that lost power.
 *
 * At a crash, what was synced is there. Of the operations since, any may have reached the disk,
 * in any order, and a write also in part: whole sectors of 512 bytes. A file that was to grow may
 * have grown without the bytes in it. A name is durable once its directory was synced, and not
 * before, whatever became of the file. */
#pragma once

#include "base/random.h"
#include "tests/crash/disk.h"

enum image_kind {
    IMAGE_NOTHING,   /* nothing that was not synced */
    IMAGE_ALL,       /* all of it: the machine's memory survived the program */
    IMAGE_SOME,      /* each operation or not */
    IMAGE_TORN,      /* of each write every sector or not */
    IMAGE_REORDERED, /* some, the last ones first */
    IMAGE_GROWN,     /* names and sizes, and not a byte */
};
#define IMAGE_KINDS 6

const char *image_kind_name(enum image_kind kind);

/* A walk through a recorded run: what is durable, and what is not yet. */
struct image_walk;
struct image_walk *image_walk_begin(const struct disk_log *log);
void image_walk_end(struct image_walk **walk);
/* On to the moment when `position` operations had been made; never back. */
void image_walk_to(struct image_walk *walk, size_t position);
/* How many of them are not durable there. Without any there is but one image. */
size_t image_unsynced(const struct image_walk *walk);

/* Writes the image of this moment into an empty directory. Returns how many unsynced operations
 * were left out or cut; with `told` each is told. */
size_t image_write(const struct image_walk *walk, enum image_kind kind, uint64_t seed,
                   const char *directory, bool told);
