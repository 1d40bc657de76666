#include "tlspolicy/store.h"

#include "base/crc32c.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FREE_PAGES 0 /* LMDB's own table of them */

struct store {
    MDB_env *env;
    MDB_dbi meta, tables[STORE_TABLES];
    atomic_bool failing; /* as was logged last */
    char directory[PATH_MAX];
};

static const char *const table_names[] = {
    [STORE_TICKETS] = "tickets",
    [STORE_STS] = "sts",
    [STORE_TLSRPT] = "tlsrpt",
};
_Static_assert(countof(table_names) == STORE_TABLES, "each table has a name");

/* In front of every value. */
struct head {
    uint32_t crc; /* of key and value */
};

static uint32_t checksum(MDB_val key, struct span value)
{
    return crc32c(crc32c(0, key.mv_data, key.mv_size), value.data, value.length);
}

static MDB_val value_of(struct span bytes)
{
    /* LMDB's values are for both ways; what is put is only read */
    return (MDB_val){.mv_size = bytes.length, .mv_data = (void *)(uintptr_t)bytes.data};
}

/* False when it is not what was written. */
static bool unwrap(MDB_val key, MDB_val stored, struct span *value)
{
    struct head head;
    if (stored.mv_size < sizeof(head))
        return false;
    memcpy(&head, stored.mv_data, sizeof(head));
    *value = span_skip((struct span){stored.mv_data, stored.mv_size}, sizeof(head));
    return head.crc == checksum(key, *value);
}

/* ---- writing ---- */

/* Once when it begins, once when it is over. */
static void tell_failing(struct store *store, int rc)
{
    bool failing = rc != 0;
    if (atomic_exchange(&store->failing, failing) == failing)
        return;
    if (failing)
        log_note("tls-store-failed", "why",
                 "%s: %s: what TLS could keep over a restart (tickets, policies, reports) is not "
                 "kept until this can be written",
                 store->directory, mdb_strerror(rc));
    else
        log_note("tls-store-works", "why", "%s: it can be written again", store->directory);
}

static int put(MDB_txn *txn, MDB_dbi table, MDB_val key, struct span value)
{
    struct head head = {checksum(key, value)};
    MDB_val place = {.mv_size = sizeof(head) + value.length};
    int rc = mdb_put(txn, table, &key, &place, MDB_RESERVE);
    if (rc != 0)
        return rc;
    memcpy(place.mv_data, &head, sizeof(head));
    memcpy((char *)place.mv_data + sizeof(head), value.data, value.length);
    return 0;
}

static int write_one(const struct store *store, MDB_txn *txn, const struct store_write *write)
{
    must(write->key.length > 0 && write->key.length <= STORE_KEY_MAX);
    MDB_dbi table = store->tables[write->table];
    MDB_val key = value_of(write->key);
    if (write->value.length > 0)
        return put(txn, table, key, write->value);
    int rc = mdb_del(txn, table, &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

bool store_write(struct store *store, const struct store_write *writes, size_t count)
{
    MDB_txn *txn;
    if (store == NULL || count == 0)
        return count == 0;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc == 0) {
        for (size_t i = 0; i < count && rc == 0; i++)
            rc = write_one(store, txn, &writes[i]);
        if (rc == 0)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    tell_failing(store, rc);
    return rc == 0;
}

/* ---- reading ---- */

struct reading {
    bool (*take)(void *context, struct span key, struct span value);
    void *context;
    unsigned damaged;
};

/* 0, or LMDB's complaint. */
static int read_table(MDB_txn *txn, MDB_dbi table, struct reading *reading)
{
    MDB_cursor *cursor;
    MDB_val key, stored;
    struct span value;
    int rc = mdb_cursor_open(txn, table, &cursor);
    if (rc != 0)
        return rc;
    while ((rc = mdb_cursor_get(cursor, &key, &stored, MDB_NEXT)) == 0) {
        if (table == FREE_PAGES)
            continue;
        if (!unwrap(key, stored, &value))
            reading->damaged++;
        else if (!reading->take(reading->context, (struct span){key.mv_data, key.mv_size}, value))
            break;
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

bool store_each(struct store *store, enum store_table table,
                bool (*take)(void *context, struct span key, struct span value), void *context)
{
    MDB_txn *txn;
    if (store == NULL)
        return true;
    if (mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn) != 0)
        return false;
    struct reading reading = {.take = take, .context = context};
    int rc = read_table(txn, store->tables[table], &reading);
    mdb_txn_abort(txn);
    return rc == 0 && reading.damaged == 0;
}

/* ---- opening ---- */

#define OTHER_FORMAT (-1) /* beside LMDB's and errno's: ours */
#define DAMAGED (-2)
#define DIED (-3)

static const char *complaint(int rc)
{
    switch (rc) {
    case OTHER_FORMAT: return "of another format";
    case DAMAGED: return "damaged";
    case DIED: return "a process died when it read it";
    default: return mdb_strerror(rc);
    }
}

static void print_why(char why[STORE_WHY_MAX], const char *format, ...) PRINTF_LIKE(2, 3);

static void print_why(char why[STORE_WHY_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, STORE_WHY_MAX, format, arguments);
    va_end(arguments);
}

struct path {
    char text[PATH_MAX + 16];
};

static struct path path_in(const struct store *store, const char *name)
{
    struct path path;
    snprintf(path.text, sizeof(path.text), "%s/%s", store->directory, name);
    return path;
}

/* LMDB takes its pages on trust, and reading a damaged one may end the process. Then this file is
 * left, and the next process reads nothing. */
#define READING "reading"

static bool was_left_reading(const struct store *store)
{
    return access(path_in(store, READING).text, F_OK) == 0;
}

static void begin_reading(const struct store *store)
{
    int file = open(path_in(store, READING).text, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0) /* a full disk: without, then */
        close(file);
}

static void end_reading(const struct store *store)
{
    unlink(path_in(store, READING).text);
}

/* To read beyond the end of a file that was cut short is a signal, not an error: so it gets its
 * length back, and pages of zeros are seen for what they are. (LMDB itself may leave the last ones
 * unwritten when they are free: nothing is wrong then.) */
static int mend_length(const struct store *store)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat facts;
    int file;
    must(mdb_env_info(store->env, &info) == 0 && mdb_env_stat(store->env, &stat) == 0);
    must(mdb_env_get_fd(store->env, &file) == 0);
    if (info.me_last_pgno >= STORE_MAP_BYTES / stat.ms_psize) /* no store of ours gets there */
        return DAMAGED;
    off_t wanted = (off_t)(info.me_last_pgno + 1) * (off_t)stat.ms_psize;
    bool short_of_it = fstat(file, &facts) == 0 && facts.st_size < wanted;
    return short_of_it && ftruncate(file, wanted) != 0 ? errno : 0;
}

static bool take_any(void *context, struct span key, struct span value)
{
    (void)context, (void)key, (void)value;
    return true;
}

/* Whether all of it can be read, and is what was written. */
static int read_all(const struct store *store)
{
    MDB_txn *txn;
    struct reading reading = {.take = take_any};
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return rc;
    rc = read_table(txn, FREE_PAGES, &reading);
    for (unsigned i = 0; i < STORE_TABLES && rc == 0; i++)
        rc = read_table(txn, store->tables[i], &reading);
    mdb_txn_abort(txn);
    return rc == 0 && reading.damaged > 0 ? DAMAGED : rc;
}

/* A format that is not said is that of a store that is new. */
static int check_format(struct store *store, MDB_txn *txn)
{
    MDB_val key = value_of(SPAN("format")), stored;
    struct span format;
    const char ours[] = {STORE_FORMAT};
    struct span wanted = {ours, sizeof(ours)};
    int rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &store->meta);
    if (rc == 0)
        rc = mdb_get(txn, store->meta, &key, &stored);
    if (rc == MDB_NOTFOUND)
        return put(txn, store->meta, key, wanted);
    if (rc == 0 && !unwrap(key, stored, &format))
        return DAMAGED;
    return rc == 0 && !span_equal(format, wanted) ? OTHER_FORMAT : rc;
}

static int open_tables(struct store *store)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (rc != 0)
        return rc;
    rc = check_format(store, txn);
    for (unsigned i = 0; i < STORE_TABLES && rc == 0; i++)
        rc = mdb_dbi_open(txn, table_names[i], MDB_CREATE, &store->tables[i]);
    if (rc == 0)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
    return rc;
}

static int open_env(struct store *store)
{
    must(mdb_env_create(&store->env) == 0);
    must(mdb_env_set_mapsize(store->env, STORE_MAP_BYTES) == 0);
    must(mdb_env_set_maxdbs(store->env, STORE_TABLES + 1) == 0);
    int rc = mdb_env_open(store->env, store->directory, MDB_NOTLS | MDB_NOMETASYNC, 0600);
    if (rc == ENOMEM) /* it maps as much as the file says that it holds */
        rc = DAMAGED;
    if (rc == 0)
        rc = mend_length(store);
    if (rc == 0)
        rc = open_tables(store);
    if (rc == 0)
        rc = read_all(store);
    if (rc != 0) {
        mdb_env_close(store->env);
        store->env = NULL;
    }
    return rc;
}

static int open_once(struct store *store)
{
    if (was_left_reading(store))
        return DIED;
    begin_reading(store);
    int rc = open_env(store);
    end_reading(store);
    return rc;
}

static void throw_away(const struct store *store)
{
    unlink(path_in(store, "data.mdb").text);
    unlink(path_in(store, "lock.mdb").text);
    end_reading(store);
}

/* What another store in its place would not cure: rights, room, memory. */
static bool is_systems(int rc)
{
    return rc > 0;
}

static bool open_or_begin_anew(struct store *store, char why[STORE_WHY_MAX])
{
    int rc = mkdir(store->directory, 0700) == 0 || errno == EEXIST ? 0 : errno;
    if (rc == 0)
        rc = open_once(store);
    if (rc != 0 && !is_systems(rc)) {
        print_why(why, "%s: %s: thrown away and begun anew; what it kept for TLS is forgotten",
                  store->directory, complaint(rc));
        throw_away(store);
        rc = open_once(store);
    }
    if (rc == 0)
        return true;
    print_why(why,
              "%s: %s: make it a directory of the user that runs millrace, with room on its "
              "disk; until a restart nothing is kept for TLS",
              store->directory, complaint(rc));
    return false;
}

struct store *store_open(const char *directory, char why[STORE_WHY_MAX])
{
    struct store *store = must_calloc(1, sizeof(*store));
    why[0] = '\0';
    if (strlen(directory) >= sizeof(store->directory)) {
        print_why(why, "the name of its directory is too long");
        store_close(&store);
        return NULL;
    }
    snprintf(store->directory, sizeof(store->directory), "%s", directory);
    if (!open_or_begin_anew(store, why))
        store_close(&store);
    return store;
}

void store_close(struct store **store)
{
    struct store *closed = *store;
    *store = NULL;
    if (closed == NULL)
        return;
    if (closed->env != NULL) {
        mdb_env_sync(closed->env, 1);
        mdb_env_close(closed->env);
    }
    free(closed);
}
