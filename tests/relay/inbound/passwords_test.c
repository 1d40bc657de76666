#include "relay/inbound/passwords.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

/* RFC 7677 3: the password is "pencil". */
#define KEYS                                                                                       \
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"   \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static int64_t clock_ms(void)
{
    return 1000;
}

static void wake(void *owner)
{
    ++*(unsigned *)owner;
}

static void came_back(struct mail *mail, void *taker)
{
    struct password_check *check = container_of(mail, struct password_check, mail);
    ck_assert_ptr_eq(taker, check->reply_to);
    if (check->result == PASSWORD_FITS)
        ck_assert(users_recall(check->users, check->name, check->password, clock_ms()));
    password_check_over(check);
}

START_TEST(checks_come_back)
{
    static const struct {
        const char *name, *password;
        bool fits;
    } rows[] = {{"user", "pencil", true},
                {"user", "pencils", false},
                {"nobody", "pencil", false},
                {"user", "pencil", true}};
    struct password_check checks[countof(rows)];
    struct buffer errors = {0};
    struct mailbox box;
    unsigned woken = 0;
    struct passwords *passwords = passwords_create(clock_ms);
    struct users *users = users_parse("u", SPAN("user:" KEYS), &errors);
    mailbox_init(&box, wake, &woken);
    for (size_t i = 0; i < countof(rows); i++) {
        checks[i] = (struct password_check){.mail.deliver = came_back, .reply_to = &box};
        ck_assert(passwords_check(passwords, &checks[i], users, rows[i].name, rows[i].password));
    }
    users_drop(&users); /* each check has its own reference */
    passwords_step(passwords, 0);
    ck_assert_uint_ge(woken, 1);
    ck_assert_uint_eq(mailbox_deliver(&box, &box), countof(rows));
    for (size_t i = 0; i < countof(rows); i++) {
        ck_assert_int_eq(checks[i].result, rows[i].fits ? PASSWORD_FITS : PASSWORD_WRONG);
        ck_assert(checks[i].password == NULL && checks[i].users == NULL);
    }
    passwords_destroy(&passwords);
    ck_assert_ptr_null(passwords);
}
END_TEST

START_TEST(too_many_do_not_wait)
{
    struct password_check *checks = must_calloc(PASSWORDS_WAITING_MAX + 1, sizeof(*checks));
    struct buffer errors = {0};
    struct mailbox box;
    unsigned woken = 0;
    struct passwords *passwords = passwords_create(clock_ms);
    struct users *users = users_parse("u", SPAN("user:" KEYS), &errors);
    mailbox_init(&box, wake, &woken);
    ck_assert(users_check(users, "user", "pencil", clock_ms()));
    for (unsigned i = 0; i <= PASSWORDS_WAITING_MAX; i++) {
        checks[i] = (struct password_check){.mail.deliver = came_back, .reply_to = &box};
        ck_assert_int_eq(passwords_check(passwords, &checks[i], users, "user", "pencil"),
                         i < PASSWORDS_WAITING_MAX);
    }
    passwords_step(passwords, 0);
    ck_assert_uint_eq(mailbox_deliver(&box, &box), PASSWORDS_WAITING_MAX);
    ck_assert(passwords_check(passwords, &checks[0], users, "user", "pencil"));
    passwords_step(passwords, 0);
    mailbox_deliver(&box, &box);
    ck_assert(passwords_check(passwords, &checks[0], users, "user", "pencil"));
    passwords_give_up(passwords);
    ck_assert_uint_eq(mailbox_deliver(&box, &box), 1);
    ck_assert_int_eq(checks[0].result, PASSWORD_UNCHECKED);
    users_drop(&users);
    passwords_destroy(&passwords);
    free(checks);
}
END_TEST

TEST_MAIN("relay/inbound/passwords", checks_come_back, too_many_do_not_wait)
