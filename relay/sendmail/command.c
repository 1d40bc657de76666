/* millrace sendmail, also as /usr/sbin/sendmail, mailq and newaliases: takes a message from
 * standard input and hands it to the relay. It keeps nothing itself: what the relay has not taken,
 * the caller still has. */
#include "relay/admin/terminal.h"
#include "relay/commands.h"
#include "relay/config.h"
#include "relay/os.h"
#include "relay/sendmail/input.h"
#include "relay/sendmail/pipe.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define PIECE_BYTES (64u << 10)  /* read at once */
#define PASSWD_BYTES (16u << 10) /* of a user's entry */

static const char help[] =
    "usage: sendmail [-t] [-i] [-f ADDRESS] [-F NAME] [OPTIONS] [RECIPIENT]...\n"
    "       sendmail -bs | -bp | -bi | -q      mailq      newaliases\n"
    "\n"
    "Takes a message from standard input and hands it to the relay. Exit code 75: the relay\n"
    "is away or busy, and has not taken it; try again.\n"
    "\n"
    "  -t          recipients from To, Cc and Bcc, and from the command line, too\n"
    "  -i, -oi     a line with a dot alone does not end the message\n"
    "  -f ADDRESS  the sender, who gets the bounces (<>: nobody); -r is the same\n"
    "  -F NAME     the sender's name, for From: when the message has none\n"
    "  -N WHEN     never, or some of success,failure,delay: when the sender is told\n"
    "  -R full|hdrs, -V ID   what a bounce contains, and the ID it names\n"
    "  -B TYPE     7BIT or 8BITMIME\n"
    "  -C FILE     the relay's configuration (-c is the same)\n"
    "  -v          say under which ID it was queued\n"
    "  -bs         SMTP on standard input and output\n"
    "  -bp, mailq  what waits: millrace queue list\n"
    "  -q          try all of it now: millrace queue retry --all\n"
    "  -bi, newaliases       nothing: there are no aliases\n"
    "\n"
    "Sendmail's other options are taken and change nothing.\n"
    "\n"
    "example: printf 'Subject: hello\\n\\nhi\\n' | sendmail -f me@app.test you@example.test\n";

static int say(int code, const char *why)
{
    char *shown = terminal_text(why);
    fprintf(stderr, "sendmail: %s\n", shown);
    free(shown);
    return code;
}

/* ---- the message ---- */

static int read_message(bool dot_ends, uint64_t most, struct buffer *text)
{
    struct input input = {.dot_ends = dot_ends};
    struct buffer piece CLEANUP(buffer_free) = {0};
    ssize_t count;
    while (!input.ended &&
           (count = read(STDIN_FILENO, buffer_room(&piece, PIECE_BYTES), PIECE_BYTES)) != 0) {
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return say(EX_IOERR, strerror(errno));
        buffer_grew(&piece, (size_t)count);
        input_read(&input, buffer_span(&piece), text);
        buffer_clear(&piece);
        if (buffer_length(text) > most)
            return say(EX_DATAERR, "the message is larger than the relay takes (limits: "
                                   "message-size)");
    }
    input_end(&input, text);
    return EX_OK;
}

/* ---- who calls ---- */

/* GECOS: the name stands before the first comma, and & for the login with a capital. */
static const char *full_name_of(const struct passwd *user, struct arena *arena)
{
    struct span gecos = {user->pw_gecos, strcspn(user->pw_gecos, ",")};
    const char *sign = gecos.length > 0 ? memchr(gecos.data, '&', gecos.length) : NULL;
    if (sign == NULL)
        return arena_copy(arena, gecos);
    return arena_print(arena, "%.*s%c%s%.*s", (int)(sign - gecos.data), gecos.data,
                       toupper((unsigned char)user->pw_name[0]), user->pw_name + 1,
                       (int)(gecos.data + gecos.length - sign - 1), sign + 1);
}

/* A container may run under a number that has no name. */
static struct caller find_caller(const struct config *config, struct arena *arena)
{
    struct passwd entry, *user = NULL;
    char *text = arena_take(arena, PASSWD_BYTES);
    if (getpwuid_r(getuid(), &entry, text, PASSWD_BYTES, &user) != 0)
        user = NULL;
    struct caller caller = {
        .login = user && user->pw_name[0] ? arena_copy(arena, span_of(user->pw_name))
                                          : arena_print(arena, "uid%u", getuid()),
        .full_name = user && user->pw_gecos ? full_name_of(user, arena) : "",
        .hostname = config->hostname,
        .origin = config->origin,
        .wall_ms = os_wall(),
    };
    os_random(&caller.random, sizeof(caller.random));
    return caller;
}

/* ---- what it does ---- */

static int deliver(const struct sendmail_options *options, const struct config *config)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    struct submission submission CLEANUP(submission_free) = {0};
    struct arena arena CLEANUP(arena_free) = {0};
    char why[HANDIN_WHY_MAX];
    struct caller caller = find_caller(config, &arena);
    int code = read_message(!options->ignore_dots, config->limits.message_bytes, &text);
    if (code != EX_OK)
        return code;
    code = compose(&submission, options, &caller, buffer_span(&text), why);
    buffer_free(&text); /* a large message is not kept twice */
    if (code == EX_OK)
        code = hand_in(config->submit, &submission, options, why);
    if (code != EX_OK)
        return say(code, why);
    if (options->verbose)
        puts(why);
    return EX_OK;
}

static int speak_smtp(const struct config *config)
{
    char why[HANDIN_WHY_MAX];
    int code = pipe_smtp(config->submit, why);
    return code == EX_OK ? EX_OK : say(code, why);
}

/* A mistake in the configuration is the operator's, and may be mended: the caller keeps its mail.
 */
static int with_config(const struct sendmail_options *options, const char *path)
{
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config CLEANUP(config_drop) = config_read(path, &errors);
    if (config == NULL) {
        fprintf(stderr, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
        return say(EX_TEMPFAIL, "the configuration cannot be read: see millrace check-config");
    }
    return options->mode == SENDMAIL_SMTP ? speak_smtp(config) : deliver(options, config);
}

/* The same as `millrace queue`, with the words of old. */
static int ask_queue(const char *path, enum sendmail_mode mode)
{
    char config[PATH_MAX];
    char *list[] = {"queue", "list", NULL, NULL, NULL};
    char *retry[] = {"queue", "retry", "--all", "--reason", "sendmail -q", NULL, NULL, NULL};
    char **words = mode == SENDMAIL_FLUSH ? retry : list;
    int count = mode == SENDMAIL_FLUSH ? 5 : 2;
    if (path != NULL) {
        snprintf(config, sizeof(config), "%s", path);
        words[count++] = "-c";
        words[count++] = config;
    }
    return command_queue(count, words);
}

int command_sendmail(int argc, char **argv)
{
    struct sendmail_options options;
    char why[SENDMAIL_WHY_MAX];
    if (!sendmail_options_read(argc, argv, &options, why))
        return say(EX_USAGE, why);
    const char *path = config_file(options.config);
    signal(SIGPIPE, SIG_IGN);
    switch (options.mode) {
    case SENDMAIL_DELIVER:
    case SENDMAIL_SMTP: return with_config(&options, path);
    case SENDMAIL_QUEUE_LIST:
    case SENDMAIL_FLUSH: return ask_queue(path, options.mode);
    case SENDMAIL_ALIASES: return EX_OK;
    case SENDMAIL_HELP: fputs(help, stdout); return EX_OK;
    }
    must_not_reach();
}
