/* The secret's file: read when it has changed, refused when it is not as it must be; and what of it
 * is salted. */
#include "relay/outbound/logins.h"

#include "relay/secret.h"
#include "tests/relay/scratch.h"
#include "tests/suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct exchange_want as_it_is;

/* Replaced as a whole, as whoever fetches tokens should: it is another file then. */
static void put(const char *path, const char *text, mode_t mode)
{
    char fresh[SCRATCH_FILE_MAX + 8];
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    FILE *file = fopen(fresh, "w");
    ck_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    ck_assert_int_eq(chmod(fresh, mode), 0);
    ck_assert_int_eq(rename(fresh, path), 0);
}

static void expect_secret(struct login *login, const char *wanted)
{
    char why[LOGIN_WHY_MAX] = "";
    char *got = login_secret(login, &as_it_is, why);
    ck_assert_msg(got != NULL, "%s", why);
    ck_assert_str_eq(got, wanted);
    secret_free(&got);
}

static void expect_fault(struct login *login, const char *wanted)
{
    char why[LOGIN_WHY_MAX] = "";
    ck_assert_ptr_null(login_secret(login, &as_it_is, why));
    ck_assert_msg(strstr(why, wanted) != NULL, "%s", why);
    ck_assert_ptr_null(strstr(why, "s3cret"));
}

START_TEST(the_file)
{
    char path[SCRATCH_FILE_MAX], before[LOGIN_MARK_MAX], after[LOGIN_MARK_MAX];
    struct scratch scratch = scratch_make();
    scratch_name(&scratch, "secret", path);
    struct login *login = login_create("app", path);
    expect_fault(login, "No such file");
    put(path, "s3cret one\n", 0600);
    expect_secret(login, "s3cret one");
    login_mark(login, before);
    expect_secret(login, "s3cret one");
    ck_assert_str_eq(login_mark(login, after), before);
    put(path, "s3cret two", 0600); /* no newline, and no reload */
    expect_secret(login, "s3cret two");
    ck_assert_str_ne(login_mark(login, after), before);
    put(path, "s3cret\r\n", 0400);
    expect_secret(login, "s3cret");
    put(path, "s3cret\n", 0640);
    expect_fault(login, "chmod 600");
    put(path, "", 0600);
    expect_fault(login, "it is empty");
    put(path, "s3cret\nand more\n", 0600);
    expect_fault(login, "more than one line");
    put(path, "s3cret\tx\n", 0600);
    expect_fault(login, "control character");
    put(path, "s3cret\n", 0600);
    expect_secret(login, "s3cret");
    ck_assert_int_eq(unlink(path), 0); /* it is not believed from memory any more */
    expect_fault(login, "No such file");
    login_free(&login);
    scratch_remove(&scratch);
}
END_TEST

static void wake(void *owner)
{
    ++*(unsigned *)owner;
}

static void answered(struct mail *mail, void *taker)
{
    struct login_request **got = taker;
    *got = container_of(mail, struct login_request, mail);
}

/* RFC 7677 3: the salted password of "pencil", by what it leads to. */
START_TEST(salted_and_kept)
{
    char path[SCRATCH_FILE_MAX];
    unsigned woken = 0;
    struct mailbox box;
    struct login_request *got = NULL;
    struct logins *logins = logins_create();
    struct scratch scratch = scratch_make();
    scratch_name(&scratch, "secret", path);
    put(path, "pencil", 0600);
    struct login *login = login_create("user", path);
    mailbox_init(&box, wake, &woken);
    struct login_request request = {.mail.deliver = answered, .reply_to = &box, .login = login};
    request.want = (struct exchange_want){.salted = true,
                                          .mechanism = AUTH_SCRAM_SHA_256,
                                          .iterations = 4096,
                                          .salt = "[m\x99h\x9d\x12\x35\x8e\xec\xa0K\x14\x12\x36"
                                                  "\xfa\x81",
                                          .salt_length = 16};
    for (int turn = 0; turn < 2 * LOGIN_SALTED_MAX; turn++) {
        request.want.salt[15] = (uint8_t)(0x81 + turn % (LOGIN_SALTED_MAX + 1));
        logins_post(logins, &request);
        logins_step(logins, 0);
        ck_assert_uint_eq(mailbox_deliver(&box, &got), 1);
        ck_assert_ptr_eq(got, &request);
        ck_assert_uint_eq(strlen(request.secret), 64);
        if (request.want.salt[15] == 0x81)
            ck_assert_str_eq(request.secret, "c4a49510323ab4f952cac1fa99441939"
                                             "e78ea74d6be81ddf7096e87513dc615d");
        secret_free(&request.secret);
    }
    logins_post(logins, &request);
    logins_give_up(logins);
    ck_assert_uint_eq(mailbox_deliver(&box, &got), 1);
    ck_assert(request.secret == NULL && request.why[0] != '\0');
    logins_destroy(&logins);
    login_free(&login);
    scratch_remove(&scratch);
}
END_TEST

/* SCRAM-SHA-1 has a key of its own; and what SASLprep cannot take is told (RFC 4013). */
START_TEST(what_cannot_be_salted)
{
    char path[SCRATCH_FILE_MAX], why[LOGIN_WHY_MAX] = "";
    struct exchange_want want = {
        .salted = true, .mechanism = AUTH_SCRAM_SHA_1, .iterations = 1, .salt_length = 1};
    struct scratch scratch = scratch_make();
    scratch_name(&scratch, "secret", path);
    put(path, "pencil", 0600);
    struct login *login = login_create("user", path);
    char *salted = login_secret(login, &want, why);
    ck_assert_uint_eq(strlen(salted), 40);
    secret_free(&salted);
    put(path, "not UTF-8: \xff", 0600);
    ck_assert_ptr_null(login_secret(login, &want, why));
    ck_assert_ptr_nonnull(strstr(why, "leave it out of mechanisms"));
    login_free(&login);
    scratch_remove(&scratch);
}
END_TEST

TEST_MAIN("relay/outbound/login", the_file, salted_and_kept, what_cannot_be_salted)
