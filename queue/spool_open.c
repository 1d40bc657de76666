#include "queue/spool_inside.h"

#include "queue/directory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define TABLES_MAX 16
#define INDEX_NAME "data.mdb" /* LMDB's own word */

/* ---- open ---- */

struct opening {
    const struct spool_options *options;
    char *why;
    size_t why_size;
    int *exit_code;
};

static bool refuse(const struct opening *opening, int exit_code, const char *format, ...)
    PRINTF_LIKE(3, 4);

static bool refuse(const struct opening *opening, int exit_code, const char *format, ...)
{
    char what[SPOOL_WHY_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    snprintf(opening->why, opening->why_size, "spool %s: %s", opening->options->directory, what);
    *opening->exit_code = exit_code;
    return false;
}

static bool refuse_errno(const struct opening *opening, const char *what, int error)
{
    if (error == EACCES || error == EPERM)
        return refuse(opening, EX_NOPERM, "%s: %s: give it to the user that runs millrace", what,
                      strerror(error));
    if (error == ENOSPC || error == EDQUOT)
        return refuse(opening, EX_TEMPFAIL, "%s: %s: make room", what, strerror(error));
    if (error == ENOTDIR || error == EEXIST)
        return refuse(opening, EX_CANTCREAT, "%s: there is a file of that name: move it away",
                      what);
    return refuse(opening, EX_CANTCREAT, "%s: %s", what, strerror(error));
}

static bool refuse_lmdb(const struct opening *opening, const char *what, int rc)
{
    if (rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_BAD_DBI)
        return refuse(opening, EX_DATAERR,
                      "%s: data.mdb is damaged (%s): put a backup in its place", what,
                      mdb_strerror(rc));
    if (rc == MDB_VERSION_MISMATCH)
        return refuse(opening, EX_DATAERR, "%s: data.mdb was written by another version of LMDB",
                      what);
    if (rc == MDB_MAP_FULL)
        return refuse(opening, EX_CONFIG, "%s: the map is too small for what is stored", what);
    return rc > 0 ? refuse_errno(opening, what, rc)
                  : refuse(opening, EX_SOFTWARE, "%s: %s", what, mdb_strerror(rc));
}

static bool take_directory(struct spool *spool, const struct opening *opening)
{
    long holder;
    int error = directory_make(spool->directory);
    if (error)
        return refuse_errno(opening, "cannot be made", error);
    error = directory_lock(spool->directory, &spool->lock, &holder);
    if (error == EWOULDBLOCK)
        return refuse(opening, EX_TEMPFAIL,
                      "in use by process %ld: stop that one, or give this one another spool",
                      holder);
    return error == 0 || refuse_errno(opening, "cannot be locked", error);
}

static unsigned env_flags(enum durability durability)
{
    switch (durability) {
    case DURABILITY_COMMIT: return MDB_NOTLS;
    case DURABILITY_RELAXED: return MDB_NOTLS | MDB_NOMETASYNC;
    case DURABILITY_NONE: return MDB_NOTLS | MDB_NOMETASYNC | MDB_NOSYNC;
    }
    must_not_reach();
}

static void measure_map(struct spool *spool)
{
    MDB_envinfo info;
    MDB_stat stat;
    must(mdb_env_info(spool->env, &info) == 0 && mdb_env_stat(spool->env, &stat) == 0);
    spool->page_bytes = stat.ms_psize;
    spool->map_pages = info.me_mapsize / stat.ms_psize;
    spool->reserve_pages = SPOOL_MAP_RESERVE / stat.ms_psize;
    if (spool->reserve_pages > spool->map_pages / 4) /* a map made small for tests */
        spool->reserve_pages = spool->map_pages / 4;
}

/* A new index is made aside, and has its name once it is whole on the disk: a crash before that
 * leaves none, rather than one that cannot be read. */
static bool make_index(const struct spool *spool, const struct opening *opening)
{
    char name[PATH_MAX];
    char aside[PATH_MAX];
    MDB_env *env;
    snprintf(name, sizeof(name), "%s/" INDEX_NAME, spool->directory);
    snprintf(aside, sizeof(aside), "%s/" INDEX_NAME ".new", spool->directory);
    if (access(name, F_OK) == 0)
        return true;
    unlink(aside); /* left by a crash, or not there */
    must(mdb_env_create(&env) == 0);
    int rc = mdb_env_open(env, aside, MDB_NOSUBDIR | MDB_NOLOCK, 0600);
    if (rc == 0)
        rc = mdb_env_sync(env, 1);
    mdb_env_close(env);
    if (rc == 0 && rename(aside, name) != 0)
        rc = errno;
    return rc == 0 || refuse_lmdb(opening, "cannot be made", rc);
}

static bool open_env(struct spool *spool, const struct opening *opening)
{
    const struct spool_options *options = opening->options;
    uint64_t map_bytes = options->map_bytes ? options->map_bytes : SPOOL_MAP_DEFAULT;
    must(mdb_env_create(&spool->env) == 0);
    must(mdb_env_set_mapsize(spool->env, map_bytes) == 0);
    must(mdb_env_set_maxdbs(spool->env, TABLES_MAX) == 0);
    int rc = mdb_env_open(spool->env, spool->directory, env_flags(spool->durability), 0600);
    if (rc != 0)
        return refuse_lmdb(opening, "cannot be opened", rc);
    measure_map(spool);
    spool_find_map(spool);
    return true;
}

static int get_number(struct spool *spool, MDB_txn *txn, const char *name, uint64_t *number)
{
    MDB_val key = value_of(name, strlen(name));
    MDB_val value;
    int rc = mdb_get(txn, spool->meta, &key, &value);
    *number = 0;
    if (rc == 0 && value.mv_size == sizeof(*number))
        memcpy(number, value.mv_data, sizeof(*number));
    return rc == 0 && value.mv_size != sizeof(*number) ? MDB_CORRUPTED : rc;
}

int spool_put_number(struct spool *spool, MDB_txn *txn, const char *name, uint64_t number)
{
    MDB_val key = value_of(name, strlen(name));
    MDB_val value = value_of(&number, sizeof(number));
    return mdb_put(txn, spool->meta, &key, &value, 0);
}

/* 0 for a spool that is new. */
static int read_format(struct spool *spool, MDB_txn *txn, uint64_t *format)
{
    *format = 0;
    int rc = mdb_dbi_open(txn, "meta", 0, &spool->meta);
    if (rc == 0)
        rc = get_number(spool, txn, "format", format);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int open_tables(struct spool *spool, MDB_txn *txn)
{
    uint64_t reserved = 0;
    int rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &spool->meta);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "message", MDB_CREATE, &spool->message);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "envelope", MDB_CREATE, &spool->envelope);
    if (rc == 0)
        rc = mdb_dbi_open(txn, "destination", MDB_CREATE, &spool->destination);
    if (rc == 0)
        rc = spool_put_number(spool, txn, "format", SPOOL_FORMAT);
    if (rc == 0)
        rc = get_number(spool, txn, SPOOL_NEXT_ID, &reserved);
    spool->ids_reserved = spool->ids_wanted = spool->born = reserved;
    atomic_init(&spool->last_id, reserved);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static bool open_data(struct spool *spool, const struct opening *opening)
{
    MDB_txn *txn;
    uint64_t format;
    int rc = mdb_txn_begin(spool->env, NULL, 0, &txn);
    if (rc != 0)
        return refuse_lmdb(opening, "cannot be written", rc);
    rc = read_format(spool, txn, &format);
    if (rc == 0 && format != 0 && format != SPOOL_FORMAT) { /* 0: new */
        mdb_txn_abort(txn);
        return refuse(opening, EX_DATAERR, "has format %" PRIu64 ", this program reads %d only: %s",
                      format, SPOOL_FORMAT,
                      format > SPOOL_FORMAT
                          ? "install the newer program that wrote it"
                          : "let the older program that wrote it deliver what it holds first");
    }
    if (rc == 0)
        rc = open_tables(spool, txn);
    if (rc == 0)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    return rc == 0 || refuse_lmdb(opening, "cannot be read", rc);
}

static bool open_bodies(struct spool *spool, const struct opening *opening)
{
    /* A record names segments of this process or an earlier one, whose ids are all below. */
    struct segments_options options = {.spool_directory = spool->directory,
                                       .sync = spool->durability != DURABILITY_NONE,
                                       .bytes = opening->options->segment_bytes,
                                       .above = spool->born};
    int error = segments_open(&options, &spool->segments);
    if (!error && options.sync)
        error = directory_sync(spool->directory); /* data.mdb and bodies may be new */
    return error == 0 || refuse_errno(opening, "bodies cannot be opened", error);
}

struct spool *spool_open(const struct spool_options *options, char *why, size_t why_size,
                         int *exit_code)
{
    struct opening opening = {options, why, why_size, exit_code};
    struct spool *spool = must_calloc(1, sizeof(*spool));
    spool->lock = -1;
    spool->durability = options->durability;
    spool->directory = must_strdup(options->directory);
    spool->min_free_bytes =
        options->min_free_bytes ? options->min_free_bytes : SPOOL_MIN_FREE_DEFAULT;
    pthread_mutex_init(&spool->scan, NULL);
    if (!take_directory(spool, &opening) || !make_index(spool, &opening) ||
        !open_env(spool, &opening) || !open_data(spool, &opening) || !open_bodies(spool, &opening))
        spool_close(&spool);
    return spool;
}

void spool_close(struct spool **spool)
{
    struct spool *closed = *spool;
    *spool = NULL;
    if (closed == NULL)
        return;
    if (closed->segments != NULL)
        segments_sync(closed->segments); /* relaxed: the last second of it */
    if (closed->env != NULL) {
        mdb_env_sync(closed->env, closed->durability == DURABILITY_RELAXED);
        mdb_env_close(closed->env);
    }
    segments_close(&closed->segments); /* last: what the index has let go of may be unlinked */
    if (closed->lock >= 0)
        close(closed->lock);
    pthread_mutex_destroy(&closed->scan);
    buffer_free(&closed->record);
    free(closed->accepted.items);
    free(closed->removed.items);
    free(closed->directory);
    free(closed);
}
