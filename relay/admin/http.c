#include "relay/admin/http.h"

#include "base/log.h"
#include "relay/os.h"
#include "relay/unix_socket.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STACK_BYTES (2u << 20) /* a thread's: JSON may be nested 2048 deep */
#define RETRY_SECONDS "5"

struct http {
    struct api_parts api;
    char *hostname; /* NULL on a unix socket */
    struct MHD_Daemon *daemon;
    int socket;
    struct unix_listener listener; /* of a unix socket that we made */
    char place[CONFIG_SOCKET_MAX + 1];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping;
};

/* One request on its way in. */
struct exchange {
    bool begun;
    bool has_nul; /* in its address: what is behind it would not be seen */
    bool too_large;
    struct buffer body;
};

/* ---- waiting ---- */

static bool http_pause(void *with, int64_t until_ms)
{
    struct http *http = with;
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    int error = 0;
    pthread_mutex_lock(&http->lock);
    while (!http->stopping && until_ms > os_now() && error == 0)
        error = pthread_cond_timedwait(&http->changed, &http->lock, &until);
    bool goes_on = !http->stopping;
    pthread_mutex_unlock(&http->lock);
    return goes_on;
}

/* ---- answering ---- */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    must(MHD_add_response_header(response, name, value) == MHD_YES);
}

static enum MHD_Result send_response(struct MHD_Connection *connection,
                                     struct api_response *take_response)
{
    size_t length = buffer_length(&take_response->body);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        length, buffer_detach(&take_response->body), MHD_RESPMEM_MUST_FREE);
    must(response != NULL);
    add_header(response, "Content-Type", take_response->type);
    add_header(response, "Cache-Control", "no-store");
    add_header(response, "X-Content-Type-Options", "nosniff");
    if (take_response->allow != NULL)
        add_header(response, "Allow", take_response->allow);
    if (take_response->later)
        add_header(response, "Retry-After", RETRY_SECONDS);
    enum MHD_Result result = MHD_queue_response(connection, take_response->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- the request ---- */

struct query {
    struct api_request *request;
    bool bad; /* too many, or with a NUL */
};

static enum MHD_Result add_field(void *with, enum MHD_ValueKind kind, const char *name,
                                 size_t name_length, const char *value, size_t value_length)
{
    struct query *query = with;
    struct api_request *request = query->request;
    (void)kind;
    query->bad |= request->query_count == API_FIELDS_MAX || strlen(name) != name_length ||
                  (value != NULL && strlen(value) != value_length);
    if (query->bad)
        return MHD_NO;
    request->query[request->query_count++] = (struct api_field){name, value};
    return MHD_YES;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static void answer_whole(struct http *http, struct MHD_Connection *connection, const char *url,
                         const char *method, const struct exchange *exchange,
                         struct api_response *response)
{
    struct api_request request = {.method = method,
                                  .path = url,
                                  .host = header(connection, "Host"),
                                  .content_type = header(connection, "Content-Type"),
                                  .body = buffer_span(&exchange->body)};
    struct query query = {.request = &request};
    MHD_get_connection_values_n(connection, MHD_GET_ARGUMENT_KIND, add_field, &query);
    if (exchange->too_large)
        api_fail(response, 413, "a body has at most %d bytes", API_BODY_MAX);
    else if (exchange->has_nul || query.bad)
        api_fail(response, 400, "the address has a NUL, or more than %d parameters",
                 API_FIELDS_MAX);
    else
        api_answer(&http->api, &request, response);
}

/* What is announced as too large need not be sent at all. */
static bool announces_too_much(struct MHD_Connection *connection)
{
    uint64_t length;
    const char *text = header(connection, "Content-Length");
    return text != NULL && (!span_number(span_of(text), &length) || length > API_BODY_MAX);
}

static void take_body(struct exchange *exchange, struct span bytes)
{
    if (buffer_length(&exchange->body) + bytes.length > API_BODY_MAX)
        exchange->too_large = true;
    if (!exchange->too_large)
        buffer_append(&exchange->body, bytes);
}

static enum MHD_Result on_request(void *with, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    struct exchange *exchange = *state;
    struct api_response response = {.status = 200, .type = ""};
    (void)version;
    if (!exchange->begun) { /* the headers only: the body comes with further calls */
        exchange->begun = true;
        exchange->too_large = announces_too_much(connection);
        if (!exchange->too_large)
            return MHD_YES;
    } else if (*upload_size > 0) {
        take_body(exchange, (struct span){upload, *upload_size});
        *upload_size = 0;
        return MHD_YES;
    }
    answer_whole(with, connection, url, method, exchange, &response);
    log_flush();
    return send_response(connection, &response);
}

/* The first that is known of a request: what it returns is the request's `state`. */
static void *on_address(void *unused, const char *address, struct MHD_Connection *connection)
{
    struct exchange *exchange = must_calloc(1, sizeof(*exchange));
    (void)unused;
    (void)connection;
    exchange->has_nul = strstr(address, "%00") != NULL;
    return exchange;
}

static void on_completed(void *unused, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *state;
    (void)unused;
    (void)connection;
    (void)code;
    if (exchange == NULL)
        return;
    buffer_free(&exchange->body);
    free(exchange);
    *state = NULL;
}

/* ---- start and stop ---- */

static bool open_address(struct http *http, const struct endpoint *at, char *why, size_t why_size)
{
    struct endpoint local;
    http->socket = os_listen_alone(at);
    if (http->socket < 0) {
        snprintf(why, why_size,
                 "admin cannot listen on %s: %s; stop what listens there, or change the admin "
                 "section",
                 endpoint_format(at, http->place), strerror(-http->socket));
        return false;
    }
    os_local(http->socket, &local);
    endpoint_format(&local, http->place);
    return true;
}

static bool open_path(struct http *http, const char *path, char *why, size_t why_size)
{
    const struct unix_place place = {.key = "admin", .path = path, .mode = 0600};
    if (!unix_listen(&place, &http->listener, why, why_size))
        return false;
    http->socket = http->listener.socket;
    snprintf(http->place, sizeof(http->place), "%s", path);
    return true;
}

static bool open_socket(struct http *http, const struct http_parts *parts, char *why,
                        size_t why_size)
{
    const struct admin_config *admin = parts->admin;
    if (parts->handed_over < 0)
        return admin->path != NULL ? open_path(http, admin->path, why, why_size)
                                   : open_address(http, &admin->at, why, why_size);
    http->socket = parts->handed_over;
    if (admin->path != NULL)
        snprintf(http->place, sizeof(http->place), "%s", admin->path);
    else
        endpoint_format(&admin->at, http->place);
    return true;
}

static void close_socket(struct http *http)
{
    if (http->listener.path != NULL)
        unix_close(&http->listener);
    else if (http->socket >= 0)
        os_close(http->socket);
    http->socket = -1;
}

static bool start_daemon(struct http *http)
{
    http->daemon = MHD_start_daemon(
        MHD_USE_POLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
            MHD_USE_ITC,
        0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, http->socket,
        MHD_OPTION_CONNECTION_LIMIT, HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        HTTP_IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADERS_MAX,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_URI_LOG_CALLBACK, on_address, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
        NULL, MHD_OPTION_END);
    return http->daemon != NULL;
}

static struct http *http_create(const struct http_parts *parts)
{
    struct http *http = must_calloc(1, sizeof(*http));
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&http->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&http->lock, NULL);
    http->socket = -1;
    http->api = parts->api;
    http->api.pause = http_pause;
    http->api.with = http;
    http->api.actions = parts->admin->actions;
    http->api.destinations = parts->admin->destinations;
    http->api.hostname = http->hostname =
        parts->admin->path == NULL ? must_strdup(parts->api.hostname) : NULL;
    return http;
}

static void http_free(struct http *http)
{
    close_socket(http);
    free(http->hostname);
    pthread_cond_destroy(&http->changed);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

struct http *http_start(const struct http_parts *parts, char *why, size_t why_size)
{
    struct http *http = http_create(parts);
    if (open_socket(http, parts, why, why_size)) {
        if (start_daemon(http))
            return http;
        snprintf(why, why_size, "admin %s: no descriptor or thread is left for it", http->place);
    }
    http_free(http);
    return NULL;
}

const char *http_place(const struct http *http)
{
    return http->place;
}

void http_stop(struct http **http)
{
    struct http *self = *http;
    *http = NULL;
    if (self == NULL)
        return;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    MHD_quiesce_daemon(self->daemon); /* the socket is ours again */
    MHD_stop_daemon(self->daemon);
    http_free(self);
}
