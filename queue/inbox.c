#include "queue/inbox.h"

#include "base/must.h"

#include <time.h>

static void wake(void *owner)
{
    struct inbox *inbox = owner;
    pthread_mutex_lock(&inbox->mutex);
    pthread_cond_signal(&inbox->came);
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_init(struct inbox *inbox)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&inbox->came, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&inbox->mutex, NULL);
    mailbox_init(&inbox->box, wake, inbox);
}

void inbox_free(struct inbox *inbox)
{
    must(mailbox_empty(&inbox->box));
    pthread_cond_destroy(&inbox->came);
    pthread_mutex_destroy(&inbox->mutex);
}

static struct timespec deadline(int wait_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += wait_ms / 1000;
    at.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* The poster signals with the mutex held, so that what comes after the look is not missed. */
static void wait_for_mail(struct inbox *inbox, int wait_ms)
{
    struct timespec until = deadline(wait_ms);
    int error = 0;
    pthread_mutex_lock(&inbox->mutex);
    while (error == 0 && mailbox_empty(&inbox->box))
        error = wait_ms < 0 ? pthread_cond_wait(&inbox->came, &inbox->mutex)
                            : pthread_cond_timedwait(&inbox->came, &inbox->mutex, &until);
    pthread_mutex_unlock(&inbox->mutex);
}

struct mail *inbox_take(struct inbox *inbox, int wait_ms)
{
    if (wait_ms != 0 && mailbox_empty(&inbox->box))
        wait_for_mail(inbox, wait_ms);
    return mailbox_take(&inbox->box);
}
