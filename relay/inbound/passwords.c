#include "relay/inbound/passwords.h"

#include "queue/inbox.h"

#include <stdlib.h>

struct passwords {
    struct inbox inbox;
    atomic_uint waiting;
    int64_t (*now_ms)(void);
};

struct passwords *passwords_create(int64_t (*now_ms)(void))
{
    struct passwords *passwords = must_calloc(1, sizeof(*passwords));
    inbox_init(&passwords->inbox);
    atomic_init(&passwords->waiting, 0);
    passwords->now_ms = now_ms;
    return passwords;
}

void passwords_destroy(struct passwords **passwords)
{
    inbox_free(&(*passwords)->inbox);
    free(*passwords);
    *passwords = NULL;
}

bool passwords_check(struct passwords *passwords, struct password_check *check, struct users *users,
                     const char *name, const char *password)
{
    if (atomic_fetch_add(&passwords->waiting, 1) >= PASSWORDS_WAITING_MAX) {
        atomic_fetch_sub(&passwords->waiting, 1);
        return false;
    }
    check->users = users_keep(users);
    check->name = must_strdup(name);
    check->password = must_strdup(password);
    mailbox_post(&passwords->inbox.box, &check->mail);
    return true;
}

void password_check_over(struct password_check *check)
{
    users_drop(&check->users);
    secret_free(&check->name);
    secret_free(&check->password);
}

/* Of many that wait, those behind the first of a user are known by then. */
static bool fits(const struct passwords *passwords, const struct password_check *check)
{
    int64_t now_ms = passwords->now_ms();
    return users_recall(check->users, check->name, check->password, now_ms) ||
           users_check(check->users, check->name, check->password, now_ms);
}

static void send_back(struct passwords *passwords, struct password_check *check,
                      enum password_result result)
{
    check->result = result;
    atomic_fetch_sub(&passwords->waiting, 1);
    mailbox_post(check->reply_to, &check->mail);
}

void passwords_give_up(struct passwords *passwords)
{
    for (struct mail *mail = inbox_take(&passwords->inbox, 0), *next; mail; mail = next) {
        next = mail->next;
        send_back(passwords, container_of(mail, struct password_check, mail), PASSWORD_UNCHECKED);
    }
}

void passwords_step(struct passwords *passwords, int wait_ms)
{
    for (struct mail *mail = inbox_take(&passwords->inbox, wait_ms), *next; mail; mail = next) {
        struct password_check *check = container_of(mail, struct password_check, mail);
        next = mail->next;
        send_back(passwords, check, fits(passwords, check) ? PASSWORD_FITS : PASSWORD_WRONG);
    }
}
