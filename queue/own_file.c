#include "queue/segment_inside.h"

#include "base/must.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct own_file {
    struct segments *segments;
    uint64_t id;
    int file;
};

int own_file_create(struct segments *segments, uint64_t id, struct own_file **file)
{
    int opened;
    *file = NULL;
    int error = segments_create_own(segments, id, &opened);
    if (error)
        return error;
    struct own_file *created = must_calloc(1, sizeof(*created));
    *created = (struct own_file){.segments = segments, .id = id, .file = opened};
    *file = created;
    return 0;
}

int own_file_write(struct own_file *file, struct span bytes)
{
    while (bytes.length > 0) {
        ssize_t count = write(file->file, bytes.data, bytes.length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        bytes = span_skip(bytes, (size_t)count);
    }
    return 0;
}

int own_file_sync(struct own_file *file)
{
    if (!segments_is_synced(file->segments))
        return 0;
    return fdatasync(file->file) == 0 ? 0 : errno;
}

void own_file_close(struct own_file **file)
{
    struct own_file *closed = *file;
    *file = NULL;
    if (closed == NULL)
        return;
    close(closed->file);
    free(closed);
}

void own_file_unlink(struct own_file **file)
{
    if (*file != NULL)
        segments_unlink_own((*file)->segments, (*file)->id);
    own_file_close(file);
}
