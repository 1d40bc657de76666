/* millrace check-config: every error of a configuration, or that there is none. */
#include "relay/commands.h"
#include "relay/config.h"
#include "relay/options.h"

#include <stdio.h>
#include <sysexits.h>

static const char help[] =
    "Usage: millrace check-config [-c FILE] [--dump]\n"
    "\n"
    "Reads the configuration, and says all that is wrong with it, a line each:\n"
    "FILE:LINE: what, and what was meant. Certificates are loaded, and the places of the\n"
    "spool and of the control socket looked at, too.\n"
    "\n"
    "  -c, --config FILE  the configuration; without it, " MILLRACE_CONFIG_FILE "\n"
    "                     where there is one, else the defaults\n"
    "  -d, --dump         print the configuration in effect, defaults included\n"
    "  -h, --help         this text\n"
    "\n"
    "Exit code: 0 when it is fine, 78 when it is not.\n"
    "\n"
    "Example: millrace check-config -c /etc/millrace/millrace.conf\n";

struct options {
    const char *path;
    bool dump;
};

/* False when the command ends here, with *code. */
static bool read_options(int argc, char **argv, struct options *options, int *code)
{
    static const char command[] = "millrace check-config";
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"dump", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    optind = 0;
    for (int found; (found = options_next(argc, argv, command, names)) != OPTION_END;) {
        if (found == 'c') {
            options->path = optarg;
        } else if (found == 'd') {
            options->dump = true;
        } else {
            if (found == 'h')
                fputs(help, stdout);
            *code = found == 'h' ? EX_OK : EX_USAGE;
            return false;
        }
    }
    if (optind == argc)
        return true;
    fprintf(stderr, "%s: \"%s\": name the file with -c\n", command, argv[optind]);
    *code = EX_USAGE;
    return false;
}

static void print_dump(const struct config *config, const char *path)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    config_dump(config, &text);
    printf("# the configuration in effect, from %s\n%.*s", path ? path : "defaults",
           SPAN_FORMAT(buffer_span(&text)));
}

int command_check_config(int argc, char **argv)
{
    struct options options = {0};
    struct buffer errors CLEANUP(buffer_free) = {0};
    int code;
    if (!read_options(argc, argv, &options, &code))
        return code;
    options.path = config_file(options.path);
    struct config *config CLEANUP(config_drop) = config_check_strictly(options.path, &errors);
    if (config == NULL) {
        fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
        return EX_CONFIG;
    }
    if (options.dump)
        print_dump(config, options.path);
    else
        printf("%s: fine\n", options.path ? options.path : "defaults");
    return EX_OK;
}
