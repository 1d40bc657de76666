/* The clock, randomness and the network: all that the relay sees of the machine.
 *
 * os_linux.c is the one implementation in production; a simulator links another one. Files
 * of the spool are not seen here: queue/ has them. Errors are negative errno values. */
#pragma once

#include "base/ip.h"

#include <sys/types.h>

int64_t os_now(void);  /* ms, monotonic; for deadlines */
int64_t os_wall(void); /* ms since 1970; for what is written down */
int64_t os_now_us(void);
void os_random(void *bytes, size_t length);
unsigned os_cores(void);

struct os_process {
    uint64_t memory_bytes;                  /* resident */
    uint64_t descriptors, descriptors_most; /* open now; allowed */
    double cpu_seconds;                     /* of all threads, in the kernel too */
};
void os_process(struct os_process *process); /* what cannot be read is 0 */

/* The machine's own addresses, up to `most`. Returns how many. */
unsigned os_own_addresses(struct ip *addresses, unsigned most);

/* ---- sockets: non-blocking, close-on-exec ---- */

#define OS_BACKLOG 1024

/* A listening TCP socket with SO_REUSEPORT and SO_REUSEADDR. Port 0 takes a free one: ask
 * os_local. */
int os_listen(const struct endpoint *at);
/* The same, and nobody else can listen there too. */
int os_listen_alone(const struct endpoint *at);
/* A listening socket that somebody else opened: it becomes as os_listen makes them. */
void os_adopt(int listener);
/* The same listening socket once more, to be watched and closed on its own. */
int os_share(int listener);
/* 0, or why one could not listen there alone. SO_REUSEPORT would let us share the port with
 * another process unseen: ask once, before the first os_listen. */
int os_listen_check(const struct endpoint *at);
int os_accept(int listener, struct endpoint *peer); /* -EAGAIN when nobody waits */
/* Begins to connect; a writable event and os_connect_result tell how it went. `from` may be
 * NULL. */
int os_connect(const struct endpoint *to, const struct endpoint *from);
int os_connect_result(int socket); /* -EINPROGRESS: not yet */
void os_local(int socket, struct endpoint *endpoint);
ssize_t os_read(int socket, void *to, size_t length); /* 0: the peer has ended */
ssize_t os_write(int socket, const void *from, size_t length);
/* Bytes written that the other end has not acknowledged. Where it has ended they are lost: what it
 * had read before it ended, it acknowledged no later than with that. (Not so of a reset.) */
int os_unacknowledged(int socket);
void os_end(int socket); /* nothing more will be sent; reading goes on */
void os_close(int socket);

/* ---- who is at the other end of a unix socket ---- */

#define OS_USER_MAX 33 /* bytes of a user's name, with NUL */

bool os_peer_uid(int socket, unsigned *uid);
/* The name that /etc/passwd has for the user; "" when it has none. A directory service is never
 * asked: nobody knows how long it takes. */
void os_user_name(unsigned uid, char name[OS_USER_MAX]);

/* ---- the event loop: edge-triggered; each owner must read until -EAGAIN or short ---- */

struct watcher {                                           /* embedded in what owns the socket */
    void (*ready)(struct watcher *watcher, unsigned what); /* what: enum os_event_kind bits */
    bool ended; /* set by os_wait: the peer has ended, so a short read is not the last one */
};

enum os_event_kind {
    OS_READABLE = 1 << 0, /* or ended, or failed: a read will tell */
    OS_WRITABLE = 1 << 1,
};

struct os_event {
    struct watcher *watcher;
    unsigned what;
};

#define OS_EVENTS_MAX 256

struct os_loop;

struct os_loop *os_loop_create(void);
void os_loop_destroy(struct os_loop **loop);
/* Watches until the socket is closed. 0 or -errno. */
int os_watch(struct os_loop *loop, int socket, struct watcher *watcher);
/* A watched socket has another owner from now on, who is told of what is there already. */
void os_rewatch(struct os_loop *loop, int socket, struct watcher *watcher);
/* Waits up to `wait_ms` (-1: for ever) for events or a wake. Returns how many events. */
int os_wait(struct os_loop *loop, struct os_event events[OS_EVENTS_MAX], int wait_ms);
void os_wake(struct os_loop *loop); /* any thread, any number of times: os_wait returns */
