/* How the last sessions failed, as people read it. */
#include "base/must.h"
#include "relay/admin/destination_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *arrow(const char *by)
{
    if (strcmp(by, "server") == 0)
        return "<--";
    return strcmp(by, "relay") == 0 ? "-->" : "***";
}

static void print_dialogue(const json_t *lines)
{
    size_t i;
    const json_t *line;
    json_array_foreach(lines, i, line)
    {
        char *text = terminal_text(json_text_of(line, "line"));
        printf("    %8.3f %s %s\n", (double)json_number_of(line, "ms") / 1e3,
               arrow(json_text_of(line, "by")), text);
        free(text);
    }
}

static void print_why(const json_t *failure)
{
    const char *status = json_text_of(failure, "status");
    char *text = terminal_text(json_text_of(failure, "why"));
    printf("    %s%s%s\n", status, status[0] ? ": " : "", text);
    free(text);
}

static void print_tls(const json_t *failure)
{
    const char *required = json_text_of(failure, "tls_required");
    if (required[0] != '\0')
        printf("    tls %s, %s was required\n", json_text_of(failure, "tls"), required);
}

/* "2026-11-21 13:00:05Z  mx.example[192.0.2.1]:25  tls-failed: stalled" */
static void print_failure(const json_t *failure)
{
    char time[SHORT_TEXT_MAX], first[SHORT_TEXT_MAX];
    char *relay = terminal_text(json_text_of(failure, "relay"));
    const char *outcome = json_text_of(failure, "outcome");
    printf("\n  %s  %s  %s%s%s", short_time(json_text_of(failure, "time"), time),
           relay[0] ? relay : "no host", json_text_of(failure, "event"), outcome[0] ? ": " : "",
           outcome);
    free(relay);
    if (json_number_of(failure, "times") > 1)
        printf(", %" PRId64 " times since %s", json_number_of(failure, "times"),
               short_time(json_text_of(failure, "first"), first));
    putchar('\n');
    print_why(failure);
    print_tls(failure);
    print_dialogue(json_object_get(failure, "dialogue"));
}

void failures_print(const json_t *failures)
{
    size_t i;
    const json_t *failure;
    if (json_array_size(failures) == 0)
        puts("\n  no session has failed since the relay started");
    json_array_foreach(failures, i, failure)
    {
        print_failure(failure);
    }
}
