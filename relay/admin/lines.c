#include "relay/admin/lines.h"

#include "relay/os.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_AT_ONCE 16384

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
