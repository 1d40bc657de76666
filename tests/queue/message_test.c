#include "queue/message.h"

#include "queue/record.h"
#include "tests/suite.h"

#include <string.h>

START_TEST(id_texts)
{
    static const struct {
        uint64_t id;
        const char *text;
    } table[] = {
        {0, "0000000000000"},          {1, "0000000000001"},
        {31, "000000000000Z"},         {32, "0000000000010"},
        {UINT64_MAX, "FZZZZZZZZZZZZ"}, {1700000000000ull << 20 | 5, "1HF7YAT000005"},
    };
    for (size_t i = 0; i < countof(table); i++) {
        char text[MESSAGE_ID_TEXT];
        uint64_t id = 77;
        ck_assert_str_eq(message_id_format(table[i].id, text), table[i].text);
        ck_assert(message_id_parse(span_of(table[i].text), &id));
        ck_assert_uint_eq(id, table[i].id);
        text_lower(text);
        ck_assert(message_id_parse(span_of(text), &id));
        ck_assert_uint_eq(id, table[i].id);
    }
    ck_assert_int_eq(message_id_ms(1700000000000ull << 20 | 5), 1700000000000);
}
END_TEST

START_TEST(no_ids)
{
    static const char *const table[] = {
        "",
        "0",
        "000000000000",
        "00000000000000",
        "G000000000000",
        "Z000000000000",
        "000000000000U",
        "000000000000I",
        "000000000000L",
        "000000000000O",
        "000000 000000",
        "-000000000001",
    };
    uint64_t id;
    for (size_t i = 0; i < countof(table); i++)
        ck_assert_msg(!message_id_parse(span_of(table[i]), &id), "%s", table[i]);
    ck_assert(!message_id_parse((struct span){"000000\0000000", 13}, &id));
}
END_TEST

START_TEST(envelope_names)
{
    char text[ENVELOPE_NAME_MAX];
    uint64_t id = 0;
    uint16_t number = 0;
    bool whole = false;
    ck_assert_str_eq(envelope_name(32, 0, text), "0000000000010");
    ck_assert(envelope_name_parse(span_of(text), &id, &number, &whole));
    ck_assert(id == 32 && number == 0 && whole);
    ck_assert_str_eq(envelope_name(UINT64_MAX, UINT16_MAX, text), "FZZZZZZZZZZZZ.65535");
    ck_assert(envelope_name_parse(span_of(text), &id, &number, &whole));
    ck_assert(id == UINT64_MAX && number == UINT16_MAX && !whole);
    ck_assert(envelope_name_parse(SPAN("0000000000010.0"), &id, &number, &whole));
    ck_assert(id == 32 && number == 0 && !whole);
}
END_TEST

START_TEST(no_envelope_names)
{
    static const char *const table[] = {
        "",
        ".",
        "0000000000010.",
        "0000000000010.65536",
        "0000000000010.-1",
        "0000000000010,1",
        "0000000000010.1x",
        "000000000001.1",
        "0000000000010 ",
    };
    uint64_t id;
    uint16_t number;
    bool whole;
    for (size_t i = 0; i < countof(table); i++)
        ck_assert_msg(!envelope_name_parse(span_of(table[i]), &id, &number, &whole), "%s",
                      table[i]);
}
END_TEST

START_TEST(references)
{
    struct message *message = message_create(SPAN("a@b.test"), MESSAGE_BOUNCE, 5);
    struct envelope *envelope = envelope_create(message, SPAN("x.test"));
    struct message *kept = message_keep(message);
    ck_assert_uint_eq(atomic_load(&message->references), 3);
    message_drop(&message);
    ck_assert_ptr_null(message);
    envelope_free(&envelope);
    ck_assert_ptr_null(envelope);
    ck_assert_uint_eq(atomic_load(&kept->references), 1);
    ck_assert_str_eq(kept->sender, "a@b.test");
    message_drop(&kept);
    message_drop(&kept); /* of nothing */
}
END_TEST

/* RFC 8689 4.1: REQUIRETLS goes before the header; 5: a notification is not lost for it. */
START_TEST(how_a_message_is_protected)
{
    static const struct {
        const char *sender;
        uint32_t flags;
        enum security security;
        const char *name;
    } rows[] = {
        {"a@b.test", 0, SECURITY_USUAL, "usual"},
        {"", MESSAGE_BOUNCE, SECURITY_USUAL, "usual"},
        {"a@b.test", MESSAGE_REQUIRETLS, SECURITY_REQUIRED, "required"},
        {"", MESSAGE_REQUIRETLS, SECURITY_PREFERRED, "preferred"},
        {"a@b.test", MESSAGE_TLS_OPTIONAL, SECURITY_OPTIONAL, "optional"},
        {"", MESSAGE_TLS_OPTIONAL, SECURITY_OPTIONAL, "optional"},
        {"a@b.test", MESSAGE_REQUIRETLS | MESSAGE_TLS_OPTIONAL, SECURITY_REQUIRED, "required"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct message *message = message_create(span_of(rows[i].sender), rows[i].flags, 5);
        struct envelope *envelope = envelope_create(message, SPAN("x.test"));
        ck_assert_msg(envelope->security == rows[i].security, "row %zu: %d", i,
                      (int)envelope->security);
        ck_assert_str_eq(security_name(envelope->security), rows[i].name);
        envelope_free(&envelope);
        message_drop(&message);
    }
}
END_TEST

START_TEST(an_envelope_knows_how_long_its_message_was_postponed)
{
    static const struct {
        int64_t release_ms;
        uint32_t postponed_s;
    } rows[] = {{0, 0}, {4000, 0}, {5000, 0}, {6999, 1}, {2592005000, 2592000}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct message *message = message_create(SPAN("a@b.test"), 0, 5000);
        message->release_ms = rows[i].release_ms;
        struct envelope *envelope = envelope_create(message, SPAN("x.test"));
        ck_assert_uint_eq(envelope->postponed_s, rows[i].postponed_s);
        envelope_free(&envelope);
        message_drop(&message);
    }
}
END_TEST

START_TEST(an_envelope_fills_by_count)
{
    struct envelope *envelope = envelope_create(NULL, SPAN("x.test"));
    for (unsigned i = 0; i < ENVELOPE_RECIPIENTS_MAX; i++) {
        ck_assert(envelope_add(envelope, (struct span){&"0123456789"[i % 10], 1}, SPAN("")));
        ck_assert_uint_eq(envelope->count, i + 1);
    }
    ck_assert(!envelope_add(envelope, SPAN("z"), SPAN("")));
    for (unsigned i = 0; i < ENVELOPE_RECIPIENTS_MAX; i++)
        ck_assert_int_eq(envelope->recipients[i].path[0], '0' + (char)(i % 10));
    envelope_free(&envelope);
}
END_TEST

START_TEST(an_envelope_fills_by_bytes)
{
    char path[PATH_MAX_BYTES];
    memset(path, 'p', sizeof(path));
    struct envelope *envelope = envelope_create(NULL, SPAN("x.test"));
    ck_assert(envelope_add(envelope, (struct span){path, sizeof(path)},
                           (struct span){path, ORCPT_MAX_BYTES}));
    ck_assert(!envelope_add(envelope, (struct span){path, 100}, SPAN("")));
    ck_assert_uint_eq(envelope->count, 1);
    ck_assert_uint_eq(strlen(envelope->recipients[0].path), PATH_MAX_BYTES);
    ck_assert_uint_eq(strlen(envelope->recipients[0].orcpt), ORCPT_MAX_BYTES);
    envelope_free(&envelope);
}
END_TEST

/* The fullest envelope that there can be still fits one value of the spool. */
START_TEST(the_fullest_envelope_fits_a_record)
{
    char text[PATH_MAX_BYTES + 1];
    memset(text, 'x', PATH_MAX_BYTES);
    text[PATH_MAX_BYTES] = '\0';
    struct envelope *envelope = envelope_create(NULL, (struct span){text, DOMAIN_MAX_BYTES});
    struct buffer record = {0};
    envelope->last_reply = envelope->last_host = envelope->hold_reason = text;
    for (size_t length = PATH_MAX_BYTES; length > 0; length /= 2)
        while (envelope_add(envelope, (struct span){text, length}, SPAN(""))) {}
    envelope_record_write(&record, envelope);
    ck_assert_uint_gt(buffer_length(&record), RECIPIENTS_RECORD_MAX);
    ck_assert_uint_le(buffer_length(&record), RECORD_MAX);
    buffer_free(&record);
    envelope_free(&envelope);
}
END_TEST

START_TEST(words)
{
    char text[STATUS_TEXT_MAX];
    ck_assert_str_eq(verdict_name(VERDICT_IN_DOUBT), "in-doubt");
    ck_assert_str_eq(verdict_name(VERDICT_NONE), "none");
    ck_assert_str_eq(verdict_name(VERDICT_DROPPED), "dropped");
    ck_assert_str_eq(status_format((struct status){4, 4, 1}, text), "4.4.1");
    ck_assert_str_eq(status_format((struct status){255, 65535, 65535}, text), "255.65535.65535");
}
END_TEST

TEST_MAIN("queue/message", id_texts, how_a_message_is_protected, no_ids, envelope_names,
          no_envelope_names, references, an_envelope_knows_how_long_its_message_was_postponed,
          an_envelope_fills_by_count, an_envelope_fills_by_bytes,
          the_fullest_envelope_fits_a_record, words)
