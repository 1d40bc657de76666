#include "queue/spool_inside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#define BATCH_PAGES_MAX 2048       /* no batch of the committer's takes more of the map */
#define IDS_AHEAD (60000ull << 20) /* a minute's */
#define RELAXED_SYNC_MS 1000

struct segments *spool_segments(struct spool *spool)
{
    return spool->segments;
}

/* ---- ids ---- */

uint64_t spool_next_id(struct spool *spool, int64_t wall_ms)
{
    uint64_t from_clock = wall_ms > 0 ? (uint64_t)wall_ms << 20 : 0;
    uint64_t last = atomic_load_explicit(&spool->last_id, memory_order_relaxed);
    uint64_t next;
    do {
        next = from_clock > last ? from_clock : last + 1;
    } while (!atomic_compare_exchange_weak_explicit(&spool->last_id, &last, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return next;
}

/* The batch that accepts an id carries a reservation beyond it, in steps: most write none. */
static int reserve_ids(struct spool *spool, MDB_txn *txn)
{
    uint64_t last = atomic_load_explicit(&spool->last_id, memory_order_relaxed);
    if (last + IDS_AHEAD / 2 < spool->ids_reserved)
        return 0;
    spool->ids_wanted = last + IDS_AHEAD;
    return spool_put_number(spool, txn, SPOOL_NEXT_ID, spool->ids_wanted);
}

/* ---- room ---- */

bool spool_full(struct spool *spool)
{
    return atomic_load_explicit(&spool->full, memory_order_relaxed);
}

const char *spool_why(const struct spool *spool)
{
    return spool->why;
}

uint64_t spool_disk_free(const struct spool *spool)
{
    struct statvfs facts;
    if (statvfs(spool->directory, &facts) != 0)
        return UINT64_MAX;
    return (uint64_t)facts.f_bavail * facts.f_frsize;
}

/* Counting is only worth it once the file has grown near its bound, and then again only when
 * as many batches have passed as could have used up what was counted. */
static bool map_has_room(struct spool *spool)
{
    MDB_envinfo info;
    must(mdb_env_info(spool->env, &info) == 0);
    size_t used = info.me_last_pgno + 1;
    size_t left = used < spool->map_pages ? spool->map_pages - used : 0;
    if (left >= spool->reserve_pages + BATCH_PAGES_MAX)
        return true;
    if (spool->sure_batches > 0) {
        spool->sure_batches--;
        return true;
    }
    left += spool_free_pages(spool);
    if (left < spool->reserve_pages)
        return false;
    spool->sure_batches = (left - spool->reserve_pages) / BATCH_PAGES_MAX;
    return true;
}

static void look_for_room(struct spool *spool)
{
    const char *why = NULL;
    if (spool_disk_free(spool) < spool->min_free_bytes)
        why = "the disk has less free than is to be left";
    else if (!map_has_room(spool))
        why = "the map is full but for the reserve";
    if (why != NULL)
        snprintf(spool->why, sizeof(spool->why), "%s", why);
    atomic_store_explicit(&spool->full, why != NULL, memory_order_relaxed);
}

/* ---- a batch and its sticky error ---- */

static bool good(const struct spool_batch *batch)
{
    return batch->result == SPOOL_OK;
}

static void fail(struct spool_batch *batch, enum spool_result result, const char *what, int rc)
{
    if (!good(batch))
        return;
    batch->result = result;
    snprintf(batch->spool->why, sizeof(batch->spool->why), "%s: %s", what, mdb_strerror(rc));
}

/* LMDB tells a write that was cut short by a full disk as EIO: the disk knows better. */
static enum spool_result judge(const struct spool *spool, int rc)
{
    if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG)
        return SPOOL_FULL;
    if (rc == EIO && spool_disk_free(spool) < spool->min_free_bytes)
        return SPOOL_FULL;
    return SPOOL_BROKEN;
}

/* Takes what a step returned into the batch's error. */
static void check(struct spool_batch *batch, const char *what, int rc)
{
    if (rc != 0 && good(batch))
        fail(batch, judge(batch->spool, rc), what, rc);
}

/* A failed sync may have lost what was written: no second one can tell. */
static void check_sync(struct spool_batch *batch, const char *what, int error)
{
    if (error != 0)
        fail(batch, SPOOL_BROKEN, what, error);
}

static void add_body(struct stored_bodies *bodies, uint64_t id, const struct body_place *place)
{
    if (bodies->count == bodies->capacity) {
        bodies->capacity = bodies->capacity ? bodies->capacity * 2 : 256;
        bodies->items = must_realloc(bodies->items, bodies->capacity * sizeof(*bodies->items));
    }
    bodies->items[bodies->count++] = (struct stored_body){id, *place};
}

void spool_begin(struct spool *spool, struct spool_batch *batch, bool accepting)
{
    MDB_txn *txn = NULL;
    *batch = (struct spool_batch){.spool = spool};
    spool->appended = false;
    spool->touched = 0;
    spool->accepted.count = spool->removed.count = 0;
    spool->ids_wanted = spool->ids_reserved;
    look_for_room(spool);
    if (accepting && spool_full(spool)) {
        batch->result = SPOOL_FULL;
        return;
    }
    check(batch, "cannot begin a transaction", mdb_txn_begin(spool->env, NULL, 0, &txn));
    batch->transaction = txn;
}

void spool_append(struct spool_batch *batch, struct segment_append *bodies, size_t count)
{
    if (!good(batch) || count == 0)
        return;
    must(!batch->spool->appended);
    int error = segments_append(batch->spool->segments, bodies, count);
    batch->spool->appended = error == 0;
    check(batch, "cannot write bodies", error);
}

void spool_sync_own(struct spool_batch *batch, struct own_file *file)
{
    if (good(batch))
        check_sync(batch, "cannot sync a body's file", own_file_sync(file));
}

/* ---- steps ---- */

static int put_envelope(struct spool_batch *batch, const struct envelope *envelope)
{
    struct spool *spool = batch->spool;
    uint8_t key_bytes[ENVELOPE_KEY_BYTES];
    envelope_key_write(envelope->id, envelope->number, key_bytes);
    spool->touched++;
    buffer_clear(&spool->record);
    envelope_record_write(&spool->record, envelope);
    must(buffer_length(&spool->record) <= RECORD_MAX);
    MDB_val key = value_of(key_bytes, sizeof(key_bytes));
    MDB_val value = value_of(spool->record.memory, buffer_length(&spool->record));
    return mdb_put(batch->transaction, spool->envelope, &key, &value, 0);
}

static int put_message(struct spool_batch *batch, const struct message *message, unsigned left)
{
    struct spool *spool = batch->spool;
    uint8_t key_bytes[MESSAGE_KEY_BYTES];
    message_key_write(message->id, key_bytes);
    buffer_clear(&spool->record);
    message_record_write(&spool->record, message, left);
    must(buffer_length(&spool->record) <= RECORD_MAX);
    MDB_val key = value_of(key_bytes, sizeof(key_bytes));
    MDB_val value = value_of(spool->record.memory, buffer_length(&spool->record));
    return mdb_put(batch->transaction, spool->message, &key, &value, 0);
}

void spool_accept(struct spool_batch *batch, const struct message *message,
                  struct envelope *const *envelopes, size_t count)
{
    must(count > 0 && message->id > batch->spool->born);
    if (good(batch))
        check(batch, "cannot store a message", put_message(batch, message, (unsigned)count));
    for (size_t i = 0; i < count && good(batch); i++) {
        must(envelopes[i]->id == message->id);
        check(batch, "cannot store an envelope", put_envelope(batch, envelopes[i]));
    }
    if (good(batch))
        add_body(&batch->spool->accepted, message->id, &message->place);
}

static int get_envelope(struct spool_batch *batch, uint64_t id, uint16_t number, MDB_val *record)
{
    uint8_t key_bytes[ENVELOPE_KEY_BYTES];
    envelope_key_write(id, number, key_bytes);
    MDB_val key = value_of(key_bytes, sizeof(key_bytes));
    return mdb_get(batch->transaction, batch->spool->envelope, &key, record);
}

/* What was held while an attempt was under way stays held. */
static int put_update(struct spool_batch *batch, const struct envelope *envelope, MDB_val old)
{
    struct envelope_head head;
    struct envelope held = *envelope;
    char reason[HOLD_REASON_MAX + 1];
    if (envelope->held || !envelope_record_head(span_of_value(old), &head) || !head.held)
        return put_envelope(batch, envelope);
    snprintf(reason, sizeof(reason), "%.*s", SPAN_FORMAT(head.hold_reason));
    held.held = true;
    held.hold_reason = reason;
    return put_envelope(batch, &held);
}

void spool_update(struct spool_batch *batch, const struct envelope *envelope)
{
    MDB_val old;
    if (!good(batch))
        return;
    int rc = get_envelope(batch, envelope->id, envelope->number, &old);
    if (rc == 0)
        rc = put_update(batch, envelope, old);
    check(batch, "cannot update an envelope", rc == MDB_NOTFOUND ? 0 : rc);
}

static int put_hold(struct spool_batch *batch, struct envelope *envelope, const struct hold *hold)
{
    envelope->held = hold->held;
    envelope->hold_reason = hold->held ? hold->reason : "";
    if (!hold->held)
        envelope->due_ms = hold->due_ms;
    return put_envelope(batch, envelope);
}

void spool_hold(struct spool_batch *batch, uint64_t id, uint16_t number, const struct hold *hold)
{
    MDB_val record;
    if (!good(batch))
        return;
    int rc = get_envelope(batch, id, number, &record);
    if (rc == 0) {
        struct envelope *envelope CLEANUP(envelope_free) =
            envelope_record_read(span_of_value(record), id, number);
        if (envelope != NULL) /* damaged: the scan has said so, and nobody sends it */
            rc = put_hold(batch, envelope, hold);
    }
    check(batch, "cannot hold an envelope", rc == MDB_NOTFOUND ? 0 : rc);
}

/* One envelope less: the record is written again, or goes with the last one. */
static int count_down(struct spool_batch *batch, uint64_t id)
{
    struct spool *spool = batch->spool;
    uint8_t key_bytes[MESSAGE_KEY_BYTES];
    spool->touched += 2; /* the envelope's as well */
    message_key_write(id, key_bytes);
    MDB_val key = value_of(key_bytes, sizeof(key_bytes));
    MDB_val value;
    struct message_head head;
    int rc = mdb_get(batch->transaction, spool->message, &key, &value);
    if (rc != 0)
        return rc;
    if (!message_record_head(span_of_value(value), &head))
        return MDB_NOTFOUND; /* damaged: the scan has said so */
    if (head.left == 1) {
        add_body(&spool->removed, id, &head.place);
        return mdb_del(batch->transaction, spool->message, &key, NULL);
    }
    buffer_clear(&spool->record);
    buffer_append(&spool->record, span_of_value(value));
    message_record_set_left(spool->record.memory, head.left - 1);
    value = value_of(spool->record.memory, buffer_length(&spool->record));
    return mdb_put(batch->transaction, spool->message, &key, &value, 0);
}

void spool_remove(struct spool_batch *batch, uint64_t id, uint16_t number)
{
    if (!good(batch))
        return;
    uint8_t key_bytes[ENVELOPE_KEY_BYTES];
    envelope_key_write(id, number, key_bytes);
    MDB_val key = value_of(key_bytes, sizeof(key_bytes));
    int rc = mdb_del(batch->transaction, batch->spool->envelope, &key, NULL);
    if (rc == 0)
        rc = count_down(batch, id);
    check(batch, "cannot remove an envelope", rc == MDB_NOTFOUND ? 0 : rc);
}

/* ---- suspensions ---- */

void spool_suspend(struct spool_batch *batch, const struct suspension *suspension)
{
    struct spool *spool = batch->spool;
    if (!good(batch))
        return;
    buffer_clear(&spool->record);
    suspension_write(&spool->record, suspension);
    MDB_val key = value_of(suspension->destination, strlen(suspension->destination));
    MDB_val value = value_of(spool->record.memory, buffer_length(&spool->record));
    check(batch, "cannot store a suspension",
          mdb_put(batch->transaction, spool->destination, &key, &value, 0));
}

void spool_lift(struct spool_batch *batch, const char *destination)
{
    if (!good(batch))
        return;
    MDB_val key = value_of(destination, strlen(destination));
    int rc = mdb_del(batch->transaction, batch->spool->destination, &key, NULL);
    check(batch, "cannot remove a suspension", rc == MDB_NOTFOUND ? 0 : rc);
}

/* ---- the end of a batch ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool sync_is_due(struct spool *spool)
{
    switch (spool->durability) {
    case DURABILITY_COMMIT: return true;
    case DURABILITY_RELAXED:
        if (now_ms() - spool->synced_ms < RELAXED_SYNC_MS)
            return false;
        spool->synced_ms = now_ms();
        return true;
    case DURABILITY_NONE: return false;
    }
    must_not_reach();
}

/* Whether the body was counted as live: by its own commit, or by the scan so far. */
static bool was_kept(const struct spool *spool, uint64_t id)
{
    return id > spool->born || (spool->scan_began && id <= spool->scanned_id);
}

static void settle_books(struct spool *spool)
{
    spool->ids_reserved = spool->ids_wanted;
    for (size_t i = 0; i < spool->accepted.count; i++)
        segments_keep(spool->segments, &spool->accepted.items[i].place);
    for (size_t i = 0; i < spool->removed.count; i++)
        if (was_kept(spool, spool->removed.items[i].id))
            segments_release(spool->segments, &spool->removed.items[i].place);
}

static void commit(struct spool_batch *batch)
{
    struct spool *spool = batch->spool;
    pthread_mutex_lock(&spool->scan);
    int rc = mdb_txn_commit(batch->transaction);
    batch->transaction = NULL;
    check(batch, "cannot commit", rc);
    if (good(batch))
        settle_books(spool);
    pthread_mutex_unlock(&spool->scan);
    spool_has_read(spool, spool->touched);
}

enum spool_result spool_commit(struct spool_batch *batch)
{
    struct spool *spool = batch->spool;
    if (good(batch) && spool->accepted.count > 0)
        check(batch, "cannot reserve ids", reserve_ids(spool, batch->transaction));
    if (good(batch) && sync_is_due(spool))
        check_sync(batch, "cannot sync bodies", segments_sync(spool->segments));
    if (good(batch))
        commit(batch);
    if (!good(batch))
        spool_abort(batch);
    return batch->result;
}

void spool_abort(struct spool_batch *batch)
{
    if (batch->transaction != NULL)
        mdb_txn_abort(batch->transaction);
    batch->transaction = NULL;
    if (batch->spool->appended)
        segments_cut(batch->spool->segments);
    batch->spool->appended = false;
    if (batch->result == SPOOL_FULL) {
        batch->spool->sure_batches = 0;
        atomic_store_explicit(&batch->spool->full, true, memory_order_relaxed);
    }
}

/* While all new mail is refused no segment is sealed, and what is dead may be what makes room. */
void spool_tidy(struct spool *spool)
{
    segments_tidy(spool->segments, spool_full(spool));
}
