/* Whatever lies in the spool's tables: what is read as a record is one that would be written so, to
 * the byte, and what is found without making the noun is the same. */
#include "queue/record.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

#define ID 0x0123456789abcdef

static void must_be(struct span text, const char *same)
{
    must(span_equal(text, span_of(same)));
}

static void read_message(struct span from)
{
    struct buffer again CLEANUP(buffer_free) = {0};
    struct message_head head;
    unsigned left;
    struct message *message = message_record_read(from, ID, &left);
    must(message_record_head(from, &head) == (message != NULL));
    if (message == NULL)
        return;
    must(message->id == ID && left == head.left && left > 0);
    must_be(head.sender, message->sender);
    must_be(head.envid, message->envid);
    must_be(head.user, message->user);
    message_record_write(&again, message, left);
    must(span_equal(buffer_span(&again), from) && from.length <= RECORD_MAX);
    message_record_set_left(again.memory + again.start, left + 1);
    must(!message_record_head(buffer_span(&again), &head) || head.left == left + 1);
    message_drop(&message);
}

static void read_envelope(struct span from)
{
    struct buffer again CLEANUP(buffer_free) = {0};
    struct envelope_head head;
    struct envelope *envelope = envelope_record_read(from, ID, 7);
    bool is_head = envelope_record_head(from, &head);
    must(!is_head || head.count <= ENVELOPE_RECIPIENTS_MAX);
    if (envelope == NULL)
        return;
    must(is_head && envelope->id == ID && envelope->number == 7);
    must(head.count == envelope->count && head.due_ms == envelope->due_ms);
    must(head.security == envelope->security && head.held == envelope->held);
    must_be(head.destination, envelope->destination);
    must_be(head.hold_reason, envelope->hold_reason);
    envelope_record_write(&again, envelope);
    must(span_equal(buffer_span(&again), from) && from.length <= RECORD_MAX);
    envelope_free(&envelope);
}

static void read_suspension(struct span from)
{
    struct buffer again CLEANUP(buffer_free) = {0};
    struct suspension suspension;
    if (!suspension_read(SPAN("example.test"), from, &suspension))
        return;
    must(strcmp(suspension.destination, "example.test") == 0);
    suspension_write(&again, &suspension);
    must(span_equal(buffer_span(&again), from));
}

static void read_keys(struct span key)
{
    uint8_t bytes[ENVELOPE_KEY_BYTES];
    uint64_t id;
    uint16_t number;
    if (message_key_read(key, &id)) {
        message_key_write(id, bytes);
        must(memcmp(bytes, key.data, key.length) == 0);
    }
    if (envelope_key_read(key, &id, &number)) {
        envelope_key_write(id, number, bytes);
        must(memcmp(bytes, key.data, key.length) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = {(const char *)data, size};
    read_message(all);
    read_envelope(all);
    read_suspension(all);
    read_keys(all);
    return 0;
}
