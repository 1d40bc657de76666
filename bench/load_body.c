#include "bench/load_body.h"

#include "base/must.h"
#include "bench/message_id.h"
#include "relay/smtp/data.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_DOMAIN "@load.test"

void load_bodies_free(struct load_bodies *bodies)
{
    free(bodies->rows);
    arena_free(&bodies->arena);
    *bodies = (struct load_bodies){0};
}

static void write_hex(char *to, uint64_t number)
{
    for (int digit = 15; digit >= 0; digit--, number >>= 4)
        to[digit] = "0123456789abcdef"[number & 15];
}

void load_id_write(char *to, uint64_t run, uint64_t number)
{
    write_hex(to, run);
    to[16] = '.';
    write_hex(to + 17, number);
    memcpy(to + 33, ID_DOMAIN, sizeof(ID_DOMAIN) - 1);
    _Static_assert(33 + sizeof(ID_DOMAIN) - 1 == LOAD_ID_LENGTH, "the ID fills its place");
}

static struct load_body *add(struct load_bodies *bodies)
{
    if (bodies->count == bodies->capacity) {
        bodies->capacity = bodies->capacity ? bodies->capacity * 2 : 16;
        bodies->rows = must_realloc(bodies->rows, bodies->capacity * sizeof(*bodies->rows));
    }
    struct load_body *body = &bodies->rows[bodies->count++];
    *body = (struct load_body){0};
    return body;
}

/* Keeps the message, which ends in CRLF, as it goes over the wire. */
static void keep(struct load_bodies *bodies, struct load_body *body, struct span message)
{
    CLEANUP(buffer_free) struct buffer wire = {0};
    struct data_writer writer;
    data_writer_init(&writer);
    data_write(&writer, message, &wire);
    data_write_end(&writer, &wire);
    body->wire.length = buffer_length(&wire);
    body->wire.data = arena_copy(&bodies->arena, buffer_span(&wire));
    body->size = message.length;
    bool stuffed = body->wire.length != message.length + strlen(".\r\n");
    body->raw.length = message.length;
    body->raw.data = stuffed ? arena_copy(&bodies->arena, message) : body->wire.data;
    body->eight_bit = !span_is_ascii(message);
}

/* ---- made ---- */

/* Lines of letters up to exactly `size` bytes in all. */
static void append_filler(struct buffer *text, size_t size)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    enum { LINE = 74 }; /* with CRLF */
    while (buffer_length(text) < size) {
        size_t line = size - buffer_length(text);
        if (line > LINE) /* no rest of one byte: CRLF needs two */
            line = line == LINE + 1 ? LINE - 1 : LINE;
        for (size_t i = 0; i + 2 < line; i++)
            buffer_append(text, (struct span){&alphabet[(i * 7 + size) % 36], 1});
        buffer_append(text, SPAN("\r\n"));
    }
}

bool load_bodies_make(struct load_bodies *bodies, size_t size, const char *from, const char *to,
                      const char *date, char why[LOAD_WHY_MAX])
{
    CLEANUP(buffer_free) struct buffer text = {0};
    char id[LOAD_ID_LENGTH];
    load_id_write(id, 0, 0);
    buffer_print(&text, "Message-ID: <");
    size_t id_at = buffer_length(&text);
    buffer_append(&text, (struct span){id, sizeof(id)});
    buffer_print(&text, ">\r\nDate: %s\r\nFrom: <%s>\r\nTo: <%s>\r\n", date, from, to);
    buffer_print(&text, "Subject: load of %zu bytes\r\n\r\n", size);
    if (buffer_length(&text) + 2 > size) {
        snprintf(why, LOAD_WHY_MAX,
                 "a message of %zu bytes has no room for its header: %zu at least", size,
                 buffer_length(&text) + 2);
        return false;
    }
    append_filler(&text, size);
    must(buffer_length(&text) == size);
    struct load_body *body = add(bodies);
    body->made = true;
    body->id_at = id_at; /* no line begins with a dot, so nothing moves on the wire */
    keep(bodies, body, buffer_span(&text));
    return true;
}

/* ---- from files ---- */

/* Appends the file with CRLF ends. False when a CR has no LF behind it. */
static bool append_lines(struct buffer *to, struct span file)
{
    while (file.length > 0) {
        must(file.data != NULL);
        const char *newline = memchr(file.data, '\n', file.length);
        size_t used = newline ? (size_t)(newline - file.data) + 1 : file.length;
        struct span line = {file.data, newline ? used - 1 : used};
        if (newline && line.length > 0 && line.data[line.length - 1] == '\r')
            line.length--;
        if (line.length > 0 && memchr(line.data, '\r', line.length))
            return false;
        buffer_append(to, line);
        buffer_append(to, SPAN("\r\n"));
        file = span_skip(file, used);
    }
    return true;
}

/* Appends at most `most` bytes. 0 or -errno; -EFBIG when there are more. */
static int read_file(const char *path, struct buffer *to, size_t most)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return -errno;
    int result = 0;
    for (size_t got = 1; got > 0 && result == 0;) {
        got = fread(buffer_room(to, 65536), 1, 65536, file);
        buffer_grew(to, got);
        if (ferror(file))
            result = -EIO; /* a directory too */
        else if (buffer_length(to) > most)
            result = -EFBIG;
    }
    fclose(file);
    return result;
}

/* 0 or -errno. */
static int read_body(struct load_bodies *bodies, const char *path, size_t *room)
{
    CLEANUP(buffer_free) struct buffer file = {0};
    CLEANUP(buffer_free) struct buffer message = {0};
    struct span id;
    int result = read_file(path, &file, *room < LOAD_SIZE_MAX ? *room : LOAD_SIZE_MAX);
    if (result != 0)
        return result;
    *room -= buffer_length(&file);
    if (!append_lines(&message, buffer_span(&file)) || buffer_length(&message) == 0) {
        fprintf(stderr, "millrace load: passing over %s: %s\n", path,
                buffer_length(&file) > 0 ? "it holds a bare CR" : "it is empty");
        return 0;
    }
    struct load_body *body = add(bodies);
    if (message_id_find(buffer_span(&message), &id))
        body->id = (struct span){arena_copy(&bodies->arena, id), id.length};
    keep(bodies, body, buffer_span(&message));
    return 0;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_DIR;
}

bool load_bodies_read(struct load_bodies *bodies, const char *directory, char why[LOAD_WHY_MAX])
{
    struct dirent **entries;
    size_t room = LOAD_CORPUS_MAX;
    int count = scandir(directory, &entries, is_visible, alphasort);
    if (count < 0) {
        snprintf(why, LOAD_WHY_MAX, "cannot read %s: %s", directory, strerror(errno));
        return false;
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", directory, entries[i]->d_name);
        if (result == 0) {
            result = read_body(bodies, path, &room);
            snprintf(why, LOAD_WHY_MAX, "cannot read %.160s: %s", path, strerror(-result));
        }
        free(entries[i]);
    }
    free(entries);
    if (result == 0)
        snprintf(why, LOAD_WHY_MAX, "no message to send in %s", directory);
    return result == 0 && bodies->count > 0;
}
