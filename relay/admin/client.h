/* The other end of the control socket: what `millrace queue` and `stats` use. */
#pragma once

#include <jansson.h>

/* Sends `request` and calls `each` with every object that comes back but the last (borrowed).
 * Returns a sysexits code: 0, 69 with a line on stderr when no relay listens at `path`, or
 * what the relay said. */
int control_ask(const char *path, const json_t *request, void (*each)(json_t *object, void *with),
                void *with);
