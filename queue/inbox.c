#include "queue/inbox.h"

#include "base/must.h"

#include <stdint.h>
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
    mailbox_init(&inbox->patient, wake, inbox);
}

void inbox_free(struct inbox *inbox)
{
    must(mailbox_empty(&inbox->box) && mailbox_empty(&inbox->patient));
    pthread_cond_destroy(&inbox->came);
    pthread_mutex_destroy(&inbox->mutex);
}

static struct timespec from_now(int64_t us)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += us / 1000000;
    at.tv_nsec += (long)(us % 1000000) * 1000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

void inbox_post_patient(struct inbox *inbox, struct mail *take)
{
    mailbox_post(&inbox->patient, take);
    if (atomic_fetch_add(&inbox->gathered, 1) + 1 == INBOX_ENOUGH)
        wake(inbox);
}

static bool has_patient(struct inbox *inbox, bool enough)
{
    return !mailbox_empty(&inbox->patient) &&
           (!enough || atomic_load(&inbox->gathered) >= INBOX_ENOUGH);
}

/* Until something lies in `box`, or in `patient`, or there enough of it; or `until`, NULL: for
 * ever. Posters signal with the mutex held, so what comes after the look is not missed. */
static void wait_for_mail(struct inbox *inbox, bool enough, const struct timespec *until)
{
    int error = 0;
    pthread_mutex_lock(&inbox->mutex);
    while (error == 0 && mailbox_empty(&inbox->box) && !has_patient(inbox, enough))
        error = until == NULL ? pthread_cond_wait(&inbox->came, &inbox->mutex)
                              : pthread_cond_timedwait(&inbox->came, &inbox->mutex, until);
    pthread_mutex_unlock(&inbox->mutex);
}

void inbox_take_both(struct inbox *inbox, int wait_ms, struct mail **box, struct mail **patient)
{
    if (wait_ms != 0) {
        struct timespec until = from_now((int64_t)wait_ms * 1000);
        wait_for_mail(inbox, false, wait_ms < 0 ? NULL : &until);
    }
    if (wait_ms != 0 && has_patient(inbox, false)) {
        struct timespec until = from_now(INBOX_PATIENCE_US);
        wait_for_mail(inbox, true, &until);
    }
    *box = mailbox_take(&inbox->box);
    atomic_store(&inbox->gathered, 0); /* first: of what is posted meanwhile too many are counted */
    *patient = mailbox_take(&inbox->patient);
}

struct mail *inbox_take(struct inbox *inbox, int wait_ms)
{
    struct mail *box, *patient;
    inbox_take_both(inbox, wait_ms, &box, &patient);
    must(patient == NULL);
    return box;
}
