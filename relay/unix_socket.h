/* Unix stream sockets: the control socket and the one for local submission. Beside os_linux.c
 * and admin/lines.c the only file that knows of sockets: the simulator has no local users. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct unix_place {
    const char *key; /* of the configuration, for messages: "control" */
    const char *path;
    mode_t mode; /* from the first moment at which anybody can connect */
};

struct unix_listener {
    int socket; /* non-blocking */
    char *path;
    dev_t device; /* the file we made: another's in its place is left alone */
    ino_t inode;
};

/* An abandoned file is replaced; one that somebody listens on, or that is no socket, is refused.
 * False with one line in `why`. */
bool unix_listen(const struct unix_place *place, struct unix_listener *listener, char *why,
                 size_t why_size);
void unix_close(struct unix_listener *listener); /* removes the file */

int unix_connect(const char *path); /* or -errno; waits a while for a relay that is busy */
/* Non-blocking, or -errno: -EAGAIN while other clients fill the backlog. */
int unix_connect_now(const char *path);

int unix_datagram(void); /* a socket that sends, or -errno */
/* A datagram, to whoever reads them there: 0, or the errno of why not. Does not wait. */
int unix_send(int socket, const char *path, const void *from, size_t length);
