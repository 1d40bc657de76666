#include "tests/sim/disk.h"

#include "base/buffer.h"
#include "base/must.h"
#include "tests/sim/ledger.h"
#include "tests/sim/life.h"
#include "tests/sim/world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RARELY 10 /* chances are per so many thousand writes */
#define FULL_CHANCE 15
#define QUOTA_CHANCE 10
#define BREAKS_CHANCE 2
#define KNOWN_MAX 256
#define FULL_LONGEST_US 60000000

void (*disk_log)(const char *bytes, unsigned long length);

struct known { /* a file that was written to */
    dev_t device;
    ino_t inode;
    int file; /* our own descriptor of it: as long as it is open nobody else gets that inode */
};

/* What a write replaced, until it is synced. */
struct undo {
    const struct known *of;
    off_t at;
    size_t written;
    struct buffer before;
};

static struct known known[KNOWN_MAX];
static unsigned known_count;
static struct undo *undos; /* in order of the writes */
static size_t undo_count, undo_room;
static bool armed, healed, broken_now, goes_on_failing, dying;
static unsigned dies_in; /* 0: not planned */
static int64_t full_until_us;

void disk_begin(bool fails)
{
    armed = true;
    healed = !fails;
}

void disk_heal(void)
{
    healed = true;
    full_until_us = 0;
}

bool disk_is_full(void)
{
    return sim_now_us() < full_until_us;
}

bool disk_is_broken(void)
{
    return broken_now;
}

void disk_dies_soon(unsigned steps)
{
    dies_in = steps + 1;
}

/* ---- what is not on the disk yet ---- */

static bool is_of(const struct known *one, const struct stat *file)
{
    return one->inode == file->st_ino && one->device == file->st_dev;
}

static const struct known *know(int file, const struct stat *facts)
{
    for (unsigned i = 0; i < known_count; i++)
        if (is_of(&known[i], facts))
            return &known[i];
    must(known_count < KNOWN_MAX);
    known[known_count] =
        (struct known){facts->st_dev, facts->st_ino, fcntl(file, F_DUPFD_CLOEXEC, 3)};
    must(known[known_count].file >= 0);
    return &known[known_count++];
}

static void synced(const struct stat *file)
{
    size_t kept = 0;
    for (size_t i = 0; i < undo_count; i++) {
        if (is_of(undos[i].of, file))
            buffer_free(&undos[i].before);
        else
            undos[kept++] = undos[i];
    }
    undo_count = kept;
}

static struct undo *add_undo(void)
{
    if (undo_count == undo_room) {
        undo_room = undo_room ? 2 * undo_room : 64;
        undos = must_realloc(undos, undo_room * sizeof(*undos));
    }
    return &undos[undo_count++];
}

static void remember(int file, const struct stat *facts, off_t at, size_t length)
{
    static char page[1u << 16];
    struct undo *undo = add_undo();
    *undo = (struct undo){.of = know(file, facts), .at = at, .written = length};
    while (length > 0) {
        ssize_t count = pread(file, page, length < sizeof(page) ? length : sizeof(page), at);
        if (count <= 0)
            break; /* the file ended here */
        buffer_append(&undo->before, (struct span){page, (size_t)count});
        at += count;
        length -= (size_t)count;
    }
}

/* What was there before; zeros where the file ended. */
static void take_back(const struct undo *undo)
{
    static const char zeros[4096];
    struct span before = buffer_span(&undo->before);
    off_t at = undo->at, end = undo->at + (off_t)undo->written;
    if (before.length > 0)
        at += syscall(SYS_pwrite64, undo->of->file, before.data, before.length, at);
    for (; at < end; at += (off_t)sizeof(zeros)) {
        size_t length = (size_t)(end - at) < sizeof(zeros) ? (size_t)(end - at) : sizeof(zeros);
        if (syscall(SYS_pwrite64, undo->of->file, zeros, length, at) < 0)
            return;
    }
}

static bool overlap(const struct undo *a, const struct undo *b)
{
    return a->of == b->of && a->at < b->at + (off_t)b->written && b->at < a->at + (off_t)a->written;
}

/* Whether it lies under a later write that is kept. */
static bool is_covered(const struct undo *undo, const bool *lost)
{
    for (size_t i = (size_t)(undo - undos) + 1; i < undo_count; i++)
        if (!lost[i] && overlap(undo, &undos[i]))
            return true;
    return false;
}

/* From the last write back to the first. */
void disk_dies(void)
{
    unsigned loses = (unsigned)sim_below(3) * 500; /* per thousand: nothing, half, all */
    bool *lost = must_calloc(undo_count + 1, sizeof(*lost));
    dying = true;
    for (size_t i = undo_count; i-- > 0;) {
        lost[i] = sim_chance(loses) && !is_covered(&undos[i], lost);
        if (!lost[i])
            continue;
        take_back(&undos[i]);
        sim_count(FAULT_LOST_WRITE);
    }
    life_dies();
}

/* ---- faults ---- */

static bool step_dies(void)
{
    return dies_in > 0 && --dies_in == 0;
}

/* Of a write or a sync: whether it fails. The next ones may work, as if nothing had been. While the
 * disk is full as well, nobody could tell the two apart. */
static bool breaks(bool writes)
{
    if (step_dies())
        disk_dies();
    if (broken_now || healed || disk_is_full() || sim_below(1000 * RARELY) >= BREAKS_CHANCE)
        return broken_now && goes_on_failing;
    broken_now = true;
    goes_on_failing = sim_chance(500);
    sim_count(writes ? FAULT_WRITE_EIO : FAULT_SYNC_EIO);
    return true;
}

/* Of a write that makes its file longer. */
static bool finds_room(size_t *length)
{
    if (healed)
        return true;
    if (!disk_is_full() && sim_below(1000 * RARELY) < FULL_CHANCE) {
        sim_count(FAULT_DISK_FULL);
        full_until_us = sim_now_us() + (int64_t)sim_below(FULL_LONGEST_US);
    }
    if (disk_is_full() && *length > 1 && sim_chance(500)) {
        sim_count(FAULT_SHORT_WRITE); /* as much as there was room for */
        *length = 1 + sim_below(*length - 1);
        return true;
    }
    bool room = !disk_is_full() && sim_below(1000 * RARELY) >= QUOTA_CHANCE;
    if (!room)
        sim_count(FAULT_WRITE_ENOSPC);
    return room;
}

/* Whether a write there may be made, and how long it gets; false with errno. */
static bool may_write(int file, off_t at, size_t *length)
{
    struct stat facts;
    if (!armed || dying || fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode))
        return true;
    errno = EIO;
    if (breaks(true))
        return false;
    errno = ENOSPC;
    if (at + (off_t)*length > facts.st_size && !finds_room(length))
        return false;
    if (!(fcntl(file, F_GETFL) & O_DSYNC))
        remember(file, &facts, at, *length);
    return true;
}

static int sync_file(int file, long number)
{
    struct stat facts;
    if (fstat(file, &facts) != 0)
        return -1;
    if (armed && !dying) {
        errno = EIO;
        if (breaks(false))
            return -1;
        synced(&facts);
    }
    return (int)syscall(number, file);
}

/* ---- in place of the C library's ---- */

ssize_t pwrite(int file, const void *bytes, size_t length, off_t at)
{
    if (!may_write(file, at, &length))
        return -1;
    return syscall(SYS_pwrite64, file, bytes, length, at);
}

static ssize_t write_vector(int file, const struct iovec *vector, int count, off_t at)
{
    size_t sum = 0;
    ssize_t written = 0;
    for (int i = 0; i < count; i++)
        sum += vector[i].iov_len;
    if (!may_write(file, at, &sum))
        return -1;
    for (int i = 0; i < count && sum > 0; i++) {
        size_t length = vector[i].iov_len < sum ? vector[i].iov_len : sum;
        long done = syscall(SYS_pwrite64, file, vector[i].iov_base, length, at + written);
        if (done < 0)
            return written > 0 ? written : -1;
        written += done;
        sum -= length;
    }
    return written;
}

ssize_t pwritev(int file, const struct iovec *vector, int count, off_t at)
{
    return write_vector(file, vector, count, at);
}

ssize_t writev(int file, const struct iovec *vector, int count)
{
    off_t at = lseek(file, 0, SEEK_CUR);
    if (at < 0)
        return syscall(SYS_writev, file, vector, count);
    ssize_t written = write_vector(file, vector, count, at);
    if (written > 0)
        lseek(file, at + written, SEEK_SET);
    return written;
}

ssize_t write(int file, const void *bytes, size_t length)
{
    if (file == STDERR_FILENO && disk_log != NULL) {
        disk_log(bytes, length);
        return (ssize_t)length;
    }
    off_t at = armed && !dying ? lseek(file, 0, SEEK_CUR) : -1;
    if (at >= 0 && !may_write(file, at, &length))
        return -1;
    return syscall(SYS_write, file, bytes, length);
}

int fdatasync(int file)
{
    return sync_file(file, SYS_fdatasync);
}

int fsync(int file)
{
    return sync_file(file, SYS_fsync);
}

int statvfs(const char *path, struct statvfs *facts)
{
    (void)path;
    *facts = (struct statvfs){.f_frsize = 4096, .f_bavail = disk_is_full() ? 0 : 1u << 30};
    return 0;
}
