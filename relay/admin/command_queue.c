/* millrace queue: look at what waits, and act on it. */
#include "base/nearest.h"
#include "base/units.h"
#include "relay/admin/client.h"
#include "relay/admin/queue_print.h"
#include "relay/admin/request.h"
#include "relay/commands.h"
#include "relay/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define COMMAND "millrace queue"

static const char help[] =
    "usage: millrace queue list [FILTER] [--limit N] [--json]\n"
    "       millrace queue show ID [--json]   all that is known of it\n"
    "       millrace queue cat ID             the message as it is stored\n"
    "       millrace queue ACTION ID | FILTER | --all [--reason TEXT]\n"
    "\n"
    "ACTION:\n"
    "  hold      not tried until released; it does not expire meanwhile\n"
    "  release   goes on where it was held\n"
    "  retry     tried now, whatever the due time was\n"
    "  fail      given up now: the sender gets a bounce with the reason\n"
    "  drop      removed for good; nobody is told\n"
    "\n"
    "FILTER, all that are given must hold:\n"
    "      --domain NAME       the recipients' domain; .NAME for all that lie below it\n"
    "      --sender ADDRESS    or @DOMAIN; <> for bounces\n"
    "      --recipient ADDRESS or @DOMAIN\n"
    "      --older-than TIME   since it arrived: 30s, 5m, 4h, 2d\n"
    "      --state STATE       waiting, ready, out, held, or loading\n"
    "\n"
    "      --all               act on all that there are (or all of several IDs)\n"
    "      --reason TEXT       why; needed to hold and fail, and for more than one ID\n"
    "      --limit N           at most so many\n"
    "      --json              a line of JSON for each envelope\n"
    "  -c, --config FILE       the relay's configuration, which names its control socket\n"
    "      --control PATH      the control socket itself\n"
    "\n"
    "example: millrace queue drop --domain example.test --older-than 2d --reason \"gone\"\n";

enum {
    OPTION_DOMAIN = 256,
    OPTION_SENDER,
    OPTION_RECIPIENT,
    OPTION_OLDER_THAN,
    OPTION_STATE,
    OPTION_LIMIT,
    OPTION_ALL,
    OPTION_REASON,
};

static const struct option names[] = {
    {"domain", required_argument, NULL, OPTION_DOMAIN},
    {"sender", required_argument, NULL, OPTION_SENDER},
    {"recipient", required_argument, NULL, OPTION_RECIPIENT},
    {"older-than", required_argument, NULL, OPTION_OLDER_THAN},
    {"state", required_argument, NULL, OPTION_STATE},
    {"limit", required_argument, NULL, OPTION_LIMIT},
    {"all", no_argument, NULL, OPTION_ALL},
    {"reason", required_argument, NULL, OPTION_REASON},
    CLIENT_OPTIONS,
    {0},
};

enum verb {
    VERB_LIST,
    VERB_SHOW,
    VERB_CAT,
    VERB_HOLD,
    VERB_RELEASE,
    VERB_RETRY,
    VERB_FAIL,
    VERB_DROP,
};
#define VERBS 8

static const char *const verbs[] = {"list",    "show",  "cat",  "hold",
                                    "release", "retry", "fail", "drop"};
_Static_assert(countof(verbs) == VERBS, "a name for each verb");

/* What has been done, of those that act. */
static const char *const done[VERBS] = {
    [VERB_HOLD] = "held",         [VERB_RELEASE] = "released", [VERB_RETRY] = "due now",
    [VERB_FAIL] = "made to fail", [VERB_DROP] = "dropped",
};

struct options {
    struct client_options client;
    bool all;
    bool filtered;   /* by more than --all */
    json_t *request; /* as far as it is known */
};

/* ---- options ---- */

static int wrong(const char *what, const char *word, const char *meant)
{
    fprintf(stderr, COMMAND ": %s \"%s\": %s\n", what, word, meant);
    return EX_USAGE;
}

/* A text of the request; what is no UTF-8 is no text. */
static int put_text(struct options *options, const char *key, const char *text)
{
    json_t *string = json_string(text);
    if (string == NULL)
        return wrong(key, text, "this is not UTF-8");
    json_object_set_new(options->request, key, string);
    return OPTION_END;
}

static int put_filter(struct options *options, const char *key, const char *text)
{
    options->filtered = true;
    return put_text(options, key, text);
}

static int put_older_than(struct options *options, const char *text)
{
    int64_t ms;
    if (!units_duration(span_of(text), &ms))
        return wrong("--older-than", text, "a number and ms, s, m, h or d is meant: 4h");
    options->filtered = true;
    json_object_set_new(options->request, "older_than_ms", json_integer(ms));
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
    case OPTION_DOMAIN: return put_filter(options, "domain", optarg);
    case OPTION_SENDER: return put_filter(options, "sender", optarg);
    case OPTION_RECIPIENT: return put_filter(options, "recipient", optarg);
    case OPTION_STATE: return put_filter(options, "state", optarg);
    case OPTION_OLDER_THAN: return put_older_than(options, optarg);
    case OPTION_LIMIT: return put_limit(options, optarg);
    case OPTION_REASON: return put_text(options, "reason", optarg);
    case OPTION_ALL:
        options->all = true;
        json_object_set_new(options->request, "all", json_true());
        return OPTION_END;
    case 'h': fputs(help, stdout); return EX_OK;
    default: return client_option(&options->client, option) ? OPTION_END : EX_USAGE;
    }
}

static int read_verb(const char *word, enum verb *verb)
{
    if (word == NULL) {
        fputs(help, stderr);
        return EX_USAGE;
    }
    for (int i = 0; i < VERBS; i++)
        if (strcmp(word, verbs[i]) == 0) {
            *verb = (enum verb)i;
            return OPTION_END;
        }
    const char *near = nearest_name(span_of(word), verbs, VERBS);
    fprintf(stderr, COMMAND ": there is no \"%s\"%s%s%s: see " COMMAND " --help\n", word,
            near ? " (is \"" : "", near ? near : "", near ? "\" meant?)" : "");
    return EX_USAGE;
}

static int read_ids(struct options *options, char **ids)
{
    if (ids[0] == NULL)
        return OPTION_END;
    json_t *list = json_array();
    json_object_set_new(options->request, "ids", list);
    for (; *ids != NULL; ids++) {
        json_t *id = json_string(*ids);
        if (id == NULL)
            return wrong("ID", *ids, "this is not UTF-8");
        json_array_append_new(list, id);
    }
    return OPTION_END;
}

/* The relay would say the same; but it need not run for that. */
static int check_request(json_t *json)
{
    struct request request;
    char why[256];
    bool fine = request_read(json, &request, why, sizeof(why));
    request_free(&request);
    if (fine)
        return OPTION_END;
    fprintf(stderr, "millrace: %s\n", why);
    return EX_USAGE;
}

static int read_options(int argc, char **argv, struct options *options, enum verb *verb)
{
    int code;
    optind = 0;
    for (int found; (found = options_next(argc, argv, COMMAND, names)) != OPTION_END;)
        if ((code = take_option(options, found)) != OPTION_END)
            return code;
    if ((code = read_verb(argv[optind], verb)) != OPTION_END)
        return code;
    char name[32];
    snprintf(name, sizeof(name), "queue %s", verbs[*verb]);
    json_object_set_new(options->request, "command", json_string(name));
    code = read_ids(options, &argv[optind + 1]);
    return code == OPTION_END ? check_request(options->request) : code;
}

/* ---- the verbs ---- */

static int list_queue(const struct options *options, const char *path)
{
    struct queue_list list;
    queue_list_init(&list, options->filtered);
    int code = control_ask(COMMAND, path, options->request, queue_list_take, &list);
    queue_list_print(&list, code == EX_OK);
    queue_list_free(&list);
    return code;
}

static int act_on_queue(const struct options *options, enum verb verb, const char *path)
{
    struct queue_action action = {
        .done = done[verb], .json = options->client.json, .terminal = isatty(STDERR_FILENO) != 0};
    int code = control_ask(COMMAND, path, options->request, queue_action_take, &action);
    queue_action_print(&action, code == EX_OK);
    return code;
}

static int ask(const struct options *options, enum verb verb, const char *path)
{
    bool json = options->client.json;
    switch (verb) {
    case VERB_LIST:
        if (json)
            return control_ask(COMMAND, path, options->request, queue_print_json, NULL);
        return list_queue(options, path);
    case VERB_SHOW:
        return control_ask(COMMAND, path, options->request,
                           json ? queue_print_json : queue_print_envelope, NULL);
    case VERB_CAT: return control_ask(COMMAND, path, options->request, queue_print_bytes, NULL);
    case VERB_HOLD:
    case VERB_RELEASE:
    case VERB_RETRY:
    case VERB_FAIL:
    case VERB_DROP: return act_on_queue(options, verb, path);
    }
    must_not_reach();
}

int command_queue(int argc, char **argv)
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
