/* A mailbox whose owner may sleep until something comes: for threads without an event loop
 * (the committer, the loader). */
#pragma once

#include "base/mailbox.h"

#include <pthread.h>

struct inbox {
    struct mailbox box;
    pthread_mutex_t mutex;
    pthread_cond_t came;
};

void inbox_init(struct inbox *inbox);
void inbox_free(struct inbox *inbox); /* nothing may be waiting in it */

/* All that was posted, oldest first; waits up to `wait_ms` for the first (0: does not wait,
 * -1: for ever). NULL when nothing came. */
struct mail *inbox_take(struct inbox *inbox, int wait_ms);
