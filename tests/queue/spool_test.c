#include "queue/spool.h"

#include "tests/queue/faults.h"
#include "tests/queue/scratch.h"

#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <sys/wait.h>
#include <sysexits.h>

static struct spool_facts facts_of(struct spool *spool)
{
    struct spool_facts facts;
    spool_facts(spool, &facts);
    return facts;
}

/* ---- opening ---- */

static int refused(const char *directory, char *why, size_t why_size)
{
    struct spool_options options = {
        .directory = directory, .map_bytes = SMALL_MAP, .min_free_bytes = 1};
    int exit_code = 0;
    ck_assert_ptr_null(spool_open(&options, why, why_size, &exit_code));
    ck_assert_ptr_nonnull(strstr(why, directory));
    ck_assert_ptr_null(strchr(why, '\n'));
    return exit_code;
}

static void fill_envelope(struct envelope *envelope)
{
    envelope->attempts = 7;
    envelope->last_reply = "try later";
    envelope->last_host = "mx.test[192.0.2.1]:25";
    ck_assert(envelope_add(envelope, SPAN("other@example.test")));
    envelope->recipients[1].code = 451;
    envelope->recipients[1].status = (struct status){4, 7, 1};
}

START_TEST(survives_a_restart)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    struct piece piece = make_piece(spool, SPAN("the body"));
    uint64_t id = piece.message->id;
    fill_envelope(piece.envelope);
    ck_assert_int_eq(accept_piece(spool, &piece), SPOOL_OK);
    free_piece(&piece);
    spool_close(&spool);
    ck_assert_ptr_null(spool);

    spool = scratch_open(&scratch, SMALL_MAP);
    scratch_scan(spool);
    struct envelope *envelope = spool_read(spool, id, 0);
    ck_assert_ptr_nonnull(envelope);
    ck_assert_str_eq(envelope->destination, "example.test");
    ck_assert_str_eq(envelope->last_reply, "try later");
    ck_assert(envelope->attempts == 7 && envelope->due_ms == 1000 && envelope->count == 2);
    ck_assert_str_eq(envelope->recipients[1].path, "other@example.test");
    ck_assert_uint_eq(envelope->recipients[1].code, 451);
    ck_assert_str_eq(envelope->message->sender, "sender@app.test");
    ck_assert_int_eq(envelope->message->arrived_ms, 12345);
    char body[9] = "";
    ck_assert_int_eq(segments_read(spool_segments(spool), &envelope->message->place, 0, body, 8),
                     0);
    ck_assert_str_eq(body, "the body");
    envelope_free(&envelope);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(makes_its_directory)
{
    struct stat facts;
    struct scratch scratch = scratch_make();
    struct scratch deep;
    char path[SCRATCH_MAX * 2];
    snprintf(deep.path, sizeof(deep.path), "%.200s/var//deep/spool/", scratch.path);
    struct spool *spool = scratch_open(&deep, SMALL_MAP);
    ck_assert_int_eq(stat(scratch_file(&scratch, "var/deep", path), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777u, 0700);
    ck_assert_int_eq(stat(scratch_file(&scratch, "var/deep/spool/data.mdb", path), &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 0777u, 0600);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(one_process_at_a_time)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    char why[300];
    char holder[64];
    snprintf(holder, sizeof(holder), "in use by process %ld", (long)getpid());
    ck_assert_int_eq(refused(scratch.path, why, sizeof(why)), EX_TEMPFAIL);
    ck_assert_ptr_nonnull(strstr(why, holder));
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(refused(scratch.path, why, sizeof(why)));
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == EX_TEMPFAIL);
    ck_assert_uint_ne(accept_body(spool, SPAN("still works")), 0);
    spool_close(&spool);
    spool = scratch_open(&scratch, SMALL_MAP);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

static void put_format(const struct scratch *scratch, uint64_t format)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;
    MDB_val key = {6, (char[]){'f', 'o', 'r', 'm', 'a', 't'}};
    MDB_val value = {sizeof(format), &format};
    ck_assert_int_eq(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 4);
    ck_assert_int_eq(mdb_env_open(env, scratch->path, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "meta", MDB_CREATE, &meta), 0);
    ck_assert_int_eq(mdb_put(txn, meta, &key, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

START_TEST(a_newer_format_is_refused)
{
    struct scratch scratch = scratch_make();
    char why[300];
    put_format(&scratch, SPOOL_FORMAT + 1);
    ck_assert_int_eq(refused(scratch.path, why, sizeof(why)), EX_DATAERR);
    ck_assert_ptr_nonnull(strstr(why, "has format 2, this program knows up to 1"));
    put_format(&scratch, SPOOL_FORMAT);
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

START_TEST(what_is_no_spool_is_refused)
{
    struct scratch scratch = scratch_make();
    char path[SCRATCH_MAX * 2];
    char why[300];
    int file = open(scratch_file(&scratch, "file", path), O_CREAT | O_WRONLY, 0600);
    close(file);
    ck_assert_int_eq(refused(path, why, sizeof(why)), EX_CANTCREAT);
    scratch_file(&scratch, "file/below", path);
    ck_assert_int_eq(refused(path, why, sizeof(why)), EX_CANTCREAT);
    ck_assert_ptr_nonnull(strstr(why, "there is a file of that name"));

    char garbage[8192];
    memset(garbage, 'g', sizeof(garbage));
    file = open(scratch_file(&scratch, "data.mdb", path), O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(write(file, garbage, sizeof(garbage)), sizeof(garbage));
    close(file);
    ck_assert_int_eq(refused(scratch.path, why, sizeof(why)), EX_DATAERR);
    ck_assert_ptr_nonnull(strstr(why, "damaged"));
    scratch_remove(&scratch);
}
END_TEST

START_TEST(what_may_not_be_read_is_refused)
{
    struct scratch scratch = scratch_make();
    char why[300];
    ck_assert_int_eq(chmod(scratch.path, 0), 0);
    bool root = geteuid() == 0;
    ck_assert(!root || seteuid(65534) == 0);
    ck_assert_int_eq(refused(scratch.path, why, sizeof(why)), EX_NOPERM);
    ck_assert(!root || seteuid(0) == 0);
    ck_assert_int_eq(chmod(scratch.path, 0700), 0);
    scratch_remove(&scratch);
}
END_TEST

/* ---- ids ---- */

START_TEST(ids_never_come_twice)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    uint64_t first = spool_next_id(spool, SCRATCH_WALL_MS);
    ck_assert_int_eq(message_id_ms(first), SCRATCH_WALL_MS);
    ck_assert_uint_eq(spool_next_id(spool, SCRATCH_WALL_MS), first + 1);
    ck_assert_uint_eq(spool_next_id(spool, SCRATCH_WALL_MS - 5000), first + 2);
    ck_assert_int_eq(message_id_ms(spool_next_id(spool, SCRATCH_WALL_MS + 90000)),
                     SCRATCH_WALL_MS + 90000);
    uint64_t stored = accept_body(spool, SPAN("body"));
    spool_close(&spool);
    spool = scratch_open(&scratch, SMALL_MAP);
    ck_assert_uint_gt(spool_next_id(spool, 1000), stored); /* the clock went back for years */
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

enum { THREADS = 4, IDS_EACH = 20000 };

struct id_taker {
    pthread_t thread;
    struct spool *spool;
    uint64_t ids[IDS_EACH];
};

static void *take_ids(void *argument)
{
    struct id_taker *taker = argument;
    for (int i = 0; i < IDS_EACH; i++)
        taker->ids[i] = spool_next_id(taker->spool, SCRATCH_WALL_MS + i / 100);
    return NULL;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(threads_share_the_ids)
{
    static struct id_taker takers[THREADS];
    static uint64_t all[THREADS * IDS_EACH];
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    for (size_t i = 0; i < THREADS; i++) {
        takers[i].spool = spool;
        ck_assert_int_eq(pthread_create(&takers[i].thread, NULL, take_ids, &takers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(takers[i].thread, NULL);
        memcpy(all + i * IDS_EACH, takers[i].ids, sizeof(takers[i].ids));
        for (size_t j = 1; j < IDS_EACH; j++)
            ck_assert_uint_gt(takers[i].ids[j], takers[i].ids[j - 1]);
    }
    qsort(all, countof(all), sizeof(all[0]), compare_ids);
    for (size_t i = 1; i < countof(all); i++)
        ck_assert_uint_ne(all[i], all[i - 1]);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

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
        {ENOSPC, 0, SPOOL_FULL},  {EDQUOT, 0, SPOOL_FULL},   {EFBIG, 0, SPOOL_FULL},
        {EIO, 0, SPOOL_BROKEN},   {EROFS, 0, SPOOL_BROKEN},  {0, EIO, SPOOL_BROKEN},
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

TEST_MAIN("queue/spool", survives_a_restart, makes_its_directory, one_process_at_a_time,
          a_newer_format_is_refused, what_is_no_spool_is_refused, what_may_not_be_read_is_refused,
          ids_never_come_twice, threads_share_the_ids, a_message_goes_with_its_last_envelope,
          updates, an_aborted_batch_changes_nothing, a_failed_commit_changes_nothing,
          bodies_that_cannot_be_written, syncs_as_it_is_told, a_full_map_recovers,
          verdicts_may_not_fit, a_full_disk_refuses_mail_but_not_verdicts, scans_in_order_page_by_page,
          books_are_right_while_the_scan_runs, a_torn_tail_is_harmless)
