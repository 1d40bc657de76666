/* millrace explain: why a message has not left. */
#include "relay/admin/client.h"
#include "relay/admin/print.h"
#include "relay/commands.h"
#include "relay/options.h"

#include <stdlib.h>
#include <sysexits.h>

#define COMMAND "millrace explain"

static const char help[] =
    "usage: millrace explain ID | DOMAIN [--json] [-c FILE | --control PATH]\n"
    "\n"
    "Why an envelope, or mail for a domain, has not left yet: the next attempt, what it waits\n"
    "for, the limit that binds, the policy and the section it comes from, the last reply.\n"
    "\n"
    "      --json              a line of JSON\n"
    "  -c, --config FILE       the relay's configuration, which names its control socket\n"
    "      --control PATH      the control socket itself\n"
    "\n"
    "Exit code: 0, or 65 when there is no such envelope.\n"
    "\n"
    "example: millrace explain 1M7ZA42AQ0002\n";

static void print_explanation(json_t *object, void *unused)
{
    const json_t *lines = json_object_get(object, "explanation");
    (void)unused;
    char *what = terminal_text(json_text_of(object, "what"));
    printf("%s\n", what);
    free(what);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        char *shown = terminal_text(line ? line : "");
        printf("  %s\n", shown);
        free(shown);
    }
}

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
    if (argc - optind == 1)
        return OPTION_END;
    fprintf(stderr, COMMAND ": one id or domain is meant: see " COMMAND " --help\n");
    return EX_USAGE;
}

int command_explain(int argc, char **argv)
{
    struct client_options options = {0};
    char *path = NULL;
    int code = read_options(argc, argv, &options);
    if (code != OPTION_END)
        return code;
    json_t *request = json_pack("{s:s, s:s}", "command", "explain", "what", argv[optind]);
    if (request == NULL) {
        fprintf(stderr, COMMAND ": \"%s\": this is not UTF-8\n", argv[optind]);
        return EX_USAGE;
    }
    code = control_find(options.control, options.config, &path);
    if (path != NULL)
        code = control_ask(COMMAND, path, request,
                           options.json ? client_print_json : print_explanation, NULL);
    json_decref(request);
    free(path);
    return code;
}
