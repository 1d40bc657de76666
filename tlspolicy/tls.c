#include "tlspolicy/tls.h"

#include "base/ip.h"
#include "tlspolicy/openssl.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define RECORD_MAX 16384 /* plaintext of one record, RFC 8446 5.1 */
#define GROUPS "X25519:P-256:P-384:P-521"

/* A client that authenticates nobody can lose nothing by a weak key that it would not lose by
 * going on in clear, which is what `may` does when a handshake fails: so 1024-bit keys pass.
 * Anonymous and NULL ciphers stay out. Our own certificate answers for the server's side,
 * where Debian's default level holds. */
#define CLIENT_CIPHERS "DEFAULT@SECLEVEL=1"
#define SERVER_CIPHERS "DEFAULT"

struct tls_client {
    SSL_CTX *context;
    struct tickets *tickets;
    int64_t (*wall_ms)(void);
};

struct tls_server {
    SSL_CTX *context;
    int64_t (*now_ms)(void);
};

struct tls {
    SSL *ssl;
    struct buffer incoming, outgoing;
    struct tls_client *client; /* NULL on the server's side */
    char *ticket_key;
    size_t ticket_key_length;
    unsigned tickets_kept;
    bool ticket_on_trial; /* a ticket was shown, and nothing proves yet that it was a good one */
    bool established, spoilt;
    char why[TLS_WHY_MAX];
};

static struct span key_of(const struct tls *tls)
{
    return (struct span){tls->ticket_key, tls->ticket_key_length};
}

/* ---- what went wrong ---- */

void why_print(char why[TLS_WHY_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, TLS_WHY_MAX, format, arguments);
    va_end(arguments);
}

void openssl_reason(char *to, size_t size)
{
    const char *data = NULL;
    int flags = 0;
    unsigned long code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags);
    const char *reason =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
    bool has_data = (flags & ERR_TXT_STRING) && data && data[0] != '\0' && !ERR_SYSTEM_ERROR(code);
    snprintf(to, size, "%s%s%s", reason ? reason : "no reason given", has_data ? ": " : "",
             has_data ? data : "");
    for (char *c = to; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    ERR_clear_error();
}

/* The ticket that was shown may be why: its like are not tried again. */
static void condemn_ticket(struct tls *tls)
{
    if (tls->ticket_on_trial)
        tickets_purge(tls->client->tickets, key_of(tls));
    tls->ticket_on_trial = false;
}

static enum tls_progress fail(struct tls *tls)
{
    if (!tls->spoilt)
        openssl_reason(tls->why, sizeof(tls->why));
    ERR_clear_error();
    tls->spoilt = true;
    condemn_ticket(tls);
    return TLS_FAILED;
}

/* ---- versions ---- */

bool tls_version_parse(struct span text, enum tls_version *version)
{
    if (span_equal(text, SPAN("1.2")))
        *version = TLS_VERSION_1_2;
    else if (span_equal(text, SPAN("1.3")))
        *version = TLS_VERSION_1_3;
    else
        return false;
    return true;
}

static int wire_version(enum tls_version version, int any)
{
    switch (version) {
    case TLS_VERSION_ANY: return any;
    case TLS_VERSION_1_2: return TLS1_2_VERSION;
    case TLS_VERSION_1_3: return TLS1_3_VERSION;
    }
    must_not_reach();
}

/* ---- the two buffers as OpenSSL sees them ---- */

static int incoming_read(BIO *bio, char *to, size_t length, size_t *count)
{
    struct tls *tls = BIO_get_data(bio);
    struct span have = buffer_span(&tls->incoming);
    BIO_clear_retry_flags(bio);
    if (have.data == NULL || have.length == 0) { /* the stream's end is its owner's to see */
        BIO_set_retry_read(bio);
        return 0;
    }
    *count = length < have.length ? length : have.length;
    memcpy(to, have.data, *count);
    buffer_consume(&tls->incoming, *count);
    return 1;
}

static int outgoing_write(BIO *bio, const char *from, size_t length, size_t *count)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buffer_append(&tls->outgoing, (struct span){from, length});
    *count = length;
    return 1;
}

static long buffers_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/* ---- once per process ---- */

static BIO_METHOD *buffers_method;

static void prepare_process(void)
{
    buffers_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "two buffers");
    must(buffers_method != NULL);
    BIO_meth_set_read_ex(buffers_method, incoming_read);
    BIO_meth_set_write_ex(buffers_method, outgoing_write);
    BIO_meth_set_ctrl(buffers_method, buffers_control);
}

static SSL_CTX *context_create(const SSL_METHOD *method, const char *ciphers)
{
    static pthread_once_t prepared = PTHREAD_ONCE_INIT;
    pthread_once(&prepared, prepare_process);
    SSL_CTX *context = SSL_CTX_new(method);
    must(context != NULL);
    must(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION));
    must(SSL_CTX_set_cipher_list(context, ciphers));
    must(SSL_CTX_set1_groups_list(context, GROUPS));
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
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

/* ---- the client's context ---- */

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
    client->context = context_create(TLS_client_method(), CLIENT_CIPHERS);
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

/* ---- the server's context ---- */

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
    SSL_CTX_set_timeout(context, TICKET_LIFE_MS / 1000);
}

static bool server_fill(SSL_CTX *context, const struct tls_server_options *options,
                        char why[TLS_WHY_MAX])
{
    int least = wire_version(options->least, TLS1_2_VERSION);
    int most = wire_version(options->most, TLS1_3_VERSION);
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
    server->context = context_create(TLS_server_method(), SERVER_CIPHERS);
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

/* ---- one channel ---- */

/* NULL when OpenSSL has no memory for it. */
static struct tls *channel_create(SSL_CTX *context)
{
    SSL *ssl = SSL_new(context);
    BIO *bio = BIO_new(buffers_method);
    if (ssl == NULL || bio == NULL) {
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return NULL;
    }
    struct tls *tls = must_calloc(1, sizeof(*tls));
    tls->ssl = ssl;
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    must(SSL_set_app_data(tls->ssl, tls));
    return tls;
}

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
    struct tls *tls = channel_create(client->context);
    must(tls != NULL);
    tls->client = client;
    must(SSL_set_min_proto_version(tls->ssl, wire_version(wants->least, TLS1_2_VERSION)));
    must(SSL_set_max_proto_version(tls->ssl, wire_version(wants->most, TLS1_3_VERSION)));
    set_sni(tls, wants->sni);
    if (client->tickets != NULL && wants->ticket_key.length > 0) {
        tls->ticket_key = span_copy(wants->ticket_key);
        tls->ticket_key_length = wants->ticket_key.length;
        show_ticket(tls);
    }
    SSL_set_connect_state(tls->ssl);
    return tls;
}

struct tls *tls_accept(struct tls_server *server)
{
    struct tls *tls = channel_create(server->context);
    if (tls != NULL)
        SSL_set_accept_state(tls->ssl);
    return tls;
}

void tls_free(struct tls **tls)
{
    struct tls *gone = *tls;
    if (gone == NULL)
        return;
    if (!gone->established) /* a stall counts as a failure */
        condemn_ticket(gone);
    /* Without a close_notify both ways OpenSSL holds the session for a bad one. */
    SSL_set_shutdown(gone->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(gone->ssl);
    buffer_free(&gone->incoming);
    buffer_free(&gone->outgoing);
    free(gone->ticket_key);
    free(gone);
    *tls = NULL;
}

struct buffer *tls_incoming(struct tls *tls)
{
    return &tls->incoming;
}

struct buffer *tls_outgoing(struct tls *tls)
{
    return &tls->outgoing;
}

enum tls_progress tls_handshake(struct tls *tls)
{
    if (tls->spoilt)
        return TLS_FAILED;
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result == 1) {
        tls->established = true;
        return TLS_DONE;
    }
    return SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ ? TLS_MORE : fail(tls);
}

enum tls_progress tls_read(struct tls *tls, struct buffer *plain, size_t most)
{
    must(tls->established);
    if (tls->spoilt)
        return TLS_FAILED;
    ERR_clear_error();
    while (most > 0) {
        size_t count, room = most < RECORD_MAX ? most : RECORD_MAX;
        int result = SSL_read_ex(tls->ssl, buffer_room(plain, room), room, &count);
        if (result != 1) {
            int error = SSL_get_error(tls->ssl, result);
            if (error == SSL_ERROR_WANT_READ)
                return TLS_MORE;
            return error == SSL_ERROR_ZERO_RETURN ? TLS_CLOSED : fail(tls);
        }
        tls->ticket_on_trial = false;
        buffer_grew(plain, count);
        most -= count;
    }
    return TLS_DONE;
}

bool tls_write(struct tls *tls, struct span plain)
{
    size_t count;
    must(tls->established);
    if (tls->spoilt)
        return false;
    if (plain.length == 0)
        return true;
    ERR_clear_error();
    if (SSL_write_ex(tls->ssl, plain.data, plain.length, &count) != 1) {
        fail(tls);
        return false;
    }
    must(count == plain.length);
    return true;
}

void tls_bye(struct tls *tls)
{
    if (!tls->established || tls->spoilt)
        return;
    SSL_shutdown(tls->ssl); /* 0: the peer's own is not awaited */
    ERR_clear_error();
}

const char *tls_why(const struct tls *tls)
{
    return tls->why;
}

void tls_facts(const struct tls *tls, struct tls_facts *facts)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(tls->ssl);
    facts->version = SSL_get_version(tls->ssl);
    facts->cipher = cipher ? SSL_CIPHER_get_name(cipher) : "";
    facts->resumed = SSL_session_reused(tls->ssl);
}
