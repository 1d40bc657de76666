/* The admin listener: HTTP/1.1 by libmicrohttpd, on a loopback address or a unix socket. A thread
 * for each connection, so that a long list keeps nobody from asking for the health. What is
 * answered is api.h's. */
#pragma once

#include "relay/admin/api.h"

#define HTTP_CONNECTIONS_MAX 64 /* more of them wait */
#define HTTP_IDLE_SECONDS 15    /* of silence, then a connection is closed */
#define HTTP_HEADERS_MAX 32768  /* bytes of a request without its body: 431 */

struct http_parts {
    const struct admin_config *admin;
    int handed_over;      /* a listening socket that was there already, taken; or -1 */
    struct api_parts api; /* but for pause, with, actions, destinations */
};

struct http;

/* NULL with one line in `why`. */
struct http *http_start(const struct http_parts *parts, char *why, size_t why_size);
/* Where it listens: "127.0.0.1:8025" or a path. */
const char *http_place(const struct http *http);
void http_stop(struct http **http);
