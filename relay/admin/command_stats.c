/* millrace stats: what the relay has counted. */
#include "relay/admin/client.h"
#include "relay/admin/print.h"
#include "relay/commands.h"
#include "relay/options.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define COMMAND "millrace stats"

static const char help[] =
    "usage: millrace stats [-c FILE | --control PATH] [--json]\n"
    "\n"
    "What the running relay has counted since it started. The books are in recipients:\n"
    "received + restored = delivered + bounced + expired + dropped + queued.\n"
    "\n"
    "  -c, --config FILE   the relay's configuration, which names its control socket\n"
    "      --control PATH  the control socket itself\n"
    "      --json          one line of JSON, for programs\n"
    "      --help          this text\n"
    "\n"
    "Exit code: 0, or 69 when no relay is running there.\n"
    "\n"
    "example: millrace stats --json | jq .delivered\n";

static void print_value(const char *key, const json_t *value)
{
    if (json_is_integer(value))
        printf("%s %" JSON_INTEGER_FORMAT, key, json_integer_value(value));
    else if (json_is_real(value))
        printf("%s %.1f", key, json_real_value(value));
    else if (json_is_boolean(value))
        printf("%s %s", key, json_is_true(value) ? "yes" : "no");
    else if (json_is_string(value)) {
        char *shown = terminal_text(json_string_value(value));
        printf("%s %s", key, shown);
        free(shown);
    }
}

/* "connections         opened 7, reused 9, open 0": a group on one line */
static void print_group(const char *name, json_t *group)
{
    const char *key, *separator = "";
    json_t *value;
    printf("%-20s", name);
    json_object_foreach(group, key, value)
    {
        fputs(separator, stdout);
        print_value(key, value);
        separator = ", ";
    }
    putchar('\n');
}

static void print_text(json_t *object, void *with)
{
    const char *key;
    json_t *value;
    (void)with;
    json_object_foreach(object, key, value)
    {
        if (json_is_object(value)) {
            print_group(key, value);
        } else {
            char name[32];
            snprintf(name, sizeof(name), "%-19s", key);
            print_value(name, value);
            putchar('\n');
        }
    }
}

/* OPTION_END when the command goes on; else its exit code. */
static int read_options(int argc, char **argv, struct client_options *options)
{
    static const struct option names[] = {CLIENT_OPTIONS, {0}};
    optind = 0;
    for (int found; (found = options_next(argc, argv, COMMAND, names)) != OPTION_END;) {
        if (found == 'h') {
            fputs(help, stdout);
            return EX_OK;
        }
        if (!client_option(options, found))
            return EX_USAGE;
    }
    if (optind == argc)
        return OPTION_END;
    fprintf(stderr, COMMAND ": \"%s\" is one word too many: see " COMMAND " --help\n",
            argv[optind]);
    return EX_USAGE;
}

int command_stats(int argc, char **argv)
{
    struct client_options options = {0};
    char *path;
    int code = read_options(argc, argv, &options);
    if (code != OPTION_END)
        return code;
    code = control_find(options.control, options.config, &path);
    if (code != EX_OK)
        return code;
    json_t *request = json_pack("{s:s}", "command", "stats");
    code = control_ask(COMMAND, path, request, options.json ? client_print_json : print_text, NULL);
    json_decref(request);
    free(path);
    return code;
}
