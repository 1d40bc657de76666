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

/* What holds `path`: "a/b" -> "a", "a" -> ".", "/a" -> "/". */
static void parent_of(const char *path, char parent[PATH_MAX])
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    memcpy(parent, path, length);
    strcpy(parent + length, length == 0 ? "." : "");
}

int directory_make(const char *path)
{
    char parent[PATH_MAX];
    if (strlen(path) >= sizeof(parent))
        return ENAMETOOLONG;
    parent_of(path, parent);
    if (mkdir(path, 0700) == 0)
        return directory_sync(parent);
    if (errno != ENOENT || strcmp(parent, path) == 0)
        return errno == EEXIST ? 0 : errno;
    int error = directory_make(parent);
    if (error)
        return error;
    return mkdir(path, 0700) == 0 ? directory_sync(parent) : errno;
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
