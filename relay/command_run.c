#include "relay/commands.h"
#include "relay/options.h"
#include "relay/run.h"

#include <stdio.h>
#include <sysexits.h>

static const char help[] =
    "Usage: millrace run [-c FILE]\n"
    "\n"
    "Runs the relay in the foreground. Without any configuration it runs on the defaults:\n"
    "SMTP on 127.0.0.1:2525, spool in ./var/millrace.\n"
    "\n"
    "  -c, --config FILE   the configuration; without it, " MILLRACE_CONFIG_FILE "\n"
    "                      where there is one\n"
    "      --help          this text\n"
    "\n"
    "Signals: SIGHUP reads the configuration again (the old one stays if the new one is\n"
    "wrong), SIGTERM drains and ends, SIGUSR1 logs statistics.\n"
    "\n"
    "Example: millrace run -c /etc/millrace/millrace.conf\n";

/* False when the command ends here, with *code. */
static bool read_options(int argc, char **argv, const char **path, int *code)
{
    static const char command[] = "millrace run";
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    *path = NULL;
    *code = EX_USAGE;
    optind = 0;
    for (int found; (found = options_next(argc, argv, command, names)) != OPTION_END;) {
        if (found == 'h') {
            fputs(help, stdout);
            *code = EX_OK;
        }
        if (found != 'c')
            return false;
        *path = optarg;
    }
    if (optind == argc)
        return true;
    fprintf(stderr, "%s: unexpected word \"%s\"; see %s --help\n", command, argv[optind], command);
    return false;
}

int command_run(int argc, char **argv)
{
    const char *path;
    int code;
    if (!read_options(argc, argv, &path, &code))
        return code;
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = config_check(config_file(path), &errors);
    if (config != NULL)
        return relay_run(config);
    fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    return EX_CONFIG;
}
