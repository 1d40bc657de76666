/* The `users` file on the disk: read as a whole, and replaced as a whole. */
#include "base/arena.h"
#include "relay/users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_file(const int *file)
{
    if (*file >= 0)
        close(*file);
}

/* ---- reading ---- */

struct users *users_read(const char *path, const char *where, struct buffer *errors)
{
    struct arena arena CLEANUP(arena_free) = {0};
    struct buffer text CLEANUP(buffer_wipe) = {0};
    const char *wrong = secret_file_read(path, USERS_BYTES_MAX, &text, NULL, &arena);
    if (wrong == NULL)
        return users_parse(path, buffer_span(&text), errors);
    buffer_print(errors, "%s: users %s: %s\n", where, path, wrong);
    return NULL;
}

/* ---- editing ---- */

/* Opens it, alone: whoever else edits waits. The file that was opened may have been replaced while
 * we waited; then again. */
static int open_alone(const char *path, bool make)
{
    for (;;) {
        struct stat ours, theirs;
        int file = open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), S_IRUSR | S_IWUSR);
        if (file < 0 || flock(file, LOCK_EX) != 0)
            return file;
        if (fstat(file, &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
            ours.st_ino == theirs.st_ino)
            return file;
        close(file);
    }
}

/* The text with NAME's line replaced, at the place where it was; true when it was there. */
static bool replace_line(struct span text, const char *name, struct span new_line,
                         struct buffer *to)
{
    bool found = false;
    for (struct span line; span_line(&text, &line);) {
        if (!span_equal(users_line_name(line), span_of(name))) {
            buffer_append(to, line);
            buffer_append(to, SPAN("\n"));
        } else if (!found) {
            buffer_append(to, new_line);
            found = true;
        }
    }
    if (!found)
        buffer_append(to, new_line);
    return found;
}

static bool write_all(int file, struct span text)
{
    while (text.length > 0) {
        ssize_t count = write(file, text.data, text.length);
        if (count < 0)
            return false;
        text = span_skip(text, (size_t)count);
    }
    return fsync(file) == 0;
}

/* A rename outlives a crash when its directory has reached the disk. */
static bool sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name CLEANUP(secret_free) =
        slash ? must_strndup(path, (size_t)(slash - path) + 1) : must_strdup(".");
    int directory CLEANUP(close_file) = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory >= 0 && fsync(directory) == 0;
}

static bool give_to(int file, const struct stat *owner)
{
    return owner->st_uid == geteuid() || fchown(file, owner->st_uid, owner->st_gid) == 0;
}

/* Its mode is 0600 (mkostemp). */
static bool replace_file(const char *path, const struct stat *owner, struct span text)
{
    struct arena arena CLEANUP(arena_free) = {0};
    char *fresh = arena_print(&arena, "%s.XXXXXX", path);
    int file CLEANUP(close_file) = mkostemp(fresh, O_CLOEXEC);
    if (file < 0)
        return false;
    if (give_to(file, owner) && write_all(file, text) && rename(fresh, path) == 0)
        return sync_directory(path);
    int error = errno;
    unlink(fresh);
    errno = error;
    return false;
}

/* Whose the file is to be. */
static bool find_owner(int file, bool is_new, const char *model, struct stat *owner)
{
    return (is_new && stat(model, owner) == 0) || fstat(file, owner) == 0;
}

enum users_edited users_edit(const char *path, const char *model, const char *name,
                             struct span line, struct buffer *errors)
{
    struct stat owner;
    struct arena arena CLEANUP(arena_free) = {0};
    struct buffer text CLEANUP(buffer_wipe) = {0}, edited CLEANUP(buffer_wipe) = {0};
    char *real CLEANUP(secret_free) = realpath(path, NULL); /* a link stays one */
    const char *at = real ? real : path;
    int file CLEANUP(close_file) = open_alone(at, line.length > 0);
    bool is_open = file >= 0 && find_owner(file, real == NULL, model, &owner);
    const char *wrong =
        is_open ? secret_read_all(file, USERS_BYTES_MAX, &text, &arena) : secret_errno();
    if (is_open && wrong == NULL) {
        bool found = replace_line(buffer_span(&text), name, line, &edited);
        if (!found && line.length == 0)
            return USERS_NOT_THERE;
        struct users *users CLEANUP(users_drop) = users_parse(at, buffer_span(&edited), errors);
        if (users == NULL)
            return USERS_NOT_EDITED;
        wrong = replace_file(at, &owner, buffer_span(&edited)) ? NULL : secret_errno();
    }
    if (wrong == NULL)
        return USERS_EDITED;
    buffer_print(errors, "%s: %s\n", at, wrong);
    return USERS_NOT_EDITED;
}
