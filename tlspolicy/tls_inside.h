/* What a channel in TLS is made of: for the files that make it and let it run. */
#pragma once

#include "tlspolicy/openssl.h"

struct ssl_method_st;
struct ssl_st;

struct tls_client {
    struct ssl_ctx_st *context;
    struct tickets *tickets; /* NULL: no resumption */
    int64_t (*wall_ms)(void);
};

struct tls {
    struct ssl_st *ssl;
    struct buffer incoming, outgoing;
    struct tls_client *client; /* NULL on the server's side */
    char *ticket_key;
    size_t ticket_key_length;
    unsigned tickets_kept;
    bool ticket_on_trial; /* a ticket was shown, and nothing proves yet that it was a good one */
    bool established, spoilt;
    char why[TLS_WHY_MAX];
};

/* What both sides' contexts have in common. */
struct ssl_ctx_st *tls_context_create(const struct ssl_method_st *method, const char *ciphers);

/* A channel with nothing said yet; NULL when OpenSSL has no memory for it. */
struct tls *tls_create(struct ssl_ctx_st *context);

int tls_wire_version(enum tls_version version, int any);

/* The ticket that was shown may be why it failed: its like are not tried again. */
void tls_condemn_ticket(struct tls *tls);
