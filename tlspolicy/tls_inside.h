/* What a channel in TLS is made of: for the files that make it and let it run. */
#pragma once

#include "tlspolicy/openssl.h"

struct ssl_method_st;
struct ssl_st;
struct verification;
struct x509_store_ctx_st;

struct tls_client {
    struct ssl_ctx_st *lenient, *strict; /* the latter where the peer must show who it is */
    struct tickets *tickets;             /* NULL: no resumption */
    int64_t (*wall_ms)(void);
};

struct tls {
    struct ssl_st *ssl;
    struct buffer incoming, outgoing;
    struct tls_client *client; /* NULL on the server's side */
    char *ticket_key;
    size_t ticket_key_length;
    unsigned tickets_kept;
    int64_t ticket_last_ms; /* of the one that was shown: see struct session_head */
    bool ticket_shown;
    bool ticket_on_trial; /* and nothing proves yet that it was a good one */
    bool established, spoilt;
    struct verification *verification; /* NULL: nothing is checked */
    enum tls_fault fault;
    char why[TLS_WHY_MAX];
};

/* What both sides' contexts have in common. */
struct ssl_ctx_st *tls_context_create(const struct ssl_method_st *method, const char *ciphers);

/* A channel with nothing said yet; NULL when OpenSSL has no memory for it. */
struct tls *tls_create(struct ssl_ctx_st *context);

int tls_wire_version(enum tls_version version, int any);

/* resumption.c: the client's context as it makes sessions, or not; */
void tls_allow_resumption(struct ssl_ctx_st *context, const struct tickets *tickets);
/* a ticket for a new connection, if there is one; */
void tls_resume(struct tls *tls, const struct tls_wants *wants);
/* the handshake is done: counts if that was in spite of a ticket; */
void tls_tell_rejected(struct tls *tls);
/* the handshake failed: the ticket that was shown may be why, so its like are not tried again. */
void tls_condemn_ticket(struct tls *tls);

/* ---- fault.c ---- */

/* Sets fault and text; the latter is cut, and made printable. */
void tls_tell(struct tls *tls, enum tls_fault fault, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same from OpenSSL's queue, which it clears: the peer's alert, what the verification has
 * told before, or anything else. */
void tls_tell_openssl(struct tls *tls);

/* ---- verify.c ---- */

/* Before the handshake; false when it cannot end well, as has been told. */
bool verify_prepare(struct tls *tls, const struct tls_wants *wants);
void verify_free(struct verification **verification);

/* For SSL_CTX_set_cert_verify_callback. */
int verify_certificate(struct x509_store_ctx_st *store, void *nothing);

/* Whether a session, which has been set, was made with proof enough; `held` as it was kept. */
bool verify_takes(const struct tls *tls, bool held);
void verify_shows(struct tls *tls, bool held); /* that session is the one that is shown */

/* What was asked for holds, as far as the handshake has come: for the sessions that it makes. */
bool verify_held(const struct tls *tls);

/* When that ends to be so by itself, for the certificate is out of date: ms since 1970. */
int64_t verify_until_ms(const struct tls *tls);

/* The last word at the end of a handshake, full or resumed: false when it does not count. */
bool verify_ends(struct tls *tls);
