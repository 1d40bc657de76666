#include "queue/segment_inside.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int read_all(int file, char *to, size_t length, uint64_t offset)
{
    while (length > 0) {
        ssize_t count = pread(file, to, length, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count == 0 ? EIO : errno;
        to += count;
        offset += (uint64_t)count;
        length -= (size_t)count;
    }
    return 0;
}

int segments_read(struct segments *segments, const struct body_place *place, uint64_t offset,
                  char *to, size_t length)
{
    must(offset <= place->length && length <= place->length - offset);
    if (length == 0) /* no file is kept for that */
        return 0;
    char name[SEGMENT_NAME_BYTES];
    segments_file_name(place->segment, place->own_file, name);
    int file = openat(segments->directory, name, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return errno;
    int error = read_all(file, to, length, place->offset + offset);
    close(file);
    return error;
}
