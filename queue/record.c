#include "queue/record.h"

#include "base/fields.h"

#include <string.h>

/* message: version, left, flags, arrived, release, deliver-by, place (segment, offset, length, crc,
 *          own file), sender, envid, user
 * envelope: version, flags (its security among them), attempts, due, postponed, count, destination,
 * last reply, last host, hold reason, recipients recipient: code, status (class, subject, detail),
 * notify, path, orcpt suspension: version, since, until, reason Texts are a 16-bit length and the
 * bytes. */

#define LEFT_AT 1 /* where a message record counts its envelopes */
#define HOST_KEPT_MAX 160
#define ENVELOPE_FIXED 25 /* all of an envelope's record but its texts' bytes and recipients */
#define RECIPIENT_FIXED 12

enum envelope_flag { /* on disk */
                     ENVELOPE_WARNED = 1 << 0,
                     ENVELOPE_HELD = 1 << 1,
                     ENVELOPE_TIMED = 1 << 2,
};
#define SECURITY_SHIFT 3 /* where in the flags its enum security lies, in two bits */
_Static_assert(SECURITIES == 4, "which two bits tell");

_Static_assert(PATH_MAX_BYTES + ORCPT_MAX_BYTES + RECIPIENT_FIXED <= RECIPIENTS_RECORD_MAX,
               "an empty envelope takes any recipient");
_Static_assert(ENVELOPE_FIXED + DOMAIN_MAX_BYTES + REPLY_KEPT_MAX + HOST_KEPT_MAX +
                       HOLD_REASON_MAX + RECIPIENTS_RECORD_MAX <=
                   RECORD_MAX,
               "an envelope's record fits one value");

size_t recipient_record_bytes(size_t path_length, size_t orcpt_length)
{
    return RECIPIENT_FIXED + path_length + orcpt_length;
}

/* ---- keys ---- */

static void big_endian(uint64_t value, uint8_t *to, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        to[i] = (uint8_t)(value >> (8 * (count - 1 - i)));
}

static uint64_t from_big_endian(const char *from, unsigned count)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value = value << 8 | (uint8_t)from[i];
    return value;
}

void message_key_write(uint64_t id, uint8_t key[MESSAGE_KEY_BYTES])
{
    big_endian(id, key, 8);
}

bool message_key_read(struct span key, uint64_t *id)
{
    if (key.length != MESSAGE_KEY_BYTES)
        return false;
    *id = from_big_endian(key.data, 8);
    return true;
}

void envelope_key_write(uint64_t id, uint16_t number, uint8_t key[ENVELOPE_KEY_BYTES])
{
    big_endian(id, key, 8);
    big_endian(number, key + 8, 2);
}

bool envelope_key_read(struct span key, uint64_t *id, uint16_t *number)
{
    if (key.length != ENVELOPE_KEY_BYTES)
        return false;
    *id = from_big_endian(key.data, 8);
    *number = (uint16_t)from_big_endian(key.data + 8, 2);
    return true;
}

/* ---- values: writing ---- */

static void put_text(struct buffer *to, const char *text, size_t max)
{
    size_t length = strnlen(text, max);
    field_put(to, length, 2);
    buffer_append(to, (struct span){text, length});
}

/* ---- values: reading, with an error that sticks ---- */

/* A text that would not come back as it is (too long, a NUL inside) is not one of ours. */
static struct span get_text(struct fields *reader, size_t max)
{
    size_t length = (size_t)field_number(reader, 2);
    struct span text = field_bytes(reader, length);
    if (length > max || (text.length > 0 && memchr(text.data, '\0', text.length)))
        reader->bad = true;
    return reader->bad ? (struct span){"", 0} : text;
}

static void get_version(struct fields *reader)
{
    if (field_number(reader, 1) != RECORD_VERSION)
        reader->bad = true;
}

static bool all_read(const struct fields *reader)
{
    return !reader->bad && reader->rest.length == 0;
}

/* ---- messages ---- */

static void put_place(struct buffer *to, const struct body_place *place)
{
    field_put(to, place->segment, 8);
    field_put(to, place->offset, 8);
    field_put(to, place->length, 8);
    field_put(to, place->crc, 4);
    field_put(to, place->own_file, 1);
}

void message_record_write(struct buffer *to, const struct message *message, unsigned left)
{
    field_put(to, RECORD_VERSION, 1);
    field_put(to, left, 4);
    field_put(to, message->flags, 4);
    field_put(to, (uint64_t)message->arrived_ms, 8);
    field_put(to, (uint64_t)message->release_ms, 8);
    field_put(to, (uint64_t)message->deliver_by_ms, 8);
    put_place(to, &message->place);
    put_text(to, message->sender, PATH_MAX_BYTES);
    put_text(to, message->envid, ENVID_MAX_BYTES);
    put_text(to, message->user, USER_MAX_BYTES);
}

static struct body_place get_place(struct fields *reader)
{
    struct body_place place = {0};
    place.segment = field_number(reader, 8);
    place.offset = field_number(reader, 8);
    place.length = field_number(reader, 8);
    place.crc = (uint32_t)field_number(reader, 4);
    uint64_t own_file = field_number(reader, 1);
    place.own_file = own_file == 1;
    if (own_file > 1 || place.offset > INT64_MAX || place.length > INT64_MAX - place.offset)
        reader->bad = true;
    return place;
}

static struct message_head get_head(struct fields *reader)
{
    struct message_head head = {0};
    get_version(reader);
    head.left = (unsigned)field_number(reader, 4);
    head.flags = (uint32_t)field_number(reader, 4);
    head.arrived_ms = (int64_t)field_number(reader, 8);
    head.release_ms = (int64_t)field_number(reader, 8);
    head.deliver_by_ms = (int64_t)field_number(reader, 8);
    head.place = get_place(reader);
    head.sender = get_text(reader, PATH_MAX_BYTES);
    head.envid = get_text(reader, ENVID_MAX_BYTES);
    head.user = get_text(reader, USER_MAX_BYTES);
    return head;
}

bool message_record_head(struct span from, struct message_head *head)
{
    struct fields reader = {.rest = from};
    *head = get_head(&reader);
    return all_read(&reader) && head->left > 0;
}

struct message *message_record_read(struct span from, uint64_t id, unsigned *left)
{
    struct message_head head;
    if (!message_record_head(from, &head))
        return NULL;
    struct message *message = message_create(head.sender, head.flags, head.arrived_ms);
    message->id = id;
    message->release_ms = head.release_ms;
    message->deliver_by_ms = head.deliver_by_ms;
    message->envid = arena_copy(&message->arena, head.envid);
    message->user = arena_copy(&message->arena, head.user);
    message->place = head.place;
    *left = head.left;
    return message;
}

void message_record_set_left(char *record, unsigned left)
{
    for (unsigned i = 0; i < 4; i++)
        record[LEFT_AT + i] = (char)(uint8_t)(left >> (8 * i));
}

/* ---- suspensions ---- */

void suspension_write(struct buffer *to, const struct suspension *suspension)
{
    field_put(to, RECORD_VERSION, 1);
    field_put(to, (uint64_t)suspension->since_ms, 8);
    field_put(to, (uint64_t)suspension->until_ms, 8);
    put_text(to, suspension->reason, SUSPENSION_REASON_MAX);
}

bool suspension_read(struct span key, struct span from, struct suspension *suspension)
{
    struct fields reader = {.rest = from};
    *suspension = (struct suspension){0};
    get_version(&reader);
    suspension->since_ms = (int64_t)field_number(&reader, 8);
    suspension->until_ms = (int64_t)field_number(&reader, 8);
    struct span reason = get_text(&reader, SUSPENSION_REASON_MAX);
    if (!all_read(&reader) || key.length == 0 || key.length > DOMAIN_MAX_BYTES)
        return false;
    memcpy(suspension->destination, key.data, key.length);
    memcpy(suspension->reason, reason.data, reason.length);
    return true;
}

/* ---- envelopes ---- */

static void put_recipient(struct buffer *to, const struct recipient *recipient)
{
    field_put(to, recipient->code, 2);
    field_put(to, recipient->status.class, 1);
    field_put(to, recipient->status.subject, 2);
    field_put(to, recipient->status.detail, 2);
    field_put(to, recipient->notify, 1);
    put_text(to, recipient->path, PATH_MAX_BYTES);
    put_text(to, recipient->orcpt, ORCPT_MAX_BYTES);
}

void envelope_record_write(struct buffer *to, const struct envelope *envelope)
{
    must(envelope->count <= ENVELOPE_RECIPIENTS_MAX);
    unsigned flags =
        (envelope->warned ? ENVELOPE_WARNED : 0u) | (envelope->held ? ENVELOPE_HELD : 0u) |
        (envelope->timed ? ENVELOPE_TIMED : 0u) | (unsigned)envelope->security << SECURITY_SHIFT;
    field_put(to, RECORD_VERSION, 1);
    field_put(to, flags, 1);
    field_put(to, envelope->attempts, 2);
    field_put(to, (uint64_t)envelope->due_ms, 8);
    field_put(to, envelope->postponed_s, 4);
    field_put(to, envelope->count, 1);
    put_text(to, envelope->destination, DOMAIN_MAX_BYTES);
    put_text(to, envelope->last_reply, REPLY_KEPT_MAX);
    put_text(to, envelope->last_host, HOST_KEPT_MAX);
    put_text(to, envelope->hold_reason, HOLD_REASON_MAX);
    for (unsigned i = 0; i < envelope->count; i++)
        put_recipient(to, &envelope->recipients[i]);
}

static struct envelope_head get_envelope_head(struct fields *reader)
{
    struct envelope_head head = {0};
    get_version(reader);
    unsigned flags = (unsigned)field_number(reader, 1);
    head.warned = (flags & ENVELOPE_WARNED) != 0;
    head.held = (flags & ENVELOPE_HELD) != 0;
    head.timed = (flags & ENVELOPE_TIMED) != 0;
    head.security = (enum security)(flags >> SECURITY_SHIFT & (SECURITIES - 1));
    head.attempts = (uint16_t)field_number(reader, 2);
    head.due_ms = (int64_t)field_number(reader, 8);
    head.postponed_s = (uint32_t)field_number(reader, 4);
    head.count = (unsigned)field_number(reader, 1);
    head.destination = get_text(reader, DOMAIN_MAX_BYTES);
    head.last_reply = get_text(reader, REPLY_KEPT_MAX);
    head.last_host = get_text(reader, HOST_KEPT_MAX);
    head.hold_reason = get_text(reader, HOLD_REASON_MAX);
    if (head.count > ENVELOPE_RECIPIENTS_MAX || flags >= SECURITIES << SECURITY_SHIFT)
        reader->bad = true;
    return head;
}

bool envelope_record_head(struct span from, struct envelope_head *head)
{
    struct fields reader = {.rest = from};
    *head = get_envelope_head(&reader);
    return !reader.bad;
}

static void get_recipient(struct fields *reader, struct envelope *envelope)
{
    struct recipient state = {0};
    state.code = (uint16_t)field_number(reader, 2);
    state.status.class = (uint8_t)field_number(reader, 1);
    state.status.subject = (uint16_t)field_number(reader, 2);
    state.status.detail = (uint16_t)field_number(reader, 2);
    state.notify = (uint8_t)field_number(reader, 1);
    struct span path = get_text(reader, PATH_MAX_BYTES);
    struct span orcpt = get_text(reader, ORCPT_MAX_BYTES);
    struct recipient *added = reader->bad ? NULL : envelope_add(envelope, path, orcpt);
    if (added == NULL) {
        reader->bad = true;
        return;
    }
    added->code = state.code;
    added->status = state.status;
    added->notify = state.notify;
}

struct envelope *envelope_record_read(struct span from, uint64_t id, uint16_t number)
{
    struct fields reader = {.rest = from};
    struct envelope_head head = get_envelope_head(&reader);
    if (reader.bad)
        return NULL;
    struct envelope *envelope = envelope_create(NULL, head.destination);
    envelope->id = id;
    envelope->number = number;
    envelope->attempts = head.attempts;
    envelope->due_ms = head.due_ms;
    envelope->postponed_s = head.postponed_s;
    envelope->warned = head.warned;
    envelope->timed = head.timed;
    envelope->security = head.security;
    envelope->held = head.held;
    envelope->hold_reason = arena_copy(&envelope->arena, head.hold_reason);
    envelope->last_reply = arena_copy(&envelope->arena, head.last_reply);
    envelope->last_host = arena_copy(&envelope->arena, head.last_host);
    for (unsigned i = 0; i < head.count && !reader.bad; i++)
        get_recipient(&reader, envelope);
    if (!all_read(&reader))
        envelope_free(&envelope);
    return envelope;
}
