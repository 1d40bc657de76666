/* The server's side: one context per listener and worker, and the tickets it seals. */
#include "tlspolicy/tls_inside.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* Our own certificate answers for the keys here: Debian's default level holds. */
#define SERVER_CIPHERS "DEFAULT"

struct tls_server {
    SSL_CTX *context;
    int64_t (*now_ms)(void);
};

static int ticket_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                      EVP_MAC_CTX *mac, int seal)
{
    const struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    int64_t now_ms = server->now_ms ? server->now_ms() : 0;
    if (seal)
        return ticket_keys_seal(name, iv, cipher, mac, now_ms);
    int opened = ticket_keys_open(name, iv, cipher, mac, now_ms);
    /* A ticket of 1.3 is used once (RFC 8446 C.4): its client needs a new one. */
    return opened == TICKET_OPENED && SSL_version(ssl) == TLS1_3_VERSION ? TICKET_RENEWED : opened;
}

/* Any worker's context must know the tickets of any other: one set of keys per process. What
 * keeps listeners with different certificates apart is the session id context. */
static void allow_resumption(SSL_CTX *context, unsigned tickets)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets hold all there is */
    must(SSL_CTX_set_num_tickets(context, tickets));
    if (tickets == 0) {
        SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
        return;
    }
    must(X509_digest(SSL_CTX_get0_certificate(context), EVP_sha256(), digest, &length));
    must(length <= SSL_MAX_SID_CTX_LENGTH);
    must(SSL_CTX_set_session_id_context(context, digest, length));
    must(SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key));
    SSL_CTX_set_timeout(context, TLS_TICKET_LIFE_MS / 1000);
}

static bool server_fill(SSL_CTX *context, const struct tls_server_options *options,
                        char why[TLS_WHY_MAX])
{
    int least = tls_wire_version(options->least, TLS1_2_VERSION);
    int most = tls_wire_version(options->most, TLS1_3_VERSION);
    if (least > most) {
        why_print(why, "TLS versions: the least is above the most: exchange them");
        return false;
    }
    must(SSL_CTX_set_min_proto_version(context, least));
    must(SSL_CTX_set_max_proto_version(context, most));
    if (!certificate_load(context, options, why))
        return false;
    allow_resumption(context, options->tickets);
    return true;
}

struct tls_server *tls_server_create(const struct tls_server_options *options,
                                     char why[TLS_WHY_MAX])
{
    ERR_clear_error();
    why[0] = '\0';
    struct tls_server *server = must_calloc(1, sizeof(*server));
    server->context = tls_context_create(TLS_server_method(), SERVER_CIPHERS);
    server->now_ms = options->now_ms;
    must(SSL_CTX_set_app_data(server->context, server));
    if (!server_fill(server->context, options, why))
        tls_server_destroy(&server);
    return server;
}

void tls_server_destroy(struct tls_server **server)
{
    if (*server == NULL)
        return;
    SSL_CTX_free((*server)->context);
    free(*server);
    *server = NULL;
}

struct tls *tls_accept(struct tls_server *server)
{
    struct tls *tls = tls_create(server->context);
    if (tls != NULL)
        SSL_set_accept_state(tls->ssl);
    return tls;
}
