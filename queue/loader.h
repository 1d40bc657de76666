/* The loader: reads envelopes and bodies back from the spool, off the event loops.
 *
 * Used for all that is not delivered fresh from memory. A body's CRC is checked in full
 * before the first byte is handed out; one that fails is reported as damaged and must be
 * held and shouted about, never sent and never dropped.
 *
 * Bodies up to LOADER_WHOLE_MAX come whole with the envelope; larger ones are asked for
 * window by window. */
#pragma once

#include "base/mailbox.h"
#include "queue/spool.h"

#define LOADER_WHOLE_MAX (1u << 20)
#define LOADER_WINDOW (64u << 10)

enum load_result {
    LOAD_OK,
    LOAD_GONE,    /* no such envelope any more */
    LOAD_DAMAGED, /* the body does not match its CRC, or could not be read */
};

struct load {
    struct mail mail; /* deliver() is called on the thread that owns `reply_to` */
    struct mailbox *reply_to;
    enum load_result result;

    /* The envelope wanted; on LOAD_OK `envelope` is set and owned by the asker. Left at
     * id 0 when only a window is wanted. */
    uint64_t id;
    uint16_t number;
    struct envelope *envelope;

    /* A window of a large body: `window` is malloc'd by the loader, owned by the asker. */
    struct body_place place;
    uint64_t offset;
    size_t length;
    char *window;
};

struct loader;

struct loader *loader_create(struct spool *spool);
void loader_destroy(struct loader **loader);

void loader_post(struct loader *loader, struct load *take);

/* One turn: waits up to `wait_ms` for work, does all there is. */
void loader_step(struct loader *loader, int wait_ms);
