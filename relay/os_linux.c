/* relay/os.h on Linux: epoll, eventfd, accept4. */
#include "relay/os.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- clock and randomness ---- */

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    must(clock_gettime(clock, &now) == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t os_now(void)
{
    return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t os_wall(void)
{
    return clock_us(CLOCK_REALTIME) / 1000;
}

int64_t os_now_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

void os_random(void *bytes, size_t length)
{
    char *to = bytes;
    while (length > 0) {
        ssize_t got = getrandom(to, length, 0);
        must(got > 0 || errno == EINTR);
        if (got > 0) {
            to += got;
            length -= (size_t)got;
        }
    }
}

unsigned os_cores(void)
{
    cpu_set_t allowed; /* a container or taskset may leave us fewer than the machine has */
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 0)
        return (unsigned)CPU_COUNT(&allowed);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (unsigned)online : 1;
}

/* ---- sockets ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_of(const struct endpoint *endpoint, union address *address)
{
    memset(address, 0, sizeof(*address));
    if (endpoint->ip.family == 4) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons(endpoint->port);
        memcpy(&address->v4.sin_addr, endpoint->ip.bytes, 4);
        return sizeof(address->v4);
    }
    must(endpoint->ip.family == 6);
    address->v6.sin6_family = AF_INET6;
    address->v6.sin6_port = htons(endpoint->port);
    memcpy(&address->v6.sin6_addr, endpoint->ip.bytes, 16);
    return sizeof(address->v6);
}

static struct endpoint endpoint_of(const union address *address)
{
    struct endpoint endpoint = {0};
    if (address->any.sa_family == AF_INET) {
        endpoint.ip = ip_of_bytes(4, (const uint8_t *)&address->v4.sin_addr);
        endpoint.port = ntohs(address->v4.sin_port);
    } else if (address->any.sa_family == AF_INET6) {
        endpoint.ip = ip_of_bytes(6, (const uint8_t *)&address->v6.sin6_addr);
        endpoint.port = ntohs(address->v6.sin6_port);
    }
    return endpoint;
}

unsigned os_own_addresses(struct ip *addresses, unsigned most)
{
    struct ifaddrs *all;
    unsigned count = 0;
    if (getifaddrs(&all) != 0)
        return 0;
    for (const struct ifaddrs *one = all; one != NULL && count < most; one = one->ifa_next) {
        union address address = {0};
        if (one->ifa_addr == NULL)
            continue;
        int family = one->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6)
            continue;
        memcpy(&address, one->ifa_addr,
               family == AF_INET ? sizeof(address.v4) : sizeof(address.v6));
        addresses[count++] = endpoint_of(&address).ip;
    }
    freeifaddrs(all);
    return count;
}

static void option(int socket, int level, int name, int value)
{
    must(setsockopt(socket, level, name, &value, sizeof(value)) == 0);
}

static int result_of(int returned)
{
    return returned >= 0 ? returned : -errno;
}

/* A socket for this address, or -errno. */
static int socket_for(const struct endpoint *endpoint)
{
    int family = endpoint->ip.family == 6 ? AF_INET6 : AF_INET;
    return result_of(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

/* Closes the socket and says why: -errno as it was before. */
static int give_up(int socket)
{
    int why = errno;
    close(socket);
    return -why;
}

static int bound_socket(const struct endpoint *at, bool shared)
{
    union address address;
    socklen_t length = address_of(at, &address);
    int made = socket_for(at);
    if (made < 0)
        return made;
    option(made, SOL_SOCKET, SO_REUSEADDR, 1);
    if (shared)
        option(made, SOL_SOCKET, SO_REUSEPORT, 1);
    if (at->ip.family == 6)
        option(made, IPPROTO_IPV6, IPV6_V6ONLY, 0); /* [::] serves IPv4 too, whatever the sysctl */
    return bind(made, &address.any, length) == 0 ? made : give_up(made);
}

int os_listen_check(const struct endpoint *at)
{
    int made = bound_socket(at, false);
    if (made < 0)
        return made;
    close(made);
    return 0;
}

static int listening_socket(const struct endpoint *at, bool shared)
{
    int made = bound_socket(at, shared);
    if (made < 0)
        return made;
    option(made, IPPROTO_TCP, TCP_NODELAY, 1); /* accepted sockets inherit it */
    return listen(made, OS_BACKLOG) == 0 ? made : give_up(made);
}

int os_listen(const struct endpoint *at)
{
    return listening_socket(at, true);
}

int os_listen_alone(const struct endpoint *at)
{
    return listening_socket(at, false);
}

void os_adopt(int listener)
{
    struct endpoint at;
    int flags = fcntl(listener, F_GETFL);
    must(flags >= 0 && fcntl(listener, F_SETFL, flags | O_NONBLOCK) == 0);
    os_local(listener, &at);
    if (at.ip.family != 0) /* not a unix socket */
        option(listener, IPPROTO_TCP, TCP_NODELAY, 1);
}

int os_share(int listener)
{
    return result_of(fcntl(listener, F_DUPFD_CLOEXEC, 0));
}

int os_accept(int listener, struct endpoint *peer)
{
    for (;;) {
        union address address = {0};
        socklen_t length = sizeof(address);
        int made = accept4(listener, &address.any, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (made >= 0) {
            if (peer)
                *peer = endpoint_of(&address);
            return made;
        }
        /* Linux reports here what went wrong on the one connection: take the next one */
        if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO)
            return -errno;
    }
}

int os_connect(const struct endpoint *to, const struct endpoint *from)
{
    union address address;
    int made = socket_for(to);
    if (made < 0)
        return made;
    option(made, IPPROTO_TCP, TCP_NODELAY, 1);
    if (from) {
        socklen_t length = address_of(from, &address);
        if (from->port == 0) /* the port is chosen at connect: one may serve many peers */
            option(made, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        if (bind(made, &address.any, length) != 0)
            return give_up(made);
    }
    socklen_t length = address_of(to, &address);
    if (connect(made, &address.any, length) != 0 && errno != EINPROGRESS && errno != EINTR)
        return give_up(made);
    return made;
}

int os_connect_result(int socket)
{
    union address peer;
    socklen_t peer_length = sizeof(peer);
    if (getpeername(socket, &peer.any, &peer_length) == 0) /* who has one is connected */
        return 0;
    int why = 0;
    socklen_t length = sizeof(why);
    must(getsockopt(socket, SOL_SOCKET, SO_ERROR, &why, &length) == 0);
    return why != 0 ? -why : -EINPROGRESS;
}

void os_local(int socket, struct endpoint *endpoint)
{
    union address address = {0};
    socklen_t length = sizeof(address);
    must(getsockname(socket, &address.any, &length) == 0);
    *endpoint = endpoint_of(&address);
}

ssize_t os_read(int socket, void *to, size_t length)
{
    for (;;) {
        ssize_t got = recv(socket, to, length, 0);
        if (got >= 0)
            return got;
        if (errno != EINTR)
            return -errno;
    }
}

ssize_t os_write(int socket, const void *from, size_t length)
{
    for (;;) {
        ssize_t sent = send(socket, from, length, MSG_NOSIGNAL);
        if (sent >= 0)
            return sent;
        if (errno != EINTR)
            return -errno;
    }
}

int os_unacknowledged(int socket)
{
    int count = 0;
    ioctl(socket, SIOCOUTQ, &count); /* fails for what is no TCP: 0 then */
    return count;
}

void os_end(int socket)
{
    shutdown(socket, SHUT_WR); /* fails only where the peer has gone: a read will tell */
}

void os_close(int socket)
{
    close(socket);
}

/* ---- who is at the other end of a unix socket ---- */

bool os_peer_uid(int socket, unsigned *uid)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || length != sizeof(peer))
        return false;
    *uid = peer.uid;
    return true;
}

void os_user_name(unsigned uid, char name[OS_USER_MAX])
{
    char text[4096];
    struct passwd entry = {0}, *found = NULL;
    FILE *file = fopen("/etc/passwd", "re");
    name[0] = '\0';
    if (file == NULL)
        return;
    while (fgetpwent_r(file, &entry, text, sizeof(text), &found) == 0 && found->pw_uid != uid)
        found = NULL;
    if (found != NULL)
        snprintf(name, OS_USER_MAX, "%s", found->pw_name);
    fclose(file);
}

/* ---- the event loop ---- */

/* A loop that is awake looks at its mailboxes before it sleeps again, so waking it needs no
 * system call. */
enum rest {
    AWAKE,
    ASLEEP,
    WOKEN,
};

struct os_loop {
    int epoll, wake;
    _Atomic(enum rest) rest;
};

struct os_loop *os_loop_create(void)
{
    struct os_loop *loop = must_calloc(1, sizeof(*loop));
    atomic_init(&loop->rest, AWAKE);
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    must(loop->epoll >= 0 && loop->wake >= 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    must(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event) == 0);
    return loop;
}

void os_loop_destroy(struct os_loop **loop)
{
    if (*loop == NULL)
        return;
    close((*loop)->epoll);
    close((*loop)->wake);
    free(*loop);
    *loop = NULL;
}

static int watch(struct os_loop *loop, int how, int socket, struct watcher *watcher)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.ptr = watcher,
    };
    watcher->ended = false;
    return result_of(epoll_ctl(loop->epoll, how, socket, &event));
}

int os_watch(struct os_loop *loop, int socket, struct watcher *watcher)
{
    return watch(loop, EPOLL_CTL_ADD, socket, watcher);
}

void os_rewatch(struct os_loop *loop, int socket, struct watcher *watcher)
{
    must(watch(loop, EPOLL_CTL_MOD, socket, watcher) == 0);
}

static void translate(const struct epoll_event *from, struct os_event *to)
{
    const unsigned ends = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    to->watcher = from->data.ptr;
    to->what = 0;
    if (from->events & (EPOLLIN | ends))
        to->what |= OS_READABLE;
    if (from->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        to->what |= OS_WRITABLE;
    if (from->events & ends)
        to->watcher->ended = true;
}

int os_wait(struct os_loop *loop, struct os_event events[OS_EVENTS_MAX], int wait_ms)
{
    struct epoll_event got[OS_EVENTS_MAX];
    enum rest awake = AWAKE;
    if (wait_ms != 0 && !atomic_compare_exchange_strong(&loop->rest, &awake, ASLEEP))
        wait_ms = 0;
    int count = epoll_wait(loop->epoll, got, OS_EVENTS_MAX, wait_ms);
    must(count >= 0 || errno == EINTR);
    atomic_exchange(&loop->rest, AWAKE); /* and see all that was done before a wake */
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (got[i].data.ptr != NULL) /* NULL: the wake, which is never read: edges suffice */
            translate(&got[i], &events[kept++]);
    return kept;
}

void os_wake(struct os_loop *loop)
{
    static const uint64_t one = 1;
    if (atomic_exchange(&loop->rest, WOKEN) == ASLEEP)
        must(write(loop->wake, &one, sizeof(one)) == sizeof(one));
}
