#include "queue/spool_inside.h"

#include "base/log.h"

#include <string.h>

/* A short look: nothing that it returns outlives it. */
struct look {
    MDB_txn *txn;
    MDB_cursor *cursor;
};

static void look_end(struct look *look)
{
    if (look->cursor != NULL)
        mdb_cursor_close(look->cursor);
    if (look->txn != NULL)
        mdb_txn_abort(look->txn);
}

static int look_begin(struct spool *spool, struct look *look)
{
    *look = (struct look){0};
    return mdb_txn_begin(spool->env, NULL, MDB_RDONLY, &look->txn);
}

static void tell(int rc)
{
    if (rc != 0 && rc != MDB_NOTFOUND)
        log_note("spool-unreadable", "why", "%s", mdb_strerror(rc));
}

static void shout(uint64_t id, uint16_t number, const char *what)
{
    char name[ENVELOPE_NAME_MAX];
    log_note("spool-damaged", "why", "%s %s: the record is not one of ours", what,
             envelope_name(id, number, name));
}

/* ---- one envelope ---- */

static struct envelope *read_envelope(struct spool *spool, MDB_txn *txn, uint64_t id,
                                      uint16_t number)
{
    uint8_t key_bytes[ENVELOPE_KEY_BYTES];
    envelope_key_write(id, number, key_bytes);
    MDB_val key = value_of(key_bytes, sizeof(key_bytes));
    MDB_val value;
    if (mdb_get(txn, spool->envelope, &key, &value) != 0)
        return NULL;
    struct envelope *envelope = envelope_record_read(span_of_value(value), id, number);
    if (envelope == NULL)
        shout(id, number, "envelope");
    return envelope;
}

static struct message *read_message(struct spool *spool, MDB_txn *txn, uint64_t id)
{
    uint8_t key_bytes[MESSAGE_KEY_BYTES];
    unsigned left;
    message_key_write(id, key_bytes);
    MDB_val key = value_of(key_bytes, sizeof(key_bytes));
    MDB_val value;
    struct message *message = NULL;
    if (mdb_get(txn, spool->message, &key, &value) == 0)
        message = message_record_read(span_of_value(value), id, &left);
    if (message == NULL)
        shout(id, 0, "message");
    return message;
}

struct envelope *spool_read(struct spool *spool, uint64_t id, uint16_t number)
{
    struct look look CLEANUP(look_end);
    int rc = look_begin(spool, &look);
    tell(rc);
    if (rc != 0)
        return NULL;
    struct envelope *envelope = read_envelope(spool, look.txn, id, number);
    if (envelope == NULL)
        return NULL;
    envelope->message = read_message(spool, look.txn, id);
    spool_has_read(spool, 2);
    if (envelope->message == NULL)
        envelope_free(&envelope);
    return envelope;
}

/* ---- scans ---- */

/* The first record behind `key_bytes`, or the very first one. */
static int first_behind(struct look *look, const uint8_t *key_bytes, size_t key_size,
                        bool from_start, MDB_val *key, MDB_val *value)
{
    if (from_start)
        return mdb_cursor_get(look->cursor, key, value, MDB_FIRST);
    *key = value_of(key_bytes, key_size);
    int rc = mdb_cursor_get(look->cursor, key, value, MDB_SET_RANGE);
    if (rc == 0 && key->mv_size == key_size && memcmp(key->mv_data, key_bytes, key_size) == 0)
        rc = mdb_cursor_get(look->cursor, key, value, MDB_NEXT);
    return rc;
}

static bool glance_at(struct span record, struct spool_glance *glance)
{
    struct envelope_head head;
    if (!envelope_record_head(record, &head)) {
        shout(glance->id, glance->number, "envelope");
        return false;
    }
    glance->attempts = head.attempts;
    glance->due_ms = head.due_ms;
    glance->postponed_s = head.postponed_s;
    glance->recipients = head.count;
    glance->warned = head.warned;
    glance->timed = head.timed;
    glance->security = head.security;
    glance->held = head.held;
    memcpy(glance->destination, head.destination.data, head.destination.length);
    glance->destination[head.destination.length] = '\0';
    return true;
}

size_t spool_scan(struct spool *spool, uint64_t *id, uint16_t *number, bool from_start,
                  struct spool_glance *glances, size_t max)
{
    struct look look CLEANUP(look_end);
    uint8_t key_bytes[ENVELOPE_KEY_BYTES];
    MDB_val key;
    MDB_val value;
    size_t count = 0;
    int rc = look_begin(spool, &look);
    if (rc == 0)
        rc = mdb_cursor_open(look.txn, spool->envelope, &look.cursor);
    envelope_key_write(*id, *number, key_bytes);
    if (rc == 0)
        rc = first_behind(&look, key_bytes, sizeof(key_bytes), from_start, &key, &value);
    for (; rc == 0 && count < max; rc = mdb_cursor_get(look.cursor, &key, &value, MDB_NEXT)) {
        if (!envelope_key_read(span_of_value(key), id, number))
            continue;
        glances[count].id = *id;
        glances[count].number = *number;
        if (glance_at(span_of_value(value), &glances[count]))
            count++;
    }
    tell(rc);
    spool_has_read(spool, count);
    return count;
}

/* Returns how many records were seen; `*rc` is MDB_NOTFOUND at the end. */
static size_t keep_page(struct spool *spool, struct look *look, size_t max, int *rc)
{
    uint8_t key_bytes[MESSAGE_KEY_BYTES];
    MDB_val key;
    MDB_val value;
    size_t count = 0;
    message_key_write(spool->scanned_id, key_bytes);
    *rc = first_behind(look, key_bytes, sizeof(key_bytes), !spool->scan_began, &key, &value);
    for (; *rc == 0 && count < max; count++) {
        uint64_t id;
        struct message_head head;
        if (!message_key_read(span_of_value(key), &id) || id > spool->born) {
            *rc = MDB_NOTFOUND; /* ours from here on: kept when it was committed */
            break;
        }
        spool->scan_began = true;
        spool->scanned_id = id;
        if (message_record_head(span_of_value(value), &head))
            segments_keep(spool->segments, &head.place);
        else
            shout(id, 0, "message");
        *rc = mdb_cursor_get(look->cursor, &key, &value, MDB_NEXT);
    }
    return count;
}

size_t spool_scan_bodies(struct spool *spool, size_t max)
{
    struct look look CLEANUP(look_end);
    size_t count = 0;
    pthread_mutex_lock(&spool->scan);
    int rc = look_begin(spool, &look);
    if (rc == 0)
        rc = mdb_cursor_open(look.txn, spool->message, &look.cursor);
    if (rc == 0)
        count = keep_page(spool, &look, max, &rc);
    if (rc == MDB_NOTFOUND && count == 0)
        segments_scanned(spool->segments);
    pthread_mutex_unlock(&spool->scan);
    tell(rc);
    spool_has_read(spool, count);
    return count;
}

/* ---- facts ---- */

static uint64_t entries(MDB_txn *txn, MDB_dbi table)
{
    MDB_stat stat;
    return mdb_stat(txn, table, &stat) == 0 ? stat.ms_entries : 0;
}

void spool_facts(struct spool *spool, struct spool_facts *facts)
{
    struct look look CLEANUP(look_end);
    MDB_envinfo info;
    *facts = (struct spool_facts){.free_bytes = spool_disk_free(spool)};
    facts->bytes = segments_bytes(spool->segments);
    if (mdb_env_info(spool->env, &info) == 0)
        facts->index_bytes = (info.me_last_pgno + 1) * spool->page_bytes;
    facts->bytes += facts->index_bytes;
    if (look_begin(spool, &look) != 0)
        return;
    facts->messages = entries(look.txn, spool->message);
    facts->envelopes = entries(look.txn, spool->envelope);
}

/* Table 0 holds one list of pages for each transaction that freed some, its length first. */
size_t spool_free_pages(struct spool *spool)
{
    struct look look CLEANUP(look_end);
    MDB_val key;
    MDB_val value;
    size_t sum = 0;
    if (look_begin(spool, &look) != 0 || mdb_cursor_open(look.txn, 0, &look.cursor) != 0)
        return 0;
    while (mdb_cursor_get(look.cursor, &key, &value, MDB_NEXT) == 0) {
        size_t count;
        memcpy(&count, value.mv_data, sizeof(count));
        sum += count;
    }
    return sum;
}

uint64_t spool_index_free(struct spool *spool)
{
    return spool_free_pages(spool) * spool->page_bytes;
}

/* ---- suspensions ---- */

/* They are few: one transaction sees them all. */
void spool_suspensions(struct spool *spool,
                       void (*each)(const struct suspension *suspension, void *with), void *with)
{
    struct look look CLEANUP(look_end);
    MDB_val key;
    MDB_val value;
    int rc = look_begin(spool, &look);
    if (rc == 0)
        rc = mdb_cursor_open(look.txn, spool->destination, &look.cursor);
    while (rc == 0 && (rc = mdb_cursor_get(look.cursor, &key, &value, MDB_NEXT)) == 0) {
        struct suspension suspension;
        if (suspension_read(span_of_value(key), span_of_value(value), &suspension))
            each(&suspension, with);
        else
            log_note("spool-damaged", "why", "a suspension's record is not one of ours");
    }
    tell(rc);
}
