#include "relay/admin/client.h"

#include "relay/admin/control.h"
#include "relay/admin/lines.h"
#include "relay/admin/print.h"
#include "relay/config.h"
#include "relay/os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define ANSWER_LINE_MAX (4 << 20)           /* an envelope with all its recipients, escaped */
#define PATIENCE_MS (2ll * CONTROL_IDLE_MS) /* other clients may be served first */

int control_find(const char *given, const char *file, char **path)
{
    if (given != NULL) {
        *path = must_strdup(given);
        return EX_OK;
    }
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = config_read(config_file(file), &errors);
    if (config == NULL) {
        fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
        return EX_CONFIG;
    }
    *path = must_strdup(config->control);
    config_drop(&config);
    return EX_OK;
}

static int say_unreachable(const char *command, const char *path, int error)
{
    if (error == EACCES || error == EPERM) {
        fprintf(stderr, "%s: %s: permission denied: run this as the relay's user, or as root\n",
                command, path);
        return EX_NOPERM;
    }
    const char *what = error == ENOENT         ? "there is no such socket"
                       : error == ECONNREFUSED ? "nobody listens there"
                                               : strerror(error);
    fprintf(stderr,
            "%s: no relay answers at %s (%s): start it with `millrace run`, or name another "
            "place with -c FILE or --control PATH\n",
            command, path, what);
    return EX_UNAVAILABLE;
}

/* What the last object says. */
static int read_end(const char *command, const json_t *object)
{
    const char *error = json_string_value(json_object_get(object, "error"));
    if (error == NULL)
        return EX_OK;
    char *shown = terminal_text(error);
    fprintf(stderr, "%s: %s\n", command, shown);
    free(shown);
    json_int_t exit = json_integer_value(json_object_get(object, "exit"));
    return exit > 0 && exit < 256 ? (int)exit : EX_SOFTWARE;
}

static int say_broken(const char *command, const char *path, enum lines_result result)
{
    bool late = result == LINES_LATE;
    fprintf(stderr, "%s: the relay at %s %s: %s\n", command, path,
            late ? "does not answer" : "broke off before the end",
            late ? "it may be busy with another client; try again"
                 : "what was shown is not all; see its log and try again");
    return EX_TEMPFAIL;
}

static int read_answers(const char *command, const char *path, struct lines *lines,
                        void (*each)(json_t *, void *), void *with)
{
    for (;;) {
        struct span line;
        enum lines_result result = lines_read(lines, os_now() + PATIENCE_MS, &line);
        if (result != LINES_OK)
            return say_broken(command, path, result);
        json_t *object = json_loadb(line.data, line.length, JSON_ALLOW_NUL, NULL);
        if (object == NULL)
            return say_broken(command, path, LINES_ENDED);
        if (json_is_true(json_object_get(object, "end"))) {
            int exit = read_end(command, object);
            json_decref(object);
            return exit;
        }
        each(object, with);
        json_decref(object);
    }
}

int control_ask(const char *command, const char *path, const json_t *request,
                void (*each)(json_t *object, void *with), void *with)
{
    int socket = unix_connect(path);
    if (socket < 0)
        return say_unreachable(command, path, -socket);
    struct lines lines CLEANUP(lines_free);
    lines_init(&lines, socket, -1, ANSWER_LINE_MAX);
    struct buffer line CLEANUP(buffer_free) = {0};
    char *text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
    must(text != NULL);
    buffer_print(&line, "%s\n", text);
    free(text);
    /* A relay that refuses a line reads no more of it, but says why. */
    lines_write(&lines, os_now() + PATIENCE_MS, buffer_span(&line));
    return read_answers(command, path, &lines, each, with);
}

bool client_option(struct client_options *options, int option)
{
    switch (option) {
    case 'c': options->config = optarg; return true;
    case CLIENT_OPTION_CONTROL: options->control = optarg; return true;
    case CLIENT_OPTION_JSON: options->json = true; return true;
    default: return false;
    }
}

void client_print_json(json_t *object, void *unused)
{
    (void)unused;
    print_json(object);
}
