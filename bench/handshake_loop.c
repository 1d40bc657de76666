/* What a handshake costs its client, in CPU: the bare OpenSSL loop, and the same through
 * tlspolicy/tls.h with its ticket store. Both ends are in this thread and no socket is in between;
 * only the client's calls are timed. TLS 1.3; the certificate is looked at where a file of CAs is
 * given. For bench/handshake: prints one JSON object, microseconds.
 *
 *     handshake_loop COUNT CERTIFICATE KEY [CA-FILE] */
#include "tlspolicy/tls.h"
#include "tlspolicy/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/ssl.h>

#define TICKETS 2
#define NAME "mx.test" /* the certificate's */

struct files {
    const char *certificate, *key;
    const char *ca; /* NULL: nobody checks */
};

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t first = *(const int64_t *)a, second = *(const int64_t *)b;
    return (first > second) - (first < second);
}

/* Of what `handshake` took, `count` times; the first one is not counted. */
static double median_us(int64_t (*handshake)(void *with), void *with, size_t count)
{
    int64_t *took = must_calloc(count, sizeof(*took));
    handshake(with);
    for (size_t i = 0; i < count; i++)
        took[i] = handshake(with);
    qsort(took, count, sizeof(*took), compare);
    size_t middle = count / 2;
    double median = (double)took[middle] / 1e3;
    free(took);
    return median;
}

/* ---- bare ---- */

struct bare {
    SSL_CTX *client, *server;
    SSL_SESSION *session; /* the newest ticket's */
    bool resume;
};

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct bare *bare = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(bare->session);
    bare->session = session;
    return 1; /* the reference is ours */
}

static void bare_open(struct bare *bare, const struct files *files)
{
    bare->client = SSL_CTX_new(TLS_client_method());
    bare->server = SSL_CTX_new(TLS_server_method());
    must(bare->client != NULL && bare->server != NULL);
    must(SSL_CTX_use_certificate_chain_file(bare->server, files->certificate) == 1);
    must(SSL_CTX_use_PrivateKey_file(bare->server, files->key, SSL_FILETYPE_PEM) == 1);
    must(SSL_CTX_set_num_tickets(bare->server, TICKETS));
    SSL_CTX_set_session_cache_mode(bare->client,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(bare->client, keep_session);
    if (files->ca != NULL) {
        SSL_CTX_set_verify(bare->client, SSL_VERIFY_PEER, NULL);
        must(SSL_CTX_load_verify_file(bare->client, files->ca) == 1);
    }
    must(SSL_CTX_set_app_data(bare->client, bare));
}

static void bare_close(struct bare *bare)
{
    SSL_SESSION_free(bare->session);
    SSL_CTX_free(bare->client);
    SSL_CTX_free(bare->server);
}

static SSL *bare_end(SSL_CTX *context, BIO *in, BIO *out)
{
    SSL *ssl = SSL_new(context);
    must(ssl != NULL && in != NULL && out != NULL);
    BIO_up_ref(in);
    BIO_up_ref(out);
    SSL_set_bio(ssl, in, out);
    return ssl;
}

static int64_t bare_handshake(void *with)
{
    struct bare *bare = with;
    char byte;
    BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
    SSL *server = bare_end(bare->server, up, down);
    SSL_set_accept_state(server);
    int64_t began = cpu_ns();
    SSL *client = bare_end(bare->client, down, up);
    SSL_set_connect_state(client);
    must(SSL_set1_host(client, NAME));
    if (bare->resume && bare->session != NULL)
        must(SSL_set_session(client, bare->session));
    SSL_do_handshake(client);
    int64_t took = cpu_ns() - began;
    SSL_do_handshake(server);
    began = cpu_ns();
    must(SSL_do_handshake(client) == 1);
    took += cpu_ns() - began;
    must(SSL_do_handshake(server) == 1);
    began = cpu_ns();
    SSL_read(client, &byte, 1); /* tickets */
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    must(bare->session == NULL || SSL_session_reused(client) == bare->resume);
    SSL_free(client);
    took += cpu_ns() - began;
    SSL_set_shutdown(server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(server);
    BIO_free(up);
    BIO_free(down);
    return took;
}

/* ---- through tlspolicy ---- */

struct ours {
    struct tickets *tickets;
    struct tls_client *client;
    struct tls_server *server;
    struct tls_wants wants;
    struct tls_trust *trust; /* NULL: nobody checks */
};

static int64_t wall_ms(void)
{
    return (int64_t)time(NULL) * 1000;
}

static void carry(struct tls *from, struct tls *to)
{
    struct span bytes = buffer_span(tls_outgoing(from));
    buffer_append(tls_incoming(to), bytes);
    buffer_consume(tls_outgoing(from), bytes.length);
}

static int64_t our_handshake(void *with)
{
    struct ours *ours = with;
    CLEANUP(buffer_free) struct buffer plain = {0};
    struct tls *server = tls_accept(ours->server);
    int64_t began = cpu_ns();
    struct tls *client = tls_connect(ours->client, &ours->wants);
    tls_handshake(client);
    int64_t took = cpu_ns() - began;
    carry(client, server);
    tls_handshake(server);
    carry(server, client);
    began = cpu_ns();
    must(tls_handshake(client) == TLS_DONE);
    took += cpu_ns() - began;
    carry(client, server);
    must(tls_handshake(server) == TLS_DONE);
    carry(server, client);
    began = cpu_ns();
    must(tls_read(client, &plain, 100) == TLS_MORE);
    tls_free(&client);
    took += cpu_ns() - began;
    tls_free(&server);
    return took;
}

/* ---- both ---- */

static void print_bare(const struct files *files, size_t count)
{
    struct bare bare = {.resume = false};
    bare_open(&bare, files);
    double full = median_us(bare_handshake, &bare, count);
    bare.resume = true;
    double resumed = median_us(bare_handshake, &bare, count);
    printf("\"bare\":{\"full\":%.1f,\"resumed\":%.1f}", full, resumed);
    bare_close(&bare);
}

static void ours_open(struct ours *ours, const struct files *files)
{
    static const char *const name = NAME;
    char why[TLS_WHY_MAX];
    const struct tls_server_options options = {
        .certificate = files->certificate, .key = files->key, .tickets = TICKETS};
    ours->tickets = tickets_create(NULL, 0);
    ours->client = tls_client_create(ours->tickets, wall_ms);
    ours->server = tls_server_create(&options, why);
    ours->wants = (struct tls_wants){.ticket_key = SPAN("key"), .full = true};
    if (files->ca != NULL) {
        ours->wants.check = TLS_CHECK_NAMES;
        ours->wants.names = &name;
        ours->wants.name_count = 1;
        ours->wants.trust = ours->trust = tls_trust_load(files->ca, why);
    }
    must(ours->server != NULL && (files->ca == NULL || ours->trust != NULL));
}

static void ours_close(struct ours *ours)
{
    tls_client_destroy(&ours->client);
    tls_server_destroy(&ours->server);
    tickets_destroy(&ours->tickets);
    if (ours->trust != NULL)
        tls_trust_release(&ours->trust);
}

static void print_ours(const struct files *files, size_t count)
{
    struct ours ours = {.trust = NULL};
    ours_open(&ours, files);
    double full = median_us(our_handshake, &ours, count);
    ours.wants.full = false;
    double resumed = median_us(our_handshake, &ours, count);
    printf("\"ours\":{\"full\":%.1f,\"resumed\":%.1f}", full, resumed);
    ours_close(&ours);
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    if (argc < 4 || argc > 5 || count == 0) {
        fprintf(stderr, "handshake_loop COUNT CERTIFICATE KEY [CA-FILE]\n");
        return EXIT_FAILURE;
    }
    const struct files files = {argv[2], argv[3], argv[4]};
    printf("{");
    print_bare(&files, count);
    printf(",");
    print_ours(&files, count);
    printf("}\n");
    return EXIT_SUCCESS;
}
