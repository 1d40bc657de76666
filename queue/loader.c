#include "queue/loader.h"

#include "base/crc32c.h"
#include "base/must.h"
#include "queue/inbox.h"

#include <stdlib.h>

struct loader {
    struct spool *spool;
    struct inbox inbox;
};

struct loader *loader_create(struct spool *spool)
{
    struct loader *loader = must_calloc(1, sizeof(*loader));
    loader->spool = spool;
    inbox_init(&loader->inbox);
    return loader;
}

void loader_destroy(struct loader **loader)
{
    struct loader *destroyed = *loader;
    *loader = NULL;
    if (destroyed == NULL)
        return;
    inbox_free(&destroyed->inbox);
    free(destroyed);
}

void loader_post(struct loader *loader, struct load *take)
{
    must(take->length <= LOADER_WINDOW);
    mailbox_post(&loader->inbox.box, &take->mail);
}

/* ---- bodies ---- */

/* A small body comes whole and is kept with its message. */
static bool load_whole(struct segments *segments, struct message *message)
{
    size_t length = (size_t)message->place.length;
    char *body = must_calloc(length + 1, 1);
    message_take_body(message, body);
    return segments_read(segments, &message->place, 0, body, length) == 0 &&
           crc32c(0, body, length) == message->place.crc;
}

/* A large one is read through once; what is sent is read again, window by window. */
static bool check_large(struct segments *segments, const struct body_place *place)
{
    char *window = must_calloc(LOADER_WINDOW, 1);
    uint32_t crc = 0;
    bool good = true;
    for (uint64_t at = 0; good && at < place->length;) {
        uint64_t left = place->length - at;
        size_t length = left < LOADER_WINDOW ? (size_t)left : LOADER_WINDOW;
        good = segments_read(segments, place, at, window, length) == 0;
        crc = crc32c(crc, window, length);
        at += length;
    }
    free(window);
    return good && crc == place->crc;
}

static bool load_body(struct segments *segments, struct message *message)
{
    if (message->place.length <= LOADER_WHOLE_MAX)
        return load_whole(segments, message);
    return check_large(segments, &message->place);
}

/* ---- loads ---- */

/* A body may have gone with its envelope while it was read: that is no damage. */
static enum load_result bad_body(struct spool *spool, const struct load *load)
{
    struct envelope *still_there CLEANUP(envelope_free) = spool_read(spool, load->id, load->number);
    return still_there ? LOAD_DAMAGED : LOAD_GONE;
}

static enum load_result load_envelope(struct spool *spool, struct load *load)
{
    load->envelope = spool_read(spool, load->id, load->number);
    if (load->envelope == NULL)
        return LOAD_GONE;
    if (load_body(spool_segments(spool), load->envelope->message))
        return LOAD_OK;
    envelope_free(&load->envelope);
    return bad_body(spool, load);
}

static enum load_result load_window(struct spool *spool, struct load *load)
{
    load->window = must_calloc(load->length + 1, 1);
    if (segments_read(spool_segments(spool), &load->place, load->offset, load->window,
                      load->length) == 0)
        return LOAD_OK;
    free(load->window);
    load->window = NULL;
    return LOAD_DAMAGED;
}

void loader_step(struct loader *loader, int wait_ms)
{
    struct mail *mail = inbox_take(&loader->inbox, wait_ms);
    while (mail != NULL) {
        struct mail *next = mail->next; /* posting makes the load the asker's again */
        struct load *load = container_of(mail, struct load, mail);
        load->result =
            load->id != 0 ? load_envelope(loader->spool, load) : load_window(loader->spool, load);
        mailbox_post(load->reply_to, &load->mail);
        mail = next;
    }
}
