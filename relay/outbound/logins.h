/* The thread of logins: looks at their files, and salts their passwords, for neither of which an
 * event loop may stand still. Once for each connection that authenticates, never for a message. */
#pragma once

#include "base/mailbox.h"
#include "relay/outbound/login.h"

struct logins;

/* Embedded in whoever asks, who must not go before it is back; comes to `reply_to` as a mail. */
struct login_request {
    struct mail mail; /* deliver: set by whoever asks */
    struct mailbox *reply_to;
    struct login *login;
    struct exchange_want want;
    char *secret; /* whoever asked frees it, by secret_free; NULL: see `why` */
    char why[LOGIN_WHY_MAX];
};

struct logins *logins_create(void);
void logins_destroy(struct logins **logins); /* nothing may be waiting */

void logins_post(struct logins *logins, struct login_request *request);

/* At the end: what waits comes back without a secret. */
void logins_give_up(struct logins *logins);

/* One turn: answers all that wait, waiting up to `wait_ms` for the first. */
void logins_step(struct logins *logins, int wait_ms);
