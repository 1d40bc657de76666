/* Checks passwords on a thread of its own: to derive a key takes ten milliseconds of a core and
 * more, for which no event loop may stand still. */
#pragma once

#include "base/mailbox.h"
#include "relay/users.h"

#define PASSWORDS_WAITING_MAX 1024 /* some ten seconds' work; more are refused */

struct passwords;

enum password_result {
    PASSWORD_FITS,
    PASSWORD_WRONG,
    PASSWORD_UNCHECKED, /* the end came first */
};

/* Embedded in whoever asks; comes back to `reply_to` as a mail, with its result. */
struct password_check {
    struct mail mail; /* deliver: set by whoever asks */
    struct mailbox *reply_to;
    struct users *users; /* one reference, until it is back */
    char *name, *password;
    enum password_result result;
};

struct passwords *passwords_create(int64_t (*now_ms)(void));
void passwords_destroy(struct passwords **passwords); /* nothing may be waiting */

/* Copies name and password. False, and nothing is under way, when too many wait. */
bool passwords_check(struct passwords *passwords, struct password_check *check, struct users *users,
                     const char *name, const char *password);
/* After it came back: lets go of what it holds. */
void password_check_over(struct password_check *check);

/* At the end: what waits comes back unchecked. */
void passwords_give_up(struct passwords *passwords);

/* One turn: checks all that wait, waiting up to `wait_ms` for the first. */
void passwords_step(struct passwords *passwords, int wait_ms);
