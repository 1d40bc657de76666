#include "queue/loader.h"

#include "tests/queue/scratch.h"

#include <fcntl.h>

static unsigned came_back;

static void came(struct mail *take, void *taker)
{
    (void)take;
    (void)taker;
    came_back++;
}

static void no_wake(void *owner)
{
    (void)owner;
}

struct bench { /* one loader over one spool, and the asker's mailbox */
    struct scratch scratch;
    struct spool *spool;
    struct loader *loader;
    struct mailbox mailbox;
};

static void bench_begin(struct bench *bench)
{
    bench->scratch = scratch_make();
    bench->spool = scratch_open(&bench->scratch, SMALL_MAP);
    bench->loader = loader_create(bench->spool);
    mailbox_init(&bench->mailbox, no_wake, NULL);
    came_back = 0;
}

static void bench_end(struct bench *bench)
{
    loader_destroy(&bench->loader);
    spool_close(&bench->spool);
    scratch_remove(&bench->scratch);
}

static void run(struct bench *bench, struct load *load)
{
    load->mail.deliver = came;
    load->reply_to = &bench->mailbox;
    loader_post(bench->loader, load);
    loader_step(bench->loader, 0);
    ck_assert_uint_eq(mailbox_deliver(&bench->mailbox, NULL), 1);
}

static struct load load_envelope(struct bench *bench, uint64_t id)
{
    struct load load = {.id = id};
    run(bench, &load);
    return load;
}

/* A body of `length` bytes that is different everywhere. */
static char *long_body(size_t length)
{
    char *body = must_calloc(length + 1, 1);
    for (size_t i = 0; i < length; i++)
        body[i] = (char)('!' + i * 7 % 89 + i / 65536 % 5);
    return body;
}

/* Accepts a message with a file of its own. */
static uint64_t accept_own(struct bench *bench, struct span body)
{
    struct piece piece = make_piece(bench->spool, body);
    uint64_t id = piece.message->id;
    struct own_file *file;
    struct spool_batch batch;
    ck_assert_int_eq(own_file_create(spool_segments(bench->spool), id, &file), 0);
    ck_assert_int_eq(own_file_write(file, body), 0);
    piece.message->place.own_file = true;
    piece.message->place.segment = id;
    spool_begin(bench->spool, &batch, true);
    spool_sync_own(&batch, file);
    spool_accept(&batch, piece.message, &piece.envelope, 1);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    own_file_close(&file);
    free_piece(&piece);
    return id;
}

static void damage(struct bench *bench, const char *name, off_t at)
{
    char path[SCRATCH_MAX * 2];
    char byte;
    int file = open(scratch_file(&bench->scratch, name, path), O_RDWR);
    ck_assert_int_eq(pread(file, &byte, 1, at), 1);
    byte = (char)(byte ^ 4);
    ck_assert_int_eq(pwrite(file, &byte, 1, at), 1);
    close(file);
}

START_TEST(small_bodies_come_whole)
{
    struct bench bench;
    bench_begin(&bench);
    uint64_t first = accept_body(bench.spool, SPAN("first"));
    uint64_t empty = accept_body(bench.spool, SPAN(""));
    struct load load = load_envelope(&bench, first);
    ck_assert_int_eq(load.result, LOAD_OK);
    ck_assert_str_eq(load.envelope->message->body, "first");
    ck_assert_uint_eq(message_memory(), 5);
    ck_assert_str_eq(load.envelope->recipients[0].path, "someone@example.test");
    envelope_free(&load.envelope);
    load = load_envelope(&bench, empty);
    ck_assert_int_eq(load.result, LOAD_OK);
    ck_assert_str_eq(load.envelope->message->body, "");
    envelope_free(&load.envelope);
    bench_end(&bench);
    ck_assert_uint_eq(message_memory(), 0);
}
END_TEST

/* What has no bytes keeps no segment alive, and needs none. */
START_TEST(an_empty_body_outlives_its_segment)
{
    struct bench bench;
    bench_begin(&bench);
    uint64_t empty = accept_body(bench.spool, SPAN(""));
    loader_destroy(&bench.loader);
    scratch_scan(bench.spool);
    spool_close(&bench.spool);
    ck_assert_uint_eq(scratch_bodies(&bench.scratch), 0);
    bench.spool = scratch_open(&bench.scratch, SMALL_MAP);
    bench.loader = loader_create(bench.spool);
    struct load load = load_envelope(&bench, empty);
    ck_assert_int_eq(load.result, LOAD_OK);
    ck_assert_str_eq(load.envelope->message->body, "");
    envelope_free(&load.envelope);
    bench_end(&bench);
}
END_TEST

START_TEST(the_largest_whole_body)
{
    struct bench bench;
    bench_begin(&bench);
    char *body = long_body(LOADER_WHOLE_MAX);
    struct span whole = {body, LOADER_WHOLE_MAX};
    struct load load = load_envelope(&bench, accept_body(bench.spool, whole));
    ck_assert_int_eq(load.result, LOAD_OK);
    ck_assert(span_equal((struct span){load.envelope->message->body, whole.length}, whole));
    envelope_free(&load.envelope);
    free(body);
    bench_end(&bench);
}
END_TEST

START_TEST(large_bodies_come_in_windows)
{
    struct bench bench;
    bench_begin(&bench);
    size_t length = LOADER_WHOLE_MAX + 1;
    char *body = long_body(length);
    struct load load = load_envelope(&bench, accept_own(&bench, (struct span){body, length}));
    ck_assert_int_eq(load.result, LOAD_OK);
    ck_assert_ptr_null(load.envelope->message->body);
    for (size_t at = 0; at < length; at += LOADER_WINDOW) {
        size_t wanted = length - at < LOADER_WINDOW ? length - at : LOADER_WINDOW;
        struct load window = {
            .place = load.envelope->message->place, .offset = at, .length = wanted};
        run(&bench, &window);
        ck_assert_int_eq(window.result, LOAD_OK);
        ck_assert_int_eq(memcmp(window.window, body + at, wanted), 0);
        free(window.window);
    }
    envelope_free(&load.envelope);
    free(body);
    bench_end(&bench);
}
END_TEST

START_TEST(gone)
{
    struct bench bench;
    bench_begin(&bench);
    uint64_t id = accept_body(bench.spool, SPAN("body"));
    ck_assert_int_eq(remove_one(bench.spool, id, 0), SPOOL_OK);
    struct load load = load_envelope(&bench, id);
    ck_assert_int_eq(load.result, LOAD_GONE);
    ck_assert_ptr_null(load.envelope);
    bench_end(&bench);
}
END_TEST

START_TEST(damaged_bodies)
{
    struct bench bench;
    bench_begin(&bench);
    uint64_t first = accept_body(bench.spool, SPAN("first"));
    uint64_t second = accept_body(bench.spool, SPAN("second"));
    damage(&bench, "bodies/1.seg", 5);
    ck_assert_int_eq(load_envelope(&bench, second).result, LOAD_DAMAGED);
    struct load load = load_envelope(&bench, first);
    ck_assert_int_eq(load.result, LOAD_OK);
    envelope_free(&load.envelope);
    char path[SCRATCH_MAX * 2];
    ck_assert_int_eq(truncate(scratch_file(&bench.scratch, "bodies/1.seg", path), 4), 0);
    ck_assert_int_eq(load_envelope(&bench, first).result, LOAD_DAMAGED);
    ck_assert_int_eq(unlink(path), 0);
    load = load_envelope(&bench, first);
    ck_assert_int_eq(load.result, LOAD_DAMAGED);
    ck_assert_ptr_null(load.envelope);
    bench_end(&bench);
}
END_TEST

/* One wrong byte in the last window of a large body is found before any of it goes out. */
START_TEST(damaged_large_bodies)
{
    struct bench bench;
    bench_begin(&bench);
    size_t length = LOADER_WHOLE_MAX + 10;
    char *body = long_body(length);
    uint64_t id = accept_own(&bench, (struct span){body, length});
    char digits[MESSAGE_ID_TEXT];
    char name[64];
    snprintf(name, sizeof(name), "bodies/%s.msg", message_id_format(id, digits));
    damage(&bench, name, LOADER_WHOLE_MAX + 3);
    ck_assert_int_eq(load_envelope(&bench, id).result, LOAD_DAMAGED);
    struct body_place place = {.segment = id, .length = length * 2, .own_file = true};
    struct load window = {.place = place, .offset = length, .length = 10};
    run(&bench, &window);
    ck_assert_int_eq(window.result, LOAD_DAMAGED);
    ck_assert_ptr_null(window.window);
    free(body);
    bench_end(&bench);
}
END_TEST

START_TEST(one_turn_does_all_there_is)
{
    struct bench bench;
    struct load loads[20];
    bench_begin(&bench);
    uint64_t id = accept_body(bench.spool, SPAN("body"));
    for (size_t i = 0; i < countof(loads); i++) {
        loads[i] = (struct load){
            .mail.deliver = came, .reply_to = &bench.mailbox, .id = id, .number = i % 2};
        loader_post(bench.loader, &loads[i]);
    }
    loader_step(bench.loader, 0);
    ck_assert_uint_eq(mailbox_deliver(&bench.mailbox, NULL), countof(loads));
    ck_assert_uint_eq(came_back, countof(loads));
    for (size_t i = 0; i < countof(loads); i++) {
        ck_assert_int_eq(loads[i].result, i % 2 ? LOAD_GONE : LOAD_OK);
        envelope_free(&loads[i].envelope);
    }
    bench_end(&bench);
}
END_TEST

TEST_MAIN("queue/loader", small_bodies_come_whole, an_empty_body_outlives_its_segment,
          the_largest_whole_body, large_bodies_come_in_windows, gone, damaged_bodies,
          damaged_large_bodies, one_turn_does_all_there_is)
