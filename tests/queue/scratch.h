/* A spool of one's own in a directory of one's own, and mail to put into it. */
#pragma once

#include "base/crc32c.h"
#include "queue/spool.h"
#include "tests/suite.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCRATCH_MAX 256
#define SMALL_MAP (16u << 20)
#define TINY_MAP (1u << 20)
#define SCRATCH_WALL_MS 1700000000000

struct scratch {
    char path[SCRATCH_MAX];
};

static inline struct scratch scratch_make(void)
{
    struct scratch scratch;
    const char *parent = getenv("TMPDIR");
    snprintf(scratch.path, sizeof(scratch.path), "%s/millrace-test-XXXXXX",
             parent ? parent : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(scratch.path));
    return scratch;
}

static inline int scratch_remove_one(const char *path, const struct stat *facts, int type,
                                     struct FTW *place)
{
    (void)facts;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void scratch_remove(struct scratch *scratch)
{
    nftw(scratch->path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline char *scratch_file(const struct scratch *scratch, const char *name,
                                 char path[SCRATCH_MAX * 2])
{
    snprintf(path, SCRATCH_MAX * 2, "%s/%s", scratch->path, name);
    return path;
}

static inline bool scratch_has(const struct scratch *scratch, const char *name)
{
    char path[SCRATCH_MAX * 2];
    return access(scratch_file(scratch, name, path), F_OK) == 0;
}

/* How many files the folder of bodies has. */
static inline unsigned scratch_bodies(const struct scratch *scratch)
{
    char path[SCRATCH_MAX * 2];
    unsigned count = 0;
    DIR *listing = opendir(scratch_file(scratch, "bodies", path));
    ck_assert_ptr_nonnull(listing);
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(listing);
    return count;
}

/* ---- spools ---- */

static inline struct spool_options scratch_options(const struct scratch *scratch,
                                                   uint64_t map_bytes)
{
    return (struct spool_options){
        .directory = scratch->path, .map_bytes = map_bytes, .min_free_bytes = 1};
}

static inline struct spool *scratch_open(const struct scratch *scratch, uint64_t map_bytes)
{
    char why[300] = "";
    int exit_code = 0;
    struct spool_options options = scratch_options(scratch, map_bytes);
    struct spool *spool = spool_open(&options, why, sizeof(why), &exit_code);
    ck_assert_msg(spool != NULL, "%s", why);
    return spool;
}

static inline void scratch_scan(struct spool *spool)
{
    while (spool_scan_bodies(spool, 2) > 0) {}
}

/* ---- mail ---- */

struct piece { /* one message with one envelope */
    struct message *message;
    struct envelope *envelope;
};

static inline struct message *make_message(struct spool *spool, struct span body)
{
    struct message *message = message_create(SPAN("sender@app.test"), MESSAGE_8BITMIME, 12345);
    message->id = spool_next_id(spool, SCRATCH_WALL_MS);
    message->place.length = body.length;
    message->place.crc = crc32c(0, body.data, body.length);
    message_take_body(message, span_copy(body));
    return message;
}

static inline struct envelope *make_envelope(struct message *message, uint16_t number)
{
    struct envelope *envelope = envelope_create(message, SPAN("example.test"));
    envelope->number = number;
    envelope->due_ms = 1000 + number;
    ck_assert(envelope_add(envelope, SPAN("someone@example.test"), SPAN("")));
    return envelope;
}

static inline struct piece make_piece(struct spool *spool, struct span body)
{
    struct piece piece = {.message = make_message(spool, body)};
    piece.envelope = make_envelope(piece.message, 0);
    return piece;
}

static inline void free_piece(struct piece *piece)
{
    envelope_free(&piece->envelope);
    message_drop(&piece->message);
}

static inline void batch_accept(struct spool_batch *batch, struct piece *piece)
{
    struct segment_append append = {piece->message->body, &piece->message->place};
    spool_append(batch, &append, 1);
    spool_accept(batch, piece->message, &piece->envelope, 1);
}

static inline enum spool_result accept_piece(struct spool *spool, struct piece *piece)
{
    struct spool_batch batch;
    spool_begin(spool, &batch, true);
    batch_accept(&batch, piece);
    return spool_commit(&batch);
}

/* Accepts one message and returns its id; 0 when there was no room. */
static inline uint64_t accept_body(struct spool *spool, struct span body)
{
    struct piece piece = make_piece(spool, body);
    uint64_t id = piece.message->id;
    enum spool_result result = accept_piece(spool, &piece);
    ck_assert_msg(result != SPOOL_BROKEN, "%s", spool_why(spool));
    free_piece(&piece);
    return result == SPOOL_OK ? id : 0;
}

static inline enum spool_result remove_one(struct spool *spool, uint64_t id, uint16_t number)
{
    struct spool_batch batch;
    spool_begin(spool, &batch, false);
    spool_remove(&batch, id, number);
    return spool_commit(&batch);
}

static inline bool is_stored(struct spool *spool, uint64_t id, uint16_t number)
{
    struct envelope *envelope CLEANUP(envelope_free) = spool_read(spool, id, number);
    return envelope != NULL;
}
