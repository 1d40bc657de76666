#include "queue/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int directory_sync(const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return errno;
    int error = fsync(directory) == 0 ? 0 : errno;
    close(directory);
    return error;
}

/* Makes the directory that the first `end` bytes name, in the one that those before
 * `parent_end` name. */
static int make_up_to(char *path, size_t end, size_t parent_end)
{
    char kept = path[end];
    path[end] = '\0';
    int error = mkdir(path, 0700) == 0 ? 0 : errno;
    path[end] = kept;
    if (error != 0)
        return error == EEXIST ? 0 : error;
    kept = path[parent_end];
    path[parent_end] = '\0';
    error = directory_sync(parent_end > 0 ? path : ".");
    path[parent_end] = kept;
    return error;
}

/* Where the name that begins at or behind `at` ends, and where it begins. */
static size_t name_end(const char *path, size_t at, size_t *begin)
{
    while (path[at] == '/')
        at++;
    *begin = at;
    while (path[at] != '\0' && path[at] != '/')
        at++;
    return at;
}

int directory_make(const char *path)
{
    char copy[PATH_MAX];
    int error = 0;
    if (strlen(path) >= sizeof(copy))
        return ENAMETOOLONG;
    snprintf(copy, sizeof(copy), "%s", path);
    size_t begin;
    size_t end = name_end(copy, 0, &begin);
    for (; !error && end > begin; end = name_end(copy, end, &begin))
        error = make_up_to(copy, end, begin);
    return error;
}

static long read_holder(int lock)
{
    char text[32] = "";
    ssize_t length = pread(lock, text, sizeof(text) - 1, 0);
    return length > 0 ? strtol(text, NULL, 10) : 0;
}

/* Only for people to read: the lock holds without it. */
static void write_holder(int lock)
{
    char text[32];
    int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(lock, 0) != 0 || pwrite(lock, text, (size_t)length, 0) != length)
        return;
}

int directory_lock(const char *path, int *lock, long *holder)
{
    char name[PATH_MAX];
    int length = snprintf(name, sizeof(name), "%s/lock", path);
    *holder = 0;
    *lock = -1;
    if (length < 0 || (size_t)length >= sizeof(name))
        return ENAMETOOLONG;
    int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return errno;
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        *holder = read_holder(file);
        close(file);
        return error;
    }
    write_holder(file);
    *lock = file;
    return 0;
}
