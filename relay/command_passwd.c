/* millrace passwd: the entries of the `users` file. */
#include "relay/commands.h"
#include "relay/config.h"
#include "relay/options.h"
#include "relay/os.h"
#include "relay/users.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#define COMMAND "millrace passwd"

static const char help[] =
    "usage: millrace passwd [-c FILE] [--cram-md5] NAME\n"
    "       millrace passwd [-c FILE] --delete NAME\n"
    "       millrace passwd [-c FILE] --list [--json]\n"
    "\n"
    "Sets the password with which NAME authenticates, in the file that `users` of the\n"
    "configuration names. The password is asked for on a terminal, else it is the first line of\n"
    "the input. What is kept of it (SCRAM-SHA-256) does not tell it. A running relay reads the\n"
    "file at SIGHUP.\n"
    "\n"
    "      --cram-md5     keep the password itself, too: CRAM-MD5 cannot do without\n"
    "      --delete       take NAME out\n"
    "      --list         all names\n"
    "      --json         a line of JSON for each\n"
    "  -c, --config FILE  the relay's configuration\n"
    "  -h, --help         this text\n"
    "\n"
    "Exit code: 0 when it is done, 65 when the name or password cannot be one, 67 when there is\n"
    "no such user, 73 when the file cannot be written, 78 when something is wrong with it.\n"
    "\n"
    "example: millrace passwd -c /etc/millrace/millrace.conf billing\n";

enum {
    OPTION_CRAM_MD5 = 256,
    OPTION_DELETE,
    OPTION_LIST,
    OPTION_JSON,
};

struct options {
    const char *config;
    const char *name;
    bool clear, delete, list, json;
};

static int wrong_usage(const char *why)
{
    fprintf(stderr, COMMAND ": %s: see " COMMAND " --help\n", why);
    return EX_USAGE;
}

/* ---- the password ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = number;
}

/* A line without echo; whoever interrupts finds his terminal as it was. What was typed before the
 * prompt is thrown away. */
static ssize_t read_unseen(const char *prompt, char **line, size_t *size)
{
    struct termios seen, unseen;
    struct sigaction interrupt = {.sa_handler = on_interrupt}, before[2];
    tcgetattr(STDIN_FILENO, &seen);
    unseen = seen;
    unseen.c_lflag &= ~(tcflag_t)ECHO;
    sigaction(SIGINT, &interrupt, &before[0]);
    sigaction(SIGTERM, &interrupt, &before[1]);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen);
    fputs(prompt, stderr);
    ssize_t length = getline(line, size, stdin);
    tcsetattr(STDIN_FILENO, TCSANOW, &seen);
    sigaction(SIGINT, &before[0], NULL);
    sigaction(SIGTERM, &before[1], NULL);
    fputc('\n', stderr);
    if (interrupted)
        raise(interrupted);
    return length;
}

/* NULL at the end of the input. */
static char *read_line(const char *prompt)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t length =
        isatty(STDIN_FILENO) ? read_unseen(prompt, &line, &size) : getline(&line, &size, stdin);
    if (length < 0) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

/* As it is to be kept; NULL when there is none that can be. */
static char *read_password(void)
{
    char *line CLEANUP(secret_free) = read_line("Password: ");
    if (line == NULL)
        return NULL;
    char *password = sasl_prepare(span_of(line), true);
    if (password == NULL || strlen(password) > SASL_PASSWORD_MAX) {
        secret_free(&password);
        fprintf(stderr,
                COMMAND ": this can be no password: it is empty, has more than %d bytes, is not "
                        "UTF-8, or holds characters that no password has (RFC 4013)\n",
                SASL_PASSWORD_MAX);
        return NULL;
    }
    if (!isatty(STDIN_FILENO))
        return password;
    char *again CLEANUP(secret_free) = read_line("Once more: ");
    if (again == NULL || strcmp(line, again) != 0) {
        fprintf(stderr, COMMAND ": these are two different passwords\n");
        secret_free(&password);
    }
    return password;
}

/* ---- the file ---- */

static int edit(const struct config *config, const char *name, struct span line)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    switch (users_edit(config->users_file, config->spool, name, line, &errors)) {
    case USERS_EDITED:
        printf("%s: %s %s; a running relay reads it at SIGHUP\n", name,
               line.length > 0 ? "is set in" : "is no longer in", config->users_file);
        return EX_OK;
    case USERS_NOT_THERE:
        fprintf(stderr, COMMAND ": there is no user \"%s\" in %s\n", name, config->users_file);
        return EX_NOUSER;
    case USERS_NOT_EDITED: break;
    }
    fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    return EX_CANTCREAT;
}

static int set(const struct config *config, const struct options *options)
{
    char salt[USERS_SALT_BYTES];
    struct buffer line CLEANUP(buffer_wipe) = {0};
    char *password CLEANUP(secret_free) = read_password();
    if (password == NULL)
        return EX_DATAERR;
    os_random(salt, sizeof(salt));
    users_line_write(options->name, password, (struct span){salt, sizeof(salt)}, options->clear,
                     &line);
    return edit(config, options->name, buffer_span(&line));
}

static void print_user(void *context, const char *name, unsigned iterations, bool clear)
{
    const struct options *options = context;
    if (!options->json) {
        printf("%s\tSCRAM-SHA-256, %u iterations%s\n", name, iterations, clear ? ", CRAM-MD5" : "");
        return;
    }
    json_t *user = json_pack("{s:s, s:i, s:b}", "name", name, "iterations", (int)iterations,
                             "cram-md5", clear);
    json_dumpf(user, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    json_decref(user);
}

static int list(const struct config *config, struct options *options)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct users *users CLEANUP(users_drop) =
        users_read(config->users_file, config->users_where, &errors);
    if (users == NULL) {
        fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
        return EX_CONFIG;
    }
    users_each(users, print_user, options);
    return EX_OK;
}

/* ---- the command ---- */

/* False when the command ends here, with *code. */
static bool read_options(int argc, char **argv, struct options *options, int *code)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, 'c'},
        {"cram-md5", no_argument, NULL, OPTION_CRAM_MD5},
        {"delete", no_argument, NULL, OPTION_DELETE},
        {"help", no_argument, NULL, 'h'},
        {"json", no_argument, NULL, OPTION_JSON},
        {"list", no_argument, NULL, OPTION_LIST},
        {0},
    };
    optind = 0;
    for (int found; (found = options_next(argc, argv, COMMAND, names)) != OPTION_END;) {
        switch (found) {
        case 'c': options->config = optarg; break;
        case OPTION_CRAM_MD5: options->clear = true; break;
        case OPTION_DELETE: options->delete = true; break;
        case OPTION_JSON: options->json = true; break;
        case OPTION_LIST: options->list = true; break;
        default:
            if (found == 'h')
                fputs(help, stdout);
            *code = found == 'h' ? EX_OK : EX_USAGE;
            return false;
        }
    }
    options->name = optind < argc ? argv[optind++] : NULL;
    if (optind < argc)
        *code = wrong_usage("one name at a time");
    else if (options->list ? options->name || options->delete || options->clear : !options->name)
        *code = wrong_usage(options->list ? "--list stands alone" : "a user's name is needed");
    else if (options->delete &&options->clear)
        *code = wrong_usage("--delete and --cram-md5 do not go together");
    else
        return true;
    return false;
}

static int run(const struct config *config, struct options *options)
{
    if (options->list)
        return list(config, options);
    const char *fault = user_name_fault(options->name);
    if (fault != NULL) {
        fprintf(stderr, COMMAND ": \"%s\" can be no user's name: %s\n", options->name, fault);
        return EX_DATAERR;
    }
    return options->delete ? edit(config, options->name, SPAN("")) : set(config, options);
}

int command_passwd(int argc, char **argv)
{
    struct options options = {0};
    struct buffer errors CLEANUP(buffer_free) = {0};
    int code;
    if (!read_options(argc, argv, &options, &code))
        return code;
    struct config *config CLEANUP(config_drop) = config_read(config_file(options.config), &errors);
    if (config == NULL) {
        fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
        return EX_CONFIG;
    }
    if (config->users_file == NULL) {
        fprintf(stderr, COMMAND ": %s has no users file: users = \"/etc/millrace/users\"\n",
                options.config ? options.config : "the default configuration");
        return EX_CONFIG;
    }
    return run(config, &options);
}
