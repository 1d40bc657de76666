/* Whatever comes behind DATA or in the octets of BDAT: only CRLF.CRLF ends it, any cut gives the
 * same body, that has lines only, and written again it is read again. The first byte chooses which
 * of the two it is, and how long the pieces are. */
#include "relay/smtp/data.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

struct reading {
    struct data_reader reader;
    struct buffer body;
    size_t used;
    bool ended;
};

static void reading_free(struct reading *reading)
{
    buffer_free(&reading->body);
}

static struct reading read_in(struct span all, bool chunked, size_t piece)
{
    struct reading reading = {0};
    if (chunked)
        data_reader_init_chunked(&reading.reader);
    else
        data_reader_init(&reading.reader);
    while (!reading.ended && all.length > 0) {
        struct span next = take_piece(&all, piece);
        size_t used;
        reading.ended = data_read(&reading.reader, next, &reading.body, &used);
        must(used == next.length || (reading.ended && used < next.length));
        reading.used += used;
    }
    if (chunked)
        data_read_end(&reading.reader, &reading.body);
    return reading;
}

/* As RFC 5321 4.1.1.4 has it: the dot's line, whose CRLF before it ends the line before. */
static size_t dot_ends(struct span all, bool *found)
{
    *found = span_starts_nocase(all, SPAN(".\r\n"));
    if (*found)
        return 3;
    const char *at = all.length > 0 ? memmem(all.data, all.length, "\r\n.\r\n", 5) : NULL;
    *found = at != NULL;
    return at != NULL ? (size_t)(at - all.data) + 5 : all.length;
}

/* In lines, but for the last one of what has not ended yet. */
static void must_be_body(const struct reading *reading, bool whole)
{
    struct span body = buffer_span(&reading->body);
    struct buffer lines CLEANUP(buffer_free) = {0};
    if (body.length == 0)
        return;
    buffer_append(&lines, body);
    if (!whole)
        buffer_append(&lines, SPAN("\r\n"));
    must_be_lines(buffer_span(&lines));
}

static void write_again(const struct reading *reading, size_t piece)
{
    struct buffer wire CLEANUP(buffer_free) = {0};
    struct data_writer writer;
    data_writer_init(&writer);
    for (struct span rest = buffer_span(&reading->body); rest.length > 0;)
        data_write(&writer, take_piece(&rest, piece), &wire);
    data_write_end(&writer, &wire);
    struct reading again CLEANUP(reading_free) = read_in(buffer_span(&wire), false, SIZE_MAX);
    must(again.ended && again.used == buffer_length(&wire) && !again.reader.bare);
    must(span_equal(buffer_span(&again.body), buffer_span(&reading->body)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span all = {(const char *)data, size};
    unsigned choice = take_choice(&all, 64);
    bool chunked = choice & 1, found;
    size_t piece = 1 + choice / 2;
    struct reading whole CLEANUP(reading_free) = read_in(all, chunked, SIZE_MAX);
    struct reading pieces CLEANUP(reading_free) = read_in(all, chunked, piece);
    must(whole.ended == pieces.ended && whole.used == pieces.used);
    must(whole.reader.bare == pieces.reader.bare);
    must(span_equal(buffer_span(&whole.body), buffer_span(&pieces.body)));
    size_t end = dot_ends(all, &found);
    must(chunked ? !whole.ended && whole.used == all.length
                 : whole.ended == found && whole.used == end);
    must_be_body(&whole, whole.ended || chunked);
    if (whole.ended || chunked)
        write_again(&whole, piece);
    return 0;
}
