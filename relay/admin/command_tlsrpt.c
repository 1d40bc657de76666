/* millrace tlsrpt: what TLS sessions came to today, for domains that want reports of it. */
#include "base/must.h"
#include "relay/admin/client.h"
#include "relay/admin/print.h"
#include "relay/commands.h"
#include "relay/options.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define COMMAND "millrace tlsrpt"

static const char help[] =
    "usage: millrace tlsrpt show [--domain NAME] [--json] [-c FILE | --control PATH]\n"
    "\n"
    "What TLS sessions came to since 00:00 UTC, for each domain that publishes a TLSRPT record:\n"
    "how many went as its policy wants it, and which failed, where and why. Tomorrow the domain\n"
    "gets these figures as a report, unless the section tlsrpt says otherwise.\n"
    "\n"
    "      --domain NAME       that one; .NAME for all that lie below it\n"
    "      --json              a line of JSON for each domain, with policies as in reports\n"
    "  -c, --config FILE       the relay's configuration, which names its control socket\n"
    "      --control PATH      the control socket itself\n"
    "\n"
    "example: millrace tlsrpt show --domain example.test\n";

/* ---- as people read it ---- */

static void print_text(const char *text)
{
    char *shown = terminal_text(text);
    fputs(shown, stdout);
    free(shown);
}

static void print_failure(const json_t *detail)
{
    char count[SHORT_TEXT_MAX];
    const char *host = json_text_of(detail, "receiving-mx-hostname");
    const char *ip = json_text_of(detail, "receiving-ip");
    const char *reason = json_text_of(detail, "failure-reason-code");
    printf("    %6s  ", short_count(json_number_of(detail, "failed-session-count"), count));
    print_text(json_text_of(detail, "result-type"));
    if (host[0] != '\0' || ip[0] != '\0')
        fputs("  ", stdout);
    print_text(host);
    if (ip[0] != '\0') {
        putchar('[');
        print_text(ip);
        putchar(']');
    }
    if (reason[0] != '\0')
        fputs("  ", stdout);
    print_text(reason);
    putchar('\n');
}

static void print_policy(const json_t *row)
{
    char successes[SHORT_TEXT_MAX], failures[SHORT_TEXT_MAX];
    const json_t *policy = json_object_get(row, "policy");
    const json_t *summary = json_object_get(row, "summary");
    const json_t *details = json_object_get(row, "failure-details");
    fputs("  ", stdout);
    print_text(json_text_of(policy, "policy-type"));
    fputs(" of ", stdout);
    print_text(json_text_of(policy, "policy-domain"));
    printf(": %s as wanted, %s failed\n",
           short_count(json_number_of(summary, "total-successful-session-count"), successes),
           short_count(json_number_of(summary, "total-failure-session-count"), failures));
    for (size_t i = 0; i < json_array_size(details); i++)
        print_failure(json_array_get(details, i));
}

static void print_domain(const json_t *object)
{
    const json_t *policies = json_object_get(object, "policies");
    print_text(json_text_of(object, "domain"));
    fputs("  ", stdout);
    print_text(json_text_of(object, "record"));
    putchar('\n');
    for (size_t i = 0; i < json_array_size(policies); i++)
        print_policy(json_array_get(policies, i));
}

static void print_end(const json_t *object)
{
    int64_t uncounted = json_number_of(object, "uncounted");
    if (json_number_of(object, "count") == 0)
        puts("no sessions with domains that publish a TLSRPT record today");
    if (uncounted > 0)
        printf("%" PRId64 " more since the start had no place: see docs/tls-reports.md\n",
               uncounted);
}

static void print_one(json_t *object, void *unused)
{
    (void)unused;
    if (json_object_get(object, "domain") != NULL)
        print_domain(object);
    else
        print_end(object);
}

/* ---- the command ---- */

enum { OPTION_DOMAIN = 256 };

struct options {
    struct client_options client;
    const char *domain;
};

/* OPTION_END when the command goes on; else its exit code. */
static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option names[] = {
        {"domain", required_argument, NULL, OPTION_DOMAIN}, CLIENT_OPTIONS, {0}};
    optind = 0;
    for (int found; (found = options_next(argc, argv, COMMAND, names)) != OPTION_END;) {
        if (found == 'h') {
            fputs(help, stdout);
            return EX_OK;
        }
        if (found == OPTION_DOMAIN)
            options->domain = optarg;
        else if (!client_option(&options->client, found))
            return EX_USAGE;
    }
    if (argc - optind == 1 && strcmp(argv[optind], "show") == 0)
        return OPTION_END;
    if (optind == argc)
        fputs(help, stderr);
    else
        fprintf(stderr, COMMAND ": \"show\" is meant, and no more: see " COMMAND " --help\n");
    return EX_USAGE;
}

int command_tlsrpt(int argc, char **argv)
{
    struct options options = {0};
    char *path;
    int code = read_options(argc, argv, &options);
    if (code != OPTION_END)
        return code;
    code = control_find(options.client.control, options.client.config, &path);
    if (code != EX_OK)
        return code;
    json_t *request = json_pack("{s:s, s:s*}", "command", "tlsrpt show", "domain", options.domain);
    if (request == NULL) {
        fprintf(stderr, COMMAND ": --domain: this is not UTF-8\n");
        free(path);
        return EX_USAGE;
    }
    code = control_ask(COMMAND, path, request, options.client.json ? client_print_json : print_one,
                       NULL);
    json_decref(request);
    free(path);
    return code;
}
