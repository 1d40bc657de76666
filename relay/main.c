/* millrace COMMAND: finds the command, and leaves it to that. */
#include "base/must.h"
#include "base/nearest.h"
#include "bench/commands.h"
#include "relay/commands.h"
#include "relay/sendmail/options.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

struct command_row {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct command_row commands[] = {
    {"run", command_run, "the relay, in the foreground"},
    {"check-config", command_check_config, "say all that is wrong with a configuration"},
    {"passwd", command_passwd, "say who may authenticate, and with which password"},
    {"queue", command_queue, "look at what waits, and act on it"},
    {"dest", command_dest, "what waits for each destination; pause and resume it"},
    {"explain", command_explain, "why a message has not left"},
    {"probe", command_probe, "what would happen to a message for a destination"},
    {"stats", command_stats, "what the running relay has counted"},
    {"tlsrpt", command_tlsrpt, "what TLS sessions came to today, as domains will hear"},
    {"top", command_top, "the same and more, on a live screen"},
    {"sendmail", command_sendmail, "hand in a message from standard input, as sendmail does"},
    {"sink", command_sink, "be a downstream server, with faults"},
    {"load", command_load, "load a server with mail"},
};

static void print_help(FILE *to)
{
    fputs("usage: millrace COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < countof(commands); i++)
        fprintf(to, "  %-14s %s\n", commands[i].name, commands[i].help);
    fputs("\n"
          "  --help         this text; millrace COMMAND --help for one command\n"
          "  --version      the version\n"
          "\n"
          "example: millrace run -c /etc/millrace/millrace.conf\n",
          to);
}

static const struct command_row *find(const char *name)
{
    for (size_t i = 0; i < countof(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int say_unknown(const char *name)
{
    const char *names[countof(commands)];
    for (size_t i = 0; i < countof(commands); i++)
        names[i] = commands[i].name;
    const char *near = nearest_name(span_of(name), names, countof(names));
    if (near != NULL)
        fprintf(stderr, "millrace: there is no command \"%s\" (is \"%s\" meant?)\n", name, near);
    else
        fprintf(stderr, "millrace: there is no command \"%s\": see millrace --help\n", name);
    return EX_USAGE;
}

int main(int argc, char **argv)
{
    if (argc > 0 && sendmail_is_called(argv[0]))
        return command_sendmail(argc, argv);
    if (argc < 2) {
        print_help(stderr);
        return EX_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return EX_OK;
    }
    if (strcmp(name, "--version") == 0) {
        puts("millrace " MILLRACE_VERSION);
        return EX_OK;
    }
    const struct command_row *command = find(name);
    return command ? command->run(argc - 1, argv + 1) : say_unknown(name);
}
