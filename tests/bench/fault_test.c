#include "bench/fault.h"

#include "tests/suite.h"

#include <stdio.h>
#include <string.h>

START_TEST(good_faults)
{
    static const struct {
        const char *text;
        struct fault fault;
        const char *name;
    } rows[] = {
        {"rcpt:450:0.1", {FAULT_RCPT, FAULT_REPLY, 450, 0.1}, "rcpt:450"},
        {"rcpt:450:10%", {FAULT_RCPT, FAULT_REPLY, 450, 0.1}, "rcpt:450"},
        {"connect:drop:1", {FAULT_CONNECT, FAULT_DROP, 0, 1}, "connect:drop"},
        {"connect:554:1.0", {FAULT_CONNECT, FAULT_REPLY, 554, 1}, "connect:554"},
        {"greeting:stall:0", {FAULT_GREETING, FAULT_STALL, 0, 0}, "greeting:stall"},
        {"ehlo:502:100%", {FAULT_EHLO, FAULT_REPLY, 502, 1}, "ehlo:502"},
        {"starttls:residue:.5", {FAULT_STARTTLS, FAULT_RESIDUE, 0, 0.5}, "starttls:residue"},
        {"starttls:454:0.25", {FAULT_STARTTLS, FAULT_REPLY, 454, 0.25}, "starttls:454"},
        {"handshake:no-ticket:1", {FAULT_HANDSHAKE, FAULT_NO_TICKET, 0, 1}, "handshake:no-ticket"},
        {"handshake:garbage:12.5%",
         {FAULT_HANDSHAKE, FAULT_GARBAGE, 0, 0.125},
         "handshake:garbage"},
        {"auth:535:1", {FAULT_AUTH, FAULT_REPLY, 535, 1}, "auth:535"},
        {"mail:421:1", {FAULT_MAIL, FAULT_REPLY, 421, 1}, "mail:421"},
        {"data:451:1", {FAULT_DATA, FAULT_REPLY, 451, 1}, "data:451"},
        {"bdat:552:1", {FAULT_BDAT, FAULT_REPLY, 552, 1}, "bdat:552"},
        {"eod:552:1", {FAULT_EOD, FAULT_REPLY, 552, 1}, "eod:552"},
        {"quit:drop:1", {FAULT_QUIT, FAULT_DROP, 0, 1}, "quit:drop"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct fault fault;
        char why[FAULT_WHY_MAX] = "", name[FAULT_NAME_MAX];
        ck_assert_msg(fault_parse(span_of(rows[i].text), &fault, why), "%s: %s", rows[i].text, why);
        ck_assert_int_eq(fault.where, rows[i].fault.where);
        ck_assert_int_eq(fault.what, rows[i].fault.what);
        ck_assert_uint_eq(fault.code, rows[i].fault.code);
        ck_assert_double_eq_tol(fault.share, rows[i].fault.share, 1e-9);
        ck_assert_str_eq(fault_name(&fault, name), rows[i].name);
    }
}
END_TEST

START_TEST(bad_faults)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "no place ''"},
        {"rcpt", "no fault ''"},
        {"rcpt:450", "no share ''"},
        {"rcpt:450:", "no share ''"},
        {"rctp:450:1", "no place 'rctp'"},
        {"RCPT:450:1", "no place 'RCPT'"},
        {"rcpt:45:1", "no fault '45'"},
        {"rcpt:0450:1", "no fault '0450'"},
        {"rcpt:199:1", "no fault '199'"},
        {"rcpt:600:1", "no fault '600'"},
        {"rcpt:a reply code:1", "no fault 'a reply code'"},
        {"rcpt:450:1.1", "no share '1.1'"},
        {"rcpt:450:101%", "no share '101'"},
        {"rcpt:450:-1", "no share '-1'"},
        {"rcpt:450:nan", "no share 'nan'"},
        {"rcpt:450:1e-1", "no share '1e-1'"},
        {"rcpt:450:0.1:2", "no share '0.1:2'"},
        {"rcpt:450:%", "no share ''"},
        {"rcpt:450:.", "no share '.'"},
        {"rcpt:450:0.11111111111111111111111111111111111", "no share '0.1"},
        {"rcpt:no-ticket:1", "rcpt:no-ticket cannot happen"},
        {"handshake:450:1", "handshake:450 cannot happen"},
        {"handshake:residue:1", "handshake:residue cannot happen"},
        {"connect:residue:1", "connect:residue cannot happen"},
        {"eod:250:1", "eod:250 cannot happen"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct fault fault;
        char why[FAULT_WHY_MAX] = "";
        ck_assert_msg(!fault_parse(span_of(rows[i].text), &fault, why), "%s", rows[i].text);
        ck_assert_msg(strncmp(why, rows[i].why, strlen(rows[i].why)) == 0, "%s: %s", rows[i].text,
                      why);
    }
}
END_TEST

START_TEST(shares_at_one_place_pass_no_whole)
{
    struct faults faults = {0};
    char why[FAULT_WHY_MAX];
    for (int code = 450; code < 460; code++) { /* ten tenths, which are not exactly 1 */
        char text[32];
        snprintf(text, sizeof(text), "rcpt:%d:0.1", code);
        ck_assert(faults_add(&faults, span_of(text), why));
    }
    ck_assert(!faults_add(&faults, SPAN("rcpt:drop:0.1"), why));
    ck_assert_str_eq(why, "the shares at rcpt pass 1");
    ck_assert(faults_add(&faults, SPAN("mail:drop:0.1"), why));
    ck_assert(!faults_add(&faults, SPAN("mail:drop:0.2"), why));
    ck_assert_str_eq(why, "mail:drop is there already");
    ck_assert_uint_eq(faults.count, 11);
}
END_TEST

START_TEST(faults_are_bounded)
{
    struct faults faults = {0};
    char why[FAULT_WHY_MAX], text[32];
    for (int i = 0; i < FAULTS_MAX; i++) {
        snprintf(text, sizeof(text), "rcpt:%d:0.01", 400 + i);
        ck_assert(faults_add(&faults, span_of(text), why));
    }
    ck_assert(!faults_add(&faults, SPAN("mail:450:0.01"), why));
    ck_assert_uint_eq(faults.count, FAULTS_MAX);
}
END_TEST

START_TEST(delays)
{
    struct faults faults = {0};
    char why[FAULT_WHY_MAX];
    ck_assert(faults_add_delay(&faults, SPAN("eod:250"), why));
    ck_assert_uint_eq(faults.delay_ms[FAULT_EOD], 250);
    ck_assert_uint_eq(faults.delay_ms[FAULT_NOWHERE], 0);
    ck_assert(!faults_add_delay(&faults, SPAN("eod"), why));
    ck_assert(!faults_add_delay(&faults, SPAN("eod:1s"), why));
    ck_assert(!faults_add_delay(&faults, SPAN("eod:3600001"), why));
    ck_assert(!faults_add_delay(&faults, SPAN("nowhere:1"), why));
    ck_assert_uint_eq(faults.delay_ms[FAULT_EOD], 250);
}
END_TEST

#define DRAWS 100000

/* The seed is fixed: the counts are the same in each run. */
START_TEST(draws_by_share)
{
    struct faults faults = {0};
    struct random_state random = {1};
    char why[FAULT_WHY_MAX];
    unsigned counts[3] = {0}, none = 0;
    ck_assert(faults_add(&faults, SPAN("rcpt:450:10%"), why));
    ck_assert(faults_add(&faults, SPAN("mail:550:1"), why));
    ck_assert(faults_add(&faults, SPAN("rcpt:drop:30%"), why));
    for (int i = 0; i < DRAWS; i++) {
        int row = faults_draw(&faults, FAULT_RCPT, &random);
        ck_assert_int_lt(row, 3);
        if (row < 0)
            none++;
        else
            counts[row]++;
    }
    ck_assert_uint_eq(counts[1], 0);
    ck_assert_double_eq_tol(counts[0], 0.1 * DRAWS, 0.01 * DRAWS);
    ck_assert_double_eq_tol(counts[2], 0.3 * DRAWS, 0.01 * DRAWS);
    ck_assert_uint_eq(none, DRAWS - counts[0] - counts[2]);
}
END_TEST

START_TEST(all_and_nothing)
{
    struct faults faults = {0};
    struct random_state random = {2};
    char why[FAULT_WHY_MAX];
    ck_assert_int_eq(faults_draw(&faults, FAULT_MAIL, &random), -1);
    ck_assert(faults_add(&faults, SPAN("mail:550:1"), why));
    ck_assert(faults_add(&faults, SPAN("rcpt:550:0"), why));
    for (int i = 0; i < 1000; i++) {
        ck_assert_int_eq(faults_draw(&faults, FAULT_MAIL, &random), 0);
        ck_assert_int_eq(faults_draw(&faults, FAULT_RCPT, &random), -1);
        ck_assert_int_eq(faults_draw(&faults, FAULT_NOWHERE, &random), -1);
    }
}
END_TEST

TEST_MAIN("bench/fault", good_faults, bad_faults, shares_at_one_place_pass_no_whole,
          faults_are_bounded, delays, draws_by_share, all_and_nothing)
