/* Exchanges with the client's side of libgsasl, and with clients that do it wrong. */
#include "relay/inbound/sasl.h"

#include "relay/users.h"
#include "tests/suite.h"

#include <gsasl.h>
#include <stdio.h>
#include <string.h>

/* RFC 7677 3: the password is "pencil". */
#define KEYS                                                                                       \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"   \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define USERS "user:" KEYS "\ncram:" KEYS ":{CLEAR}pencil\n\xc3\xa4 b:" KEYS "\n"

static struct users *users;
static Gsasl *library;

static void begin(void)
{
    struct buffer errors = {0};
    users = users_parse("u", SPAN(USERS), &errors);
    ck_assert_msg(users != NULL, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    ck_assert_int_eq(gsasl_init(&library), GSASL_OK);
}

static void end(void)
{
    users_drop(&users);
    gsasl_done(library);
}

/* What the owner of an exchange does at SASL_CHECK. */
static enum sasl_result check(struct sasl *sasl, enum sasl_result result)
{
    if (result != SASL_CHECK)
        return result;
    return sasl_checked(sasl, users_check(users, sasl_name(sasl), sasl_password(sasl), 1));
}

struct client {
    const char *name, *password, *acts_for;
};

/* Plays the exchange to its end; the client must be as content as the server. */
static enum sasl_result play(struct sasl *sasl, const struct client *as, bool initial)
{
    Gsasl_session *client;
    char *words = NULL;
    enum sasl_mechanism mechanism = sasl_mechanism_of(sasl);
    ck_assert_int_eq(gsasl_client_start(library, sasl_mechanism_name(mechanism), &client),
                     GSASL_OK);
    gsasl_property_set(client, GSASL_AUTHID, as->name);
    gsasl_property_set(client, GSASL_PASSWORD, as->password);
    if (as->acts_for != NULL)
        gsasl_property_set(client, GSASL_AUTHZID, as->acts_for);
    enum sasl_result result = SASL_CHALLENGE;
    int theirs = GSASL_NEEDS_MORE;
    if (!initial)
        result = sasl_step(sasl, SPAN(""));
    while (result == SASL_CHALLENGE) {
        char *challenge = span_copy(sasl_challenge(sasl));
        theirs = gsasl_step64(client, challenge, &words);
        free(challenge);
        if (theirs != GSASL_OK && theirs != GSASL_NEEDS_MORE)
            break;
        result = check(sasl, sasl_step(sasl, span_of(words)));
        gsasl_free(words);
    }
    if (result == SASL_DONE)
        ck_assert_int_eq(theirs, GSASL_OK);
    gsasl_finish(client);
    return result;
}

START_TEST(exchanges)
{
    static const struct {
        struct client client;
        bool right[SASL_MECHANISMS]; /* SCRAM, PLAIN, LOGIN, CRAM-MD5 */
    } rows[] = {
        {{"cram", "pencil", NULL}, {true, true, true, true}},
        {{"user", "pencil", NULL}, {true, true, true, false}},
        {{"cram", "pencils", NULL}, {false, false, false, false}},
        {{"nobody", "pencil", NULL}, {false, false, false, false}},
        {{"USER", "pencil", NULL}, {false, false, false, false}},
        {{"\xc3\xa4 b", "pencil", NULL}, {true, true, true, false}},
        {{"a\xcc\x88 b", "pencil", NULL}, {true, true, true, false}}, /* by SASLprep the same */
        {{"user",
          "pen\xc2\xad"
          "cil",
          NULL},
         {true, true, true, false}},
        /* LOGIN and CRAM-MD5 cannot say it */
        {{"cram", "pencil", "cram"}, {true, true, true, true}},
        {{"cram", "pencil", "user"}, {false, false, true, true}},
    };
    begin();
    for (size_t i = 0; i < countof(rows) * SASL_MECHANISMS * 2; i++) {
        const struct client *client = &rows[i / SASL_MECHANISMS / 2].client;
        enum sasl_mechanism mechanism = (enum sasl_mechanism)(i / 2 % SASL_MECHANISMS);
        bool initial = i % 2 && (mechanism == SASL_PLAIN || mechanism == SASL_SCRAM_SHA_256);
        struct sasl *sasl = sasl_begin(mechanism, users);
        bool right = rows[i / SASL_MECHANISMS / 2].right[mechanism];
        enum sasl_result result = play(sasl, client, initial);
        /* our client may give up by itself */
        ck_assert_msg((result == SASL_DONE) == right, "row %zu, %s: %d", i / SASL_MECHANISMS / 2,
                      sasl_mechanism_name(mechanism), (int)result);
        if (right)
            ck_assert_str_eq(sasl_name(sasl), client->name[0] == 'a' ? "\xc3\xa4 b" : client->name);
        sasl_free(&sasl);
        ck_assert_ptr_null(sasl);
    }
    end();
}
END_TEST

#define B_USER "dXNlcg=="
#define B_PENCIL "cGVuY2ls"
#define B_USERNAME "VXNlcm5hbWU6" /* "Username:" */
#define B_PASSWORD "UGFzc3dvcmQ6" /* "Password:" */

/* Words and what comes of them, without a library on the other side. */
START_TEST(words)
{
    static const struct {
        const char *name;
        enum sasl_mechanism mechanism;
        struct {
            const char *response;
            enum sasl_result result;
            const char *challenge;
        } steps[5];
    } rows[] = {
        {"LOGIN asks in the words that clients wait for",
         SASL_LOGIN,
         {{"", SASL_CHALLENGE, B_USERNAME},
          {B_USER, SASL_CHALLENGE, B_PASSWORD},
          {B_PENCIL, SASL_DONE, ""}}},
        {"LOGIN with the name at once",
         SASL_LOGIN,
         {{B_USER, SASL_CHALLENGE, B_PASSWORD}, {B_PENCIL, SASL_DONE, ""}}},
        {"LOGIN without a name",
         SASL_LOGIN,
         {{"", SASL_CHALLENGE, B_USERNAME}, {"", SASL_REFUSED, NULL}}},
        {"LOGIN without a password",
         SASL_LOGIN,
         {{B_USER, SASL_CHALLENGE, B_PASSWORD}, {"", SASL_REFUSED, NULL}}},
        {"LOGIN with NUL", SASL_LOGIN, {{"dQBz", SASL_REFUSED, NULL}}},
        {"PLAIN", SASL_PLAIN, {{"AHVzZXIAcGVuY2ls", SASL_DONE, ""}}},
        {"PLAIN, asked for",
         SASL_PLAIN,
         {{"", SASL_CHALLENGE, ""}, {"AHVzZXIAcGVuY2ls", SASL_DONE, ""}}},
        {"PLAIN, nothing twice", SASL_PLAIN, {{"", SASL_CHALLENGE, ""}, {"", SASL_REFUSED, NULL}}},
        {"PLAIN with one NUL", SASL_PLAIN, {{"dXNlcgBwZW5jaWw=", SASL_REFUSED, NULL}}},
        {"PLAIN without one", SASL_PLAIN, {{B_USER, SASL_REFUSED, NULL}}},
        {"PLAIN with three", SASL_PLAIN, {{"AHVzZXIAcGVuAGNpbA==", SASL_REFUSED, NULL}}},
        {"PLAIN, only NUL", SASL_PLAIN, {{"AAA=", SASL_REFUSED, NULL}}},
        {"PLAIN, one byte", SASL_PLAIN, {{"AA==", SASL_REFUSED, NULL}}},
        {"PLAIN without a name", SASL_PLAIN, {{"AABwZW5jaWw=", SASL_REFUSED, NULL}}},
        {"PLAIN without a password", SASL_PLAIN, {{"AHVzZXIA", SASL_REFUSED, NULL}}},
        {"PLAIN that is not UTF-8", SASL_PLAIN, {{"AP8AcGVuY2ls", SASL_REFUSED, NULL}}},
        {"PLAIN, a character younger than RFC 4013",
         SASL_PLAIN,
         {{"AHVzZXIA8J+UkQ==", SASL_REFUSED, NULL}}},
        {"PLAIN with a line end in the name",
         SASL_PLAIN,
         {{"AHVzDQplcgBwZW5jaWw=", SASL_REFUSED, NULL}}},
        {"no base64", SASL_PLAIN, {{"user", SASL_REFUSED, NULL}}},
        {"no base64", SASL_PLAIN, {{"!", SASL_NO_BASE64, NULL}}},
        {"no base64", SASL_PLAIN, {{"AHVzZXIAcGVuY2l", SASL_NO_BASE64, NULL}}},
        {"no base64", SASL_PLAIN, {{"AHVz ZXIA", SASL_NO_BASE64, NULL}}},
        {"no base64",
         SASL_LOGIN,
         {{B_USER, SASL_CHALLENGE, B_PASSWORD}, {"*", SASL_NO_BASE64, NULL}}},
        {"SCRAM: no message", SASL_SCRAM_SHA_256, {{B_USER, SASL_REFUSED, NULL}}},
        {"SCRAM: channel binding that is not offered",
         SASL_SCRAM_SHA_256,
         {{"cD10bHMtdW5pcXVlLCxuPXVzZXIscj1hYmM=", SASL_REFUSED, NULL}}},
        {"CRAM-MD5: no message", SASL_CRAM_MD5, {{B_USER, SASL_REFUSED, NULL}}},
    };
    begin();
    for (size_t i = 0; i < countof(rows); i++) {
        struct sasl *sasl = sasl_begin(rows[i].mechanism, users);
        for (size_t j = 0; j < countof(rows[i].steps) && rows[i].steps[j].response; j++) {
            enum sasl_result result =
                check(sasl, sasl_step(sasl, span_of(rows[i].steps[j].response)));
            ck_assert_msg(result == rows[i].steps[j].result, "%s, step %zu: %d", rows[i].name, j,
                          (int)result);
            if (rows[i].steps[j].challenge != NULL)
                ck_assert_msg(span_equal(sasl_challenge(sasl), span_of(rows[i].steps[j].challenge)),
                              "%s, step %zu: %.*s", rows[i].name, j,
                              SPAN_FORMAT(sasl_challenge(sasl)));
        }
        sasl_free(&sasl);
    }
    end();
}
END_TEST

/* A stranger is asked as if he were known: with a salt of his own, and for as many iterations. */
START_TEST(a_stranger_is_asked_the_same)
{
    begin();
    struct buffer first = {0};
    struct sasl *known = sasl_begin(SASL_SCRAM_SHA_256, users);
    struct sasl *stranger = sasl_begin(SASL_SCRAM_SHA_256, users);
    ck_assert_int_eq(sasl_step(known, SPAN("biwsbj11c2VyLHI9YWJj")), SASL_CHALLENGE);
    ck_assert_int_eq(sasl_step(stranger, SPAN("biwsbj11c2V0LHI9YWJj")), SASL_CHALLENGE);
    ck_assert_uint_eq(sasl_challenge(known).length, sasl_challenge(stranger).length);
    ck_assert(base64_read(sasl_challenge(stranger), &first));
    buffer_append(&first, (struct span){"", 1});
    ck_assert(strstr(buffer_span(&first).data, ",i=4096") != NULL);
    ck_assert(strstr(buffer_span(&first).data, "s=W22ZaJ0SNY7soEsUEjb6gQ==") == NULL);
    ck_assert_str_eq(sasl_name(stranger), "uset");
    buffer_free(&first);
    sasl_free(&known);
    sasl_free(&stranger);
    end();
}
END_TEST

START_TEST(mechanisms)
{
    static const struct {
        const char *name;
        int with_clear, without; /* -1: none */
    } rows[] = {{"PLAIN", SASL_PLAIN, SASL_PLAIN},
                {"scram-sha-256", SASL_SCRAM_SHA_256, SASL_SCRAM_SHA_256},
                {"Login", SASL_LOGIN, SASL_LOGIN},
                {"CRAM-MD5", SASL_CRAM_MD5, -1},
                {"SCRAM-SHA-256-PLUS", -1, -1},
                {"ANONYMOUS", -1, -1},
                {"PLAI", -1, -1},
                {"", -1, -1}};
    struct buffer errors = {0};
    begin();
    struct users *without = users_parse("u", SPAN("user:" KEYS), &errors);
    for (size_t i = 0; i < countof(rows); i++) {
        enum sasl_mechanism found;
        bool is_one = sasl_mechanism_find(users, span_of(rows[i].name), &found);
        ck_assert_int_eq(is_one ? (int)found : -1, rows[i].with_clear);
        is_one = sasl_mechanism_find(without, span_of(rows[i].name), &found);
        ck_assert_int_eq(is_one ? (int)found : -1, rows[i].without);
    }
    users_drop(&without);
    end();
}
END_TEST

TEST_MAIN("relay/inbound/sasl", exchanges, words, a_stranger_is_asked_the_same, mechanisms)
