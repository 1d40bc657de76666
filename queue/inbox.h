/* Mailboxes whose owner may sleep until something comes: for threads without an event loop
 * (the committer, the loader). What lies in `patient` nobody waits for: it is taken together with
 * what comes into `box`, or after a little while for whatever joins it. */
#pragma once

#include "base/mailbox.h"

#include <pthread.h>

#define INBOX_PATIENCE_US 2000

struct inbox {
    struct mailbox box, patient;
    pthread_mutex_t mutex;
    pthread_cond_t came;
};

void inbox_init(struct inbox *inbox);
void inbox_free(struct inbox *inbox); /* nothing may be waiting in it */

/* What was posted, oldest first: of `box` and of `patient`, each in `*box` and `*patient`, NULL
 * where nothing came. Waits up to `wait_ms` (0: does not wait, -1: for ever), and for what is
 * patient no longer than INBOX_PATIENCE_US. */
void inbox_take_both(struct inbox *inbox, int wait_ms, struct mail **box, struct mail **patient);
/* The same where nothing is posted to `patient`. */
struct mail *inbox_take(struct inbox *inbox, int wait_ms);
