/* Lines over a unix stream socket, with time limits: what both ends of the control socket
 * share. It waits in poll(2), and not in an event loop: the simulator has no operator. */
#pragma once

#include "base/buffer.h"
#include "relay/unix_socket.h"

/* The next client, or -1 once `stop` is readable. Several threads may wait. */
int unix_accept(const struct unix_listener *listener, int stop);

/* ---- lines ---- */

struct lines {
    int socket;     /* owned */
    int stop;       /* ends all waiting when it becomes readable; -1: nothing does */
    size_t longest; /* bytes of a line that is read, with its newline */
    struct buffer in;
    size_t given; /* bytes at the front of `in` that are the last line given out */
};

enum lines_result {
    LINES_OK,
    LINES_ENDED, /* the other end has closed, or the connection failed */
    LINES_LONG,
    LINES_LATE,
    LINES_STOPPED,
};

void lines_init(struct lines *lines, int take_socket, int stop, size_t longest);
void lines_free(struct lines *lines);

/* The next line, without its newline, valid until the next call. `deadline_ms`: os_now(). */
enum lines_result lines_read(struct lines *lines, int64_t deadline_ms, struct span *line);
/* Writes all of it. */
enum lines_result lines_write(struct lines *lines, int64_t deadline_ms, struct span bytes);

/* Does nothing until then (os_now()). False as soon as the other end has closed, or `stop`. */
bool lines_pause(const struct lines *lines, int64_t until_ms);
