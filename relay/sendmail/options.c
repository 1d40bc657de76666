#include "relay/sendmail/options.h"

#include "base/must.h"
#include "base/span.h"
#include "queue/message.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What is not in take() below is taken for the sake of callers, and changes nothing: there are no
 * aliases, errors always go to standard error, and the relay counts hops by itself. */
static const char without_value[] = "GIUimnstvx";
static const char with_value[] = "ABCDFLNORVXbcefhopr"; /* the rest of the word, or the next one */
static const char with_glued_value[] = "dq";            /* the rest of the word, if there is any */

/* ---- what they mean ---- */

static bool take_mode(struct sendmail_options *options, const char *value,
                      char why[SENDMAIL_WHY_MAX])
{
    switch (value[0]) {
    case 'm': options->mode = SENDMAIL_DELIVER; return true;
    case 's': options->mode = SENDMAIL_SMTP; return true;
    case 'p': options->mode = SENDMAIL_QUEUE_LIST; return true;
    case 'i': options->mode = SENDMAIL_ALIASES; return true;
    case 'd':
    case 'D':
    case 'l':
        snprintf(why, SENDMAIL_WHY_MAX,
                 "-b%c: the daemon is another command: millrace run, or systemctl start millrace",
                 value[0]);
        return false;
    default:
        snprintf(why, SENDMAIL_WHY_MAX, "-b%.20s is not supported: there are -bm -bs -bp -bi",
                 value);
        return false;
    }
}

static bool take_body(struct sendmail_options *options, const char *value,
                      char why[SENDMAIL_WHY_MAX])
{
    options->eight_bit = strcasecmp(value, "8BITMIME") == 0;
    if (options->eight_bit || strcasecmp(value, "7BIT") == 0)
        return true;
    snprintf(why, SENDMAIL_WHY_MAX, "-B takes 7BIT or 8BITMIME, not \"%.40s\"", value);
    return false;
}

static unsigned notify_flag_of(struct span word)
{
    static const struct {
        const char *word;
        enum notify_flag flag;
    } words[] = {{"never", NOTIFY_NEVER},
                 {"success", NOTIFY_SUCCESS},
                 {"failure", NOTIFY_FAILURE},
                 {"delay", NOTIFY_DELAY}};
    for (size_t i = 0; i < countof(words); i++)
        if (span_equal_nocase(word, span_of(words[i].word)))
            return words[i].flag;
    return 0;
}

/* RFC 3461 4.1: "never" stands alone. 0 when it is not as it should be. */
static unsigned notify_flags_of(const char *list)
{
    unsigned flags = 0;
    for (size_t length;; list += length + 1) {
        length = strcspn(list, ",");
        unsigned flag = notify_flag_of((struct span){list, length});
        flags |= flag;
        if (flag == 0 || ((flags & NOTIFY_NEVER) && flags != NOTIFY_NEVER))
            return 0;
        if (list[length] == '\0')
            return flags;
    }
}

static bool take_notify(struct sendmail_options *options, const char *value,
                        char why[SENDMAIL_WHY_MAX])
{
    options->notify = notify_flags_of(value);
    if (options->notify == 0)
        snprintf(why, SENDMAIL_WHY_MAX,
                 "-N takes never, or some of success,failure,delay, not \"%.60s\"", value);
    return options->notify != 0;
}

static bool take_ret(struct sendmail_options *options, const char *value,
                     char why[SENDMAIL_WHY_MAX])
{
    bool full = strcasecmp(value, "full") == 0;
    options->ret = full ? SENDMAIL_RET_FULL : SENDMAIL_RET_HEADERS;
    if (full || strcasecmp(value, "hdrs") == 0)
        return true;
    snprintf(why, SENDMAIL_WHY_MAX, "-R takes full or hdrs, not \"%.40s\"", value);
    return false;
}

/* RFC 3461 4.4: printable ASCII, before it is made xtext. */
static bool take_envid(struct sendmail_options *options, const char *value,
                       char why[SENDMAIL_WHY_MAX])
{
    size_t length = 0;
    while (value[length] >= ' ' && value[length] <= '~')
        length++;
    options->envid = value;
    if (length > 0 && length <= ENVID_MAX_BYTES && value[length] == '\0')
        return true;
    snprintf(why, SENDMAIL_WHY_MAX, "-V takes 1 to %d printable characters", ENVID_MAX_BYTES);
    return false;
}

static bool take_flush(struct sendmail_options *options, const char *value,
                       char why[SENDMAIL_WHY_MAX])
{
    options->mode = SENDMAIL_FLUSH;
    if (value[0] == '\0' || strcmp(value, "f") == 0)
        return true;
    if (isdigit((unsigned char)value[0]))
        snprintf(why, SENDMAIL_WHY_MAX,
                 "-q%.20s: the relay tries again by itself, as its `retry` sections say", value);
    else
        snprintf(why, SENDMAIL_WHY_MAX, "-q%.40s is not supported: see millrace queue retry --help",
                 value);
    return false;
}

/* -oi, and -O IgnoreDots=true: of the options of old the one that changes what is sent. */
static void take_old(struct sendmail_options *options, char letter, const char *value)
{
    static const char name[] = "IgnoreDots=";
    if (letter == 'o' ? value[0] == 'i' : strncasecmp(value, name, strlen(name)) == 0)
        options->ignore_dots = letter == 'o' || strchr("TtYy1", value[strlen(name)]) != NULL;
}

static bool take(struct sendmail_options *options, char letter, const char *value,
                 char why[SENDMAIL_WHY_MAX])
{
    switch (letter) {
    case 'B': return take_body(options, value, why);
    case 'C':
    case 'c': options->config = value; return true;
    case 'F': options->full_name = value; return true;
    case 'I': options->mode = SENDMAIL_ALIASES; return true;
    case 'N': return take_notify(options, value, why);
    case 'O':
    case 'o': take_old(options, letter, value); return true;
    case 'R': return take_ret(options, value, why);
    case 'V': return take_envid(options, value, why);
    case 'b': return take_mode(options, value, why);
    case 'f':
    case 'r': options->sender = value; return true;
    case 'i': options->ignore_dots = true; return true;
    case 'q': return take_flush(options, value, why);
    case 't': options->take_recipients = true; return true;
    case 'v': options->verbose = true; return true;
    default: return true;
    }
}

/* ---- reading ---- */

/* All letters of one word. `next` is the word behind it, or NULL; *used_next tells whether it was
 * the value of the last letter. */
static bool read_word(const char *word, const char *next, bool *used_next,
                      struct sendmail_options *options, char why[SENDMAIL_WHY_MAX])
{
    const char *at = word + 1;
    *used_next = false;
    for (; *at != '\0' && strchr(without_value, *at) != NULL; at++)
        if (!take(options, *at, "", why))
            return false;
    if (*at == '\0')
        return true;
    const char *value = at + 1;
    if (strchr(with_value, *at) != NULL && *value == '\0') {
        *used_next = true;
        value = next;
    } else if (strchr(with_value, *at) == NULL && strchr(with_glued_value, *at) == NULL) {
        snprintf(why, SENDMAIL_WHY_MAX, "there is no option -%c: see sendmail --help", *at);
        return false;
    }
    if (value != NULL)
        return take(options, *at, value, why);
    snprintf(why, SENDMAIL_WHY_MAX, "-%c needs a value: see sendmail --help", *at);
    return false;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static enum sendmail_mode mode_of(const char *name)
{
    if (strcmp(base_name(name), "mailq") == 0)
        return SENDMAIL_QUEUE_LIST;
    return strcmp(base_name(name), "newaliases") == 0 ? SENDMAIL_ALIASES : SENDMAIL_DELIVER;
}

bool sendmail_is_called(const char *name)
{
    return mode_of(name) != SENDMAIL_DELIVER || strcmp(base_name(name), "sendmail") == 0;
}

/* As far as the first word that is no option; its place, or -1. */
static int read_letters(int argc, char **argv, struct sendmail_options *options,
                        char why[SENDMAIL_WHY_MAX])
{
    int at = 1;
    while (at < argc && argv[at][0] == '-' && argv[at][1] != '\0') {
        bool used_next;
        if (strcmp(argv[at], "--") == 0)
            return at + 1;
        if (strcmp(argv[at], "--help") == 0) {
            options->mode = SENDMAIL_HELP;
            return argc;
        }
        if (!read_word(argv[at], argv[at + 1], &used_next, options, why))
            return -1;
        at += used_next ? 2 : 1;
    }
    return at;
}

bool sendmail_options_read(int argc, char **argv, struct sendmail_options *options,
                           char why[SENDMAIL_WHY_MAX])
{
    *options = (struct sendmail_options){.mode = mode_of(argv[0])};
    int at = read_letters(argc, argv, options, why);
    if (at < 0)
        return false;
    options->recipients = &argv[at];
    options->count = (unsigned)(argc - at);
    if (options->mode != SENDMAIL_DELIVER || options->take_recipients || options->count > 0)
        return true;
    snprintf(why, SENDMAIL_WHY_MAX,
             "no recipients: name them, or have them taken from the header with -t");
    return false;
}
