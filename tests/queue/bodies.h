/* Segments in a directory of one's own: bodies go in, and come back. */
#pragma once

#include "queue/segment.h"
#include "tests/queue/scratch.h"

static inline struct segments *open_segments(const struct scratch *scratch)
{
    struct segments *segments;
    struct segments_options options = {.spool_directory = scratch->path, .sync = true};
    ck_assert_int_eq(segments_open(&options, &segments), 0);
    return segments;
}

static inline struct body_place append(struct segments *segments, struct span body)
{
    struct body_place place = {.length = body.length};
    struct segment_append one = {body.data, &place};
    ck_assert_int_eq(segments_append(segments, &one, 1), 0);
    return place;
}

static inline void reads(struct segments *segments, const struct body_place *place,
                         struct span body)
{
    char *copy = must_calloc(body.length + 1, 1);
    ck_assert_uint_eq(place->length, body.length);
    ck_assert_int_eq(segments_read(segments, place, 0, copy, body.length), 0);
    ck_assert(span_equal((struct span){copy, body.length}, body));
    free(copy);
}
