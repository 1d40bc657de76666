/* The spool: every accepted message, envelope, due time and verdict, in LMDB; bodies in
 * segments. The one source of truth; the only file that includes lmdb.h.
 *
 * Writing is one batch at a time, on one thread (the committer's). Reading is by short
 * transactions on any thread: what is read is copied out before the call returns.
 *
 * A batch carries its own sticky error: after the first failure every step is a no-op and
 * spool_commit reports it and changes nothing. */
#pragma once

#include "queue/message.h"
#include "queue/segment.h"
#include "queue/suspension.h"

#define SPOOL_FORMAT 2                 /* another one on disk is refused */
#define SPOOL_MAP_DEFAULT (1ull << 36) /* bytes; sparse: the file does not grow by it */
#define SPOOL_MAP_RESERVE (8ull << 20) /* of the map, kept for verdicts: they must always fit */
#define SPOOL_MIN_FREE_DEFAULT                                                                     \
    (64ull << 20) /* bytes free on the disk, below which no mail is taken */

enum durability {
    DURABILITY_COMMIT,  /* 250 only after the commit reached the disk */
    DURABILITY_RELAXED, /* no meta sync per commit: the last commits may be lost */
    DURABILITY_NONE,    /* no sync at all: load tests only */
};

struct spool_options {
    const char *directory;
    enum durability durability;
    uint64_t map_bytes;      /* 0: SPOOL_MAP_DEFAULT */
    uint64_t segment_bytes;  /* 0: SEGMENT_BYTES */
    uint64_t min_free_bytes; /* 0: SPOOL_MIN_FREE_DEFAULT */
};

enum spool_result {
    SPOOL_OK,
    SPOOL_FULL,   /* disk, map or reserve: nothing changed; 452 4.3.1 */
    SPOOL_BROKEN, /* EIO, a failed sync, MDB_PANIC: stop accepting and exit; never retry */
};

struct spool;

/* Opens or makes the spool. NULL on failure, with one line in `why` that says what, where
 * and what to do, and a sysexits code in `exit_code`: in use by another process, of a newer
 * format, not readable, … */
struct spool *spool_open(const struct spool_options *options, char *why, size_t why_size,
                         int *exit_code);
void spool_close(struct spool **spool);

struct segments *spool_segments(struct spool *spool);

/* The next message id: time-ordered and never given to an accepted message before, not even
 * by an earlier process or when the clock went back. Any thread. */
uint64_t spool_next_id(struct spool *spool, int64_t wall_ms);

/* True while new mail must be refused with 452 (disk or map nearly full). Any thread; the
 * answer is as fresh as the last batch. */
bool spool_full(struct spool *spool);

/* ---- one batch ---- */

struct spool_batch {
    struct spool *spool;
    void *transaction;
    enum spool_result result; /* sticky */
};

/* Looks at disk and map, and so at spool_full(); with `accepting` the batch fails SPOOL_FULL when
 * the reserve is reached, without it only when nothing at all fits. */
void spool_begin(struct spool *spool, struct spool_batch *batch, bool accepting);

/* Writes bodies for the batch; `place` of each is filled in (see segments_append). At most
 * once per batch. When the batch does not commit they are cut off again. */
void spool_append(struct spool_batch *batch, struct segment_append *bodies, size_t count);
/* A large body's own file is made durable before the batch is. */
void spool_sync_own(struct spool_batch *batch, struct own_file *file);

/* The message and all its envelopes. Its place must be known: spool_append or an own file. */
void spool_accept(struct spool_batch *batch, const struct message *message,
                  struct envelope *const *envelopes, size_t count);

/* The envelope as it is now: fewer recipients, later due time. One that is gone stays gone. */
void spool_update(struct spool_batch *batch, const struct envelope *envelope);

/* The envelope is done. With the last one the message goes too, and its body's place is
 * released once the batch has committed. */
void spool_remove(struct spool_batch *batch, uint64_t id, uint16_t number);

/* An operator's or a rule's word on an envelope, apart from what becomes of attempts: an update of
 * an envelope that is held leaves it held. */
struct hold {
    bool held;
    const char *reason; /* cut to HOLD_REASON_MAX; not looked at on release */
    int64_t due_ms;     /* on release: when it is due now; ms since 1970 */
};
/* One that is gone stays gone. */
void spool_hold(struct spool_batch *batch, uint64_t id, uint16_t number, const struct hold *hold);

/* No mail to that destination; in place of what was said of it before. */
void spool_suspend(struct spool_batch *batch, const struct suspension *suspension);
/* Mail goes there again. */
void spool_lift(struct spool_batch *batch, const char *destination);

/* Makes the batch durable, or changes nothing. */
enum spool_result spool_commit(struct spool_batch *batch);
void spool_abort(struct spool_batch *batch);

/* Between batches, again and again: gives a little of what is dead in the segments back to the
 * disk. The writer's thread. */
void spool_tidy(struct spool *spool);

/* What made the last batch fail, for people. The writer's thread. */
const char *spool_why(const struct spool *spool);

/* ---- reading ---- */

/* The envelope with its message (body not in memory), or NULL when it is gone or unreadable. */
struct envelope *spool_read(struct spool *spool, uint64_t id, uint16_t number);

/* What the scan needs to know of one envelope, without its recipients' memory. */
struct spool_glance {
    uint64_t id;
    uint16_t number, attempts;
    int64_t due_ms;
    uint32_t postponed_s;
    unsigned recipients;
    bool warned, timed, held;
    enum security security;
    char destination[DOMAIN_MAX_BYTES + 1];
};

/* Up to `max` envelopes behind (*id, *number), in order of id; moves them on to the last one
 * read. Start before the first with 0, 0 and `from_start` true. 0 at the end. */
size_t spool_scan(struct spool *spool, uint64_t *id, uint16_t *number, bool from_start,
                  struct spool_glance *glances, size_t max);

/* One page of the scan of message records at start, which finds out which bodies are live:
 * runs beside the writer, on any one thread. Returns how many it looked at (at most `max`);
 * at the end 0, and what turned out dead on disk has been unlinked (segments_scanned). Should
 * reading fail it returns 0 too, and nothing is unlinked. */
size_t spool_scan_bodies(struct spool *spool, size_t max);

/* Every suspension there is, in any order. */
void spool_suspensions(struct spool *spool,
                       void (*each)(const struct suspension *suspension, void *with), void *with);

struct spool_facts {
    uint64_t messages, envelopes;
    uint64_t bytes;       /* of data.mdb in use and segments */
    uint64_t index_bytes; /* of data.mdb alone */
    uint64_t free_bytes;  /* of the disk */
};
void spool_facts(struct spool *spool, struct spool_facts *facts);
/* Of index_bytes, those that later batches write over: it has to look at LMDB's whole free list. */
uint64_t spool_index_free(struct spool *spool);
