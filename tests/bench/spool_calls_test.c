#include "bench/spool_calls.h"

#include "tests/queue/scratch.h"

static uint64_t size_of(const struct scratch *scratch, const char *name)
{
    char path[SCRATCH_MAX * 2];
    struct stat facts;
    ck_assert_msg(stat(scratch_file(scratch, name, path), &facts) == 0, "%s", name);
    return (uint64_t)facts.st_size;
}

static void accept_some(struct spool *spool, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_ne(accept_body(spool, SPAN("a body")), 0);
}

static struct replay *replay_beside(const struct scratch *scratch)
{
    char data[SCRATCH_MAX * 2], directory[SCRATCH_MAX * 2];
    return replay_open(scratch_file(scratch, "data.mdb", data),
                       scratch_file(scratch, "again", directory));
}

START_TEST(what_is_done_again_leaves_files_of_the_same_size)
{
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    struct replay *replay = replay_beside(&scratch);
    struct calls calls = {0};
    struct calls_sum did = {0}, again = {0};
    calls_start(&calls, &did);
    accept_some(spool, 50);
    calls_stop();
    char *from = must_calloc(1, calls_longest(&calls));
    calls_start(NULL, &again);
    replay_calls(replay, &calls, from);
    calls_stop();
    ck_assert_mem_eq(&did, &again, sizeof(did));
    ck_assert_uint_gt(did.bytes, 50ull * 4096);
    ck_assert_uint_eq(did.synced_writes, 50); /* one meta page each */
    ck_assert_uint_eq(did.syncs, 50 * 2 + 1); /* bodies and pages; once the directory */
    ck_assert_uint_eq(size_of(&scratch, "data.mdb"), size_of(&scratch, "again/data"));
    ck_assert_uint_eq(size_of(&scratch, "bodies/1.seg"), size_of(&scratch, "again/1.seg"));
    replay_close(&replay);
    free(from);
    free(calls.items);
    spool_close(&spool);
    scratch_remove(&scratch);
}
END_TEST

TEST_MAIN("bench/spool_calls", what_is_done_again_leaves_files_of_the_same_size)
