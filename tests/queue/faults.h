/* A disk that fails on command: these stand before the C library's functions of the same
 * name, for our code and for LMDB's. To be included by one file of a test program. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static int write_error;    /* what all writing at a place fails with; 0: they write */
static size_t write_short; /* with it set, pwritev writes this many bytes at most */
static int sync_error;     /* what fdatasync fails with */
static unsigned syncs;     /* how often fdatasync was called */
static int punch_error;    /* what fallocate fails with */

int fdatasync(int file)
{
    syncs++;
    if (sync_error != 0) {
        errno = sync_error;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, file);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
    if (write_error != 0) {
        errno = write_error;
        return -1;
    }
    return syscall(SYS_pwrite64, file, bytes, count, offset);
}

ssize_t pwritev(int file, const struct iovec *vector, int count, off_t offset)
{
    if (write_error != 0) {
        errno = write_error;
        return -1;
    }
    if (write_short > 0) {
        size_t first = vector[0].iov_len;
        return syscall(SYS_pwrite64, file, vector[0].iov_base,
                       first < write_short ? first : write_short, offset);
    }
    return syscall(SYS_pwritev, file, vector, count, offset, 0L);
}

ssize_t writev(int file, const struct iovec *vector, int count)
{
    if (write_error != 0) {
        errno = write_error;
        return -1;
    }
    return syscall(SYS_writev, file, vector, count);
}

int fallocate(int file, int mode, off_t offset, off_t count)
{
    if (punch_error != 0) {
        errno = punch_error;
        return -1;
    }
    return (int)syscall(SYS_fallocate, file, mode, offset, count);
}
