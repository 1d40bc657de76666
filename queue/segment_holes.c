/* A few bodies that stay for long keep a whole segment. What lies dead between them is given back
 * to the file system: holes are punched, a few at a time, by the committer's thread between
 * batches. */
#include "queue/segment_inside.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define HOLES_AT_ONCE 16      /* few: whoever begins a file of its own waits meanwhile */
#define DEAD_LEAST_BLOCKS 256 /* for less it is not worth it */

/* The last one to be sealed is left alone: most of what it has goes soon, and then the whole of it.
 */
static bool is_holey(const struct segments *segments, const struct body_file *file)
{
    if (!segments->scanned || !file->sealed || file->number + 1 >= segments->next_number)
        return false;
    uint64_t dead = blocks_dead(&file->blocks, file->bytes);
    return dead >= DEAD_LEAST_BLOCKS && 2 * dead >= blocks_held(&file->blocks, file->bytes);
}

/* Bytes free to us; 0 when nobody can say: then it is as if the disk were full. */
static uint64_t disk_free(const struct segments *segments)
{
    struct statvfs facts;
    return fstatvfs(segments->directory, &facts) == 0 ? (uint64_t)facts.f_bavail * facts.f_frsize
                                                      : 0;
}

static uint64_t bytes_dead(struct segments *segments)
{
    uint64_t dead = 0;
    size_t at = 0;
    for (struct body_file *file; (file = map_walk(&segments->segments, &at)) != NULL;)
        if (is_holey(segments, file))
            dead += blocks_dead(&file->blocks, file->bytes) * BLOCK_BYTES;
    return dead;
}

void segments_find_holes(struct segments *segments, bool anyhow)
{
    uint64_t dead = bytes_dead(segments);
    size_t at = 0;
    if (dead == 0 || (!anyhow && dead < disk_free(segments)))
        return;
    for (struct body_file *file; (file = map_walk(&segments->segments, &at)) != NULL;)
        if (!list_linked(&file->holey) && is_holey(segments, file))
            list_append(&segments->holey, &file->holey);
}

/* False when that was all, or it cannot be done: then the room stays taken. */
static bool punch_next(struct body_file *file, int descriptor)
{
    struct hole hole = blocks_next_hole(&file->blocks, file->bytes);
    if (hole.length == 0 || fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                      (off_t)hole.offset, (off_t)hole.length) != 0)
        return false;
    blocks_punched(&file->blocks, hole);
    return true;
}

static bool punch_some(const struct segments *segments, struct body_file *file)
{
    char name[SEGMENT_NAME_BYTES];
    segments_file_name(file->number, false, name);
    int descriptor = openat(segments->directory, name, O_WRONLY | O_CLOEXEC);
    bool more = descriptor >= 0;
    for (unsigned i = 0; i < HOLES_AT_ONCE && more; i++)
        more = punch_next(file, descriptor);
    if (descriptor >= 0)
        close(descriptor);
    return more;
}

bool segments_tidy(struct segments *segments, bool full)
{
    pthread_mutex_lock(&segments->books);
    if (full)
        segments_find_holes(segments, true);
    struct list_node *first = list_first(&segments->holey);
    if (first != NULL && !punch_some(segments, container_of(first, struct body_file, holey)))
        list_remove(first);
    bool more = !list_empty(&segments->holey);
    pthread_mutex_unlock(&segments->books);
    return more;
}
