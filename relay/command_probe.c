/* millrace probe: what would happen to a message for a destination, without sending one. */
#include "base/nearest.h"
#include "base/units.h"
#include "relay/commands.h"
#include "relay/config.h"
#include "relay/options.h"
#include "relay/probe/probe.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define COMMAND "millrace probe"

static const char help[] =
    "usage: millrace probe DOMAIN | HOST:PORT | [ADDRESS]:PORT [OPTIONS]\n"
    "\n"
    "Finds the hosts as the relay would, reads the policies that hold for them, connects to each,\n"
    "asks for STARTTLS, and tells what happened to a message. None is sent.\n"
    "\n"
    "      --level LEVEL       as if the configuration asked for that: none, may, encrypt, dane,\n"
    "                          dane-only, fingerprint, verify or secure\n"
    "      --timeout TIME      for one connection; default 30s\n"
    "      --json              a line of JSON\n"
    "  -c, --config FILE       the relay's configuration; without it, " MILLRACE_CONFIG_FILE "\n"
    "                          where there is one, else the defaults\n"
    "  -h, --help              this text\n"
    "\n"
    "exit code: 0 it would be delivered; 75 deferred; 68 returned to its sender\n"
    "\n"
    "example: millrace probe --level secure bank.example\n";

enum {
    OPTION_JSON = 256,
    OPTION_LEVEL,
    OPTION_TIMEOUT,
};

struct options {
    const char *path;
    struct probe_options probe;
    enum tls_level level;
    bool json;
};

static int wrong(const char *option, const char *word, const char *meant)
{
    fprintf(stderr, COMMAND ": %s \"%s\": %s\n", option, word, meant);
    return EX_USAGE;
}

static int take_level(struct options *options, const char *word)
{
    for (unsigned level = 0; level < TLS_LEVELS; level++)
        if (strcmp(word, tls_level_name((enum tls_level)level)) == 0) {
            options->level = (enum tls_level)level;
            options->probe.level = &options->level;
            return OPTION_END;
        }
    return wrong("--level", word, "not a level: see --help");
}

static int take_timeout(struct options *options, const char *word)
{
    int64_t *ms = &options->probe.deadline_ms;
    if (units_duration(span_of(word), ms) && *ms > 0 && *ms <= 3600000)
        return OPTION_END;
    return wrong("--timeout", word, "a time of up to an hour is meant: 10s");
}

/* OPTION_END when it is fine; else the exit code. */
static int take_option(struct options *options, int option)
{
    switch (option) {
    case 'c': options->path = optarg; return OPTION_END;
    case OPTION_JSON: options->json = true; return OPTION_END;
    case OPTION_LEVEL: return take_level(options, optarg);
    case OPTION_TIMEOUT: return take_timeout(options, optarg);
    case 'h': fputs(help, stdout); return EX_OK;
    default: return EX_USAGE;
    }
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"json", no_argument, NULL, OPTION_JSON},
        {"level", required_argument, NULL, OPTION_LEVEL},
        {"timeout", required_argument, NULL, OPTION_TIMEOUT},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    optind = 0;
    for (int found; (found = options_next(argc, argv, COMMAND, names)) != OPTION_END;) {
        int code = found == OPTION_WRONG ? EX_USAGE : take_option(options, found);
        if (code != OPTION_END)
            return code;
    }
    if (optind + 1 != argc) {
        fputs(help, stderr);
        return EX_USAGE;
    }
    options->probe.target = argv[optind];
    return OPTION_END;
}

static int run(const struct options *options)
{
    char why[512];
    struct probe probe;
    bool begun = probe_run(&probe, &options->probe, why, sizeof(why));
    if (!begun)
        fprintf(stderr, COMMAND ": %s\n", why);
    else if (options->json)
        probe_print_json(&probe);
    else
        probe_print(&probe);
    int code = begun ? probe_exit_code(&probe) : EX_USAGE;
    probe_free(&probe);
    return code;
}

int command_probe(int argc, char **argv)
{
    struct options options = {.probe.deadline_ms = PROBE_DEADLINE_MS};
    int code = read_options(argc, argv, &options);
    if (code != OPTION_END)
        return code;
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config CLEANUP(config_drop) = config_check(config_file(options.path), &errors);
    fwrite(buffer_span(&errors).data, 1, buffer_length(&errors), stderr);
    if (config == NULL)
        return EX_CONFIG;
    options.probe.config = config;
    signal(SIGPIPE, SIG_IGN);
    return run(&options);
}
