#include "relay/outbound/transcript.h"

#include "base/must.h"

#include <string.h>

#define CUT_HEAD 1280 /* of a note that is too long */
#define CUT_TAIL 700

/* In front of each note's bytes. */
struct head {
    uint32_t ms;
    uint16_t length;
    uint16_t by;
};

_Static_assert(CUT_HEAD + CUT_TAIL + 16 <= TRANSCRIPT_NOTE_MAX, "a cut note is no longer");
_Static_assert(sizeof(struct head) + TRANSCRIPT_NOTE_MAX <= TRANSCRIPT_BYTES_MAX / 2,
               "any note fits into what falls out");

void transcript_begin(struct transcript *transcript, int64_t now_ms)
{
    buffer_clear(&transcript->notes);
    transcript->began_ms = now_ms;
    transcript->secret = false;
}

void transcript_free(struct transcript *transcript)
{
    buffer_free(&transcript->notes);
}

/* ---- adding ---- */

static struct head cut_head(struct span *notes)
{
    struct head head;
    must(notes->length >= sizeof(head));
    memcpy(&head, notes->data, sizeof(head));
    *notes = span_skip(*notes, sizeof(head));
    must(head.length <= notes->length);
    return head;
}

/* So much at once that it is not moved about for each note. */
static void forget_half(struct transcript *transcript)
{
    struct span notes = buffer_span(&transcript->notes);
    size_t all = notes.length;
    while (notes.length > TRANSCRIPT_BYTES_MAX / 2)
        notes = span_skip(notes, cut_head(&notes).length);
    buffer_consume(&transcript->notes, all - notes.length);
}

static void put(struct transcript *transcript, enum transcript_by by, int64_t now_ms,
                struct span one, struct span two, struct span three)
{
    size_t length = one.length + two.length + three.length;
    struct head head = {.ms = (uint32_t)(now_ms - transcript->began_ms),
                        .length = (uint16_t)length,
                        .by = (uint16_t)by};
    if (buffer_length(&transcript->notes) + sizeof(head) + length > TRANSCRIPT_BYTES_MAX)
        forget_half(transcript);
    buffer_append(&transcript->notes, (struct span){(const char *)&head, sizeof(head)});
    buffer_append(&transcript->notes, one);
    buffer_append(&transcript->notes, two);
    buffer_append(&transcript->notes, three);
}

static void put_cut(struct transcript *transcript, enum transcript_by by, int64_t now_ms,
                    struct span bytes)
{
    struct span head = bytes, tail = {0};
    if (bytes.length > TRANSCRIPT_NOTE_MAX) {
        head.length = CUT_HEAD;
        tail = span_skip(bytes, bytes.length - CUT_TAIL);
    }
    put(transcript, by, now_ms, head, tail.length > 0 ? SPAN("\r\n...\r\n") : (struct span){0},
        tail);
}

/* Where an AUTH command begins: at the end when there is none. */
static size_t find_auth(struct span bytes)
{
    static const char behind[] = "\nAUTH ";
    if (span_starts_nocase(bytes, SPAN("AUTH ")))
        return 0;
    const char *found = memmem(bytes.data, bytes.length, behind, sizeof(behind) - 1);
    return found != NULL ? (size_t)(found - bytes.data) + 1 : bytes.length;
}

/* "AUTH SCRAM-SHA-256 ", without the initial response. */
static size_t mechanism_length(struct span command)
{
    size_t at = sizeof("AUTH ") - 1;
    while (at < command.length && command.data[at] > ' ')
        at++;
    return at;
}

/* Of our side. What stands in one flight with AUTH, behind it, is left out as well. */
static void add_ours(struct transcript *transcript, int64_t now_ms, struct span bytes)
{
    if (transcript->secret) {
        put(transcript, TRANSCRIPT_RELAY, now_ms, SPAN("..."), (struct span){0}, (struct span){0});
        return;
    }
    size_t at = find_auth(bytes);
    if (at > 0)
        put_cut(transcript, TRANSCRIPT_RELAY, now_ms, (struct span){bytes.data, at});
    if (at == bytes.length)
        return;
    struct span command = span_skip(bytes, at);
    struct span shown = {command.data, mechanism_length(command)};
    bool more = command.length > shown.length + 2;
    if (shown.length > TRANSCRIPT_LINE_MAX)
        shown.length = TRANSCRIPT_LINE_MAX;
    put(transcript, TRANSCRIPT_RELAY, now_ms, shown, more ? SPAN(" ...") : (struct span){0},
        (struct span){0});
    transcript->secret = true;
}

/* 334 holds a challenge (RFC 4954 4); anything else ends the exchange. */
static void add_theirs(struct transcript *transcript, int64_t now_ms, struct span bytes)
{
    if (transcript->secret && span_starts_nocase(bytes, SPAN("334"))) {
        put(transcript, TRANSCRIPT_SERVER, now_ms, SPAN("334 ..."), (struct span){0},
            (struct span){0});
        return;
    }
    transcript->secret = false;
    put_cut(transcript, TRANSCRIPT_SERVER, now_ms, bytes);
}

void transcript_add(struct transcript *transcript, enum transcript_by by, int64_t now_ms,
                    struct span bytes)
{
    if (bytes.length == 0)
        return;
    switch (by) {
    case TRANSCRIPT_RELAY: add_ours(transcript, now_ms, bytes); return;
    case TRANSCRIPT_SERVER: add_theirs(transcript, now_ms, bytes); return;
    case TRANSCRIPT_NOTE: put_cut(transcript, by, now_ms, bytes); return;
    }
}

/* ---- reading ---- */

static void print_line(struct span from, struct transcript_line *line)
{
    size_t length = from.length < TRANSCRIPT_LINE_MAX ? from.length : TRANSCRIPT_LINE_MAX;
    for (size_t i = 0; i < length; i++)
        line->text[i] = from.data[i] >= ' ' && from.data[i] <= '~' ? from.data[i] : '?';
    memcpy(&line->text[length], from.length > length ? "..." : "", from.length > length ? 4 : 1);
}

bool transcript_next(struct transcript_reader *reader, struct transcript_line *line)
{
    struct span cut;
    if (reader->rest.length == 0) {
        if (reader->notes.length == 0)
            return false;
        struct head head = cut_head(&reader->notes);
        reader->rest = (struct span){reader->notes.data, head.length};
        reader->notes = span_skip(reader->notes, head.length);
        reader->by = (enum transcript_by)head.by;
        reader->ms = head.ms;
    }
    must(span_line(&reader->rest, &cut)); /* no note is empty */
    line->by = reader->by;
    line->ms = reader->ms;
    print_line(cut, line);
    return true;
}
