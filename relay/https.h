/* HTTPS as a client: a policy is fetched (RFC 8461 3.3), a report handed in (RFC 8460 5.3). libcurl
 * lives here only.
 *
 * https alone: no redirects, no proxy, no cookies, no cache, no kept connections; names are not
 * looked up here, the asker says which addresses; the certificate must be valid for the host as a
 * DNS-ID. What comes is bounded in bytes and as a whole in time.
 *
 * One thread owns an https: it begins requests and waits in https_wait(), where they end. */
#pragma once

#include "base/buffer.h"
#include "base/ip.h"
#include "base/list.h"

#define HTTPS_WHY_MAX 256
#define HTTPS_TYPE_MAX 128
#define HTTPS_CONNECT_MS 20000 /* for all addresses together */

enum https_result {
    HTTPS_ANSWERED,    /* with `status`, whatever it is */
    HTTPS_CERTIFICATE, /* the host's certificate is not valid for its name */
    HTTPS_FAILED,      /* no connection, no TLS, no HTTP */
    HTTPS_SLOW,        /* not over by the deadline */
    HTTPS_LARGE,       /* more than may come */
};

struct https_request { /* what is asked is borrowed until it is done */
    const char *host, *path;
    uint16_t port;
    const struct ip *addresses; /* at least one */
    unsigned address_count;
    const char *ca_file;        /* PEM; NULL: the system's */
    struct span body;           /* empty: GET, otherwise POST */
    const char *const *headers; /* "Content-Type: application/tlsrpt+gzip"; NULL at the end; or
                                   NULL */
    int64_t within_ms;
    size_t bytes_max; /* of the answer's body */
    /* On the owner's thread; the request may be freed then. */
    void (*done)(struct https_request *request);

    enum https_result result;
    long status;
    char type[HTTPS_TYPE_MAX]; /* Content-Type; "" for none */
    struct buffer answer;      /* the asker frees it */
    char why[HTTPS_WHY_MAX];   /* one line, printable; "" when answered */

    struct list_node node;
    void *under_way; /* https.c's */
};

struct https;

struct https *https_create(void);
/* Requests under way are abandoned: their `done` is not called. */
void https_destroy(struct https **https);

void https_begin(struct https *https, struct https_request *request);
/* Goes on with what is under way; returns after `wait_ms` (-1: any time), or earlier. */
void https_wait(struct https *https, int wait_ms);
void https_wake(struct https *https); /* any thread: https_wait returns */
