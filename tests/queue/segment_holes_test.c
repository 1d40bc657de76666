#include "queue/blocks.h"
#include "tests/queue/bodies.h"
#include "tests/queue/faults.h"

/* Segment 1 has many bodies, of which one in twenty stays, and 2 is the newest. */

enum { HOLED = 600, HOLED_BYTES = 4000, HOLED_STAYS_OF = 20, HOLED_STAY = HOLED / HOLED_STAYS_OF };

struct holed {
    struct scratch scratch;
    struct segments *segments;
    struct body_place places[HOLED], newest;
    char body[HOLED_BYTES];
};

static struct body_place append_numbered(struct holed *holed, unsigned number)
{
    memset(holed->body, 'a' + (int)(number % 26), HOLED_BYTES);
    return append(holed->segments, (struct span){holed->body, HOLED_BYTES});
}

static void holed_reopen(struct holed *holed)
{
    segments_close(&holed->segments);
    holed->segments = open_segments(&holed->scratch);
}

static struct holed *holed_begin(void)
{
    struct holed *holed = must_calloc(1, sizeof(*holed));
    holed->scratch = scratch_make();
    holed->segments = open_segments(&holed->scratch);
    for (unsigned i = 0; i < HOLED; i++)
        holed->places[i] = append_numbered(holed, i);
    holed_reopen(holed);
    for (unsigned i = 0; i < HOLED; i++)
        holed->newest = append_numbered(holed, i);
    holed_reopen(holed);
    for (unsigned i = 0; i < HOLED; i += HOLED_STAYS_OF)
        segments_keep(holed->segments, &holed->places[i]);
    segments_keep(holed->segments, &holed->newest);
    segments_scanned(holed->segments);
    return holed;
}

static void holed_end(struct holed *holed)
{
    segments_close(&holed->segments);
    scratch_remove(&holed->scratch);
    free(holed);
}

/* What the file takes on the disk. */
static uint64_t taken(const struct holed *holed, const char *name)
{
    char path[SCRATCH_MAX * 2];
    struct stat facts;
    ck_assert_int_eq(stat(scratch_file(&holed->scratch, name, path), &facts), 0);
    return (uint64_t)facts.st_blocks * 512;
}

static void tidy(struct holed *holed, bool full)
{
    while (segments_tidy(holed->segments, full))
        full = false; /* once is enough to know of all */
}

static void all_that_stay_are_read(struct holed *holed)
{
    for (unsigned i = 0; i < HOLED; i += HOLED_STAYS_OF) {
        memset(holed->body, 'a' + (int)(i % 26), HOLED_BYTES);
        reads(holed->segments, &holed->places[i], (struct span){holed->body, HOLED_BYTES});
    }
}

START_TEST(what_is_dead_between_bodies_is_given_back_where_room_is_short)
{
    struct holed *holed = holed_begin();
    uint64_t before = segments_bytes(holed->segments), newest = taken(holed, "bodies/2.seg");
    tidy(holed, false); /* the disk has more free than that */
    ck_assert_uint_ge(taken(holed, "bodies/1.seg"), HOLED * HOLED_BYTES);
    ck_assert_uint_eq(segments_bytes(holed->segments), before);
    tidy(holed, true);
    ck_assert_uint_le(taken(holed, "bodies/1.seg"), HOLED_STAY * 2 * BLOCK_BYTES);
    ck_assert_uint_eq(taken(holed, "bodies/2.seg"), newest);
    ck_assert_uint_le(segments_bytes(holed->segments), before / 2 + HOLED_STAY * 2 * BLOCK_BYTES);
    all_that_stay_are_read(holed);
    holed_end(holed);
}
END_TEST

START_TEST(a_segment_with_holes_goes_with_its_last_body)
{
    struct holed *holed = holed_begin();
    tidy(holed, true);
    for (unsigned i = 0; i < HOLED; i += HOLED_STAYS_OF)
        segments_release(holed->segments, &holed->places[i]);
    ck_assert(!scratch_has(&holed->scratch, "bodies/1.seg"));
    tidy(holed, true);
    ck_assert_uint_eq(segments_bytes(holed->segments), HOLED * HOLED_BYTES); /* the newest */
    holed_end(holed);
}
END_TEST

/* One that goes while holes are being punched in it. */
START_TEST(a_segment_goes_in_the_middle_of_its_holes)
{
    struct holed *holed = holed_begin();
    segments_tidy(holed->segments, true);
    for (unsigned i = 0; i < HOLED; i += HOLED_STAYS_OF)
        segments_release(holed->segments, &holed->places[i]);
    tidy(holed, false);
    ck_assert_uint_eq(scratch_bodies(&holed->scratch), 1);
    holed_end(holed);
}
END_TEST

START_TEST(a_disk_without_holes_keeps_what_it_has)
{
    struct holed *holed = holed_begin();
    uint64_t before = segments_bytes(holed->segments);
    punch_error = EOPNOTSUPP;
    tidy(holed, true);
    ck_assert_uint_eq(segments_bytes(holed->segments), before);
    all_that_stay_are_read(holed);
    punch_error = 0;
    tidy(holed, true);
    ck_assert_uint_lt(segments_bytes(holed->segments), before);
    all_that_stay_are_read(holed);
    holed_end(holed);
}
END_TEST

/* As a damaged record would have it: kept and released, it changes nothing for others. */
START_TEST(a_place_outside_of_its_file)
{
    struct holed *holed = holed_begin();
    struct body_place outside = {.segment = 1, .offset = 1ull << 60, .length = 1ull << 50};
    struct body_place across = {
        .segment = 1, .offset = HOLED * HOLED_BYTES - 10, .length = 1ull << 50};
    segments_keep(holed->segments, &outside);
    segments_keep(holed->segments, &across);
    tidy(holed, true);
    segments_release(holed->segments, &outside);
    segments_release(holed->segments, &across);
    all_that_stay_are_read(holed);
    holed_end(holed);
}
END_TEST

TEST_MAIN("queue/segment_holes", what_is_dead_between_bodies_is_given_back_where_room_is_short,
          a_segment_with_holes_goes_with_its_last_body, a_segment_goes_in_the_middle_of_its_holes,
          a_disk_without_holes_keeps_what_it_has, a_place_outside_of_its_file)
