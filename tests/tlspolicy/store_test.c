#include "tlspolicy/store.h"

#include "base/crc32c.h"
#include "tests/suite.h"

#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char parent[PATH_MAX / 2], directory[PATH_MAX / 2 + 16], data[PATH_MAX];
static char why[STORE_WHY_MAX];
static struct store *store;

static struct store *open_it(void)
{
    memset(why, 'x', sizeof(why) - 1);
    return store = store_open(directory, why);
}

static void assert_opens_well(void)
{
    ck_assert_ptr_nonnull(open_it());
    ck_assert_str_eq(why, "");
}

static void assert_begins_anew(const char *because)
{
    ck_assert_ptr_nonnull(open_it());
    ck_assert_msg(strstr(why, because) != NULL, "%s", why);
    ck_assert_ptr_nonnull(strstr(why, directory));
    ck_assert_ptr_null(strchr(why, '\n'));
}

static void begin(void)
{
    const char *above = getenv("TMPDIR");
    snprintf(parent, sizeof(parent), "%s/millrace-test.XXXXXX", above ? above : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(parent));
    snprintf(directory, sizeof(directory), "%s/tls", parent);
    snprintf(data, sizeof(data), "%s/data.mdb", directory);
    assert_opens_well();
}

static void end(void)
{
    char name[PATH_MAX];
    store_close(&store);
    ck_assert_ptr_null(store);
    unlink(data);
    snprintf(name, sizeof(name), "%s/lock.mdb", directory);
    unlink(name);
    ck_assert_int_eq(rmdir(directory), 0); /* nothing else is left in it */
    ck_assert_int_eq(rmdir(parent), 0);
}

static void put(enum store_table table, const char *key, const char *value)
{
    struct store_write write = {table, span_of(key), span_of(value)};
    ck_assert(store_write(store, &write, 1));
}

struct seen {
    char text[1024];
    int most;
};

static bool see(void *context, struct span key, struct span value)
{
    struct seen *seen = context;
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof(seen->text) - length, "%.*s=%.*s ", SPAN_FORMAT(key),
             SPAN_FORMAT(value));
    return --seen->most != 0;
}

static void assert_holds(enum store_table table, const char *wanted)
{
    struct seen seen = {.text = ""};
    ck_assert(store_each(store, table, see, &seen));
    ck_assert_str_eq(seen.text, wanted);
}

START_TEST(what_was_written_is_there_after_a_restart)
{
    begin();
    put(STORE_TICKETS, "b", "two");
    put(STORE_TICKETS, "a", "one");
    put(STORE_STS, "a", "policy");
    store_close(&store);
    assert_opens_well();
    assert_holds(STORE_TICKETS, "a=one b=two ");
    assert_holds(STORE_STS, "a=policy ");
    assert_holds(STORE_TLSRPT, "");
    end();
}
END_TEST

START_TEST(many_at_once_replaced_and_removed)
{
    begin();
    put(STORE_TICKETS, "a", "one");
    put(STORE_TICKETS, "b", "two");
    const struct store_write writes[] = {
        {STORE_TICKETS, SPAN("a"), {0}},
        {STORE_TICKETS, SPAN("never there"), {0}},
        {STORE_TICKETS, SPAN("b"), SPAN("second")},
        {STORE_TICKETS, SPAN("c"), SPAN("a\0b")},
        {STORE_TLSRPT, SPAN("c"), SPAN("report")},
    };
    ck_assert(store_write(store, writes, countof(writes)));
    ck_assert(store_write(store, NULL, 0));
    assert_holds(STORE_TICKETS, "b=second c=a ");
    assert_holds(STORE_TLSRPT, "c=report ");
    end();
}
END_TEST

START_TEST(who_reads_may_stop)
{
    begin();
    put(STORE_STS, "a", "1");
    put(STORE_STS, "b", "2");
    put(STORE_STS, "c", "3");
    struct seen seen = {.most = 2};
    ck_assert(store_each(store, STORE_STS, see, &seen));
    ck_assert_str_eq(seen.text, "a=1 b=2 ");
    end();
}
END_TEST

START_TEST(secrets_are_for_their_owner)
{
    struct stat facts;
    mode_t before = umask(0);
    begin();
    umask(before);
    ck_assert_int_eq(stat(directory, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 07777, 0700);
    ck_assert_int_eq(stat(data, &facts), 0);
    ck_assert_uint_eq(facts.st_mode & 07777, 0600);
    end();
}
END_TEST

START_TEST(no_store_holds_and_keeps_nothing)
{
    const struct store_write write = {STORE_STS, SPAN("a"), SPAN("b")};
    struct seen seen = {.text = ""};
    ck_assert(!store_write(NULL, &write, 1));
    ck_assert(store_each(NULL, STORE_STS, see, &seen));
    ck_assert_str_eq(seen.text, "");
    struct store *none = NULL;
    store_close(&none);
}
END_TEST

/* ---- what is wrong on disk ---- */

static off_t find_in_file(const char *text)
{
    static char all[1 << 20];
    int file = open(data, O_RDONLY);
    ssize_t length = read(file, all, sizeof(all));
    ck_assert_int_gt(length, 0);
    close(file);
    const char *at = memmem(all, (size_t)length, text, strlen(text));
    ck_assert_ptr_nonnull(at);
    return at - all;
}

static void overwrite(off_t at, const void *bytes, size_t length)
{
    int file = open(data, O_WRONLY);
    ck_assert_int_eq(pwrite(file, bytes, length, at), (ssize_t)length);
    close(file);
}

START_TEST(a_damaged_value_is_seen)
{
    begin();
    put(STORE_STS, "domain", "a policy of TLS");
    store_close(&store);
    overwrite(find_in_file("a policy of TLS"), "A", 1);
    assert_begins_anew("damaged");
    assert_holds(STORE_STS, "");
    put(STORE_STS, "domain", "again");
    store_close(&store);
    assert_opens_well();
    assert_holds(STORE_STS, "domain=again ");
    end();
}
END_TEST

START_TEST(a_damaged_key_is_seen)
{
    begin();
    put(STORE_STS, "the-domain.example", "a policy of TLS");
    store_close(&store);
    overwrite(find_in_file("the-domain.example"), "T", 1);
    assert_begins_anew("damaged");
    end();
}
END_TEST

START_TEST(a_file_of_something_else_is_replaced)
{
    begin();
    put(STORE_STS, "a", "b");
    store_close(&store);
    char zeros[8192] = "";
    overwrite(0, zeros, sizeof(zeros));
    assert_begins_anew("MDB_INVALID");
    assert_holds(STORE_STS, "");
    end();
}
END_TEST

/* LMDB's two roots, a page each, say in bytes 136 to 143 which page is the last: it maps as much.
 */
START_TEST(a_last_page_beyond_all_is_replaced)
{
    static const off_t bytes[] = {138, 139, 140, 141};
    const char beyond = 0x10;
    for (size_t i = 0; i < countof(bytes); i++) {
        begin();
        put(STORE_STS, "a", "b");
        store_close(&store);
        overwrite(bytes[i], &beyond, 1);
        overwrite(4096 + bytes[i], &beyond, 1);
        assert_begins_anew("damaged");
        store_close(&store);
        assert_opens_well();
        end();
    }
}
END_TEST

START_TEST(a_file_cut_short_is_replaced)
{
    begin();
    char large[4000];
    memset(large, 'v', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (char key[] = "a"; key[0] <= 'z'; key[0]++)
        put(STORE_TLSRPT, key, large);
    store_close(&store);
    ck_assert_int_eq(truncate(data, 8192 + 100), 0); /* its two roots are there, no leaf is */
    assert_begins_anew("begun anew");
    assert_holds(STORE_TLSRPT, "");
    end();
}
END_TEST

static void make_other_format(void)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;
    char name[] = "format", format[] = "\0\0\0\0\x63";
    MDB_val key = {6, name}, value = {5, format};
    uint32_t crc = 0;
    ck_assert_int_eq(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 4);
    ck_assert_int_eq(mdb_env_open(env, directory, 0, 0600), 0);
    ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
    ck_assert_int_eq(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    crc = crc32c(crc32c(0, "format", 6), "\x63", 1);
    memcpy(format, &crc, sizeof(crc));
    ck_assert_int_eq(mdb_put(txn, meta, &key, &value, 0), 0);
    ck_assert_int_eq(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

START_TEST(another_format_is_replaced)
{
    begin();
    put(STORE_STS, "a", "b");
    store_close(&store);
    make_other_format();
    assert_begins_anew("another format");
    assert_holds(STORE_STS, "");
    end();
}
END_TEST

/* LMDB aborts, or reads beyond its map, on some kinds of damage: the one after may not die of it
 * again. */
START_TEST(what_a_process_died_of_is_not_read_again)
{
    begin();
    put(STORE_STS, "a", "b");
    store_close(&store);
    char mark[PATH_MAX];
    snprintf(mark, sizeof(mark), "%s/reading", directory);
    close(open(mark, O_WRONLY | O_CREAT, 0600));
    assert_begins_anew("died");
    assert_holds(STORE_STS, "");
    ck_assert_int_ne(access(mark, F_OK), 0);
    end();
}
END_TEST

/* Any page of it turned into noise, one after the other: at the latest the second process has a
 * store that works. */
START_TEST(noise_stops_one_process_at_most)
{
    begin();
    char key[16], noise[4096];
    for (int i = 0; i < 400; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        put(STORE_TICKETS, key, "what is worth so many bytes that there is more than one leaf");
    }
    store_close(&store);
    struct stat facts;
    ck_assert_int_eq(stat(data, &facts), 0);
    memset(noise, 0xa5, sizeof(noise));
    for (off_t page = 0; page < facts.st_size / 4096; page++) {
        overwrite(page * 4096 + 8, noise, sizeof(noise) - 8);
        pid_t child = fork();
        if (child == 0) {
            must(freopen("/dev/null", "w", stderr) != NULL);
            open_it();
            _exit(0); /* as a process that is killed */
        }
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_ptr_nonnull(open_it());
        put(STORE_TICKETS, "key", "value");
        store_close(&store);
    }
    assert_opens_well();
    end();
}
END_TEST

START_TEST(without_a_directory_there_is_no_store)
{
    begin();
    store_close(&store);
    snprintf(directory, sizeof(directory), "%s/file", parent);
    close(open(directory, O_WRONLY | O_CREAT, 0600));
    ck_assert_ptr_null(open_it());
    ck_assert_msg(strstr(why, "Not a directory") && strstr(why, directory), "%s", why);
    unlink(directory);
    snprintf(directory, sizeof(directory), "%s/none/tls", parent);
    ck_assert_ptr_null(open_it());
    ck_assert_msg(strstr(why, "No such file") != NULL, "%s", why);
    snprintf(directory, sizeof(directory), "%s/tls", parent);
    end();
}
END_TEST

/* ---- its bounds ---- */

START_TEST(what_does_not_fit_changes_nothing)
{
    begin();
    static char large[1 << 20];
    memset(large, 'v', sizeof(large));
    struct store_write writes[STORE_MAP_BYTES / sizeof(large) + 1];
    char keys[countof(writes)][8];
    put(STORE_STS, "kept", "policy");
    for (unsigned i = 0; i < countof(writes); i++) {
        snprintf(keys[i], sizeof(keys[i]), "%u", i);
        writes[i] = (struct store_write){STORE_TICKETS, span_of(keys[i]), {large, sizeof(large)}};
    }
    ck_assert(!store_write(store, writes, countof(writes)));
    assert_holds(STORE_TICKETS, "");
    assert_holds(STORE_STS, "kept=policy ");
    put(STORE_STS, "later", "policy"); /* and it works still */
    end();
}
END_TEST

static void *write_many(void *name)
{
    char key[32];
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "%s-%d", (char *)name, i);
        put(STORE_TICKETS, key, "v");
        if (i % 10 != 0)
            put(STORE_TICKETS, key, "");
    }
    return NULL;
}

static bool count_one(void *context, struct span key, struct span value)
{
    (void)key;
    ck_assert(span_equal(value, SPAN("v")));
    ++*(unsigned *)context;
    return true;
}

START_TEST(any_thread_may_write)
{
    begin();
    pthread_t threads[3];
    static char names[][2] = {"a", "b", "c"};
    unsigned count = 0;
    for (unsigned i = 0; i < countof(threads); i++)
        pthread_create(&threads[i], NULL, write_many, names[i]);
    for (unsigned i = 0; i < countof(threads); i++)
        pthread_join(threads[i], NULL);
    ck_assert(store_each(store, STORE_TICKETS, count_one, &count));
    ck_assert_uint_eq(count, 30);
    end();
}
END_TEST

TEST_MAIN("tlspolicy/store", what_was_written_is_there_after_a_restart,
          many_at_once_replaced_and_removed, who_reads_may_stop, secrets_are_for_their_owner,
          no_store_holds_and_keeps_nothing, a_damaged_value_is_seen, a_damaged_key_is_seen,
          a_file_of_something_else_is_replaced, a_last_page_beyond_all_is_replaced,
          a_file_cut_short_is_replaced, another_format_is_replaced,
          what_a_process_died_of_is_not_read_again, noise_stops_one_process_at_most,
          without_a_directory_there_is_no_store, what_does_not_fit_changes_nothing,
          any_thread_may_write)
