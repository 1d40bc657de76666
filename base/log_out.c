#include "base/log_out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITE_AT_ONCE 65536
#define FAILED_AGAIN_MS 1000 /* after which a reader that failed is tried again */
#define LAST_WORDS_MS 1000   /* that an abort waits for a reader, at most */
#define NOT_NOW_MS 100       /* between looks at an output that takes nothing */

/* A ring, and what did not fit. As long as lines are missing nothing is taken, so that the line
 * that tells how many stands where they would have stood. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t came; /* something to write, or to stop */
    pthread_cond_t idle; /* all is written */
    pthread_t thread;
    bool running, stopping;
    size_t start, length;
    uint64_t lost; /* lines, not told yet */
    char bytes[LOG_BUFFER_MAX];
} out = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Atomic uint64_t lost_ever;

uint64_t log_lost(void)
{
    return atomic_load_explicit(&lost_ever, memory_order_relaxed);
}

static struct timespec from_now(clockid_t clock, int ms)
{
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* ---- writing ---- */

/* False when nobody will read it. */
static bool write_all(struct span bytes)
{
    while (bytes.length > 0) {
        ssize_t count = write(STDERR_FILENO, bytes.data, bytes.length);
        if (count > 0)
            bytes = span_skip(bytes, (size_t)count);
        else if (count < 0 && errno == EAGAIN) /* somebody else made it non-blocking */
            poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, NOT_NOW_MS);
        else if (count == 0 || errno != EINTR)
            return false;
    }
    return true;
}

static uint64_t lines_in(struct span bytes)
{
    uint64_t count = 0;
    for (size_t i = 0; i < bytes.length; i++)
        count += bytes.data[i] == '\n';
    return count;
}

/* ---- the buffer: the lock is held ---- */

static struct span first_part(size_t most)
{
    size_t length = LOG_BUFFER_MAX - out.start;
    if (length > out.length)
        length = out.length;
    return (struct span){out.bytes + out.start, length < most ? length : most};
}

static void consume(size_t length)
{
    out.length -= length;
    out.start = out.length > 0 ? (out.start + length) % LOG_BUFFER_MAX : 0;
}

static void lose(uint64_t count)
{
    out.lost += count;
    atomic_fetch_add_explicit(&lost_ever, count, memory_order_relaxed);
}

static void put(struct span lines)
{
    size_t end = (out.start + out.length) % LOG_BUFFER_MAX;
    size_t first = LOG_BUFFER_MAX - end;
    if (out.lost > 0 || lines.length > LOG_BUFFER_MAX - out.length) {
        lose(lines_in(lines));
        return;
    }
    if (first > lines.length)
        first = lines.length;
    memcpy(out.bytes + end, lines.data, first);
    memcpy(out.bytes, lines.data + first, lines.length - first);
    out.length += lines.length;
}

/* ---- the thread ---- */

static bool write_unlocked(struct span bytes)
{
    pthread_mutex_unlock(&out.lock);
    bool written = write_all(bytes);
    pthread_mutex_lock(&out.lock);
    return written;
}

static void wait_for(pthread_cond_t *condition, int ms)
{
    struct timespec until = from_now(CLOCK_MONOTONIC, ms);
    pthread_cond_timedwait(condition, &out.lock, &until);
}

static void write_some(void)
{
    struct span part = first_part(WRITE_AT_ONCE);
    if (write_unlocked(part)) {
        consume(part.length);
        return;
    }
    while (out.length > 0) {
        part = first_part(LOG_BUFFER_MAX);
        lose(lines_in(part));
        consume(part.length);
    }
}

static void tell_lost(void)
{
    struct log_line line;
    uint64_t count = out.lost;
    log_begin(&line, "log-lost");
    log_number(&line, "count", (int64_t)count);
    if (write_unlocked(log_close(&line)))
        out.lost -= count;
    else if (out.stopping)
        out.lost = 0;
    else
        wait_for(&out.came, FAILED_AGAIN_MS);
}

static void *run(void *unused)
{
    pthread_mutex_lock(&out.lock);
    for (;;) {
        if (out.length > 0) {
            write_some();
        } else if (out.lost > 0) {
            tell_lost();
        } else {
            pthread_cond_broadcast(&out.idle);
            if (out.stopping)
                break;
            pthread_cond_wait(&out.came, &out.lock);
        }
    }
    out.running = false;
    pthread_mutex_unlock(&out.lock);
    return unused;
}

/* ---- from other threads ---- */

void log_out(struct span lines)
{
    pthread_mutex_lock(&out.lock);
    bool running = out.running;
    if (running)
        put(lines);
    if (running && out.lost == 0) /* else the thread comes by itself */
        pthread_cond_signal(&out.came);
    pthread_mutex_unlock(&out.lock);
    if (!running && !write_all(lines))
        atomic_fetch_add_explicit(&lost_ever, lines_in(lines), memory_order_relaxed);
}

/* True once all is written. The lock is held. */
static bool wait_until_idle(int ms)
{
    struct timespec until = from_now(CLOCK_MONOTONIC, ms);
    int error = 0;
    while (out.running && (out.length > 0 || out.lost > 0) && error == 0)
        error = pthread_cond_timedwait(&out.idle, &out.lock, &until);
    return error == 0;
}

/* One write that cannot block for long: with room for a page a pipe takes one at once. */
static void write_if_read(struct span words)
{
    struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t count =
        poll(&output, 1, LAST_WORDS_MS) > 0 ? write(STDERR_FILENO, words.data, words.length) : 0;
    (void)count; /* there is nobody left to tell */
}

/* The process is about to abort, perhaps because of something in here: nothing is waited for
 * without a bound, and the lock is kept, as nobody needs it any more. */
static void say_before_abort(const char *message)
{
    struct timespec until = from_now(CLOCK_REALTIME, LAST_WORDS_MS);
    if (pthread_mutex_timedlock(&out.lock, &until) != 0 || !out.running ||
        pthread_equal(pthread_self(), out.thread)) {
        write_if_read(span_of(message));
        return;
    }
    wait_until_idle(LAST_WORDS_MS / 2);
    put(log_take_gathered());
    put(span_of(message));
    pthread_cond_signal(&out.came);
    wait_until_idle(LAST_WORDS_MS / 2);
}

void log_start(void)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&out.came, &attributes);
    pthread_cond_init(&out.idle, &attributes);
    pthread_condattr_destroy(&attributes);
    out.stopping = false;
    out.running = true;
    must(pthread_create(&out.thread, NULL, run, NULL) == 0);
    pthread_setname_np(out.thread, "log");
    must_tell_by(say_before_abort);
}

bool log_stop(int patience_ms)
{
    log_flush();
    pthread_mutex_lock(&out.lock);
    bool was_running = out.running;
    out.stopping = true;
    pthread_cond_signal(&out.came);
    bool written = wait_until_idle(patience_ms);
    pthread_mutex_unlock(&out.lock);
    if (was_running && written)
        pthread_join(out.thread, NULL);
    return written;
}
