#include "relay/outbound/logins.h"

#include "queue/inbox.h"

#include <stdio.h>
#include <stdlib.h>

struct logins {
    struct inbox inbox;
};

struct logins *logins_create(void)
{
    struct logins *logins = must_calloc(1, sizeof(*logins));
    inbox_init(&logins->inbox);
    return logins;
}

void logins_destroy(struct logins **logins)
{
    if (*logins == NULL)
        return;
    inbox_free(&(*logins)->inbox);
    free(*logins);
    *logins = NULL;
}

void logins_post(struct logins *logins, struct login_request *request)
{
    mailbox_post(&logins->inbox.box, &request->mail);
}

void logins_give_up(struct logins *logins)
{
    for (struct mail *mail = inbox_take(&logins->inbox, 0), *next; mail; mail = next) {
        struct login_request *request = container_of(mail, struct login_request, mail);
        next = mail->next;
        snprintf(request->why, sizeof(request->why), "the relay is ending");
        mailbox_post(request->reply_to, mail);
    }
}

void logins_step(struct logins *logins, int wait_ms)
{
    for (struct mail *mail = inbox_take(&logins->inbox, wait_ms), *next; mail; mail = next) {
        struct login_request *request = container_of(mail, struct login_request, mail);
        next = mail->next;
        request->secret = login_secret(request->login, &request->want, request->why);
        mailbox_post(request->reply_to, mail);
    }
}
