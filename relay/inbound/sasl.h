/* SASL, the server's side (RFC 4422), on libgsasl, which nobody else includes: PLAIN (RFC 4616),
 * LOGIN, CRAM-MD5 (RFC 2195) and SCRAM-SHA-256 (RFC 7677).
 *
 * An exchange is a state machine that its owner feeds with the client's responses; it does no I/O
 * and never waits. PLAIN and LOGIN bring a password, and to check that takes long: SASL_CHECK
 * leaves it to the owner. No secret leaves it otherwise, and our copies are wiped (libgsasl frees
 * its own as they are). */
#pragma once

#include "base/buffer.h"
#include "queue/message.h"
#include "relay/secret.h"

#define SASL_LINE_MAX 12288          /* bytes of a response with CRLF (RFC 4954 4) */
#define SASL_NAME_MAX USER_MAX_BYTES /* of a user's name: what the spool keeps */
#define SASL_PASSWORD_MAX 1024

struct users;

enum sasl_mechanism { /* in the order in which they are offered */
                      SASL_SCRAM_SHA_256,
                      SASL_PLAIN,
                      SASL_LOGIN,
                      SASL_CRAM_MD5, /* needs passwords in clear: only where users_have_clear() */
};
#define SASL_MECHANISMS 4

const char *sasl_mechanism_name(enum sasl_mechanism mechanism); /* "SCRAM-SHA-256" */
/* Any case. False when it is none that is offered with these users. */
bool sasl_mechanism_find(const struct users *users, struct span name,
                         enum sasl_mechanism *mechanism);
/* The server speaks first, and there is no initial response. */
bool sasl_server_begins(enum sasl_mechanism mechanism);

/* ---- an exchange ---- */

enum sasl_result {
    SASL_CHALLENGE, /* send sasl_challenge(), then step with what comes */
    SASL_CHECK,     /* users_check() whether sasl_password() is that of sasl_name(), then
                       sasl_checked() */
    SASL_DONE,      /* it is sasl_name() */
    SASL_NO_BASE64, /* over: 501 5.5.2 */
    SASL_REFUSED,   /* over: 535 5.7.8 */
};

struct sasl;

struct sasl *sasl_begin(enum sasl_mechanism mechanism, const struct users *users);
void sasl_free(struct sasl **sasl);

/* `response` as it came, in base64. The first one is the initial response, or empty. */
enum sasl_result sasl_step(struct sasl *sasl, struct span response);
enum sasl_result sasl_checked(struct sasl *sasl, bool fits);

struct span sasl_challenge(const struct sasl *sasl); /* in base64; may be empty */
enum sasl_mechanism sasl_mechanism_of(const struct sasl *sasl);
/* As the client says it: prepared (RFC 4013), so UTF-8 without control characters; "" until it
 * has been said. It is true after SASL_DONE only. */
const char *sasl_name(const struct sasl *sasl);
const char *sasl_password(const struct sasl *sasl); /* at SASL_CHECK */

/* ---- what libgsasl has for others ---- */

#define SCRAM_KEY_BYTES 32

struct scram_keys {
    uint8_t stored[SCRAM_KEY_BYTES], server[SCRAM_KEY_BYTES]; /* RFC 5802 3 */
};

/* PBKDF2: takes about a microsecond for each iteration. `password` is prepared; false when it holds
 * what cannot be in one that is stored, so that it is nobody's. */
bool scram_derive(const char *password, struct span salt, unsigned iterations,
                  struct scram_keys *keys);
/* In a time that does not depend on where they differ. */
bool scram_keys_equal(const uint8_t a[SCRAM_KEY_BYTES], const uint8_t b[SCRAM_KEY_BYTES]);
