#include "relay/inbound/sasl.h"

#include "base/utf8.h"
#include "relay/users.h"

#include <gsasl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sasl {
    enum sasl_mechanism mechanism;
    const struct users *users; /* outlives the exchange */
    Gsasl_session *session;
    char *name;              /* as the client says; NULL: not yet, or none that can be */
    char *password;          /* at SASL_CHECK */
    struct buffer challenge; /* in base64 */
    bool begun;
    bool proven; /* it is who it says; what is left is its answer to our last words */
};

/* ---- libgsasl ---- */

static pthread_once_t prepared = PTHREAD_ONCE_INIT;
static Gsasl *library;

static int on_property(Gsasl *unused, Gsasl_session *session, Gsasl_property property);

static void prepare_library(void)
{
    must(gsasl_init(&library) == GSASL_OK);
    gsasl_callback_set(library, on_property);
}

static const struct mechanism {
    const char *name;
    bool server_begins;
} mechanisms[] = {
    [SASL_SCRAM_SHA_256] = {"SCRAM-SHA-256", false},
    [SASL_PLAIN] = {"PLAIN", false},
    [SASL_LOGIN] = {"LOGIN", false}, /* it does, but clients send the name at once all the same */
    [SASL_CRAM_MD5] = {"CRAM-MD5", true},
};
_Static_assert(countof(mechanisms) == SASL_MECHANISMS, "a row for each mechanism");

const char *sasl_mechanism_name(enum sasl_mechanism mechanism)
{
    return mechanisms[mechanism].name;
}

bool sasl_mechanism_find(const struct users *users, struct span name,
                         enum sasl_mechanism *mechanism)
{
    for (unsigned i = 0; i < SASL_MECHANISMS; i++)
        if (span_equal_nocase(name, span_of(mechanisms[i].name))) {
            *mechanism = (enum sasl_mechanism)i;
            return *mechanism != SASL_CRAM_MD5 || users_have_clear(users);
        }
    return false;
}

bool sasl_server_begins(enum sasl_mechanism mechanism)
{
    return mechanisms[mechanism].server_begins;
}

/* ---- what libgsasl has for others ---- */

bool scram_derive(const char *password, struct span salt, unsigned iterations,
                  struct scram_keys *keys)
{
    char salted[SCRAM_KEY_BYTES], client[SCRAM_KEY_BYTES];
    int result = gsasl_scram_secrets_from_password(GSASL_HASH_SHA256, password, iterations,
                                                   salt.data, salt.length, salted, client,
                                                   (char *)keys->server, (char *)keys->stored);
    explicit_bzero(salted, sizeof(salted));
    explicit_bzero(client, sizeof(client));
    return result == GSASL_OK;
}

bool scram_keys_equal(const uint8_t a[SCRAM_KEY_BYTES], const uint8_t b[SCRAM_KEY_BYTES])
{
    volatile uint8_t differ = 0;
    for (size_t i = 0; i < SCRAM_KEY_BYTES; i++)
        differ |= a[i] ^ b[i];
    return differ == 0;
}

/* ---- what an exchange asks for ---- */

static void set_base64(Gsasl_session *session, Gsasl_property property, struct span bytes)
{
    struct buffer text CLEANUP(buffer_free) = {0};
    base64_write(bytes, &text);
    gsasl_property_set_raw(session, property, buffer_span(&text).data, buffer_length(&text));
}

static struct span key_span(const uint8_t key[SCRAM_KEY_BYTES])
{
    return (struct span){(const char *)key, SCRAM_KEY_BYTES};
}

/* The name as it has now been said, which an exchange says once. */
static void take_name(struct sasl *sasl)
{
    const char *said = gsasl_property_fast(sasl->session, GSASL_AUTHID);
    if (sasl->name == NULL && said != NULL && strlen(said) <= SASL_NAME_MAX)
        sasl->name = sasl_prepare(span_of(said), false);
}

static int give_credentials(struct sasl *sasl)
{
    struct credentials credentials;
    char iterations[16];
    Gsasl_session *session = sasl->session;
    take_name(sasl);
    users_credentials(sasl->users, sasl_name(sasl), &credentials);
    snprintf(iterations, sizeof(iterations), "%u", credentials.iterations);
    gsasl_property_set(session, GSASL_SCRAM_ITER, iterations);
    set_base64(session, GSASL_SCRAM_SALT,
               (struct span){(const char *)credentials.salt, credentials.salt_length});
    set_base64(session, GSASL_SCRAM_STOREDKEY, key_span(credentials.keys.stored));
    set_base64(session, GSASL_SCRAM_SERVERKEY, key_span(credentials.keys.server));
    explicit_bzero(&credentials, sizeof(credentials));
    return GSASL_OK;
}

static int give_password(struct sasl *sasl)
{
    take_name(sasl);
    const char *password = users_clear(sasl->users, sasl_name(sasl));
    gsasl_property_set(sasl->session, GSASL_PASSWORD, password);
    return GSASL_OK;
}

/* PLAIN and LOGIN: it is not decided here, but by whoever gets SASL_CHECK. */
static int take_password(struct sasl *sasl)
{
    const char *password = gsasl_property_fast(sasl->session, GSASL_PASSWORD);
    take_name(sasl);
    if (password == NULL || strlen(password) > SASL_PASSWORD_MAX)
        return GSASL_AUTHENTICATION_ERROR;
    sasl->password = sasl_prepare(span_of(password), false);
    return sasl->name && sasl->password ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
}

static int on_property(Gsasl *unused, Gsasl_session *session, Gsasl_property property)
{
    struct sasl *sasl = gsasl_session_hook_get(session);
    (void)unused;
    if (property == GSASL_VALIDATE_SIMPLE)
        return take_password(sasl);
    if (property == GSASL_SCRAM_ITER || property == GSASL_SCRAM_SALT ||
        property == GSASL_SCRAM_STOREDKEY || property == GSASL_SCRAM_SERVERKEY)
        return give_credentials(sasl);
    if (property == GSASL_PASSWORD && sasl->mechanism == SASL_CRAM_MD5)
        return give_password(sasl);
    return GSASL_NO_CALLBACK;
}

/* ---- an exchange ---- */

struct sasl *sasl_begin(enum sasl_mechanism mechanism, const struct users *users)
{
    struct sasl *sasl = must_calloc(1, sizeof(*sasl));
    pthread_once(&prepared, prepare_library);
    sasl->mechanism = mechanism;
    sasl->users = users;
    must(gsasl_server_start(library, mechanisms[mechanism].name, &sasl->session) == GSASL_OK);
    gsasl_session_hook_set(sasl->session, sasl);
    return sasl;
}

void sasl_free(struct sasl **sasl)
{
    struct sasl *gone = *sasl;
    *sasl = NULL;
    if (gone == NULL)
        return;
    gsasl_finish(gone->session);
    free(gone->name);
    secret_free(&gone->password);
    buffer_free(&gone->challenge);
    free(gone);
}

/* To act for somebody else (RFC 4422 2) is for nobody here. */
static bool acts_for_itself(struct sasl *sasl)
{
    const char *acts_for = gsasl_property_fast(sasl->session, GSASL_AUTHZID);
    if (acts_for == NULL || acts_for[0] == '\0')
        return true;
    char *other = sasl_prepare(span_of(acts_for), false);
    bool same = other != NULL && strcmp(other, sasl_name(sasl)) == 0;
    free(other);
    return same;
}

/* libgsasl says "User Name", and there are clients that wait for these very words. */
static struct span words_of(const struct sasl *sasl, struct span challenge)
{
    if (sasl->mechanism != SASL_LOGIN)
        return challenge;
    return span_equal(challenge, SPAN("Password")) ? SPAN("Password:") : SPAN("Username:");
}

static enum sasl_result proved(struct sasl *sasl)
{
    if (!acts_for_itself(sasl))
        return SASL_REFUSED;
    if (sasl->password != NULL)
        return SASL_CHECK;
    if (!users_have(sasl->users, sasl_name(sasl)))
        return SASL_REFUSED;
    sasl->proven = true;
    return buffer_length(&sasl->challenge) > 0 ? SASL_CHALLENGE : SASL_DONE;
}

static enum sasl_result step(struct sasl *sasl, struct span message)
{
    char *out = NULL;
    size_t length = 0;
    int result = gsasl_step(sasl->session, message.data, message.length, &out, &length);
    buffer_clear(&sasl->challenge);
    if (result == GSASL_NEEDS_MORE)
        base64_write(words_of(sasl, (struct span){out, length}), &sasl->challenge);
    else if (result == GSASL_OK)
        base64_write((struct span){out, length}, &sasl->challenge);
    gsasl_free(out);
    if (result == GSASL_NEEDS_MORE)
        return SASL_CHALLENGE;
    return result == GSASL_OK ? proved(sasl) : SASL_REFUSED;
}

/* A client that binds the channel (RFC 5802 6) means a mechanism that is not offered; libgsasl
 * would let it pass. */
static bool binds_channel(const struct sasl *sasl, struct span first)
{
    return sasl->mechanism == SASL_SCRAM_SHA_256 && span_starts_nocase(first, SPAN("p"));
}

enum sasl_result sasl_step(struct sasl *sasl, struct span response)
{
    struct buffer message CLEANUP(buffer_wipe) = {0};
    if (!base64_read(response, &message))
        return SASL_NO_BASE64;
    if (sasl->proven)
        return response.length == 0 ? SASL_DONE : SASL_REFUSED;
    if ((sasl->begun && response.length == 0) || !utf8_valid(buffer_span(&message)))
        return SASL_REFUSED; /* no mechanism here has a use for either */
    if (!sasl->begun && binds_channel(sasl, buffer_span(&message)))
        return SASL_REFUSED;
    /* The user's name may come at once, where LOGIN would have asked for it first. */
    if (!sasl->begun && sasl->mechanism == SASL_LOGIN && response.length > 0)
        step(sasl, SPAN(""));
    sasl->begun = true;
    buffer_append(&message, (struct span){"", 1});
    return step(sasl, (struct span){buffer_span(&message).data, buffer_length(&message) - 1});
}

enum sasl_result sasl_checked(struct sasl *sasl, bool fits)
{
    must(sasl->password != NULL);
    secret_free(&sasl->password);
    return fits ? SASL_DONE : SASL_REFUSED;
}

struct span sasl_challenge(const struct sasl *sasl)
{
    return buffer_span(&sasl->challenge);
}

enum sasl_mechanism sasl_mechanism_of(const struct sasl *sasl)
{
    return sasl->mechanism;
}

const char *sasl_name(const struct sasl *sasl)
{
    return sasl->name ? sasl->name : "";
}

const char *sasl_password(const struct sasl *sasl)
{
    must(sasl->password != NULL);
    return sasl->password;
}
