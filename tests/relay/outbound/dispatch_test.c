/* Orders of the operator, on a dispatch with a real spool and committer; workers and connections
 * are played by the test. */
#include "relay/outbound/dispatch.h"

#include "relay/metrics.h"
#include "relay/os.h"
#include "relay/outbound/dispatch_operator.h"
#include "tests/queue/scratch.h"

static const char config_text[] = "hostname = \"relay.test\"\n"
                                  "destination \"*\" { max-connections = 1 }\n"
                                  "route \"*\" { hosts = { \"[192.0.2.1]:25\" } }\n";

struct yard {
    struct scratch scratch;
    struct config *config;
    struct spool *spool;
    struct committer *committer;
    struct mailbox worker;
    struct dispatch *dispatch;
    struct slot slot; /* the one connection that is open */
    bool open;
    struct local_end *ended; /* what was last to be ended locally */
    uint64_t id;             /* of the message in it */
    struct orders *orders;
};

/* ---- the worker ---- */

static void open_connection(struct mail *take, void *taker)
{
    struct opening *opening = container_of(take, struct opening, mail);
    struct yard *yard = taker;
    ck_assert(!yard->open);
    slot_init(&yard->slot, opening->site, 0, opening->probe, opening->reserved);
    yard->open = true;
    free(opening);
}

static void wake(struct mail *mail, void *taker)
{
    struct yard *yard = taker;
    ck_assert_ptr_eq(mail, &yard->slot.wake);
    dispatch_woken(yard->dispatch, &yard->slot);
}

static void end_locally(struct mail *take, void *taker)
{
    struct yard *yard = taker;
    ck_assert_ptr_null(yard->ended);
    yard->ended = container_of(take, struct local_end, mail);
}

static void ignore(void *owner)
{
    (void)owner;
}

/* Whatever was posted is committed, and comes back. */
static void settle(struct yard *yard)
{
    for (int i = 0; i < 4; i++) {
        ck_assert(committer_step(yard->committer, 0));
        mailbox_deliver(&yard->worker, yard);
    }
    ck_assert_uint_eq(orders_open(yard->orders), 0);
}

/* ---- a yard ---- */

static void open_relay(struct yard *yard)
{
    char why[300] = "", path[SCRATCH_MAX * 2];
    int exit_code;
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct spool_options options = scratch_options(&yard->scratch, SMALL_MAP);
    options.durability = DURABILITY_NONE;
    yard->spool = spool_open(&options, why, sizeof(why), &exit_code);
    ck_assert_msg(yard->spool != NULL, "%s", why);
    yard->config = config_read(scratch_file(&yard->scratch, "conf", path), &errors);
    ck_assert_msg(yard->config != NULL, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    yard->committer = committer_create(yard->spool);
    mailbox_init(&yard->worker, ignore, NULL);
    struct dispatch_parts parts = {.config = yard->config,
                                   .spool = yard->spool,
                                   .committer = yard->committer,
                                   .workers = &yard->worker,
                                   .worker_count = 1,
                                   .open = open_connection,
                                   .end_locally = end_locally,
                                   .wake = wake};
    yard->dispatch = dispatch_create(&parts);
}

static void close_relay(struct yard *yard)
{
    mailbox_deliver(&yard->worker, yard);
    dispatch_drain(yard->dispatch);
    if (yard->open)
        ck_assert(dispatch_leave(yard->dispatch, &yard->slot));
    yard->open = false;
    dispatch_destroy(&yard->dispatch);
    committer_destroy(&yard->committer);
    spool_close(&yard->spool);
    config_drop(&yard->config);
}

/* A message is accepted and submitted. */
static void begin(struct yard *yard)
{
    char path[SCRATCH_MAX * 2];
    *yard = (struct yard){.scratch = scratch_make(), .orders = orders_create()};
    FILE *file = fopen(scratch_file(&yard->scratch, "conf", path), "we");
    ck_assert(file != NULL && fputs(config_text, file) >= 0 && fclose(file) == 0);
    open_relay(yard);
    struct piece piece = make_piece(yard->spool, SPAN("body"));
    yard->id = piece.message->id;
    ck_assert_int_eq(accept_piece(yard->spool, &piece), SPOOL_OK);
    dispatch_submit(yard->dispatch, 0, &piece.envelope, 1);
    message_drop(&piece.message);
    mailbox_deliver(&yard->worker, yard);
}

static void end(struct yard *yard)
{
    close_relay(yard);
    orders_drop(&yard->orders);
    scratch_remove(&yard->scratch);
}

/* The relay ends, and another one begins on its spool. */
static void restart(struct yard *yard)
{
    struct spool_glance glance;
    uint64_t id = 0;
    uint16_t number = 0;
    close_relay(yard);
    open_relay(yard);
    while (spool_scan(yard->spool, &id, &number, id == 0, &glance, 1) == 1)
        dispatch_restore(yard->dispatch, &glance, 1);
    dispatch_restored(yard->dispatch);
    mailbox_deliver(&yard->worker, yard);
}

/* What the connection claims; NULL: nothing is to be had. */
static struct entry *claim(struct yard *yard)
{
    bool idle;
    mailbox_deliver(&yard->worker, yard);
    if (!yard->open)
        return NULL;
    struct entry *entry = dispatch_claim(yard->dispatch, &yard->slot, false, &idle);
    if (entry != NULL && entry->envelope != NULL)
        envelope_free(&entry->envelope);
    return entry;
}

/* The attempt's verdict is durable: come again. */
static void defer(struct yard *yard, struct entry *entry)
{
    struct spool_batch batch;
    struct envelope *envelope = spool_read(yard->spool, yard->id, 0);
    struct envelope update = *envelope;
    update.held = false; /* as it was when it was claimed */
    update.due_ms = os_wall() + 3600000;
    spool_begin(yard->spool, &batch, false);
    spool_update(&batch, &update);
    ck_assert_int_eq(spool_commit(&batch), SPOOL_OK);
    envelope_free(&envelope);
    dispatch_deferred(yard->dispatch, entry, update.due_ms);
}

static void assert_state(struct yard *yard, enum entry_state state)
{
    struct queue_look look;
    ck_assert(dispatch_look(yard->dispatch, yard->id, 0, &look));
    ck_assert_int_eq(look.state, state);
}

static void assert_stored(struct yard *yard, bool held, const char *reason)
{
    struct envelope *envelope CLEANUP(envelope_free) = spool_read(yard->spool, yard->id, 0);
    ck_assert_ptr_nonnull(envelope);
    ck_assert_int_eq(envelope->held, held);
    ck_assert_msg(strstr(envelope->hold_reason, reason) != NULL, "%s", envelope->hold_reason);
}

static void assert_gone(struct yard *yard)
{
    struct queue_look look;
    ck_assert(!dispatch_look(yard->dispatch, yard->id, 0, &look));
    ck_assert_uint_eq(dispatch_out(yard->dispatch), 0);
    ck_assert(!is_stored(yard->spool, yard->id, 0));
}

static bool hold(struct yard *yard)
{
    return dispatch_hold(yard->dispatch, yard->id, 0, "a look first", yard->orders);
}

static bool drop(struct yard *yard)
{
    return dispatch_drop(yard->dispatch, yard->id, 0, yard->orders);
}

static bool release(struct yard *yard)
{
    return dispatch_release(yard->dispatch, yard->id, 0, yard->orders);
}

static bool return_it(struct yard *yard)
{
    return dispatch_fail(yard->dispatch, yard->id, 0, "no such thing", yard->orders);
}

/* ---- holding ---- */

START_TEST(what_is_held_is_not_claimed_until_released)
{
    struct yard yard;
    begin(&yard);
    ck_assert(!release(&yard)); /* it is not held */
    ck_assert(hold(&yard));
    assert_state(&yard, ENTRY_HELD);
    ck_assert_uint_eq(orders_open(yard.orders), 1);
    settle(&yard);
    assert_stored(&yard, true, "a look first");
    ck_assert_ptr_null(claim(&yard));
    ck_assert(!dispatch_retry(yard.dispatch, yard.id, 0, 1));
    assert_state(&yard, ENTRY_HELD);
    restart(&yard);
    assert_state(&yard, ENTRY_HELD);
    ck_assert_ptr_null(claim(&yard));
    ck_assert(release(&yard));
    settle(&yard);
    assert_stored(&yard, false, "");
    struct entry *entry = claim(&yard);
    ck_assert_ptr_nonnull(entry);
    dispatch_finished(yard.dispatch, entry);
    end(&yard);
}
END_TEST

START_TEST(what_is_out_is_held_after_its_attempt)
{
    struct yard yard;
    begin(&yard);
    struct entry *entry = claim(&yard);
    ck_assert(hold(&yard));
    assert_state(&yard, ENTRY_OUT);
    settle(&yard);
    defer(&yard, entry);
    assert_state(&yard, ENTRY_HELD);
    assert_stored(&yard, true, "a look first");
    ck_assert(release(&yard));
    settle(&yard);
    entry = claim(&yard);
    ck_assert(hold(&yard));
    dispatch_return(yard.dispatch, entry, NULL); /* nothing was tried */
    assert_state(&yard, ENTRY_HELD);
    settle(&yard);
    end(&yard);
}
END_TEST

START_TEST(of_two_orders_the_later_counts)
{
    struct yard yard;
    begin(&yard);
    struct entry *entry = claim(&yard);
    ck_assert(drop(&yard));
    ck_assert(return_it(&yard));
    ck_assert(hold(&yard));
    ck_assert(release(&yard));
    settle(&yard);
    defer(&yard, entry);
    assert_state(&yard, ENTRY_WAITING);
    assert_stored(&yard, false, "");
    ck_assert_ptr_null(yard.ended);
    end(&yard);
}
END_TEST

/* ---- dropping ---- */

START_TEST(a_drop_is_done_when_it_is_durable)
{
    struct yard yard;
    begin(&yard);
    int64_t dropped = metric_read(METRIC_DROPPED);
    ck_assert(drop(&yard));
    ck_assert(!drop(&yard) && !hold(&yard) && !return_it(&yard)); /* too late */
    assert_state(&yard, ENTRY_OUT);
    ck_assert_int_eq(metric_read(METRIC_DROPPED), dropped);
    settle(&yard);
    assert_gone(&yard);
    ck_assert_int_eq(metric_read(METRIC_DROPPED), dropped + 1);
    ck_assert(!drop(&yard));
    end(&yard);
}
END_TEST

START_TEST(what_is_out_is_dropped_after_its_attempt)
{
    struct yard yard;
    begin(&yard);
    struct entry *entry = claim(&yard);
    ck_assert(drop(&yard));
    settle(&yard);
    assert_state(&yard, ENTRY_OUT);
    defer(&yard, entry);
    settle(&yard);
    assert_gone(&yard);
    end(&yard);
}
END_TEST

/* The operator was told that it goes: a relay that begins anew does not send it. */
START_TEST(a_drop_is_not_forgotten_when_the_relay_ends)
{
    struct yard yard;
    begin(&yard);
    struct entry *entry = claim(&yard);
    ck_assert(drop(&yard));
    settle(&yard);
    dispatch_drain(yard.dispatch);
    dispatch_return(yard.dispatch, entry, NULL);
    restart(&yard);
    assert_state(&yard, ENTRY_HELD);
    assert_stored(&yard, true, "dropped");
    ck_assert(drop(&yard));
    settle(&yard);
    assert_gone(&yard);
    end(&yard);
}
END_TEST

START_TEST(a_delivery_comes_before_a_drop)
{
    struct yard yard;
    begin(&yard);
    int64_t dropped = metric_read(METRIC_DROPPED);
    struct entry *entry = claim(&yard);
    ck_assert(drop(&yard));
    ck_assert_int_eq(remove_one(yard.spool, yard.id, 0), SPOOL_OK); /* it was delivered */
    dispatch_finished(yard.dispatch, entry);
    settle(&yard);
    assert_gone(&yard);
    ck_assert_int_eq(metric_read(METRIC_DROPPED), dropped);
    end(&yard);
}
END_TEST

/* ---- failing ---- */

/* It is being ended with the operator's words; that is carried out. */
static void assert_failed(struct yard *yard)
{
    mailbox_deliver(&yard->worker, yard);
    ck_assert_ptr_nonnull(yard->ended);
    const struct verdict *verdict = &yard->ended->verdict;
    ck_assert_int_eq(verdict->kind, VERDICT_BOUNCED);
    ck_assert(span_equal(verdict->text, SPAN("returned by the operator: no such thing")));
    struct entry *entry = yard->ended->entry;
    ck_assert_int_eq(remove_one(yard->spool, yard->id, 0), SPOOL_OK);
    dispatch_finished(yard->dispatch, entry);
    arena_free(&yard->ended->arena);
    free(yard->ended);
    yard->ended = NULL;
    settle(yard);
    assert_gone(yard);
}

START_TEST(a_fail_is_done_when_its_bounce_is_durable)
{
    struct yard yard;
    begin(&yard);
    ck_assert(hold(&yard));
    ck_assert(return_it(&yard));
    for (int i = 0; i < 3; i++)
        ck_assert(committer_step(yard.committer, 0));
    ck_assert_uint_eq(orders_open(yard.orders), 2);
    assert_failed(&yard);
    end(&yard);
}
END_TEST

START_TEST(what_is_out_fails_after_its_attempt)
{
    struct yard yard;
    begin(&yard);
    struct entry *entry = claim(&yard);
    ck_assert(return_it(&yard));
    settle(&yard);
    assert_stored(&yard, true, "returned");
    defer(&yard, entry);
    assert_failed(&yard);
    end(&yard);
}
END_TEST

START_TEST(what_cannot_be_returned_waits)
{
    struct yard yard;
    begin(&yard);
    ck_assert(return_it(&yard));
    mailbox_deliver(&yard.worker, &yard);
    dispatch_deferred(yard.dispatch, yard.ended->entry, os_wall() + 1000); /* damaged */
    assert_state(&yard, ENTRY_WAITING);
    arena_free(&yard.ended->arena);
    free(yard.ended);
    settle(&yard);
    ck_assert(drop(&yard));
    settle(&yard);
    assert_gone(&yard);
    end(&yard);
}
END_TEST

/* ---- the whole ---- */

static bool wants(const void *context, const char *destination, enum entry_state state)
{
    return strcmp(destination, context) == 0 && state == ENTRY_WAITING;
}

START_TEST(finds_what_is_wanted_in_order)
{
    enum { MANY = 10000 };
    struct yard yard;
    struct envelope_key *keys;
    begin(&yard);
    for (uint64_t i = MANY; i > 0; i--) {
        struct spool_glance glance = {.id = i * 3,
                                      .recipients = 1,
                                      .due_ms = INT64_MAX / 2,
                                      .security = (enum security)(i % 3)};
        snprintf(glance.destination, sizeof(glance.destination), "d%u.test", (unsigned)(i % 10));
        dispatch_restore(yard.dispatch, &glance, 1);
    }
    ck_assert(!dispatch_is_whole(yard.dispatch));
    dispatch_restored(yard.dispatch);
    ck_assert(dispatch_is_whole(yard.dispatch));
    size_t count = dispatch_find(yard.dispatch, wants, "d7.test", &keys);
    ck_assert_uint_eq(count, MANY / 10);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(keys[i].id, (i * 10 + 7) * 3);
    free(keys);
    ck_assert_uint_eq(dispatch_find(yard.dispatch, wants, "example.test", &keys), 0); /* ready */
    free(keys);
    struct dispatch_facts facts;
    dispatch_facts(yard.dispatch, &facts);
    ck_assert_uint_eq(facts.entries, MANY + 1);
    ck_assert_uint_eq(facts.counts[ENTRY_WAITING], MANY);
    ck_assert_uint_eq(facts.counts[ENTRY_READY], 1);
    ck_assert_uint_eq(facts.destinations, 1 + 10 * 3); /* mail of each security waits apart */
    end(&yard);
}
END_TEST

/* Behind a site that backs off, and as `list` shows it: what is ready waits. */
START_TEST(behind_a_back_off_all_count_as_waiting)
{
    struct yard yard;
    struct dispatch_facts facts;
    struct envelope_key *keys;
    begin(&yard);
    struct verdict verdict = {.kind = VERDICT_DEFERRED, .text = SPAN("connection refused")};
    yard.open = false;
    dispatch_failed(yard.dispatch, &yard.slot, &verdict, false);
    mailbox_deliver(&yard.worker, &yard);
    ck_assert_ptr_nonnull(yard.ended); /* the one that tells: back it goes */
    struct envelope *envelope = yard.ended->entry->envelope;
    yard.ended->entry->envelope = NULL;
    dispatch_return(yard.dispatch, yard.ended->entry, envelope);
    arena_free(&yard.ended->arena);
    free(yard.ended);
    assert_state(&yard, ENTRY_WAITING);
    dispatch_facts(yard.dispatch, &facts);
    ck_assert_uint_eq(facts.counts[ENTRY_WAITING], 1);
    ck_assert_uint_eq(facts.counts[ENTRY_READY], 0);
    ck_assert_uint_eq(dispatch_find(yard.dispatch, wants, "example.test", &keys), 1);
    free(keys);
    end(&yard);
}
END_TEST

TEST_MAIN("relay/outbound/dispatch", what_is_held_is_not_claimed_until_released,
          what_is_out_is_held_after_its_attempt, of_two_orders_the_later_counts,
          a_drop_is_done_when_it_is_durable, what_is_out_is_dropped_after_its_attempt,
          a_drop_is_not_forgotten_when_the_relay_ends, a_delivery_comes_before_a_drop,
          a_fail_is_done_when_its_bounce_is_durable, what_is_out_fails_after_its_attempt,
          what_cannot_be_returned_waits, finds_what_is_wanted_in_order,
          behind_a_back_off_all_count_as_waiting)
