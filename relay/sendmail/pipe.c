#include "relay/sendmail/pipe.h"

#include "relay/os.h"
#include "relay/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define PIECE_BYTES 16384

struct pipe_smtp {
    int socket;          /* non-blocking */
    struct buffer there; /* on its way to the relay */
    struct buffer back;  /* on its way to the caller */
    bool cr;             /* the last byte there was a CR */
    bool caller_ended, caller_told, relay_ended;
};

/* Standard input, as far as it goes without waiting. */
static void read_caller(struct pipe_smtp *pipe)
{
    char piece[PIECE_BYTES];
    ssize_t count = read(STDIN_FILENO, piece, sizeof(piece));
    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    pipe->caller_ended = count <= 0;
    for (ssize_t i = 0; i < count; i++) {
        if (piece[i] == '\n' && !pipe->cr)
            buffer_append(&pipe->there, SPAN("\r"));
        buffer_append(&pipe->there, (struct span){&piece[i], 1});
        pipe->cr = piece[i] == '\r';
    }
}

static void write_relay(struct pipe_smtp *pipe)
{
    struct span bytes = buffer_span(&pipe->there);
    ssize_t count = bytes.length > 0 ? os_write(pipe->socket, bytes.data, bytes.length) : 0;
    if (count > 0)
        buffer_consume(&pipe->there, (size_t)count);
    else if (count < 0 && count != -EAGAIN)
        buffer_clear(&pipe->there); /* the relay has gone: reading tells */
    if (pipe->caller_ended && !pipe->caller_told && buffer_length(&pipe->there) == 0) {
        os_end(pipe->socket);
        pipe->caller_told = true;
    }
}

static void read_relay(struct pipe_smtp *pipe)
{
    char piece[PIECE_BYTES];
    ssize_t count = os_read(pipe->socket, piece, sizeof(piece));
    if (count > 0)
        buffer_append(&pipe->back, (struct span){piece, (size_t)count});
    else if (count != -EAGAIN)
        pipe->relay_ended = true;
}

/* Not more than a pipe takes at once when it takes anything. False when nobody reads. */
static bool write_caller(struct pipe_smtp *pipe)
{
    struct span bytes = buffer_span(&pipe->back);
    size_t length = bytes.length < PIPE_BUF ? bytes.length : PIPE_BUF;
    ssize_t count = length > 0 ? write(STDOUT_FILENO, bytes.data, length) : 0;
    if (count > 0)
        buffer_consume(&pipe->back, (size_t)count);
    return count >= 0 || errno == EINTR || errno == EAGAIN;
}

/* Each direction is read from only when what was read before has left. */
static bool step(struct pipe_smtp *pipe)
{
    bool there = buffer_length(&pipe->there) > 0, back = buffer_length(&pipe->back) > 0;
    struct pollfd polled[] = {
        {.fd = there || pipe->caller_ended ? -1 : STDIN_FILENO, .events = POLLIN},
        {.fd = back ? STDOUT_FILENO : -1, .events = POLLOUT},
        {.fd = pipe->relay_ended || (back && !there) ? -1 : pipe->socket,
         .events = (short)((there ? POLLOUT : 0) | (back ? 0 : POLLIN))},
    };
    if (poll(polled, countof(polled), -1) < 0)
        return errno == EINTR;
    if (polled[0].revents != 0)
        read_caller(pipe);
    if (polled[1].revents != 0 && !write_caller(pipe))
        return false;
    if (!back && (polled[2].revents & ~POLLOUT) != 0)
        read_relay(pipe);
    write_relay(pipe);
    return !pipe->relay_ended || buffer_length(&pipe->back) > 0;
}

int pipe_smtp(const char *socket_path, char why[HANDIN_WHY_MAX])
{
    struct pipe_smtp pipe = {.socket = unix_connect(socket_path)};
    if (pipe.socket < 0) {
        printf("421 4.3.2 The relay is not to be reached, try again later\r\n");
        return submit_unreachable(socket_path, -pipe.socket, why);
    }
    must(fcntl(pipe.socket, F_SETFL, O_NONBLOCK) == 0);
    while (step(&pipe))
        continue;
    os_close(pipe.socket);
    buffer_free(&pipe.there);
    buffer_free(&pipe.back);
    return EX_OK;
}
