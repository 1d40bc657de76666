/* Attempts that end without a connection: no route, the site failed, the time ran out. */
#include "queue/loader.h"
#include "relay/outbound/attempt.h"
#include "relay/outbound/dispatch.h"
#include "relay/worker.h"

#include <stdlib.h>

struct ending {
    struct load load;
    struct worker *worker;
    struct local_end *end;
};

/* Whether time has brought about anything for an envelope that waits: attempt_end() sees what. */
static bool is_ripe(const struct worker *worker, const struct envelope *envelope)
{
    const struct retry *retry = config_retry(worker->config, span_of(envelope->destination));
    return retry_ripe(retry, envelope->message, envelope->warned, worker->wall_ms) != RIPE_NOTHING;
}

/* Nothing is known against the site? Then what was said of the envelope before says most. */
static void find_words(struct verdict *verdict, const struct envelope *envelope)
{
    if (verdict->text.length == 0 && envelope->last_reply[0] != '\0')
        verdict->text = span_of(envelope->last_reply);
    else if (verdict->text.length == 0)
        verdict->text = SPAN("its turn has not come yet");
}

static void end_now(struct worker *worker, struct local_end *end, struct envelope *take_envelope)
{
    if (end->look && !is_ripe(worker, take_envelope)) {
        if (take_envelope->warned && !(take_envelope->message->flags & MESSAGE_BY_RETURN))
            end->entry->timed = false; /* its deadline has been told of: nothing more comes of it */
        envelope_free(&take_envelope);
        dispatch_looked(worker->relay->dispatch, end->entry);
        return;
    }
    if (end->look)
        find_words(&end->verdict, take_envelope);
    struct attempt *attempt = attempt_create(worker, end->entry, take_envelope);
    attempt->looked = end->look;
    attempt_settle(attempt, &end->verdict);
    attempt_end(&attempt);
}

static void next_and_free(struct worker *worker, struct local_end *end)
{
    if (end->route != NULL)
        dispatch_next_local(worker->relay->dispatch, end->route, worker->index);
    arena_free(&end->arena);
    free(end);
}

static void loaded(struct mail *mail, void *taker)
{
    struct load *load = container_of(mail, struct load, mail);
    struct ending *ending = container_of(load, struct ending, load);
    (void)taker;
    switch (load->result) {
    case LOAD_OK: end_now(ending->worker, ending->end, load->envelope); break;
    case LOAD_GONE:
    case LOAD_DAMAGED: entry_damaged(ending->worker, ending->end->entry); break;
    }
    next_and_free(ending->worker, ending->end);
    free(ending);
}

void attempt_end_locally(struct mail *take_local_end, void *taker)
{
    struct local_end *end = container_of(take_local_end, struct local_end, mail);
    struct worker *worker = taker;
    struct entry *entry = end->entry;
    if (entry->envelope != NULL) {
        struct envelope *envelope = entry->envelope;
        entry->envelope = NULL;
        end_now(worker, end, envelope);
        next_and_free(worker, end);
        return;
    }
    struct ending *ending = must_calloc(1, sizeof(*ending));
    ending->worker = worker;
    ending->end = end;
    ending->load.mail.deliver = loaded;
    ending->load.reply_to = worker->mailbox;
    ending->load.id = entry->id;
    ending->load.number = entry->number;
    loader_post(worker->relay->loader, &ending->load);
}
