#include "relay/admin/request.h"

#include "tests/suite.h"

#include <string.h>

static char why[256];
static struct request request;

static bool read_text(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    ck_assert_msg(json != NULL, "%s: %s", text, error.text);
    why[0] = '\0';
    bool fine = request_read(json, &request, why, sizeof(why));
    if (!fine)
        request_free(&request);
    json_decref(json); /* so that only what is no text may be looked at afterwards */
    return fine;
}

START_TEST(commands)
{
    static const struct {
        const char *text;
        enum request_command command;
    } rows[] = {
        {"{\"command\":\"queue list\"}", REQUEST_QUEUE_LIST},
        {"{\"command\":\"queue show\",\"ids\":[\"01K2X3Y4Z5A6B\"]}", REQUEST_QUEUE_SHOW},
        {"{\"command\":\"queue retry\",\"ids\":[\"01K2X3Y4Z5A6B\"]}", REQUEST_QUEUE_RETRY},
        {"{\"command\":\"queue drop\",\"all\":true,\"reason\":\"x\"}", REQUEST_QUEUE_DROP},
        {"{\"command\":\"stats\"}", REQUEST_STATS},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        ck_assert_msg(read_text(rows[i].text), "%s: %s", rows[i].text, why);
        ck_assert_int_eq(request.command, rows[i].command);
        request_free(&request);
    }
}
END_TEST

START_TEST(what_is_refused_and_why)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"[]", "Expected object"},
        {"{}", "command"},
        {"{\"command\":7}", "Expected string"},
        {"{\"command\":\"queue lst\"}", "is \"queue list\" meant?"},
        {"{\"command\":\"\"}", "no command"},
        {"{\"command\":\"queue list\",\"colour\":\"red\"}", "colour"},
        {"{\"command\":\"queue list\",\"domain\":7}", "Expected string"},
        {"{\"command\":\"queue list\",\"limit\":-1}", "below 0"},
        {"{\"command\":\"queue list\",\"older_than_ms\":-1}", "below 0"},
        {"{\"command\":\"queue list\",\"older_than_ms\":\"4h\"}", "Expected integer"},
        {"{\"command\":\"queue list\",\"state\":\"asleep\"}", "is no state: waiting, ready"},
        {"{\"command\":\"queue list\",\"ids\":[\"01K2X3Y4Z5A6B\"]}", "takes no id"},
        {"{\"command\":\"queue show\"}", "takes one id"},
        {"{\"command\":\"queue show\",\"ids\":[]}", "takes one id"},
        {"{\"command\":\"queue show\",\"ids\":[\"01K2X3Y4Z5A6B\",\"01K2X3Y4Z5A6C\"]}",
         "takes one id"},
        {"{\"command\":\"queue show\",\"ids\":\"01K2X3Y4Z5A6B\"}", "no list"},
        {"{\"command\":\"queue show\",\"ids\":[\"K2\"]}", "\"K2\" is no id"},
        {"{\"command\":\"queue show\",\"ids\":[7]}", "is no id"},
        {"{\"command\":\"queue drop\"}", "needs a filter, or --all"},
        {"{\"command\":\"queue drop\",\"reason\":\"x\"}", "needs a filter, or --all"},
        {"{\"command\":\"queue drop\",\"ids\":[]}", "no particular id"},
        {"{\"command\":\"queue drop\",\"all\":false,\"reason\":\"x\"}", "needs a filter, or --all"},
        {"{\"command\":\"queue drop\",\"older_than_ms\":0,\"reason\":\"x\"}", "needs a filter"},
        {"{\"command\":\"queue drop\",\"ids\":[\"01K2X3Y4Z5A6B\",\"01K2X3Y4Z5A6C\"]}",
         "more than one id needs a filter"},
        {"{\"command\":\"queue drop\",\"all\":true}", "--reason"},
        {"{\"command\":\"queue drop\",\"all\":true,\"reason\":\"\"}", "--reason"},
        {"{\"command\":\"queue retry\",\"domain\":\"x\"}", "--reason"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        ck_assert_msg(!read_text(rows[i].text), "%s", rows[i].text);
        ck_assert_msg(strstr(why, rows[i].why) != NULL, "%s: %s", rows[i].text, why);
        ck_assert_msg(strchr(why, '\n') == NULL, "%s", why);
    }
}
END_TEST

START_TEST(ids)
{
    ck_assert(read_text("{\"command\":\"queue retry\",\"all\":true,\"reason\":\"x\",\"limit\":5,"
                        "\"ids\":[\"01K2X3Y4Z5A6B\",\"01k2x3y4z5a6b.3\"]}"));
    ck_assert_uint_eq(request.target_count, 2);
    ck_assert_uint_eq(request.targets[0].id, request.targets[1].id);
    ck_assert(request.targets[0].whole_message);
    ck_assert(!request.targets[1].whole_message);
    ck_assert_uint_eq(request.targets[1].number, 3);
    ck_assert_uint_eq(request.limit, 5);
    request_free(&request);
}
END_TEST

/* ---- filters ---- */

#define NOW_MS 1700000000000

static struct envelope *sample(const char *sender)
{
    struct message *message = message_create(span_of(sender), 0, NOW_MS - 60000);
    struct envelope *envelope = envelope_create(message, SPAN("example.test"));
    ck_assert(envelope_add(envelope, SPAN("One@example.test"), SPAN("")));
    ck_assert(envelope_add(envelope, SPAN("two@example.test"), SPAN("")));
    message_drop(&message);
    return envelope;
}

START_TEST(filters_of_an_envelope)
{
    static const struct {
        struct filter filter;
        bool passes;
    } rows[] = {
        {{0}, true},
        {{.sender = "App@Sender.test"}, true},
        {{.sender = "<app@sender.test>"}, true},
        {{.sender = "@sender.test"}, true},
        {{.sender = "<@SENDER.test>"}, true},
        {{.sender = "@der.test"}, false}, /* the whole domain */
        {{.sender = "sender.test"}, false},
        {{.sender = "app@sender.tes"}, false},
        {{.sender = ""}, false},
        {{.sender = "<>"}, false},
        {{.sender = "@"}, false},
        {{.recipient = "one@example.test"}, true},
        {{.recipient = "two@example.test"}, true},
        {{.recipient = "three@example.test"}, false},
        {{.recipient = "@example.test"}, true},
        {{.recipient = "@test"}, false},
        {{.older_than_ms = 59999}, true},
        {{.older_than_ms = 60000}, true},
        {{.older_than_ms = 60001}, false},
        {{.sender = "@sender.test", .recipient = "two@example.test", .older_than_ms = 1}, true},
        {{.sender = "@sender.test", .recipient = "no@example.test", .older_than_ms = 1}, false},
        {{.sender = "@other.test", .recipient = "two@example.test", .older_than_ms = 1}, false},
    };
    struct envelope *envelope = sample("app@sender.test");
    for (size_t i = 0; i < countof(rows); i++)
        ck_assert_msg(filter_passes_envelope(&rows[i].filter, envelope, NOW_MS) == rows[i].passes,
                      "row %zu", i);
    envelope_free(&envelope);

    envelope = sample(""); /* a bounce */
    ck_assert(filter_passes_envelope(&(struct filter){.sender = ""}, envelope, NOW_MS));
    ck_assert(filter_passes_envelope(&(struct filter){.sender = "<>"}, envelope, NOW_MS));
    ck_assert(!filter_passes_envelope(&(struct filter){.sender = "@"}, envelope, NOW_MS));
    envelope_free(&envelope);
}
END_TEST

START_TEST(filters_of_a_destination)
{
    static const struct {
        const char *domain, *destination;
        bool passes;
    } rows[] = {
        {NULL, "example.test", true},
        {"Example.test", "example.test", true},
        {"example.test", "a.example.test", false},
        {".example.test", "a.example.test", true},
        {".Example.test", "b.a.example.test", true},
        {".example.test", "example.test", false},
        {".example.test", "badexample.test", false},
        {"[192.0.2.1]", "[192.0.2.1]", true},
        {"", "example.test", false},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct filter filter = {.domain = rows[i].domain};
        ck_assert_msg(filter_passes_destination(&filter, rows[i].destination) == rows[i].passes,
                      "row %zu", i);
    }
}
END_TEST

START_TEST(which_filters_there_are)
{
    static const struct {
        struct filter filter;
        bool empty, needs_envelope;
    } rows[] = {
        {{0}, true, false},
        {{.domain = "x"}, false, false},
        {{.state = "ready"}, false, false},
        {{.sender = ""}, false, true},
        {{.recipient = "x"}, false, true},
        {{.older_than_ms = 1}, false, true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        ck_assert(filter_is_empty(&rows[i].filter) == rows[i].empty);
        ck_assert(filter_needs_envelope(&rows[i].filter) == rows[i].needs_envelope);
    }
    ck_assert(filter_passes_state(&(struct filter){0}, "ready"));
    ck_assert(filter_passes_state(&(struct filter){.state = "ready"}, "ready"));
    ck_assert(!filter_passes_state(&(struct filter){.state = "ready"}, "waiting"));
}
END_TEST

TEST_MAIN("relay/admin/request", commands, what_is_refused_and_why, ids, filters_of_an_envelope,
          filters_of_a_destination, which_filters_there_are)
