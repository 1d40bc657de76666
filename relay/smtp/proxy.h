/* The header of the PROXY protocol, versions 1 and 2, as haproxy's proxy-protocol.txt has it: by
 * it a proxy says, before anything else, whose connection it passes on. Pure. */
#pragma once

#include "base/ip.h"

/* The longest header that is taken, extensions (TLVs) and all: what the specification promises
 * to arrive in one segment. They are passed over. */
#define PROXY_BYTES_MAX 536

struct proxy_header {
    bool has_client;        /* false: of the proxy itself (a health check), or of a client that is
                               not on TCP; the connection's own address counts */
    struct endpoint client; /* when it has one */
    const char *why;        /* when malformed: a few words */
};

enum proxy_result {
    PROXY_COMPLETE,
    PROXY_PARTIAL, /* more bytes are needed */
    PROXY_MALFORMED,
};

/* Reads a header from the front of `from`. On PROXY_COMPLETE *used says how many bytes it took:
 * what follows is the client's. */
enum proxy_result proxy_read(struct span from, struct proxy_header *header, size_t *used);
