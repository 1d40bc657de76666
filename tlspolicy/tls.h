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
#include "tlspolicy/tlsa.h"

#define TLS_WHY_MAX 256

enum tls_version {
    TLS_VERSION_ANY,
    TLS_VERSION_1_2,
    TLS_VERSION_1_3,
};

/* "1.2" or "1.3"; false for anything else. */
bool tls_version_parse(struct span text, enum tls_version *version);

/* ---- contexts ---- */

struct tls_trust;
struct tls_client; /* for outbound connections of one worker */
struct tls_server; /* for one listener on one worker */

/* `tickets` (may be NULL: no resumption) is borrowed and must outlive the client.
 * `wall_ms` is the clock by which tickets age: ms since 1970. */
struct tls_client *tls_client_create(struct tickets *tickets, int64_t (*wall_ms)(void));
void tls_client_destroy(struct tls_client **client);

#define TLS_TICKET_LIFE_MS INT64_C(7200000) /* of those that a server of ours gives */

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

enum tls_check {                    /* what the server's certificate is held against */
                 TLS_CHECK_NOTHING, /* no chain is built, and weak keys pass */
                 TLS_CHECK_NAMES,   /* trusted, within its dates, one of `names` (RFC 9525) */
                 TLS_CHECK_DANE,    /* one of `records` (RFC 7672); names are for usage 2 only */
                 TLS_CHECK_FINGERPRINTS, /* one of `fingerprints`: of the certificate, or of its key
                                          */
};

/* All of it is copied. */
struct tls_wants {
    const char *sni;        /* NULL or an address literal's text: none is sent */
    struct span ticket_key; /* empty: neither resume nor keep. Holds all that is checked */
    bool full;              /* none is shown; those that come are kept */
    enum tls_version least, most;
    const char *ciphers; /* for TLS 1.2, as openssl-ciphers(1) has it; NULL: the default */
    enum tls_check check;
    bool check_only;          /* what does not hold is told, and the handshake goes on */
    const char *const *names; /* "mx.example"; ".example": one label or more in front of it;
                                 "[192.0.2.1]". One of them must be the certificate's */
    unsigned name_count;
    const struct tlsa *records;
    unsigned record_count;
    const char *tlsa_base;                  /* RFC 7672 3.2.2: the first of the names */
    const struct fingerprint *fingerprints; /* SHA-256 */
    unsigned fingerprint_count;
    const struct tls_trust *trust; /* who vouches for names; NULL: the system's CAs */
};

/* Whether that is a list of ciphers; else false with one line in `why`. */
bool tls_ciphers_check(const char *ciphers, char why[TLS_WHY_MAX]);

/* Where `wants` cannot be met at all (no name to look for, no record that can be used), the
 * handshake fails before a byte was sent. */
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

/* "" or one printable line: what was expected and what came, or OpenSSL's reason. */
const char *tls_why(const struct tls *tls);

enum tls_fault { /* what kind of thing tls_why() tells of */
                 TLS_FAULT_NONE,
                 TLS_FAULT_PROTOCOL, /* no TLS, or none that both can speak */
                 TLS_FAULT_ALERT,    /* the peer said so */
                 TLS_FAULT_NAME,     /* the certificate is trusted, and another's */
                 TLS_FAULT_EXPIRED,  /* outside its dates */
                 TLS_FAULT_CHAIN,    /* not trusted, for any other reason */
                 TLS_FAULT_TLSA,     /* no record matches, or none can be used */
                 TLS_FAULT_FINGERPRINT,
};
#define TLS_FAULTS 8

/* The word for who tells of it: "protocol", "alert", "name", "expired", … */
const char *tls_fault_name(enum tls_fault fault);

struct tls_facts {
    const char *version; /* "TLSv1.3" */
    const char *cipher;
    bool resumed;
    bool ticket_shown;    /* whatever the server made of it */
    bool verified;        /* what was to be checked was, now or when the session was made */
    enum tls_fault fault; /* with check_only of a handshake that went on, too */
};
void tls_facts(const struct tls *tls, struct tls_facts *facts);
