#include "queue/record.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

static struct message *sample_message(const char *sender)
{
    struct message *message = message_create(span_of(sender), MESSAGE_8BITMIME, -5);
    message->id = 0x0102030405060708;
    message->release_ms = 1700000000001;
    message->deliver_by_ms = 1800000000001;
    message->envid = "QQ314159";
    message->user = "app";
    message->place = (struct body_place){
        .segment = UINT64_MAX, .offset = 1ull << 40, .length = 77, .crc = 0xdeadbeef};
    return message;
}

static struct envelope *sample_envelope(void)
{
    struct envelope *envelope = envelope_create(NULL, SPAN("example.test"));
    envelope->attempts = 300;
    envelope->due_ms = 1700000000123;
    envelope->postponed_s = 2592000;
    envelope->last_reply = "4.2.2 mailbox full";
    envelope->last_host = "mx.example.test[192.0.2.1]:25";
    envelope_add(envelope, SPAN("one@example.test"), SPAN(""));
    envelope_add(envelope, SPAN("two@example.test"), SPAN(""));
    envelope->recipients[1].code = 452;
    envelope->recipients[1].status = (struct status){4, 2, 65535};
    envelope->recipients[0].notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
    envelope->recipients[0].orcpt = "rfc822;first+2Bone@example.test";
    envelope->warned = true;
    envelope->timed = true;
    envelope->security = SECURITY_OPTIONAL;
    envelope->held = true;
    envelope->hold_reason = "asked by the sender";
    return envelope;
}

START_TEST(keys_sort_like_ids)
{
    static const struct {
        uint64_t id;
        uint16_t number;
    } table[] = {{0, 0},          {0, 1},          {0, 256},
                 {1, 0},          {255, 9},        {256, 0},
                 {1ull << 40, 3}, {UINT64_MAX, 0}, {UINT64_MAX, UINT16_MAX}};
    uint8_t keys[countof(table)][ENVELOPE_KEY_BYTES];
    for (size_t i = 0; i < countof(table); i++) {
        uint64_t id = 7;
        uint16_t number = 7;
        envelope_key_write(table[i].id, table[i].number, keys[i]);
        ck_assert(i == 0 || memcmp(keys[i - 1], keys[i], ENVELOPE_KEY_BYTES) < 0);
        ck_assert(
            envelope_key_read((struct span){(char *)keys[i], ENVELOPE_KEY_BYTES}, &id, &number));
        ck_assert(id == table[i].id && number == table[i].number);
        uint8_t key[MESSAGE_KEY_BYTES];
        message_key_write(table[i].id, key);
        ck_assert(message_key_read((struct span){(char *)key, sizeof(key)}, &id));
        ck_assert_uint_eq(id, table[i].id);
    }
    uint64_t id;
    uint16_t number;
    ck_assert(!envelope_key_read(SPAN("123456789"), &id, &number));
    ck_assert(!message_key_read(SPAN("123456789"), &id));
}
END_TEST

START_TEST(messages_come_back)
{
    static const char *const senders[] = {"", "a@b.test", "\"odd one\"@b.test"};
    for (size_t i = 0; i < countof(senders); i++) {
        struct buffer record = {0};
        unsigned left = 0;
        struct message *message = sample_message(senders[i]);
        message->place.own_file = i == 1;
        message_record_write(&record, message, 70000);
        struct message *again = message_record_read(buffer_span(&record), message->id, &left);
        ck_assert_ptr_nonnull(again);
        ck_assert_uint_eq(left, 70000);
        ck_assert_uint_eq(again->id, message->id);
        ck_assert_uint_eq(again->flags, message->flags);
        ck_assert_int_eq(again->arrived_ms, message->arrived_ms);
        ck_assert_int_eq(again->release_ms, message->release_ms);
        ck_assert_int_eq(again->deliver_by_ms, message->deliver_by_ms);
        ck_assert_str_eq(again->sender, senders[i]);
        ck_assert_str_eq(again->envid, "QQ314159");
        ck_assert_str_eq(again->user, "app");
        ck_assert_uint_eq(again->place.segment, message->place.segment);
        ck_assert_uint_eq(again->place.offset, message->place.offset);
        ck_assert_uint_eq(again->place.length, message->place.length);
        ck_assert_uint_eq(again->place.crc, message->place.crc);
        ck_assert(again->place.own_file == message->place.own_file);
        ck_assert_ptr_null(again->body);
        message_drop(&message);
        message_drop(&again);
        buffer_free(&record);
    }
}
END_TEST

START_TEST(the_count_can_be_changed_in_place)
{
    struct buffer record = {0};
    struct buffer wanted = {0};
    struct message *message = sample_message("a@b.test");
    message_record_write(&record, message, 3);
    message_record_write(&wanted, message, 0x01020304);
    message_record_set_left(record.memory, 0x01020304);
    ck_assert(span_equal(buffer_span(&record), buffer_span(&wanted)));
    message_drop(&message);
    buffer_free(&record);
    buffer_free(&wanted);
}
END_TEST

static void same_envelope(const struct envelope *a, const struct envelope *b)
{
    ck_assert_uint_eq(a->attempts, b->attempts);
    ck_assert_int_eq(a->due_ms, b->due_ms);
    ck_assert_uint_eq(a->postponed_s, b->postponed_s);
    ck_assert_str_eq(a->destination, b->destination);
    ck_assert_str_eq(a->last_reply, b->last_reply);
    ck_assert_str_eq(a->last_host, b->last_host);
    ck_assert_int_eq((int)a->security, (int)b->security);
    ck_assert(a->warned == b->warned && a->timed == b->timed && a->held == b->held);
    ck_assert_str_eq(a->hold_reason, b->hold_reason);
    ck_assert_uint_eq(a->count, b->count);
    for (unsigned i = 0; i < a->count; i++) {
        const struct recipient *x = &a->recipients[i];
        const struct recipient *y = &b->recipients[i];
        ck_assert_str_eq(x->path, y->path);
        ck_assert_str_eq(x->orcpt, y->orcpt);
        ck_assert_uint_eq(x->notify, y->notify);
        ck_assert_uint_eq(x->code, y->code);
        ck_assert_uint_eq(x->status.class, y->status.class);
        ck_assert_uint_eq(x->status.subject, y->status.subject);
        ck_assert_uint_eq(x->status.detail, y->status.detail);
    }
}

START_TEST(envelopes_come_back)
{
    struct buffer record = {0};
    struct envelope *envelope = sample_envelope();
    envelope_record_write(&record, envelope);
    struct envelope *again = envelope_record_read(buffer_span(&record), 9, 10);
    ck_assert_ptr_nonnull(again);
    ck_assert_ptr_null(again->message);
    ck_assert(again->id == 9 && again->number == 10);
    same_envelope(envelope, again);
    struct envelope_head head;
    ck_assert(envelope_record_head(buffer_span(&record), &head));
    ck_assert(span_equal(head.destination, SPAN("example.test")));
    ck_assert_int_eq((int)head.security, SECURITY_OPTIONAL);
    ck_assert(head.count == 2 && head.attempts == 300 && head.due_ms == 1700000000123);
    ck_assert_uint_eq(head.postponed_s, 2592000);
    envelope_free(&envelope);
    envelope_free(&again);
    buffer_free(&record);
}
END_TEST

START_TEST(a_long_reply_is_cut)
{
    char text[REPLY_KEPT_MAX * 2];
    struct buffer record = {0};
    memset(text, 'r', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    struct envelope *envelope = sample_envelope();
    envelope->last_reply = text;
    envelope_record_write(&record, envelope);
    struct envelope *again = envelope_record_read(buffer_span(&record), 9, 10);
    ck_assert_uint_eq(strlen(again->last_reply), REPLY_KEPT_MAX);
    ck_assert_uint_eq(again->count, 2);
    envelope_free(&envelope);
    envelope_free(&again);
    buffer_free(&record);
}
END_TEST

/* ---- anything for bytes ---- */

/* A copy of exactly that size, so that reading over its end is seen by a sanitizer. */
static bool message_reads(struct span bytes)
{
    char *copy = must_calloc(bytes.length, 1);
    unsigned left;
    memcpy(copy, bytes.data, bytes.length);
    struct message *message = message_record_read((struct span){copy, bytes.length}, 1, &left);
    bool reads = message != NULL;
    message_drop(&message);
    free(copy);
    return reads;
}

/* What is read can be written again and gives the same bytes: nothing was made up. */
static bool envelope_reads(struct span bytes)
{
    char *copy = must_calloc(bytes.length, 1);
    memcpy(copy, bytes.data, bytes.length);
    struct span span = {copy, bytes.length};
    struct envelope *envelope = envelope_record_read(span, 1, 2);
    struct envelope_head head;
    bool reads = envelope != NULL;
    ck_assert(!reads || envelope_record_head(span, &head));
    if (reads) {
        struct buffer again = {0};
        envelope_record_write(&again, envelope);
        ck_assert(span_equal(buffer_span(&again), span));
        buffer_free(&again);
    }
    envelope_free(&envelope);
    free(copy);
    return reads;
}

typedef bool (*reads_function)(struct span bytes);

static void truncate_everywhere(const struct buffer *record, reads_function reads)
{
    struct span whole = buffer_span(record);
    ck_assert(reads(whole));
    for (size_t length = 0; length < whole.length; length++)
        ck_assert_msg(!reads((struct span){whole.data, length}), "at %zu", length);
    struct buffer longer = {0};
    buffer_append(&longer, whole);
    buffer_append(&longer, SPAN("\0"));
    ck_assert(!reads(buffer_span(&longer)));
    buffer_free(&longer);
}

/* Every bit: it may be read or not, but nothing breaks. Returns how many were still read. */
static unsigned flip_everywhere(const struct buffer *record, reads_function reads)
{
    struct buffer flipped = {0};
    unsigned good = 0;
    buffer_append(&flipped, buffer_span(record));
    for (size_t i = 0; i < buffer_length(record) * 8; i++) {
        char bit = (char)(1 << (i % 8));
        flipped.memory[i / 8] = (char)(flipped.memory[i / 8] ^ bit);
        good += reads(buffer_span(&flipped));
        flipped.memory[i / 8] = (char)(flipped.memory[i / 8] ^ bit);
    }
    ck_assert(span_equal(buffer_span(&flipped), buffer_span(record)));
    buffer_free(&flipped);
    return good;
}

START_TEST(broken_messages)
{
    struct buffer record = {0};
    struct message *message = sample_message("a@b.test");
    message_record_write(&record, message, 1);
    truncate_everywhere(&record, message_reads);
    ck_assert_uint_lt(flip_everywhere(&record, message_reads), buffer_length(&record) * 8 - 32);
    message_drop(&message);
    buffer_free(&record);
}
END_TEST

START_TEST(broken_envelopes)
{
    struct buffer record = {0};
    struct envelope *envelope = sample_envelope();
    envelope_record_write(&record, envelope);
    truncate_everywhere(&record, envelope_reads);
    ck_assert_uint_lt(flip_everywhere(&record, envelope_reads), buffer_length(&record) * 8 - 32);
    envelope_free(&envelope);
    buffer_free(&record);
}
END_TEST

/* A message's record whose sender is so long. */
static bool long_sender_reads(size_t length)
{
    struct buffer record = {0};
    struct message *message = sample_message("");
    message->envid = message->user = "";
    message_record_write(&record, message, 1);
    record.end -= 6; /* the lengths of three empty texts */
    char head[] = {(char)(uint8_t)length, (char)(uint8_t)(length >> 8)};
    buffer_append(&record, (struct span){head, 2});
    memset(buffer_room(&record, length), 's', length);
    buffer_grew(&record, length);
    buffer_append(&record, (struct span){"\0\0\0\0", 4});
    bool reads = message_reads(buffer_span(&record));
    message_drop(&message);
    buffer_free(&record);
    return reads;
}

START_TEST(an_overlong_text_is_refused)
{
    ck_assert(long_sender_reads(PATH_MAX_BYTES));
    ck_assert(!long_sender_reads(PATH_MAX_BYTES + 1));
}
END_TEST

START_TEST(suspensions_come_back)
{
    struct suspension suspension = {.since_ms = 1700000000001, .until_ms = 1800000000001};
    struct suspension again;
    struct buffer record = {0};
    snprintf(suspension.destination, sizeof(suspension.destination), "example.test");
    memset(suspension.reason, 'r', SUSPENSION_REASON_MAX);
    suspension_write(&record, &suspension);
    ck_assert(suspension_read(SPAN("example.test"), buffer_span(&record), &again));
    ck_assert_mem_eq(&suspension, &again, sizeof(again));
    ck_assert(!suspension_read(SPAN(""), buffer_span(&record), &again));
    for (size_t length = 0; length < buffer_length(&record); length++)
        ck_assert(!suspension_read(SPAN("x"), (struct span){record.memory, length}, &again));
    record.memory[0] = RECORD_VERSION + 1;
    ck_assert(!suspension_read(SPAN("x"), buffer_span(&record), &again));
    buffer_free(&record);
}
END_TEST

/* One byte of a good record changed: these must not be read. */
START_TEST(refused_bytes)
{
    static const struct {
        bool of_message;
        size_t at;
        char value;
        const char *why;
    } table[] = {
        {true, 0, RECORD_VERSION + 1, "newer version"},
        {true, 0, 0, "no version"},
        {true, 1, 0, "no envelopes left"},
        {true, 61, 2, "neither own file nor not"},
        {true, 48, (char)0x80, "offset beyond any file"},
        {true, 56, (char)0x7f, "offset and length together beyond any file"},
        {true, 63, 1, "sender longer than there are bytes"},
        {true, 64, '\0', "NUL in the sender"},
        {false, 0, RECORD_VERSION + 1, "newer version"},
        {false, 1, 32, "a flag that is none"},
        {false, 16, ENVELOPE_RECIPIENTS_MAX + 1, "too many recipients"},
        {false, 16, 1, "bytes left over"},
        {false, 18, 1, "destination too long"},
        {false, 19, '\0', "NUL in the destination"},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct buffer record = {0};
        struct message *message = sample_message("a@b.test");
        struct envelope *envelope = sample_envelope();
        message->place.offset = message->place.length = (uint64_t)1 << 61;
        if (table[i].of_message)
            message_record_write(&record, message, 1);
        else
            envelope_record_write(&record, envelope);
        reads_function reads = table[i].of_message ? message_reads : envelope_reads;
        ck_assert(reads(buffer_span(&record)));
        record.memory[table[i].at] = table[i].value;
        ck_assert_msg(!reads(buffer_span(&record)), "%s", table[i].why);
        message_drop(&message);
        envelope_free(&envelope);
        buffer_free(&record);
    }
}
END_TEST

TEST_MAIN("queue/record", keys_sort_like_ids, messages_come_back, suspensions_come_back,
          the_count_can_be_changed_in_place, envelopes_come_back, a_long_reply_is_cut,
          broken_messages, broken_envelopes, an_overlong_text_is_refused, refused_bytes)
