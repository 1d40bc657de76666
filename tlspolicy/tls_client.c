/* The client's side: its context, and what a connection asks for. */
#include "base/ip.h"
#include "tlspolicy/tls_inside.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* Authenticating nobody we can lose nothing by a weak key that we would not lose by going on in
 * clear, which is what `may` does when a handshake fails: so 1024-bit keys pass. Anonymous and
 * NULL ciphers stay out. Who is asked for a name must have keys that are worth it. */
#define LENIENT_CIPHERS "DEFAULT@SECLEVEL=1"
#define STRICT_CIPHERS "DEFAULT@SECLEVEL=2"

#define CHAIN_DEPTH_MAX 10 /* certificates between the server's and one that is trusted */

static SSL_CTX *client_context(const struct tls_client *client, const char *ciphers, int verify)
{
    SSL_CTX *context = tls_context_create(TLS_client_method(), ciphers);
    SSL_CTX_set_verify(context, verify, NULL);
    SSL_CTX_set_cert_verify_callback(context, verify_certificate, NULL);
    SSL_CTX_set_verify_depth(context, CHAIN_DEPTH_MAX);
    must(SSL_CTX_dane_enable(context) > 0);
    tls_allow_resumption(context, client->tickets);
    return context;
}

struct tls_client *tls_client_create(struct tickets *tickets, int64_t (*wall_ms)(void))
{
    struct tls_client *client = must_calloc(1, sizeof(*client));
    client->tickets = tickets;
    client->wall_ms = wall_ms;
    client->lenient = client_context(client, LENIENT_CIPHERS, SSL_VERIFY_NONE);
    client->strict = client_context(client, STRICT_CIPHERS, SSL_VERIFY_PEER);
    /* Servers without RFC 5746: what that lets an attacker do is to pose as a client, which
     * without authentication anybody can. */
    SSL_CTX_set_options(client->lenient, SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_clear_options(client->strict, SSL_OP_LEGACY_SERVER_CONNECT);
    return client;
}

void tls_client_destroy(struct tls_client **client)
{
    if (*client == NULL)
        return;
    SSL_CTX_free((*client)->lenient);
    SSL_CTX_free((*client)->strict);
    free(*client);
    *client = NULL;
}

bool tls_ciphers_check(const char *ciphers, char why[TLS_WHY_MAX])
{
    SSL_CTX *context = tls_context_create(TLS_client_method(), STRICT_CIPHERS);
    bool known = SSL_CTX_set_cipher_list(context, ciphers) == 1;
    why[0] = '\0';
    if (!known)
        why_print(why,
                  "no cipher of TLS 1.2 is in that list: `openssl ciphers -v LIST` shows what is");
    SSL_CTX_free(context);
    ERR_clear_error();
    return known;
}

/* ---- one channel ---- */

/* RFC 6066 3: a host name, never an address. What cannot be one is not sent. */
static void set_sni(struct tls *tls, const char *name)
{
    struct ip ip;
    char host[TLSEXT_MAXLEN_host_name + 1];
    size_t length = name ? strlen(name) : 0;
    if (length == 0 || length >= sizeof(host) || name[0] == '[' || ip_parse(span_of(name), &ip))
        return;
    memcpy(host, name, length + 1); /* OpenSSL's macro takes no const */
    must(SSL_set_tlsext_host_name(tls->ssl, host));
}

/* False: spoilt before it began. */
static bool set_terms(struct tls *tls, const struct tls_wants *wants)
{
    must(SSL_set_min_proto_version(tls->ssl, tls_wire_version(wants->least, TLS1_2_VERSION)));
    must(SSL_set_max_proto_version(tls->ssl, tls_wire_version(wants->most, TLS1_3_VERSION)));
    set_sni(tls, wants->sni);
    if (wants->ciphers != NULL && SSL_set_cipher_list(tls->ssl, wants->ciphers) != 1) {
        ERR_clear_error();
        tls_tell(tls, TLS_FAULT_PROTOCOL, "no cipher of TLS 1.2 is in the list \"%s\"",
                 wants->ciphers);
        return false;
    }
    return verify_prepare(tls, wants);
}

struct tls *tls_connect(struct tls_client *client, const struct tls_wants *wants)
{
    bool strict = wants->check != TLS_CHECK_NOTHING && !wants->check_only;
    struct tls *tls = tls_create(strict ? client->strict : client->lenient);
    must(tls != NULL);
    tls->client = client;
    tls->spoilt = !set_terms(tls, wants);
    if (!tls->spoilt)
        tls_resume(tls, wants);
    SSL_set_connect_state(tls->ssl);
    return tls;
}
