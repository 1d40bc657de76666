/* The other end of the control socket: what `millrace queue` and `stats` use. */
#pragma once

#include <jansson.h>

/* The path of the control socket: `given`, or what the configuration says (NULL: the defaults).
 * 0 and a text that the caller frees, or 78 with lines on stderr. */
int control_find(const char *given, const char *config_file, char **path);

/* Sends `request` and calls `each` with every object that comes back but the last (borrowed).
 * Returns a sysexits code: 0, 69 with a line on stderr when no relay listens at `path`, 75 when
 * it does not answer, or what the relay said. `command` ("millrace stats") is for messages. */
int control_ask(const char *command, const char *path, const json_t *request,
                void (*each)(json_t *object, void *with), void *with);
