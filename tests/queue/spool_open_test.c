/* Opening a spool, and what lasts from one process to the next. */
#include "queue/spool.h"

#include "tests/queue/scratch.h"

#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <sys/wait.h>
#include <sysexits.h>

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
    ck_assert(envelope_add(envelope, SPAN("other@example.test"), SPAN("")));
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

START_TEST(another_format_is_refused)
{
    struct scratch scratch = scratch_make();
    char why[300];
    put_format(&scratch, SPOOL_FORMAT + 1);
    ck_assert_int_eq(refused(scratch.path, why, sizeof(why)), EX_DATAERR);
    ck_assert_ptr_nonnull(strstr(why, "has format 3, this program reads 2 only: install"));
    put_format(&scratch, SPOOL_FORMAT - 1);
    ck_assert_int_eq(refused(scratch.path, why, sizeof(why)), EX_DATAERR);
    ck_assert_ptr_nonnull(strstr(why, "has format 1, this program reads 2 only: let the older"));
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

/* Of an index that a crash cut short while it was made nothing is read. */
START_TEST(an_index_half_made_is_made_anew)
{
    struct scratch scratch = scratch_make();
    char path[SCRATCH_MAX * 2];
    int file = open(scratch_file(&scratch, "data.mdb.new", path), O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(ftruncate(file, 8192), 0);
    close(file);
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    ck_assert(!scratch_has(&scratch, "data.mdb.new") && scratch_has(&scratch, "data.mdb"));
    ck_assert_uint_ne(accept_body(spool, SPAN("body")), 0);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

/* Else its dead bytes would be taken off those of the living, and that one go too early. */
START_TEST(no_new_segment_is_called_as_one_that_is_missing)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    uint64_t lost = accept_body(spool, SPAN("the body of this one is lost"));
    spool_close(&spool);
    char path[SCRATCH_MAX * 2];
    ck_assert_int_eq(unlink(scratch_file(&scratch, "bodies/1.seg", path)), 0);
    spool = scratch_open(&scratch, SMALL_MAP);
    uint64_t fresh = accept_body(spool, SPAN("fresh"));
    struct envelope *envelope = spool_read(spool, fresh, 0);
    ck_assert_uint_gt(envelope->message->place.segment, 1);
    envelope_free(&envelope);
    scratch_scan(spool);
    ck_assert_int_eq(remove_one(spool, lost, 0), SPOOL_OK);
    ck_assert_uint_eq(scratch_bodies(&scratch), 1);
    ck_assert_int_eq(remove_one(spool, fresh, 0), SPOOL_OK);
    spool_close(&spool);
    ck_assert_uint_eq(scratch_bodies(&scratch), 0);
    scratch_remove(&scratch);
}
END_TEST

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

TEST_MAIN("queue/spool_open", survives_a_restart, makes_its_directory, one_process_at_a_time,
          another_format_is_refused, what_is_no_spool_is_refused, what_may_not_be_read_is_refused,
          ids_never_come_twice, an_index_half_made_is_made_anew,
          no_new_segment_is_called_as_one_that_is_missing, threads_share_the_ids)
