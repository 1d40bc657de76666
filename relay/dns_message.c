#include "relay/dns_message.h"

#include <string.h>

#define HEADER_BYTES 12
#define NAME_BYTES 255 /* RFC 1035 3.1, with lengths and the root */
#define LABEL_BYTES 63
#define POINTER 0xc0
#define JUMPS_MAX 64

enum { RCODE_SERVFAIL = 2, RCODE_NO_NAME = 3, RCODE_REFUSED = 5 };
enum { FLAG_RESPONSE = 0x80, FLAG_TRUNCATED = 0x02 }; /* of byte 2 */
enum { FLAG_VALIDATED = 0x20, RCODE_BITS = 0x0f };    /* of byte 3 */

struct name { /* as labels with their lengths, lower case */
    size_t length;
    char bytes[NAME_BYTES];
};

struct record {
    struct name owner;
    unsigned type;
    uint32_t ttl;
    size_t data_at, data_length;
};

struct reader {
    struct span message;
    size_t at;
};

/* ---- numbers and names ---- */

static unsigned byte_at(struct span message, size_t at)
{
    return (unsigned char)message.data[at];
}

static unsigned number_at(struct span message, size_t at)
{
    return byte_at(message, at) << 8 | byte_at(message, at + 1);
}

static uint32_t long_at(struct span message, size_t at)
{
    return (uint32_t)number_at(message, at) << 16 | number_at(message, at + 2);
}

static bool same_name(const struct name *a, const struct name *b)
{
    return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

static bool add_label(struct name *name, struct span label)
{
    if (name->length + 1 + label.length + 1 > NAME_BYTES) /* the root comes behind it */
        return false;
    name->bytes[name->length++] = (char)label.length;
    for (size_t i = 0; i < label.length; i++) {
        char c = label.data[i];
        name->bytes[name->length++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    return true;
}

static bool name_of_text(const char *text, struct name *name)
{
    struct span rest = span_of(text);
    name->length = 0;
    while (rest.length > 0) {
        const char *dot = memchr(rest.data, '.', rest.length);
        struct span label = {rest.data, dot ? (size_t)(dot - rest.data) : rest.length};
        if (label.length == 0 || label.length > LABEL_BYTES || !add_label(name, label))
            return false;
        rest = span_skip(rest, label.length + 1);
    }
    name->bytes[name->length++] = '\0';
    return true;
}

/* NULL for a name that has no such form: a dot or a NUL within a label. */
static const char *text_of_name(const struct name *name, struct arena *arena)
{
    char *text = arena_take(arena, NAME_BYTES + 1);
    size_t used = 0;
    for (size_t at = 0; name->bytes[at] != 0;) {
        size_t length = (size_t)name->bytes[at++];
        if (memchr(name->bytes + at, '.', length) || memchr(name->bytes + at, '\0', length))
            return NULL;
        if (used > 0)
            text[used++] = '.';
        memcpy(text + used, name->bytes + at, length);
        used += length;
        at += length;
    }
    return text;
}

/* RFC 1035 4.1.4. Pointers lead back only, so there is an end. */
static bool read_name(struct reader *reader, struct name *name)
{
    struct span message = reader->message;
    size_t at = reader->at, behind = 0;
    name->length = 0;
    for (int jumps = 0; jumps < JUMPS_MAX && at < message.length;) {
        size_t length = byte_at(message, at);
        if (length == 0) {
            name->bytes[name->length++] = '\0';
            reader->at = behind ? behind : at + 1;
            return true;
        }
        if (length <= LABEL_BYTES) {
            if (at + 1 + length > message.length ||
                !add_label(name, (struct span){message.data + at + 1, length}))
                return false;
            at += 1 + length;
            continue;
        }
        if ((length & POINTER) != POINTER || at + 2 > message.length)
            return false;
        size_t to = number_at(message, at) & ~(unsigned)(POINTER << 8);
        if (to >= at)
            return false;
        behind = behind ? behind : at + 2;
        at = to;
        jumps++;
    }
    return false;
}

/* ---- records ---- */

static bool skip_question(struct reader *reader)
{
    struct name name;
    if (!read_name(reader, &name) || reader->at + 4 > reader->message.length)
        return false;
    reader->at += 4;
    return true;
}

static bool read_record(struct reader *reader, struct record *record)
{
    if (!read_name(reader, &record->owner) || reader->at + 10 > reader->message.length)
        return false;
    record->type = number_at(reader->message, reader->at);
    record->ttl = long_at(reader->message, reader->at + 4);
    record->data_length = number_at(reader->message, reader->at + 8);
    record->data_at = reader->at + 10;
    reader->at = record->data_at + record->data_length;
    return reader->at <= reader->message.length;
}

/* At the first record of the answer. False when the message ends before. */
static bool open_answer(struct reader *reader, struct span message)
{
    *reader = (struct reader){message, HEADER_BYTES};
    if (message.length < HEADER_BYTES)
        return false;
    for (unsigned left = number_at(message, 4); left > 0; left--)
        if (!skip_question(reader))
            return false;
    return true;
}

static unsigned answer_count(struct span message)
{
    return number_at(message, 6);
}

/* Whether all of answer and authority can be read. */
static bool is_whole(struct span message)
{
    struct reader reader;
    struct record record;
    if (!open_answer(&reader, message))
        return false;
    for (unsigned left = answer_count(message) + number_at(message, 8); left > 0; left--) {
        if (!read_record(&reader, &record))
            return false;
        struct reader inner = {message, record.data_at};
        if (record.type == TYPE_CNAME && !read_name(&inner, &record.owner))
            return false;
    }
    return true;
}

static void lower_ttl(struct dns_answer *answer, uint32_t ttl)
{
    uint32_t used = ttl & UINT32_C(0x80000000) ? 0 : ttl; /* RFC 2181 8 */
    if (used < answer->ttl_seconds)
        answer->ttl_seconds = used;
}

/* ---- what was asked for ---- */

static bool find_alias(struct span message, const struct name *name, struct name *target,
                       struct dns_answer *answer)
{
    struct reader reader;
    struct record record;
    open_answer(&reader, message);
    for (unsigned left = answer_count(message); left > 0 && read_record(&reader, &record); left--) {
        struct reader inner = {message, record.data_at};
        if (record.type == TYPE_CNAME && same_name(&record.owner, name) &&
            read_name(&inner, target)) {
            lower_ttl(answer, record.ttl);
            return true;
        }
    }
    return false;
}

/* To the end of the chain that begins with the name. False when there is none. */
static bool follow_aliases(struct span message, struct name *name, struct dns_answer *answer)
{
    struct name target;
    for (int links = 0; find_alias(message, name, &target, answer); links++) {
        if (links == DNS_ALIASES_MAX)
            return false;
        *name = target;
    }
    return true;
}

/* Preference and name, which may be compressed. */
static struct span take_mx(struct span message, const struct record *record, struct arena *arena)
{
    struct reader reader = {message, record->data_at + 2};
    struct name name;
    if (record->data_length < 3 || !read_name(&reader, &name))
        return (struct span){NULL, 0};
    char *data = arena_take(arena, 2 + name.length);
    memcpy(data, message.data + record->data_at, 2);
    memcpy(data + 2, name.bytes, name.length);
    return (struct span){data, 2 + name.length};
}

static struct span take_data(struct span message, const struct record *record, struct arena *arena)
{
    struct reader reader = {message, record->data_at};
    struct name name;
    if (record->type == TYPE_MX)
        return take_mx(message, record, arena);
    if (record->type != TYPE_CNAME)
        return (struct span){message.data + record->data_at, record->data_length};
    if (!read_name(&reader, &name))
        return (struct span){NULL, 0};
    return (struct span){arena_copy(arena, (struct span){name.bytes, name.length}), name.length};
}

static void take_records(struct span message, const struct name *owner, enum record_type type,
                         struct arena *arena, struct dns_answer *answer)
{
    struct reader reader;
    struct record record;
    open_answer(&reader, message);
    for (unsigned left = answer_count(message); left > 0 && read_record(&reader, &record); left--) {
        if (record.type != (unsigned)type || !same_name(&record.owner, owner) ||
            answer->count == DNS_RECORDS_MAX)
            continue;
        answer->records[answer->count++] = take_data(message, &record, arena);
        lower_ttl(answer, record.ttl);
    }
}

/* How long a denial holds (RFC 2308 5); without an SOA nobody knows. */
static void take_denial(struct span message, struct dns_answer *answer)
{
    struct reader reader;
    struct record record;
    open_answer(&reader, message);
    for (unsigned left = answer_count(message); left > 0; left--)
        read_record(&reader, &record);
    for (unsigned left = number_at(message, 8); left > 0 && read_record(&reader, &record); left--) {
        if (record.type != TYPE_SOA || record.data_length < 4)
            continue;
        lower_ttl(answer, record.ttl);
        lower_ttl(answer, long_at(message, record.data_at + record.data_length - 4));
        return;
    }
    answer->ttl_seconds = 0;
}

static const char *failure_of(struct span message)
{
    if (message.length < HEADER_BYTES || !(byte_at(message, 2) & FLAG_RESPONSE) ||
        (byte_at(message, 2) & FLAG_TRUNCATED))
        return "the name server's answer is broken";
    switch (byte_at(message, 3) & RCODE_BITS) {
    case 0:
    case RCODE_NO_NAME: return is_whole(message) ? NULL : "the name server's answer is broken";
    case RCODE_SERVFAIL: return "SERVFAIL";
    case RCODE_REFUSED: return "REFUSED";
    }
    return "the name server gave an error";
}

void dns_message_read(struct span message, const char *name, enum record_type type,
                      struct arena *arena, struct dns_answer *answer)
{
    struct name asked, owner;
    *answer = (struct dns_answer){.answer = ANSWER_FAILED, .ttl_seconds = UINT32_MAX};
    answer->failure = failure_of(message);
    if (answer->failure != NULL)
        return;
    if (!name_of_text(name, &asked)) {
        answer->failure = "not a domain name";
        return;
    }
    owner = asked;
    if (type != TYPE_CNAME && !follow_aliases(message, &owner, answer)) {
        answer->failure = "its aliases go round, or too far";
        return;
    }
    take_records(message, &owner, type, arena, answer);
    answer->secure = byte_at(message, 3) & FLAG_VALIDATED;
    answer->canonical = same_name(&asked, &owner) ? NULL : text_of_name(&owner, arena);
    answer->answer = answer->count > 0 ? ANSWER_RECORDS : ANSWER_NONE;
    if (answer->count == 0)
        take_denial(message, answer);
    if (answer->count == 0 && (byte_at(message, 3) & RCODE_BITS) == RCODE_NO_NAME)
        answer->answer = ANSWER_NO_NAME;
}
