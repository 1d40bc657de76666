#include "bench/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int write_all(const char *path, struct span bytes)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        return -errno;
    int result = 0;
    while (bytes.length > 0 && result == 0) {
        ssize_t written = write(file, bytes.data, bytes.length);
        if (written > 0)
            bytes = span_skip(bytes, (size_t)written);
        else if (errno != EINTR)
            result = -errno;
    }
    return close(file) == 0 || result != 0 ? result : -errno;
}

int dump_write(const char *directory, uint64_t number, struct span message)
{
    char path[PATH_MAX], scratch[PATH_MAX];
    int length = snprintf(scratch, sizeof(scratch), "%s/.%06" PRIu64 ".tmp", directory, number);
    if (length < 0 || (size_t)length >= sizeof(scratch))
        return -ENAMETOOLONG;
    snprintf(path, sizeof(path), "%s/%06" PRIu64 ".eml", directory, number);
    int result = write_all(scratch, message);
    if (result == 0 && rename(scratch, path) != 0)
        result = -errno;
    if (result != 0)
        unlink(scratch);
    return result;
}
