/* Lines over a unix stream socket, with time limits: what both ends of the control socket
 * share. The only file beside os_linux.c that knows of sockets: the simulator has no operator. */
#pragma once

#include "base/buffer.h"

#include <sys/types.h>

/* ---- the socket ---- */

struct unix_listener {
    int socket;
    char *path;
    dev_t device; /* the file we made: another's in its place is left alone */
    ino_t inode;
};

/* Mode 0600 from the first moment. An abandoned file is replaced; one that somebody listens
 * on, or that is no socket, is refused. False with one line in `why`. */
bool unix_listen(const char *path, struct unix_listener *listener, char *why, size_t why_size);
void unix_close(struct unix_listener *listener); /* removes the file */

/* The next client, or -1 once `stop` is readable. Several threads may wait. */
int unix_accept(const struct unix_listener *listener, int stop);

int unix_connect(const char *path); /* or -errno; waits a while for a relay that is busy */

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
