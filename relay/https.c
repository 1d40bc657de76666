#include "relay/https.h"

#include "tlspolicy/webpki.h"

#include <curl/curl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CA_KEPT_S 3600L /* then the authorities are read again */
#define USER_AGENT "millrace/" MILLRACE_VERSION

struct https {
    CURLM *multi;
    struct list under_way; /* requests */
};

/* What libcurl needs for one request; freed when it is done. */
struct transfer {
    CURL *easy;
    struct curl_slist *headers, *addresses;
    char error[CURL_ERROR_SIZE];
    bool too_large;
};

static void make_ready(void)
{
    must(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
}

struct https *https_create(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_ready);
    struct https *https = must_calloc(1, sizeof(*https));
    https->multi = curl_multi_init();
    must(https->multi != NULL);
    list_init(&https->under_way);
    return https;
}

/* ---- one request ---- */

static size_t take_body(char *data, size_t size, size_t count, void *with)
{
    struct https_request *request = with;
    struct transfer *transfer = request->under_way;
    size_t length = size * count;
    transfer->too_large = length > request->bytes_max - buffer_length(&request->answer);
    if (transfer->too_large)
        return 0; /* fewer than came: libcurl gives up */
    buffer_append(&request->answer, (struct span){data, length});
    return length;
}

static CURLcode prepare_tls(CURL *easy, void *ssl_ctx, void *with)
{
    const struct https_request *request = with;
    (void)easy;
    return webpki_expect(ssl_ctx, request->host) ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

/* "HOST:PORT:192.0.2.1,[2001:db8::1]": nothing is looked up. */
static struct curl_slist *addresses_of(const struct https_request *request)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    char ip[IP_TEXT_MAX];
    buffer_print(&text, "%s:%u:", request->host, request->port);
    for (unsigned i = 0; i < request->address_count; i++)
        buffer_print(
            &text, "%s%s%s%s", i > 0 ? "," : "", request->addresses[i].family == 6 ? "[" : "",
            ip_format(&request->addresses[i], ip), request->addresses[i].family == 6 ? "]" : "");
    char *line = buffer_detach(&text);
    struct curl_slist *list = curl_slist_append(NULL, line);
    free(line);
    return list;
}

static struct curl_slist *headers_of(const struct https_request *request)
{
    struct curl_slist *list = NULL;
    for (const char *const *header = request->headers; header && *header; header++)
        list = curl_slist_append(list, *header);
    return list;
}

static void set_where(CURL *easy, struct https_request *request, struct transfer *transfer)
{
    struct buffer url CLEANUP(buffer_free) = {0};
    buffer_print(&url, "https://%s:%u%s", request->host, request->port, request->path);
    char *text = buffer_detach(&url);
    curl_easy_setopt(easy, CURLOPT_URL, text);
    free(text);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_RESOLVE, transfer->addresses);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    if (request->body.length > 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.length);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.data);
    }
}

static void set_tls(CURL *easy, struct https_request *request)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, CA_KEPT_S);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, prepare_tls);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, request);
    if (request->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}

static void set_limits(CURL *easy, struct https_request *request, struct transfer *transfer)
{
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->within_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTPS_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
}

void https_begin(struct https *https, struct https_request *request)
{
    must(request->address_count > 0 && request->done != NULL);
    struct transfer *transfer = must_calloc(1, sizeof(*transfer));
    request->under_way = transfer;
    transfer->easy = curl_easy_init();
    must(transfer->easy != NULL);
    transfer->addresses = addresses_of(request);
    transfer->headers = headers_of(request);
    set_where(transfer->easy, request, transfer);
    set_tls(transfer->easy, request);
    set_limits(transfer->easy, request, transfer);
    list_append(&https->under_way, &request->node);
    must(curl_multi_add_handle(https->multi, transfer->easy) == CURLM_OK);
}

static void forget(struct https *https, struct https_request *request)
{
    struct transfer *transfer = request->under_way;
    curl_multi_remove_handle(https->multi, transfer->easy);
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->addresses);
    curl_slist_free_all(transfer->headers);
    free(transfer);
    request->under_way = NULL;
    list_remove(&request->node);
}

/* ---- how it ended ---- */

static enum https_result result_of(CURLcode code, const struct transfer *transfer)
{
    if (transfer->too_large)
        return HTTPS_LARGE;
    if (code == CURLE_OK)
        return HTTPS_ANSWERED;
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_ISSUER_ERROR)
        return HTTPS_CERTIFICATE;
    return code == CURLE_OPERATION_TIMEDOUT ? HTTPS_SLOW : HTTPS_FAILED;
}

/* What libcurl says may hold what the host sent. */
static void copy_printable(char *to, size_t size, const char *from)
{
    size_t used = 0;
    for (; *from != '\0' && used + 1 < size; from++)
        to[used++] = *from >= ' ' && *from <= '~' ? *from : '?';
    to[used] = '\0';
}

static void take_answer(struct https_request *request, CURLcode code)
{
    struct transfer *transfer = request->under_way;
    const char *type = NULL;
    request->result = result_of(code, transfer);
    request->why[0] = '\0';
    if (request->result == HTTPS_LARGE)
        snprintf(request->why, sizeof(request->why), "more than %zu bytes", request->bytes_max);
    else if (request->result != HTTPS_ANSWERED)
        copy_printable(request->why, sizeof(request->why),
                       transfer->error[0] ? transfer->error : curl_easy_strerror(code));
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &request->status);
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &type);
    copy_printable(request->type, sizeof(request->type), type ? type : "");
}

static void end_what_is_done(struct https *https)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(https->multi, &left)) != NULL;) {
        char *private = NULL;
        CURLcode code = message->data.result;
        must(message->msg == CURLMSG_DONE);
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        struct https_request *request = (void *)private;
        take_answer(request, code);
        forget(https, request);
        request->done(request);
    }
}

void https_wait(struct https *https, int wait_ms)
{
    int running;
    curl_multi_poll(https->multi, NULL, 0, wait_ms < 0 ? INT_MAX : wait_ms, NULL);
    curl_multi_perform(https->multi, &running);
    end_what_is_done(https);
}

void https_wake(struct https *https)
{
    curl_multi_wakeup(https->multi);
}

void https_destroy(struct https **https)
{
    struct https *ended = *https;
    *https = NULL;
    if (ended == NULL)
        return;
    struct list_node *next;
    for (struct list_node *node = list_first(&ended->under_way); node != NULL; node = next) {
        next = list_next(&ended->under_way, node);
        forget(ended, container_of(node, struct https_request, node));
    }
    curl_multi_cleanup(ended->multi);
    free(ended);
}
