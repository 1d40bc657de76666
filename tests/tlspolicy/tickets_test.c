#include "tlspolicy/tickets.h"

#include "tests/suite.h"
#include "tlspolicy/store.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MINUTE 60000

static struct tickets *tickets;

static void begin(void)
{
    tickets = tickets_create(NULL, 0);
}

static void end(void)
{
    tickets_destroy(&tickets);
    ck_assert_ptr_null(tickets);
}

static void put(const char *key, const char *session, int64_t life_ms, int64_t now_ms)
{
    tickets_put(tickets, span_of(key), span_of(session), life_ms, now_ms);
}

static void assert_taken(const char *key, int64_t now_ms, const char *wanted)
{
    struct ticket_taken taken = {.length = 99};
    ck_assert(tickets_take(tickets, span_of(key), now_ms, &taken) == (wanted != NULL));
    ck_assert_ptr_null(taken.session);
    if (wanted == NULL) {
        ck_assert_ptr_null(taken.bytes);
        ck_assert_uint_eq(taken.length, 0);
        return;
    }
    ck_assert(span_equal((struct span){taken.bytes, taken.length}, span_of(wanted)));
    ticket_taken_free(&taken);
}

static struct tickets_facts facts(void)
{
    struct tickets_facts now;
    tickets_facts(tickets, &now);
    return now;
}

START_TEST(newest_first_and_once)
{
    begin();
    put("key", "one", MINUTE, 0);
    put("key", "two", MINUTE, 1);
    put("key", "three", MINUTE, 2);
    assert_taken("key", 3, "three");
    put("key", "four", MINUTE, 4);
    assert_taken("key", 5, "four");
    assert_taken("key", 5, "two");
    assert_taken("key", 5, "one");
    assert_taken("key", 5, NULL);
    ck_assert_uint_eq(facts().stored, 4);
    ck_assert_uint_eq(facts().hits, 4);
    ck_assert_uint_eq(facts().misses, 1);
    ck_assert_uint_eq(facts().now, 0);
    end();
}
END_TEST

START_TEST(keys_are_kept_apart)
{
    begin();
    put("key", "one", MINUTE, 0);
    put("key2", "two", MINUTE, 0);
    tickets_put(tickets, SPAN("key\0"), SPAN("three"), MINUTE, 0);
    assert_taken("ke", 0, NULL);
    assert_taken("KEY", 0, NULL);
    assert_taken("", 0, NULL);
    assert_taken("key", 0, "one");
    assert_taken("key", 0, NULL);
    assert_taken("key2", 0, "two");
    ck_assert_uint_eq(facts().now, 1);
    end();
}
END_TEST

START_TEST(they_expire)
{
    begin();
    put("key", "long", 2 * MINUTE, 0);
    put("key", "short", MINUTE, 0);
    assert_taken("key", MINUTE - 1, "short");
    put("key", "short", MINUTE, 0);
    assert_taken("key", MINUTE, "long"); /* behind an expired one that was newer */
    ck_assert_uint_eq(facts().expired, 1);
    put("key", "long", 2 * MINUTE, 0);
    assert_taken("key", 2 * MINUTE, NULL);
    ck_assert_uint_eq(facts().expired, 2);
    ck_assert_uint_eq(facts().now, 0);
    end();
}
END_TEST

START_TEST(our_own_limit_of_life_holds)
{
    begin();
    put("key", "one", 7LL * 24 * 3600 * 1000, 0);
    assert_taken("key", TICKET_LIFE_MS - 1, "one");
    put("key", "two", INT64_MAX, 0);
    assert_taken("key", TICKET_LIFE_MS, NULL);
    end();
}
END_TEST

START_TEST(what_cannot_be_used_is_not_kept)
{
    begin();
    put("key", "one", 0, 0);
    put("key", "one", -1, 0);
    put("key", "", MINUTE, 0);
    char *large = must_calloc(TICKET_BYTES_MAX + 1, 1);
    tickets_put(tickets, SPAN("key"), (struct span){large, TICKET_BYTES_MAX + 1}, MINUTE, 0);
    ck_assert_uint_eq(facts().stored, 0);
    tickets_put(tickets, SPAN("key"), (struct span){large, TICKET_BYTES_MAX}, MINUTE, 0);
    ck_assert_uint_eq(facts().stored, 1);
    free(large);
    end();
}
END_TEST

START_TEST(a_purge_takes_all_of_one_key)
{
    begin();
    put("key", "one", MINUTE, 0);
    put("key", "two", MINUTE, 0);
    put("other", "three", MINUTE, 0);
    tickets_purge(tickets, SPAN("key"));
    tickets_purge(tickets, SPAN("nobody's"));
    ck_assert_uint_eq(facts().now, 1);
    assert_taken("key", 0, NULL);
    assert_taken("other", 0, "three");
    end();
}
END_TEST

START_TEST(a_key_holds_so_many)
{
    begin();
    char text[16];
    for (int i = 0; i < TICKETS_PER_KEY + 3; i++) {
        snprintf(text, sizeof(text), "%d", i);
        put("key", text, MINUTE, 0);
    }
    ck_assert_uint_eq(facts().now, TICKETS_PER_KEY);
    ck_assert_uint_eq(facts().evicted, 3);
    for (int i = TICKETS_PER_KEY + 2; i >= 3; i--) {
        snprintf(text, sizeof(text), "%d", i);
        assert_taken("key", 0, text);
    }
    assert_taken("key", 0, NULL);
    end();
}
END_TEST

START_TEST(all_keys_hold_so_many)
{
    begin();
    char key[16];
    for (int i = 0; i < TICKETS_IN_ALL + 2; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put(key, key, MINUTE, 0);
    }
    ck_assert_uint_eq(facts().now, TICKETS_IN_ALL);
    ck_assert_uint_eq(facts().evicted, 2);
    assert_taken("0", 0, NULL);
    assert_taken("1", 0, NULL);
    assert_taken("2", 0, "2");
    snprintf(key, sizeof(key), "%d", TICKETS_IN_ALL + 1);
    assert_taken(key, 0, key);
    end();
}
END_TEST

START_TEST(expired_ones_make_room_first)
{
    begin();
    char key[16];
    for (int i = 0; i < TICKETS_IN_ALL; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put(key, key, i < 10 ? MINUTE : 2 * MINUTE, 0);
    }
    put("new", "new", MINUTE, MINUTE);
    ck_assert_uint_eq(facts().expired, 10);
    ck_assert_uint_eq(facts().evicted, 0);
    ck_assert_uint_eq(facts().now, TICKETS_IN_ALL - 10 + 1);
    end();
}
END_TEST

START_TEST(their_bytes_are_bounded)
{
    begin();
    char *large = must_calloc(TICKET_BYTES_MAX, 1);
    char key[16];
    for (unsigned i = 0; i < TICKETS_BYTES_IN_ALL / TICKET_BYTES_MAX + 10; i++) {
        snprintf(key, sizeof(key), "%u", i);
        tickets_put(tickets, span_of(key), (struct span){large, TICKET_BYTES_MAX}, MINUTE, 0);
    }
    ck_assert_uint_le(facts().bytes, TICKETS_BYTES_IN_ALL);
    ck_assert_uint_gt(facts().bytes, TICKETS_BYTES_IN_ALL - 2 * TICKET_BYTES_MAX);
    ck_assert_uint_eq(facts().now + facts().evicted, facts().stored);
    char *long_key = must_calloc(TICKET_KEY_MAX + 1, 1);
    uint64_t before = facts().stored;
    tickets_put(tickets, (struct span){long_key, TICKET_KEY_MAX + 1}, SPAN("one"), MINUTE, 0);
    ck_assert_uint_eq(facts().stored, before);
    free(long_key);
    free(large);
    end();
}
END_TEST

START_TEST(bytes_are_given_back)
{
    begin();
    put("key", "one", MINUTE, 0);
    put("key", "two", MINUTE, 0);
    put("other", "three", 2 * MINUTE, 0);
    assert_taken("key", 0, "two");
    tickets_purge(tickets, SPAN("other"));
    assert_taken("key", MINUTE, NULL);
    ck_assert_uint_eq(facts().bytes, 0);
    ck_assert(facts().purged == 1 && facts().expired == 1 && facts().hits == 1);
    tickets_rejected(tickets);
    ck_assert_uint_eq(facts().rejected, 1);
    end();
}
END_TEST

/* ---- as their maker has them ---- */

struct made {
    struct ticket_session ticket;
    const char *text;
};

static unsigned made_now;

static size_t made_pack(struct ticket_session *session, char to[TICKET_BYTES_MAX])
{
    const char *text = container_of(session, struct made, ticket)->text;
    memcpy(to, text, strlen(text));
    return strlen(text);
}

static void made_free(struct ticket_session **session)
{
    free(container_of(*session, struct made, ticket));
    *session = NULL;
    made_now--;
}

static struct ticket_session *make(const char *text, size_t size)
{
    struct made *made = must_calloc(1, sizeof(*made));
    *made = (struct made){{size, made_pack, made_free}, text};
    made_now++;
    return &made->ticket;
}

static void put_session(const char *text, int64_t life_ms)
{
    tickets_put_session(tickets, SPAN("key"), make(text, 1000), life_ms, 0);
}

START_TEST(a_session_comes_back_as_it_is)
{
    begin();
    put_session("one", MINUTE);
    put("key", "two", MINUTE, 0);
    put_session("three", MINUTE);
    struct ticket_taken taken;
    ck_assert(tickets_take(tickets, SPAN("key"), 0, &taken));
    ck_assert(taken.session != NULL && taken.bytes == NULL);
    ck_assert_str_eq(container_of(taken.session, struct made, ticket)->text, "three");
    ticket_taken_free(&taken);
    ck_assert_ptr_null(taken.session);
    ck_assert_uint_eq(made_now, 1);
    ck_assert_uint_gt(facts().bytes, 1000);
    assert_taken("key", 0, "two");
    tickets_purge(tickets, SPAN("key"));
    ck_assert(made_now == 0 && facts().bytes == 0);
    put_session("four", MINUTE);
    end();
    ck_assert_uint_eq(made_now, 0);
}
END_TEST

START_TEST(a_session_that_cannot_be_used_is_freed)
{
    begin();
    put_session("one", 0);
    tickets_put_session(tickets, SPAN("key"), make("two", TICKET_BYTES_MAX + 1), MINUTE, 0);
    ck_assert(made_now == 0 && facts().stored == 0);
    for (unsigned i = 0; i < TICKETS_PER_KEY + 3; i++)
        put_session("many", MINUTE);
    ck_assert_uint_eq(made_now, TICKETS_PER_KEY);
    assert_taken("key", MINUTE, NULL);
    ck_assert_uint_eq(made_now, 0);
    end();
}
END_TEST

/* ---- by many threads ---- */

#define ROUNDS 5000

static _Atomic unsigned taken_of[3 * ROUNDS];

static void *use(void *argument)
{
    unsigned first = *(const unsigned *)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        char text[16];
        struct ticket_taken taken;
        snprintf(text, sizeof(text), "%u", first + i);
        put("key", text, MINUTE, 0);
        if (tickets_take(tickets, SPAN("key"), 0, &taken))
            taken_of[strtoul(taken.bytes, NULL, 10)]++;
        ticket_taken_free(&taken);
    }
    return NULL;
}

START_TEST(no_two_threads_take_the_same)
{
    begin();
    pthread_t threads[3];
    unsigned first[] = {0, ROUNDS, 2 * ROUNDS};
    unsigned taken = 0;
    for (size_t i = 0; i < countof(threads); i++)
        pthread_create(&threads[i], NULL, use, &first[i]);
    for (size_t i = 0; i < countof(threads); i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < countof(taken_of); i++) {
        ck_assert_uint_le(taken_of[i], 1);
        taken += taken_of[i];
    }
    ck_assert_uint_eq(taken, facts().hits);
    ck_assert_uint_eq(facts().stored, facts().hits + facts().now + facts().evicted);
    end();
}
END_TEST

/* ---- over a restart ---- */

static char directory[PATH_MAX / 2];
static struct store *store;

static void open_store(int64_t now_ms)
{
    char why[STORE_WHY_MAX];
    store = store_open(directory, why);
    ck_assert_ptr_nonnull(store);
    tickets = tickets_create(store, now_ms);
}

static void close_store(void)
{
    tickets_destroy(&tickets);
    store_close(&store);
}

static void begin_on_disk(void)
{
    const char *above = getenv("TMPDIR");
    snprintf(directory, sizeof(directory), "%s/millrace-test.XXXXXX", above ? above : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    open_store(0);
}

static void end_on_disk(void)
{
    char name[PATH_MAX];
    close_store();
    snprintf(name, sizeof(name), "%s/data.mdb", directory);
    unlink(name);
    snprintf(name, sizeof(name), "%s/lock.mdb", directory);
    unlink(name);
    ck_assert_int_eq(rmdir(directory), 0);
}

/* As an orderly end has it. */
static void restart(int64_t now_ms)
{
    ck_assert(tickets_flush(tickets));
    close_store();
    open_store(now_ms);
}

/* As a process that is killed leaves it. */
static void crash(int64_t now_ms)
{
    close_store();
    open_store(now_ms);
}

START_TEST(a_restart_finds_them_again)
{
    begin_on_disk();
    put("key", "one", MINUTE, 0);
    put("other", "two", MINUTE, 0);
    put("key", "three", MINUTE, 0);
    tickets_put(tickets, SPAN("key\0"), SPAN("\0four"), MINUTE, 0);
    restart(1);
    ck_assert(facts().now == 4 && facts().on_disk == 4 && facts().stored == 0);
    assert_taken("key", 1, "three");
    assert_taken("key", 1, "one");
    assert_taken("other", 1, "two");
    struct ticket_taken taken;
    ck_assert(tickets_take(tickets, SPAN("key\0"), 1, &taken));
    ck_assert(span_equal((struct span){taken.bytes, taken.length}, SPAN("\0four")));
    ticket_taken_free(&taken);
    end_on_disk();
}
END_TEST

START_TEST(a_session_is_bytes_after_a_restart)
{
    begin_on_disk();
    put_session("one", MINUTE);
    put("key", "two", MINUTE, 0);
    put_session("three", MINUTE);
    restart(0);
    ck_assert_uint_eq(made_now, 0);
    assert_taken("key", 0, "three");
    assert_taken("key", 0, "two");
    assert_taken("key", 0, "one");
    end_on_disk();
}
END_TEST

/* RFC 8446 C.4 */
START_TEST(what_was_used_is_not_there_after_a_restart)
{
    begin_on_disk();
    put("key", "one", MINUTE, 0);
    put("key", "two", MINUTE, 0);
    restart(0);
    put("key", "three", MINUTE, 0);
    put("other", "four", MINUTE, 0);
    assert_taken("key", 0, "three"); /* never on disk */
    assert_taken("key", 0, "two");
    tickets_purge(tickets, SPAN("other"));
    restart(0);
    ck_assert_uint_eq(facts().now, 1);
    assert_taken("key", 0, "one");
    restart(0);
    ck_assert_uint_eq(facts().now, 0);
    end_on_disk();
}
END_TEST

START_TEST(newest_first_over_restarts)
{
    begin_on_disk();
    put("key", "one", MINUTE, 0);
    restart(0);
    put("key", "two", MINUTE, 0);
    restart(0);
    put("key", "three", MINUTE, 0);
    restart(0);
    assert_taken("key", 0, "three");
    assert_taken("key", 0, "two");
    assert_taken("key", 0, "one");
    end_on_disk();
}
END_TEST

START_TEST(a_crash_forgets_what_was_not_written)
{
    begin_on_disk();
    put("key", "one", MINUTE, 0);
    put("key", "two", MINUTE, 0);
    ck_assert(tickets_flush(tickets));
    assert_taken("key", 0, "two");
    put("key", "three", MINUTE, 0);
    crash(0);
    ck_assert_uint_eq(facts().now, 2);
    assert_taken("key", 0, "two"); /* once more */
    ck_assert(tickets_flush(tickets));
    crash(0);
    assert_taken("key", 0, "one");
    assert_taken("key", 0, NULL);
    end_on_disk();
}
END_TEST

START_TEST(what_expired_meanwhile_is_not_loaded)
{
    begin_on_disk();
    put("key", "short", MINUTE, MINUTE);
    put("key", "long", 2 * MINUTE, MINUTE);
    restart(2 * MINUTE);
    ck_assert_uint_eq(facts().now, 1);
    assert_taken("key", 2 * MINUTE, "long");
    put("key", "again", MINUTE, MINUTE);
    restart(MINUTE - TICKET_LIFE_MS); /* the clock went back: nobody knows how old it is */
    ck_assert_uint_eq(facts().now, 0);
    restart(MINUTE);
    ck_assert_uint_eq(facts().now, 0); /* nor is it left on disk */
    end_on_disk();
}
END_TEST

static void write_raw(struct span key, struct span value)
{
    struct store_write write = {STORE_TICKETS, key, value};
    ck_assert(store_write(store, &write, 1));
}

START_TEST(what_is_no_ticket_is_passed_over)
{
    static const char huge[8 + 8 + 4] = {0,          1,          0,          0,          0,
                                         0,          0,          0,          (char)0xff, (char)0xff,
                                         (char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff,
                                         (char)0xff, 'k',        'e',        'y',        's'};
    static const char no_session[8 + 8 + 3] = {0, 1, 0, 0, 0, 0, 0,   0,   3,  0,
                                               0, 0, 0, 0, 0, 0, 'k', 'e', 'y'};
    begin_on_disk();
    put("key", "one", MINUTE, 0);
    ck_assert(tickets_flush(tickets));
    write_raw(SPAN("12345678"), SPAN("x"));
    write_raw(SPAN("12345679"), (struct span){huge, sizeof(huge)});
    write_raw(SPAN("1234567a"), (struct span){no_session, sizeof(no_session)});
    write_raw(SPAN("not eight"), SPAN("x"));
    write_raw(SPAN("\377\377\377\377\377\377\377\377"), SPAN("x")); /* no number follows it */
    crash(0);
    ck_assert_uint_eq(facts().now, 1);
    put("key", "two", MINUTE, 0); /* its number is above all that were there */
    restart(0);
    assert_taken("key", 0, "two");
    assert_taken("key", 0, "one");
    end_on_disk();
}
END_TEST

START_TEST(bounds_hold_for_what_is_loaded)
{
    begin_on_disk();
    char text[16];
    for (int i = 0; i < TICKETS_PER_KEY + 100; i++) {
        snprintf(text, sizeof(text), "%d", i);
        put("key", text, MINUTE, 0);
        if (i % 100 == 0)
            ck_assert(tickets_flush(tickets));
    }
    ck_assert(facts().now == TICKETS_PER_KEY && facts().evicted == 100);
    restart(0);
    ck_assert(facts().now == TICKETS_PER_KEY && facts().evicted == 0);
    ck_assert_uint_eq(facts().on_disk, TICKETS_PER_KEY);
    assert_taken("key", 0, text);
    end_on_disk();
}
END_TEST

START_TEST(a_turn_writes_all_there_is)
{
    begin_on_disk();
    char key[16];
    tickets_step(tickets, 0); /* nothing to do */
    for (int i = 0; i < 3 * TICKETS_BATCH + 7; i++) {
        snprintf(key, sizeof(key), "%d", i);
        put(key, key, MINUTE, 0);
    }
    ck_assert_uint_eq(facts().on_disk, 0);
    tickets_step(tickets, 0); /* nothing was written before, so it is due */
    ck_assert_uint_eq(facts().on_disk, 3 * TICKETS_BATCH + 7);
    crash(0);
    ck_assert_uint_eq(facts().now, 3 * TICKETS_BATCH + 7);
    for (int i = 0; i < 2 * TICKETS_BATCH; i++) {
        snprintf(key, sizeof(key), "%d", i);
        assert_taken(key, 0, key);
    }
    tickets_step(tickets, 0);
    crash(0);
    ck_assert_uint_eq(facts().now, TICKETS_BATCH + 7);
    end_on_disk();
}
END_TEST

/* A disk that is full: nothing is lost but what could not be kept, and no removal is forgotten. */
START_TEST(a_disk_that_fails_is_tried_again)
{
    struct rlimit before, none;
    begin_on_disk();
    put("key", "one", MINUTE, 0);
    put("key", "two", MINUTE, 0);
    ck_assert(tickets_flush(tickets));
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    put("key", "three", MINUTE, 0);
    put("other", "kept", MINUTE, 0);
    bool failed = !tickets_flush(tickets);
    assert_taken("key", 0, "three");
    assert_taken("key", 0, "two");
    put("key", "four", MINUTE, 0);
    failed = failed && !tickets_flush(tickets);
    failed = failed && !tickets_flush(tickets);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0); /* check writes its results */
    ck_assert(failed);
    restart(0);
    assert_taken("other", 0, "kept");
    assert_taken("key", 0, "four");
    assert_taken("key", 0, "one");
    assert_taken("key", 0, NULL);
    end_on_disk();
}
END_TEST

static void *write_behind(void *ending)
{
    while (!*(atomic_bool *)ending)
        tickets_flush(tickets);
    return NULL;
}

START_TEST(taken_while_they_are_written)
{
    atomic_bool ending = false;
    unsigned first = 0;
    pthread_t writer;
    begin_on_disk();
    pthread_create(&writer, NULL, write_behind, &ending);
    use(&first);
    for (int i = 0; i < 2 * TICKETS_BATCH; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        put(key, key, MINUTE, 0);
        if (i % 3 == 0)
            assert_taken(key, 0, key);
    }
    ending = true;
    pthread_join(writer, NULL);
    uint64_t left = facts().now;
    restart(0);
    ck_assert_uint_eq(facts().now, left);
    for (int i = 0; i < 2 * TICKETS_BATCH; i++) {
        char key[16];
        snprintf(key, sizeof(key), "%d", i);
        assert_taken(key, 0, i % 3 == 0 ? NULL : key);
    }
    end_on_disk();
}
END_TEST

TEST_MAIN("tlspolicy/tickets", newest_first_and_once, keys_are_kept_apart, they_expire,
          our_own_limit_of_life_holds, what_cannot_be_used_is_not_kept,
          a_purge_takes_all_of_one_key, a_key_holds_so_many, all_keys_hold_so_many,
          expired_ones_make_room_first, their_bytes_are_bounded, bytes_are_given_back,
          a_session_comes_back_as_it_is, a_session_that_cannot_be_used_is_freed,
          no_two_threads_take_the_same, a_restart_finds_them_again,
          a_session_is_bytes_after_a_restart, what_was_used_is_not_there_after_a_restart,
          newest_first_over_restarts, a_crash_forgets_what_was_not_written,
          what_expired_meanwhile_is_not_loaded, what_is_no_ticket_is_passed_over,
          bounds_hold_for_what_is_loaded, a_turn_writes_all_there_is,
          a_disk_that_fails_is_tried_again, taken_while_they_are_written)
