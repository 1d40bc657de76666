#include "tlspolicy/tls.h"

#include "tlspolicy/tls_inside.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define RECORD_MAX 16384 /* plaintext of one record, RFC 8446 5.1 */
#define GROUPS "X25519:P-256:P-384:P-521"

/* The one that all must know (RFC 8446 9.1) before the one that is OpenSSL's first: processors have
 * instructions for SHA-256, and a resumed handshake is a tenth cheaper for it. */
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

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

int tls_wire_version(enum tls_version version, int any)
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

SSL_CTX *tls_context_create(const SSL_METHOD *method, const char *ciphers)
{
    static pthread_once_t prepared = PTHREAD_ONCE_INIT;
    pthread_once(&prepared, prepare_process);
    SSL_CTX *context = SSL_CTX_new(method);
    must(context != NULL);
    must(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION));
    must(SSL_CTX_set_cipher_list(context, ciphers));
    must(SSL_CTX_set_ciphersuites(context, SUITES));
    must(SSL_CTX_set1_groups_list(context, GROUPS));
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

/* ---- one channel ---- */

struct tls *tls_create(SSL_CTX *context)
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

void tls_free(struct tls **tls)
{
    struct tls *gone = *tls;
    if (gone == NULL)
        return;
    if (!gone->established) /* a stall counts as a failure */
        tls_condemn_ticket(gone);
    /* Without a close_notify both ways OpenSSL holds the session for a bad one. */
    SSL_set_shutdown(gone->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(gone->ssl);
    buffer_free(&gone->incoming);
    buffer_free(&gone->outgoing);
    verify_free(&gone->verification);
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

static enum tls_progress fail(struct tls *tls)
{
    if (!tls->spoilt)
        tls_tell_openssl(tls);
    ERR_clear_error();
    tls->spoilt = true;
    tls_condemn_ticket(tls);
    return TLS_FAILED;
}

enum tls_progress tls_handshake(struct tls *tls)
{
    if (tls->spoilt)
        return TLS_FAILED;
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1)
        return SSL_get_error(tls->ssl, result) == SSL_ERROR_WANT_READ ? TLS_MORE : fail(tls);
    if (!tls->established)
        tls_tell_rejected(tls);
    tls->established = true;
    if (verify_ends(tls))
        return TLS_DONE;
    tls->spoilt = true;
    return fail(tls);
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
    facts->ticket_shown = tls->ticket_shown;
    facts->verified = tls->established && verify_held(tls);
    facts->fault = tls->fault;
}
