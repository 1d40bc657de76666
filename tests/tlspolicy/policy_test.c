#include "tlspolicy/policy.h"

#include "tests/suite.h"

/* The outcome table of STARTTLS, each cell of it. A history or an on-454 that a cell does not
 * depend on stands as `any` and is tried in full. */

#define ANY (-1)
#define PLAIN_AFTER 3

struct cell {
    enum tls_level level;
    enum tls_outcome outcome;
    int on_454;    /* or ANY */
    int temporary; /* 454s before, or ANY */
    enum tls_step step;
};

/* "encrypt and above": no level differs in what leads on. */
#define STRICT(level, of_untrusted)                                                                \
    {level, TLS_NOT_OFFERED, ANY, ANY, TLS_NEXT_HOST},                                             \
        {level, TLS_WITHDRAWN, ANY, ANY, TLS_NEXT_HOST},                                           \
        {level, TLS_TEMPORARY, ANY, ANY, TLS_NEXT_HOST},                                           \
        {level, TLS_REFUSED, ANY, ANY, TLS_NEXT_HOST},                                             \
        {level, TLS_ALERT, ANY, ANY, TLS_NEXT_HOST},                                               \
        {level, TLS_HANDSHAKE_FAILED, ANY, ANY, TLS_NEXT_HOST},                                    \
        {level, TLS_STALLED, ANY, ANY, TLS_NEXT_HOST},                                             \
        {level, TLS_RESIDUE, ANY, ANY, TLS_NEXT_HOST},                                             \
        {level, TLS_TICKET_REFUSED, ANY, ANY, TLS_GO_ANEW},                                        \
        {level, TLS_UNTRUSTED, ANY, ANY, of_untrusted},                                            \
    {                                                                                              \
        level, TLS_ESTABLISHED, ANY, ANY, TLS_GO_ENCRYPTED                                         \
    }

static const struct cell cells[] = {
    {TLS_NONE, TLS_NOT_OFFERED, ANY, ANY, TLS_GO_PLAIN},
    {TLS_NONE, TLS_WITHDRAWN, ANY, ANY, TLS_GO_PLAIN},
    {TLS_NONE, TLS_TEMPORARY, ANY, ANY, TLS_GO_PLAIN},
    {TLS_NONE, TLS_REFUSED, ANY, ANY, TLS_GO_PLAIN},
    {TLS_NONE, TLS_ALERT, ANY, ANY, TLS_GO_PLAIN_ANEW},
    {TLS_NONE, TLS_HANDSHAKE_FAILED, ANY, ANY, TLS_GO_PLAIN_ANEW},
    {TLS_NONE, TLS_STALLED, ANY, ANY, TLS_GO_PLAIN_ANEW},
    {TLS_NONE, TLS_RESIDUE, ANY, ANY, TLS_GO_PLAIN_ANEW},
    {TLS_NONE, TLS_TICKET_REFUSED, ANY, ANY, TLS_GO_ANEW},
    {TLS_NONE, TLS_UNTRUSTED, ANY, ANY, TLS_GO_ENCRYPTED},
    {TLS_NONE, TLS_ESTABLISHED, ANY, ANY, TLS_GO_ENCRYPTED},

    {TLS_MAY, TLS_NOT_OFFERED, ANY, ANY, TLS_GO_PLAIN},
    {TLS_MAY, TLS_WITHDRAWN, ANY, ANY, TLS_GO_PLAIN},
    {TLS_MAY, TLS_TEMPORARY, ON_454_RETRY, 0, TLS_RETRY_LATER},
    {TLS_MAY, TLS_TEMPORARY, ON_454_RETRY, 1, TLS_RETRY_LATER},
    {TLS_MAY, TLS_TEMPORARY, ON_454_RETRY, PLAIN_AFTER - 1, TLS_RETRY_LATER},
    {TLS_MAY, TLS_TEMPORARY, ON_454_RETRY, PLAIN_AFTER, TLS_GO_PLAIN},
    {TLS_MAY, TLS_TEMPORARY, ON_454_RETRY, PLAIN_AFTER + 1, TLS_GO_PLAIN},
    {TLS_MAY, TLS_TEMPORARY, ON_454_PLAIN, ANY, TLS_GO_PLAIN},
    {TLS_MAY, TLS_TEMPORARY, ON_454_NEXT_HOST, ANY, TLS_NEXT_HOST},
    {TLS_MAY, TLS_REFUSED, ANY, ANY, TLS_GO_PLAIN},
    {TLS_MAY, TLS_ALERT, ANY, ANY, TLS_GO_PLAIN_ANEW},
    {TLS_MAY, TLS_HANDSHAKE_FAILED, ANY, ANY, TLS_GO_PLAIN_ANEW},
    {TLS_MAY, TLS_STALLED, ANY, ANY, TLS_GO_PLAIN_ANEW},
    {TLS_MAY, TLS_RESIDUE, ANY, ANY, TLS_GO_PLAIN_ANEW},
    {TLS_MAY, TLS_TICKET_REFUSED, ANY, ANY, TLS_GO_ANEW},
    {TLS_MAY, TLS_UNTRUSTED, ANY, ANY, TLS_GO_ENCRYPTED},
    {TLS_MAY, TLS_ESTABLISHED, ANY, ANY, TLS_GO_ENCRYPTED},

    STRICT(TLS_ENCRYPT, TLS_GO_ENCRYPTED),
    STRICT(TLS_DANE, TLS_NEXT_HOST),
    STRICT(TLS_DANE_ONLY, TLS_NEXT_HOST),
    STRICT(TLS_FINGERPRINT, TLS_NEXT_HOST),
    STRICT(TLS_VERIFY, TLS_NEXT_HOST),
    STRICT(TLS_SECURE, TLS_NEXT_HOST),
};

/* One point of all that a step can depend on. */
struct point {
    struct tls_policy policy;
    enum tls_outcome outcome;
    struct tls_history history;
};

#define TEMPORARIES 6u
#define POINTS ((size_t)TLS_LEVELS * TLS_OUTCOMES * 3 * TEMPORARIES * 2)

static struct point point_of(size_t number)
{
    struct point point = {.policy.plain_after = PLAIN_AFTER};
    point.policy.level = number % TLS_LEVELS;
    number /= TLS_LEVELS;
    point.outcome = number % TLS_OUTCOMES;
    number /= TLS_OUTCOMES;
    point.policy.on_454 = number % 3;
    number /= 3;
    point.history.temporary = (unsigned)(number % TEMPORARIES);
    point.history.failed_lately = number / TEMPORARIES != 0;
    return point;
}

static bool covers(const struct cell *cell, const struct point *point)
{
    return cell->level == point->policy.level && cell->outcome == point->outcome &&
           (cell->on_454 == ANY || cell->on_454 == (int)point->policy.on_454) &&
           (cell->temporary == ANY || cell->temporary == (int)point->history.temporary);
}

START_TEST(every_cell)
{
    bool seen[countof(cells)] = {false};
    for (size_t number = 0; number < POINTS; number++) {
        struct point point = point_of(number);
        enum tls_step step = tls_policy_step(&point.policy, point.outcome, &point.history);
        for (size_t i = 0; i < countof(cells); i++) {
            if (!covers(&cells[i], &point))
                continue;
            seen[i] = true;
            ck_assert_msg(step == cells[i].step, "%s, %s, on-454 %d after %u: step %d",
                          tls_level_name(point.policy.level), tls_outcome_name(point.outcome),
                          (int)point.policy.on_454, point.history.temporary, (int)step);
        }
    }
    for (size_t i = 0; i < countof(cells); i++)
        ck_assert_msg(seen[i], "cell %zu was not tried", i);
}
END_TEST

/* No pair of level and outcome without a cell. */
START_TEST(the_table_is_whole)
{
    bool there[TLS_LEVELS][TLS_OUTCOMES] = {{false}};
    for (size_t i = 0; i < countof(cells); i++)
        there[cells[i].level][cells[i].outcome] = true;
    for (size_t level = 0; level < TLS_LEVELS; level++)
        for (size_t outcome = 0; outcome < TLS_OUTCOMES; outcome++)
            ck_assert_msg(there[level][outcome], "level %zu, outcome %zu", level, outcome);
}
END_TEST

START_TEST(nothing_goes_plain_above_may)
{
    for (size_t number = 0; number < POINTS; number++) {
        struct point point = point_of(number);
        enum tls_step step = tls_policy_step(&point.policy, point.outcome, &point.history);
        bool plain = step == TLS_GO_PLAIN || step == TLS_GO_PLAIN_ANEW;
        ck_assert(!plain || point.policy.level <= TLS_MAY);
    }
}
END_TEST

START_TEST(who_must_be_trusted_is)
{
    for (size_t number = 0; number < POINTS; number++) {
        struct point point = point_of(number);
        enum tls_step step = tls_policy_step(&point.policy, point.outcome, &point.history);
        if (point.outcome == TLS_UNTRUSTED && tls_level_authenticates(point.policy.level))
            ck_assert_int_eq(step, TLS_NEXT_HOST);
    }
}
END_TEST

/* After a handshake, or what was to be one, the socket is not what it was. */
START_TEST(a_spoilt_socket_is_never_used_in_clear)
{
    for (size_t number = 0; number < POINTS; number++) {
        struct point point = point_of(number);
        if (point.outcome < TLS_ALERT)
            continue;
        ck_assert_int_ne(tls_policy_step(&point.policy, point.outcome, &point.history),
                         TLS_GO_PLAIN);
    }
}
END_TEST

START_TEST(plain_after_nothing_is_plain_at_once)
{
    struct tls_policy policy = TLS_POLICY_DEFAULT;
    struct tls_history history = {0};
    ck_assert_int_eq(policy.level, TLS_MAY);
    ck_assert_int_eq(tls_policy_step(&policy, TLS_TEMPORARY, &history), TLS_RETRY_LATER);
    policy.plain_after = 0;
    ck_assert_int_eq(tls_policy_step(&policy, TLS_TEMPORARY, &history), TLS_GO_PLAIN);
}
END_TEST

START_TEST(whether_to_begin)
{
    static const struct {
        enum tls_level level;
        bool failed_lately, starts;
    } rows[] = {
        {TLS_NONE, false, false}, {TLS_NONE, true, false},     {TLS_MAY, false, true},
        {TLS_MAY, true, false},   {TLS_ENCRYPT, false, true},  {TLS_ENCRYPT, true, true},
        {TLS_DANE, true, true},   {TLS_DANE_ONLY, true, true}, {TLS_FINGERPRINT, true, true},
        {TLS_VERIFY, true, true}, {TLS_SECURE, true, true},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct tls_policy policy = {.level = rows[i].level};
        struct tls_history history = {.failed_lately = rows[i].failed_lately};
        ck_assert_msg(tls_policy_starts(&policy, &history) == rows[i].starts, "row %zu", i);
    }
}
END_TEST

START_TEST(words_and_details)
{
    static const struct {
        enum tls_outcome outcome;
        const char *word;
        unsigned detail;
    } rows[] = {
        {TLS_NOT_OFFERED, "not-offered", 4},
        {TLS_WITHDRAWN, "withdrawn", 4},
        {TLS_TEMPORARY, "temporary", 4},
        {TLS_REFUSED, "refused", 4},
        {TLS_ALERT, "alert", 5},
        {TLS_HANDSHAKE_FAILED, "handshake-failed", 5},
        {TLS_STALLED, "stalled", 5},
        {TLS_RESIDUE, "residue", 5},
        {TLS_TICKET_REFUSED, "ticket-refused", 5},
        {TLS_UNTRUSTED, "untrusted", 5},
        {TLS_ESTABLISHED, "established", 0},
    };
    _Static_assert(countof(rows) == TLS_OUTCOMES, "a row for each outcome");
    for (size_t i = 0; i < countof(rows); i++) {
        ck_assert_str_eq(tls_outcome_name(rows[i].outcome), rows[i].word);
        ck_assert_uint_eq(tls_outcome_detail(rows[i].outcome), rows[i].detail);
    }
    static const char *const levels[] = {"none",      "may",         "encrypt", "dane",
                                         "dane-only", "fingerprint", "verify",  "secure"};
    _Static_assert(countof(levels) == TLS_LEVELS, "a word for each level");
    for (unsigned i = 0; i < TLS_LEVELS; i++)
        ck_assert_str_eq(tls_level_name((enum tls_level)i), levels[i]);
}
END_TEST

TEST_MAIN("tlspolicy/policy", every_cell, the_table_is_whole, nothing_goes_plain_above_may,
          who_must_be_trusted_is, a_spoilt_socket_is_never_used_in_clear,
          plain_after_nothing_is_plain_at_once, whether_to_begin, words_and_details)
