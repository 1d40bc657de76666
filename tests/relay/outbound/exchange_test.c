/* Exchanges with libgsasl's server side, mechanism by mechanism, and with servers that are wrong,
 * or are not who they say they are. RFC 4422, 5802, 7677, 7628. */
#include "relay/outbound/exchange.h"

#include "relay/secret.h"
#include "tests/suite.h"

#include <gsasl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USER "app=1,x"
#define PASSWORD "pencil \xc3\xa9"

/* ---- the server ---- */

static const char *server_password;

static int on_property(Gsasl *library, Gsasl_session *session, Gsasl_property property)
{
    (void)library;
    if (property == GSASL_PASSWORD)
        return gsasl_property_set(session, property, server_password);
    if (property == GSASL_REALM)
        return gsasl_property_set(session, property, "provider.test");
    if (property == GSASL_SCRAM_ITER)
        return gsasl_property_set(session, property, "4096");
    if (property == GSASL_VALIDATE_SIMPLE) {
        bool user = strcmp(gsasl_property_fast(session, GSASL_AUTHID), USER) == 0;
        bool password = strcmp(gsasl_property_fast(session, GSASL_PASSWORD), server_password) == 0;
        return user && password ? GSASL_OK : GSASL_AUTHENTICATION_ERROR;
    }
    return GSASL_NO_CALLBACK;
}

/* ---- one exchange ---- */

static struct exchange_terms terms_of(enum auth_mechanism mechanism)
{
    return (struct exchange_terms){mechanism, USER, "mail.provider.test", 587};
}

static enum exchange_result give(struct exchange *exchange, const char *password)
{
    struct exchange_want want = exchange_want(exchange);
    char salted[SCRAM_SALTED_TEXT];
    if (!want.salted)
        return exchange_give(exchange, password);
    ck_assert_uint_eq(want.iterations, 4096);
    ck_assert(scram_salt(&want, password, salted));
    return exchange_give(exchange, salted);
}

/* The client's next words, the secret given where it is wanted. */
static enum exchange_result next(struct exchange *exchange, const char *challenge)
{
    enum exchange_result result = exchange_step(exchange, span_of(challenge));
    return result == EXCHANGE_WANTS ? give(exchange, PASSWORD) : result;
}

struct played {
    int server; /* what libgsasl's server made of it at last */
    enum exchange_result client;
    bool complete;
};

/* libgsasl's own step64 has a message without a NUL behind it copied as a string: it reads no
 * further, but a sanitizer cannot know. */
static int server_step(Gsasl_session *server, struct span said, char **challenge)
{
    struct buffer in CLEANUP(buffer_free) = {0}, text CLEANUP(buffer_free) = {0};
    char *out = NULL;
    size_t length = 0;
    ck_assert(base64_read(said, &in));
    buffer_append(&in, (struct span){"", 1});
    int result = gsasl_step(server, buffer_span(&in).data, buffer_length(&in) - 1, &out, &length);
    base64_write((struct span){out, length}, &text);
    *challenge = span_copy(buffer_span(&text));
    gsasl_free(out);
    return result;
}

/* As SMTP has it: the server's last words, where it has some, are a challenge too. `spoil`: the
 * last byte but one of its last words is another. */
static struct played play(enum auth_mechanism mechanism, bool spoil)
{
    Gsasl *library;
    Gsasl_session *server;
    struct exchange_terms terms = terms_of(mechanism);
    struct exchange *exchange = exchange_begin(&terms);
    struct played played = {GSASL_NEEDS_MORE, EXCHANGE_SAYS, false};
    char *challenge = NULL;
    ck_assert_int_eq(gsasl_init(&library), GSASL_OK);
    gsasl_callback_set(library, on_property);
    ck_assert_int_eq(gsasl_server_start(library, auth_name(mechanism), &server), GSASL_OK);
    if (exchange_client_begins(mechanism))
        played.client = next(exchange, "");
    for (int turn = 0; turn < 6 && played.client == EXCHANGE_SAYS; turn++) {
        if (played.server == GSASL_NEEDS_MORE)
            played.server = server_step(server, exchange_said(exchange), &challenge);
        bool done = played.server != GSASL_NEEDS_MORE && played.server != GSASL_OK;
        if (done || (played.server == GSASL_OK && challenge[0] == '\0'))
            break;
        size_t length = strlen(challenge);
        if (spoil && played.server == GSASL_OK)
            challenge[length - 6] = challenge[length - 6] == 'A' ? 'B' : 'A';
        played.client = next(exchange, challenge);
        free(challenge);
        challenge = NULL;
        if (played.server == GSASL_OK)
            break;
    }
    played.complete = exchange_is_complete(exchange);
    free(challenge);
    exchange_free(&exchange);
    gsasl_finish(server);
    gsasl_done(library);
    return played;
}

START_TEST(every_mechanism_proves_the_password)
{
    server_password = PASSWORD;
    for (unsigned i = 0; i < AUTH_MECHANISMS; i++) {
        enum auth_mechanism mechanism = (enum auth_mechanism)i;
        if (AUTH_BIT(i) & AUTH_BY_TOKEN)
            continue;
        struct played played = play(mechanism, false);
        ck_assert_msg(played.server == GSASL_OK, "%s: the server says %s", auth_name(mechanism),
                      gsasl_strerror(played.server));
        ck_assert_msg(played.client == EXCHANGE_SAYS && played.complete, "%s: the client refuses",
                      auth_name(mechanism));
    }
}
END_TEST

START_TEST(a_wrong_password_is_wrong)
{
    server_password = "another";
    for (unsigned i = 0; i < AUTH_MECHANISMS; i++)
        if (AUTH_BIT(i) & AUTH_BY_PASSWORD)
            ck_assert_msg(play((enum auth_mechanism)i, false).server != GSASL_OK, "%s",
                          auth_name((enum auth_mechanism)i));
}
END_TEST

/* RFC 5802 5, RFC 2831 2.1.3: whose last words do not fit does not know the password. */
START_TEST(the_server_must_prove_that_it_knows_it)
{
    static const enum auth_mechanism mutual[] = {AUTH_SCRAM_SHA_256, AUTH_SCRAM_SHA_1,
                                                 AUTH_DIGEST_MD5};
    server_password = PASSWORD;
    for (size_t i = 0; i < countof(mutual); i++) {
        struct played played = play(mutual[i], true);
        ck_assert_int_eq(played.server, GSASL_OK);
        ck_assert_msg(played.client == EXCHANGE_REFUSED && !played.complete, "%s",
                      auth_name(mutual[i]));
    }
}
END_TEST

/* ---- servers that are wrong ---- */

static void expect_refusal(enum auth_mechanism mechanism, const char *const *challenges,
                           const char *why)
{
    struct exchange_terms terms = terms_of(mechanism);
    struct exchange *exchange = exchange_begin(&terms);
    enum exchange_result result = EXCHANGE_SAYS;
    for (; *challenges != NULL; challenges++) {
        ck_assert_msg(result == EXCHANGE_SAYS, "%s: refused too early", why);
        result = next(exchange, *challenges);
    }
    ck_assert_msg(result == EXCHANGE_REFUSED, "%s: not refused", why);
    ck_assert_str_eq(exchange_why(exchange), why);
    ck_assert(!exchange_is_complete(exchange));
    exchange_free(&exchange);
}

START_TEST(challenges_that_are_wrong)
{
    static const char senseless[] = "the server's challenge makes no sense";
    static const struct {
        enum auth_mechanism mechanism;
        const char *challenges[4];
        const char *why;
    } rows[] = {
        {AUTH_PLAIN, {"", "Zm9v"}, "the server asks for more than the mechanism has"},
        {AUTH_CRAM_MD5, {"#!"}, "the server's challenge is not base64"},
        {AUTH_DIGEST_MD5, {"Zm9v"}, senseless},
        {AUTH_SCRAM_SHA_256, {"", "Zm9v"}, senseless},
        /* r=a,s=QQ==,i=1000001 */
        {AUTH_SCRAM_SHA_256,
         {"", "cj1hLHM9UVE9PSxpPTEwMDAwMDE="},
         "the server wants more iterations than may be asked for"},
        /* r=a,s=QQ==,i=0 */
        {AUTH_SCRAM_SHA_1, {"", "cj1hLHM9UVE9PSxpPTA="}, senseless},
        /* r=a,s=,i=4096 */
        {AUTH_SCRAM_SHA_1, {"", "cj1hLHM9LGk9NDA5Ng=="}, senseless},
        /* r=a,s=QQ==,i=4096: not our nonce */
        {AUTH_SCRAM_SHA_256, {"", "cj1hLHM9UVE9PSxpPTQwOTY="}, senseless},
    };
    for (size_t i = 0; i < countof(rows); i++)
        expect_refusal(rows[i].mechanism, rows[i].challenges, rows[i].why);
}
END_TEST

/* A yes that comes before the end is not one. */
START_TEST(not_complete_before_its_end)
{
    static const enum auth_mechanism longer[] = {AUTH_SCRAM_SHA_256, AUTH_SCRAM_SHA_1};
    for (size_t i = 0; i < countof(longer); i++) {
        struct exchange_terms terms = terms_of(longer[i]);
        struct exchange *exchange = exchange_begin(&terms);
        ck_assert_int_eq(next(exchange, ""), EXCHANGE_SAYS);
        ck_assert(!exchange_is_complete(exchange));
        exchange_free(&exchange);
    }
}
END_TEST

/* ---- by token ---- */

static void expect_said(const struct exchange *exchange, const char *wanted, size_t length)
{
    struct buffer said = {0};
    ck_assert(base64_read(exchange_said(exchange), &said));
    ck_assert_msg(span_equal(buffer_span(&said), (struct span){wanted, length}), "said %.*s",
                  SPAN_FORMAT(buffer_span(&said)));
    buffer_free(&said);
}

START_TEST(tokens)
{
    static const struct {
        enum auth_mechanism mechanism;
        const char *shown, *answer;
    } rows[] = {
        /* RFC 7628 4.1, with a saslname that must be escaped */
        {AUTH_OAUTHBEARER,
         "n,a=app=3D1=2Cx,\1host=mail.provider.test\1port=587\1auth=Bearer vF9dft4\1\1", "\1"},
        {AUTH_XOAUTH2, "user=app=1,x\1auth=Bearer vF9dft4\1\1", ""},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct exchange_terms terms = terms_of(rows[i].mechanism);
        struct exchange *exchange = exchange_begin(&terms);
        ck_assert_int_eq(exchange_step(exchange, SPAN("")), EXCHANGE_WANTS);
        ck_assert(!exchange_want(exchange).salted);
        ck_assert_int_eq(exchange_give(exchange, "vF9dft4"), EXCHANGE_SAYS);
        expect_said(exchange, rows[i].shown, strlen(rows[i].shown));
        ck_assert(exchange_is_complete(exchange));
        /* RFC 7628 3.2.3: {"status":"401"}, and a control character */
        ck_assert_int_eq(exchange_step(exchange, SPAN("eyJzdGF0dXMiOiI0MDEifQc=")), EXCHANGE_SAYS);
        expect_said(exchange, rows[i].answer, strlen(rows[i].answer));
        ck_assert_str_eq(exchange_why(exchange), "{\"status\":\"401\"}?");
        ck_assert(!exchange_is_complete(exchange)); /* a yes would not count any more */
        ck_assert(exchange_is_repeated(exchange, span_of(rows[i].shown))); /* though said before */
        exchange_free(&exchange);
    }
}
END_TEST

/* What was said must not come back into a log by the server's words. */
START_TEST(words_that_repeat_the_secret)
{
    struct exchange_terms terms = terms_of(AUTH_PLAIN);
    struct exchange *exchange = exchange_begin(&terms);
    char words[256];
    ck_assert_int_eq(next(exchange, ""), EXCHANGE_SAYS);
    ck_assert(!exchange_is_repeated(exchange, SPAN("authentication failed")));
    snprintf(words, sizeof(words), "unknown: AUTH PLAIN %.*s",
             SPAN_FORMAT(exchange_said(exchange)));
    ck_assert(exchange_is_repeated(exchange, span_of(words)));
    words[strlen(words) - 12] = '\0'; /* cut short */
    ck_assert(exchange_is_repeated(exchange, span_of(words)));
    ck_assert(exchange_is_repeated(exchange, SPAN("'" PASSWORD "' is wrong")));
    exchange_free(&exchange);
}
END_TEST

TEST_MAIN("relay/outbound/exchange", every_mechanism_proves_the_password, a_wrong_password_is_wrong,
          the_server_must_prove_that_it_knows_it, challenges_that_are_wrong,
          not_complete_before_its_end, tokens, words_that_repeat_the_secret)
