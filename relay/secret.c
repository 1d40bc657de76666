#include "relay/secret.h"

#include "base/units.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <gsasl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void secret_free(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

char *sasl_prepare(struct span text, bool stored)
{
    char *out = NULL;
    if (!utf8_valid(text) || (text.length > 0 && memchr(text.data, '\0', text.length)))
        return NULL;
    char *copy CLEANUP(secret_free) = span_copy(text);
    if (gsasl_saslprep(copy, stored ? 0 : GSASL_ALLOW_UNASSIGNED, &out, NULL) != GSASL_OK)
        return NULL;
    if (out[0] == '\0')
        secret_free(&out);
    return out;
}

bool base64_read(struct span text, struct buffer *to)
{
    char *bytes = NULL;
    size_t length = 0;
    if (text.length == 0)
        return true;
    if (gsasl_base64_from(text.data, text.length, &bytes, &length) != GSASL_OK)
        return false;
    buffer_append(to, (struct span){bytes, length});
    explicit_bzero(bytes, length);
    gsasl_free(bytes);
    return true;
}

void base64_write(struct span bytes, struct buffer *to)
{
    char *text = NULL;
    size_t length = 0;
    if (bytes.length == 0)
        return;
    must(gsasl_base64_to(bytes.data, bytes.length, &text, &length) == GSASL_OK);
    buffer_append(to, (struct span){text, length});
    explicit_bzero(text, length);
    gsasl_free(text);
}

/* ---- files ---- */

const char *secret_errno(void)
{
    const char *words = strerrordesc_np(errno);
    return words ? words : "an error without a name";
}

static void close_file(const int *file)
{
    if (*file >= 0)
        close(*file);
}

static struct secret_mark mark_of(const struct stat *facts)
{
    return (struct secret_mark){facts->st_dev, facts->st_ino, facts->st_size, facts->st_ctim};
}

bool secret_file_mark(const char *path, struct secret_mark *mark)
{
    struct stat facts;
    if (stat(path, &facts) != 0)
        return false;
    *mark = mark_of(&facts);
    return true;
}

bool secret_mark_equal(const struct secret_mark *a, const struct secret_mark *b)
{
    return a->device == b->device && a->number == b->number && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* NULL when it can be used by its owner only. */
static const char *file_fault(int file, const char *path, struct stat *facts, struct arena *arena)
{
    if (file < 0 && errno == EACCES)
        return "permission denied: it must belong to the user that the relay runs as";
    if (file < 0 || fstat(file, facts) != 0)
        return secret_errno();
    if (!S_ISREG(facts->st_mode))
        return "it is not a file";
    if (facts->st_mode & (S_IRWXG | S_IRWXO))
        return arena_print(arena, "others may use it (mode %04o): chmod 600 %s",
                           facts->st_mode & 07777, path);
    return NULL;
}

const char *secret_read_all(int file, size_t most, struct buffer *text, struct arena *arena)
{
    size_t before = buffer_length(text);
    char size[UNITS_TEXT_MAX];
    for (ssize_t got = 1; got > 0; buffer_grew(text, (size_t)got)) {
        got = read(file, buffer_room(text, 65536), 65536);
        if (got < 0)
            return secret_errno();
        if (buffer_length(text) - before > most)
            return arena_print(arena, "it has more than %s bytes", units_size_format(most, size));
    }
    return NULL;
}

const char *secret_file_read(const char *path, size_t most, struct buffer *text,
                             struct secret_mark *mark, struct arena *arena)
{
    struct stat facts;
    int file CLEANUP(close_file) = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *wrong = file_fault(file, path, &facts, arena);
    if (wrong != NULL)
        return wrong;
    if (mark != NULL)
        *mark = mark_of(&facts);
    return secret_read_all(file, most, text, arena);
}
