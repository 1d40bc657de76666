#include "relay/outbound/exchange.h"

#include "relay/secret.h"

#include <gsasl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WHY_MAX 200
#define REPEATED_LEAST 8 /* bytes of what was said, by which it is known again */

struct exchange {
    struct exchange_terms terms;
    Gsasl_session *session; /* NULL: by token */
    char *secret;           /* NULL: not given yet */
    struct exchange_want want;
    struct buffer held;  /* the challenge that waits for the secret */
    struct buffer said;  /* in base64 */
    struct buffer shown; /* the token, as it was said */
    unsigned steps;
    bool complete;
    char why[WHY_MAX];
};

typedef enum exchange_result exchange_stepper(struct exchange *exchange, struct span message);

static exchange_stepper step_scram, step_other, step_token;

static const struct mechanism {
    bool client_begins;
    bool idles; /* libgsasl's client wants a step before the server's first words */
    exchange_stepper *step;
} mechanisms[] = {
    [AUTH_SCRAM_SHA_256] = {true, false, step_scram},
    [AUTH_SCRAM_SHA_1] = {true, false, step_scram},
    [AUTH_DIGEST_MD5] = {false, true, step_other},
    [AUTH_CRAM_MD5] = {false, true, step_other},
    [AUTH_LOGIN] = {false, false, step_other},
    [AUTH_PLAIN] = {true, false, step_other},
    [AUTH_OAUTHBEARER] = {true, false, step_token},
    [AUTH_XOAUTH2] = {true, false, step_token},
};
_Static_assert(countof(mechanisms) == AUTH_MECHANISMS, "a row for each mechanism");

bool exchange_client_begins(enum auth_mechanism mechanism)
{
    return mechanisms[mechanism].client_begins;
}

/* ---- libgsasl ---- */

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static Gsasl *library;

static int give_property(Gsasl_session *session, Gsasl_property property, const char *value)
{
    return value != NULL && gsasl_property_set(session, property, value) == GSASL_OK
               ? GSASL_OK
               : GSASL_NO_CALLBACK;
}

static int on_property(Gsasl *unused, Gsasl_session *session, Gsasl_property property)
{
    const struct exchange *exchange = gsasl_session_hook_get(session);
    (void)unused;
    if (property == GSASL_AUTHID)
        return give_property(session, property, exchange->terms.user);
    if (property == GSASL_SERVICE)
        return give_property(session, property, "smtp");
    if (property == GSASL_HOSTNAME)
        return give_property(session, property, exchange->terms.host);
    if (property == (exchange->want.salted ? GSASL_SCRAM_SALTED_PASSWORD : GSASL_PASSWORD))
        return give_property(session, property, exchange->secret);
    return GSASL_NO_CALLBACK;
}

static void prepare_library(void)
{
    must(gsasl_init(&library) == GSASL_OK);
    gsasl_callback_set(library, on_property);
}

/* ---- an exchange ---- */

struct exchange *exchange_begin(const struct exchange_terms *terms)
{
    struct exchange *exchange = must_calloc(1, sizeof(*exchange));
    exchange->terms = *terms;
    if (AUTH_BIT(terms->mechanism) & AUTH_BY_TOKEN)
        return exchange;
    pthread_once(&prepared, prepare_library);
    must(gsasl_client_start(library, auth_name(terms->mechanism), &exchange->session) == GSASL_OK);
    gsasl_session_hook_set(exchange->session, exchange);
    return exchange;
}

void exchange_free(struct exchange **exchange)
{
    struct exchange *gone = *exchange;
    *exchange = NULL;
    if (gone == NULL)
        return;
    if (gone->session != NULL)
        gsasl_finish(gone->session);
    secret_free(&gone->secret);
    buffer_wipe(&gone->held);
    buffer_wipe(&gone->said);
    buffer_wipe(&gone->shown);
    free(gone);
}

static enum exchange_result refuse(struct exchange *exchange, const char *why)
{
    snprintf(exchange->why, sizeof(exchange->why), "%s", why);
    exchange->complete = false;
    return EXCHANGE_REFUSED;
}

static enum exchange_result say(struct exchange *exchange, struct span message)
{
    base64_write(message, &exchange->said);
    return EXCHANGE_SAYS;
}

/* The challenge is taken up again when the secret is there. */
static enum exchange_result want(struct exchange *exchange, struct span message)
{
    buffer_append(&exchange->held, message);
    return EXCHANGE_WANTS;
}

static enum exchange_result hand_on(struct exchange *exchange, struct span message)
{
    char *out = NULL;
    size_t length = 0;
    int result = gsasl_step(exchange->session, message.data, message.length, &out, &length);
    exchange->complete = result == GSASL_OK;
    if (result == GSASL_OK || result == GSASL_NEEDS_MORE)
        say(exchange, (struct span){out, length});
    if (out != NULL)
        explicit_bzero(out, length);
    gsasl_free(out);
    exchange->steps++;
    if (result == GSASL_OK || result == GSASL_NEEDS_MORE)
        return EXCHANGE_SAYS;
    bool mutual = exchange->steps > 2; /* of the two that end with the server's proof */
    return refuse(exchange, mutual ? "the server could not prove that it knows the password"
                                   : "the server's challenge makes no sense");
}

static enum exchange_result step_other(struct exchange *exchange, struct span message)
{
    if (exchange->complete)
        return refuse(exchange, "the server asks for more than the mechanism has");
    if (exchange->secret == NULL)
        return want(exchange, message);
    if (exchange->steps == 0 && mechanisms[exchange->terms.mechanism].idles) {
        if (hand_on(exchange, SPAN("")) == EXCHANGE_REFUSED)
            return EXCHANGE_REFUSED;
        buffer_clear(&exchange->said);
    }
    return hand_on(exchange, message);
}

/* ---- SCRAM (RFC 5802) ---- */

static struct span cut_attribute(struct span *rest)
{
    const char *comma = rest->length > 0 ? memchr(rest->data, ',', rest->length) : NULL;
    struct span attribute = *rest;
    if (comma != NULL)
        attribute.length = (size_t)(comma - rest->data);
    *rest = span_skip(*rest, attribute.length + 1);
    return attribute;
}

static bool read_salt(struct span text, struct exchange_want *wanted)
{
    struct buffer salt CLEANUP(buffer_free) = {0};
    bool read = base64_read(text, &salt);
    struct span bytes = buffer_span(&salt);
    if (!read || bytes.data == NULL || bytes.length > SCRAM_SALT_MAX)
        return false;
    wanted->salt_length = bytes.length;
    memcpy(wanted->salt, bytes.data, bytes.length);
    return true;
}

/* server-first-message: "r=NONCE,s=SALT,i=ITERATIONS". What else is wrong with it libgsasl finds.
 */
static const char *read_server_first(struct span message, struct exchange_want *wanted)
{
    uint64_t iterations;
    struct span nonce = cut_attribute(&message), salt = cut_attribute(&message),
                count = cut_attribute(&message);
    if (!span_starts_nocase(nonce, SPAN("r=")) || !span_starts_nocase(salt, SPAN("s=")) ||
        !span_starts_nocase(count, SPAN("i=")) || !read_salt(span_skip(salt, 2), wanted) ||
        !span_number(span_skip(count, 2), &iterations) || iterations == 0)
        return "the server's challenge makes no sense";
    if (iterations > SCRAM_ITERATIONS_MOST)
        return "the server wants more iterations than may be asked for";
    wanted->iterations = (unsigned)iterations;
    return NULL;
}

static enum exchange_result step_scram(struct exchange *exchange, struct span message)
{
    if (exchange->complete)
        return refuse(exchange, "the server asks for more than the mechanism has");
    if (exchange->steps != 1 || exchange->secret != NULL)
        return hand_on(exchange, message);
    exchange->want = (struct exchange_want){.salted = true, .mechanism = exchange->terms.mechanism};
    const char *fault = read_server_first(message, &exchange->want);
    return fault ? refuse(exchange, fault) : want(exchange, message);
}

bool scram_salt(const struct exchange_want *wanted, const char *password,
                char salted[SCRAM_SALTED_TEXT])
{
    bool sha1 = wanted->mechanism == AUTH_SCRAM_SHA_1;
    Gsasl_hash hash = sha1 ? GSASL_HASH_SHA1 : GSASL_HASH_SHA256;
    char bytes[GSASL_HASH_MAX_SIZE], rest[3][GSASL_HASH_MAX_SIZE];
    char *ready CLEANUP(secret_free) = sasl_prepare(span_of(password), true);
    if (ready == NULL || gsasl_scram_secrets_from_password(
                             hash, ready, wanted->iterations, (const char *)wanted->salt,
                             wanted->salt_length, bytes, rest[0], rest[1], rest[2]) != GSASL_OK)
        return false;
    for (size_t i = 0; i < gsasl_hash_length(hash); i++)
        snprintf(salted + 2 * i, 3, "%02x", (unsigned char)bytes[i]);
    explicit_bzero(bytes, sizeof(bytes));
    explicit_bzero(rest, sizeof(rest));
    return true;
}

/* ---- by token ---- */

/* saslname (RFC 5801 4) */
static void write_user(const char *user, struct buffer *to)
{
    for (; *user != '\0'; user++) {
        if (*user == '=' || *user == ',')
            buffer_print(to, "=%02X", (unsigned)*user);
        else
            buffer_append(to, (struct span){user, 1});
    }
}

static enum exchange_result show_token(struct exchange *exchange)
{
    struct buffer message CLEANUP(buffer_wipe) = {0};
    const struct exchange_terms *terms = &exchange->terms;
    if (terms->mechanism == AUTH_XOAUTH2) {
        buffer_print(&message, "user=%s\1", terms->user);
    } else { /* RFC 7628 3.1 */
        buffer_append(&message, SPAN("n,a="));
        write_user(terms->user, &message);
        buffer_print(&message, ",\1host=%s\1port=%u\1", terms->host, terms->port);
    }
    buffer_print(&message, "auth=Bearer %s\1\1", exchange->secret);
    exchange->complete = true;
    base64_write(buffer_span(&message), &exchange->shown);
    return say(exchange, buffer_span(&message));
}

/* A challenge is a refusal, with its reason as JSON; the server waits for our words before it says
 * 535 (RFC 7628 3.2.3). */
static enum exchange_result hear_refusal(struct exchange *exchange, struct span reason)
{
    snprintf(exchange->why, sizeof(exchange->why), "%.*s", SPAN_FORMAT(reason));
    for (char *c = exchange->why; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    exchange->complete = false;
    bool rfc = exchange->terms.mechanism == AUTH_OAUTHBEARER;
    return say(exchange, rfc ? SPAN("\1") : SPAN(""));
}

static enum exchange_result step_token(struct exchange *exchange, struct span message)
{
    if (exchange->secret == NULL)
        return want(exchange, message);
    return exchange->steps++ == 0 ? show_token(exchange) : hear_refusal(exchange, message);
}

/* ---- for its owner ---- */

/* Not all of libgsasl's parsers look at the length: a NUL stands behind what they get. */
static enum exchange_result step(struct exchange *exchange, struct buffer *message)
{
    size_t length = buffer_length(message);
    buffer_append(message, (struct span){"", 1});
    buffer_clear(&exchange->said);
    return mechanisms[exchange->terms.mechanism].step(
        exchange, (struct span){buffer_span(message).data, length});
}

enum exchange_result exchange_step(struct exchange *exchange, struct span challenge)
{
    struct buffer message CLEANUP(buffer_free) = {0};
    if (!base64_read(challenge, &message))
        return refuse(exchange, "the server's challenge is not base64");
    return step(exchange, &message);
}

enum exchange_result exchange_give(struct exchange *exchange, const char *secret)
{
    struct buffer message CLEANUP(buffer_free) = exchange->held;
    exchange->held = (struct buffer){0};
    secret_free(&exchange->secret);
    exchange->secret = must_strdup(secret);
    return step(exchange, &message);
}

struct exchange_want exchange_want(const struct exchange *exchange)
{
    return exchange->want;
}

enum auth_mechanism exchange_mechanism(const struct exchange *exchange)
{
    return exchange->terms.mechanism;
}

struct span exchange_said(const struct exchange *exchange)
{
    return buffer_span(&exchange->said);
}

const char *exchange_why(const struct exchange *exchange)
{
    return exchange->why[0] != '\0' ? exchange->why : NULL;
}

bool exchange_is_complete(const struct exchange *exchange)
{
    return exchange->complete;
}

static bool holds(struct span words, struct span part)
{
    return part.length > 0 && words.length > 0 &&
           memmem(words.data, words.length, part.data, part.length) != NULL;
}

bool exchange_is_repeated(const struct exchange *exchange, struct span words)
{
    struct span said = exchange_said(exchange), shown = buffer_span(&exchange->shown);
    if (said.length > REPEATED_LEAST)
        said.length = REPEATED_LEAST;
    if (shown.length > REPEATED_LEAST)
        shown.length = REPEATED_LEAST;
    return holds(words, said) || holds(words, shown) ||
           (exchange->secret != NULL && holds(words, span_of(exchange->secret)));
}
