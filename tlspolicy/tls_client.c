/* The client's side: its context, the sessions it keeps for resumption, and what a connection
 * asks for. */
#include "base/ip.h"
#include "tlspolicy/tls_inside.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* Authenticating nobody we can lose nothing by a weak key that we would not lose by going on in
 * clear, which is what `may` does when a handshake fails: so 1024-bit keys pass. Anonymous and
 * NULL ciphers stay out. */
#define CLIENT_CIPHERS "DEFAULT@SECLEVEL=1"

static struct span key_of(const struct tls *tls)
{
    return (struct span){tls->ticket_key, tls->ticket_key_length};
}

/* ---- sessions for resumption ---- */

static void keep_session(struct tls *tls, const SSL_SESSION *session, int64_t until_ms)
{
    char bytes[TICKET_BYTES_MAX];
    struct span ticket = {bytes, session_pack(session, until_ms, bytes)};
    int64_t now_ms = tls->client->wall_ms();
    tickets_put(tls->client->tickets, key_of(tls), ticket, until_ms - now_ms, now_ms);
    explicit_bzero(bytes, ticket.length);
}

/* OpenSSL made a session: after a full handshake, or from a ticket that came with a read. */
static int session_made(SSL *ssl, SSL_SESSION *session)
{
    struct tls *tls = SSL_get_app_data(ssl);
    if (tls->ticket_key == NULL || tls->tickets_kept >= TICKETS_PER_CONNECTION)
        return 0;
    tls->tickets_kept++;
    keep_session(tls, session, tls->client->wall_ms() + session_life_ms(session));
    return 0; /* the reference stays OpenSSL's */
}

static void show_ticket(struct tls *tls)
{
    size_t length;
    int64_t until_ms;
    struct tickets *tickets = tls->client->tickets;
    char *ticket = tickets_take(tickets, key_of(tls), tls->client->wall_ms(), &length);
    if (ticket == NULL)
        return;
    SSL_SESSION *session = session_unpack((struct span){ticket, length}, &until_ms);
    tls->ticket_on_trial = session != NULL && SSL_set_session(tls->ssl, session);
    /* A session of TLS 1.3 is used once (RFC 8446 C.4). One of 1.2 goes back at once: its
     * server gives no second one, and it is purged if the handshake fails. */
    if (tls->ticket_on_trial && !session_is_single_use(session))
        keep_session(tls, session, until_ms);
    SSL_SESSION_free(session);
    explicit_bzero(ticket, length);
    free(ticket);
    ERR_clear_error(); /* a session that cannot be read or used is only not resumed */
}

void tls_condemn_ticket(struct tls *tls)
{
    if (tls->ticket_on_trial)
        tickets_purge(tls->client->tickets, key_of(tls));
    tls->ticket_on_trial = false;
}

/* ---- the context ---- */

/* At these levels nobody asks whose certificate it is, so no chain is built. The result says
 * so, lest somebody take it for a good one. */
static int verify_nothing(X509_STORE_CTX *store, void *nothing)
{
    (void)nothing;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 1;
}

struct tls_client *tls_client_create(struct tickets *tickets, int64_t (*wall_ms)(void))
{
    struct tls_client *client = must_calloc(1, sizeof(*client));
    client->context = tls_context_create(TLS_client_method(), CLIENT_CIPHERS);
    client->tickets = tickets;
    client->wall_ms = wall_ms;
    SSL_CTX_set_verify(client->context, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_cert_verify_callback(client->context, verify_nothing, NULL);
    /* Servers without RFC 5746: what that lets an attacker do is to pose as a client, which
     * without authentication anybody can. */
    SSL_CTX_set_options(client->context, SSL_OP_LEGACY_SERVER_CONNECT);
    if (tickets == NULL) {
        SSL_CTX_set_options(client->context, SSL_OP_NO_TICKET);
        SSL_CTX_set_session_cache_mode(client->context, SSL_SESS_CACHE_OFF);
    } else {
        SSL_CTX_set_session_cache_mode(client->context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(client->context, session_made);
    }
    return client;
}

void tls_client_destroy(struct tls_client **client)
{
    if (*client == NULL)
        return;
    SSL_CTX_free((*client)->context);
    free(*client);
    *client = NULL;
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

struct tls *tls_connect(struct tls_client *client, const struct tls_wants *wants)
{
    struct tls *tls = tls_create(client->context);
    must(tls != NULL);
    tls->client = client;
    must(SSL_set_min_proto_version(tls->ssl, tls_wire_version(wants->least, TLS1_2_VERSION)));
    must(SSL_set_max_proto_version(tls->ssl, tls_wire_version(wants->most, TLS1_3_VERSION)));
    set_sni(tls, wants->sni);
    if (client->tickets != NULL && wants->ticket_key.length > 0) {
        tls->ticket_key = span_copy(wants->ticket_key);
        tls->ticket_key_length = wants->ticket_key.length;
        show_ticket(tls);
    }
    SSL_set_connect_state(tls->ssl);
    return tls;
}
