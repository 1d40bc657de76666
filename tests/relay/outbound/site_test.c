#include "relay/outbound/site.h"

#include "tests/suite.h"

#include <string.h>

#define NOW 1000000
#define WORKERS 3
#define ROUTES 4
#define ENTRIES 64

/* A site, some routes that lead to it, and as many connections as it recruits. */
struct yard {
    struct config config;
    struct tls_config tls;
    struct destination_config limits;
    struct peers peers;
    struct site *site;
    struct destination destinations[ROUTES];
    unsigned counts[ENTRY_STATES];
    struct route routes[ROUTES];
    struct entry entries[ENTRIES];
    unsigned used;
    struct random_state random;
};

static struct site_host *one_host(void)
{
    struct site_host *host = must_calloc(1, sizeof(*host));
    *host = (struct site_host){.name = must_strdup("mx.test"), .port = 25, .count = 1};
    host->addresses = must_calloc(1, sizeof(*host->addresses));
    ck_assert(ip_parse(SPAN("192.0.2.1"), host->addresses));
    return host;
}

static void yard_open(struct yard *yard, unsigned limit)
{
    *yard = (struct yard){.limits = {.max_connections = limit}};
    atomic_init(&yard->config.references, 1);
    const struct site_terms terms = {&yard->tls, &yard->limits, &yard->limits.sources, "relay.test",
                                     NULL};
    peers_init(&yard->peers);
    yard->site = site_create(&yard->config, &terms, one_host(), 1, WORKERS, &yard->peers);
    for (unsigned i = 0; i < ROUTES; i++) {
        list_init(&yard->destinations[i].queue);
        yard->destinations[i].all_counts = yard->counts;
        yard->routes[i] = (struct route){.destination = &yard->destinations[i], .site = yard->site};
    }
}

/* Slots that were not given back are on the test's stack: only the site is freed. */
static void yard_close(struct yard *yard)
{
    for (unsigned i = 0; i < ROUTES; i++)
        site_withdraw(&yard->routes[i]);
    yard->site->connections = 0;
    site_free(yard->site);
    size_t at = 0;
    for (struct peer *peer; (peer = map_walk(&yard->peers.map, &at)) != NULL;)
        free(peer);
    map_free(&yard->peers.map);
}

static struct entry *put(struct yard *yard, unsigned route)
{
    struct entry *entry = &yard->entries[yard->used];
    struct destination *destination = &yard->destinations[route];
    *entry = (struct entry){.id = ++yard->used, .destination = destination, .state = ENTRY_WAITING};
    destination_count(destination, ENTRY_WAITING, 1);
    entry_move(entry, ENTRY_READY);
    site_offer(&yard->routes[route]);
    return entry;
}

struct answered {
    enum recruit how;
    unsigned worker;
    struct slot *slot;
    bool probe;
    int64_t again_ms;
};

static struct answered recruit(struct yard *yard, unsigned prefer, int64_t now_ms)
{
    struct recruited got;
    enum recruit how = site_recruit(yard->site, prefer, now_ms, &got);
    return (struct answered){how, got.worker, got.slot, got.probe, got.again_ms};
}

/* As dispatch and a worker do it with RECRUIT_OPEN. */
static void open_slot(struct yard *yard, struct slot *slot, unsigned worker)
{
    struct answered got = recruit(yard, worker, NOW);
    ck_assert_int_eq(got.how, RECRUIT_OPEN);
    slot_init(slot, yard->site, got.worker, got.probe, NULL);
}

static void open_idle(struct yard *yard, struct slot *slot, unsigned worker)
{
    struct entry *entry = put(yard, 0);
    open_slot(yard, slot, worker);
    ck_assert_ptr_eq(site_next(yard->site), entry);
    slot_move(slot, SLOT_IDLE);
}

/* ---- turns ---- */

START_TEST(routes_take_turns)
{
    static const unsigned of[] = {0, 0, 0, 1, 2, 2};
    static const uint64_t order[] = {1, 4, 5, 2, 6, 3};
    struct yard yard;
    yard_open(&yard, 1);
    for (size_t i = 0; i < countof(of); i++)
        put(&yard, of[i]);
    for (size_t i = 0; i < countof(order); i++) {
        struct entry *entry = site_next(yard.site);
        ck_assert_ptr_nonnull(entry);
        ck_assert_uint_eq(entry->id, order[i]);
        ck_assert_int_eq(entry->state, ENTRY_OUT);
    }
    ck_assert_ptr_null(site_next(yard.site));
    ck_assert(list_empty(&yard.site->turn));
    yard_close(&yard);
}
END_TEST

START_TEST(a_route_without_work_has_no_turn)
{
    struct yard yard;
    yard_open(&yard, 1);
    site_offer(&yard.routes[0]);
    ck_assert(!list_linked(&yard.routes[0].turn));
    entry_move(put(&yard, 0), ENTRY_OUT); /* it went another way meanwhile */
    struct entry *other = put(&yard, 1);
    ck_assert_ptr_eq(site_next(yard.site), other);
    ck_assert_ptr_null(site_next(yard.site));
    yard_close(&yard);
}
END_TEST

START_TEST(a_route_led_elsewhere_has_no_turn)
{
    struct yard yard;
    yard_open(&yard, 1);
    put(&yard, 0);
    site_withdraw(&yard.routes[0]);
    ck_assert_ptr_null(site_next(yard.site));
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_NONE);
    yard.routes[0].site = NULL;
    site_offer(&yard.routes[0]); /* leads nowhere now */
    ck_assert(!list_linked(&yard.routes[0].turn));
    yard_close(&yard);
}
END_TEST

/* RFC 7672 2.1.1: its way is out of date, and it waits for the new one. */
START_TEST(a_route_that_lapsed_has_no_turn)
{
    struct yard yard;
    yard_open(&yard, 1);
    yard.routes[0].lapsed = true;
    put(&yard, 0);
    ck_assert(!list_linked(&yard.routes[0].turn));
    ck_assert_ptr_null(site_next(yard.site));
    yard.routes[0].lapsed = false;
    site_offer(&yard.routes[0]);
    ck_assert_ptr_nonnull(site_next(yard.site));
    yard_close(&yard);
}
END_TEST

/* ---- recruiting ---- */

START_TEST(nobody_is_recruited_for_nothing)
{
    struct yard yard;
    yard_open(&yard, 5);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_NONE);
    yard_close(&yard);
}
END_TEST

START_TEST(one_claimant_per_envelope_up_to_the_limit)
{
    for (unsigned limit = 1; limit <= 6; limit++) {
        struct yard yard;
        yard_open(&yard, limit);
        for (unsigned i = 0; i < 4; i++)
            put(&yard, i % ROUTES);
        unsigned opened = 0;
        for (struct answered got; (got = recruit(&yard, opened, NOW)).how != RECRUIT_NONE;) {
            ck_assert_int_eq(got.how, RECRUIT_OPEN);
            ck_assert_uint_eq(got.worker, opened % WORKERS);
            ck_assert(!got.probe);
            opened++;
        }
        ck_assert_uint_eq(opened, limit < 4 ? limit : 4);
        ck_assert_uint_eq(yard.site->connections, opened);
        ck_assert_uint_eq(yard.site->claimants, opened);
        yard_close(&yard);
    }
}
END_TEST

START_TEST(who_is_busy_is_no_claimant)
{
    struct yard yard;
    struct slot slot;
    yard_open(&yard, 2);
    put(&yard, 0);
    open_slot(&yard, &slot, 0);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_NONE); /* one is on its way */
    site_next(yard.site);
    slot_move(&slot, SLOT_BUSY);
    ck_assert_uint_eq(yard.site->claimants, 0);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_NONE); /* nothing is ready */
    put(&yard, 0);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_OPEN);
    put(&yard, 0);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_NONE); /* the limit */
    slot_move(&slot, SLOT_LEFT);
    ck_assert_uint_eq(yard.site->connections, 1);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_OPEN);
    yard_close(&yard);
}
END_TEST

/* However one-sided the burst: what waits for one site is everybody's. */
START_TEST(workers_have_equal_shares)
{
    struct yard yard;
    struct slot slots[2 * WORKERS];
    yard_open(&yard, countof(slots));
    for (size_t i = 0; i < countof(slots); i++) {
        put(&yard, 0);
        open_slot(&yard, &slots[i], 1);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        ck_assert_uint_eq(yard.site->shares[i].connections, 2);
    ck_assert_uint_eq(slots[0].worker, 1);
    for (size_t i = 0; i < countof(slots); i++) {
        unsigned worker = slots[i].worker;
        slot_move(&slots[i], SLOT_LEFT);
        struct answered got = recruit(&yard, 1, NOW);
        ck_assert_int_eq(got.how, RECRUIT_OPEN);
        ck_assert_uint_eq(got.worker, worker);
        slot_init(&slots[i], yard.site, got.worker, got.probe, NULL);
    }
    yard_close(&yard);
}
END_TEST

START_TEST(who_idles_is_woken_first_and_nearest)
{
    struct yard yard;
    struct slot slots[4];
    static const unsigned workers[] = {0, 1, 2, 1};
    static const struct {
        unsigned prefer, wakes;
    } rows[] = {{1, 3}, {1, 1}, {1, 2}, {1, 0}}; /* the last used; its neighbours in a round */
    yard_open(&yard, 9);
    for (size_t i = 0; i < countof(slots); i++) {
        put(&yard, 0);
        open_slot(&yard, &slots[i], workers[i]);
        site_next(yard.site);
        slot_move(&slots[i], SLOT_BUSY);
    }
    for (size_t i = 0; i < countof(slots); i++)
        slot_move(&slots[i], SLOT_IDLE);
    for (size_t i = 0; i < countof(rows); i++) {
        put(&yard, i % ROUTES);
        struct answered got = recruit(&yard, rows[i].prefer, NOW);
        struct slot *woken = &slots[rows[i].wakes];
        ck_assert_int_eq(got.how, RECRUIT_WAKE);
        ck_assert_ptr_eq(got.slot, woken);
        ck_assert_uint_eq(got.worker, woken->worker);
        ck_assert(woken->waking);
        ck_assert_int_eq(woken->state, SLOT_CLAIMANT);
        ck_assert_uint_eq(yard.site->claimants, i + 1);
        ck_assert_uint_eq(yard.site->connections, countof(slots));
    }
    put(&yard, 0); /* nobody idles any more */
    ck_assert_int_eq(recruit(&yard, 1, NOW).how, RECRUIT_OPEN);
    yard_close(&yard);
}
END_TEST

START_TEST(the_limit_binds_while_all_idle_ones_are_woken)
{
    struct yard yard;
    struct slot slot;
    yard_open(&yard, 1);
    open_idle(&yard, &slot, 2);
    put(&yard, 0);
    put(&yard, 1);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_WAKE);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_NONE);
    yard_close(&yard);
}
END_TEST

/* ---- slots ---- */

START_TEST(slots_keep_the_books)
{
    static const enum slot_state ways[][3] = {
        {SLOT_BUSY, SLOT_IDLE, SLOT_LEFT},     {SLOT_IDLE, SLOT_CLAIMANT, SLOT_LEFT},
        {SLOT_BUSY, SLOT_BUSY, SLOT_LEFT},     {SLOT_IDLE, SLOT_IDLE, SLOT_LEFT},
        {SLOT_CLAIMANT, SLOT_BUSY, SLOT_LEFT},
    };
    for (size_t i = 0; i < countof(ways); i++) {
        struct yard yard;
        struct slot slot;
        yard_open(&yard, 1);
        put(&yard, 0);
        open_slot(&yard, &slot, 1);
        ck_assert_int_eq(slot.state, SLOT_CLAIMANT);
        for (size_t j = 0; j < countof(ways[i]); j++) {
            slot_move(&slot, ways[i][j]);
            ck_assert_uint_eq(yard.site->claimants, ways[i][j] == SLOT_CLAIMANT);
            ck_assert_uint_eq(!list_empty(&yard.site->shares[1].idle), ways[i][j] == SLOT_IDLE);
            ck_assert_uint_eq(yard.site->connections, ways[i][j] != SLOT_LEFT);
        }
        yard_close(&yard);
    }
}
END_TEST

/* ---- a dead site ---- */

START_TEST(a_dead_site_gets_one_probe)
{
    struct yard yard;
    struct slot slot;
    yard_open(&yard, 9);
    put(&yard, 0);
    put(&yard, 1);
    open_slot(&yard, &slot, 0);
    pace_failed(&yard.site->pace, NOW, 0, &yard.random);
    slot_move(&slot, SLOT_LEFT);
    int64_t back = yard.site->pace.retry_at_ms;
    ck_assert_int_eq(recruit(&yard, 0, back - 1).how, RECRUIT_NONE);
    struct answered probe = recruit(&yard, 0, back);
    ck_assert_int_eq(probe.how, RECRUIT_OPEN);
    ck_assert(probe.probe);
    ck_assert_int_eq(recruit(&yard, 0, back).how, RECRUIT_NONE);
    slot_init(&slot, yard.site, probe.worker, probe.probe, NULL);
    pace_failed(&yard.site->pace, back, 0, &yard.random);
    slot_move(&slot, SLOT_LEFT);
    ck_assert_int_eq(recruit(&yard, 0, back).how, RECRUIT_NONE);
    ck_assert_int_eq(recruit(&yard, 0, yard.site->pace.retry_at_ms).how, RECRUIT_OPEN);
    pace_succeeded(&yard.site->pace); /* alive: the rest may come */
    struct answered next = recruit(&yard, 0, back);
    ck_assert_int_eq(next.how, RECRUIT_OPEN);
    ck_assert(!next.probe);
    yard_close(&yard);
}
END_TEST

START_TEST(a_live_connection_of_a_dead_site_is_used)
{
    struct yard yard;
    struct slot slot;
    yard_open(&yard, 9);
    open_idle(&yard, &slot, 0);
    pace_failed(&yard.site->pace, NOW, 0, &yard.random);
    put(&yard, 0);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_WAKE);
    yard_close(&yard);
}
END_TEST

/* ---- rates ---- */

static unsigned open_all(struct yard *yard, struct slot *slots, unsigned at, int64_t now_ms,
                         struct answered *last)
{
    unsigned opened = 0;
    while ((*last = recruit(yard, 0, now_ms)).how == RECRUIT_OPEN)
        slot_init(&slots[at + opened++], yard->site, last->worker, last->probe, NULL);
    return opened;
}

static unsigned claim_all(struct yard *yard, struct slot *slots, unsigned count, int64_t now_ms)
{
    unsigned claimed = 0;
    for (unsigned i = 0; i < count; i++) {
        bool has = site_claim(yard->site, now_ms) != NULL;
        slot_move(&slots[i], has ? SLOT_BUSY : SLOT_IDLE);
        claimed += has;
    }
    return claimed;
}

START_TEST(messages_go_at_their_rate)
{
    struct yard yard;
    struct slot slots[20];
    struct answered last;
    char why[64];
    yard_open(&yard, 20);
    yard.limits.rate = (struct rate){10, 1000};
    for (unsigned i = 0; i < 30; i++)
        put(&yard, i % ROUTES);
    site_why(yard.site, NOW, why, sizeof(why));
    ck_assert_str_eq(why, "");
    ck_assert_uint_eq(open_all(&yard, slots, 0, NOW, &last), 10);
    ck_assert_int_eq(last.how, RECRUIT_NONE); /* all there is has its claimant */
    ck_assert_uint_eq(claim_all(&yard, slots, 10, NOW), 10);
    ck_assert_ptr_null(site_claim(yard.site, NOW));
    site_why(yard.site, NOW, why, sizeof(why));
    ck_assert_str_eq(why, "rate limit 10/s");
    for (int64_t at = NOW + 1; at <= NOW + 1000; at++) { /* whoever is done asks again and again */
        unsigned claimed = claim_all(&yard, slots, 10, at);
        ck_assert_uint_eq(claimed, (at - NOW) % 100 == 0);
        last = recruit(&yard, 0, at);
        ck_assert_int_eq(last.how, RECRUIT_LATER);
        ck_assert_int_eq(last.again_ms, NOW + ((at - NOW) / 100 + 1) * 100);
    }
    yard_close(&yard);
}
END_TEST

START_TEST(a_token_wakes_one_connection)
{
    struct yard yard;
    struct slot slots[3];
    yard_open(&yard, 3);
    for (int i = 0; i < 3; i++) {
        put(&yard, 0);
        open_slot(&yard, &slots[i], 0);
    }
    for (int i = 0; i < 3; i++) {
        ck_assert_ptr_nonnull(site_next(yard.site));
        slot_move(&slots[i], SLOT_IDLE);
    }
    yard.limits.rate = (struct rate){1, 1000};
    for (int i = 0; i < 5; i++)
        put(&yard, 0);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_WAKE);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_NONE);
    ck_assert_ptr_nonnull(site_claim(yard.site, NOW));
    slot_move(&slots[0], SLOT_BUSY); /* that of the worker which was preferred */
    struct answered later = recruit(&yard, 0, NOW);
    ck_assert(later.how == RECRUIT_LATER && later.again_ms == NOW + 1000);
    ck_assert_int_eq(recruit(&yard, 0, NOW + 1000).how, RECRUIT_WAKE);
    yard_close(&yard);
}
END_TEST

START_TEST(connections_are_opened_at_their_rate)
{
    struct yard yard;
    struct slot slots[20];
    struct answered last;
    char why[64];
    yard_open(&yard, 20);
    yard.limits.connection_rate = (struct rate){2, 1000};
    for (unsigned i = 0; i < 30; i++)
        put(&yard, i % ROUTES);
    unsigned opened = open_all(&yard, slots, 0, NOW, &last);
    ck_assert_uint_eq(opened, 2);
    ck_assert(last.how == RECRUIT_LATER && last.again_ms == NOW + 500);
    site_why(yard.site, NOW, why, sizeof(why));
    ck_assert_str_eq(why, "connection rate limit 2/s");
    ck_assert_uint_eq(claim_all(&yard, slots, opened, NOW), 2);
    ck_assert_uint_eq(claim_all(&yard, slots, opened, NOW), 2); /* who is there goes on */
    for (int64_t at = NOW + 1; at <= NOW + 3000; at++) {
        unsigned more = open_all(&yard, slots, opened, at, &last);
        ck_assert_uint_eq(more, (at - NOW) % 500 == 0);
        opened += more;
    }
    ck_assert_uint_eq(opened, 8);
    yard_close(&yard);
}
END_TEST

START_TEST(a_wake_costs_no_connection)
{
    struct yard yard;
    struct slot slot;
    yard_open(&yard, 3);
    yard.limits.connection_rate = (struct rate){1, 3600000};
    open_idle(&yard, &slot, 0);
    put(&yard, 0);
    put(&yard, 0);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_WAKE);
    ck_assert_int_eq(recruit(&yard, 0, NOW).how, RECRUIT_LATER);
    yard_close(&yard);
}
END_TEST

/* DNS names other hosts: what went to those before is not forgotten. */
START_TEST(rates_go_on_at_the_next_site)
{
    struct yard one, other;
    yard_open(&one, 5);
    yard_open(&other, 5);
    one.limits.rate = other.limits.rate = (struct rate){1, 60000};
    put(&one, 0);
    put(&other, 0);
    ck_assert_ptr_nonnull(site_claim(one.site, NOW));
    site_succeed(other.site, one.site);
    ck_assert_ptr_null(site_claim(other.site, NOW + 59999));
    ck_assert_ptr_nonnull(site_claim(other.site, NOW + 60000));
    yard_close(&one);
    yard_close(&other);
}
END_TEST

/* RFC 3207 6: a host's addresses change, and what it did before is remembered. */
START_TEST(hosts_are_remembered_at_the_next_site)
{
    static const struct tls_history past = {.temporary = 2, .offered = true};
    for (int level = TLS_MAY; level <= TLS_ENCRYPT; level++) {
        struct yard one, other;
        yard_open(&one, 1);
        yard_open(&other, 1);
        struct site_host *before = &one.site->hosts[0], *now = &other.site->hosts[0];
        bool same = level == TLS_MAY;
        before->tls.level = TLS_MAY;
        now->tls.level = (enum tls_level)level;
        before->history = past;
        before->tls_failed_until_ms = NOW;
        site_succeed(other.site, one.site);
        ck_assert(now->history.offered);
        ck_assert_uint_eq(now->history.temporary, same ? 2 : 0);
        ck_assert_int_eq(now->tls_failed_until_ms, same ? NOW : 0);
        before->history.temporary = 9; /* it has its own past now */
        site_succeed(other.site, one.site);
        ck_assert_uint_eq(now->history.temporary, same ? 2 : 0);
        yard_close(&one);
        yard_close(&other);
    }
}
END_TEST

START_TEST(another_host_has_another_past)
{
    struct yard one, other;
    yard_open(&one, 1);
    yard_open(&other, 1);
    one.site->hosts[0].history.offered = true;
    other.site->hosts[0].port++;
    site_succeed(other.site, one.site);
    ck_assert(!other.site->hosts[0].history.offered);
    yard_close(&one);
    yard_close(&other);
}
END_TEST

/* ---- what makes a site ---- */

struct host_row {
    const char *name;
    uint16_t preference, port;
    const char *addresses[3];
};

static char *key_of(const struct site_terms *terms, const struct host_row rows[3])
{
    struct site_host hosts[3] = {0};
    struct ip addresses[3][3];
    unsigned count = 0;
    for (; count < 3 && rows[count].name != NULL; count++) {
        struct site_host *host = &hosts[count];
        host->name = (char *)(uintptr_t)rows[count].name;
        host->preference = rows[count].preference;
        host->port = rows[count].port;
        host->addresses = addresses[count];
        for (; host->count < 3 && rows[count].addresses[host->count] != NULL; host->count++)
            ck_assert(ip_parse(span_of(rows[count].addresses[host->count]),
                               &addresses[count][host->count]));
    }
    return site_key(terms, hosts, count);
}

#define A "192.0.2.1"
#define B "192.0.2.2"
static const struct host_row base_rows[3] = {
    {"a.test", 10, 25, {A, B}}, {"b.test", 10, 25, {A}}, {"c.test", 20, 25, {B}}};

static const struct tls_config tlses[2];
static const struct destination_config limits[2];
static struct ip own[1];
static const struct addresses sources[2] = {{0}, {own, 1, "t.conf:1"}};
static const struct site_terms base_terms = {&tlses[0], &limits[0], &sources[0], "relay.test",
                                             NULL};
static const struct login_config logins[1];

/* DNS turns equals round with every answer: it is the same site all the same. */
START_TEST(the_same_hosts_in_any_order_are_one_site)
{
    static const struct host_row same[][3] = {
        {{"a.test", 10, 25, {A, B}}, {"b.test", 10, 25, {A}}, {"c.test", 20, 25, {B}}},
        {{"b.test", 10, 25, {A}}, {"a.test", 10, 25, {A, B}}, {"c.test", 20, 25, {B}}},
        {{"a.test", 10, 25, {B, A}}, {"b.test", 10, 25, {A}}, {"c.test", 20, 25, {B}}},
        {{"a.test", 1, 25, {A, B}}, {"b.test", 1, 25, {A}}, {"c.test", 5, 25, {B}}},
    };
    char *wanted = key_of(&base_terms, base_rows);
    for (size_t i = 0; i < countof(same); i++) {
        char *key = key_of(&base_terms, same[i]);
        ck_assert_msg(strcmp(key, wanted) == 0, "row %zu:\n%s\n%s", i, key, wanted);
        free(key);
    }
    free(wanted);
}
END_TEST

START_TEST(any_difference_makes_another_site)
{
    static const struct host_row others[][3] = {
        {{"a.test", 10, 25, {A, B}}, {"b.test", 10, 25, {A}}},
        {{"a.test", 10, 25, {A, B}}, {"b.test", 15, 25, {A}}, {"c.test", 20, 25, {B}}},
        {{"a.test", 10, 26, {A, B}}, {"b.test", 10, 25, {A}}, {"c.test", 20, 25, {B}}},
        {{"a.test", 10, 25, {A}}, {"b.test", 10, 25, {A}}, {"c.test", 20, 25, {B}}},
        {{"a.test", 10, 25, {A}}, {"b.test", 10, 25, {A, B}}, {"c.test", 20, 25, {B}}},
        {{"x.test", 10, 25, {A, B}}, {"b.test", 10, 25, {A}}, {"c.test", 20, 25, {B}}},
    };
    const struct site_terms terms[] = {
        {&tlses[1], &limits[0], &sources[0], "relay.test", NULL},
        {&tlses[0], &limits[1], &sources[0], "relay.test", NULL},
        {&tlses[0], &limits[0], &sources[1], "relay.test", NULL},
        {&tlses[0], &limits[0], &sources[0], "other.test", NULL},
        {&tlses[0], &limits[0], &sources[0], "relay.test", &logins[0]},
    };
    char *base = key_of(&base_terms, base_rows);
    for (size_t i = 0; i < countof(others); i++) {
        char *key = key_of(&base_terms, others[i]);
        ck_assert_msg(strcmp(key, base) != 0, "row %zu", i);
        free(key);
    }
    for (size_t i = 0; i < countof(terms); i++) {
        char *key = key_of(&terms[i], base_rows);
        ck_assert_msg(strcmp(key, base) != 0, "terms %zu", i);
        free(key);
    }
    free(base);
}
END_TEST

/* Whether TLS comes first is a difference, too (RFC 8314). */
START_TEST(tls_first_makes_another_site)
{
    struct ip address;
    struct site_host host = {
        .name = (char *)(uintptr_t) "a.test", .port = 25, .count = 1, .addresses = &address};
    ck_assert(ip_parse(SPAN(A), &address));
    char *starttls = site_key(&base_terms, &host, 1);
    host.implicit = true;
    char *implicit = site_key(&base_terms, &host, 1);
    ck_assert_str_ne(starttls, implicit);
    free(starttls);
    free(implicit);
}
END_TEST

/* ---- on what terms ---- */

START_TEST(sources_take_turns_within_their_family)
{
    static const char *const texts[] = {A, "2001:db8::1", B, "2001:db8::2", "192.0.2.3"};
    static const struct {
        uint8_t family;
        int source; /* -1: none */
    } rows[] = {{4, 0}, {4, 2}, {4, 4}, {4, 0}, {6, 1}, {6, 3}, {6, 1}};
    struct yard yard;
    struct ip list[5], got;
    struct addresses some = {list, 5, "t.conf:1"};
    yard_open(&yard, 1);
    ck_assert(!site_source(yard.site, 4, &got));
    for (size_t i = 0; i < countof(texts); i++)
        ck_assert(ip_parse(span_of(texts[i]), &list[i]));
    yard.site->terms.sources = &some;
    for (size_t i = 0; i < countof(rows); i++) {
        if (i == 4) /* whose turn it is depends on all that went before */
            atomic_store(&yard.site->next_source, 0);
        ck_assert(site_source(yard.site, rows[i].family, &got));
        ck_assert_msg(ip_equal(&got, &list[rows[i].source]), "row %zu", i);
    }
    some.count = 1;
    ck_assert(site_source(yard.site, 4, &got));
    ck_assert(!site_source(yard.site, 6, &got));
    yard_close(&yard);
}
END_TEST

START_TEST(the_route_comes_before_the_destination)
{
    static const struct ip four = {4, {192, 0, 2, 1}};
    static const struct addresses one = {(struct ip *)(uintptr_t)&four, 1, "t.conf:1"};
    static const struct {
        bool route, route_says, destination_says;
        const char *hello;
        bool has_source;
    } rows[] = {
        {false, false, false, "relay.test", false}, {false, false, true, "d.test", true},
        {true, false, false, "relay.test", false},  {true, false, true, "d.test", true},
        {true, true, false, "r.test", true},        {true, true, true, "r.test", true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct config config = {.hostname = "relay.test"};
        struct tls_config tls = {.name = "*"};
        struct destination_config limits_here = {.name = "*"};
        struct route_config route = {.name = "a.test"};
        names_init(&config.routes);
        names_init(&config.tls);
        names_init(&config.destinations);
        names_add(&config.tls, SPAN("*"), &tls);
        names_add(&config.destinations, SPAN("*"), &limits_here);
        if (rows[i].route)
            names_add(&config.routes, SPAN("a.test"), &route);
        if (rows[i].route_says)
            route.sources = one, route.hello = "r.test";
        if (rows[i].destination_says)
            limits_here.sources = one, limits_here.hello = "d.test";
        struct site_terms terms = site_terms(&config, SPAN("a.test"));
        ck_assert_str_eq(terms.hello, rows[i].hello);
        ck_assert_uint_eq(terms.sources->count, rows[i].has_source);
        if (rows[i].route_says)
            ck_assert_ptr_eq(terms.sources, &route.sources);
        names_free(&config.routes);
        names_free(&config.tls);
        names_free(&config.destinations);
    }
}
END_TEST

TEST_MAIN("relay/outbound/site", sources_take_turns_within_their_family,
          the_route_comes_before_the_destination, messages_go_at_their_rate,
          a_token_wakes_one_connection, connections_are_opened_at_their_rate,
          a_wake_costs_no_connection, rates_go_on_at_the_next_site,
          hosts_are_remembered_at_the_next_site, another_host_has_another_past, routes_take_turns,
          a_route_without_work_has_no_turn, a_route_led_elsewhere_has_no_turn,
          a_route_that_lapsed_has_no_turn, nobody_is_recruited_for_nothing,
          one_claimant_per_envelope_up_to_the_limit, who_is_busy_is_no_claimant,
          workers_have_equal_shares, who_idles_is_woken_first_and_nearest,
          the_limit_binds_while_all_idle_ones_are_woken, slots_keep_the_books,
          a_dead_site_gets_one_probe, a_live_connection_of_a_dead_site_is_used,
          the_same_hosts_in_any_order_are_one_site, any_difference_makes_another_site,
          tls_first_makes_another_site)
