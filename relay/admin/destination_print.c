#include "relay/admin/destination_print.h"

#include "base/must.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool is_destination(const json_t *object)
{
    return json_object_get(object, "destination") != NULL;
}

char *destination_state(const json_t *object, char text[DESTINATION_STATE_MAX])
{
    char until[SHORT_TEXT_MAX];
    const char *paused_until = json_text_of(object, "paused_until");
    const char *back_off = json_text_of(object, "back_off_until");
    if (paused_until[0] != '\0')
        snprintf(text, DESTINATION_STATE_MAX, "paused until %s", short_time(paused_until, until));
    else if (json_is_true(json_object_get(object, "paused")))
        snprintf(text, DESTINATION_STATE_MAX, "paused");
    else if (back_off[0] != '\0')
        snprintf(text, DESTINATION_STATE_MAX, "backs off until %s", short_time(back_off, until));
    else
        text[0] = '\0';
    return text;
}

/* ---- one ---- */

/* What it must show. */
static void print_terms(const json_t *host)
{
    char text[128];
    snprintf(text, sizeof(text), "%.40s, by %.40s", json_text_of(host, "tls"),
             json_text_of(host, "tls_source"));
    print_field("", "  tls ", text, "");
    if (json_text_of(host, "refused")[0] != '\0')
        print_field("", "  not used: ", json_text_of(host, "refused"), "");
}

static void print_hosts(const json_t *hosts)
{
    for (size_t i = 0; i < json_array_size(hosts); i++) {
        const json_t *host = json_array_get(hosts, i);
        const json_t *addresses = json_object_get(host, "addresses");
        char text[256];
        size_t at = (size_t)snprintf(text, sizeof(text), "%" PRId64 " %.100s:%" PRId64,
                                     json_number_of(host, "preference"), json_text_of(host, "name"),
                                     json_number_of(host, "port"));
        for (size_t j = 0; j < json_array_size(addresses) && at < sizeof(text); j++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, " %.50s",
                                   json_string_value(json_array_get(addresses, j)));
        print_field(i == 0 ? "hosts" : "", "", text, "");
        print_terms(host);
    }
}

static void print_number(const json_t *object, const char *name, const char *key)
{
    char text[SHORT_TEXT_MAX];
    print_field(name, "", short_count(json_number_of(object, key), text), "");
}

static void print_one(const json_t *object)
{
    char state[DESTINATION_STATE_MAX], text[128];
    char *name = terminal_text(json_text_of(object, "destination"));
    printf("%s\n", name);
    free(name);
    print_security(object);
    destination_state(object, state);
    if (state[0] != '\0')
        print_field("state", "", state, "");
    print_optional_field(object, "reason", "pause_reason");
    snprintf(text, sizeof(text),
             "%" PRId64 " waiting, %" PRId64 " ready, %" PRId64 " out, %" PRId64 " held",
             json_number_of(object, "waiting"), json_number_of(object, "ready"),
             json_number_of(object, "out"), json_number_of(object, "held"));
    print_field("envelopes", "", text, "");
    print_optional_field(object, "next attempt", "next");
    print_optional_field(object, "route", "route");
    print_hosts(json_object_get(object, "hosts"));
    print_optional_field(object, "tls", "tls");
    snprintf(text, sizeof(text), "%" PRId64 " of %" PRId64 ", %" PRId64 " idle",
             json_number_of(object, "connections"), json_number_of(object, "max_connections"),
             json_number_of(object, "idle"));
    print_field("connections", "", text, "");
    if (json_number_of(object, "failures") > 0)
        print_number(object, "failures", "failures");
    print_optional_field(object, "last failure", "last_failure");
}

void destination_print(json_t *object, void *unused)
{
    size_t i;
    const json_t *other;
    (void)unused;
    if (!is_destination(object))
        return;
    print_one(object);
    json_array_foreach(json_object_get(object, "others"), i, other)
    {
        print_one(other);
    }
    if (json_object_get(object, "last_failures") != NULL)
        failures_print(json_object_get(object, "last_failures"));
}

/* ---- the list ---- */

static const struct table_column columns[] = {
    {"DESTINATION", TABLE_LEFT, 40}, {"WAITING", TABLE_RIGHT, 0},     {"READY", TABLE_RIGHT, 0},
    {"OUT", TABLE_RIGHT, 0},         {"HELD", TABLE_RIGHT, 0},        {"CONNS", TABLE_RIGHT, 0},
    {"STATE", TABLE_LEFT, 0},        {"LAST FAILURE", TABLE_LEFT, 60}};

void destination_list_init(struct destination_list *list)
{
    *list = (struct destination_list){0};
    table_init(&list->table, columns, countof(columns));
}

void destination_list_free(struct destination_list *list)
{
    table_free(&list->table);
}

/* "example.org", "example.org (required)" */
#define NAME_IN_LIST_MAX 300
static char *name_in_list(const json_t *object, char text[NAME_IN_LIST_MAX])
{
    const char *security = json_text_of(object, "security");
    bool usual = security[0] == '\0' || strcmp(security, "usual") == 0;
    snprintf(text, NAME_IN_LIST_MAX, "%.260s%s%.20s%s", json_text_of(object, "destination"),
             usual ? "" : " (", usual ? "" : security, usual ? "" : ")");
    return text;
}

void destination_list_take(json_t *object, void *destination_list)
{
    static const char *const counts[] = {"waiting", "ready", "out", "held", "connections"};
    struct destination_list *list = destination_list;
    char state[DESTINATION_STATE_MAX], text[SHORT_TEXT_MAX], name[NAME_IN_LIST_MAX];
    if (!is_destination(object)) {
        list->more = list->more || json_is_true(json_object_get(object, "more"));
        return;
    }
    list->count++;
    table_cell(&list->table, name_in_list(object, name));
    for (size_t i = 0; i < countof(counts); i++)
        table_cell(&list->table, short_count(json_number_of(object, counts[i]), text));
    table_cell(&list->table, destination_state(object, state));
    const char *reason = json_text_of(object, "pause_reason");
    table_cell(&list->table, reason[0] ? reason : json_text_of(object, "last_failure"));
}

void destination_list_print(const struct destination_list *list, bool complete)
{
    if (list->count > 0)
        table_print(&list->table, stdout);
    if (!complete)
        return;
    if (list->count == 0)
        puts("no destination has mail waiting, or is paused");
    else
        printf("\n%zu %s%s\n", list->count, list->count == 1 ? "destination" : "destinations",
               list->more ? ", and more" : "");
}
