#include "relay/admin/lines.h"

#include "relay/os.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16
#define CONNECT_SECONDS 30 /* while other clients fill the backlog */
#define READ_AT_ONCE 16384

/* ---- the socket ---- */

static bool make_address(const char *path, struct sockaddr_un *address)
{
    size_t length = strlen(path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (length >= sizeof(address->sun_path))
        return false;
    memcpy(address->sun_path, path, length + 1);
    return true;
}

static int new_socket(int flags)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

static int connect_to(const struct sockaddr_un *address, int seconds)
{
    int socket = new_socket(0);
    if (socket < 0)
        return -errno;
    struct timeval limit = {.tv_sec = seconds};
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(socket, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return socket;
    int error = errno;
    close(socket);
    return -error;
}

int unix_connect(const char *path)
{
    struct sockaddr_un address;
    return make_address(path, &address) ? connect_to(&address, CONNECT_SECONDS) : -ENAMETOOLONG;
}

/* Something has the name already. True when that was an abandoned socket, which is gone now. */
static bool remove_abandoned(const struct sockaddr_un *address, char *why, size_t why_size)
{
    const char *path = address->sun_path;
    struct stat facts;
    if (lstat(path, &facts) == 0 && !S_ISSOCK(facts.st_mode)) {
        snprintf(why, why_size,
                 "control socket %s: there is a file of that name which is no socket: remove it, "
                 "or set `control` to another path",
                 path);
        return false;
    }
    int probe = connect_to(address, 1);
    if (probe == -ENOENT || (probe == -ECONNREFUSED && unlink(path) == 0))
        return true;
    if (probe >= 0)
        close(probe);
    bool in_use = probe >= 0 || probe == -EAGAIN; /* its backlog may be full */
    snprintf(why, why_size, "control socket %s %s%s: %s, or set `control` to another path", path,
             in_use ? "is in use by another relay" : "is there already, and cannot be replaced: ",
             in_use ? "" : strerror(errno), in_use ? "stop that one" : "remove it");
    return false;
}

static bool bind_to(int socket, const struct sockaddr_un *address, char *why, size_t why_size)
{
    const struct sockaddr *any = (const struct sockaddr *)address;
    if (bind(socket, any, sizeof(*address)) == 0)
        return true;
    if (errno == EADDRINUSE) {
        if (!remove_abandoned(address, why, why_size))
            return false;
        if (bind(socket, any, sizeof(*address)) == 0)
            return true;
    }
    snprintf(why, why_size,
             "control socket %s cannot be made: %s: let its directory exist and be writable, or "
             "set `control` to another path",
             address->sun_path, strerror(errno));
    return false;
}

/* Nobody can connect before listen(): the mode is set by then. */
static bool open_to_clients(struct unix_listener *listener, char *why, size_t why_size)
{
    struct stat facts;
    if (chmod(listener->path, 0600) == 0 && lstat(listener->path, &facts) == 0 &&
        listen(listener->socket, BACKLOG) == 0) {
        listener->device = facts.st_dev;
        listener->inode = facts.st_ino;
        return true;
    }
    snprintf(why, why_size, "control socket %s cannot be opened to clients: %s", listener->path,
             strerror(errno));
    unlink(listener->path);
    return false;
}

bool unix_listen(const char *path, struct unix_listener *listener, char *why, size_t why_size)
{
    struct sockaddr_un address;
    if (!make_address(path, &address)) {
        snprintf(why, why_size,
                 "control socket %s: the path has %zu bytes and the system allows %zu: set "
                 "`control` to a shorter one",
                 path, strlen(path), sizeof(address.sun_path) - 1);
        return false;
    }
    int socket = new_socket(SOCK_NONBLOCK); /* another thread may accept what this one saw */
    if (socket < 0) {
        snprintf(why, why_size, "control socket %s: %s", path, strerror(errno));
        return false;
    }
    *listener = (struct unix_listener){.socket = socket};
    if (bind_to(socket, &address, why, why_size)) {
        listener->path = must_strdup(path);
        if (open_to_clients(listener, why, why_size))
            return true;
    }
    close(socket);
    free(listener->path);
    return false;
}

void unix_close(struct unix_listener *listener)
{
    struct stat facts;
    if (lstat(listener->path, &facts) == 0 && facts.st_dev == listener->device &&
        facts.st_ino == listener->inode)
        unlink(listener->path);
    close(listener->socket);
    free(listener->path);
    *listener = (struct unix_listener){.socket = -1};
}

/* ---- waiting ---- */

static int time_left(int64_t deadline_ms)
{
    int64_t left = deadline_ms - os_now();
    if (left < 0)
        return 0;
    return left > INT_MAX ? INT_MAX : (int)left;
}

static enum lines_result wait_for(int socket, short events, int stop, int64_t deadline_ms)
{
    struct pollfd polled[] = {{.fd = socket, .events = events}, {.fd = stop, .events = POLLIN}};
    for (;;) {
        int count = poll(polled, countof(polled), time_left(deadline_ms));
        if (count == 0)
            return LINES_LATE;
        if (count > 0)
            return polled[1].revents != 0 ? LINES_STOPPED : LINES_OK;
        must(errno == EINTR || errno == ENOMEM);
    }
}

bool lines_pause(const struct lines *lines, int64_t until_ms)
{
    return wait_for(lines->socket, 0, lines->stop, until_ms) == LINES_LATE;
}

int unix_accept(const struct unix_listener *listener, int stop)
{
    while (wait_for(listener->socket, POLLIN, stop, INT64_MAX) != LINES_STOPPED) {
        int client = accept4(listener->socket, NULL, NULL, SOCK_CLOEXEC);
        if (client >= 0)
            return client;
        /* Out of descriptors the client stays in the backlog: do not spin on it. */
        if (errno == EMFILE || errno == ENFILE)
            wait_for(-1, 0, stop, os_now() + 100);
    }
    return -1;
}

/* ---- lines ---- */

void lines_init(struct lines *lines, int take_socket, int stop, size_t longest)
{
    *lines = (struct lines){.socket = take_socket, .stop = stop, .longest = longest};
}

void lines_free(struct lines *lines)
{
    close(lines->socket);
    buffer_free(&lines->in);
    *lines = (struct lines){.socket = -1};
}

/* Reads what there is, once there is something. */
static enum lines_result fill(struct lines *lines, int64_t deadline_ms)
{
    enum lines_result result = wait_for(lines->socket, POLLIN, lines->stop, deadline_ms);
    if (result != LINES_OK)
        return result;
    char *room = buffer_room(&lines->in, READ_AT_ONCE);
    ssize_t count = recv(lines->socket, room, READ_AT_ONCE, MSG_DONTWAIT);
    if (count > 0)
        buffer_grew(&lines->in, (size_t)count);
    else if (count == 0 || (errno != EAGAIN && errno != EINTR))
        return LINES_ENDED;
    return LINES_OK;
}

enum lines_result lines_read(struct lines *lines, int64_t deadline_ms, struct span *line)
{
    buffer_consume(&lines->in, lines->given);
    lines->given = 0;
    for (size_t searched = 0;;) {
        struct span in = buffer_span(&lines->in);
        struct span fresh = span_skip(in, searched);
        const char *newline = fresh.length > 0 ? memchr(fresh.data, '\n', fresh.length) : NULL;
        size_t length = newline ? (size_t)(newline - in.data) : in.length;
        if (length >= lines->longest)
            return LINES_LONG;
        if (newline) {
            *line = (struct span){in.data, length};
            lines->given = length + 1;
            return LINES_OK;
        }
        searched = in.length;
        enum lines_result result = fill(lines, deadline_ms);
        if (result != LINES_OK)
            return result;
    }
}

enum lines_result lines_write(struct lines *lines, int64_t deadline_ms, struct span bytes)
{
    while (bytes.length > 0) {
        enum lines_result result = wait_for(lines->socket, POLLOUT, lines->stop, deadline_ms);
        if (result != LINES_OK)
            return result;
        ssize_t count = send(lines->socket, bytes.data, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count >= 0)
            bytes = span_skip(bytes, (size_t)count);
        else if (errno != EAGAIN && errno != EINTR)
            return LINES_ENDED;
    }
    return LINES_OK;
}
