#include "relay/commands.h"
#include "relay/run.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

static const char help[] =
    "Usage: millrace run [-c FILE]\n"
    "\n"
    "Runs the relay in the foreground. Without a file it runs on the defaults: SMTP on\n"
    "127.0.0.1:2525, spool in ./var/millrace.\n"
    "\n"
    "  -c, --config FILE   the configuration\n"
    "      --help          this text\n"
    "\n"
    "Signals: SIGHUP reads the configuration again (the old one stays if the new one is\n"
    "wrong), SIGTERM drains and ends, SIGUSR1 logs statistics.\n"
    "\n"
    "Example: millrace run -c /etc/millrace/millrace.conf\n";

int command_run(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    const char *path = NULL;
    for (int option; (option = getopt_long(argc, argv, "c:", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(help, stdout);
            return EX_OK;
        }
        if (option != 'c')
            return EX_USAGE;
        path = optarg;
    }
    if (optind < argc) {
        fprintf(stderr, "millrace run: unexpected argument '%s'; see millrace run --help\n",
                argv[optind]);
        return EX_USAGE;
    }
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config = config_read(path, &errors);
    if (config != NULL && config_check_files(config, &errors))
        return relay_run(config);
    if (config != NULL)
        config_drop(&config);
    fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    return EX_CONFIG;
}
