/* Mailboxes whose owner may sleep until something comes: for threads without an event loop
 * (the committer, the loader). What is posted as patient nobody waits for: it is taken together
 * with what comes into `box`; or when enough has gathered, or a little while has passed. */
#pragma once

#include "base/mailbox.h"

#include <pthread.h>

#define INBOX_PATIENCE_US 5000
#define INBOX_ENOUGH 64 /* mails that are patient */

struct inbox {
    struct mailbox box, patient;
    _Atomic unsigned gathered; /* in `patient`, or a few more */
    pthread_mutex_t mutex;
    pthread_cond_t came;
};

void inbox_init(struct inbox *inbox);
void inbox_free(struct inbox *inbox); /* nothing may be waiting in it */

/* Any thread. */
void inbox_post_patient(struct inbox *inbox, struct mail *take);

/* What was posted, oldest first: to `box`, and as patient; each NULL where nothing came. Waits up
 * to `wait_ms` (0: does not wait, -1: for ever), and once something patient is there for
 * INBOX_ENOUGH of it, or INBOX_PATIENCE_US. */
void inbox_take_both(struct inbox *inbox, int wait_ms, struct mail **box, struct mail **patient);
/* The same where nothing is posted to `patient`. */
struct mail *inbox_take(struct inbox *inbox, int wait_ms);
