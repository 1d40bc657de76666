#include "queue/segment.h"

#include "tests/queue/bodies.h"
#include "tests/queue/faults.h"
#include "tests/queue/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

START_TEST(what_is_appended_is_read)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    char window[3];
    struct body_place one = append(segments, SPAN("one"));
    struct body_place none = append(segments, SPAN(""));
    struct body_place two = append(segments, SPAN("two and a half"));
    ck_assert_int_eq(segments_sync(segments), 0);
    reads(segments, &one, SPAN("one"));
    reads(segments, &none, SPAN(""));
    reads(segments, &two, SPAN("two and a half"));
    ck_assert_int_eq(segments_read(segments, &two, 4, window, 3), 0);
    ck_assert(span_equal((struct span){window, 3}, SPAN("and")));
    ck_assert_uint_eq(segments_bytes(segments), 17);
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

/* More bodies than one system call takes, some of them empty. */
START_TEST(a_large_batch)
{
    enum { COUNT = 3000 };
    static struct body_place places[COUNT];
    static struct segment_append bodies[COUNT];
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i < COUNT; i++) {
        places[i].length = i % 9;
        bodies[i] = (struct segment_append){letters + i % 17, &places[i]};
    }
    ck_assert_int_eq(segments_append(segments, bodies, COUNT), 0);
    for (size_t i = 0; i < COUNT; i++)
        reads(segments, &places[i], (struct span){letters + i % 17, i % 9});
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(writes_that_come_short_go_on)
{
    static struct body_place places[3] = {{.length = 10}, {.length = 3}, {.length = 7}};
    struct segment_append bodies[3] = {
        {"abcdefghij", &places[0]}, {"123", &places[1]}, {"ABCDEFG", &places[2]}};
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    write_short = 4;
    ck_assert_int_eq(segments_append(segments, bodies, 3), 0);
    write_short = 0;
    for (size_t i = 0; i < 3; i++)
        reads(segments, &places[i], (struct span){bodies[i].body, places[i].length});
    ck_assert_uint_eq(segments_bytes(segments), 20);
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(a_new_process_begins_a_new_segment)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    struct body_place first = append(segments, SPAN("first"));
    segments_close(&segments);
    segments = open_segments(&scratch);
    struct body_place second = append(segments, SPAN("second"));
    ck_assert_uint_gt(second.segment, first.segment);
    ck_assert_uint_eq(second.offset, 0);
    reads(segments, &first, SPAN("first"));
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(a_cut_append_leaves_nothing)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    struct body_place kept = append(segments, SPAN("kept"));
    append(segments, SPAN("not wanted"));
    segments_cut(segments);
    ck_assert_uint_eq(segments_bytes(segments), 4);
    struct body_place next = append(segments, SPAN("next"));
    ck_assert_uint_eq(next.offset, 4);
    reads(segments, &kept, SPAN("kept"));
    reads(segments, &next, SPAN("next"));
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

/* The file may not grow over 4,096 bytes: the batch is written in part, then fails. */
START_TEST(a_failed_append_is_cut_off)
{
    char body[3000];
    struct body_place places[2] = {{.length = sizeof(body)}, {.length = sizeof(body)}};
    struct segment_append both[2] = {{body, &places[0]}, {body, &places[1]}};
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    struct rlimit limit = {4096, RLIM_INFINITY};
    memset(body, 'b', sizeof(body));
    signal(SIGXFSZ, SIG_IGN);
    struct body_place kept = append(segments, SPAN("kept"));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(segments_append(segments, both, 2), EFBIG);
    ck_assert_uint_eq(segments_bytes(segments), 4);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(segments_append(segments, both, 2), 0);
    ck_assert_uint_eq(places[0].offset, 4);
    reads(segments, &kept, SPAN("kept"));
    reads(segments, &places[1], (struct span){body, sizeof(body)});
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(a_short_or_missing_file_is_an_error)
{
    char path[SCRATCH_MAX * 2];
    char copy[8];
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    struct body_place place = append(segments, SPAN("12345678"));
    ck_assert_int_eq(truncate(scratch_file(&scratch, "bodies/1.seg", path), 5), 0);
    ck_assert_int_eq(segments_read(segments, &place, 0, copy, 8), EIO);
    ck_assert_int_eq(segments_read(segments, &place, 0, copy, 5), 0);
    place.segment = 9;
    ck_assert_int_eq(segments_read(segments, &place, 0, copy, 5), ENOENT);
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(a_segment_goes_with_its_last_body)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    struct body_place one = append(segments, SPAN("one"));
    struct body_place two = append(segments, SPAN("two"));
    segments_close(&segments);
    segments = open_segments(&scratch);
    segments_keep(segments, &one);
    segments_keep(segments, &two);
    segments_scanned(segments);
    segments_release(segments, &two);
    ck_assert(scratch_has(&scratch, "bodies/1.seg"));
    reads(segments, &one, SPAN("one"));
    segments_release(segments, &one);
    ck_assert(!scratch_has(&scratch, "bodies/1.seg"));
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(the_segment_in_use_stays)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    segments_scanned(segments);
    struct body_place one = append(segments, SPAN("one"));
    segments_keep(segments, &one);
    segments_release(segments, &one);
    struct body_place two = append(segments, SPAN("two"));
    reads(segments, &two, SPAN("two"));
    segments_keep(segments, &two);
    segments_close(&segments);
    ck_assert(scratch_has(&scratch, "bodies/1.seg"));
    scratch_remove(&scratch);
}
END_TEST

START_TEST(an_empty_queue_leaves_no_body_behind)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    segments_scanned(segments);
    struct body_place one = append(segments, SPAN("one"));
    segments_keep(segments, &one);
    segments_release(segments, &one);
    ck_assert(scratch_has(&scratch, "bodies/1.seg"));
    segments_close(&segments);
    ck_assert(!scratch_has(&scratch, "bodies/1.seg"));
    scratch_remove(&scratch);
}
END_TEST

START_TEST(nothing_goes_before_the_scan_has_ended)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    struct body_place one = append(segments, SPAN("one"));
    segments_close(&segments);
    segments = open_segments(&scratch);
    segments_keep(segments, &one);
    segments_release(segments, &one);
    ck_assert(scratch_has(&scratch, "bodies/1.seg"));
    segments_scanned(segments);
    ck_assert(!scratch_has(&scratch, "bodies/1.seg"));
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

/* A full segment is sealed by the next append, and goes at once if all in it is dead. */
START_TEST(a_full_segment_is_sealed)
{
    struct scratch scratch = scratch_make();
    struct segments *segments;
    struct segments_options options = {.spool_directory = scratch.path};
    ck_assert_int_eq(segments_open(&options, &segments), 0);
    segments_scanned(segments);
    char *body = must_calloc(SEGMENT_BODY_MAX, 1);
    struct span whole = {body, SEGMENT_BODY_MAX};
    struct body_place first = append(segments, whole);
    segments_keep(segments, &first);
    for (size_t i = 1; i < SEGMENT_BYTES / SEGMENT_BODY_MAX; i++)
        ck_assert_uint_eq(append(segments, whole).segment, first.segment);
    struct body_place next = append(segments, SPAN("next"));
    ck_assert_uint_eq(next.segment, first.segment + 1);
    segments_keep(segments, &next);
    reads(segments, &first, whole);
    ck_assert_uint_eq(scratch_bodies(&scratch), 2);
    segments_release(segments, &first);
    ck_assert_uint_eq(scratch_bodies(&scratch), 1);
    reads(segments, &next, SPAN("next"));
    free(body);
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

static struct own_file *write_own_file(struct segments *segments, uint64_t id, struct span body)
{
    struct own_file *file;
    ck_assert_int_eq(own_file_create(segments, id, &file), 0);
    ck_assert_int_eq(own_file_write(file, body), 0);
    ck_assert_int_eq(own_file_sync(file), 0);
    return file;
}

START_TEST(own_files)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    struct body_place place = {.segment = 32, .length = 5, .own_file = true};
    struct own_file *refused = write_own_file(segments, 33, SPAN("refused"));
    struct own_file *kept = write_own_file(segments, 32, SPAN("large"));
    segments_scanned(segments);
    own_file_unlink(&refused);
    own_file_close(&kept);
    ck_assert(refused == NULL && kept == NULL);
    ck_assert_uint_eq(scratch_bodies(&scratch), 1);
    ck_assert(scratch_has(&scratch, "bodies/0000000000010.msg"));
    segments_keep(segments, &place);
    reads(segments, &place, SPAN("large"));
    ck_assert_uint_eq(segments_bytes(segments), 5);
    segments_release(segments, &place);
    ck_assert_uint_eq(scratch_bodies(&scratch), 0);
    ck_assert_uint_eq(segments_bytes(segments), 0);
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

/* After a crash: 1 belongs to a message, 2 to none, 3 is written anew while the scan runs,
 * 4 is released before the scan has ended. */
START_TEST(leftover_own_files)
{
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    for (uint64_t id = 1; id <= 4; id++) {
        struct own_file *file = write_own_file(segments, id, SPAN("large"));
        own_file_close(&file);
    }
    segments_close(&segments);
    segments = open_segments(&scratch);
    ck_assert_uint_eq(segments_bytes(segments), 20);
    struct body_place place = {.segment = 1, .length = 5, .own_file = true};
    segments_keep(segments, &place);
    struct own_file *file = write_own_file(segments, 3, SPAN("anew"));
    place.segment = 4;
    segments_keep(segments, &place);
    segments_release(segments, &place);
    ck_assert_uint_eq(scratch_bodies(&scratch), 4);
    segments_scanned(segments);
    ck_assert_uint_eq(scratch_bodies(&scratch), 2);
    ck_assert(scratch_has(&scratch, "bodies/0000000000001.msg"));
    ck_assert(scratch_has(&scratch, "bodies/0000000000003.msg"));
    own_file_close(&file);
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(nobody_else_may_look)
{
    struct stat facts;
    char path[SCRATCH_MAX * 2];
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    append(segments, SPAN("private"));
    ck_assert_int_eq(stat(scratch_file(&scratch, "bodies", path), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777u, 0700);
    ck_assert_int_eq(stat(scratch_file(&scratch, "bodies/1.seg", path), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777u, 0600);
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(what_is_not_ours_stays)
{
    char path[SCRATCH_MAX * 2];
    struct scratch scratch = scratch_make();
    struct segments *segments = open_segments(&scratch);
    static const char *const names[] = {"bodies/notes", "bodies/x.seg", "bodies/1.msg"};
    for (size_t i = 0; i < countof(names); i++)
        close(open(scratch_file(&scratch, names[i], path), O_CREAT | O_WRONLY, 0600));
    segments_close(&segments);
    segments = open_segments(&scratch);
    segments_scanned(segments);
    for (size_t i = 0; i < countof(names); i++)
        ck_assert(scratch_has(&scratch, names[i]));
    segments_close(&segments);
    scratch_remove(&scratch);
}
END_TEST

TEST_MAIN("queue/segment", what_is_appended_is_read, a_large_batch, writes_that_come_short_go_on,
          a_new_process_begins_a_new_segment, a_cut_append_leaves_nothing,
          a_failed_append_is_cut_off, a_short_or_missing_file_is_an_error,
          a_segment_goes_with_its_last_body, the_segment_in_use_stays,
          an_empty_queue_leaves_no_body_behind, nothing_goes_before_the_scan_has_ended,
          a_full_segment_is_sealed, own_files, leftover_own_files, nobody_else_may_look,
          what_is_not_ours_stays)
