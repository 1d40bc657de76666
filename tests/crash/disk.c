#undef _FORTIFY_SOURCE /* these are the functions that it would wrap */

#include "tests/crash/disk.h"

#include "base/must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES_MAX 1024

struct open_file {
    bool ours;
    bool data_sync; /* O_DSYNC */
    unsigned node;
};

static struct disk_log *log_now; /* NULL: nothing is noted */
static char root[PATH_MAX];
static enum disk_lie lie_now;
static struct disk_op delayed; /* a sync that comes late; kind DISK_SYNC, or nothing */
static bool is_delayed;
static size_t settled; /* somebody was told of the position: nothing is put before it */
static int room = -1;
static struct disk_entry *names; /* as they are now */
static size_t name_count;
static struct open_file files[FILES_MAX];

/* ---- names ---- */

static unsigned add_node(bool directory)
{
    struct disk_log *log = log_now;
    log->nodes = must_realloc(log->nodes, (log->node_count + 1) * sizeof(*log->nodes));
    log->nodes[log->node_count] = (struct disk_node){.directory = directory};
    return (unsigned)log->node_count++;
}

static struct disk_entry *find_name(const char *name)
{
    for (size_t i = 0; i < name_count; i++)
        if (strcmp(names[i].name, name) == 0)
            return &names[i];
    return NULL;
}

static void add_name(const char *name, unsigned node)
{
    names = must_realloc(names, (name_count + 1) * sizeof(*names));
    names[name_count] = (struct disk_entry){.node = node};
    snprintf(names[name_count++].name, DISK_NAME_MAX, "%s", name);
}

static void remove_name(const char *name)
{
    struct disk_entry *entry = find_name(name);
    if (entry != NULL)
        *entry = names[--name_count];
}

static unsigned parent_of(const char *name)
{
    char parent[DISK_NAME_MAX];
    const char *slash = strrchr(name, '/');
    if (slash == NULL)
        return 0;
    snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
    struct disk_entry *entry = find_name(parent);
    must(entry != NULL);
    return entry->node;
}

static const char *name_of(unsigned node)
{
    for (size_t i = 0; i < name_count; i++)
        if (names[i].node == node)
            return names[i].name;
    return "";
}

/* The name below the root of what is called `path` in `directory`; false: it is none of ours. */
static bool name_below(int directory, const char *path, char name[DISK_NAME_MAX])
{
    size_t length = strlen(root);
    int written;
    if (log_now == NULL)
        return false;
    if (path[0] == '/' && strncmp(path, root, length) == 0 && path[length] == '/')
        written = snprintf(name, DISK_NAME_MAX, "%s", path + length + 1);
    else if (path[0] == '/' && strcmp(path, root) == 0)
        written = snprintf(name, DISK_NAME_MAX, "%s", "");
    else if (path[0] == '/' || directory < 0 || directory >= FILES_MAX || !files[directory].ours)
        return false;
    else if (files[directory].node == 0)
        written = snprintf(name, DISK_NAME_MAX, "%s", path);
    else
        written = snprintf(name, DISK_NAME_MAX, "%s/%s", name_of(files[directory].node), path);
    must(written < DISK_NAME_MAX);
    return true;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name);
    return length >= strlen(suffix) && strcmp(name + length - strlen(suffix), suffix) == 0;
}

/* ---- noting ---- */

static struct disk_op *insert_op(size_t at, const struct disk_op *op)
{
    struct disk_log *log = log_now;
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 256;
        log->ops = must_realloc(log->ops, log->capacity * sizeof(*log->ops));
    }
    memmove(&log->ops[at + 1], &log->ops[at], (log->count - at) * sizeof(*log->ops));
    log->ops[at] = *op;
    log->count++;
    return &log->ops[at];
}

static void note(const struct disk_op *op)
{
    insert_op(log_now->count, op);
}

static void note_write(int file, const void *from, size_t length, uint64_t offset)
{
    struct disk_op op = {.kind = DISK_WRITE,
                         .node = files[file].node,
                         .offset = offset,
                         .bytes = must_calloc(length + 1, 1),
                         .length = length};
    memcpy(op.bytes, from, length);
    note(&op);
    if (!files[file].data_sync)
        return;
    note(&(struct disk_op){.kind = DISK_SYNC_WRITE, .node = op.node});
    if (is_delayed)
        note(&delayed);
    is_delayed = false;
}

static bool is_forgotten(unsigned node)
{
    const char *name = name_of(node);
    switch (lie_now) {
    case LIE_SEGMENTS_UNSYNCED: return ends_with(name, ".seg");
    case LIE_OWN_FILES_UNSYNCED: return ends_with(name, ".msg");
    case LIE_INDEX_UNSYNCED: return ends_with(name, "data.mdb");
    case LIE_DIRECTORIES_UNSYNCED: return log_now->nodes[node].directory;
    case LIE_NONE:
    case LIE_SYNC_AFTER_COMMIT:
    case LIE_UNLINK_BEFORE_COMMIT: return false;
    }
    must_not_reach();
}

static void note_sync(int file)
{
    struct disk_op op = {.kind = DISK_SYNC, .node = files[file].node};
    if (is_forgotten(op.node))
        return;
    if (lie_now == LIE_SYNC_AFTER_COMMIT && ends_with(name_of(op.node), ".seg")) {
        delayed = op;
        is_delayed = true;
        return;
    }
    note(&op);
}

/* Where a program that unlinks too early would have done it: before the commit, if the unlink is
 * part of one. */
static size_t before_commit(void)
{
    for (size_t at = log_now->count; at > settled; at--)
        if (log_now->ops[at - 1].kind == DISK_SYNC_WRITE)
            return at - 2;
    return log_now->count;
}

static void note_unlink(const char *name)
{
    const struct disk_entry *entry = find_name(name);
    if (entry == NULL)
        return;
    struct disk_op op = {.kind = DISK_UNLINK, .node = entry->node, .parent = parent_of(name)};
    snprintf(op.name, sizeof(op.name), "%s", name);
    insert_op(lie_now == LIE_UNLINK_BEFORE_COMMIT ? before_commit() : log_now->count, &op);
    remove_name(name);
}

static void note_rename(const char *from, const char *to)
{
    const struct disk_entry *entry = find_name(from);
    must(entry != NULL);
    struct disk_op op = {.kind = DISK_RENAME, .node = entry->node, .parent = parent_of(to)};
    snprintf(op.name, sizeof(op.name), "%s", to);
    snprintf(op.from, sizeof(op.from), "%s", from);
    note(&op);
    remove_name(from);
    remove_name(to);
    add_name(to, op.node);
}

static unsigned note_create(const char *name, bool directory)
{
    struct disk_op op = {.kind = DISK_CREATE, .parent = parent_of(name)};
    snprintf(op.name, sizeof(op.name), "%s", name);
    op.node = add_node(directory);
    add_name(name, op.node);
    note(&op);
    return op.node;
}

static void note_open(int file, int flags, const char *name)
{
    must(file < FILES_MAX);
    struct disk_entry *entry = find_name(name);
    unsigned node = 0;
    if (entry != NULL)
        node = entry->node;
    else if (name[0] != '\0' && strcmp(name, ".") != 0 && !ends_with(name, "/."))
        node = note_create(name, false);
    files[file] =
        (struct open_file){.ours = true, .data_sync = (flags & O_DSYNC) != 0, .node = node};
    if ((flags & O_TRUNC) && entry != NULL)
        note(&(struct disk_op){.kind = DISK_RESIZE, .node = node});
}

static bool is_ours(int file)
{
    return log_now != NULL && file >= 0 && file < FILES_MAX && files[file].ours;
}

static bool is_full(int file)
{
    if (!is_ours(file) || room < 0 || files[file].data_sync)
        return false;
    if (room-- > 0)
        return false;
    room = 0;
    errno = ENOSPC;
    return true;
}

/* ---- what our code and LMDB call ---- */

int openat(int directory, const char *path, int flags, ...)
{
    char name[DISK_NAME_MAX];
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int file = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (file >= 0 && name_below(directory, path, name))
        note_open(file, flags, name);
    return file;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return openat(AT_FDCWD, path, flags, mode);
}

int close(int file)
{
    if (file >= 0 && file < FILES_MAX)
        files[file].ours = false;
    return (int)syscall(SYS_close, file);
}

int mkdir(const char *path, mode_t mode)
{
    char name[DISK_NAME_MAX];
    int result = (int)syscall(SYS_mkdir, path, mode);
    if (result == 0 && name_below(-1, path, name))
        note_create(name, true);
    return result;
}

int unlinkat(int directory, const char *path, int flags)
{
    char name[DISK_NAME_MAX];
    int result = (int)syscall(SYS_unlinkat, directory, path, flags);
    if (result == 0 && name_below(directory, path, name))
        note_unlink(name);
    return result;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
    char old[DISK_NAME_MAX];
    char new[DISK_NAME_MAX];
    int result = (int)syscall(SYS_renameat, from_directory, from, to_directory, to);
    if (result == 0 && name_below(from_directory, from, old) && name_below(to_directory, to, new))
        note_rename(old, new);
    return result;
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

ssize_t pwrite(int file, const void *from, size_t length, off_t offset)
{
    if (is_full(file))
        return -1;
    ssize_t count = syscall(SYS_pwrite64, file, from, length, offset);
    if (count > 0 && is_ours(file))
        note_write(file, from, (size_t)count, (uint64_t)offset);
    return count;
}

/* In one piece, as its caller asked for it. */
ssize_t pwritev(int file, const struct iovec *vector, int count, off_t offset)
{
    struct bytes whole = {0};
    for (int i = 0; i < count; i++)
        bytes_put(&whole, whole.size, vector[i].iov_base, vector[i].iov_len);
    ssize_t written = pwrite(file, whole.memory, whole.size, offset);
    bytes_free(&whole);
    return written;
}

ssize_t writev(int file, const struct iovec *vector, int count)
{
    if (!is_ours(file))
        return syscall(SYS_writev, file, vector, count);
    off_t offset = lseek(file, 0, SEEK_CUR);
    ssize_t written = pwritev(file, vector, count, offset);
    if (written > 0)
        must(lseek(file, offset + written, SEEK_SET) >= 0);
    return written;
}

ssize_t write(int file, const void *from, size_t length)
{
    if (!is_ours(file))
        return syscall(SYS_write, file, from, length);
    struct iovec vector = {.iov_base = (void *)(uintptr_t)from, .iov_len = length};
    return writev(file, &vector, 1);
}

int ftruncate(int file, off_t size)
{
    int result = (int)syscall(SYS_ftruncate, file, size);
    if (result == 0 && is_ours(file))
        note(&(struct disk_op){
            .kind = DISK_RESIZE, .node = files[file].node, .offset = (uint64_t)size});
    return result;
}

int fallocate(int file, int mode, off_t offset, off_t length)
{
    must(!is_ours(file)); /* the day that the spool does it, the images must know of it */
    return (int)syscall(SYS_fallocate, file, mode, offset, length);
}

int fsync(int file)
{
    if (is_ours(file))
        note_sync(file);
    return 0; /* of this memory nothing is lost */
}

int fdatasync(int file)
{
    return fsync(file);
}

/* ---- recording ---- */

static void read_content(const char *path, struct bytes *content)
{
    struct stat facts;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    must(file >= 0 && fstat(file, &facts) == 0);
    bytes_resize(content, (size_t)facts.st_size);
    for (size_t at = 0; at < content->size;) {
        ssize_t count = pread(file, content->memory + at, content->size - at, (off_t)at);
        must(count > 0);
        at += (size_t)count;
    }
    close(file);
}

static void take_directory(const char *below)
{
    char path[PATH_MAX * 2];
    char name[DISK_NAME_MAX * 2];
    snprintf(path, sizeof(path), "%s/%s", root, below);
    DIR *listing = opendir(path);
    must(listing != NULL);
    for (struct dirent *found; (found = readdir(listing)) != NULL;) {
        if (found->d_name[0] == '.')
            continue;
        int length =
            snprintf(name, sizeof(name), "%s%s%.60s", below, below[0] ? "/" : "", found->d_name);
        must(length < DISK_NAME_MAX);
        unsigned node = add_node(found->d_type == DT_DIR);
        add_name(name, node);
        snprintf(path, sizeof(path), "%s/%s", root, name);
        if (log_now->nodes[node].directory)
            take_directory(name);
        else
            read_content(path, &log_now->nodes[node].content);
    }
    closedir(listing);
}

void disk_begin(const char *directory, enum disk_lie lie)
{
    struct disk_log *log = must_calloc(1, sizeof(*log));
    memset(files, 0, sizeof(files));
    log_now = log;
    add_node(true);
    snprintf(root, sizeof(root), "%s", directory);
    take_directory("");
    log->entry_count = name_count;
    log->entries = must_calloc(name_count + 1, sizeof(*names));
    if (name_count > 0)
        memcpy(log->entries, names, name_count * sizeof(*names));
    lie_now = lie;
    settled = 0;
    is_delayed = false;
}

struct disk_log *disk_end(void)
{
    struct disk_log *log = log_now;
    log_now = NULL;
    room = -1;
    free(names);
    names = NULL;
    name_count = 0;
    return log;
}

void disk_log_free(struct disk_log **log)
{
    struct disk_log *freed = *log;
    *log = NULL;
    for (size_t i = 0; i < freed->node_count; i++)
        bytes_free(&freed->nodes[i].content);
    for (size_t i = 0; i < freed->count; i++)
        free(freed->ops[i].bytes);
    free(freed->nodes);
    free(freed->entries);
    free(freed->ops);
    free(freed);
}

size_t disk_position(void)
{
    settled = log_now->count;
    return settled;
}

void disk_fills(int after)
{
    room = after;
}
