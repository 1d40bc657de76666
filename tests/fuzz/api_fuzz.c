/* Whatever comes to the admin listener: a method, a path, a Host, a content type and a query, a
 * line each, and a body. Nothing acts but what was asked for by POST, as JSON, where actions are
 * on, by a Host that is ours; and each answer is a document. What carries requests out is only
 * looked at here: it reads them as the control socket does. */
#include "relay/admin/api.h"

#include "relay/admin/answer.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define LINE_MAX 300

static bool acted, asked;

/* ---- who answers ---- */

bool answer_object(struct answer *answer, json_t *take)
{
    answer->gone |= !answer->sink->object(answer->sink, take);
    return !answer->gone;
}

static void show(struct answer *answer, const struct request *request)
{
    json_t *seen = json_object();
    json_put_text(seen, "command", request->name);
    json_put_text(seen, "reason", request->reason ? request->reason : "");
    json_put_number(seen, "ids", (int64_t)request->target_count);
    answer_object(answer, seen);
}

void answer_request(struct answer *answer, json_t *from)
{
    struct request request;
    char why[256] = "";
    asked = true;
    if (request_read(from, &request, why, sizeof(why))) {
        acted = request_acts(request.command);
        must(!acted || request.target_count <= 1); /* an HTTP request is about one */
        show(answer, &request);
    } else {
        must(why[0] != '\0');
        answer->exit = EX_USAGE;
        snprintf(answer->error, sizeof(answer->error), "%s", why);
    }
    request_free(&request);
}

void metrics_page(const struct api_parts *parts, struct buffer *to)
{
    (void)parts;
    buffer_append(to, SPAN("the metrics\n"));
}

static bool do_not_pause(void *with, int64_t until_ms)
{
    (void)with;
    (void)until_ms;
    return true;
}

/* ---- who asks ---- */

/* As libmicrohttpd has them: without NUL. */
static char *next_line(struct span *rest, char line[LINE_MAX])
{
    struct span text = {0};
    span_line(rest, &text);
    snprintf(line, LINE_MAX, "%.*s", SPAN_FORMAT(text));
    return line;
}

/* "a=b&c" in place. */
static void cut_query(char *query, struct api_request *request)
{
    for (char *part; (part = strsep(&query, "&")) != NULL;) {
        if (part[0] == '\0' || request->query_count == API_FIELDS_MAX)
            continue;
        char *name = strsep(&part, "=");
        request->query[request->query_count++] = (struct api_field){name, part};
    }
}

/* ---- what must hold ---- */

static bool is_ours(const char *host)
{
    struct span name = span_of(host);
    return span_starts_nocase(name, SPAN("localhost")) || host[0] == '[' ||
           (host[0] >= '0' && host[0] <= '9') || span_starts_nocase(name, SPAN("relay.test")) ||
           strchr(host, ':') != NULL; /* ::1, or an IPv6 address beginning with a letter */
}

static void check_document(const struct api_response *response)
{
    struct span body = buffer_span(&response->body);
    must(body.length > 0 && body.data[body.length - 1] == '\n');
    body.length--;
    for (size_t i = 0; i < body.length; i++)
        must(body.data[i] >= ' '); /* ASCII; DEL may stand in JSON */
    if (strcmp(response->type, "application/json") != 0)
        return;
    json_t *document = json_loadb(body.data, body.length, JSON_REJECT_DUPLICATES, NULL);
    must(json_is_object(document));
    must((json_object_get(document, "error") != NULL) == (response->status != 200) ||
         json_object_get(document, "status") != NULL);
    json_decref(document);
}

static void check(const struct api_parts *parts, const struct api_request *request,
                  const struct api_response *response)
{
    static const unsigned statuses[] = {200, 400, 403, 404, 405, 409, 415, 500, 503};
    bool known = false;
    for (size_t i = 0; i < countof(statuses); i++)
        known |= response->status == statuses[i];
    must(known);
    must((response->status == 405) == (response->allow != NULL));
    must(!asked || parts->hostname == NULL || is_ours(request->host));
    must(!acted || (parts->actions && strcmp(request->method, "POST") == 0));
    must(!acted || strcasestr(request->content_type, "application/json") != NULL);
    must(!acted || request->query_count == 0);
    check_document(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char lines[5][LINE_MAX];
    struct health health = {0};
    struct span rest = {(const char *)data, size};
    unsigned choice = take_choice(&rest, 4);
    const struct api_parts parts = {.health = &health,
                                    .actions = choice & 1,
                                    .hostname = choice & 2 ? "relay.test" : NULL,
                                    .pause = do_not_pause};
    struct api_request request = {
        .method = next_line(&rest, lines[0]),
        .path = next_line(&rest, lines[1]),
        .host = next_line(&rest, lines[2]),
        .content_type = next_line(&rest, lines[3]),
    };
    struct api_response response = {0};
    cut_query(next_line(&rest, lines[4]), &request);
    request.body = take_piece(&rest, API_BODY_MAX);
    acted = asked = false;
    api_answer(&parts, &request, &response);
    check(&parts, &request, &response);
    buffer_free(&response.body);
    return 0;
}
