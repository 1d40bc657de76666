#include "queue/message.h"

#include "base/must.h"
#include "queue/record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

struct message *message_create(struct span sender, uint32_t flags, int64_t arrived_ms)
{
    must(sender.length <= PATH_MAX_BYTES);
    struct message *message = must_calloc(1, sizeof(*message));
    atomic_init(&message->references, 1);
    message->flags = flags;
    message->arrived_ms = arrived_ms;
    message->sender = sender.length > 0 ? arena_copy(&message->arena, sender) : "";
    message->envid = message->user = "";
    return message;
}

int64_t message_began_ms(const struct message *message)
{
    return message->release_ms > message->arrived_ms ? message->release_ms : message->arrived_ms;
}

const char *security_name(enum security security)
{
    switch (security) {
    case SECURITY_USUAL: return "usual";
    case SECURITY_REQUIRED: return "required";
    case SECURITY_PREFERRED: return "preferred";
    case SECURITY_OPTIONAL: return "optional";
    }
    must_not_reach();
}

/* REQUIRETLS goes before the header (RFC 8689 4.1). */
enum security message_security(const struct message *message)
{
    if (message->flags & MESSAGE_REQUIRETLS)
        return message->sender[0] != '\0' ? SECURITY_REQUIRED : SECURITY_PREFERRED;
    return message->flags & MESSAGE_TLS_OPTIONAL ? SECURITY_OPTIONAL : SECURITY_USUAL;
}

struct message *message_keep(struct message *message)
{
    atomic_fetch_add_explicit(&message->references, 1, memory_order_relaxed);
    return message;
}

static _Atomic uint64_t body_memory;

uint64_t message_memory(void)
{
    return atomic_load_explicit(&body_memory, memory_order_relaxed);
}

void message_take_body(struct message *message, char *take_body)
{
    must(message->body == NULL);
    message->body = take_body;
    atomic_fetch_add_explicit(&body_memory, message->place.length, memory_order_relaxed);
}

void message_drop(struct message **message)
{
    struct message *dropped = *message;
    *message = NULL;
    if (dropped == NULL)
        return;
    unsigned before = atomic_fetch_sub_explicit(&dropped->references, 1, memory_order_acq_rel);
    must(before > 0);
    if (before > 1)
        return;
    if (dropped->body != NULL)
        atomic_fetch_sub_explicit(&body_memory, dropped->place.length, memory_order_relaxed);
    free(dropped->body);
    arena_free(&dropped->arena);
    free(dropped);
}

/* ---- IDs ---- */

#define COUNTER_BITS 20
#define ID_DIGITS (MESSAGE_ID_TEXT - 1)

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

char *message_id_format(uint64_t id, char text[MESSAGE_ID_TEXT])
{
    for (int i = ID_DIGITS - 1; i >= 0; i--) {
        text[i] = crockford[id & 31];
        id >>= 5;
    }
    text[ID_DIGITS] = '\0';
    return text;
}

static int digit_value(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - ('a' - 'A'));
    const char *found = c ? strchr(crockford, c) : NULL;
    return found ? (int)(found - crockford) : -1;
}

bool message_id_parse(struct span text, uint64_t *id)
{
    uint64_t sum = 0;
    if (text.length != ID_DIGITS || digit_value(text.data[0]) > 15) /* 64 bits, not 65 */
        return false;
    for (size_t i = 0; i < text.length; i++) {
        int value = digit_value(text.data[i]);
        if (value < 0)
            return false;
        sum = sum << 5 | (uint64_t)value;
    }
    *id = sum;
    return true;
}

int64_t message_id_ms(uint64_t id)
{
    return (int64_t)(id >> COUNTER_BITS);
}

/* ---- verdicts ---- */

const char *verdict_name(enum verdict_kind kind)
{
    switch (kind) {
    case VERDICT_NONE: return "none";
    case VERDICT_DELIVERED: return "delivered";
    case VERDICT_DEFERRED: return "deferred";
    case VERDICT_BOUNCED: return "bounced";
    case VERDICT_IN_DOUBT: return "in-doubt";
    case VERDICT_EXPIRED: return "expired";
    case VERDICT_DROPPED: return "dropped";
    }
    must_not_reach();
}

struct verdict verdict_copy(const struct verdict *verdict, struct arena *arena)
{
    struct verdict copy = *verdict;
    copy.text = span_of(arena_copy(arena, verdict->text));
    copy.host = span_of(arena_copy(arena, verdict->host));
    return copy;
}

char *status_format(struct status status, char text[STATUS_TEXT_MAX])
{
    snprintf(text, STATUS_TEXT_MAX, "%u.%u.%u", status.class, status.subject, status.detail);
    return text;
}

/* ---- envelopes ---- */

struct envelope *envelope_create(struct message *message, struct span destination)
{
    must(destination.length <= DOMAIN_MAX_BYTES);
    struct envelope *envelope = must_calloc(1, sizeof(*envelope));
    envelope->message = message ? message_keep(message) : NULL;
    envelope->id = message ? message->id : 0;
    envelope->timed = message != NULL && message->deliver_by_ms != 0;
    envelope->security = message ? message_security(message) : SECURITY_USUAL;
    if (message != NULL)
        envelope->postponed_s =
            (uint32_t)((message_began_ms(message) - message->arrived_ms) / 1000);
    envelope->destination = arena_copy(&envelope->arena, destination);
    envelope->last_reply = envelope->last_host = envelope->hold_reason = "";
    return envelope;
}

void envelope_free(struct envelope **envelope)
{
    struct envelope *freed = *envelope;
    *envelope = NULL;
    if (freed == NULL)
        return;
    message_drop(&freed->message);
    arena_free(&freed->arena);
    free(freed);
}

static size_t recipients_bytes(const struct envelope *envelope)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < envelope->count; i++)
        bytes += recipient_record_bytes(strlen(envelope->recipients[i].path),
                                        strlen(envelope->recipients[i].orcpt));
    return bytes;
}

/* Room is doubled whenever the count has reached a power of two: no capacity to remember. */
static void make_room(struct envelope *envelope)
{
    unsigned count = envelope->count;
    if ((count & (count - 1)) != 0)
        return;
    size_t capacity = count ? count * 2 : 1;
    struct recipient *grown = arena_take(&envelope->arena, capacity * sizeof(*grown));
    if (count > 0)
        memcpy(grown, envelope->recipients, count * sizeof(*grown));
    envelope->recipients = grown;
}

struct recipient *envelope_add(struct envelope *envelope, struct span path, struct span orcpt)
{
    must(path.length <= PATH_MAX_BYTES && orcpt.length <= ORCPT_MAX_BYTES);
    if (envelope->count == ENVELOPE_RECIPIENTS_MAX)
        return NULL;
    size_t bytes = recipients_bytes(envelope) + recipient_record_bytes(path.length, orcpt.length);
    if (bytes > RECIPIENTS_RECORD_MAX)
        return NULL;
    make_room(envelope);
    struct recipient *recipient = &envelope->recipients[envelope->count++];
    *recipient = (struct recipient){
        .path = arena_copy(&envelope->arena, path),
        .orcpt = orcpt.length > 0 ? arena_copy(&envelope->arena, orcpt) : "",
    };
    return recipient;
}

char *envelope_name(uint64_t id, uint16_t number, char text[ENVELOPE_NAME_MAX])
{
    message_id_format(id, text);
    if (number > 0)
        snprintf(text + ID_DIGITS, ENVELOPE_NAME_MAX - ID_DIGITS, ".%u", number);
    return text;
}

bool envelope_name_parse(struct span text, uint64_t *id, uint16_t *number, bool *whole_message)
{
    uint64_t value = 0;
    struct span rest = span_skip(text, ID_DIGITS);
    *whole_message = rest.length == 0;
    if (!*whole_message) {
        if (rest.data[0] != '.' || !span_number(span_skip(rest, 1), &value) || value > UINT16_MAX)
            return false;
    }
    *number = (uint16_t)value;
    return message_id_parse((struct span){text.data, text.length - rest.length}, id);
}
