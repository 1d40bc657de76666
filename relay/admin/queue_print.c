#include "relay/admin/queue_print.h"

#include "base/must.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_envelope(const json_t *object)
{
    return json_object_get(object, "envelope") != NULL;
}

void queue_print_json(json_t *object, void *unused)
{
    (void)unused;
    if (!is_envelope(object))
        return;
    print_json(object);
}

/* ---- a message ---- */

/* A byte for each character: see answer_queue_cat. */
void queue_print_bytes(json_t *object, void *unused)
{
    const json_t *text = json_object_get(object, "bytes");
    struct span rest = {json_string_value(text), json_string_length(text)};
    uint32_t code;
    (void)unused;
    while (rest.length > 0 && utf8_next(&rest, &code))
        putchar((int)(code & 0xff));
}

/* ---- one envelope ---- */

static void print_recipients(const json_t *recipients)
{
    for (size_t i = 0; i < json_array_size(recipients); i++) {
        const char *path = json_string_value(json_array_get(recipients, i));
        print_field(i == 0 ? "recipients" : "", "<", path ? path : "", ">");
    }
}

void queue_print_envelope(json_t *object, void *unused)
{
    char age[SHORT_TEXT_MAX], ago[SHORT_TEXT_MAX + 8], size[SHORT_TEXT_MAX];
    (void)unused;
    if (!is_envelope(object))
        return;
    snprintf(ago, sizeof(ago), " (%s ago)", short_age(json_number_of(object, "age_seconds"), age));
    char *name = terminal_text(json_text_of(object, "envelope"));
    printf("%s\n", name);
    free(name);
    print_field("state", "", json_text_of(object, "state"), "");
    print_optional_field(object, "held because", "hold_reason");
    print_optional_field(object, "next attempt", "due");
    print_field("destination", "", json_text_of(object, "destination"), "");
    print_security(object);
    print_field("sender", "<", json_text_of(object, "sender"), ">");
    print_recipients(json_object_get(object, "recipients"));
    print_field("arrived", "", json_text_of(object, "arrived"), ago);
    print_field("size", "", short_size(json_number_of(object, "size"), size), "");
    printf("  %-12s %" PRId64 "\n", "attempts", json_number_of(object, "attempts"));
    print_optional_field(object, "last reply", "last_reply");
    print_optional_field(object, "said by", "last_host");
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

/* "2026-11-21T13:00:05Z"; "now" and "-" where there is no time */
static char *short_due(const json_t *object, char text[SHORT_TEXT_MAX])
{
    const char *due = json_text_of(object, "due");
    if (due[0] != '\0')
        short_time(due, text);
    else
        snprintf(text, SHORT_TEXT_MAX, "%s",
                 strcmp(json_text_of(object, "state"), "ready") ? "-" : "now");
    return text;
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
    table_cell(&list->table, json_text_of(object, "envelope"));
    table_cell(&list->table, json_text_of(object, "state"));
    table_cell(&list->table, short_age(json_number_of(object, "age_seconds"), text));
    table_cell(&list->table, short_size(json_number_of(object, "size"), text));
    snprintf(text, sizeof(text), "%" PRId64, json_number_of(object, "attempts"));
    table_cell(&list->table, text);
    table_cell(&list->table, short_due(object, text));
    snprintf(sender, sizeof(sender), "<%.100s>", json_text_of(object, "sender"));
    table_cell(&list->table, sender);
    add_recipients(&list->table, recipients);
    const char *hold_reason = json_text_of(object, "hold_reason");
    table_cell(&list->table, hold_reason[0] ? hold_reason : json_text_of(object, "last_reply"));
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
        show_progress(action, json_number_of(object, "progress"));
        return;
    }
    action->count = json_number_of(object, "count");
    if (action->json) {
        print_json(object);
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
