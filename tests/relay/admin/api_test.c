/* HTTP into requests of the control socket, and answers into documents. What answers is a script
 * here; the whole, over a socket, is in peers/admin_http.py. */
#include "relay/admin/answer.h"
#include "relay/admin/api.h"

#include "tests/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* ---- the script ---- */

static char asked[2048];           /* the request that came, as JSON; "" for none */
static const char *const *objects; /* what is answered */
static int fails_with;
static unsigned endless; /* so many objects of 1 KiB before */
static bool going_down;

bool answer_object(struct answer *answer, json_t *take)
{
    answer->gone |= !answer->sink->object(answer->sink, take);
    return !answer->gone;
}

void answer_request(struct answer *answer, json_t *request)
{
    char filling[1025] = "";
    char *text = json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(asked, sizeof(asked), "%s", text);
    free(text);
    memset(filling, 'f', sizeof(filling) - 1);
    for (unsigned i = 0; i < endless && !answer->gone; i++)
        answer_object(answer, json_pack("{s:s}", "filling", filling));
    for (size_t i = 0; objects != NULL && objects[i] != NULL; i++)
        answer_object(answer, json_loads(objects[i], 0, NULL));
    answer->gone |= !answer->sink->pause(answer->sink, 0);
    answer->exit = fails_with;
    snprintf(answer->error, sizeof(answer->error), "why");
}

static bool pause_script(void *with, int64_t until_ms)
{
    (void)with;
    (void)until_ms;
    return !going_down;
}

void metrics_page(const struct api_parts *parts, struct buffer *to)
{
    (void)parts;
    buffer_append(to, SPAN("the metrics\n"));
}

/* ---- asking ---- */

static struct health health;
static struct api_parts parts = {
    .health = &health, .actions = true, .hostname = "relay.test", .pause = pause_script};
static struct api_request request;
static struct api_response response;
static char document[4096];

static void begin(const char *method, const char *path)
{
    asked[0] = '\0';
    request = (struct api_request){.method = method,
                                   .path = path,
                                   .host = "127.0.0.1:8025",
                                   .content_type = "application/json"};
}

static void with(const char *name, const char *value)
{
    request.query[request.query_count++] = (struct api_field){name, value};
}

static void expect(unsigned status, const char *wanted_request, const char *wanted_document)
{
    api_answer(&parts, &request, &response);
    snprintf(document, sizeof(document), "%.*s", SPAN_FORMAT(buffer_span(&response.body)));
    buffer_free(&response.body);
    ck_assert_msg(response.status == status, "%s %s: %u %s", request.method, request.path,
                  response.status, document);
    ck_assert_str_eq(asked, wanted_request);
    if (wanted_document != NULL)
        ck_assert_str_eq(document, wanted_document);
}

START_TEST(commands)
{
    static const struct {
        const char *method, *path, *request;
    } rows[] = {
        {"GET", "/api/stats", "{\"command\":\"stats\"}"},
        {"HEAD", "/api/stats", "{\"command\":\"stats\"}"},
        {"GET", "/api/explain", "{\"command\":\"explain\"}"},
        {"GET", "/api/queue", "{\"command\":\"queue list\",\"limit\":1000}"},
        {"GET", "/api/queue/x y", "{\"command\":\"queue show\",\"ids\":[\"x y\"]}"},
        {"GET", "/api/queue/A/cat", "{\"command\":\"queue cat\",\"ids\":[\"A\"]}"},
        {"GET", "/api/queue/A/show", "{\"command\":\"queue show\",\"ids\":[\"A\"]}"},
        {"POST", "/api/queue/A/retry", "{\"command\":\"queue retry\",\"ids\":[\"A\"]}"},
        {"POST", "/api/queue/A/hold", "{\"command\":\"queue hold\",\"ids\":[\"A\"]}"},
        {"POST", "/api/queue/A/release", "{\"command\":\"queue release\",\"ids\":[\"A\"]}"},
        {"POST", "/api/queue/A/fail", "{\"command\":\"queue fail\",\"ids\":[\"A\"]}"},
        {"POST", "/api/queue/A/drop", "{\"command\":\"queue drop\",\"ids\":[\"A\"]}"},
        {"GET", "/api/destinations", "{\"command\":\"dest list\",\"limit\":1000}"},
        {"GET", "/api/destinations/a.test", "{\"command\":\"dest show\",\"what\":\"a.test\"}"},
        {"POST", "/api/destinations/a.test/pause",
         "{\"command\":\"dest pause\",\"what\":\"a.test\"}"},
        {"POST", "/api/destinations/a.test/resume",
         "{\"command\":\"dest resume\",\"what\":\"a.test\"}"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        begin(rows[i].method, rows[i].path);
        expect(200, rows[i].request, NULL);
    }
}
END_TEST

START_TEST(addresses_that_are_none)
{
    static const char *const paths[] = {
        "",
        "/",
        "/api",
        "/api/",
        "/api//",
        "/api/nothing",
        "/api/queue/",
        "/api/queue//drop",
        "/api/queue/A/",
        "/api/queue/A/nothing",
        "/api/queue/A/drop/more",
        "/api/queue list",
        "/api/dest",
        "/api/dest list",
        "/api/queue/A/retry of everything",
        "/api/stats/A",
        "/api/explain/A/B",
        "/metrics/",
        "/METRICS",
        "/../metrics",
        "/api/../../etc/passwd",
    };
    static const char *const methods[] = {"GET", "POST", "BREW"};
    for (size_t i = 0; i < countof(paths) * countof(methods); i++) {
        begin(methods[i % countof(methods)], paths[i / countof(methods)]);
        expect(404, "", NULL);
        ck_assert_int_eq(strncmp(document, "{\"error\":\"there is ", 19), 0);
    }
}
END_TEST

START_TEST(methods)
{
    static const struct {
        const char *method, *path, *allow;
    } rows[] = {
        {"POST", "/metrics", "GET, HEAD"},        {"PUT", "/health", "GET, HEAD"},
        {"POST", "/api/queue", "GET, HEAD"},      {"DELETE", "/api/queue/A", "GET, HEAD"},
        {"POST", "/api/stats", "GET, HEAD"},      {"POST", "/api/queue/A/cat", "GET, HEAD"},
        {"GET", "/api/queue/A/drop", "POST"},     {"HEAD", "/api/queue/A/drop", "POST"},
        {"OPTIONS", "/api/queue/A/drop", "POST"}, {"PUT", "/api/destinations/a.test/pause", "POST"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        begin(rows[i].method, rows[i].path);
        expect(405, "", NULL);
        ck_assert_str_eq(response.allow, rows[i].allow);
    }
}
END_TEST

/* ---- who asks ---- */

START_TEST(hosts)
{
    static const char *const ours[] = {"127.0.0.1",    "127.0.0.1:8025", "localhost",
                                       "LocalHost:80", "[::1]:8025",     "[2001:db8::1]",
                                       "relay.test",   "RELAY.TEST:1"};
    static const char *const not_ours[] = {"evil.test",           "localhost.evil.test",
                                           "relay.test.evil",     "",
                                           "127.0.0.1.evil.test", "[::1",
                                           "[evil.test]",         ":80"};
    for (size_t i = 0; i < countof(ours); i++) {
        begin("GET", "/api/stats");
        request.host = ours[i];
        expect(200, "{\"command\":\"stats\"}", NULL);
    }
    for (size_t i = 0; i <= countof(not_ours); i++) {
        begin("GET", "/metrics");
        request.host = i < countof(not_ours) ? not_ours[i] : NULL;
        expect(403, "", "{\"error\":\"Host must be an address, localhost or relay.test\"}\n");
    }
    parts.hostname = NULL; /* a unix socket: no browser gets there */
    begin("GET", "/api/stats");
    request.host = NULL;
    expect(200, "{\"command\":\"stats\"}", NULL);
}
END_TEST

START_TEST(types)
{
    static const char *const good[] = {"application/json", "Application/JSON",
                                       "application/json; charset=utf-8", " application/json ;"};
    static const char *const bad[] = {"text/plain", "application/x-www-form-urlencoded", "",
                                      "application/jsonx", "text/plain; application/json"};
    for (size_t i = 0; i < countof(good); i++) {
        begin("POST", "/api/queue/A/drop");
        request.content_type = good[i];
        expect(200, "{\"command\":\"queue drop\",\"ids\":[\"A\"]}", NULL);
    }
    for (size_t i = 0; i <= countof(bad); i++) {
        begin("POST", "/api/queue/A/drop");
        request.content_type = i < countof(bad) ? bad[i] : NULL;
        expect(415, "", "{\"error\":\"the body must come as Content-Type: application/json\"}\n");
    }
}
END_TEST

START_TEST(actions_switched_off)
{
    parts.actions = false;
    begin("POST", "/api/queue/A/drop");
    expect(403, "", "{\"error\":\"actions are switched off here: admin { actions = true }\"}\n");
    begin("GET", "/api/queue/A");
    expect(200, "{\"command\":\"queue show\",\"ids\":[\"A\"]}", NULL);
}
END_TEST

/* ---- parameters ---- */

START_TEST(queries)
{
    begin("GET", "/api/queue");
    with("domain", ".a.test");
    with("sender", "");
    with("recipient", NULL);
    with("state", "h\xc3\xa9ld");
    with("older-than", "4h");
    with("limit", "7");
    expect(200,
           "{\"command\":\"queue list\",\"domain\":\".a.test\",\"limit\":7,\"older_than_ms\":"
           "14400000,\"recipient\":\"\",\"sender\":\"\",\"state\":\"h\xc3\xa9ld\"}",
           NULL);
    begin("GET", "/api/destinations");
    with("busiest", NULL);
    expect(200, "{\"busiest\":true,\"command\":\"dest list\",\"limit\":1000}", NULL);
    begin("GET", "/api/explain");
    with("what", "a.test");
    expect(200, "{\"command\":\"explain\",\"what\":\"a.test\"}", NULL);
}
END_TEST

START_TEST(queries_that_are_wrong)
{
    static const struct {
        const char *name, *value, *error;
    } rows[] = {
        {"limt", "1", "there is no parameter \\\"limt\\\": is \\\"limit\\\" meant?"},
        {"command", "queue drop", "there is no parameter \\\"command\\\""},
        {"ids", "A", "there is no parameter \\\"ids\\\""},
        {"all", "true", "there is no parameter \\\"all\\\""},
        {"reason", "x", "there is no parameter \\\"reason\\\""},
        {"", "x", "there is no parameter \\\"\\\""},
        {"limit", "x", "limit=x: it is not understood"},
        {"limit", NULL, "limit=: it is not understood"},
        {"limit", "-1", "limit=-1: it is not understood"},
        {"limit", "99999999999999999999", "limit=99999999999999999999: it is not understood"},
        {"limit", "9223372036854775808", "limit=9223372036854775808: it is not understood"},
        {"limit", "0", "limit must be 1 to 10000"},
        {"limit", "10001", "limit must be 1 to 10000"},
        {"older-than", "4 hours", "older-than=4 hours: it is not understood"},
        {"domain", "\xff", "domain=\\\\xff: it is not understood"},
        {"domain", "b", "domain=b: it is there twice"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char wanted[200];
        begin("GET", "/api/queue");
        if (rows[i].value != NULL && strcmp(rows[i].value, "b") == 0)
            with("domain", "a");
        with(rows[i].name, rows[i].value);
        snprintf(wanted, sizeof(wanted), "{\"error\":\"%s\"}\n", rows[i].error);
        expect(400, "", wanted);
    }
}
END_TEST

START_TEST(bodies)
{
    static const struct {
        unsigned status;
        const char *body, *wanted;
    } rows[] = {
        {200, "", "{\"command\":\"dest pause\",\"what\":\"a\"}"},
        {200, "{}", "{\"command\":\"dest pause\",\"what\":\"a\"}"},
        {200, "{\"reason\":\"x \\u00e9\",\"for\":\"1h\"}",
         "{\"command\":\"dest pause\",\"for_ms\":3600000,\"reason\":\"x \xc3\xa9\",\"what\":\"a\"}"},
        {400, "[]", ""},
        {400, "\"x\"", ""},
        {400, "null", ""},
        {400, "{\"reason\":", ""},
        {400, "{\"reason\":\"\xff\"}", ""},
        {400, "{\"reason\":\"a\"} x", ""},
        {400, "{\"reason\":\"a\",\"reason\":\"b\"}", ""},
        {400, "{\"reason\":1}", ""},
        {400, "{\"reason\":null}", ""},
        {400, "{\"for\":3600}", ""},
        {400, "{\"for\":\"soon\"}", ""},
        {400, "{\"what\":\"other.test\"}", ""},
        {400, "{\"command\":\"queue drop\"}", ""},
        {400, "{\"all\":true}", ""},
        {400, "{\"domain\":\"x\"}", ""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        begin("POST", "/api/destinations/a/pause");
        request.body = span_of(rows[i].body);
        expect(rows[i].status, rows[i].wanted, NULL);
    }
    char deep[5000];
    memset(deep, '[', sizeof(deep));
    begin("POST", "/api/destinations/a/pause");
    request.body = (struct span){deep, sizeof(deep)};
    expect(400, "", NULL);
    begin("POST", "/api/destinations/a/pause");
    with("reason", "x");
    expect(400, "", NULL);
}
END_TEST

/* ---- documents ---- */

START_TEST(documents)
{
    static const struct {
        const char *method, *path, *objects[4], *wanted;
    } rows[] = {
        {"GET",
         "/api/stats",
         {"{\"a\":1,\"b\":{\"c\":\"\xc3\xa9\"}}"},
         "{\"a\":1,\"b\":{\"c\":\"\\u00E9\"}}\n"},
        {"GET", "/api/stats", {NULL}, "{}\n"},
        {"GET",
         "/api/queue",
         {"{\"count\":0,\"more\":false}"},
         "{\"envelopes\":[],\"count\":0,\"more\":false}\n"},
        {"GET",
         "/api/queue",
         {"{\"id\":\"A\"}", "{\"id\":\"B\"}", "{\"count\":2,\"more\":true}"},
         "{\"envelopes\":[{\"id\":\"A\"},{\"id\":\"B\"}],\"count\":2,\"more\":true}\n"},
        {"GET", "/api/queue/A", {"{\"id\":\"A\"}"}, "{\"envelopes\":[{\"id\":\"A\"}]}\n"},
        {"GET",
         "/api/destinations",
         {"{\"destination\":\"a\"}", "{\"count\":1}"},
         "{\"destinations\":[{\"destination\":\"a\"}],\"count\":1}\n"},
        {"GET", "/api/destinations/a", {"{\"destination\":\"a\"}"}, "{\"destination\":\"a\"}\n"},
        {"POST",
         "/api/queue/A/drop",
         {"{\"progress\":1}", "{\"count\":2,\"loading\":0}"},
         "{\"count\":2,\"loading\":0}\n"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        begin(rows[i].method, rows[i].path);
        objects = rows[i].objects;
        api_answer(&parts, &request, &response);
        ck_assert_uint_eq(response.status, 200);
        ck_assert_str_eq(response.type, "application/json");
        ck_assert_msg(span_equal(buffer_span(&response.body), span_of(rows[i].wanted)), "%.*s",
                      SPAN_FORMAT(buffer_span(&response.body)));
        buffer_free(&response.body);
    }
}
END_TEST

START_TEST(failures)
{
    static const struct {
        int exit;
        unsigned status;
    } rows[] = {{EX_USAGE, 400},    {EX_DATAERR, 404}, {EX_UNAVAILABLE, 409},
                {EX_TEMPFAIL, 503}, {EX_IOERR, 500},   {EX_SOFTWARE, 500}};
    for (size_t i = 0; i < countof(rows); i++) {
        fails_with = rows[i].exit;
        begin("GET", "/api/stats");
        expect(rows[i].status, "{\"command\":\"stats\"}", "{\"error\":\"why\"}\n");
        ck_assert(response.later == (rows[i].exit == EX_TEMPFAIL));
    }
    fails_with = 0;
    going_down = true;
    begin("GET", "/api/stats");
    expect(503, "{\"command\":\"stats\"}", "{\"error\":\"the relay is going down\"}\n");
}
END_TEST

START_TEST(a_list_that_is_too_long)
{
    endless = API_ANSWER_MAX / 1024 + 1;
    begin("GET", "/api/queue/A");
    expect(400, "{\"command\":\"queue show\",\"ids\":[\"A\"]}",
           "{\"error\":\"the answer is larger than 16777216 bytes: set a limit or a filter\"}\n");
}
END_TEST

START_TEST(pages)
{
    begin("GET", "/metrics");
    expect(200, "", "the metrics\n");
    ck_assert_str_eq(response.type, "text/plain; version=0.0.4; charset=utf-8");
    begin("GET", "/ready");
    expect(503, "", "{\"status\":\"starting\"}\n");
    ck_assert(response.later);
    begin("GET", "/health");
    expect(200, "", "{\"status\":\"working\"}\n");
    struct health_part *part = health_add(&health, 1000, "worker 0");
    atomic_store(&part->beat_ms, -5000);
    health_enter(&health, HEALTH_RUNNING);
    begin("GET", "/health");
    expect(503, "", NULL);
    ck_assert_int_eq(strncmp(document, "{\"status\":\"worker 0 has not turned", 34), 0);
}
END_TEST

TEST_MAIN("relay/admin/api", commands, addresses_that_are_none, methods, hosts, types,
          actions_switched_off, queries, queries_that_are_wrong, bodies, documents, failures,
          a_list_that_is_too_long, pages)
