/* The bytes of a message, as they lie in the spool. Each window is read, then written to the
 * client: a slow reader holds nothing but its own thread. */
#include "base/crc32c.h"
#include "relay/admin/answer.h"

#include <string.h>
#include <sysexits.h>

#define WINDOW (16u << 10)

/* A character for each byte, U+0000 to U+00FF: JSON has no other way to carry any bytes. */
static json_t *bytes_json(struct span bytes)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    for (size_t i = 0; i < bytes.length; i++) {
        uint8_t byte = (uint8_t)bytes.data[i];
        char pair[] = {(char)(0xc0 | byte >> 6), (char)(0x80 | (byte & 0x3f))};
        if (byte < 0x80)
            buffer_append(&text, (struct span){&bytes.data[i], 1});
        else
            buffer_append(&text, (struct span){pair, 2});
    }
    return json_stringn_nocheck(buffer_span(&text).data, buffer_length(&text));
}

static bool put_window(struct answer *answer, struct span bytes)
{
    json_t *object = json_object();
    json_put(object, "bytes", bytes_json(bytes));
    return answer_object(answer, object) && answer_is_awaited(answer);
}

static void put_body(struct answer *answer, const struct body_place *place)
{
    struct segments *segments = spool_segments(answer->parts->spool);
    char window[WINDOW];
    uint32_t crc = 0;
    for (uint64_t at = 0; at < place->length;) {
        uint64_t left = place->length - at;
        size_t length = left < WINDOW ? (size_t)left : WINDOW;
        int error = segments_read(segments, place, at, window, length);
        if (error != 0) {
            answer_fail(answer, EX_IOERR, "the body cannot be read: %s", strerror(error));
            return;
        }
        crc = crc32c(crc, window, length);
        at += length;
        if (!put_window(answer, (struct span){window, length}))
            return;
    }
    if (crc != place->crc)
        answer_fail(answer, EX_IOERR, "the body is damaged: it fails its checksum");
}

static bool find_first(struct spool *spool, uint64_t id, uint16_t *number)
{
    struct spool_glance glance;
    uint64_t before = id - 1;
    *number = UINT16_MAX;
    if (spool_scan(spool, &before, number, id == 0, &glance, 1) == 0 || glance.id != id)
        return false;
    *number = glance.number;
    return true;
}

void answer_queue_cat(struct answer *answer, const struct request *request)
{
    const struct target *target = &request->targets[0];
    struct spool *spool = answer->parts->spool;
    uint64_t id = target->id;
    uint16_t number = target->number;
    /* Any envelope of the message leads to its body. */
    struct envelope *envelope CLEANUP(envelope_free) = NULL;
    if (!target->whole_message || find_first(spool, id, &number))
        envelope = spool_read(spool, id, number);
    if (envelope == NULL)
        answer_not_found(answer, target);
    else
        put_body(answer, &envelope->message->place);
}
