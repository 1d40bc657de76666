/* The API: HTTP into a request of the control socket, and its answer into a document. */
#include "base/nearest.h"
#include "base/units.h"
#include "relay/admin/answer.h"
#include "relay/admin/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define COMMAND_MAX 48
#define DUMPED (JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6))

/* ---- which command ---- */

struct place {
    char command[COMMAND_MAX]; /* as the control socket knows it */
    enum request_command number;
    const char *items;   /* what a list is called in the document; NULL: there is one object */
    const char *subject; /* the ID or NAME in the path, or NULL */
    bool by_id;
};

static const struct area {
    const char *path, *command, *items;
    bool by_id;
} areas[] = {
    {"queue", "queue", "envelopes", true},
    {"destinations", "dest", "destinations", false},
};

static const struct area *find_area(const char *name)
{
    for (size_t i = 0; i < countof(areas); i++)
        if (strcmp(areas[i].path, name) == 0)
            return &areas[i];
    return NULL;
}

/* "/api/a/b/c" → a, b, c, in `path`, which is cut up for it. How many; 0 for a path that is none
 * of ours. */
static unsigned split(char *path, char *parts[3])
{
    unsigned count = 0;
    char *rest = path + strlen("/api/");
    for (char *part; (part = strsep(&rest, "/")) != NULL;) {
        if (part[0] == '\0' || count == 3)
            return 0;
        parts[count++] = part;
    }
    return count;
}

static bool name_command(struct place *place, char *parts[3], unsigned count)
{
    const struct area *area = count > 0 ? find_area(parts[0]) : NULL;
    const char *verb = count == 1 ? "list" : count == 2 ? "show" : parts[2];
    if (count == 1 && area == NULL && strchr(parts[0], ' ') == NULL) {
        snprintf(place->command, COMMAND_MAX, "%s", parts[0]);
    } else if (area != NULL && strlen(verb) < 20) {
        bool several = count == 1 || area->by_id;
        snprintf(place->command, COMMAND_MAX, "%s %s", area->command, verb);
        place->items = several ? area->items : NULL;
        place->subject = count > 1 ? parts[1] : NULL;
        place->by_id = area->by_id;
    }
    return request_command_find(place->command, &place->number);
}

/* ---- parameters ---- */

enum field_kind { FIELD_TEXT, FIELD_NUMBER, FIELD_DURATION, FIELD_FLAG };

static const struct field {
    const char *name, *key; /* here, and in the request */
    enum field_kind kind;
    bool acts; /* of a POST's body; else of a GET's query */
} fields[] = {
    {"domain", "domain", FIELD_TEXT, false},
    {"sender", "sender", FIELD_TEXT, false},
    {"recipient", "recipient", FIELD_TEXT, false},
    {"tenant", "tenant", FIELD_TEXT, false},
    {"state", "state", FIELD_TEXT, false},
    {"older-than", "older_than_ms", FIELD_DURATION, false},
    {"limit", "limit", FIELD_NUMBER, false},
    {"busiest", "busiest", FIELD_FLAG, false},
    {"last-failures", "last_failures", FIELD_FLAG, false},
    {"what", "what", FIELD_TEXT, false},
    {"reason", "reason", FIELD_TEXT, true},
    {"for", "for_ms", FIELD_DURATION, true},
};

static const struct field *find_field(const char *name, bool acts)
{
    for (size_t i = 0; i < countof(fields); i++)
        if (fields[i].acts == acts && strcmp(fields[i].name, name) == 0)
            return &fields[i];
    return NULL;
}

static bool refuse_field(struct api_response *response, const char *name, bool acts)
{
    const char *names[countof(fields)];
    size_t count = 0;
    for (size_t i = 0; i < countof(fields); i++)
        if (fields[i].acts == acts)
            names[count++] = fields[i].name;
    const char *near = nearest_name(span_of(name), names, count);
    api_fail(response, 400, "there is no parameter \"%.40s\"%s%s%s", name, near ? ": is \"" : "",
             near ? near : "", near ? "\" meant?" : "");
    return false;
}

/* A value that was written as text. NULL when it is no such value. */
static json_t *value_of(const struct field *field, const char *text)
{
    uint64_t number;
    int64_t ms;
    switch (field->kind) {
    case FIELD_TEXT: return json_string(text); /* NULL when it is not UTF-8 */
    case FIELD_NUMBER:
        return span_number(span_of(text), &number) && number <= INT64_MAX
                   ? json_integer((json_int_t)number)
                   : NULL;
    case FIELD_DURATION:
        return units_duration(span_of(text), &ms) && ms >= 0 ? json_integer(ms) : NULL;
    case FIELD_FLAG: return json_boolean(strcmp(text, "true") == 0 || text[0] == '\0');
    }
    must_not_reach();
}

static bool put_field(json_t *to, const struct field *field, const char *text,
                      struct api_response *response)
{
    json_t *value = value_of(field, text);
    const char *fault = value == NULL ? "is not understood" : NULL;
    if (value != NULL && json_object_get(to, field->key) != NULL)
        fault = "is there twice";
    if (fault == NULL) {
        json_put(to, field->key, value);
        return true;
    }
    json_decref(value);
    api_fail(response, 400, "%s=%.40s: it %s", field->name, text, fault);
    return false;
}

static bool put_query(const struct api_request *request, json_t *to, struct api_response *response)
{
    for (unsigned i = 0; i < request->query_count; i++) {
        const struct api_field *given = &request->query[i];
        const struct field *field = find_field(given->name, false);
        if (field == NULL)
            return refuse_field(response, given->name, false);
        if (!put_field(to, field, given->value ? given->value : "", response))
            return false;
    }
    return true;
}

static bool put_members(json_t *body, json_t *to, struct api_response *response)
{
    const char *name;
    json_t *value;
    json_object_foreach(body, name, value)
    {
        const struct field *field = find_field(name, true);
        if (field == NULL)
            return refuse_field(response, name, true);
        if (!json_is_string(value)) {
            api_fail(response, 400, "%s must be a text", name);
            return false;
        }
        if (!put_field(to, field, json_string_value(value), response))
            return false;
    }
    return true;
}

static bool put_body(const struct api_request *request, json_t *to, struct api_response *response)
{
    json_error_t error;
    if (request->query_count > 0) {
        api_fail(response, 400, "POST takes its parameters in the body: {\"reason\":\"…\"}");
        return false;
    }
    if (request->body.length == 0)
        return true;
    json_t *body =
        json_loadb(request->body.data, request->body.length, JSON_REJECT_DUPLICATES, &error);
    bool fine = json_is_object(body) && put_members(body, to, response);
    if (body == NULL)
        api_fail(response, 400, "the body is no JSON: %.150s", error.text);
    else if (!json_is_object(body))
        api_fail(response, 400, "the body is no object of JSON");
    json_decref(body);
    return fine;
}

/* What a list gives is bounded: who wants more says from where on. */
static bool bound_list(json_t *to, struct api_response *response)
{
    json_t *limit = json_object_get(to, "limit");
    if (limit == NULL)
        json_put_number(to, "limit", API_LIST_DEFAULT);
    else if (json_integer_value(limit) < 1 || json_integer_value(limit) > API_LIST_MAX)
        api_fail(response, 400, "limit must be 1 to %d", API_LIST_MAX);
    else
        return true;
    return limit == NULL;
}

/* ---- the document ---- */

struct document {
    struct answer_sink sink;
    const struct api_parts *parts;
    bool several;
    bool too_large;
    struct buffer items; /* separated by commas */
    json_t *rest;        /* the one object, or what is said of all items */
};

static int add_bytes(const char *bytes, size_t length, void *buffer)
{
    buffer_append(buffer, (struct span){bytes, length});
    return 0;
}

static bool add_item(struct document *document, json_t *item)
{
    if (buffer_length(&document->items) > 0)
        buffer_append(&document->items, SPAN(","));
    must(json_dump_callback(item, add_bytes, &document->items, DUMPED) == 0);
    document->too_large = buffer_length(&document->items) > API_ANSWER_MAX;
    return !document->too_large;
}

static bool document_object(struct answer_sink *sink, json_t *take)
{
    struct document *document = container_of(sink, struct document, sink);
    bool fine = true;
    if (json_object_get(take, "progress") != NULL) {
        json_decref(take); /* nobody sees it before the end */
    } else if (document->several && !json_is_integer(json_object_get(take, "count"))) {
        fine = add_item(document, take);
        json_decref(take);
    } else {
        json_decref(document->rest);
        document->rest = take;
    }
    return fine;
}

static bool document_flush(struct answer_sink *sink)
{
    (void)sink;
    return true;
}

static bool document_pause(struct answer_sink *sink, int64_t until_ms)
{
    const struct api_parts *parts = container_of(sink, struct document, sink)->parts;
    return parts->pause(parts->with, until_ms);
}

static void print_document(const struct document *document, const char *items, struct buffer *to)
{
    size_t had = json_object_size(document->rest);
    buffer_append(to, SPAN("{"));
    if (document->several) {
        buffer_print(to, "\"%s\":[", items);
        buffer_append(to, buffer_span(&document->items));
        buffer_print(to, "]%s", had > 0 ? "," : "");
    }
    if (had > 0)
        must(json_dump_callback(document->rest, add_bytes, to, DUMPED | JSON_EMBED) == 0);
    buffer_append(to, SPAN("}\n"));
}

static unsigned status_of(int exit)
{
    switch (exit) {
    case EX_USAGE: return 400;
    case EX_DATAERR:
    case EX_NOHOST: return 404;
    case EX_UNAVAILABLE: return 409;
    case EX_TEMPFAIL: return 503;
    default: return 500;
    }
}

static void conclude(const struct answer *answer, const struct document *document,
                     const char *items, struct api_response *response)
{
    if (document->too_large) {
        api_fail(response, 400, "the answer is larger than %u bytes: set a limit or a filter",
                 API_ANSWER_MAX);
    } else if (answer->exit != EX_OK) {
        api_fail(response, status_of(answer->exit), "%s", answer->error);
        response->later = answer->exit == EX_TEMPFAIL;
    } else if (answer->gone) {
        api_fail(response, 503, "the relay is going down");
    } else {
        print_document(document, items, &response->body);
    }
}

static void ask(const struct api_parts *parts, const struct place *place, json_t *request,
                struct api_response *response)
{
    struct document document = {.sink = {document_object, document_flush, document_pause},
                                .parts = parts,
                                .several = place->items != NULL && !request_acts(place->number)};
    struct answer answer = {.parts = parts->control, .sink = &document.sink};
    answer_request(&answer, request);
    conclude(&answer, &document, place->items, response);
    buffer_free(&document.items);
    json_decref(document.rest);
}

/* ---- one request ---- */

/* A page from elsewhere can make a browser POST, but not with this type unless we agreed
 * (a preflight, which is not answered): it cannot act here. */
static bool is_json(const char *content_type)
{
    struct span type = span_of(content_type != NULL ? content_type : "");
    const char *end = type.length > 0 ? memchr(type.data, ';', type.length) : NULL;
    if (end != NULL)
        type.length = (size_t)(end - type.data);
    return span_equal_nocase(span_trim(type), SPAN("application/json"));
}

/* Whether this method is right for the command. */
static bool method_fits(const struct api_parts *parts, const struct api_request *request,
                        const struct place *place, struct api_response *response)
{
    bool acts = request_acts(place->number);
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    if (acts ? strcmp(request->method, "POST") != 0 : !reads) {
        response->allow = acts ? "POST" : "GET, HEAD";
        api_fail(response, 405, "%s is answered to %s", request->path, acts ? "POST" : "GET");
    } else if (acts && !parts->actions) {
        api_fail(response, 403, "actions are switched off here: admin { actions = true }");
    } else if (acts && !is_json(request->content_type)) {
        api_fail(response, 415, "the body must come as Content-Type: application/json");
    } else {
        return true;
    }
    return false;
}

static json_t *request_of(const struct place *place)
{
    json_t *request = json_object();
    json_put_text(request, "command", place->command);
    if (place->subject != NULL && place->by_id)
        json_put(request, "ids", json_pack("[o]", json_text(place->subject)));
    else if (place->subject != NULL)
        json_put_text(request, "what", place->subject);
    return request;
}

static void free_json(json_t **json)
{
    json_decref(*json);
}

static void free_text(char **text)
{
    free(*text);
}

void api_command(const struct api_parts *parts, const struct api_request *request,
                 struct api_response *response)
{
    struct place place = {0};
    char *cut[3], *path CLEANUP(free_text) = must_strdup(request->path);
    unsigned count = split(path, cut);
    if (count == 0 || !name_command(&place, cut, count)) {
        api_fail(response, 404, "there is no %.80s", request->path);
        return;
    }
    if (!method_fits(parts, request, &place, response))
        return;
    json_t *asked CLEANUP(free_json) = request_of(&place);
    bool acts = request_acts(place.number);
    bool lists = place.items != NULL && place.subject == NULL;
    if (acts ? !put_body(request, asked, response) : !put_query(request, asked, response))
        return;
    if (!lists || bound_list(asked, response))
        ask(parts, &place, asked, response);
}
