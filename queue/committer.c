#include "queue/committer.h"

#include "base/log.h"
#include "base/must.h"
#include "queue/inbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VERDICTS_MAX COMMITTER_REMOVE_MAX /* an update dirties its page as a removal does */

/* Changes in order, chained by their mails. */
struct chain {
    struct mail *first, **end;
};

struct committer {
    struct spool *spool;
    struct inbox inbox;
    struct chain verdicts, mail; /* taken from the inbox, in no batch yet; mail: new */

    struct change *batch[COMMITTER_BATCH_MAX];
    size_t batch_count;
    struct segment_append bodies[COMMITTER_BATCH_MAX];

    bool stalled;        /* verdicts did not fit: nothing else is tried */
    size_t verdicts_max; /* per batch; fewer while stalled: some may fit where all do not */
    bool full_told;
    bool broken; /* everything is answered so, nothing is tried */

    _Atomic uint64_t commits, changes;
    struct distribution times, sizes;
};

/* ---- chains ---- */

static void chain_init(struct chain *chain)
{
    chain->first = NULL;
    chain->end = &chain->first;
}

static void chain_append(struct chain *chain, struct mail *mail)
{
    mail->next = NULL;
    *chain->end = mail;
    chain->end = &mail->next;
}

static void chain_append_all(struct chain *chain, struct mail *mail)
{
    while (mail != NULL) {
        struct mail *next = mail->next;
        chain_append(chain, mail);
        mail = next;
    }
}

static void chain_prepend(struct chain *chain, struct mail *mail)
{
    mail->next = chain->first;
    if (chain->first == NULL)
        chain->end = &mail->next;
    chain->first = mail;
}

static struct change *chain_pop(struct chain *chain)
{
    struct mail *mail = chain->first;
    chain->first = mail->next;
    if (chain->first == NULL)
        chain->end = &chain->first;
    mail->next = NULL;
    return container_of(mail, struct change, mail);
}

/* ---- changes ---- */

/* What cannot be refused: what became of an attempt, and what the operator or a rule said. */
static bool has_verdict(const struct change *change)
{
    return change->update != NULL || change->remove || change->hold != NULL ||
           change->suspend != NULL || change->lift != NULL;
}

static bool is_new_mail(const struct change *change)
{
    return change->accept != NULL && !has_verdict(change);
}

static size_t body_bytes(const struct change *change)
{
    return change->accept && !change->own_file ? change->accept->place.length : 0;
}

static void answer(struct change *change, enum spool_result result)
{
    change->result = result;
    mailbox_post(change->reply_to, &change->mail);
}

/* ---- life ---- */

struct committer *committer_create(struct spool *spool)
{
    struct committer *committer = must_calloc(1, sizeof(*committer));
    committer->spool = spool;
    committer->verdicts_max = VERDICTS_MAX;
    chain_init(&committer->verdicts);
    chain_init(&committer->mail);
    inbox_init(&committer->inbox);
    return committer;
}

void committer_destroy(struct committer **committer)
{
    struct committer *destroyed = *committer;
    *committer = NULL;
    if (destroyed == NULL)
        return;
    must(destroyed->verdicts.first == NULL && destroyed->mail.first == NULL);
    inbox_free(&destroyed->inbox);
    free(destroyed);
}

void committer_post(struct committer *committer, struct change *take)
{
    must(take->accept != NULL || has_verdict(take));
    must(take->accept == NULL || take->accepted_count > 0);
    if (is_new_mail(take))
        mailbox_post(&committer->inbox.box, &take->mail);
    else
        inbox_post_patient(&committer->inbox, &take->mail);
}

/* ---- the batch ---- */

/* The head of the chain, up to `most` changes of it and the bounds of the batch; one change fits
 * always. */
static void fill_from(struct committer *committer, struct chain *chain, size_t most, size_t *bytes)
{
    for (; chain->first != NULL && most > 0; most--) {
        struct change *next = container_of(chain->first, struct change, mail);
        *bytes += body_bytes(next);
        if (*bytes > COMMITTER_BATCH_BYTES && committer->batch_count > 0)
            return;
        committer->batch[committer->batch_count++] = chain_pop(chain);
    }
}

/* Verdicts first: they claim their room before new mail does. */
static void fill_batch(struct committer *committer)
{
    size_t bytes = 0;
    committer->batch_count = 0;
    fill_from(committer, &committer->verdicts, committer->verdicts_max, &bytes);
    fill_from(committer, &committer->mail, COMMITTER_BATCH_MAX - committer->batch_count, &bytes);
}

/* Back to the head of what waits, in order: verdicts only, new mail has been refused. */
static void put_batch_back(struct committer *committer)
{
    while (committer->batch_count > 0)
        chain_prepend(&committer->verdicts, &committer->batch[--committer->batch_count]->mail);
}

static void answer_batch(struct committer *committer, enum spool_result result)
{
    for (size_t i = 0; i < committer->batch_count; i++)
        answer(committer->batch[i], result);
    committer->batch_count = 0;
}

static void refuse_new_mail_in_batch(struct committer *committer)
{
    size_t kept = 0;
    for (size_t i = 0; i < committer->batch_count; i++) {
        if (is_new_mail(committer->batch[i]))
            answer(committer->batch[i], SPOOL_FULL);
        else
            committer->batch[kept++] = committer->batch[i];
    }
    committer->batch_count = kept;
}

/* ---- one attempt at a batch ---- */

static bool batch_has_new_mail(const struct committer *committer)
{
    for (size_t i = 0; i < committer->batch_count; i++)
        if (is_new_mail(committer->batch[i]))
            return true;
    return false;
}

static void store_bodies(struct committer *committer, struct spool_batch *batch)
{
    size_t count = 0;
    for (size_t i = 0; i < committer->batch_count; i++) {
        struct change *change = committer->batch[i];
        if (change->accept == NULL)
            continue;
        struct message *message = change->accept;
        if (change->own_file != NULL) {
            message->place.own_file = true;
            message->place.segment = message->id;
            message->place.offset = 0;
            spool_sync_own(batch, change->own_file);
        } else {
            committer->bodies[count++] = (struct segment_append){message->body, &message->place};
        }
    }
    spool_append(batch, committer->bodies, count);
}

static void store_change(struct spool_batch *batch, const struct change *change)
{
    if (change->update != NULL)
        spool_update(batch, change->update);
    else if (change->remove)
        spool_remove(batch, change->id, change->number);
    else if (change->hold != NULL)
        spool_hold(batch, change->id, change->number, change->hold);
    else if (change->suspend != NULL)
        spool_suspend(batch, change->suspend);
    else if (change->lift != NULL)
        spool_lift(batch, change->lift);
    if (change->accept != NULL)
        spool_accept(batch, change->accept, change->accepted, change->accepted_count);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static enum spool_result commit_batch(struct committer *committer)
{
    struct spool_batch batch;
    uint64_t began = now_us();
    spool_begin(committer->spool, &batch, batch_has_new_mail(committer));
    store_bodies(committer, &batch);
    for (size_t i = 0; i < committer->batch_count; i++)
        store_change(&batch, committer->batch[i]);
    enum spool_result result = spool_commit(&batch);
    if (result == SPOOL_OK) {
        atomic_fetch_add_explicit(&committer->commits, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&committer->changes, committer->batch_count,
                                  memory_order_relaxed);
        distribution_add(&committer->times, (int64_t)(now_us() - began));
        distribution_add(&committer->sizes, (int64_t)committer->batch_count);
    }
    return result;
}

/* ---- a turn ---- */

/* Once per change of state. */
static void tell_full(struct committer *committer, bool full)
{
    if (full == committer->full_told)
        return;
    committer->full_told = full;
    if (full)
        log_note("spool-full", "why", "%s", spool_why(committer->spool));
    else
        log_note("spool-has-room", "why", "mail is taken again");
    log_flush();
}

/* Verdicts wait for room: fewer at a time, and all new mail is refused. */
static void stall(struct committer *committer)
{
    put_batch_back(committer);
    committer->stalled = true;
    if (committer->verdicts_max > 1)
        committer->verdicts_max /= 2;
}

static void unstall(struct committer *committer)
{
    committer->stalled = false;
    committer->verdicts_max *= 2;
    if (committer->verdicts_max > VERDICTS_MAX)
        committer->verdicts_max = VERDICTS_MAX;
}

static void answer_all(struct chain *chain, enum spool_result result)
{
    while (chain->first != NULL)
        answer(chain_pop(chain), result);
}

static void settle(struct committer *committer, enum spool_result result)
{
    switch (result) {
    case SPOOL_OK:
        answer_batch(committer, SPOOL_OK);
        unstall(committer);
        return;
    case SPOOL_FULL: stall(committer); return;
    case SPOOL_BROKEN:
        answer_batch(committer, SPOOL_BROKEN);
        committer->broken = true;
        return;
    }
    must_not_reach();
}

static void process_batch(struct committer *committer)
{
    bool accepting = batch_has_new_mail(committer);
    enum spool_result result = commit_batch(committer);
    if (result == SPOOL_FULL || (result == SPOOL_OK && accepting))
        tell_full(committer, result == SPOOL_FULL);
    if (result == SPOOL_FULL && accepting) {
        refuse_new_mail_in_batch(committer);
        result = committer->batch_count > 0 ? commit_batch(committer) : SPOOL_OK;
    }
    settle(committer, result);
}

/* With nothing to write nobody else finds out that there is room again. */
static void look_for_room(struct committer *committer)
{
    struct spool_batch batch;
    if (!spool_full(committer->spool))
        return;
    spool_begin(committer->spool, &batch, true);
    spool_abort(&batch);
}

static void pause_ms(int ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static void gather(struct committer *committer, int wait_ms)
{
    if (committer->stalled && wait_ms != 0) {
        pause_ms(wait_ms > 0 && wait_ms < COMMITTER_RETRY_MS ? wait_ms : COMMITTER_RETRY_MS);
        wait_ms = 0;
    }
    if (committer->verdicts.first != NULL || committer->mail.first != NULL)
        wait_ms = 0;
    struct mail *mail, *verdicts;
    inbox_take_both(&committer->inbox, wait_ms, &mail, &verdicts);
    chain_append_all(&committer->mail, mail);
    chain_append_all(&committer->verdicts, verdicts);
}

static void take_turn(struct committer *committer)
{
    fill_batch(committer);
    if (committer->batch_count > 0)
        process_batch(committer);
    else
        look_for_room(committer);
    if (!committer->broken)
        spool_tidy(committer->spool);
}

bool committer_step(struct committer *committer, int wait_ms)
{
    gather(committer, committer->broken ? 0 : wait_ms);
    if (committer->stalled)
        answer_all(&committer->mail, SPOOL_FULL);
    if (!committer->broken)
        take_turn(committer);
    if (committer->broken) {
        answer_all(&committer->verdicts, SPOOL_BROKEN);
        answer_all(&committer->mail, SPOOL_BROKEN);
    }
    return !committer->broken;
}

const char *committer_why(const struct committer *committer)
{
    return spool_why(committer->spool);
}

void committer_facts(struct committer *committer, struct committer_facts *facts)
{
    facts->commits = atomic_load_explicit(&committer->commits, memory_order_relaxed);
    facts->changes = atomic_load_explicit(&committer->changes, memory_order_relaxed);
    facts->commit_us = (uint64_t)atomic_load_explicit(&committer->times.sum, memory_order_relaxed);
}

const struct distribution *committer_times(const struct committer *committer)
{
    return &committer->times;
}

const struct distribution *committer_sizes(const struct committer *committer)
{
    return &committer->sizes;
}
