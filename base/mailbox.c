#include "base/mailbox.h"

void mailbox_init(struct mailbox *box, void (*wake)(void *owner), void *owner)
{
    atomic_init(&box->newest, NULL);
    box->wake = wake;
    box->owner = owner;
}

void mailbox_post(struct mailbox *box, struct mail *take)
{
    struct mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do {
        take->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&box->newest, &newest, take,
                                                    memory_order_release, memory_order_relaxed));
    if (newest == NULL)
        box->wake(box->owner);
}

struct mail *mailbox_take(struct mailbox *box)
{
    struct mail *newest = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    struct mail *oldest = NULL;
    while (newest != NULL) {
        struct mail *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

size_t mailbox_deliver(struct mailbox *box, void *taker)
{
    size_t count = 0;
    struct mail *mail = mailbox_take(box);
    while (mail != NULL) {
        struct mail *next = mail->next; /* deliver may free or post the mail */
        mail->deliver(mail, taker);
        mail = next;
        count++;
    }
    return count;
}

bool mailbox_empty(struct mailbox *box)
{
    return atomic_load_explicit(&box->newest, memory_order_acquire) == NULL;
}
