/* A tally as bytes.
 *
 * image: length of all that follows (4), version (1), day (4), sent (4), domain, record, counts
 * (2): each type (1), domain, strings (2): texts, mx (2): texts, successes (8), details (2): each
 * result (1), sessions (8), mx host, helo, reason, sending, receiving Numbers are little-endian; a
 * text is its length (2) and its bytes, an address its family (1) and 16 bytes. */
#include "tlspolicy/tlsrpt_inside.h"

#include "base/fields.h"

#include <string.h>

#define VERSION 1
#define LENGTH_BYTES 4

/* ---- writing ---- */

static void put_text(struct buffer *to, const char *text)
{
    size_t length = strnlen(text, UINT16_MAX);
    field_put(to, length, 2);
    buffer_append(to, (struct span){text, length});
}

static void put_texts(struct buffer *to, const char *const *texts, unsigned count)
{
    field_put(to, count, 2);
    for (unsigned i = 0; i < count; i++)
        put_text(to, texts[i]);
}

static void put_ip(struct buffer *to, const struct ip *ip)
{
    field_put(to, ip->family, 1);
    buffer_append(to, (struct span){(const char *)ip->bytes, sizeof(ip->bytes)});
}

static void put_count(struct buffer *to, const struct tlsrpt_count *count)
{
    unsigned details = 0;
    field_put(to, count->policy.type, 1);
    put_text(to, count->policy.domain);
    put_texts(to, count->policy.strings, count->policy.string_count);
    put_texts(to, count->policy.mx, count->policy.mx_count);
    field_put(to, count->successes, 8);
    for (const struct tlsrpt_detail *detail = count->details; detail; detail = detail->next)
        details++;
    field_put(to, details, 2);
    for (const struct tlsrpt_detail *detail = count->details; detail; detail = detail->next) {
        field_put(to, detail->result, 1);
        field_put(to, detail->sessions, 8);
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
    field_put(&body, VERSION, 1);
    field_put(&body, (uint64_t)tally->day, 4);
    field_put(&body, tally->sent, 4);
    put_text(&body, tally->domain);
    put_text(&body, tally->record);
    for (const struct tlsrpt_count *count = tally->counts; count; count = count->next)
        counts++;
    field_put(&body, counts, 2);
    for (const struct tlsrpt_count *count = tally->counts; count; count = count->next)
        put_count(&body, count);
    field_put(to, buffer_length(&body), LENGTH_BYTES);
    buffer_append(to, buffer_span(&body));
}

/* ---- reading, with an error that sticks ---- */

struct reader {
    struct fields fields;
    struct tlsrpt_tally *tally;
};

/* 0 and an error when it is more. */
static unsigned get_at_most(struct reader *reader, unsigned bytes, unsigned most)
{
    uint64_t value = field_number(&reader->fields, bytes);
    reader->fields.bad |= value > most;
    return reader->fields.bad ? 0 : (unsigned)value;
}

static const char *get_text(struct reader *reader)
{
    struct span text = field_bytes(&reader->fields, get_at_most(reader, 2, UINT16_MAX));
    reader->fields.bad |= text.length > 0 && memchr(text.data, '\0', text.length) != NULL;
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
    struct ip ip = {.family = (uint8_t)field_number(&reader->fields, 1)};
    struct span bytes = field_bytes(&reader->fields, sizeof(ip.bytes));
    reader->fields.bad |= ip.family != 0 && ip.family != 4 && ip.family != 6;
    if (!reader->fields.bad)
        memcpy(ip.bytes, bytes.data, sizeof(ip.bytes));
    return ip;
}

static struct tlsrpt_detail *get_detail(struct reader *reader)
{
    struct tlsrpt_detail *detail = tally_take(reader->tally, sizeof(*detail));
    detail->result = (enum tlsrpt_result)get_at_most(reader, 1, TLSRPT_RESULTS - 1);
    detail->sessions = field_number(&reader->fields, 8);
    detail->mx_host = get_text(reader);
    detail->helo = get_text(reader);
    detail->reason = get_text(reader);
    detail->sending = get_ip(reader);
    detail->receiving = get_ip(reader);
    reader->fields.bad |= detail->result == TLSRPT_SUCCESS;
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
    count->successes = field_number(&reader->fields, 8);
    unsigned details = get_at_most(reader, 2, TLSRPT_DETAILS_MAX + TLSRPT_RESULTS);
    struct tlsrpt_detail **at = &count->details;
    for (; details > 0 && !reader->fields.bad; details--, at = &(*at)->next) {
        *at = get_detail(reader);
        count->failures += (*at)->sessions;
    }
    return count;
}

static void get_tally(struct reader *reader)
{
    struct tlsrpt_tally *tally = reader->tally;
    reader->fields.bad |= field_number(&reader->fields, 1) != VERSION;
    tally->day = (int64_t)field_number(&reader->fields, 4);
    tally->sent = (uint32_t)field_number(&reader->fields, 4);
    tally->domain = get_text(reader);
    tally->record = get_text(reader);
    unsigned counts = get_at_most(reader, 2, TLSRPT_POLICIES_MAX);
    struct tlsrpt_count **at = &tally->counts;
    for (; counts > 0 && !reader->fields.bad; counts--, at = &(*at)->next)
        *at = get_count(reader);
    reader->fields.bad |= tally->domain[0] == '\0' || reader->fields.rest.length > 0;
}

bool tlsrpt_image_next(struct span *images, struct tlsrpt_tally *tally, struct span *image)
{
    *tally = (struct tlsrpt_tally){.bytes = sizeof(*tally)};
    struct fields lengths = {.rest = *images};
    size_t length = (size_t)field_number(&lengths, LENGTH_BYTES);
    struct reader reader = {{field_bytes(&lengths, length), false}, tally};
    if (!lengths.bad)
        get_tally(&reader);
    if (lengths.bad || reader.fields.bad) {
        tlsrpt_tally_free(tally);
        return false;
    }
    if (image != NULL)
        *image = (struct span){images->data, LENGTH_BYTES + length};
    *images = lengths.rest;
    return true;
}
