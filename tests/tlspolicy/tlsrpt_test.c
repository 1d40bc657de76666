#include "tlspolicy/tlsrpt.h"

#include "tests/suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define DAY TLSRPT_DAY_MS
#define TODAY INT64_C(20778) /* 2026-11-21 */
#define NOON (TODAY * DAY + DAY / 2)
#define RECORD "v=TLSRPTv1; rua=mailto:r@a.test"

static struct tlsrpt *tlsrpt;

static void begin(void)
{
    tlsrpt = tlsrpt_create();
}

static void end(void)
{
    tlsrpt_destroy(&tlsrpt);
    ck_assert_ptr_null(tlsrpt);
}

static struct ip ip(const char *text)
{
    struct ip ip = {0};
    ck_assert(text[0] == '\0' || ip_parse(span_of(text), &ip));
    return ip;
}

static const char *const sts_lines[] = {"version: STSv1", "mode: enforce", "mx: mx.a.test",
                                        "max_age: 86400"};
static const char *const sts_mx[] = {"mx.a.test"};
static const char *const tlsa_lines[] = {"3 1 1 AB12"};
static const struct tlsrpt_policy no_policy = {.domain = "a.test"};
static const struct tlsrpt_policy sts = {TLSRPT_POLICY_STS, "a.test", sts_lines, sts_mx, 4, 1};
static const struct tlsrpt_policy tlsa = {TLSRPT_POLICY_TLSA, "mx.a.test", tlsa_lines, NULL, 1, 0};

static void count(const char *domain, const struct tlsrpt_policy *policy, enum tlsrpt_result result,
                  const char *reason, int64_t wall_ms)
{
    const struct tlsrpt_session session = {
        .domain = domain,
        .record = RECORD,
        .policy = *policy,
        .result = result,
        .mx_host = "mx.a.test",
        .helo = "mx1",
        .reason = reason,
        .sending = ip("192.0.2.1"),
        .receiving = ip("2001:db8::25"),
    };
    tlsrpt_count(tlsrpt, &session, wall_ms);
}

static void print_detail(char *to, size_t size, const struct tlsrpt_detail *detail)
{
    char sending[IP_TEXT_MAX] = "-", receiving[IP_TEXT_MAX] = "-";
    if (detail->sending.family != 0)
        ip_format(&detail->sending, sending);
    if (detail->receiving.family != 0)
        ip_format(&detail->receiving, receiving);
    snprintf(to, size, " [%s %s %s %s %s '%s' %u]", tlsrpt_result_name(detail->result), sending,
             detail->mx_host, detail->helo, receiving, detail->reason, (unsigned)detail->sessions);
}

/* "day domain: type domain strings/mx +successes -failures [detail] …; …" for each tally. */
static void print_tally(char *to, size_t size, const struct tlsrpt_tally *tally)
{
    snprintf(to, size, "%d %s:", (int)(tally->day - TODAY), tally->domain);
    for (const struct tlsrpt_count *at = tally->counts; at != NULL; at = at->next) {
        size_t used = strlen(to);
        snprintf(to + used, size - used, " %s %s %u/%u +%u -%u",
                 tlsrpt_policy_name(at->policy.type), at->policy.domain, at->policy.string_count,
                 at->policy.mx_count, (unsigned)at->successes, (unsigned)at->failures);
        for (const struct tlsrpt_detail *detail = at->details; detail; detail = detail->next)
            print_detail(to + strlen(to), size - strlen(to), detail);
    }
    snprintf(to + strlen(to), size - strlen(to), "\n");
}

static const char *print_images(struct span images)
{
    static char text[65536];
    struct tlsrpt_tally tally;
    text[0] = '\0';
    while (tlsrpt_image_next(&images, &tally, NULL)) {
        print_tally(text + strlen(text), sizeof(text) - strlen(text), &tally);
        ck_assert_str_eq(tally.record, RECORD);
        tlsrpt_tally_free(&tally);
    }
    ck_assert_uint_eq(images.length, 0);
    return text;
}

static void assert_images(enum tlsrpt_which which, const char *domain, int64_t wall_ms,
                          const char *wanted)
{
    struct buffer images CLEANUP(buffer_free) = {0};
    ck_assert(!tlsrpt_images(tlsrpt, which, domain, wall_ms, &images));
    ck_assert_str_eq(print_images(buffer_span(&images)), wanted);
}

/* RFC 8460 4: by day, domain and policy; failures by all that tells them apart. */
START_TEST(rfc8460_4_sessions_are_counted)
{
    begin();
    count("a.test", &no_policy, TLSRPT_SUCCESS, "", NOON);
    count("a.test", &no_policy, TLSRPT_SUCCESS, "", NOON);
    count("a.test", &sts, TLSRPT_SUCCESS, "", NOON);
    count("a.test", &sts, TLSRPT_CERTIFICATE_EXPIRED, "", NOON);
    count("a.test", &sts, TLSRPT_CERTIFICATE_EXPIRED, "", NOON);
    count("a.test", &sts, TLSRPT_VALIDATION_FAILURE, "an alert", NOON);
    count("a.test", &tlsa, TLSRPT_TLSA_INVALID, "", NOON);
    count("b.test", &no_policy, TLSRPT_STARTTLS_NOT_SUPPORTED, "", NOON);
    count("a.test", &no_policy, TLSRPT_SUCCESS, "", NOON + DAY);
    assert_images(TLSRPT_TODAY, NULL, NOON,
                  "0 a.test: no-policy-found a.test 0/0 +2 -0"
                  " sts a.test 4/1 +1 -3"
                  " [certificate-expired 192.0.2.1 mx.a.test mx1 2001:db8::25 '' 2]"
                  " [validation-failure 192.0.2.1 mx.a.test mx1 2001:db8::25 'an alert' 1]"
                  " tlsa mx.a.test 1/0 +0 -1"
                  " [tlsa-invalid 192.0.2.1 mx.a.test mx1 2001:db8::25 '' 1]\n"
                  "0 b.test: no-policy-found a.test 0/0 +0 -1"
                  " [starttls-not-supported 192.0.2.1 mx.a.test mx1 2001:db8::25 '' 1]\n");
    assert_images(TLSRPT_TODAY, "a.test", NOON + DAY,
                  "1 a.test: no-policy-found a.test 0/0 +1 -0\n");
    assert_images(TLSRPT_TODAY, "c.test", NOON, "");
    ck_assert_uint_eq(tlsrpt_uncounted(tlsrpt), 0);
    end();
}
END_TEST

/* RFC 8460 4.3: each has its word. */
START_TEST(rfc8460_4_3_result_types)
{
    static const char *const words[] = {
        "",
        "starttls-not-supported",
        "certificate-host-mismatch",
        "certificate-expired",
        "certificate-not-trusted",
        "validation-failure",
        "tlsa-invalid",
        "dnssec-invalid",
        "dane-required",
        "sts-policy-fetch-error",
        "sts-policy-invalid",
        "sts-webpki-invalid",
    };
    ck_assert_uint_eq(countof(words), TLSRPT_RESULTS);
    for (unsigned i = 0; i < TLSRPT_RESULTS; i++)
        ck_assert_str_eq(tlsrpt_result_name((enum tlsrpt_result)i), words[i]);
}
END_TEST

START_TEST(what_peers_say_is_printable_and_bounded)
{
    char reason[1000], wanted[1000];
    begin();
    count("a.test", &no_policy, TLSRPT_VALIDATION_FAILURE, "a\r\nb\x7f\xc3\xa4", NOON);
    memset(reason, 'x', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    count("a.test", &no_policy, TLSRPT_VALIDATION_FAILURE, reason, NOON);
    snprintf(wanted, sizeof(wanted),
             "0 a.test: no-policy-found a.test 0/0 +0 -2"
             " [validation-failure 192.0.2.1 mx.a.test mx1 2001:db8::25 'a?"
             "?b?"
             "?"
             "?' 1]"
             " [validation-failure 192.0.2.1 mx.a.test mx1 2001:db8::25 '%.*s' 1]\n",
             TLSRPT_REASON_MAX, reason);
    assert_images(TLSRPT_TODAY, NULL, NOON, wanted);
    end();
}
END_TEST

static uint64_t all_sessions(const struct tlsrpt_count *at, unsigned *details)
{
    uint64_t sum = 0;
    for (const struct tlsrpt_detail *detail = at->details; detail;
         detail = detail->next, ++*details)
        sum += detail->sessions;
    return sum;
}

START_TEST(what_does_not_fit_is_summed_by_type)
{
    struct buffer images = {0};
    struct tlsrpt_tally tally;
    unsigned details = 0;
    char reason[32];
    begin();
    for (unsigned i = 0; i < 10 * TLSRPT_DETAILS_MAX; i++) {
        snprintf(reason, sizeof(reason), "%u", i);
        count("a.test", &no_policy, i % 2 ? TLSRPT_VALIDATION_FAILURE : TLSRPT_TLSA_INVALID, reason,
              NOON);
    }
    tlsrpt_images(tlsrpt, TLSRPT_TODAY, NULL, NOON, &images);
    struct span rest = buffer_span(&images);
    ck_assert(tlsrpt_image_next(&rest, &tally, NULL));
    ck_assert_uint_eq(all_sessions(tally.counts, &details), 10 * TLSRPT_DETAILS_MAX);
    ck_assert_uint_eq(tally.counts->failures, 10 * TLSRPT_DETAILS_MAX);
    ck_assert_uint_eq(details, TLSRPT_DETAILS_MAX + 2);
    ck_assert_uint_eq(tlsrpt_uncounted(tlsrpt), 0);
    tlsrpt_tally_free(&tally);
    buffer_free(&images);
    end();
}
END_TEST

START_TEST(what_has_no_place_is_told)
{
    char name[32];
    begin();
    for (unsigned i = 0; i < TLSRPT_POLICIES_MAX + 3; i++) {
        struct tlsrpt_policy policy = tlsa;
        const char *line = name;
        snprintf(name, sizeof(name), "3 1 1 %02X", i);
        policy.strings = &line;
        count("a.test", &policy, TLSRPT_SUCCESS, "", NOON);
    }
    ck_assert_uint_eq(tlsrpt_uncounted(tlsrpt), 3);
    for (unsigned i = 0; i < TLSRPT_TALLIES_MAX + 5; i++) {
        snprintf(name, sizeof(name), "b%u.test", i);
        count(name, &no_policy, TLSRPT_SUCCESS, "", NOON);
    }
    ck_assert_uint_eq(tlsrpt_uncounted(tlsrpt), 3 + 6);
    count("b3.test", &no_policy, TLSRPT_SUCCESS, "", NOON); /* it has a place */
    ck_assert_uint_eq(tlsrpt_uncounted(tlsrpt), 9);
    end();
}
END_TEST

/* A day of domains that publish as much as they may does not take more than its share. */
START_TEST(memory_is_bounded)
{
    static char text[TLSRPT_TEXT_MAX];
    const char *lines[TLSRPT_STRINGS_MAX];
    struct tlsrpt_policy policy = {TLSRPT_POLICY_STS, "a.test", lines, NULL, countof(lines), 0};
    char name[32];
    begin();
    memset(text, 'x', sizeof(text) - 1);
    for (size_t i = 0; i < countof(lines); i++)
        lines[i] = text;
    unsigned fit = TLSRPT_BYTES_MAX / (TLSRPT_TEXT_MAX * TLSRPT_STRINGS_MAX) + 2;
    for (unsigned i = 0; i < 2 * fit; i++) {
        snprintf(name, sizeof(name), "b%u.test", i);
        count(name, &policy, TLSRPT_SUCCESS, "", NOON);
    }
    ck_assert_uint_ge(tlsrpt_uncounted(tlsrpt), fit);
    count("b0.test", &policy, TLSRPT_SUCCESS, "", NOON);
    count("b0.test", &policy, TLSRPT_TLSA_INVALID, "why", NOON);
    struct buffer images = {0};
    struct tlsrpt_tally tally;
    tlsrpt_images(tlsrpt, TLSRPT_TODAY, "b0.test", NOON, &images);
    struct span rest = buffer_span(&images);
    ck_assert(tlsrpt_image_next(&rest, &tally, NULL));
    ck_assert_uint_eq(tally.counts->successes, 2);
    ck_assert_str_eq(tally.counts->details->reason, ""); /* counted, without particulars */
    tlsrpt_tally_free(&tally);
    buffer_free(&images);
    end();
}
END_TEST

START_TEST(changes_are_told_once)
{
    begin();
    count("a.test", &no_policy, TLSRPT_SUCCESS, "", NOON);
    count("b.test", &no_policy, TLSRPT_SUCCESS, "", NOON);
    assert_images(TLSRPT_CHANGED, NULL, NOON,
                  "0 a.test: no-policy-found a.test 0/0 +1 -0\n"
                  "0 b.test: no-policy-found a.test 0/0 +1 -0\n");
    assert_images(TLSRPT_CHANGED, NULL, NOON, "");
    tlsrpt_not_written(tlsrpt, TODAY, "a.test"); /* the disk was full: it is tried again */
    assert_images(TLSRPT_CHANGED, NULL, NOON, "0 a.test: no-policy-found a.test 0/0 +1 -0\n");
    count("b.test", &no_policy, TLSRPT_SUCCESS, "", NOON);
    assert_images(TLSRPT_CHANGED, NULL, NOON, "0 b.test: no-policy-found a.test 0/0 +2 -0\n");
    end();
}
END_TEST

START_TEST(many_changes_are_told_in_parts)
{
    char name[32];
    unsigned parts = 0, tallies = 0;
    bool more = true;
    begin();
    for (unsigned i = 0; i < TLSRPT_TALLIES_MAX; i++) {
        snprintf(name, sizeof(name), "b%u.test", i);
        count(name, &sts, TLSRPT_VALIDATION_FAILURE, "why", NOON);
    }
    for (; more; parts++) {
        struct buffer images CLEANUP(buffer_free) = {0};
        struct tlsrpt_tally tally;
        more = tlsrpt_images(tlsrpt, TLSRPT_CHANGED, NULL, NOON, &images);
        ck_assert_uint_lt(buffer_length(&images), 2 * TLSRPT_IMAGES_MAX);
        for (struct span rest = buffer_span(&images); tlsrpt_image_next(&rest, &tally, NULL);
             tallies++)
            tlsrpt_tally_free(&tally);
    }
    ck_assert_uint_eq(tallies, TLSRPT_TALLIES_MAX);
    ck_assert_uint_gt(parts, 1);
    end();
}
END_TEST

START_TEST(counts_are_restored)
{
    struct buffer images = {0};
    struct span image;
    struct tlsrpt_tally tally;
    begin();
    count("a.test", &sts, TLSRPT_SUCCESS, "", NOON);
    count("a.test", &tlsa, TLSRPT_DNSSEC_INVALID, "bogus", NOON);
    tlsrpt_images(tlsrpt, TLSRPT_CHANGED, NULL, NOON, &images);
    struct span rest = buffer_span(&images);
    ck_assert(tlsrpt_image_next(&rest, &tally, &image));
    tlsrpt_tally_free(&tally);
    end();
    begin();
    ck_assert(tlsrpt_restore(tlsrpt, image));
    ck_assert(!tlsrpt_restore(tlsrpt, image)); /* it is there */
    count("a.test", &sts, TLSRPT_SUCCESS, "", NOON);
    count("a.test", &tlsa, TLSRPT_DNSSEC_INVALID, "bogus", NOON);
    assert_images(TLSRPT_TODAY, NULL, NOON,
                  "0 a.test: sts a.test 4/1 +2 -0 tlsa mx.a.test 1/0 +0 -2"
                  " [dnssec-invalid 192.0.2.1 mx.a.test mx1 2001:db8::25 'bogus' 2]\n");
    end();
    buffer_free(&images);
}
END_TEST

/* Whatever bytes: read as a tally, or refused; each cut is refused. */
START_TEST(damaged_images_are_refused)
{
    struct buffer images = {0};
    struct tlsrpt_tally tally;
    begin();
    count("a.test", &sts, TLSRPT_CERTIFICATE_EXPIRED, "why", NOON);
    tlsrpt_images(tlsrpt, TLSRPT_CHANGED, NULL, NOON, &images);
    struct span whole = buffer_span(&images);
    end();
    begin();
    for (size_t i = 0; i < whole.length; i++)
        ck_assert(!tlsrpt_restore(tlsrpt, (struct span){whole.data, i}));
    for (size_t i = 0; i < whole.length; i++)
        for (int value = 0; value < 256; value++) {
            char *damaged = span_copy(whole);
            damaged[i] = (char)value;
            struct span rest = {damaged, whole.length};
            if (tlsrpt_image_next(&rest, &tally, NULL))
                tlsrpt_tally_free(&tally);
            free(damaged);
        }
    ck_assert(tlsrpt_restore(tlsrpt, whole));
    end();
    buffer_free(&images);
}
END_TEST

/* RFC 8460 4.1: 00:00 to 24:00 UTC, and some hours later, spread over the domains. */
START_TEST(rfc8460_4_1_when_a_report_is_due)
{
    char name[32];
    unsigned quarters[4] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "b%u.test", i);
        int64_t delay = tlsrpt_due_ms(TODAY, name) - (TODAY + 1) * DAY;
        ck_assert(delay >= 60000 && delay < TLSRPT_DELAY_MAX_MS);
        ck_assert(delay + (TODAY + 1) * DAY == tlsrpt_due_ms(TODAY, name));
        quarters[delay / (TLSRPT_DELAY_MAX_MS / 4)]++;
    }
    for (unsigned i = 0; i < 4; i++)
        ck_assert_uint_gt(quarters[i], 200);
    ck_assert(tlsrpt_due_ms(TODAY, "a.test") % DAY != tlsrpt_due_ms(TODAY + 1, "a.test") % DAY);
}
END_TEST

static void assert_due(int64_t wall_ms, const char *wanted)
{
    struct buffer image CLEANUP(buffer_free) = {0};
    ck_assert(tlsrpt_next_due(tlsrpt, wall_ms, &image) == (wanted != NULL));
    if (wanted != NULL)
        ck_assert_str_eq(print_images(buffer_span(&image)), wanted);
}

START_TEST(a_day_is_reported_when_it_is_over)
{
    int64_t due = tlsrpt_due_ms(TODAY, "a.test");
    begin();
    count("a.test", &no_policy, TLSRPT_SUCCESS, "", TODAY * DAY);
    count("a.test", &no_policy, TLSRPT_SUCCESS, "", (TODAY + 1) * DAY - 1);
    count("a.test", &no_policy, TLSRPT_SUCCESS, "", (TODAY + 1) * DAY);
    assert_due(NOON, NULL);
    assert_due((TODAY + 1) * DAY, NULL);
    assert_due(due - 1, NULL);
    assert_due(due, "0 a.test: no-policy-found a.test 0/0 +2 -0\n");
    tlsrpt_postpone(tlsrpt, TODAY, "a.test", 1, due + 1000);
    assert_due(due, NULL);
    assert_due(due + 1000, "0 a.test: no-policy-found a.test 0/0 +2 -0\n");
    tlsrpt_remove(tlsrpt, TODAY, "a.test");
    assert_due(due + 1000, NULL);
    assert_images(TLSRPT_CHANGED, NULL, NOON, "1 a.test: no-policy-found a.test 0/0 +1 -0\n");
    tlsrpt_remove(tlsrpt, TODAY, "a.test"); /* no matter */
    end();
}
END_TEST

START_TEST(what_has_its_report_is_kept)
{
    struct buffer images = {0};
    struct tlsrpt_tally tally;
    begin();
    count("a.test", &no_policy, TLSRPT_SUCCESS, "", NOON);
    assert_images(TLSRPT_CHANGED, NULL, NOON, "0 a.test: no-policy-found a.test 0/0 +1 -0\n");
    tlsrpt_postpone(tlsrpt, TODAY, "a.test", 0, NOON);
    assert_images(TLSRPT_CHANGED, NULL, NOON, "");
    tlsrpt_postpone(tlsrpt, TODAY, "a.test", 5, NOON);
    tlsrpt_images(tlsrpt, TLSRPT_CHANGED, NULL, NOON, &images);
    struct span rest = buffer_span(&images);
    ck_assert(tlsrpt_image_next(&rest, &tally, NULL));
    ck_assert_uint_eq(tally.sent, 5);
    tlsrpt_tally_free(&tally);
    buffer_free(&images);
    end();
}
END_TEST

#define COUNTERS 4
#define EACH 2000

static void *count_many(void *nothing)
{
    (void)nothing;
    for (unsigned i = 0; i < EACH; i++)
        count("a.test", i % 2 ? &sts : &tlsa, i % 4 ? TLSRPT_SUCCESS : TLSRPT_TLSA_INVALID, "why",
              NOON);
    return NULL;
}

START_TEST(several_threads_count)
{
    pthread_t threads[COUNTERS];
    begin();
    for (unsigned i = 0; i < COUNTERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    for (unsigned i = 0; i < COUNTERS; i++)
        pthread_join(threads[i], NULL);
    struct buffer images = {0};
    struct tlsrpt_tally tally;
    tlsrpt_images(tlsrpt, TLSRPT_TODAY, NULL, NOON, &images);
    struct span rest = buffer_span(&images);
    ck_assert(tlsrpt_image_next(&rest, &tally, NULL));
    uint64_t sum = 0;
    for (const struct tlsrpt_count *at = tally.counts; at != NULL; at = at->next)
        sum += at->successes + at->failures;
    ck_assert_uint_eq(sum, COUNTERS * EACH);
    tlsrpt_tally_free(&tally);
    buffer_free(&images);
    end();
}
END_TEST

TEST_MAIN("tlspolicy/tlsrpt", rfc8460_4_sessions_are_counted, rfc8460_4_3_result_types,
          what_peers_say_is_printable_and_bounded, what_does_not_fit_is_summed_by_type,
          what_has_no_place_is_told, memory_is_bounded, changes_are_told_once,
          many_changes_are_told_in_parts, counts_are_restored, damaged_images_are_refused,
          rfc8460_4_1_when_a_report_is_due, a_day_is_reported_when_it_is_over,
          what_has_its_report_is_kept, several_threads_count)
