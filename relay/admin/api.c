#include "relay/admin/api.h"

#include "base/ip.h"
#include "relay/admin/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE "application/json"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void respond(struct api_response *response, unsigned status, json_t *take)
{
    char *text = json_dumps(take, JSON_COMPACT | JSON_ENSURE_ASCII);
    must(text != NULL);
    response->status = status;
    response->type = JSON_TYPE;
    buffer_clear(&response->body);
    buffer_print(&response->body, "%s\n", text);
    free(text);
    json_decref(take);
}

void api_fail(struct api_response *response, unsigned status, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_t *error = json_object();
    json_put_text(error, "error", text);
    respond(response, status, error);
}

/* ---- who asks ---- */

/* The name in a Host field, without its port and brackets (RFC 9110 7.2). */
static struct span host_name(const char *host)
{
    struct span name = span_of(host);
    const char *bracket = name.length > 0 && host[0] == '[' ? strchr(host, ']') : NULL;
    if (bracket != NULL)
        return (struct span){host + 1, (size_t)(bracket - host) - 1};
    const char *colon = strchr(host, ':');
    if (colon != NULL)
        name.length = (size_t)(colon - host);
    return name;
}

/* A page from anywhere may have its own name lead to 127.0.0.1 and let a browser here ask us (DNS
 * rebinding); then Host is that name. An address, or a name of ours, cannot be made to. */
static bool host_is_ours(const struct api_parts *parts, const char *host)
{
    struct ip ip;
    if (parts->hostname == NULL)
        return true;
    if (host == NULL)
        return false;
    struct span name = host_name(host);
    return span_equal_nocase(name, SPAN("localhost")) || ip_parse(name, &ip) ||
           span_equal_nocase(name, span_of(parts->hostname));
}

/* ---- pages ---- */

static void show_health(struct api_response *response, bool fine, const char *word, const char *why)
{
    json_t *health = json_object();
    json_put_text(health, "status", fine ? word : why);
    respond(response, fine ? 200 : 503, health);
    response->later = !fine;
}

static void show_page(const struct api_parts *parts, const char *path,
                      struct api_response *response)
{
    char why[HEALTH_WHY_MAX];
    if (strcmp(path, "/metrics") == 0) {
        response->status = 200;
        response->type = METRICS_TYPE;
        metrics_page(parts, &response->body);
    } else if (strcmp(path, "/health") == 0) {
        bool works = health_works(parts->health, why);
        show_health(response, works, "working", why);
    } else {
        bool ready = health_takes_mail(parts->health, why);
        show_health(response, ready, "ready", why);
    }
}

static bool is_page(const char *path)
{
    return strcmp(path, "/metrics") == 0 || strcmp(path, "/health") == 0 ||
           strcmp(path, "/ready") == 0;
}

static bool only_reads(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

void api_answer(const struct api_parts *parts, const struct api_request *request,
                struct api_response *response)
{
    *response = (struct api_response){.status = 200, .type = JSON_TYPE};
    if (!host_is_ours(parts, request->host)) {
        api_fail(response, 403, "Host must be an address, localhost or %s", parts->hostname);
    } else if (strncmp(request->path, "/api/", 5) == 0) {
        api_command(parts, request, response);
    } else if (!is_page(request->path)) {
        api_fail(response, 404, "there is /metrics, /health, /ready, and the API below /api/");
    } else if (!only_reads(request->method)) {
        api_fail(response, 405, "%s is answered to GET", request->path);
        response->allow = "GET, HEAD";
    } else {
        show_page(parts, request->path, response);
    }
}
