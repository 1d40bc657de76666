/* Limits on connections and rates, on a dispatch without spool and network: workers are played by
 * the test, which opens what it is asked to open and claims what is to be had. Rates are so low
 * that no time this test may take adds to them. */
#include "relay/outbound/dispatch.h"

#include "relay/os.h"
#include "relay/outbound/dispatch_destinations.h"
#include "relay/outbound/dispatch_operator.h"
#include "tests/queue/scratch.h"

#define WORKERS 2
#define SLOTS_MAX 256
#define TURNS 100

struct yard {
    struct scratch scratch;
    struct config *config;
    struct mailbox workers[WORKERS];
    struct dispatch *dispatch;
    struct slot slots[SLOTS_MAX];
    struct peer *peers[SLOTS_MAX]; /* NULL: it is not connected */
    bool open[SLOTS_MAX];          /* not given back */
    unsigned opened;               /* ever */
    unsigned connected, most;      /* now, and at any time */
    uint64_t first, next;          /* ids */
};

static void open_connection(struct mail *take, void *taker)
{
    struct opening *opening = container_of(take, struct opening, mail);
    struct yard *yard = taker;
    ck_assert_uint_lt(yard->opened, SLOTS_MAX);
    slot_init(&yard->slots[yard->opened], opening->site, 0, opening->probe, opening->reserved);
    yard->open[yard->opened++] = true;
    free(opening);
}

/* All that are on their way arrive; false when one finds no place. */
static bool connect_all(struct yard *yard)
{
    struct endpoint at;
    bool placed = true;
    ck_assert(endpoint_parse(SPAN("192.0.2.1:25"), &at));
    for (unsigned i = 0; i < yard->opened; i++) {
        if (!yard->open[i] || yard->peers[i] != NULL)
            continue;
        struct slot *slot = &yard->slots[i];
        slot->peer = yard->peers[i] = dispatch_reach(yard->dispatch, slot, &at);
        if (slot->peer == NULL) {
            yard->open[i] = placed = false;
            dispatch_crowded(yard->dispatch, slot);
            continue;
        }
        if (++yard->connected > yard->most)
            yard->most = yard->connected;
    }
    return placed;
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
    if (yard->peers[at] != NULL) {
        dispatch_part(yard->dispatch, &yard->slots[at], &yard->peers[at]);
        yard->connected--;
    }
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
    connect_all(yard);
    for (unsigned i = 0; i < yard->opened; i++) {
        bool idle;
        if (!yard->open[i] || yard->peers[i] == NULL)
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

/* Of all that are left; of one destination, unless it is NULL. */
static void expect_why_of(struct yard *yard, const char *destination, const char *wanted)
{
    struct destination_look *look CLEANUP(look_free) = must_calloc(1, sizeof(*look));
    struct queue_look one;
    unsigned seen = 0;
    if (destination != NULL) {
        ck_assert(dispatch_look_at(yard->dispatch, destination, SECURITY_USUAL, look));
        ck_assert_str_eq(look->limit, wanted);
        return;
    }
    for (uint64_t id = yard->first; id < yard->next; id++)
        if (dispatch_look(yard->dispatch, id, 0, &one)) {
            ck_assert_int_eq(one.state, ENTRY_READY);
            ck_assert_str_eq(one.why, wanted);
            seen++;
        }
    ck_assert_uint_gt(seen, 0);
}

static void expect_why(struct yard *yard, const char *wanted)
{
    expect_why_of(yard, NULL, wanted);
}

/* The section that the site of that connection goes by: its destination, here. */
static const char *site_name(const struct yard *yard, unsigned at)
{
    const char *name = yard->slots[at].site->terms.limits->name;
    return strcmp(name, "*") == 0 ? "a.test" : name;
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

/* ---- connections to a host ---- */

/* Two sites, since their sections differ; the same host. */
#define TWO_SITES(limit)                                                                           \
    TO_ONE_HOST "destination \"*\" { max-connections = 10 max-connections-per-host = " limit       \
                " }\n"                                                                             \
                "destination \"b.test\" { idle = 1s }"

START_TEST(a_host_has_so_many_connections_and_no_more)
{
    struct yard yard;
    begin(&yard, TWO_SITES("6"));
    put(&yard, "a.test", 100);
    ck_assert_uint_eq(yard.opened, 6); /* nobody is sent for nothing */
    put(&yard, "b.test", 100);
    connect_all(&yard);
    ck_assert_uint_eq(yard.connected, 6);
    expect_why_of(&yard, "b.test", "limit of 6 connections to a host (max-connections-per-host)");
    ck_assert_uint_eq(turns(&yard), 200);
    ck_assert_uint_eq(yard.most, 6);
    end(&yard);
}
END_TEST

START_TEST(the_last_place_is_kept_for_who_is_on_the_way)
{
    struct yard yard;
    begin(&yard, TWO_SITES("1"));
    put(&yard, "a.test", 1);
    put(&yard, "b.test", 1);
    ck_assert_uint_eq(yard.opened, 1); /* though it is not there yet */
    ck_assert(connect_all(&yard));
    ck_assert_uint_eq(turns(&yard), 2); /* the second when the first has left */
    ck_assert_uint_eq(yard.most, 1);
    ck_assert_uint_eq(yard.opened, 2);
    end(&yard);
}
END_TEST

/* Whoever goes elsewhere, or nowhere, leaves its place to the next. */
START_TEST(what_is_not_used_is_given_back)
{
    struct yard yard;
    struct endpoint elsewhere;
    begin(&yard, TWO_SITES("1"));
    put(&yard, "a.test", 1);
    put(&yard, "b.test", 1);
    ck_assert_uint_eq(yard.opened, 1);
    ck_assert(endpoint_parse(SPAN("192.0.2.2:25"), &elsewhere));
    yard.peers[0] = dispatch_reach(yard.dispatch, &yard.slots[0], &elsewhere);
    ck_assert_ptr_nonnull(yard.peers[0]);
    yard.connected++;
    deliver_mails(&yard);
    ck_assert_uint_eq(yard.opened, 2);
    leave(&yard, 1); /* it never got anywhere */
    ck_assert_uint_eq(yard.opened, 3);
    ck_assert_uint_eq(turns(&yard), 2);
    end(&yard);
}
END_TEST

START_TEST(who_idles_makes_room)
{
    struct yard yard;
    begin(&yard, TWO_SITES("3"));
    put(&yard, "a.test", 3);
    ck_assert_uint_eq(turns(&yard), 3);
    ck_assert_uint_eq(yard.connected, 3); /* in the pool, all three */
    put(&yard, "b.test", 5);
    ck_assert_uint_eq(turn(&yard), 0);  /* one of a's closes … */
    ck_assert_uint_eq(turns(&yard), 5); /* … and one of b's takes its place, or more do */
    ck_assert_uint_eq(yard.most, 3);
    put(&yard, "a.test", 5);
    ck_assert_uint_eq(turns(&yard), 5);
    ck_assert_uint_eq(yard.most, 3);
    end(&yard);
}
END_TEST

/* Those who have no connection come first, each in its turn; then those who want more. */
START_TEST(those_who_wait_take_turns)
{
    struct yard yard;
    begin(&yard, TO_ONE_HOST "destination \"*\" { max-connections-per-host = 2 }\n"
                             "destination \"b.test\" { idle = 1s }\n"
                             "destination \"c.test\" { idle = 2s }");
    put(&yard, "a.test", 50);
    connect_all(&yard);
    put(&yard, "b.test", 50);
    put(&yard, "c.test", 50);
    ck_assert_uint_eq(yard.connected, 2);
    leave(&yard, 0); /* as after so many messages */
    ck_assert_uint_eq(yard.opened, 3);
    ck_assert_str_eq(site_name(&yard, 2), "b.test");
    connect_all(&yard);
    leave(&yard, 1);
    ck_assert_str_eq(site_name(&yard, 3), "c.test");
    connect_all(&yard);
    leave(&yard, 2);
    ck_assert_str_eq(site_name(&yard, 4), "a.test");
    ck_assert_uint_eq(yard.most, 2);
    end(&yard);
}
END_TEST

START_TEST(by_default_a_host_has_fifty)
{
    static const struct {
        const char *sections;
        unsigned connections;
    } rows[] = {
        {"destination \"*\" { max-connections = 40 }\ndestination \"b.test\" { idle = 1s }", 50},
        {"destination \"*\" { max-connections = 60 }\ndestination \"b.test\" { idle = 1s }", 60},
        {"destination \"*\" { max-connections = 40 max-connections-per-host = 70 }\n"
         "destination \"b.test\" { idle = 1s }",
         70},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct yard yard;
        char text[512];
        snprintf(text, sizeof(text), "%s%s", TO_ONE_HOST, rows[i].sections);
        begin(&yard, text);
        put(&yard, "a.test", 100);
        connect_all(&yard);
        put(&yard, "b.test", 100);
        connect_all(&yard);
        ck_assert_uint_eq(yard.connected, rows[i].connections);
        ck_assert_uint_eq(turns(&yard), 200);
        end(&yard);
    }
}
END_TEST

TEST_MAIN("relay/outbound/dispatch_limits", a_host_has_so_many_connections_and_no_more,
          the_last_place_is_kept_for_who_is_on_the_way, what_is_not_used_is_given_back,
          who_idles_makes_room, those_who_wait_take_turns, by_default_a_host_has_fifty,
          no_more_messages_than_the_rate_allows, each_destination_has_its_own_rate,
          no_more_connections_than_the_rate_allows, a_reload_lifts_a_rate)
