/* The other end of the control socket: what `millrace queue` and `stats` use. */
#pragma once

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>

/* The path of the control socket: `given`, or what the configuration says (`file`, as for
 * config_file). 0 and a text that the caller frees, or 78 with lines on stderr. */
int control_find(const char *given, const char *file, char **path);

/* Sends `request` and calls `each` with every object that comes back but the last (borrowed).
 * Returns a sysexits code: 0, 69 with a line on stderr when no relay listens at `path`, 75 when
 * it does not answer, or what the relay said. `command` ("millrace stats") is for messages. */
int control_ask(const char *command, const char *path, const json_t *request,
                void (*each)(json_t *object, void *with), void *with);

/* ---- the options that all of these commands have ---- */

struct client_options {
    const char *config, *control;
    bool json;
};

enum {
    CLIENT_OPTION_CONTROL = 1000,
    CLIENT_OPTION_JSON,
};

/* Rows for a table of options; "help" is 'h' and the command's own. */
#define CLIENT_PLACE_OPTIONS                                                                       \
    {"config", required_argument, NULL, 'c'},                                                      \
        {"control", required_argument, NULL, CLIENT_OPTION_CONTROL},                               \
    {                                                                                              \
        "help", no_argument, NULL, 'h'                                                             \
    }
#define CLIENT_OPTIONS                                                                             \
    CLIENT_PLACE_OPTIONS,                                                                          \
    {                                                                                              \
        "json", no_argument, NULL, CLIENT_OPTION_JSON                                              \
    }

/* True when it was one of them but help, with its value in `optarg`. */
bool client_option(struct client_options *options, int option);

/* An `each` of control_ask: a line of JSON. */
void client_print_json(json_t *object, void *unused);
