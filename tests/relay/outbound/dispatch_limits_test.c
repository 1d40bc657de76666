/* Limits on connections and rates, on a dispatch without spool and network: workers are played by
 * the test, which opens what it is asked to open and claims what is to be had. Rates are so low
 * that no time this test may take adds to them. */
#include "relay/outbound/dispatch.h"

#include "relay/os.h"
#include "relay/outbound/dispatch_operator.h"
#include "tests/queue/scratch.h"

#define WORKERS 2
#define SLOTS_MAX 64
#define TURNS 100

struct yard {
    struct scratch scratch;
    struct config *config;
    struct mailbox workers[WORKERS];
    struct dispatch *dispatch;
    struct slot slots[SLOTS_MAX];
    bool open[SLOTS_MAX]; /* not given back */
    unsigned opened;      /* ever */
    uint64_t first, next; /* ids */
};

static void open_connection(struct mail *take, void *taker)
{
    struct opening *opening = container_of(take, struct opening, mail);
    struct yard *yard = taker;
    ck_assert_uint_lt(yard->opened, SLOTS_MAX);
    slot_init(&yard->slots[yard->opened], opening->site, 0, opening->probe);
    yard->open[yard->opened++] = true;
    free(opening);
}

static void wake(struct mail *mail, void *taker)
{
    struct yard *yard = taker;
    dispatch_woken(yard->dispatch, container_of(mail, struct slot, wake));
}

static void end_locally(struct mail *take, void *taker)
{
    (void)take;
    (void)taker;
    must_not_reach();
}

static void ignore(void *owner)
{
    (void)owner;
}

static void begin(struct yard *yard, const char *text)
{
    char path[SCRATCH_MAX * 2];
    struct buffer errors CLEANUP(buffer_free) = {0};
    *yard = (struct yard){.scratch = scratch_make(), .first = (uint64_t)os_wall() << 20};
    yard->next = yard->first;
    FILE *file = fopen(scratch_file(&yard->scratch, "conf", path), "we");
    ck_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
    yard->config = config_read(path, &errors);
    ck_assert_msg(yard->config != NULL, "%.*s", SPAN_FORMAT(buffer_span(&errors)));
    for (unsigned i = 0; i < WORKERS; i++)
        mailbox_init(&yard->workers[i], ignore, NULL);
    struct dispatch_parts parts = {.config = yard->config,
                                   .workers = yard->workers,
                                   .worker_count = WORKERS,
                                   .open = open_connection,
                                   .end_locally = end_locally,
                                   .wake = wake};
    yard->dispatch = dispatch_create(&parts);
}

static void deliver_mails(struct yard *yard)
{
    for (unsigned i = 0; i < WORKERS; i++)
        mailbox_deliver(&yard->workers[i], yard);
}

static void leave(struct yard *yard, unsigned at)
{
    deliver_mails(yard);
    ck_assert(dispatch_leave(yard->dispatch, &yard->slots[at]));
    yard->open[at] = false;
    deliver_mails(yard);
}

static void end(struct yard *yard)
{
    deliver_mails(yard);
    dispatch_drain(yard->dispatch);
    for (unsigned i = 0; i < yard->opened; i++)
        if (yard->open[i])
            leave(yard, i);
    dispatch_destroy(&yard->dispatch);
    config_drop(&yard->config);
    scratch_remove(&yard->scratch);
}

/* So many envelopes for the destination are due. */
static void put(struct yard *yard, const char *destination, unsigned count)
{
    while (count-- > 0) {
        struct spool_glance glance = {.id = yard->next++, .recipients = 1};
        snprintf(glance.destination, sizeof(glance.destination), "%s", destination);
        dispatch_restore(yard->dispatch, &glance, 1);
    }
    deliver_mails(yard);
}

/* One turn of everybody: each open connection claims. How many envelopes were to be had; they are
 * delivered. */
static unsigned turn(struct yard *yard)
{
    unsigned claimed = 0;
    dispatch_turn(yard->dispatch);
    deliver_mails(yard);
    for (unsigned i = 0; i < yard->opened; i++) {
        bool idle;
        if (!yard->open[i])
            continue;
        struct entry *entry = dispatch_claim(yard->dispatch, &yard->slots[i], false, &idle);
        if (entry != NULL)
            dispatch_finished(yard->dispatch, entry);
        claimed += entry != NULL;
        if (entry == NULL && !idle)
            leave(yard, i);
        deliver_mails(yard);
    }
    return claimed;
}

static unsigned turns(struct yard *yard)
{
    unsigned claimed = 0;
    for (int i = 0; i < TURNS; i++)
        claimed += turn(yard);
    return claimed;
}

static void expect_why(struct yard *yard, const char *wanted)
{
    struct queue_look look;
    unsigned seen = 0;
    for (uint64_t id = yard->first; id < yard->next; id++)
        if (dispatch_look(yard->dispatch, id, 0, &look)) {
            ck_assert_int_eq(look.state, ENTRY_READY);
            ck_assert_str_eq(look.why, wanted);
            seen++;
        }
    ck_assert_uint_gt(seen, 0);
}

#define TO_ONE_HOST "route \"*\" { hosts = { \"[192.0.2.1]:25\" } }\n"

START_TEST(no_more_messages_than_the_rate_allows)
{
    struct yard yard;
    begin(&yard, TO_ONE_HOST "destination \"*\" { rate = \"1/h\" }");
    put(&yard, "a.test", 5);
    put(&yard, "b.test", 5); /* it is the same site */
    ck_assert_uint_eq(turns(&yard), 1);
    ck_assert_uint_eq(yard.opened, 1);
    expect_why(&yard, "rate limit 1/h");
    ck_assert_int_gt(dispatch_wait_ms(yard.dispatch), 10000); /* nobody turns in vain */
    end(&yard);
}
END_TEST

START_TEST(each_destination_has_its_own_rate)
{
    struct yard yard;
    begin(&yard, TO_ONE_HOST "destination \"a.test\" { rate = \"1/h\" }\n"
                             "destination \"b.test\" { rate = \"2/h\" }");
    put(&yard, "a.test", 5);
    put(&yard, "b.test", 5);
    put(&yard, "c.test", 5);
    ck_assert_uint_eq(turns(&yard), 1 + 1 + 5);
    end(&yard);
}
END_TEST

START_TEST(no_more_connections_than_the_rate_allows)
{
    struct yard yard;
    begin(&yard, TO_ONE_HOST "destination \"*\" { connection-rate = \"1/h\" }");
    put(&yard, "a.test", 5);
    ck_assert_uint_eq(yard.opened, 1);
    ck_assert_uint_eq(turns(&yard), 5); /* one after the other */
    ck_assert_uint_eq(yard.opened, 1);
    leave(&yard, 0);
    put(&yard, "a.test", 5);
    ck_assert_uint_eq(turns(&yard), 0);
    ck_assert_uint_eq(yard.opened, 1);
    expect_why(&yard, "connection rate limit 1/h");
    ck_assert_int_gt(dispatch_wait_ms(yard.dispatch), 10000);
    end(&yard);
}
END_TEST

START_TEST(a_reload_lifts_a_rate)
{
    struct yard yard;
    begin(&yard, TO_ONE_HOST "destination \"*\" { rate = \"1/h\" }");
    put(&yard, "a.test", 5);
    ck_assert_uint_eq(turns(&yard), 1);
    char path[SCRATCH_MAX * 2];
    struct buffer errors CLEANUP(buffer_free) = {0};
    FILE *file = fopen(scratch_file(&yard.scratch, "conf", path), "we");
    ck_assert(file != NULL && fputs(TO_ONE_HOST, file) >= 0 && fclose(file) == 0);
    struct config *config = config_read(path, &errors);
    dispatch_reconfigure(yard.dispatch, config);
    config_drop(&config);
    ck_assert_uint_eq(turns(&yard), 4);
    end(&yard);
}
END_TEST

TEST_MAIN("relay/outbound/dispatch_limits", no_more_messages_than_the_rate_allows,
          each_destination_has_its_own_rate, no_more_connections_than_the_rate_allows,
          a_reload_lifts_a_rate)
