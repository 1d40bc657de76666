/* The discoverer, stepped in one thread: DNS and HTTPS are this file's, and so is the clock. */
#include "relay/discovery_inside.h"

#include "relay/os.h"
#include "tests/relay/scratch.h"
#include "tests/suite.h"
#include "tlspolicy/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START INT64_C(1800000000000)
#define MINUTE 60000
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define RECORD "v=STSv1; id=one;"
#define POLICY(mode) "version: STSv1\r\nmode: " mode "\r\nmx: *.a.test\r\nmax_age: 604800\r\n"

/* ---- what stands in for the world ---- */

static struct resolution *asked[64];
static unsigned asked_count;
static struct https_request *fetching[600];
static unsigned fetching_count;
static int64_t wall_ms, now_ms;
static struct discoverer *discoverer;
static struct mailbox inbox;
static struct config *config;

void resolve_post(struct resolve *resolve, struct resolution *take)
{
    (void)resolve;
    must(asked_count < countof(asked));
    asked[asked_count++] = take;
}

void resolution_free(struct resolution **resolution)
{
    free((*resolution)->domain);
    arena_free(&(*resolution)->arena);
    free(*resolution);
    *resolution = NULL;
}

bool resolve_check(const struct resolve_settings *settings, char *why, size_t why_size)
{
    (void)settings, (void)why, (void)why_size;
    return true;
}

struct https *https_create(void)
{
    return NULL;
}

void https_destroy(struct https **https)
{
    *https = NULL;
}

void https_begin(struct https *https, struct https_request *request)
{
    (void)https;
    fetching[fetching_count++] = request;
}

void https_wait(struct https *https, int wait_ms)
{
    (void)https, (void)wait_ms;
}

void https_wake(struct https *https)
{
    (void)https;
}

/* ---- steps ---- */

static void no_wake(void *owner)
{
    (void)owner;
}

static void open_with(struct store *store)
{
    struct buffer errors = {0};
    asked_count = fetching_count = 0;
    mailbox_init(&inbox, no_wake, NULL);
    config = config_read(NULL, &errors);
    ck_assert_ptr_nonnull(config);
    const struct discoverer_parts parts = {.store = store, .config = config};
    discoverer = discoverer_create(&parts);
    wall_ms = wall_ms ? wall_ms : START;
    now_ms = 1000;
}

static void turn(int64_t after_ms)
{
    wall_ms += after_ms;
    now_ms += after_ms;
    discoverer_turn(discoverer, wall_ms, now_ms);
}

static void close_all(void)
{
    discoverer_stop(discoverer);
    for (unsigned i = 0; i < asked_count; i++)
        resolution_free(&asked[i]);
    discoverer_destroy(&discoverer);
    config_drop(&config);
}

static void nothing(struct mail *mail, void *taker)
{
    (void)mail, (void)taker;
}

static void ask(const char *domain, bool sts, bool tlsrpt, bool anew)
{
    struct discovery *question = must_calloc(1, sizeof(*question));
    question->domain = must_strdup(domain);
    question->wants_sts = sts;
    question->wants_tlsrpt = tlsrpt;
    question->anew = anew;
    question->reply_to = &inbox;
    question->mail.deliver = nothing;
    discoverer_post(discoverer, question);
    turn(0);
}

/* The answers that have come, in order; NULL: none. */
static struct discovery *take_answer(void)
{
    static struct mail *rest;
    if (rest == NULL)
        rest = mailbox_take(&inbox);
    struct mail *mail = rest;
    if (mail == NULL)
        return NULL;
    rest = mail->next;
    return container_of(mail, struct discovery, mail);
}

/* What DNS was asked last is answered: `texts` or addresses, NULL at the end. */
static void dns(const char *name, enum resolve_kind kind, enum resolve_result result,
                const char *const *data)
{
    ck_assert_msg(asked_count > 0, "%s was not asked for", name);
    struct resolution *answer = asked[--asked_count];
    ck_assert_str_eq(answer->domain, name);
    ck_assert_int_eq(answer->kind, kind);
    struct arena *arena = &answer->arena;
    answer->result = result;
    answer->ttl_ms = 10 * MINUTE;
    answer->why = result == RESOLVE_OK ? NULL : "no such name";
    answer->texts = arena_take(arena, 8 * sizeof(struct span));
    answer->hosts = arena_take(arena, sizeof(*answer->hosts));
    answer->hosts[0].addresses = arena_take(arena, 8 * sizeof(struct ip));
    for (; data != NULL && *data != NULL; data++) {
        if (kind == RESOLVE_TXT)
            answer->texts[answer->text_count++] = span_of(arena_copy(arena, span_of(*data)));
        else
            ck_assert(
                ip_parse(span_of(*data), &answer->hosts[0].addresses[answer->hosts[0].count++]));
    }
    answer->count = kind == RESOLVE_ADDRESSES;
    mailbox_post(answer->reply_to, &answer->mail);
    turn(0);
}

#define TXT(domain, ...)                                                                           \
    dns("_mta-sts." domain, RESOLVE_TXT, RESOLVE_OK, (const char *[]){__VA_ARGS__, NULL})
#define NO_TXT(domain, result) dns("_mta-sts." domain, RESOLVE_TXT, result, NULL)
#define ADDRESSES(domain, ...)                                                                     \
    dns("mta-sts." domain, RESOLVE_ADDRESSES, RESOLVE_OK, (const char *[]){__VA_ARGS__, NULL})

static void https_ends(enum https_result result, long status, const char *type, const char *body)
{
    ck_assert_uint_gt(fetching_count, 0);
    struct https_request *request = fetching[--fetching_count];
    request->result = result;
    request->status = status;
    snprintf(request->type, sizeof(request->type), "%s", type);
    snprintf(request->why, sizeof(request->why), "%s", result == HTTPS_ANSWERED ? "" : "broken");
    buffer_append(&request->answer, span_of(body));
    request->done(request);
    turn(0);
}

static void serve_policy(const char *text)
{
    https_ends(HTTPS_ANSWERED, 200, "text/plain; charset=utf-8", text);
}

/* Asks for a.test, has the whole way gone, and gives the answer. */
static struct discovery *discover(const char *record, const char *policy)
{
    ask("a.test", true, false, false);
    TXT("a.test", record);
    ADDRESSES("a.test", "192.0.2.1");
    serve_policy(policy);
    struct discovery *answer = take_answer();
    ck_assert_ptr_nonnull(answer);
    return answer;
}

static void expect_mode(struct discovery *take, const char *id, enum sts_mode mode)
{
    ck_assert_ptr_nonnull(take);
    ck_assert_ptr_nonnull(take->sts);
    ck_assert_str_eq(take->sts->id, id);
    ck_assert_int_eq(take->sts->mode, mode);
    discovery_free(&take);
}

static void expect_none(struct discovery *take)
{
    ck_assert_ptr_nonnull(take);
    ck_assert_ptr_null(take->sts);
    discovery_free(&take);
}

/* Everything is known and still good: who asks is answered at once. */
static void expect_at_once(const char *id, enum sts_mode mode)
{
    ask("a.test", true, false, false);
    ck_assert_uint_eq(asked_count, 0);
    expect_mode(take_answer(), id, mode);
}

/* ---- tests ---- */

START_TEST(the_first_look)
{
    open_with(NULL);
    ask("a.test", true, false, false);
    ck_assert_ptr_null(take_answer());
    TXT("a.test", "v=spf1 -all", RECORD);
    /* RFC 8461 3.3, and what is nobody's business is not knocked at */
    ADDRESSES("a.test", "127.0.0.1", "192.0.2.1", "10.0.0.1", "2001:db8::1", "fe80::1", "fd00::1");
    ck_assert_uint_eq(fetching_count, 1);
    const struct https_request *request = fetching[0];
    ck_assert_str_eq(request->host, "mta-sts.a.test");
    ck_assert_str_eq(request->path, "/.well-known/mta-sts.txt");
    ck_assert_uint_eq(request->port, 443);
    ck_assert_uint_eq(request->address_count, 2);
    ck_assert_int_eq(request->within_ms, 60000);
    ck_assert_uint_eq(request->bytes_max, 65536);
    ck_assert_ptr_null(take_answer());
    serve_policy(POLICY("enforce"));
    struct discovery *answer = take_answer();
    ck_assert_ptr_nonnull(answer);
    ck_assert_int_eq(answer->ttl_ms, 10 * MINUTE); /* of the TXT record */
    ck_assert_int_eq(answer->failure, STS_NO_FAILURE);
    ck_assert(sts_matches(answer->sts, SPAN("mx.a.test")));
    expect_mode(answer, "one", STS_ENFORCE);
    expect_at_once("one", STS_ENFORCE);
    close_all();
}
END_TEST

START_TEST(who_asks_for_the_same_shares_a_look)
{
    open_with(NULL);
    for (int i = 0; i < 3; i++)
        ask("a.test", true, false, false);
    ask("b.test", true, false, false);
    ck_assert_uint_eq(asked_count, 2);
    NO_TXT("b.test", RESOLVE_NO_DOMAIN);
    expect_none(take_answer());
    TXT("a.test", RECORD);
    ADDRESSES("a.test", "192.0.2.1");
    ck_assert_uint_eq(fetching_count, 1);
    serve_policy(POLICY("testing"));
    for (int i = 0; i < 3; i++)
        expect_mode(take_answer(), "one", STS_TESTING);
    ck_assert_ptr_null(take_answer());
    close_all();
}
END_TEST

/* RFC 8461 3.1: no policy is discovered, and nothing fetched. */
START_TEST(records_that_lead_nowhere)
{
    open_with(NULL);
    ask("a.test", true, false, false);
    TXT("a.test", RECORD, RECORD);
    expect_none(take_answer());
    ask("b.test", true, false, false);
    NO_TXT("b.test", RESOLVE_TEMPORARY);
    expect_none(take_answer());
    ask("a.test", true, false, false); /* remembered, as long as DNS says */
    expect_none(take_answer());
    ck_assert_uint_eq(asked_count + fetching_count, 0);
    turn(10 * MINUTE);
    ask("a.test", true, false, false);
    ck_assert_uint_eq(asked_count, 1);
    close_all();
}
END_TEST

/* RFC 8461 3.3: mail goes on as without a policy; what failed is told (RFC 8460 4.3.2.2), and not
 * repeated within five minutes. */
START_TEST(fetches_that_fail)
{
    static const struct {
        enum https_result result;
        long status;
        const char *type, *body;
        enum sts_failure failure;
        const char *why;
    } rows[] = {
        {HTTPS_FAILED, 0, "", "", STS_FETCH_ERROR, "broken"},
        {HTTPS_SLOW, 0, "", "", STS_FETCH_ERROR, "broken"},
        {HTTPS_CERTIFICATE, 0, "", "", STS_WEBPKI_INVALID, "broken"},
        {HTTPS_LARGE, 200, "text/plain", "", STS_POLICY_INVALID, "64 KiB"},
        {HTTPS_ANSWERED, 404, "text/plain", POLICY("enforce"), STS_FETCH_ERROR, "404"},
        {HTTPS_ANSWERED, 301, "text/plain", POLICY("enforce"), STS_FETCH_ERROR, "301"},
        {HTTPS_ANSWERED, 204, "text/plain", "", STS_FETCH_ERROR, "204"},
        {HTTPS_ANSWERED, 200, "text/html", POLICY("enforce"), STS_POLICY_INVALID, "text/html"},
        {HTTPS_ANSWERED, 200, "", POLICY("enforce"), STS_POLICY_INVALID, "not text/plain"},
        {HTTPS_ANSWERED, 200, "text/plainer", POLICY("enforce"), STS_POLICY_INVALID, "plainer"},
        {HTTPS_ANSWERED, 200, "text/plain", "hello", STS_POLICY_INVALID, "name: value"},
        {HTTPS_ANSWERED, 200, "text/plain", "", STS_POLICY_INVALID, "no version"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        open_with(NULL);
        ask("a.test", true, false, false);
        TXT("a.test", RECORD);
        ADDRESSES("a.test", "192.0.2.1");
        https_ends(rows[i].result, rows[i].status, rows[i].type, rows[i].body);
        struct discovery *answer = take_answer();
        ck_assert_ptr_nonnull(answer);
        ck_assert_int_eq(answer->failure, rows[i].failure);
        ck_assert_msg(strstr(answer->why, rows[i].why) != NULL, "row %zu: %s", i, answer->why);
        expect_none(answer);

        turn(4 * MINUTE);
        ask("a.test", true, false, true);
        TXT("a.test", RECORD);
        answer = take_answer(); /* nothing is fetched, and it is known why */
        ck_assert_ptr_nonnull(answer);
        ck_assert_int_eq(answer->failure, rows[i].failure);
        expect_none(answer);
        turn(MINUTE);
        ask("a.test", true, false, true);
        TXT("a.test", RECORD);
        ADDRESSES("a.test", "192.0.2.1");
        serve_policy(POLICY("enforce"));
        answer = take_answer();
        ck_assert_int_eq(answer->failure, STS_NO_FAILURE);
        expect_mode(answer, "one", STS_ENFORCE);
        close_all();
    }
}
END_TEST

START_TEST(policy_hosts_without_an_address_to_go_to)
{
    open_with(NULL);
    ask("a.test", true, false, false);
    TXT("a.test", RECORD);
    dns("mta-sts.a.test", RESOLVE_ADDRESSES, RESOLVE_NO_DOMAIN, NULL);
    struct discovery *answer = take_answer();
    ck_assert_int_eq(answer->failure, STS_FETCH_ERROR);
    expect_none(answer);
    ask("b.test", true, false, false);
    TXT("b.test", RECORD);
    ADDRESSES("b.test", "127.0.0.1", "192.168.1.1", "169.254.169.254", "::1");
    answer = take_answer();
    ck_assert_int_eq(answer->failure, STS_FETCH_ERROR);
    ck_assert_str_eq(answer->why, "no address of the policy host may be connected to");
    expect_none(answer);
    close_all();
}
END_TEST

/* RFC 8461 3.3, 5.1: what is in force stays so, whatever becomes of its record or of fetches, until
 * it expires or a newer one is there. */
START_TEST(a_policy_stays_in_force)
{
    open_with(NULL);
    expect_mode(discover(RECORD, POLICY("enforce")), "one", STS_ENFORCE);

    turn(10 * MINUTE);
    ask("a.test", true, false, false); /* a new id, and it cannot be fetched */
    TXT("a.test", "v=STSv1; id=two;");
    ADDRESSES("a.test", "192.0.2.1");
    https_ends(HTTPS_FAILED, 0, "", "");
    struct discovery *answer = take_answer();
    ck_assert_int_eq(answer->failure, STS_FETCH_ERROR);
    expect_mode(answer, "one", STS_ENFORCE);

    turn(10 * MINUTE);
    ask("a.test", true, false, false); /* the record has gone */
    NO_TXT("a.test", RESOLVE_NO_DOMAIN);
    expect_mode(take_answer(), "one", STS_ENFORCE);
    turn(10 * MINUTE);
    ask("a.test", true, false, false);
    NO_TXT("a.test", RESOLVE_TEMPORARY);
    expect_mode(take_answer(), "one", STS_ENFORCE);

    turn(10 * MINUTE);
    expect_mode(discover("v=STSv1; id=three;", POLICY("none")), "three", STS_NONE);
    close_all();
}
END_TEST

START_TEST(it_expires)
{
    open_with(NULL);
    expect_mode(discover(RECORD, POLICY("enforce")), "one", STS_ENFORCE);
    turn(7 * DAY - 1);
    NO_TXT("a.test", RESOLVE_NO_DOMAIN); /* the refresh */
    ask("a.test", true, false, false);
    expect_mode(take_answer(), "one", STS_ENFORCE);
    turn(1);
    ask("a.test", true, false, false);
    NO_TXT("a.test", RESOLVE_NO_DOMAIN);
    expect_none(take_answer());
    close_all();
}
END_TEST

/* RFC 8461 3.2: max_age 0 holds for the mail it was fetched for. */
START_TEST(one_that_does_not_last)
{
    static const char text[] = "version: STSv1\nmode: enforce\nmx: *.a.test\nmax_age: 0\n";
    open_with(NULL);
    struct discovery *answer = discover(RECORD, text);
    ck_assert_int_eq(answer->ttl_ms, RESOLVE_TTL_LEAST_MS);
    expect_mode(answer, "one", STS_ENFORCE);
    turn(1);
    expect_mode(discover(RECORD, text), "one", STS_ENFORCE);
    close_all();
}
END_TEST

/* RFC 8461 3.3, 10.2: refreshed before it expires, though nobody asks; even where DNS is silent. */
START_TEST(it_is_refreshed_ahead)
{
    open_with(NULL);
    expect_mode(discover(RECORD, POLICY("enforce")), "one", STS_ENFORCE);
    turn(DAY * 3 / 4 - MINUTE);
    ck_assert_uint_eq(asked_count, 0);
    turn(DAY / 4 + MINUTE);
    TXT("a.test", RECORD);
    ADDRESSES("a.test", "192.0.2.1");
    serve_policy(POLICY("testing"));
    ck_assert_ptr_null(take_answer());
    expect_at_once("one", STS_TESTING);

    turn(DAY);
    NO_TXT("a.test", RESOLVE_TEMPORARY);
    ADDRESSES("a.test", "192.0.2.1");
    https_ends(HTTPS_FAILED, 0, "", "");
    turn(HOUR - 1);
    ck_assert_uint_eq(asked_count, 0);
    turn(1); /* that led nowhere: again in an hour */
    NO_TXT("a.test", RESOLVE_TEMPORARY);
    ADDRESSES("a.test", "192.0.2.1");
    serve_policy(POLICY("enforce"));
    ask("a.test", true, false, false);
    expect_mode(take_answer(), "one", STS_ENFORCE);
    close_all();
}
END_TEST

START_TEST(but_not_for_ever)
{
    int refreshes = 0;
    open_with(NULL);
    expect_mode(discover(RECORD, POLICY("enforce")), "one", STS_ENFORCE);
    for (int day = 0; day < 60; day++) {
        turn(DAY);
        if (asked_count == 0)
            continue;
        refreshes++;
        TXT("a.test", RECORD);
        ADDRESSES("a.test", "192.0.2.1");
        serve_policy(POLICY("enforce"));
    }
    ck_assert_int_eq(refreshes, DISCOVERY_UNASKED_MAX);
    ck_assert_uint_eq(discoverer->refreshes.count, 0);
    close_all();
}
END_TEST

/* At most 65 s at the very first look, and then no policy (RFC 8461 3.3) … */
START_TEST(nobody_waits_for_long)
{
    open_with(NULL);
    ask("a.test", true, false, false);
    TXT("a.test", RECORD);
    ADDRESSES("a.test", "192.0.2.1");
    turn(DISCOVERY_FIRST_MS - 1);
    ck_assert_ptr_null(take_answer());
    turn(1);
    expect_none(take_answer());
    serve_policy(POLICY("enforce")); /* it comes after all */
    expect_at_once("one", STS_ENFORCE);

    turn(10 * MINUTE); /* … and 5 s for a newer one */
    ask("a.test", true, false, false);
    turn(DISCOVERY_NEWER_MS - 1);
    ck_assert_ptr_null(take_answer());
    turn(1);
    expect_mode(take_answer(), "one", STS_ENFORCE);
    ask("a.test", true, false, true); /* but for the last look */
    turn(DISCOVERY_NEWER_MS);
    ck_assert_ptr_null(take_answer());
    TXT("a.test", "v=STSv1; id=two;");
    ADDRESSES("a.test", "192.0.2.1");
    serve_policy(POLICY("none"));
    expect_mode(take_answer(), "two", STS_NONE);
    close_all();
}
END_TEST

/* RFC 8461 5.1: before mail fails for good the record is looked at once more. */
START_TEST(the_last_look)
{
    open_with(NULL);
    expect_mode(discover(RECORD, POLICY("enforce")), "one", STS_ENFORCE);
    expect_at_once("one", STS_ENFORCE);
    ask("a.test", true, false, true);
    TXT("a.test", RECORD);
    expect_mode(take_answer(), "one", STS_ENFORCE); /* nothing new: nothing is fetched */
    ask("a.test", true, false, true);
    TXT("a.test", "v=STSv1; id=two;");
    ADDRESSES("a.test", "192.0.2.1");
    serve_policy(POLICY("testing"));
    expect_mode(take_answer(), "two", STS_TESTING);
    close_all();
}
END_TEST

START_TEST(the_store_keeps_it)
{
    struct scratch scratch CLEANUP(scratch_remove) = scratch_make();
    char path[SCRATCH_FILE_MAX], why[STORE_WHY_MAX];
    scratch_name(&scratch, "tls", path);
    struct store *store = store_open(path, why);
    ck_assert_ptr_nonnull(store);
    wall_ms = os_wall(); /* what has expired is not read back */
    open_with(store);
    expect_mode(discover(RECORD, POLICY("enforce")), "one", STS_ENFORCE);
    close_all();

    open_with(store);
    ask("a.test", true, false, false);
    turn(DISCOVERY_NEWER_MS); /* DNS is silent */
    expect_mode(take_answer(), "one", STS_ENFORCE);
    turn(8 * DAY); /* dropped, here and there */
    close_all();

    open_with(store);
    ck_assert_uint_eq(discoverer->domains.count, 0);
    close_all();
    store_close(&store);
}
END_TEST

/* RFC 8460 3: who reads them decides which one counts. */
START_TEST(records_of_tlsrpt)
{
    open_with(NULL);
    ask("a.test", false, true, false);
    dns("_smtp._tls.a.test", RESOLVE_TXT, RESOLVE_OK,
        (const char *[]){"v=spf1", "v=TLSRPTv1;rua=mailto:r@a.test", NULL});
    struct discovery *answer = take_answer();
    ck_assert_uint_eq(answer->tlsrpt_count, 1);
    ck_assert(span_equal(answer->tlsrpt[0], SPAN("v=TLSRPTv1;rua=mailto:r@a.test")));
    expect_none(answer);
    ask("a.test", false, true, false);
    ck_assert_uint_eq(asked_count, 0);
    answer = take_answer();
    ck_assert_uint_eq(answer->tlsrpt_count, 1);
    expect_none(answer);

    turn(10 * MINUTE);
    ask("a.test", true, true, false); /* both at once */
    ck_assert_uint_eq(asked_count, 2);
    NO_TXT("a.test", RESOLVE_NO_DOMAIN);
    ck_assert_ptr_null(take_answer());
    dns("_smtp._tls.a.test", RESOLVE_TXT, RESOLVE_NO_DOMAIN, NULL);
    answer = take_answer();
    ck_assert_uint_eq(answer->tlsrpt_count, 0);
    expect_none(answer);
    close_all();
}
END_TEST

START_TEST(who_waits_at_the_end_is_answered)
{
    open_with(NULL);
    ask("a.test", true, false, false);
    TXT("a.test", RECORD);
    ADDRESSES("a.test", "192.0.2.1");
    ask("b.test", true, true, false);
    discoverer_stop(discoverer);
    expect_none(take_answer());
    expect_none(take_answer());
    while (asked_count > 0) { /* the resolver ends after it */
        struct resolution *answer = asked[--asked_count];
        answer->result = RESOLVE_TEMPORARY;
        answer->ttl_ms = MINUTE;
        mailbox_post(answer->reply_to, &answer->mail);
    }
    close_all();
}
END_TEST

START_TEST(so_many_at_a_time)
{
    open_with(NULL);
    for (int i = 0; i < DISCOVERY_FETCHES_MAX + 10; i++) {
        char domain[32], name[64];
        snprintf(domain, sizeof(domain), "d%d.test", i);
        ask(domain, true, false, false);
        snprintf(name, sizeof(name), "_mta-sts.%s", domain);
        dns(name, RESOLVE_TXT, RESOLVE_OK, (const char *[]){RECORD, NULL});
        snprintf(name, sizeof(name), "mta-sts.%s", domain);
        dns(name, RESOLVE_ADDRESSES, RESOLVE_OK, (const char *[]){"192.0.2.1", NULL});
    }
    ck_assert_uint_eq(fetching_count, DISCOVERY_FETCHES_MAX);
    serve_policy(POLICY("enforce"));
    ck_assert_uint_eq(fetching_count, DISCOVERY_FETCHES_MAX); /* the next one has its place */
    expect_mode(take_answer(), "one", STS_ENFORCE);
    discoverer_stop(discoverer);
    for (struct discovery *answer; (answer = take_answer()) != NULL;)
        expect_none(answer);
    close_all();
}
END_TEST

TEST_MAIN("relay/discovery", the_first_look, who_asks_for_the_same_shares_a_look,
          records_that_lead_nowhere, fetches_that_fail, policy_hosts_without_an_address_to_go_to,
          a_policy_stays_in_force, it_expires, one_that_does_not_last, it_is_refreshed_ahead,
          but_not_for_ever, nobody_waits_for_long, the_last_look, the_store_keeps_it,
          records_of_tlsrpt, who_waits_at_the_end_is_answered, so_many_at_a_time);
