#include "queue/committer.h"

#include "tests/queue/faults.h"
#include "tests/queue/scratch.h"

#include <pthread.h>

/* A change with what it borrows, and how often it came back. */
struct post {
    struct change change;
    struct piece piece;
    struct envelope *verdict_on;
    unsigned came_back;
};

struct bench {
    struct scratch scratch;
    struct spool *spool;
    struct committer *committer;
    struct mailbox mailbox;
    size_t came_back;
};

static void came(struct mail *take, void *taker)
{
    struct post *post = container_of(take, struct post, change.mail);
    struct bench *bench = taker;
    post->came_back++;
    bench->came_back++;
}

static void no_wake(void *owner)
{
    (void)owner;
}

static void bench_open(struct bench *bench, struct scratch scratch, uint64_t map_bytes,
                       uint64_t min_free_bytes)
{
    char why[300];
    int exit_code;
    *bench = (struct bench){.scratch = scratch};
    struct spool_options options = scratch_options(&bench->scratch, map_bytes);
    options.min_free_bytes = min_free_bytes;
    bench->spool = spool_open(&options, why, sizeof(why), &exit_code);
    ck_assert_ptr_nonnull(bench->spool);
    bench->committer = committer_create(bench->spool);
    mailbox_init(&bench->mailbox, no_wake, NULL);
}

static void bench_begin(struct bench *bench, uint64_t map_bytes, uint64_t min_free_bytes)
{
    bench_open(bench, scratch_make(), map_bytes, min_free_bytes);
}

static void bench_end(struct bench *bench)
{
    committer_destroy(&bench->committer);
    spool_close(&bench->spool);
    scratch_remove(&bench->scratch);
}

static size_t collect(struct bench *bench)
{
    return mailbox_deliver(&bench->mailbox, bench);
}

/* Turns without waiting until all that was posted has come back. */
static void run(struct bench *bench, size_t count)
{
    while (bench->came_back < count) {
        ck_assert(committer_step(bench->committer, 0));
        ck_assert_uint_gt(collect(bench), 0);
    }
    ck_assert_uint_eq(bench->came_back, count);
    bench->came_back = 0;
}

/* ---- changes ---- */

static void as_accept(struct bench *bench, struct post *post, struct span body)
{
    post->piece = make_piece(bench->spool, body);
    post->change.accept = post->piece.message;
    post->change.accepted = &post->piece.envelope;
    post->change.accepted_count = 1;
}

static void as_removal(struct post *post, uint64_t id)
{
    post->change.remove = true;
    post->change.id = id;
}

static void as_update(struct bench *bench, struct post *post, uint64_t id)
{
    post->verdict_on = spool_read(bench->spool, id, 0);
    ck_assert_ptr_nonnull(post->verdict_on);
    post->verdict_on->attempts++;
    post->verdict_on->due_ms = 4711;
    post->change.update = post->verdict_on;
}

static void send(struct bench *bench, struct post *post)
{
    post->change.mail.deliver = came;
    post->change.reply_to = &bench->mailbox;
    post->change.result = (enum spool_result)77; /* none of them */
    committer_post(bench->committer, &post->change);
}

static void clear(struct post *post)
{
    free_piece(&post->piece);
    envelope_free(&post->verdict_on);
    *post = (struct post){0};
}

static uint64_t stored_now(struct bench *bench)
{
    struct spool_facts facts;
    spool_facts(bench->spool, &facts);
    return facts.messages;
}

static uint64_t commits(struct bench *bench)
{
    struct committer_facts facts;
    committer_facts(bench->committer, &facts);
    return facts.commits;
}

/* ---- grouping ---- */

enum { MANY = 3000 };

START_TEST(what_gathered_is_one_commit)
{
    static struct post posts[MANY];
    struct bench bench;
    bench_begin(&bench, SMALL_MAP, 1);
    for (size_t i = 0; i < MANY; i++) {
        as_accept(&bench, &posts[i], SPAN("body"));
        send(&bench, &posts[i]);
    }
    run(&bench, MANY);
    ck_assert_uint_eq(commits(&bench), (MANY + COMMITTER_BATCH_MAX - 1) / COMMITTER_BATCH_MAX);
    ck_assert_uint_eq(stored_now(&bench), MANY);
    for (size_t i = 0; i < MANY; i++) {
        uint64_t id = posts[i].piece.message->id;
        ck_assert_uint_eq(posts[i].came_back, 1);
        ck_assert_int_eq(posts[i].change.result, SPOOL_OK);
        clear(&posts[i]);
        as_removal(&posts[i], id);
        send(&bench, &posts[i]);
    }
    run(&bench, MANY);
    ck_assert_uint_eq(stored_now(&bench), 0);
    struct committer_facts facts;
    committer_facts(bench.committer, &facts);
    ck_assert_uint_eq(facts.commits, 3 + (MANY + COMMITTER_REMOVE_MAX - 1) / COMMITTER_REMOVE_MAX);
    ck_assert_uint_eq(facts.changes, MANY * 2);
    bench_end(&bench);
}
END_TEST

/* However many verdicts there are: new mail is in the next commit, and they go on. */
START_TEST(new_mail_does_not_queue_behind_verdicts)
{
    enum { REMOVALS = COMMITTER_REMOVE_MAX * 5 };
    static struct post posts[REMOVALS];
    struct post mail = {0};
    struct bench bench;
    bench_begin(&bench, SMALL_MAP, 1);
    for (size_t i = 0; i < REMOVALS; i++) {
        as_removal(&posts[i], i + 1);
        send(&bench, &posts[i]);
    }
    as_accept(&bench, &mail, SPAN("body"));
    send(&bench, &mail);
    ck_assert(committer_step(bench.committer, 0));
    collect(&bench);
    ck_assert_uint_eq(mail.came_back, 1);
    ck_assert_uint_eq(bench.came_back, 1 + COMMITTER_REMOVE_MAX);
    run(&bench, 1 + REMOVALS);
    clear(&mail);
    bench_end(&bench);
}
END_TEST

/* A word on an envelope is committed as a verdict is, in order. */
START_TEST(words_are_committed_in_order)
{
    struct post mail = {0}, posts[2] = {0};
    struct hold release = {.due_ms = 77}, hold = {.held = true, .reason = "wait"};
    struct bench bench;
    bench_begin(&bench, SMALL_MAP, 1);
    as_accept(&bench, &mail, SPAN("body"));
    send(&bench, &mail);
    run(&bench, 1);
    posts[0].change.hold = &release;
    posts[1].change.hold = &hold;
    for (size_t i = 0; i < countof(posts); i++) {
        posts[i].change.id = mail.piece.message->id;
        send(&bench, &posts[i]);
    }
    run(&bench, countof(posts));
    struct envelope *envelope = spool_read(bench.spool, mail.piece.message->id, 0);
    ck_assert(envelope->held && envelope->due_ms == 77);
    ck_assert_str_eq(envelope->hold_reason, "wait");
    envelope_free(&envelope);
    clear(&mail);
    bench_end(&bench);
}
END_TEST

START_TEST(a_batch_is_bounded_in_bytes)
{
    enum { COUNT = 10 };
    struct post posts[COUNT] = {0};
    struct bench bench;
    bench_begin(&bench, SMALL_MAP, 1);
    char *body = must_calloc(SEGMENT_BODY_MAX, 1);
    for (size_t i = 0; i < COUNT; i++) {
        as_accept(&bench, &posts[i], (struct span){body, SEGMENT_BODY_MAX});
        send(&bench, &posts[i]);
    }
    run(&bench, COUNT);
    ck_assert_uint_eq(commits(&bench), 3); /* 4, 4 and 2 MiB */
    for (size_t i = 0; i < COUNT; i++)
        clear(&posts[i]);
    free(body);
    bench_end(&bench);
}
END_TEST

enum { THREADS = 4, EACH = 500 };

struct poster {
    pthread_t thread;
    struct bench *bench;
    struct post *posts;
};

static void *post_all(void *argument)
{
    struct poster *poster = argument;
    for (size_t i = 0; i < EACH; i++)
        send(poster->bench, &poster->posts[i]);
    return NULL;
}

START_TEST(many_threads_post_while_it_commits)
{
    static struct post posts[THREADS * EACH];
    struct poster posters[THREADS];
    struct bench bench;
    bench_begin(&bench, SMALL_MAP, 1);
    for (size_t i = 0; i < THREADS * EACH; i++)
        as_accept(&bench, &posts[i], SPAN("body"));
    for (size_t i = 0; i < THREADS; i++) {
        posters[i] = (struct poster){.bench = &bench, .posts = posts + i * EACH};
        ck_assert_int_eq(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    while (bench.came_back < THREADS * EACH) {
        ck_assert(committer_step(bench.committer, -1)); /* a lost wake would hang here */
        collect(&bench);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(posters[i].thread, NULL);
    ck_assert_uint_le(commits(&bench), THREADS * EACH);
    ck_assert_uint_eq(stored_now(&bench), THREADS * EACH);
    for (size_t i = 0; i < THREADS * EACH; i++) {
        ck_assert_uint_eq(posts[i].came_back, 1);
        ck_assert_int_eq(posts[i].change.result, SPOOL_OK);
        clear(&posts[i]);
    }
    bench_end(&bench);
}
END_TEST

/* ---- no room ---- */

/* New mail until it comes back refused; returns the id of one that was stored. */
static uint64_t fill(struct bench *bench)
{
    uint64_t id = 0;
    for (;;) {
        struct post post = {0};
        as_accept(bench, &post, SPAN("body"));
        uint64_t fresh = post.piece.message->id;
        send(bench, &post);
        run(bench, 1);
        enum spool_result result = post.change.result;
        clear(&post);
        if (result == SPOOL_FULL)
            return id;
        ck_assert_int_eq(result, SPOOL_OK);
        id = fresh;
    }
}

START_TEST(verdicts_survive_a_full_spool)
{
    struct post posts[3] = {0};
    struct bench bench;
    bench_begin(&bench, TINY_MAP, 1);
    uint64_t id = fill(&bench);
    as_accept(&bench, &posts[0], SPAN("no room"));
    as_update(&bench, &posts[1], id);
    as_accept(&bench, &posts[2], SPAN("no room"));
    for (size_t i = 0; i < 3; i++)
        send(&bench, &posts[i]);
    run(&bench, 3);
    ck_assert_int_eq(posts[0].change.result, SPOOL_FULL);
    ck_assert_int_eq(posts[1].change.result, SPOOL_OK);
    ck_assert_int_eq(posts[2].change.result, SPOOL_FULL);
    struct envelope *envelope = spool_read(bench.spool, id, 0);
    ck_assert_int_eq(envelope->due_ms, 4711);
    envelope_free(&envelope);
    for (size_t i = 0; i < 3; i++)
        clear(&posts[i]);
    bench_end(&bench);
}
END_TEST

/* The bounce that rides with a verdict is no new mail: it takes from the reserve. */
START_TEST(a_bounce_is_not_refused)
{
    struct post post = {0};
    struct bench bench;
    bench_begin(&bench, TINY_MAP, 1);
    uint64_t id = fill(&bench);
    as_accept(&bench, &post, SPAN("could not be delivered"));
    as_removal(&post, id);
    uint64_t bounce = post.piece.message->id;
    send(&bench, &post);
    run(&bench, 1);
    ck_assert_int_eq(post.change.result, SPOOL_OK);
    ck_assert(is_stored(bench.spool, bounce, 0) && !is_stored(bench.spool, id, 0));
    clear(&post);
    bench_end(&bench);
}
END_TEST

START_TEST(mail_is_taken_again_when_there_is_room)
{
    enum { MAX = 20000 };
    static struct spool_glance glances[MAX];
    struct bench bench;
    bench_begin(&bench, TINY_MAP, 1);
    fill(&bench);
    ck_assert(spool_full(bench.spool));
    ck_assert(committer_step(bench.committer, 0));
    ck_assert(spool_full(bench.spool));
    uint64_t id = 0;
    uint16_t number = 0;
    size_t count = spool_scan(bench.spool, &id, &number, true, glances, MAX);
    ck_assert_uint_lt(count, MAX);
    struct spool_batch batch;
    spool_begin(bench.spool, &batch, false);
    for (size_t i = 0; i < count; i++)
        spool_remove(&batch, glances[i].id, 0);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    ck_assert(spool_full(bench.spool)); /* nobody has looked since */
    ck_assert(committer_step(bench.committer, 0));
    ck_assert(!spool_full(bench.spool));
    ck_assert_uint_ne(fill(&bench), 0);
    bench_end(&bench);
}
END_TEST

/* Nothing at all can be written: verdicts stay and go first when it can be; new mail, before
 * and behind them, is told at once. */
START_TEST(verdicts_wait_for_room)
{
    struct post posts[4] = {0};
    struct bench bench;
    bench_begin(&bench, SMALL_MAP, 1);
    uint64_t one = accept_body(bench.spool, SPAN("one"));
    uint64_t two = accept_body(bench.spool, SPAN("two"));
    as_accept(&bench, &posts[0], SPAN("new"));
    as_update(&bench, &posts[1], one);
    as_accept(&bench, &posts[2], SPAN("bounce of the second"));
    as_removal(&posts[2], two);
    as_accept(&bench, &posts[3], SPAN("newer"));
    for (size_t i = 0; i < 3; i++)
        send(&bench, &posts[i]);
    write_error = ENOSPC;
    ck_assert(committer_step(bench.committer, 0));
    ck_assert_uint_eq(collect(&bench), 1);
    ck_assert_int_eq(posts[0].change.result, SPOOL_FULL);
    send(&bench, &posts[3]);
    ck_assert(committer_step(bench.committer, 0));
    ck_assert_uint_eq(collect(&bench), 1);
    ck_assert_int_eq(posts[3].change.result, SPOOL_FULL);
    write_error = 0;
    bench.came_back = 0;
    run(&bench, 2);
    for (size_t i = 0; i < 4; i++)
        ck_assert_uint_eq(posts[i].came_back, 1);
    ck_assert_int_eq(posts[1].change.result, SPOOL_OK);
    ck_assert_int_eq(posts[2].change.result, SPOOL_OK);
    ck_assert(!is_stored(bench.spool, two, 0));
    ck_assert(is_stored(bench.spool, posts[2].piece.message->id, 0));
    char body[4] = "";
    ck_assert_int_eq(
        segments_read(spool_segments(bench.spool), &posts[2].piece.message->place, 0, body, 3), 0);
    ck_assert_str_eq(body, "bou");
    for (size_t i = 0; i < 4; i++)
        clear(&posts[i]);
    bench_end(&bench);
}
END_TEST

/* After the stall many verdicts still come back once each, in as many batches as it takes. */
START_TEST(many_verdicts_wait_for_room)
{
    enum { COUNT = 1500 };
    static struct post posts[COUNT];
    struct post late = {0};
    struct bench bench;
    bench_begin(&bench, SMALL_MAP, 1);
    for (size_t i = 0; i < COUNT; i++) {
        as_removal(&posts[i], accept_body(bench.spool, SPAN("")));
        send(&bench, &posts[i]);
    }
    write_error = ENOSPC;
    for (int i = 0; i < 12; i++)
        ck_assert(committer_step(bench.committer, 0));
    ck_assert_uint_eq(collect(&bench), 0);
    as_accept(&bench, &late, SPAN("new"));
    send(&bench, &late);
    ck_assert(committer_step(bench.committer, 0));
    ck_assert_uint_eq(collect(&bench), 1); /* new mail need not wait for its refusal */
    ck_assert_int_eq(late.change.result, SPOOL_FULL);
    clear(&late);
    bench.came_back = 0;
    write_error = 0;
    run(&bench, COUNT);
    ck_assert_uint_eq(stored_now(&bench), 0);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_uint_eq(posts[i].came_back, 1);
        ck_assert_int_eq(posts[i].change.result, SPOOL_OK);
    }
    bench_end(&bench);
}
END_TEST

START_TEST(a_failed_sync_is_the_end)
{
    struct post posts[3] = {0};
    struct bench bench;
    bench_begin(&bench, SMALL_MAP, 1);
    uint64_t id = accept_body(bench.spool, SPAN("body"));
    as_accept(&bench, &posts[0], SPAN("new"));
    as_update(&bench, &posts[1], id);
    send(&bench, &posts[0]);
    send(&bench, &posts[1]);
    sync_error = EIO;
    ck_assert(!committer_step(bench.committer, 0));
    sync_error = 0;
    ck_assert_uint_eq(collect(&bench), 2);
    ck_assert_ptr_nonnull(strstr(committer_why(bench.committer), "sync"));
    as_removal(&posts[2], id); /* and nothing is tried again */
    send(&bench, &posts[2]);
    ck_assert(!committer_step(bench.committer, -1));
    ck_assert_uint_eq(collect(&bench), 1);
    ck_assert(is_stored(bench.spool, id, 0));
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(posts[i].change.result, SPOOL_BROKEN);
        clear(&posts[i]);
    }
    bench_end(&bench);
}
END_TEST

START_TEST(a_large_body_has_its_own_file)
{
    struct post post = {0};
    struct bench bench;
    struct own_file *file;
    bench_begin(&bench, SMALL_MAP, 1);
    as_accept(&bench, &post, SPAN("large"));
    free(post.piece.message->body);
    post.piece.message->body = NULL;
    ck_assert_int_eq(own_file_create(spool_segments(bench.spool), post.piece.message->id, &file),
                     0);
    ck_assert_int_eq(own_file_write(file, SPAN("large")), 0);
    post.change.own_file = file;
    syncs = 0;
    send(&bench, &post);
    run(&bench, 1);
    ck_assert_int_eq(post.change.result, SPOOL_OK);
    ck_assert_uint_ge(syncs, 2); /* the file, the pages that point at it */
    ck_assert(post.piece.message->place.own_file);
    own_file_close(&file);
    char body[6] = "";
    ck_assert_int_eq(
        segments_read(spool_segments(bench.spool), &post.piece.message->place, 0, body, 5), 0);
    ck_assert_str_eq(body, "large");
    clear(&post);
    bench_end(&bench);
}
END_TEST

static void take_suspension(const struct suspension *suspension, void *with)
{
    struct suspension *last = with;
    *last = *suspension;
}

START_TEST(suspensions_come_and_go)
{
    struct bench bench;
    struct post posts[3] = {0};
    struct suspension there = {0};
    struct suspension suspension = {.destination = "one.test", .reason = "first"};
    bench_begin(&bench, 0, 0);
    spool_suspensions(bench.spool, take_suspension, &there);
    ck_assert_str_eq(there.destination, "");
    posts[0].change.suspend = &suspension;
    struct suspension second = {.destination = "one.test", .until_ms = 5, .reason = "second"};
    posts[1].change.suspend = &second;
    for (size_t i = 0; i < 2; i++) {
        posts[i].change.mail.deliver = came;
        posts[i].change.reply_to = &bench.mailbox;
        committer_post(bench.committer, &posts[i].change);
    }
    run(&bench, 2);
    spool_suspensions(bench.spool, take_suspension, &there);
    ck_assert_mem_eq(&there, &second, sizeof(there));
    posts[2].change.lift = "one.test";
    posts[2].change.mail.deliver = came;
    posts[2].change.reply_to = &bench.mailbox;
    committer_post(bench.committer, &posts[2].change);
    run(&bench, 1);
    there = (struct suspension){0};
    spool_suspensions(bench.spool, take_suspension, &there);
    ck_assert_str_eq(there.destination, "");
    bench_end(&bench);
}
END_TEST

/* One of forty bodies stays in the first segment, and nothing can be sealed any more. */
START_TEST(a_full_disk_gets_back_what_is_dead)
{
    enum { BODIES = 400, BODY_BYTES = 4000, STAYS_OF = 40 };
    static char body[BODY_BYTES];
    struct bench bench;
    struct spool_facts before, after;
    uint64_t ids[BODIES];
    struct scratch scratch = scratch_make();
    struct spool *spool = scratch_open(&scratch, SMALL_MAP);
    for (size_t i = 0; i < BODIES; i++)
        ids[i] = accept_body(spool, (struct span){body, BODY_BYTES});
    spool_close(&spool);
    spool = scratch_open(&scratch, SMALL_MAP);
    accept_body(spool, SPAN("of a newer segment"));
    spool_close(&spool);
    bench_open(&bench, scratch, SMALL_MAP, UINT64_MAX);
    scratch_scan(bench.spool);
    for (size_t i = 0; i < BODIES; i++)
        if (i % STAYS_OF != 0)
            ck_assert_int_eq(remove_one(bench.spool, ids[i], 0), SPOOL_OK);
    spool_facts(bench.spool, &before);
    ck_assert(spool_full(bench.spool));
    ck_assert(committer_step(bench.committer, 0)); /* with nothing to do */
    spool_facts(bench.spool, &after);
    ck_assert_uint_lt(after.bytes, before.bytes - BODIES * BODY_BYTES / 2);
    bench_end(&bench);
}
END_TEST

TEST_MAIN("queue/committer", suspensions_come_and_go, what_gathered_is_one_commit,
          new_mail_does_not_queue_behind_verdicts, words_are_committed_in_order,
          a_batch_is_bounded_in_bytes, many_threads_post_while_it_commits,
          verdicts_survive_a_full_spool, a_bounce_is_not_refused,
          mail_is_taken_again_when_there_is_room, verdicts_wait_for_room,
          many_verdicts_wait_for_room, a_failed_sync_is_the_end, a_large_body_has_its_own_file,
          a_full_disk_gets_back_what_is_dead)
