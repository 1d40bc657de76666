/* SASL, the client's side (RFC 4422): one exchange by one mechanism, on libgsasl, which nobody else
 * of this side includes; OAUTHBEARER and XOAUTH2, a string each, are ours.
 *
 * A state machine that its owner feeds with the server's challenges; it does no I/O and never
 * waits. When it needs the secret it asks: EXCHANGE_WANTS. It is complete when all was said and the
 * server, where the mechanism has it so, has proven that it knows the secret as well. */
#pragma once

#include "base/buffer.h"
#include "relay/smtp/auth.h"

#define SCRAM_ITERATIONS_MOST                                                                      \
    1000000                  /* a server that wants more of PBKDF2, a second, is refused           \
                              */
#define SCRAM_SALT_MAX 256   /* bytes */
#define SCRAM_SALTED_TEXT 65 /* in hex, with a NUL */

struct exchange;

struct exchange_terms { /* strings are borrowed for the exchange's life */
    enum auth_mechanism mechanism;
    const char *user;
    const char *host; /* as the operator or DNS calls it; for DIGEST-MD5 and OAUTHBEARER */
    uint16_t port;
};

/* What is wanted: the password or token; of SCRAM the password, salted. */
struct exchange_want {
    bool salted;
    enum auth_mechanism mechanism;
    unsigned iterations;
    uint8_t salt[SCRAM_SALT_MAX];
    size_t salt_length;
};

enum exchange_result {
    EXCHANGE_SAYS,    /* send exchange_said(), then step with what comes */
    EXCHANGE_WANTS,   /* exchange_give() what exchange_want() says */
    EXCHANGE_REFUSED, /* over, by us: exchange_why() */
};

struct exchange *exchange_begin(const struct exchange_terms *terms);
void exchange_free(struct exchange **exchange);

/* Whether there is an initial response: step with "" first. Else the server begins. */
bool exchange_client_begins(enum auth_mechanism mechanism);

/* `challenge` in base64, as it came. */
enum exchange_result exchange_step(struct exchange *exchange, struct span challenge);
/* Goes on with the secret (in hex, when it was to be salted), of which it makes a copy. */
enum exchange_result exchange_give(struct exchange *exchange, const char *secret);

struct exchange_want exchange_want(const struct exchange *exchange);
enum auth_mechanism exchange_mechanism(const struct exchange *exchange);
struct span exchange_said(const struct exchange *exchange); /* in base64; may be empty */
const char *exchange_why(const struct exchange *exchange);  /* or NULL; what the server gave as a
                                                               reason is printable */
/* A yes of the server counts. */
bool exchange_is_complete(const struct exchange *exchange);
/* Whether the server's words hold something of the secret, or of what was said: they must not be
 * shown to anybody then. */
bool exchange_is_repeated(const struct exchange *exchange, struct span words);

/* PBKDF2, a microsecond an iteration: not on an event loop. False when such a password cannot be
 * used (RFC 4013). */
bool scram_salt(const struct exchange_want *want, const char *password,
                char salted[SCRAM_SALTED_TEXT]);
