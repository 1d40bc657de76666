#include "relay/unix_socket.h"

#include "base/must.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 128        /* or what net.core.somaxconn allows */
#define CONNECT_SECONDS 30 /* while other clients fill the backlog */

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

int unix_connect_now(const char *path)
{
    struct sockaddr_un address;
    if (!make_address(path, &address))
        return -ENAMETOOLONG;
    int socket = new_socket(SOCK_NONBLOCK);
    if (socket < 0)
        return -errno;
    if (connect(socket, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return socket;
    int error = errno;
    close(socket);
    return -error;
}

int unix_datagram(void)
{
    int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* cppcheck-suppress resourceLeak ; it is what is returned */
    return sender >= 0 ? sender : -errno;
}

int unix_send(int socket, const char *path, const void *from, size_t length)
{
    struct sockaddr_un address;
    if (!make_address(path, &address))
        return ENAMETOOLONG;
    ssize_t sent = sendto(socket, from, length, MSG_DONTWAIT | MSG_NOSIGNAL,
                          (const struct sockaddr *)&address, sizeof(address));
    return sent >= 0 ? 0 : errno;
}

/* Something has the name already. True when that was an abandoned socket, which is gone now. */
static bool remove_abandoned(const struct unix_place *place, const struct sockaddr_un *address,
                             char *why, size_t why_size)
{
    const char *path = place->path;
    struct stat facts;
    if (lstat(path, &facts) == 0 && !S_ISSOCK(facts.st_mode)) {
        snprintf(why, why_size,
                 "%s socket %s: there is a file of that name which is no socket: remove it, "
                 "or set `%s` to another path",
                 place->key, path, place->key);
        return false;
    }
    int probe = connect_to(address, 1);
    if (probe == -ENOENT || (probe == -ECONNREFUSED && unlink(path) == 0))
        return true;
    if (probe >= 0)
        close(probe);
    bool in_use = probe >= 0 || probe == -EAGAIN; /* its backlog may be full */
    snprintf(why, why_size, "%s socket %s %s%s: %s, or set `%s` to another path", place->key, path,
             in_use ? "is in use by another relay" : "is there already, and cannot be replaced: ",
             in_use ? "" : strerror(errno), in_use ? "stop that one" : "remove it", place->key);
    return false;
}

static bool bind_to(int socket, const struct unix_place *place, const struct sockaddr_un *address,
                    char *why, size_t why_size)
{
    const struct sockaddr *any = (const struct sockaddr *)address;
    if (bind(socket, any, sizeof(*address)) == 0)
        return true;
    if (errno == EADDRINUSE) {
        if (!remove_abandoned(place, address, why, why_size))
            return false;
        if (bind(socket, any, sizeof(*address)) == 0)
            return true;
    }
    snprintf(why, why_size,
             "%s socket %s cannot be made: %s: let its directory exist and be writable, or "
             "set `%s` to another path",
             place->key, place->path, strerror(errno), place->key);
    return false;
}

/* Nobody can connect before listen(): the mode is set by then. */
static bool open_to_clients(const struct unix_place *place, struct unix_listener *listener,
                            char *why, size_t why_size)
{
    struct stat facts;
    if (chmod(listener->path, place->mode) == 0 && lstat(listener->path, &facts) == 0 &&
        listen(listener->socket, BACKLOG) == 0) {
        listener->device = facts.st_dev;
        listener->inode = facts.st_ino;
        return true;
    }
    snprintf(why, why_size, "%s socket %s cannot be opened to clients: %s", place->key, place->path,
             strerror(errno));
    unlink(listener->path);
    return false;
}

bool unix_listen(const struct unix_place *place, struct unix_listener *listener, char *why,
                 size_t why_size)
{
    struct sockaddr_un address;
    if (!make_address(place->path, &address)) {
        snprintf(why, why_size,
                 "%s socket %s: the path has %zu bytes and the system allows %zu: set `%s` to a "
                 "shorter one",
                 place->key, place->path, strlen(place->path), sizeof(address.sun_path) - 1,
                 place->key);
        return false;
    }
    int socket = new_socket(SOCK_NONBLOCK); /* another thread may accept what this one saw */
    if (socket < 0) {
        snprintf(why, why_size, "%s socket %s: %s", place->key, place->path, strerror(errno));
        return false;
    }
    *listener = (struct unix_listener){.socket = socket};
    if (bind_to(socket, place, &address, why, why_size)) {
        listener->path = must_strdup(place->path);
        if (open_to_clients(place, listener, why, why_size))
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
