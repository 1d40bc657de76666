#include "bench/spool_calls.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- before the C library ---- */

static struct {
    bool on;
    struct calls *into;
    struct calls_sum *sum;
    off_t sought; /* LMDB seeks, then writes many pages */
} recorder;

void calls_start(struct calls *into, struct calls_sum *sum)
{
    recorder.into = into;
    recorder.sum = sum;
    recorder.on = true;
}

void calls_stop(void)
{
    recorder.on = false;
}

static void note(enum call_kind kind, int file, off_t offset, size_t bytes)
{
    struct calls *into = recorder.into;
    if (kind == CALL_WRITE) {
        recorder.sum->writes++;
        recorder.sum->bytes += bytes;
        recorder.sum->synced_writes += (fcntl(file, F_GETFL) & O_DSYNC) != 0;
    } else {
        recorder.sum->syncs++;
    }
    if (into == NULL)
        return;
    if (into->count == into->capacity) {
        into->capacity = into->capacity ? into->capacity * 2 : 1024;
        into->items = must_realloc(into->items, into->capacity * sizeof(*into->items));
    }
    into->items[into->count++] = (struct call){kind, file, offset, bytes};
}

static ssize_t noted_write(ssize_t count, int file, off_t offset)
{
    if (recorder.on && count > 0)
        note(CALL_WRITE, file, offset, (size_t)count);
    return count;
}

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) ; the C library has its own */

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset)
{
    return noted_write(syscall(SYS_pwrite64, file, bytes, count, offset), file, offset);
}

ssize_t pwritev(int file, const struct iovec *vector, int count, off_t offset)
{
    return noted_write(syscall(SYS_pwritev, file, vector, count, offset, 0L), file, offset);
}

off_t lseek(int file, off_t offset, int from)
{
    off_t at = syscall(SYS_lseek, file, offset, from);
    if (recorder.on)
        recorder.sought = at;
    return at;
}

ssize_t writev(int file, const struct iovec *vector, int count)
{
    ssize_t written = noted_write(syscall(SYS_writev, file, vector, count), file, recorder.sought);
    if (recorder.on && written > 0)
        recorder.sought += written;
    return written;
}

int fdatasync(int file)
{
    if (recorder.on)
        note(CALL_SYNC, file, 0, 0);
    return (int)syscall(SYS_fdatasync, file);
}

int fsync(int file)
{
    if (recorder.on)
        note(CALL_SYNC_DIRECTORY, file, 0, 0);
    return (int)syscall(SYS_fsync, file);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

size_t calls_longest(const struct calls *calls)
{
    size_t longest = 0;
    for (size_t i = 0; i < calls->count; i++)
        if (calls->items[i].bytes > longest)
            longest = calls->items[i].bytes;
    return longest;
}

/* ---- again ---- */

struct replay {
    int directory;
    struct stat spool_data; /* whatever is no descriptor of this file is a segment's */
    int data, data_synced;  /* ours: the second writes through, as LMDB's does */
    int segment;            /* -1 before the first */
    unsigned segments;
};

static int make_file(const struct replay *replay, const char *name, int flags)
{
    int file = openat(replay->directory, name, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
    must(file >= 0);
    return file;
}

struct replay *replay_open(const char *data, const char *directory)
{
    struct replay *replay = must_calloc(1, sizeof(*replay));
    must(mkdir(directory, 0700) == 0 || errno == EEXIST);
    replay->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(replay->directory >= 0 && stat(data, &replay->spool_data) == 0);
    replay->data = make_file(replay, "data", 0);
    replay->data_synced = make_file(replay, "data", O_DSYNC);
    replay->segment = -1;
    return replay;
}

void replay_close(struct replay **replay)
{
    struct replay *closed = *replay;
    *replay = NULL;
    if (closed->segment >= 0)
        close(closed->segment);
    close(closed->data_synced);
    close(closed->data);
    close(closed->directory);
    free(closed);
}

static bool is_data(const struct replay *replay, int file)
{
    struct stat facts;
    return fstat(file, &facts) == 0 && facts.st_ino == replay->spool_data.st_ino &&
           facts.st_dev == replay->spool_data.st_dev;
}

static void next_segment(struct replay *replay)
{
    char name[32];
    if (replay->segment >= 0)
        close(replay->segment);
    snprintf(name, sizeof(name), "%u.seg", ++replay->segments);
    replay->segment = make_file(replay, name, O_EXCL);
}

enum { FILES_MAX = 256 };

/* What each descriptor of the spool's is with us, asked once: a segment begins with a write at 0.
 */
struct roles {
    enum role { UNKNOWN, SEGMENT, DATA, DATA_SYNCED } of[FILES_MAX];
};

static int file_of(struct replay *replay, struct roles *roles, const struct call *call)
{
    must(call->file >= 0 && call->file < FILES_MAX);
    enum role *role = &roles->of[call->file];
    if (*role == UNKNOWN && is_data(replay, call->file))
        *role = (fcntl(call->file, F_GETFL) & O_DSYNC) != 0 ? DATA_SYNCED : DATA;
    else if (*role == UNKNOWN)
        *role = SEGMENT;
    if (*role == SEGMENT && call->kind == CALL_WRITE && call->offset == 0)
        next_segment(replay);
    return *role == SEGMENT ? replay->segment : *role == DATA ? replay->data : replay->data_synced;
}

void replay_calls(struct replay *replay, const struct calls *calls, const char *from)
{
    struct roles roles = {{UNKNOWN}};
    for (size_t i = 0; i < calls->count; i++) {
        const struct call *call = &calls->items[i];
        switch (call->kind) {
        case CALL_WRITE: {
            int file = file_of(replay, &roles, call);
            must(pwrite(file, from, call->bytes, call->offset) == (ssize_t)call->bytes);
            break;
        }
        case CALL_SYNC: must(fdatasync(file_of(replay, &roles, call)) == 0); break;
        case CALL_SYNC_DIRECTORY: must(fsync(replay->directory) == 0); break;
        }
    }
}
