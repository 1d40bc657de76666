/* A mailbox: any thread posts, one thread takes all. Lock-free; order of posting is kept.
 *
 * A mail is embedded in what is sent; by posting, ownership of that passes to the one who
 * takes it. `wake` is called by the poster whenever the box was empty, so the owner may
 * sleep once it has found it so. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct mail {
    struct mail *next;
    /* What the taker does with it; runs on the taker's thread. */
    void (*deliver)(struct mail *take, void *taker);
};

struct mailbox {
    _Atomic(struct mail *) newest;
    void (*wake)(void *owner);
    void *owner;
};

void mailbox_init(struct mailbox *box, void (*wake)(void *owner), void *owner);

void mailbox_post(struct mailbox *box, struct mail *take);

/* All that was posted, oldest first, chained by `next`; NULL when there is none. */
struct mail *mailbox_take(struct mailbox *box);

/* Takes all and calls each one's deliver(mail, taker). Returns how many. */
size_t mailbox_deliver(struct mailbox *box, void *taker);

bool mailbox_empty(struct mailbox *box);
