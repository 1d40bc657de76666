/* What the admin listener answers, whatever carries it there: pages for those who watch
 * (/metrics, /health, /ready), and the operator's requests as an API. A request of the API becomes
 * one of the control socket (control.h) and is answered by the very same code: nothing is known
 * here of what a command does, so that a new one comes by itself.
 *
 *     GET  /api/stats, /api/explain?what=NAME      the command of that name
 *     GET  /api/queue, /api/queue/ID               queue list, queue show
 *     GET  /api/queue/ID/VERB                      queue VERB, if that only reads
 *     POST /api/queue/ID/VERB                      queue VERB, if that acts
 *     … /api/destinations …                        the same for dest
 *
 * docs/api.md is the operator's manual of it. */
#pragma once

#include "base/buffer.h"
#include "relay/admin/control.h"
#include "relay/health.h"

#define API_BODY_MAX 65536 /* bytes of a request's body: 413 */
#define API_ANSWER_MAX                                                                             \
    (16u << 20)               /* bytes of what a list gives: 400, a limit or filter is needed */
#define API_LIST_DEFAULT 1000 /* items, where no limit is given */
#define API_LIST_MAX 10000
#define API_FIELDS_MAX 16 /* parameters of a request: 400 */

struct tickets;

struct api_parts {
    const struct control_parts *control;
    const struct health *health;
    struct tickets *tickets;
    unsigned destinations; /* with series of their own in /metrics */
    bool actions;          /* POST is answered */
    const char *hostname;  /* a Host that is ours; NULL: any is (a unix socket) */
    /* Does nothing until then (os_now()). False once the process ends. */
    bool (*pause)(void *with, int64_t until_ms);
    void *with;
};

struct api_field {
    const char *name, *value; /* value NULL: there was no "=" */
};

struct api_request {
    const char *method;
    const char *path;                /* decoded, without the query */
    const char *host, *content_type; /* header fields; NULL: not there */
    struct api_field query[API_FIELDS_MAX];
    unsigned query_count;
    struct span body;
};

struct api_response {
    unsigned status;
    const char *type;  /* Content-Type */
    const char *allow; /* with 405; else NULL */
    bool later;        /* 503 that passes soon: Retry-After */
    struct buffer body;
};

void api_answer(const struct api_parts *parts, const struct api_request *request,
                struct api_response *response);
/* {"error": TEXT} */
void api_fail(struct api_response *response, unsigned status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* api_command.c: the part below /api/ */
void api_command(const struct api_parts *parts, const struct api_request *request,
                 struct api_response *response);

/* metrics_page.c */
void metrics_page(const struct api_parts *parts, struct buffer *to);
