#include "relay/reports/reports.h"

#include "tests/relay/config_reading.h"
#include "tests/suite.h"
#include "tlspolicy/store.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DAY TLSRPT_DAY_MS
#define TODAY INT64_C(20778) /* 2026-11-21 */
#define NOON (TODAY * DAY + DAY / 2)
#define MINUTE INT64_C(60000)

static struct scratch scratch;
static struct store *store;
static struct config *config;
static struct mailbox worker; /* as whose the test answers */
static struct reports *reports;

static void wake_nobody(void *owner)
{
    (void)owner;
}

static struct report_mail *asked; /* of the worker, last */
static unsigned asked_count;

static void hand_in(struct mail *take, void *taker)
{
    (void)taker;
    asked = container_of(take, struct report_mail, mail);
    asked_count++;
}

static void open_reports(void)
{
    char directory[600], why[STORE_WHY_MAX];
    snprintf(directory, sizeof(directory), "%s/tls", scratch.path);
    store = store_open(directory, why);
    ck_assert_str_eq(why, "");
    const struct reports_parts parts = {config, store, NULL, &worker, hand_in};
    reports = reports_create(&parts);
}

static void close_reports(void)
{
    reports_end(reports);
    reports_destroy(&reports);
    ck_assert_ptr_null(reports);
    store_close(&store);
}

static void begin(const char *section)
{
    char text[600];
    scratch = scratch_make();
    snprintf(text, sizeof(text), "hostname = relay.test origin = sender.test %s", section);
    config = read_fine(&scratch, text);
    mailbox_init(&worker, wake_nobody, NULL);
    asked_count = 0;
    open_reports();
}

static void end(void)
{
    close_reports();
    config_drop(&config);
    scratch_remove(&scratch);
}

/* As after a crash: what was not written is gone. */
static void crash(void)
{
    reports_destroy(&reports);
    store_close(&store);
    open_reports();
}

static void count(const char *domain, const char *record)
{
    const struct tlsrpt_session session = {
        .domain = domain,
        .record = record,
        .policy = {.domain = domain},
        .mx_host = "",
        .helo = "",
        .reason = "",
    };
    reports_count(reports, &session, NOON);
}

static void turn(int64_t wall_ms)
{
    reports_turn(reports, wall_ms);
    mailbox_deliver(&worker, NULL);
}

/* The worker has done what it was asked for. */
static void answer(bool taken, int64_t wall_ms)
{
    ck_assert_uint_gt(asked_count, 0);
    asked_count = 0;
    buffer_clear(&asked->body);
    asked->taken = taken;
    asked->mail.deliver = asked->reply;
    mailbox_post(asked->reply_to, &asked->mail);
    turn(wall_ms);
}

static bool body_has(const char *text)
{
    struct span body = buffer_span(&asked->body);
    return memmem(body.data, body.length, text, strlen(text)) != NULL;
}

static bool any_counts(void)
{
    struct buffer images CLEANUP(buffer_free) = {0};
    tlsrpt_images(reports_counts(reports), TLSRPT_TODAY, NULL, NOON, &images);
    return buffer_length(&images) > 0;
}

/* RFC 8460 4.1 and 5.3: when the day is over, at the domain's time, and once. */
START_TEST(rfc8460_5_3_a_day_goes_by_mail)
{
    begin("tlsrpt { from = \"tlsrpt@sender.test\" }");
    int64_t due = tlsrpt_due_ms(TODAY, "a.test");
    count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test");
    turn(NOON);
    turn(due - 1);
    ck_assert_uint_eq(asked_count, 0);
    turn(due + REPORTS_WRITE_MS);
    ck_assert_uint_eq(asked_count, 1);
    ck_assert_str_eq(asked->from, "tlsrpt@sender.test");
    ck_assert_str_eq(asked->to, "r@a.test");
    ck_assert(body_has("Subject: Report Domain: a.test\r\n Submitter: sender.test\r\n"));
    ck_assert(body_has("20261121.a.test@relay.test"));
    turn(due + 2 * REPORTS_WRITE_MS);
    ck_assert_uint_eq(asked_count, 1); /* it is under way */
    answer(true, due + 3 * REPORTS_WRITE_MS);
    ck_assert(!any_counts());
    crash();
    ck_assert(!any_counts());
    turn(due + DAY);
    ck_assert_uint_eq(asked_count, 0);
    end();
}
END_TEST

/* RFC 8460 5.5: tried again, slower and slower, for a day after the first attempt. */
START_TEST(rfc8460_5_5_retry_for_a_day)
{
    begin("tlsrpt { }");
    int64_t due = tlsrpt_due_ms(TODAY, "a.test");
    unsigned attempts = 0;
    count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test");
    for (int64_t at = due; at <= due + 2 * DAY; at += MINUTE) {
        turn(at);
        attempts += asked_count;
        if (asked_count > 0)
            answer(false, at);
        ck_assert(any_counts() == (at < due + DAY));
    }
    ck_assert_uint_ge(attempts, 8);
    ck_assert_uint_le(attempts, 12);
    end();
}
END_TEST

/* RFC 8460 3: to each endpoint; who has it does not get it twice, whatever happens between. */
START_TEST(rfc8460_3_each_endpoint_gets_it_once)
{
    begin("tlsrpt { }");
    int64_t at = tlsrpt_due_ms(TODAY, "a.test");
    count("a.test", "v=TLSRPTv1; rua=mailto:1@a.test,mailto:no-address@,mailto:2@a.test");
    turn(at);
    ck_assert_str_eq(asked->to, "1@a.test");
    answer(false, at);
    ck_assert_str_eq(asked->to, "2@a.test");
    answer(true, at);
    ck_assert_uint_eq(asked_count, 0);
    turn(at + REPORTS_WRITE_MS);
    crash();
    ck_assert(any_counts());
    turn(at + 2 * REPORTS_WRITE_MS);
    ck_assert_str_eq(asked->to, "1@a.test");
    answer(true, at + 2 * REPORTS_WRITE_MS);
    ck_assert_uint_eq(asked_count, 0);
    ck_assert(!any_counts());
    end();
}
END_TEST

START_TEST(what_is_under_way_at_the_end_is_not_sent_twice)
{
    begin("tlsrpt { }");
    int64_t due = tlsrpt_due_ms(TODAY, "a.test");
    count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test,mailto:s@a.test");
    turn(due);
    asked->taken = true;
    asked->mail.deliver = asked->reply;
    mailbox_post(asked->reply_to, &asked->mail);
    close_reports();
    open_reports();
    ck_assert(any_counts());
    asked_count = 0;
    turn(due);
    ck_assert_str_eq(asked->to, "s@a.test");
    end();
}
END_TEST

START_TEST(counts_outlive_a_restart)
{
    begin("tlsrpt { }");
    count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test");
    turn(NOON);
    crash();
    ck_assert(any_counts());
    count("b.test", "v=TLSRPTv1; rua=mailto:r@b.test");
    close_reports(); /* in order: nothing is lost */
    open_reports();
    struct buffer images CLEANUP(buffer_free) = {0};
    tlsrpt_images(reports_counts(reports), TLSRPT_TODAY, "b.test", NOON, &images);
    ck_assert_uint_gt(buffer_length(&images), 0);
    end();
}
END_TEST

static bool count_one(void *context, struct span key, struct span value)
{
    (void)key;
    (void)value;
    ++*(unsigned *)context;
    return true;
}

START_TEST(what_cannot_be_read_is_removed)
{
    unsigned kept = 0;
    begin("tlsrpt { }");
    count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test");
    turn(NOON);
    const struct store_write other = {STORE_TLSRPT, SPAN("????b.test"), SPAN("of another version")};
    ck_assert(store_write(store, &other, 1));
    crash();
    ck_assert(any_counts());
    ck_assert(store_each(store, STORE_TLSRPT, count_one, &kept));
    ck_assert_uint_eq(kept, 1);
    end();
}
END_TEST

static void assert_forgotten_unsent(const char *section, const char *record)
{
    begin(section);
    count("a.test", record);
    turn(NOON);
    turn(tlsrpt_due_ms(TODAY, "a.test"));
    ck_assert_uint_eq(asked_count, 0);
    ck_assert(!any_counts());
    end();
}

START_TEST(what_is_not_sent)
{
    assert_forgotten_unsent("tlsrpt { send = false }", "v=TLSRPTv1; rua=mailto:r@a.test");
    assert_forgotten_unsent("", "v=TLSRPTv1; rua=mailto:r@a.test");
    assert_forgotten_unsent("tlsrpt { }", "v=TLSRPTv1; rua=tel:1");
    assert_forgotten_unsent("tlsrpt { }", "v=TLSRPTv1; rua=mailto:a@");
}
END_TEST

START_TEST(many_reports_take_turns)
{
    char domain[32];
    unsigned sent = 0;
    begin("tlsrpt { }");
    for (unsigned i = 0; i < 3 * REPORTS_SENDING_MAX; i++) {
        snprintf(domain, sizeof(domain), "b%u.test", i);
        count(domain, "v=TLSRPTv1; rua=mailto:r@a.test");
    }
    int64_t at = (TODAY + 1) * DAY + TLSRPT_DELAY_MAX_MS;
    struct report_mail *mails[REPORTS_SENDING_MAX];
    for (; any_counts(); at += REPORTS_WRITE_MS) {
        unsigned taken = 0;
        reports_turn(reports, at);
        for (struct mail *mail = mailbox_take(&worker), *next; mail != NULL; mail = next) {
            next = mail->next;
            ck_assert_uint_lt(taken, REPORTS_SENDING_MAX);
            mails[taken++] = container_of(mail, struct report_mail, mail);
        }
        for (unsigned i = 0; i < taken; i++, sent++) {
            mails[i]->taken = true;
            mails[i]->mail.deliver = mails[i]->reply;
            mailbox_post(mails[i]->reply_to, &mails[i]->mail);
        }
    }
    ck_assert_uint_eq(sent, 3 * REPORTS_SENDING_MAX);
    end();
}
END_TEST

/* Another configuration, for what is sent from then on. */
START_TEST(a_reload_changes_who_reports)
{
    begin("tlsrpt { }");
    int64_t due = tlsrpt_due_ms(TODAY, "a.test");
    struct config *other CLEANUP(config_drop) =
        read_fine(&scratch, "hostname = r.test tlsrpt { from = \"new@c.test\" }");
    count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test");
    turn(due);
    reports_reconfigure(reports, other);
    turn(due + 1);
    ck_assert_str_eq(asked->from, "postmaster@sender.test"); /* begun before */
    answer(false, due + 1);
    turn(due + REPORTS_FIRST_RETRY_MS + REPORTS_WRITE_MS);
    ck_assert_str_eq(asked->from, "new@c.test");
    end();
}
END_TEST

static int open_collector(struct sockaddr_un *at)
{
    *at = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(at->sun_path, sizeof(at->sun_path), "/tmp/millrace-test-%d.collector", getpid());
    unlink(at->sun_path);
    int reader = socket(AF_UNIX, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(reader, (struct sockaddr *)at, sizeof(*at)), 0);
    return reader;
}

START_TEST(the_collector_is_told_at_once)
{
    char section[200], datagram[2000];
    struct sockaddr_un at;
    int reader = open_collector(&at);
    snprintf(section, sizeof(section), "tlsrpt { collector = \"%s\" }", at.sun_path);
    begin(section);
    count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test");
    turn(NOON);
    ssize_t length = recv(reader, datagram, sizeof(datagram) - 1, MSG_DONTWAIT);
    ck_assert_int_gt(length, 0);
    datagram[length] = '\0';
    ck_assert_str_eq(datagram,
                     "{\"dpv\":\"1\",\"d\":\"a.test\",\"pr\":\"v=TLSRPTv1; rua=mailto:r@a.test\","
                     "\"policies\":[{\"policy-type\":9,\"policy-domain\":\"a.test\","
                     "\"t\":0,\"f\":0}]}");
    unsigned count_sent = 300, received = 0; /* more than a socket keeps */
    for (unsigned i = 0; i < count_sent; i++)
        count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test");
    for (unsigned turns = 0; received < count_sent; turns++) {
        turn(NOON + turns);
        while (recv(reader, datagram, sizeof(datagram), MSG_DONTWAIT) > 0)
            received++;
        ck_assert_uint_le(turns, count_sent);
    }
    close(reader);
    unlink(at.sun_path);
    for (unsigned i = 0; i < 2 * REPORTS_DATAGRAMS_MAX; i++) /* nobody reads: nothing waits */
        count("a.test", "v=TLSRPTv1; rua=mailto:r@a.test");
    turn(NOON + MINUTE);
    ck_assert(any_counts());
    end();
}
END_TEST

TEST_MAIN("relay/reports/reports", rfc8460_5_3_a_day_goes_by_mail, rfc8460_5_5_retry_for_a_day,
          rfc8460_3_each_endpoint_gets_it_once, what_is_under_way_at_the_end_is_not_sent_twice,
          counts_outlive_a_restart, what_cannot_be_read_is_removed, what_is_not_sent,
          many_reports_take_turns, a_reload_changes_who_reports, the_collector_is_told_at_once)
