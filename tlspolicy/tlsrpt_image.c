/* A tally as bytes.
 *
 * image: length of all that follows (4), version (1), day (4), sent (4), domain, record, counts
 * (2): each type (1), domain, strings (2): texts, mx (2): texts, successes (8), details (2): each
 * result (1), sessions (8), mx host, helo, reason, sending, receiving Numbers are little-endian; a
 * text is its length (2) and its bytes, an address its family (1) and 16 bytes. */
#include "tlspolicy/tlsrpt_inside.h"

#include <string.h>

#define VERSION 1
#define LENGTH_BYTES 4

/* ---- writing ---- */

static void put(struct buffer *to, uint64_t value, unsigned count)
{
    char *at = buffer_room(to, count);
    for (unsigned i = 0; i < count; i++)
        at[i] = (char)(uint8_t)(value >> (8 * i));
    buffer_grew(to, count);
}

static void put_text(struct buffer *to, const char *text)
{
    size_t length = strnlen(text, UINT16_MAX);
    put(to, length, 2);
    buffer_append(to, (struct span){text, length});
}

static void put_texts(struct buffer *to, const char *const *texts, unsigned count)
{
    put(to, count, 2);
    for (unsigned i = 0; i < count; i++)
        put_text(to, texts[i]);
}

static void put_ip(struct buffer *to, const struct ip *ip)
{
    put(to, ip->family, 1);
    buffer_append(to, (struct span){(const char *)ip->bytes, sizeof(ip->bytes)});
}

static void put_count(struct buffer *to, const struct tlsrpt_count *count)
{
    unsigned details = 0;
    put(to, count->policy.type, 1);
    put_text(to, count->policy.domain);
    put_texts(to, count->policy.strings, count->policy.string_count);
    put_texts(to, count->policy.mx, count->policy.mx_count);
    put(to, count->successes, 8);
    for (const struct tlsrpt_detail *detail = count->details; detail; detail = detail->next)
        details++;
    put(to, details, 2);
    for (const struct tlsrpt_detail *detail = count->details; detail; detail = detail->next) {
        put(to, detail->result, 1);
        put(to, detail->sessions, 8);
        put_text(to, detail->mx_host);
        put_text(to, detail->helo);
        put_text(to, detail->reason);
        put_ip(to, &detail->sending);
        put_ip(to, &detail->receiving);
    }
}

void tlsrpt_image_write(const struct tlsrpt_tally *tally, struct buffer *to)
{
    struct buffer body CLEANUP(buffer_free) = {0};
    unsigned counts = 0;
    put(&body, VERSION, 1);
    put(&body, (uint64_t)tally->day, 4);
    put(&body, tally->sent, 4);
    put_text(&body, tally->domain);
    put_text(&body, tally->record);
    for (const struct tlsrpt_count *count = tally->counts; count; count = count->next)
        counts++;
    put(&body, counts, 2);
    for (const struct tlsrpt_count *count = tally->counts; count; count = count->next)
        put_count(&body, count);
    put(to, buffer_length(&body), LENGTH_BYTES);
    buffer_append(to, buffer_span(&body));
}

/* ---- reading, with an error that sticks ---- */

struct reader {
    struct span rest;
    struct tlsrpt_tally *tally;
    bool bad;
};

static struct span get_bytes(struct reader *reader, size_t count)
{
    if (reader->bad || count > reader->rest.length) {
        reader->bad = true;
        return (struct span){"", 0};
    }
    struct span bytes = {reader->rest.data, count};
    reader->rest = span_skip(reader->rest, count);
    return bytes;
}

static uint64_t get(struct reader *reader, unsigned count)
{
    struct span bytes = get_bytes(reader, count);
    uint64_t value = 0;
    for (size_t i = bytes.length; i > 0; i--)
        value = value << 8 | (uint8_t)bytes.data[i - 1];
    return value;
}

/* 0 and an error when it is more. */
static unsigned get_at_most(struct reader *reader, unsigned bytes, unsigned most)
{
    uint64_t value = get(reader, bytes);
    reader->bad |= value > most;
    return reader->bad ? 0 : (unsigned)value;
}

static const char *get_text(struct reader *reader)
{
    struct span text = get_bytes(reader, get_at_most(reader, 2, UINT16_MAX));
    reader->bad |= text.length > 0 && memchr(text.data, '\0', text.length) != NULL;
    return tally_copy(reader->tally, text);
}

static const char *const *get_texts(struct reader *reader, unsigned *count)
{
    *count = get_at_most(reader, 2, TLSRPT_STRINGS_MAX);
    const char **texts = tally_take(reader->tally, *count * sizeof(*texts));
    for (unsigned i = 0; i < *count; i++)
        texts[i] = get_text(reader);
    return texts;
}

static struct ip get_ip(struct reader *reader)
{
    struct ip ip = {.family = (uint8_t)get(reader, 1)};
    struct span bytes = get_bytes(reader, sizeof(ip.bytes));
    reader->bad |= ip.family != 0 && ip.family != 4 && ip.family != 6;
    if (!reader->bad)
        memcpy(ip.bytes, bytes.data, sizeof(ip.bytes));
    return ip;
}

static struct tlsrpt_detail *get_detail(struct reader *reader)
{
    struct tlsrpt_detail *detail = tally_take(reader->tally, sizeof(*detail));
    detail->result = (enum tlsrpt_result)get_at_most(reader, 1, TLSRPT_RESULTS - 1);
    detail->sessions = get(reader, 8);
    detail->mx_host = get_text(reader);
    detail->helo = get_text(reader);
    detail->reason = get_text(reader);
    detail->sending = get_ip(reader);
    detail->receiving = get_ip(reader);
    reader->bad |= detail->result == TLSRPT_SUCCESS;
    return detail;
}

static struct tlsrpt_count *get_count(struct reader *reader)
{
    struct tlsrpt_count *count = tally_take(reader->tally, sizeof(*count));
    struct tlsrpt_policy *policy = &count->policy;
    policy->type = (enum tlsrpt_policy_type)get_at_most(reader, 1, TLSRPT_POLICY_TYPES - 1);
    policy->domain = get_text(reader);
    policy->strings = get_texts(reader, &policy->string_count);
    policy->mx = get_texts(reader, &policy->mx_count);
    count->successes = get(reader, 8);
    unsigned details = get_at_most(reader, 2, TLSRPT_DETAILS_MAX + TLSRPT_RESULTS);
    struct tlsrpt_detail **at = &count->details;
    for (; details > 0 && !reader->bad; details--, at = &(*at)->next) {
        *at = get_detail(reader);
        count->failures += (*at)->sessions;
    }
    return count;
}

static void get_tally(struct reader *reader)
{
    struct tlsrpt_tally *tally = reader->tally;
    reader->bad |= get(reader, 1) != VERSION;
    tally->day = (int64_t)get(reader, 4);
    tally->sent = (uint32_t)get(reader, 4);
    tally->domain = get_text(reader);
    tally->record = get_text(reader);
    unsigned counts = get_at_most(reader, 2, TLSRPT_POLICIES_MAX);
    struct tlsrpt_count **at = &tally->counts;
    for (; counts > 0 && !reader->bad; counts--, at = &(*at)->next)
        *at = get_count(reader);
    reader->bad |= tally->domain[0] == '\0' || reader->rest.length > 0;
}

bool tlsrpt_image_next(struct span *images, struct tlsrpt_tally *tally, struct span *image)
{
    *tally = (struct tlsrpt_tally){.bytes = sizeof(*tally)};
    struct reader lengths = {.rest = *images};
    size_t length = (size_t)get(&lengths, LENGTH_BYTES);
    struct reader reader = {get_bytes(&lengths, length), tally, false};
    if (!lengths.bad)
        get_tally(&reader);
    if (lengths.bad || reader.bad) {
        tlsrpt_tally_free(tally);
        return false;
    }
    if (image != NULL)
        *image = (struct span){images->data, LENGTH_BYTES + length};
    *images = lengths.rest;
    return true;
}
