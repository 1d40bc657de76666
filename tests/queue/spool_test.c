#include "queue/spool_inside.h"

#include "tests/queue/faults.h"
#include "tests/queue/scratch.h"

#include <fcntl.h>

static struct spool_facts facts_of(struct spool *spool)
{
    struct spool_facts facts;
    spool_facts(spool, &facts);
    return facts;
}

/* ---- batches ---- */

START_TEST(a_message_goes_with_its_last_envelope)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    struct message *message = make_message(spool, SPAN("body"));
    struct envelope *envelopes[3];
    struct segment_append append = {message->body, &message->place};
    struct spool_batch batch;
    for (uint16_t i = 0; i < 3; i++)
        envelopes[i] = make_envelope(message, i);
    spool_begin(spool, &batch, true);
    spool_append(&batch, &append, 1);
    spool_accept(&batch, message, envelopes, 3);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    ck_assert_uint_eq(facts_of(spool).envelopes, 3);
    ck_assert_int_eq(remove_one(spool, message->id, 1), SPOOL_OK);
    ck_assert_int_eq(remove_one(spool, message->id, 1), SPOOL_OK); /* counts once only */
    ck_assert_int_eq(remove_one(spool, message->id, 9), SPOOL_OK); /* was never there */
    ck_assert(is_stored(spool, message->id, 0) && !is_stored(spool, message->id, 1));
    ck_assert_int_eq(remove_one(spool, message->id, 2), SPOOL_OK);
    ck_assert(is_stored(spool, message->id, 0));
    ck_assert_uint_eq(facts_of(spool).messages, 1);
    ck_assert_int_eq(remove_one(spool, message->id, 0), SPOOL_OK);
    ck_assert_uint_eq(facts_of(spool).messages, 0);
    ck_assert_uint_eq(facts_of(spool).envelopes, 0);
    for (size_t i = 0; i < 3; i++)
        envelope_free(&envelopes[i]);
    message_drop(&message);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(updates)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    struct spool_batch batch;
    uint64_t id = accept_body(spool, SPAN("body"));
    struct envelope *envelope = spool_read(spool, id, 0);
    envelope->attempts = 1;
    envelope->due_ms = 99;
    envelope->last_reply = "a reply that makes the record longer";
    spool_begin(spool, &batch, false);
    spool_update(&batch, envelope);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    struct envelope *again = spool_read(spool, id, 0);
    ck_assert_int_eq(again->due_ms, 99);
    ck_assert_str_eq(again->last_reply, envelope->last_reply);
    envelope_free(&again);
    ck_assert_int_eq(remove_one(spool, id, 0), SPOOL_OK);
    spool_begin(spool, &batch, false);
    spool_update(&batch, envelope);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    ck_assert_uint_eq(facts_of(spool).envelopes, 0); /* gone stays gone */
    envelope_free(&envelope);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

static void put_hold(struct spool *spool, uint64_t id, const struct hold *hold)
{
    struct spool_batch batch;
    spool_begin(spool, &batch, false);
    spool_hold(&batch, id, 0, hold);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
}

static void assert_held(struct spool *spool, uint64_t id, bool held, const char *reason,
                        int64_t due_ms)
{
    struct envelope *envelope CLEANUP(envelope_free) = spool_read(spool, id, 0);
    ck_assert_int_eq(envelope->held, held);
    ck_assert_str_eq(envelope->hold_reason, reason);
    ck_assert_int_eq(envelope->due_ms, due_ms);
}

START_TEST(a_hold_outlasts_attempts_until_released)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    struct spool_batch batch;
    uint64_t id = accept_body(spool, SPAN("body"));
    struct envelope *attempted = spool_read(spool, id, 0); /* claimed before it is held */
    put_hold(spool, id, &(struct hold){.held = true, .reason = "a look first"});
    assert_held(spool, id, true, "a look first", 1000);
    attempted->due_ms = 99;
    spool_begin(spool, &batch, false);
    spool_update(&batch, attempted);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    assert_held(spool, id, true, "a look first", 99);
    put_hold(spool, id, &(struct hold){.due_ms = 4711});
    assert_held(spool, id, false, "", 4711);
    attempted->held = true; /* an attempt's own word */
    attempted->hold_reason = "in doubt";
    spool_begin(spool, &batch, false);
    spool_update(&batch, attempted);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    assert_held(spool, id, true, "in doubt", 99);
    ck_assert_int_eq(remove_one(spool, id, 0), SPOOL_OK);
    put_hold(spool, id, &(struct hold){.held = true, .reason = "too late"});
    ck_assert_uint_eq(facts_of(spool).envelopes, 0); /* gone stays gone */
    envelope_free(&attempted);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(an_aborted_batch_changes_nothing)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    struct spool_batch batch;
    uint64_t before = accept_body(spool, SPAN("before"));
    uint64_t bytes = segments_bytes(spool_segments(spool));
    struct piece piece = make_piece(spool, SPAN("aborted"));
    spool_begin(spool, &batch, true);
    batch_accept(&batch, &piece);
    spool_remove(&batch, before, 0);
    spool_abort(&batch);
    ck_assert(is_stored(spool, before, 0));
    ck_assert(!is_stored(spool, piece.message->id, 0));
    ck_assert_uint_eq(segments_bytes(spool_segments(spool)), bytes);
    free_piece(&piece);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

static void fault(int of_writing, int of_syncing)
{
    write_error = of_writing;
    sync_error = of_syncing;
}

/* One batch that removes one message and accepts another, on a disk that fails. */
static enum spool_result mixed_batch(struct spool *spool, uint64_t removed, struct piece *piece,
                                     int of_writing, int of_syncing)
{
    struct spool_batch batch;
    spool_begin(spool, &batch, true);
    batch_accept(&batch, piece); /* a body is written with the disk still good */
    spool_remove(&batch, removed, 0);
    fault(of_writing, of_syncing);
    enum spool_result result = spool_commit(&batch);
    fault(0, 0);
    return result;
}

START_TEST(a_failed_commit_changes_nothing)
{
    static const struct {
        int write_error, sync_error;
        enum spool_result result;
    } table[] = {
        {ENOSPC, 0, SPOOL_FULL},   {EDQUOT, 0, SPOOL_FULL},  {EFBIG, 0, SPOOL_FULL},
        {EIO, 0, SPOOL_BROKEN},    {EROFS, 0, SPOOL_BROKEN}, {0, EIO, SPOOL_BROKEN},
        {0, ENOSPC, SPOOL_BROKEN}, {0, 0, SPOOL_OK},
    };
    for (size_t i = 0; i < countof(table); i++) {
        struct scratch scratch = scratch_make();
        struct spool *spool = scratch_open(&scratch, SMALL_MAP);
        uint64_t old = accept_body(spool, SPAN("old"));
        uint64_t bytes = segments_bytes(spool_segments(spool));
        struct piece piece = make_piece(spool, SPAN("new"));
        enum spool_result result =
            mixed_batch(spool, old, &piece, table[i].write_error, table[i].sync_error);
        bool done = table[i].result == SPOOL_OK;
        ck_assert_int_eq(result, table[i].result);
        ck_assert(is_stored(spool, old, 0) != done);
        ck_assert(is_stored(spool, piece.message->id, 0) == done);
        ck_assert_uint_eq(segments_bytes(spool_segments(spool)), bytes + (done ? 3 : 0));
        ck_assert(done || strlen(spool_why(spool)) > 0);
        ck_assert(spool_full(spool) == (result == SPOOL_FULL));
        if (result == SPOOL_FULL) /* and when there is room again all goes on */
            ck_assert_int_eq(mixed_batch(spool, old, &piece, 0, 0), SPOOL_OK);
        free_piece(&piece);
        spool_close(&spool);
        scratch_remove(&scratch);
    }
}
END_TEST

START_TEST(bodies_that_cannot_be_written)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    fault(ENOSPC, 0);
    ck_assert_uint_eq(accept_body(spool, SPAN("no room")), 0);
    fault(0, 0);
    ck_assert_uint_eq(facts_of(spool).messages, 0);
    ck_assert_uint_ne(accept_body(spool, SPAN("room")), 0);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

/* Two at least: the bodies, then the pages that point at them. */
START_TEST(syncs_as_it_is_told)
{
    static const struct {
        enum durability durability;
        unsigned least, most;
    } table[] = {{DURABILITY_COMMIT, 2, 2}, {DURABILITY_RELAXED, 1, 1}, {DURABILITY_NONE, 0, 0}};
    for (size_t i = 0; i < countof(table); i++) {
        struct scratch scratch = scratch_make();
        struct spool_options options = scratch_options(&scratch, SMALL_MAP);
        char why[300];
        int exit_code;
        options.durability = table[i].durability;
        struct spool *spool = spool_open(&options, why, sizeof(why), &exit_code);
        ck_assert_uint_ne(accept_body(spool, SPAN("first")), 0); /* relaxed: synced now */
        syncs = 0;
        ck_assert_uint_ne(accept_body(spool, SPAN("second")), 0);
        if (table[i].durability != DURABILITY_RELAXED) /* a slow machine may sync once more */
            ck_assert_uint_le(syncs, table[i].most);
        ck_assert_uint_ge(syncs, table[i].least);
        spool_close(&spool);
        scratch_remove(&scratch);
    }
}
END_TEST

/* ---- room ---- */

/* Accepts until there is no more room; the ids. */
static size_t fill(struct spool *spool, uint64_t *ids, size_t max)
{
    size_t count = 0;
    for (uint64_t id; count < max && (id = accept_body(spool, SPAN("small"))) != 0;)
        ids[count++] = id;
    ck_assert_uint_lt(count, max);
    return count;
}

START_TEST(a_full_map_recovers)
{
    enum { MAX = 20000 };
    static uint64_t ids[MAX];
    struct scratch scratch = scratch_make();
    struct spool_options options = scratch_options(&scratch, TINY_MAP);
    char why[300];
    int exit_code;
    options.durability = DURABILITY_NONE;
    struct spool *spool = spool_open(&options, why, sizeof(why), &exit_code);
    size_t first_count = 0;
    for (int round = 0; round < 5; round++) {
        size_t count = fill(spool, ids, MAX);
        ck_assert_uint_gt(count, 500);
        ck_assert(spool_full(spool));
        ck_assert_uint_eq(facts_of(spool).messages, count);
        first_count = round == 0 ? count : first_count;
        ck_assert_uint_gt(count, first_count * 8 / 10); /* no room gets lost */
        for (size_t i = 0; i < count; i++) /* scattered: every page is touched again and again */
            ck_assert_int_eq(remove_one(spool, ids[i * 997 % count], 0), SPOOL_OK);
        for (size_t i = 0; i < count; i++)
            ck_assert_int_eq(remove_one(spool, ids[i], 0), SPOOL_OK);
        ck_assert_uint_eq(facts_of(spool).messages, 0);
    }
    ck_assert_uint_ne(accept_body(spool, SPAN("at the end")), 0);
    ck_assert(!spool_full(spool));
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

/* Verdicts that outgrow even the reserve: none of the batch is done, and nothing is broken. */
START_TEST(verdicts_may_not_fit)
{
    enum { MAX = 20000 };
    static uint64_t ids[MAX];
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, TINY_MAP);
    struct spool_batch batch;
    char reply[REPLY_KEPT_MAX + 1];
    memset(reply, 'r', REPLY_KEPT_MAX);
    reply[REPLY_KEPT_MAX] = '\0';
    size_t count = fill(spool, ids, MAX);
    spool_begin(spool, &batch, false);
    for (size_t i = 0; i < count; i++) {
        struct envelope *envelope = spool_read(spool, ids[i], 0);
        envelope->last_reply = reply;
        spool_update(&batch, envelope);
        envelope_free(&envelope);
    }
    ck_assert_int_eq(spool_commit(&batch), SPOOL_FULL);
    struct envelope *envelope = spool_read(spool, ids[0], 0);
    ck_assert_str_eq(envelope->last_reply, "");
    envelope_free(&envelope);
    ck_assert_int_eq(remove_one(spool, ids[0], 0), SPOOL_OK);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(a_full_disk_refuses_mail_but_not_verdicts)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    uint64_t id = accept_body(spool, SPAN("body"));
    spool_close(&spool);
    struct spool_options options = scratch_options(&scratch, SMALL_MAP);
    char why[300];
    int exit_code;
    options.min_free_bytes = UINT64_MAX;
    spool = spool_open(&options, why, sizeof(why), &exit_code);
    ck_assert_ptr_nonnull(spool);
    ck_assert_uint_eq(accept_body(spool, SPAN("no room")), 0);
    ck_assert(spool_full(spool));
    ck_assert_ptr_nonnull(strstr(spool_why(spool), "disk"));
    ck_assert_int_eq(remove_one(spool, id, 0), SPOOL_OK);
    ck_assert_uint_eq(facts_of(spool).messages, 0);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

/* ---- scans ---- */

enum { SCANNED = 25 };

/* Ids in an order that is not theirs, as the batches of several workers bring them. */
static void accept_out_of_order(struct spool *spool, uint64_t ids[SCANNED])
{
    struct piece pieces[SCANNED];
    struct segment_append bodies[SCANNED];
    struct spool_batch batch;
    for (size_t i = 0; i < SCANNED; i++) {
        pieces[i] = make_piece(spool, SPAN("body"));
        ids[i] = pieces[i].message->id;
        bodies[i] = (struct segment_append){pieces[i].message->body, &pieces[i].message->place};
    }
    spool_begin(spool, &batch, true);
    spool_append(&batch, bodies, SCANNED);
    for (size_t i = 0; i < SCANNED; i++) {
        struct piece *piece = &pieces[i * 7 % SCANNED];
        spool_accept(&batch, piece->message, &piece->envelope, 1);
    }
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    for (size_t i = 0; i < SCANNED; i++)
        free_piece(&pieces[i]);
}

START_TEST(scans_in_order_page_by_page)
{
    static const size_t pages[] = {1, 3, 24, 25, 26, 100};
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    struct spool_glance glances[100];
    uint64_t ids[SCANNED];
    uint64_t id = 0;
    uint16_t number = 0;
    ck_assert_uint_eq(spool_scan(spool, &id, &number, true, glances, 10), 0);
    accept_out_of_order(spool, ids);
    for (size_t i = 0; i < countof(pages); i++) {
        size_t seen = 0;
        size_t count;
        id = number = 0;
        while ((count = spool_scan(spool, &id, &number, seen == 0, glances, pages[i])) > 0) {
            ck_assert_uint_le(count, pages[i]);
            for (size_t j = 0; j < count; j++) {
                ck_assert_uint_lt(seen, SCANNED);
                ck_assert_uint_eq(glances[j].id, ids[seen++]);
                ck_assert_str_eq(glances[j].destination, "example.test");
                ck_assert(glances[j].recipients == 1 && glances[j].due_ms == 1000);
            }
        }
        ck_assert_uint_eq(seen, SCANNED);
    }
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

/* Restart with mail; some goes before the scan has come to it, some behind its back, and new
 * mail comes meanwhile. The old segment must live exactly as long as its last body. */
/* Of the map. */
static unsigned long resident_kib(const struct spool *spool)
{
    unsigned long resident = 0;
    char line[512];
    FILE *file = fopen("/proc/self/smaps", "re");
    ck_assert_ptr_nonnull(file);
    bool found = false;
    while (fgets(line, sizeof(line), file) != NULL) {
        unsigned long start, kib;
        if (sscanf(line, "%lx-%*x", &start) == 1)
            found = (void *)start == spool->map;
        else if (found && sscanf(line, "Rss: %lu kB", &kib) == 1)
            resident = kib;
    }
    fclose(file);
    return resident;
}

START_TEST(what_was_read_is_let_go_of_and_read_again)
{
    enum { MANY = 2000, ROUNDS = 17 }; /* over 32,768 records */
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    struct spool_glance *glances = must_calloc(MANY, sizeof(*glances));
    struct spool_batch batch;
    struct piece piece = make_piece(spool, SPAN("body"));
    spool_begin(spool, &batch, true);
    batch_accept(&batch, &piece);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    for (int i = 0; i < MANY - 1; i++) {
        piece.message->id = spool_next_id(spool, SCRATCH_WALL_MS);
        piece.envelope->id = piece.message->id;
        if (i % 500 == 0)
            spool_begin(spool, &batch, true);
        spool_accept(&batch, piece.message, &piece.envelope, 1);
        if (i % 500 == 499 || i == MANY - 2)
            ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    }
    ck_assert_ptr_nonnull(spool->map);
    bool let_go = false;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t id = 0;
        uint16_t number = 0;
        ck_assert_uint_eq(spool_scan(spool, &id, &number, true, glances, MANY), MANY);
        ck_assert_str_eq(glances[MANY - 1].destination, "example.test");
        let_go = let_go || resident_kib(spool) == 0;
    }
    ck_assert(let_go);
    free(glances);
    free_piece(&piece);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(books_are_right_while_the_scan_runs)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    uint64_t ids[SCANNED];
    accept_out_of_order(spool, ids);
    spool_close(&spool);
    spool = scratch_open(&scratch, SMALL_MAP);
    ck_assert_int_eq(remove_one(spool, ids[0], 0), SPOOL_OK);
    ck_assert_uint_eq(spool_scan_bodies(spool, 10), 10); /* 1 to 10 */
    ck_assert_int_eq(remove_one(spool, ids[3], 0), SPOOL_OK);
    ck_assert_int_eq(remove_one(spool, ids[10], 0), SPOOL_OK);
    ck_assert_int_eq(remove_one(spool, ids[20], 0), SPOOL_OK);
    uint64_t fresh = accept_body(spool, SPAN("fresh"));
    ck_assert_uint_eq(spool_scan_bodies(spool, 100), 13);
    ck_assert_uint_eq(spool_scan_bodies(spool, 100), 0);
    ck_assert_uint_eq(scratch_bodies(&scratch), 2);
    for (size_t i = 0; i < SCANNED; i++) {
        ck_assert(scratch_has(&scratch, "bodies/1.seg"));
        ck_assert_int_eq(remove_one(spool, ids[(i + 5) % SCANNED], 0), SPOOL_OK);
    }
    ck_assert(!scratch_has(&scratch, "bodies/1.seg"));
    ck_assert(is_stored(spool, fresh, 0));
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(a_torn_tail_is_harmless)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    uint64_t id = accept_body(spool, SPAN("whole"));
    spool_close(&spool);
    char path[SCRATCH_MAX * 2];
    int file = open(scratch_file(&scratch, "bodies/1.seg", path), O_WRONLY | O_APPEND);
    ck_assert_int_eq(write(file, "torn ta", 7), 7);
    close(file);
    file = open(scratch_file(&scratch, "bodies/2.seg", path), O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(file, "never committed", 15), 15);
    close(file);
    spool = scratch_open(&scratch, SMALL_MAP);
    scratch_scan(spool);
    ck_assert(!scratch_has(&scratch, "bodies/2.seg"));
    ck_assert(is_stored(spool, id, 0));
    uint64_t next = accept_body(spool, SPAN("next"));
    struct envelope *envelope = spool_read(spool, next, 0);
    char body[5] = "";
    ck_assert_int_eq(segments_read(spool_segments(spool), &envelope->message->place, 0, body, 4),
                     0);
    ck_assert_str_eq(body, "next");
    envelope_free(&envelope);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

TEST_MAIN("queue/spool", a_message_goes_with_its_last_envelope, updates,
          a_hold_outlasts_attempts_until_released, an_aborted_batch_changes_nothing,
          a_failed_commit_changes_nothing, bodies_that_cannot_be_written, syncs_as_it_is_told,
          a_full_map_recovers, verdicts_may_not_fit, a_full_disk_refuses_mail_but_not_verdicts,
          scans_in_order_page_by_page, what_was_read_is_let_go_of_and_read_again,
          books_are_right_while_the_scan_runs, a_torn_tail_is_harmless)
