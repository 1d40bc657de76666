/* TLS on a channel: handshake, read, write.
 *
 * No socket is touched here: encrypted bytes come in and go out through two buffers that
 * the owner of the socket fills and drains, so the same code runs in tests and simulation.
 * So the end of the stream is the owner's to see too, and a close_notify that never came is
 * no error: SMTP says itself where a reply or a message ends, and a cut shows as one that is
 * not whole. A fatal alert is told even when the stream ended behind it.
 *
 * A context (SSL_CTX) is made once per worker; nothing is parsed per connection. TLS 1.2 at
 * least, no renegotiation, no compression, no early data; X25519 first, P-256 second. */
#pragma once

#include "base/buffer.h"
#include "tlspolicy/tickets.h"

#define TLS_WHY_MAX 256

enum tls_version {
    TLS_VERSION_ANY,
    TLS_VERSION_1_2,
    TLS_VERSION_1_3,
};

/* "1.2" or "1.3"; false for anything else. */
bool tls_version_parse(struct span text, enum tls_version *version);

/* ---- contexts ---- */

struct tls_client; /* for outbound connections of one worker */
struct tls_server; /* for one listener on one worker */

/* `tickets` (may be NULL: no resumption) is borrowed and must outlive the client.
 * `wall_ms` is the clock by which tickets age: ms since 1970. */
struct tls_client *tls_client_create(struct tickets *tickets, int64_t (*wall_ms)(void));
void tls_client_destroy(struct tls_client **client);

struct tls_server_options {
    const char *certificate; /* PEM file: leaf first, then its chain */
    const char *key;         /* PEM file */
    enum tls_version least, most;
    unsigned tickets;        /* TLS 1.3 tickets per full handshake; 0: none, no resumption */
    int64_t (*now_ms)(void); /* the clock by which their keys grow old; NULL: they do not */
};

/* NULL with one line in `why` (what, which file, what to do), as for a key that does not
 * match its certificate. */
struct tls_server *tls_server_create(const struct tls_server_options *options,
                                     char why[TLS_WHY_MAX]);
void tls_server_destroy(struct tls_server **server);

/* Makes DIR/cert.pem and DIR/key.pem (P-256, self-signed, for `name` and localhost, 0600)
 * when they are not there. False with `why` when that is not possible. */
bool tls_self_signed(const char *directory, const char *name, char why[TLS_WHY_MAX]);

/* ---- one channel ---- */

struct tls;

struct tls_wants {
    const char *sni;        /* NULL or an address literal's text: none is sent */
    struct span ticket_key; /* empty: neither resume nor keep */
    enum tls_version least, most;
};

struct tls *tls_connect(struct tls_client *client, const struct tls_wants *wants);
struct tls *tls_accept(struct tls_server *server); /* NULL: OpenSSL has no memory for it */

/* Frees it in a way that leaves its session good for resumption. */
void tls_free(struct tls **tls);

/* Encrypted bytes: the owner appends what the network brought, and sends and consumes what
 * is to go out, after every call below. */
struct buffer *tls_incoming(struct tls *tls);
struct buffer *tls_outgoing(struct tls *tls);

enum tls_progress {
    TLS_DONE,   /* handshake: finished. read: all that can be read now has been */
    TLS_MORE,   /* more bytes from the network are needed */
    TLS_CLOSED, /* the peer said close_notify; what was read before it has been appended */
    TLS_FAILED, /* tls_why() tells; the channel is spoilt. An alert may wait in tls_outgoing() */
};

enum tls_progress tls_handshake(struct tls *tls);

/* Appends up to `most` decrypted bytes to `plain`. TLS_DONE when `most` was reached and more
 * may follow, TLS_MORE when all that came in has been read. */
enum tls_progress tls_read(struct tls *tls, struct buffer *plain, size_t most);

/* Encrypts all of it into tls_outgoing(). False when the channel is spoilt. */
bool tls_write(struct tls *tls, struct span plain);

/* Queues a close_notify. */
void tls_bye(struct tls *tls);

const char *tls_why(const struct tls *tls); /* "" or OpenSSL's reason, one printable line */

struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    bool resumed;
};
void tls_facts(const struct tls *tls, struct tls_facts *facts);
