/* millrace dest: what waits for each destination, and whether mail may go there. */
#include "base/nearest.h"
#include "base/units.h"
#include "relay/admin/client.h"
#include "relay/admin/destination_print.h"
#include "relay/admin/request.h"
#include "relay/commands.h"
#include "relay/options.h"

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define COMMAND "millrace dest"

static const char help[] =
    "usage: millrace dest list [--domain NAME] [--limit N] [--json]\n"
    "       millrace dest show NAME [--last-failures] [--json]\n"
    "       millrace dest pause NAME --reason TEXT [--for TIME]\n"
    "       millrace dest resume NAME\n"
    "\n"
    "A destination is the domain of recipients. A paused one gets no mail: its envelopes wait,\n"
    "and expire in their time. A pause outlives a restart.\n"
    "\n"
    "      --domain NAME       that one; .NAME for all that lie below it\n"
    "      --for TIME          how long it is paused: 30m, 4h, 2d; else until it is resumed\n"
    "      --reason TEXT       why; list, show and explain tell it\n"
    "      --last-failures     what was said in the last sessions that failed, and why they did\n"
    "      --limit N           at most so many\n"
    "      --json              a line of JSON for each destination\n"
    "  -c, --config FILE       the relay's configuration, which names its control socket\n"
    "      --control PATH      the control socket itself\n"
    "\n"
    "example: millrace dest pause example.test --for 2h --reason \"they asked us to wait\"\n";

enum {
    OPTION_DOMAIN = 256,
    OPTION_FOR,
    OPTION_LAST_FAILURES,
    OPTION_LIMIT,
    OPTION_REASON,
};

static const struct option names[] = {
    {"domain", required_argument, NULL, OPTION_DOMAIN},
    {"for", required_argument, NULL, OPTION_FOR},
    {"last-failures", no_argument, NULL, OPTION_LAST_FAILURES},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"reason", required_argument, NULL, OPTION_REASON},
    CLIENT_OPTIONS,
    {0},
};

enum verb {
    VERB_LIST,
    VERB_SHOW,
    VERB_PAUSE,
    VERB_RESUME,
};
#define VERBS 4

static const char *const verbs[] = {"list", "show", "pause", "resume"};
_Static_assert(countof(verbs) == VERBS, "a name for each verb");

struct options {
    struct client_options client;
    json_t *request;
};

static int wrong(const char *option, const char *word, const char *meant)
{
    fprintf(stderr, COMMAND ": %s \"%s\": %s\n", option, word, meant);
    return EX_USAGE;
}

static int put_text(struct options *options, const char *key, const char *text)
{
    json_t *string = json_string(text);
    if (string == NULL)
        return wrong(key, text, "this is not UTF-8");
    json_object_set_new(options->request, key, string);
    return OPTION_END;
}

static int put_for(struct options *options, const char *text)
{
    int64_t ms;
    if (!units_duration(span_of(text), &ms) || ms == 0)
        return wrong("--for", text, "a number above 0 and s, m, h or d is meant: 2h");
    json_object_set_new(options->request, "for_ms", json_integer(ms));
    return OPTION_END;
}

static int put_limit(struct options *options, const char *text)
{
    uint64_t limit;
    if (!span_number(span_of(text), &limit) || limit == 0 || limit > INT64_MAX)
        return wrong("--limit", text, "a number above 0 is meant");
    json_object_set_new(options->request, "limit", json_integer((json_int_t)limit));
    return OPTION_END;
}

/* OPTION_END when it is fine; else the exit code. */
static int take_option(struct options *options, int option)
{
    switch (option) {
    case OPTION_DOMAIN: return put_text(options, "domain", optarg);
    case OPTION_REASON: return put_text(options, "reason", optarg);
    case OPTION_FOR: return put_for(options, optarg);
    case OPTION_LAST_FAILURES:
        json_object_set_new(options->request, "last_failures", json_true());
        return OPTION_END;
    case OPTION_LIMIT: return put_limit(options, optarg);
    case 'h': fputs(help, stdout); return EX_OK;
    default: return client_option(&options->client, option) ? OPTION_END : EX_USAGE;
    }
}

static int read_verb(struct options *options, char **words, enum verb *verb)
{
    char name[32];
    if (words[0] == NULL) {
        fputs(help, stderr);
        return EX_USAGE;
    }
    for (int i = 0; i < VERBS; i++)
        if (strcmp(words[0], verbs[i]) == 0) {
            *verb = (enum verb)i;
            snprintf(name, sizeof(name), "dest %s", verbs[i]);
            json_object_set_new(options->request, "command", json_string(name));
            return words[1] != NULL ? put_text(options, "what", words[1]) : OPTION_END;
        }
    const char *near = nearest_name(span_of(words[0]), verbs, VERBS);
    fprintf(stderr, COMMAND ": there is no \"%s\"%s%s%s: see " COMMAND " --help\n", words[0],
            near ? " (is \"" : "", near ? near : "", near ? "\" meant?)" : "");
    return EX_USAGE;
}

/* The relay would say the same; but it need not run for that. */
static int check_request(json_t *json)
{
    struct request request;
    char why[256];
    bool fine = request_read(json, &request, why, sizeof(why));
    request_free(&request);
    if (!fine)
        fprintf(stderr, "millrace: %s\n", why);
    return fine ? OPTION_END : EX_USAGE;
}

static int read_options(int argc, char **argv, struct options *options, enum verb *verb)
{
    int code;
    optind = 0;
    for (int found; (found = options_next(argc, argv, COMMAND, names)) != OPTION_END;)
        if ((code = take_option(options, found)) != OPTION_END)
            return code;
    if ((code = read_verb(options, &argv[optind], verb)) != OPTION_END)
        return code;
    if (argc - optind > 2) {
        fprintf(stderr, COMMAND ": \"%s\" is one word too many: see " COMMAND " --help\n",
                argv[optind + 2]);
        return EX_USAGE;
    }
    return check_request(options->request);
}

static int list(const json_t *request, const char *path)
{
    struct destination_list list;
    destination_list_init(&list);
    int code = control_ask(COMMAND, path, request, destination_list_take, &list);
    destination_list_print(&list, code == EX_OK);
    destination_list_free(&list);
    return code;
}

static int ask(const struct options *options, enum verb verb, const char *path)
{
    if (options->client.json)
        return control_ask(COMMAND, path, options->request, client_print_json, NULL);
    switch (verb) {
    case VERB_LIST: return list(options->request, path);
    case VERB_SHOW:
    case VERB_PAUSE:
    case VERB_RESUME: return control_ask(COMMAND, path, options->request, destination_print, NULL);
    }
    must_not_reach();
}

int command_dest(int argc, char **argv)
{
    struct options options = {.request = json_object()};
    enum verb verb = VERB_LIST;
    char *path = NULL;
    int code = read_options(argc, argv, &options, &verb);
    if (code == OPTION_END)
        code = control_find(options.client.control, options.client.config, &path);
    if (path != NULL)
        code = ask(&options, verb, path);
    free(path);
    json_decref(options.request);
    return code;
}
