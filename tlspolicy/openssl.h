/* What the files here that include OpenSSL share; no concern of anybody else. */
#pragma once

#include "tlspolicy/tls.h"

struct evp_cipher_ctx_st;
struct evp_mac_ctx_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct x509_st;
struct x509_store_st;

/* Sets `why`, cut at TLS_WHY_MAX. */
void why_print(char why[TLS_WHY_MAX], const char *format, ...) PRINTF_LIKE(2, 3);

/* OpenSSL's first complaint as one printable line; clears its queue. */
void openssl_reason(char *to, size_t size);

/* OpenSSL asks for a passphrase: there is none to be had here. Without it the terminal would
 * be asked. `asked` (a bool, may be NULL) becomes true. */
int openssl_no_passphrase(char *to, int size, int for_writing, void *asked);

/* Puts certificate, chain and key into the context. False with one line in `why`. */
bool certificate_load(struct ssl_ctx_st *context, const struct tls_server_options *options,
                      char why[TLS_WHY_MAX]);

/* SHA-256 of it, and of its SubjectPublicKeyInfo. */
bool certificate_digest(const struct x509_st *certificate, struct fingerprint *digest);
bool certificate_key_digest(const struct x509_st *certificate, struct fingerprint *digest);

/* Whether it is for that name (RFC 9525); "." in front: for one below it; or for that address. */
bool certificate_carries(struct x509_st *certificate, const char *name);

struct arena;
struct tls_certificate;
void certificate_describe(const struct x509_st *from, struct arena *arena,
                          struct tls_certificate *to);

struct x509_store_st *trust_store(const struct tls_trust *trust); /* stays the trust's */

/* Seal and open tickets, for SSL_CTX_set_tlsext_ticket_key_evp_cb: what its callback returns. */
enum ticket_key_result {
    TICKET_FAILED = -1,
    TICKET_UNKNOWN = 0, /* no key of that name: a full handshake */
    TICKET_OPENED = 1,
    TICKET_SEALED = 1,
    TICKET_RENEWED = 2, /* opened, and the client is sent a new one */
};
int ticket_keys_seal(unsigned char name[16], unsigned char *iv, struct evp_cipher_ctx_st *cipher,
                     struct evp_mac_ctx_st *mac, int64_t now_ms);
int ticket_keys_open(const unsigned char name[16], const unsigned char *iv,
                     struct evp_cipher_ctx_st *cipher, struct evp_mac_ctx_st *mac, int64_t now_ms);

/* What lies in front of a session in the ticket store. Times are ms since 1970. */
struct session_head {
    int64_t until_ms; /* one of TLS 1.2 goes back after use, and is no younger for it */
    int64_t last_ms;  /* nor are those younger that a resumed connection brings: then the server
                       * has to show its certificate again (RFC 8446 4.6.1) */
    bool verified;    /* the certificate was checked when it was made, and held */
};

/* Until when a session that was made now is good: as its server, and `last_ms`, have it. */
int64_t session_until_ms(const struct ssl_session_st *session, int64_t last_ms, int64_t now_ms);

/* Puts a copy of the session into the ticket store. */
void session_store(struct tickets *tickets, struct span key, struct ssl_session_st *session,
                   const struct session_head *head, int64_t now_ms);

/* And back: the caller's reference, or NULL when it is no session. */
struct ssl_session_st *session_of(struct ticket_taken *taken, struct session_head *head);

bool session_is_single_use(const struct ssl_session_st *session);
