/* OpenSSL and a blocking socket, and nothing else: what a handshake over TCP costs its client at
 * least. It offers what the relay offers and checks what the relay checks, for what is compared is
 * code, not ciphers; reads are as large as they can be (read_ahead), a session is kept by
 * reference. */
#include "bench/handshake_loop.h"

#include "base/must.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#define WAY "bare"

/* As in tlspolicy/tls.c. */
#define GROUPS "X25519:P-256:P-384:P-521"
#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

struct bare {
    const struct loop_plan *plan;
    SSL_CTX *context;
    SSL_SESSION *session; /* the newest ticket's */
    SSL *ssl;
    int socket;
};

static int keep_session(SSL *ssl, SSL_SESSION *take)
{
    struct bare *bare = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(bare->session);
    bare->session = take;
    return 1; /* the reference is ours */
}

static int check_nothing(X509_STORE_CTX *store, void *nothing)
{
    (void)store, (void)nothing;
    return 1; /* else OpenSSL builds a chain all the same */
}

static void *bare_open(const struct loop_plan *plan)
{
    struct bare *bare = must_calloc(1, sizeof(*bare));
    bare->plan = plan;
    bare->context = SSL_CTX_new(TLS_client_method());
    must(bare->context != NULL && SSL_CTX_set_app_data(bare->context, bare));
    must(SSL_CTX_set_ciphersuites(bare->context, SUITES));
    must(SSL_CTX_set1_groups_list(bare->context, GROUPS));
    SSL_CTX_set_read_ahead(bare->context, 1);
    SSL_CTX_set_session_cache_mode(bare->context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(bare->context, keep_session);
    if (plan->ca == NULL)
        SSL_CTX_set_cert_verify_callback(bare->context, check_nothing, NULL);
    if (plan->ca == NULL)
        return bare;
    SSL_CTX_set_verify(bare->context, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_load_verify_file(bare->context, plan->ca) != 1)
        loop_fail(WAY, "cannot read the CA's certificate", plan->ca);
    return bare;
}

static void bare_close(void **client)
{
    struct bare *bare = *client;
    SSL_SESSION_free(bare->session);
    SSL_CTX_free(bare->context);
    free(bare);
    *client = NULL;
}

static void tcp_connect(struct bare *bare)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(bare->plan->to.port)};
    const int on = 1;
    must(bare->plan->to.ip.family == 4);
    memcpy(&to.sin_addr, bare->plan->to.ip.bytes, 4);
    bare->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bare->socket >= 0);
    must(setsockopt(bare->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    if (connect(bare->socket, (const struct sockaddr *)&to, sizeof(to)) != 0)
        loop_fail(WAY, "cannot connect", strerror(errno));
}

static void fail_openssl(const char *what)
{
    char why[256];
    ERR_error_string_n(ERR_get_error(), why, sizeof(why));
    loop_fail(WAY, what, why);
}

/* A session of TLS 1.3 is used once; one of 1.2 until its server gives another. */
static void show_session(struct bare *bare)
{
    must(SSL_set_session(bare->ssl, bare->session));
    if (SSL_SESSION_get_protocol_version(bare->session) < TLS1_3_VERSION)
        return;
    SSL_SESSION_free(bare->session);
    bare->session = NULL;
}

static bool bare_connect(void *client)
{
    struct bare *bare = client;
    tcp_connect(bare);
    bare->ssl = SSL_new(bare->context);
    must(bare->ssl != NULL && SSL_set_fd(bare->ssl, bare->socket));
    char name[] = LOOP_NAME; /* OpenSSL's macro takes no const */
    must(SSL_set_tlsext_host_name(bare->ssl, name));
    if (bare->plan->ca != NULL)
        must(SSL_set1_host(bare->ssl, LOOP_NAME));
    if (bare->plan->resumes && bare->session != NULL)
        show_session(bare);
    if (SSL_connect(bare->ssl) != 1)
        fail_openssl("the handshake failed");
    return SSL_session_reused(bare->ssl);
}

static void bare_say(void *client, struct span bytes)
{
    struct bare *bare = client;
    size_t count;
    if (SSL_write_ex(bare->ssl, bytes.data, bytes.length, &count) != 1 || count != bytes.length)
        fail_openssl("cannot write");
}

static void bare_hear(void *client, unsigned lines)
{
    struct bare *bare = client;
    char bytes[4096];
    size_t count;
    for (unsigned heard = 0; heard < lines;) {
        if (SSL_read_ex(bare->ssl, bytes, sizeof(bytes), &count) != 1)
            fail_openssl("cannot read");
        for (size_t i = 0; i < count; i++)
            heard += bytes[i] == '\n';
    }
}

static void bare_part(void *client)
{
    struct bare *bare = client;
    SSL_shutdown(bare->ssl);
    SSL_free(bare->ssl);
    close(bare->socket);
}

const struct loop_way loop_bare = {
    .name = WAY,
    .open = bare_open,
    .connect = bare_connect,
    .say = bare_say,
    .hear = bare_hear,
    .part = bare_part,
    .close = bare_close,
};
