#include "relay/admin/queue_print.h"

#include "base/must.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_TEXT_MAX 24

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool is_envelope(const json_t *object)
{
    return json_object_get(object, "envelope") != NULL;
}

/* ---- short forms ---- */

/* "45s", "12m", "3h", "5d": what has passed in full */
static char *short_age(int64_t seconds, char text[SHORT_TEXT_MAX])
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i + 1 < countof(units) && seconds < units[i].seconds)
        i++;
    snprintf(text, SHORT_TEXT_MAX, "%" PRId64 "%c", seconds / units[i].seconds, units[i].unit);
    return text;
}

/* "900", "4.0K", "1.5M" */
static char *short_size(int64_t bytes, char text[SHORT_TEXT_MAX])
{
    double size = (double)bytes / 1024;
    const char *unit = "KMGT";
    for (; size >= 1024 && unit[1] != '\0'; unit++)
        size /= 1024;
    if (bytes < 1024)
        snprintf(text, SHORT_TEXT_MAX, "%" PRId64, bytes);
    else
        snprintf(text, SHORT_TEXT_MAX, "%.1f%c", size, *unit);
    return text;
}

/* "2026-11-21T13:00:05Z": without the milliseconds; "now" and "-" where there is no time */
static char *short_due(const json_t *object, char text[SHORT_TEXT_MAX])
{
    const char *due = text_of(object, "due");
    if (due[0] != '\0')
        snprintf(text, SHORT_TEXT_MAX, "%.19sZ", due);
    else
        snprintf(text, SHORT_TEXT_MAX, "%s",
                 strcmp(text_of(object, "state"), "ready") ? "-" : "now");
    return text;
}

/* ---- JSON ---- */

void queue_print_json(json_t *object, void *unused)
{
    (void)unused;
    if (!is_envelope(object))
        return;
    json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
    putchar('\n');
}

/* ---- one envelope ---- */

static void print_field(const char *name, const char *before, const char *value, const char *after)
{
    char *shown = terminal_text(value);
    printf("  %-12s %s%s%s\n", name, before, shown, after);
    free(shown);
}

static void print_recipients(const json_t *recipients)
{
    for (size_t i = 0; i < json_array_size(recipients); i++) {
        const char *path = json_string_value(json_array_get(recipients, i));
        print_field(i == 0 ? "recipients" : "", "<", path ? path : "", ">");
    }
}

static void print_optional(const json_t *object, const char *name, const char *key)
{
    const char *value = text_of(object, key);
    if (value[0] != '\0')
        print_field(name, "", value, "");
}

void queue_print_envelope(json_t *object, void *unused)
{
    char age[SHORT_TEXT_MAX], ago[SHORT_TEXT_MAX + 8], size[SHORT_TEXT_MAX];
    (void)unused;
    if (!is_envelope(object))
        return;
    snprintf(ago, sizeof(ago), " (%s ago)", short_age(number_of(object, "age_seconds"), age));
    char *name = terminal_text(text_of(object, "envelope"));
    printf("%s\n", name);
    free(name);
    print_field("state", "", text_of(object, "state"), "");
    print_optional(object, "next attempt", "due");
    print_field("destination", "", text_of(object, "destination"), "");
    print_field("sender", "<", text_of(object, "sender"), ">");
    print_recipients(json_object_get(object, "recipients"));
    print_field("arrived", "", text_of(object, "arrived"), ago);
    print_field("size", "", short_size(number_of(object, "size"), size), "");
    printf("  %-12s %" PRId64 "\n", "attempts", number_of(object, "attempts"));
    print_optional(object, "last reply", "last_reply");
    print_optional(object, "said by", "last_host");
}

/* ---- the list ---- */

static const struct table_column columns[] = {
    {"ENVELOPE", TABLE_LEFT, 0}, {"STATE", TABLE_LEFT, 0},      {"AGE", TABLE_RIGHT, 0},
    {"SIZE", TABLE_RIGHT, 0},    {"TRIES", TABLE_RIGHT, 0},     {"NEXT", TABLE_LEFT, 0},
    {"SENDER", TABLE_LEFT, 40},  {"RECIPIENT", TABLE_LEFT, 40}, {"LAST REPLY", TABLE_LEFT, 60}};

void queue_list_init(struct queue_list *list, bool filtered)
{
    *list = (struct queue_list){.filtered = filtered};
    table_init(&list->table, columns, countof(columns));
}

void queue_list_free(struct queue_list *list)
{
    table_free(&list->table);
}

static void add_recipients(struct table *table, const json_t *recipients)
{
    char text[128];
    const char *first = json_string_value(json_array_get(recipients, 0));
    size_t others = json_array_size(recipients) > 0 ? json_array_size(recipients) - 1 : 0;
    if (others == 0)
        snprintf(text, sizeof(text), "<%.100s>", first ? first : "");
    else
        snprintf(text, sizeof(text), "+%zu <%.90s>", others, first);
    table_cell(table, text);
}

void queue_list_take(json_t *object, void *queue_list)
{
    struct queue_list *list = queue_list;
    char text[SHORT_TEXT_MAX], sender[128];
    if (!is_envelope(object)) {
        list->more = list->more || json_is_true(json_object_get(object, "more"));
        return;
    }
    const json_t *recipients = json_object_get(object, "recipients");
    list->envelopes++;
    list->recipients += json_array_size(recipients);
    table_cell(&list->table, text_of(object, "envelope"));
    table_cell(&list->table, text_of(object, "state"));
    table_cell(&list->table, short_age(number_of(object, "age_seconds"), text));
    table_cell(&list->table, short_size(number_of(object, "size"), text));
    snprintf(text, sizeof(text), "%" PRId64, number_of(object, "attempts"));
    table_cell(&list->table, text);
    table_cell(&list->table, short_due(object, text));
    snprintf(sender, sizeof(sender), "<%.100s>", text_of(object, "sender"));
    table_cell(&list->table, sender);
    add_recipients(&list->table, recipients);
    table_cell(&list->table, text_of(object, "last_reply"));
}

void queue_list_print(const struct queue_list *list, bool complete)
{
    if (list->envelopes > 0) {
        table_print(&list->table, stdout);
        printf("\n%zu %s, %zu %s%s\n", list->envelopes,
               list->envelopes == 1 ? "envelope" : "envelopes", list->recipients,
               list->recipients == 1 ? "recipient" : "recipients",
               list->more ? "; there are more (--limit)" : "");
    } else if (complete) {
        puts(list->filtered ? "no envelope passes the filter" : "the queue is empty");
    }
}

/* ---- actions ---- */

static void show_progress(struct queue_action *action, int64_t progress)
{
    if (!action->terminal || action->json)
        return;
    fprintf(stderr, "\r%" PRId64 " %s", progress, action->done);
    action->progress = progress;
}

void queue_action_take(json_t *object, void *queue_action)
{
    struct queue_action *action = queue_action;
    if (json_object_get(object, "progress") != NULL) {
        show_progress(action, number_of(object, "progress"));
        return;
    }
    action->count = number_of(object, "count");
    if (action->json) {
        json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
        putchar('\n');
    }
}

void queue_action_print(const struct queue_action *action, bool complete)
{
    if (action->progress > 0)
        fprintf(stderr, "\r\033[K");
    if (!action->json && (complete || action->count > 0))
        printf("%" PRId64 " %s %s\n", action->count, action->count == 1 ? "envelope" : "envelopes",
               action->done);
}
