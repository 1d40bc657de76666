#include "queue/segment_inside.h"

#include "base/must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SEGMENT_SUFFIX ".seg"
#define OWN_FILE_SUFFIX ".msg"

static uint64_t body_file_hash(const void *item)
{
    const struct body_file *file = item;
    return hash_number(file->number);
}

static bool body_file_same(const void *item, const void *key)
{
    const struct body_file *file = item;
    const uint64_t *number = key;
    return file->number == *number;
}

static struct body_file *find(const struct map *map, uint64_t number)
{
    return map_find(map, hash_number(number), &number);
}

static struct body_file *add(struct map *map, uint64_t number)
{
    struct body_file *file = must_calloc(1, sizeof(*file));
    file->number = number;
    map_add(map, file);
    return file;
}

static void free_file(struct body_file *file)
{
    list_remove(&file->holey);
    blocks_free(&file->blocks);
    free(file);
}

static void forget(struct map *map, struct body_file *file)
{
    must(map_remove(map, file));
    free_file(file);
}

static void forget_all(struct map *map)
{
    size_t at = 0;
    for (struct body_file *file; (file = map_walk(map, &at)) != NULL;)
        free_file(file);
    map_free(map);
}

/* ---- names ---- */

void segments_file_name(uint64_t number, bool own_file, char name[SEGMENT_NAME_BYTES])
{
    char id[MESSAGE_ID_TEXT];
    if (own_file)
        snprintf(name, SEGMENT_NAME_BYTES, "%s" OWN_FILE_SUFFIX, message_id_format(number, id));
    else
        snprintf(name, SEGMENT_NAME_BYTES, "%" PRIu64 SEGMENT_SUFFIX, number);
}

static bool has_suffix(const char *name, const char *suffix, struct span *stem)
{
    size_t length = strlen(name);
    size_t suffix_length = strlen(suffix);
    if (length <= suffix_length || strcmp(name + length - suffix_length, suffix) != 0)
        return false;
    *stem = (struct span){name, length - suffix_length};
    return true;
}

/* An error is no news: the file is only garbage, and the next start looks for it again. */
static void unlink_file(struct segments *segments, uint64_t number, bool own_file)
{
    char name[SEGMENT_NAME_BYTES];
    segments_file_name(number, own_file, name);
    unlinkat(segments->directory, name, 0);
}

/* ---- open and close ---- */

static void found_on_disk(struct segments *segments, const char *name)
{
    struct span stem;
    struct stat facts;
    uint64_t number;
    if (fstatat(segments->directory, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    if (has_suffix(name, SEGMENT_SUFFIX, &stem) && span_number(stem, &number)) {
        struct body_file *file = add(&segments->segments, number);
        file->bytes = (uint64_t)facts.st_size;
        file->sealed = true;
        if (number >= segments->next_number)
            segments->next_number = number + 1;
    } else if (has_suffix(name, OWN_FILE_SUFFIX, &stem) && message_id_parse(stem, &number)) {
        add(&segments->orphans, number)->bytes = (uint64_t)facts.st_size;
        segments->own_file_bytes += (uint64_t)facts.st_size;
    }
}

static int find_on_disk(struct segments *segments)
{
    int copy = openat(segments->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
    if (listing == NULL)
        return errno;
    errno = 0;
    /* cppcheck-suppress readdirCalled ; the listing is this call's own, which is safe (glibc) */
    for (struct dirent *entry; (entry = readdir(listing)) != NULL; errno = 0)
        found_on_disk(segments, entry->d_name);
    int error = errno;
    closedir(listing);
    return error;
}

static int open_directory(const char *spool_directory, int *directory)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/bodies", spool_directory);
    if (length < 0 || (size_t)length >= sizeof(path))
        return ENAMETOOLONG;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return errno;
    *directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *directory >= 0 ? 0 : errno;
}

int segments_open(const struct segments_options *options, struct segments **segments)
{
    struct segments *opened = must_calloc(1, sizeof(*opened));
    opened->directory = opened->file = -1;
    opened->sync = options->sync;
    opened->segment_bytes = options->bytes ? options->bytes : SEGMENT_BYTES;
    opened->next_number = options->above + 1;
    pthread_mutex_init(&opened->books, NULL);
    map_init(&opened->segments, body_file_hash, body_file_same);
    map_init(&opened->orphans, body_file_hash, body_file_same);
    list_init(&opened->holey);
    int error = open_directory(options->spool_directory, &opened->directory);
    if (!error)
        error = find_on_disk(opened);
    if (error)
        segments_close(&opened);
    *segments = opened;
    return error;
}

/* With the books locked. */
static void unlink_if_dead(struct segments *segments, struct body_file *file)
{
    if (!segments->scanned || !file->sealed || file->live > 0)
        return;
    unlink_file(segments, file->number, false);
    forget(&segments->segments, file);
}

/* Nothing more is appended to it. */
static void close_current(struct segments *segments)
{
    if (segments->current == NULL)
        return;
    close(segments->file);
    segments->file = -1;
    pthread_mutex_lock(&segments->books);
    segments->current->sealed = true;
    unlink_if_dead(segments, segments->current);
    segments->current = NULL;
    segments_find_holes(segments, false);
    pthread_mutex_unlock(&segments->books);
}

void segments_close(struct segments **segments)
{
    struct segments *closed = *segments;
    *segments = NULL;
    if (closed == NULL)
        return;
    close_current(closed);
    if (closed->directory >= 0)
        close(closed->directory);
    forget_all(&closed->segments);
    forget_all(&closed->orphans);
    pthread_mutex_destroy(&closed->books);
    free(closed);
}

/* ---- appending ---- */

static int sync_current(struct segments *segments)
{
    if (segments->unsynced && segments->sync && fdatasync(segments->file) != 0)
        return errno;
    segments->unsynced = false;
    return 0;
}

static int seal_current(struct segments *segments)
{
    int error = sync_current(segments);
    if (error)
        return error;
    close_current(segments);
    return 0;
}

static int begin_segment(struct segments *segments)
{
    char name[SEGMENT_NAME_BYTES];
    segments_file_name(segments->next_number, false, name);
    int file = openat(segments->directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return errno;
    segments->file = file;
    atomic_store(&segments->directory_changed, true);
    pthread_mutex_lock(&segments->books);
    segments->current = add(&segments->segments, segments->next_number++);
    pthread_mutex_unlock(&segments->books);
    return 0;
}

static int ready_segment(struct segments *segments)
{
    int error = 0;
    if (segments->current != NULL && segments->current->bytes >= segments->segment_bytes)
        error = seal_current(segments);
    if (!error && segments->current == NULL)
        error = begin_segment(segments);
    return error;
}

/* The vector's bytes not yet written: forward by `count`. */
static void vector_advance(struct iovec **vector, int *left, size_t count)
{
    while (*left > 0 && count >= (*vector)->iov_len) {
        count -= (*vector)->iov_len;
        (*vector)++;
        (*left)--;
    }
    if (*left > 0) {
        (*vector)->iov_base = (char *)(*vector)->iov_base + count;
        (*vector)->iov_len -= count;
    }
}

static int write_vector(int file, struct iovec *vector, int left, uint64_t offset)
{
    while (left > 0) {
        ssize_t count = pwritev(file, vector, left, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return errno;
        offset += (uint64_t)count;
        vector_advance(&vector, &left, (size_t)count);
    }
    return 0;
}

/* As many bodies as one call takes; moves `*count` of them off the front. */
static int append_some(struct segments *segments, struct segment_append **bodies, size_t *count,
                       uint64_t *offset)
{
    struct iovec vector[IOV_MAX];
    int filled = 0;
    uint64_t end = *offset;
    for (; *count > 0 && filled < IOV_MAX; (*bodies)++, (*count)--) {
        struct body_place *place = (*bodies)->place;
        place->segment = segments->current->number;
        place->offset = end;
        place->own_file = false;
        end += place->length;
        /* iovec is for both ways: it has no const */
        char *body = (char *)(uintptr_t)(*bodies)->body;
        if (place->length > 0)
            vector[filled++] = (struct iovec){.iov_base = body, .iov_len = place->length};
    }
    int error = write_vector(segments->file, vector, filled, *offset);
    *offset = end;
    return error;
}

int segments_append(struct segments *segments, struct segment_append *bodies, size_t count)
{
    if (count == 0)
        return 0;
    int error = ready_segment(segments);
    if (error)
        return error;
    segments->undo_size = segments->current->bytes;
    segments->unsynced = true;
    uint64_t offset = segments->undo_size;
    while (count > 0 && !error)
        error = append_some(segments, &bodies, &count, &offset);
    if (error) {
        segments_cut(segments);
        return error;
    }
    pthread_mutex_lock(&segments->books);
    segments->current->bytes = offset;
    pthread_mutex_unlock(&segments->books);
    return 0;
}

void segments_cut(struct segments *segments)
{
    must(segments->current != NULL);
    if (ftruncate(segments->file, (off_t)segments->undo_size) != 0)
        return; /* the tail stays: dead bytes, or written over by the next append */
    pthread_mutex_lock(&segments->books);
    segments->current->bytes = segments->undo_size;
    pthread_mutex_unlock(&segments->books);
}

static int sync_directory(struct segments *segments)
{
    if (!atomic_exchange(&segments->directory_changed, false) || !segments->sync)
        return 0;
    return fsync(segments->directory) == 0 ? 0 : errno;
}

int segments_sync(struct segments *segments)
{
    int error = sync_current(segments);
    return error ? error : sync_directory(segments);
}

/* ---- books ---- */

static void keep_own_file(struct segments *segments, const struct body_place *place)
{
    struct body_file *orphan = find(&segments->orphans, place->segment);
    if (orphan != NULL)
        forget(&segments->orphans, orphan);
    else
        segments->own_file_bytes += place->length;
}

/* Of a body in the file. The place may come from a damaged record, which points anywhere. */
static uint64_t bytes_within(const struct body_file *file, const struct body_place *place)
{
    uint64_t room = place->offset < file->bytes ? file->bytes - place->offset : 0;
    return place->length < room ? place->length : room;
}

static void keep_body(struct body_file *file, const struct body_place *place)
{
    file->live += place->length;
    blocks_keep(&file->blocks, place->offset, bytes_within(file, place));
}

static void release_body(struct body_file *file, const struct body_place *place)
{
    must(file->live >= place->length);
    file->live -= place->length;
    blocks_release(&file->blocks, place->offset, bytes_within(file, place));
}

void segments_keep(struct segments *segments, const struct body_place *place)
{
    pthread_mutex_lock(&segments->books);
    struct body_file *file = find(&segments->segments, place->segment);
    if (place->own_file)
        keep_own_file(segments, place);
    else if (file != NULL) /* a segment that is missing makes its bodies LOAD_DAMAGED */
        keep_body(file, place);
    pthread_mutex_unlock(&segments->books);
}

static void unlink_own_file(struct segments *segments, uint64_t id, uint64_t bytes)
{
    unlink_file(segments, id, true);
    segments->own_file_bytes -= bytes < segments->own_file_bytes ? bytes : segments->own_file_bytes;
}

static void release_own_file(struct segments *segments, const struct body_place *place)
{
    if (segments->scanned)
        unlink_own_file(segments, place->segment, place->length);
    else if (find(&segments->orphans, place->segment) == NULL)
        add(&segments->orphans, place->segment)->bytes = place->length;
}

void segments_release(struct segments *segments, const struct body_place *place)
{
    pthread_mutex_lock(&segments->books);
    struct body_file *file = find(&segments->segments, place->segment);
    if (place->own_file) {
        release_own_file(segments, place);
    } else if (file != NULL) {
        release_body(file, place);
        unlink_if_dead(segments, file);
    }
    pthread_mutex_unlock(&segments->books);
}

/* map_walk allows the removal of the item it has just returned. */
void segments_scanned(struct segments *segments)
{
    pthread_mutex_lock(&segments->books);
    segments->scanned = true;
    size_t at = 0;
    for (struct body_file *file; (file = map_walk(&segments->segments, &at)) != NULL;)
        unlink_if_dead(segments, file);
    segments_find_holes(segments, false);
    at = 0;
    for (struct body_file *file; (file = map_walk(&segments->orphans, &at)) != NULL;) {
        unlink_own_file(segments, file->number, file->bytes);
        forget(&segments->orphans, file);
    }
    pthread_mutex_unlock(&segments->books);
}

/* The last block may be less than one. */
static uint64_t bytes_punched(const struct body_file *file)
{
    uint64_t bytes = (uint64_t)file->blocks.punched * BLOCK_BYTES;
    return bytes < file->bytes ? bytes : file->bytes;
}

uint64_t segments_bytes(struct segments *segments)
{
    pthread_mutex_lock(&segments->books);
    uint64_t bytes = segments->own_file_bytes;
    size_t at = 0;
    for (struct body_file *file; (file = map_walk(&segments->segments, &at)) != NULL;)
        bytes += file->bytes - bytes_punched(file);
    pthread_mutex_unlock(&segments->books);
    return bytes;
}

/* ---- own files: what own_file.c asks for ---- */

/* A leftover of the same name is no leftover any more. */
static void no_orphan(struct segments *segments, uint64_t id)
{
    pthread_mutex_lock(&segments->books);
    struct body_file *orphan = find(&segments->orphans, id);
    if (orphan != NULL) {
        segments->own_file_bytes -= orphan->bytes;
        forget(&segments->orphans, orphan);
    }
    pthread_mutex_unlock(&segments->books);
}

int segments_create_own(struct segments *segments, uint64_t id, int *file)
{
    char name[SEGMENT_NAME_BYTES];
    segments_file_name(id, true, name);
    no_orphan(segments, id); /* before it is ours: the scan unlinks orphans */
    *file = openat(segments->directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (*file < 0)
        return errno;
    atomic_store(&segments->directory_changed, true);
    return 0;
}

void segments_unlink_own(struct segments *segments, uint64_t id)
{
    unlink_file(segments, id, true);
}

bool segments_is_synced(const struct segments *segments)
{
    return segments->sync;
}
