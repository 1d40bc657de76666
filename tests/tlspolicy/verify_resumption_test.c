/* What was checked when a session was made holds for those that resume it, and no more. */
#include "tests/tlspolicy/checked.h"

#include <time.h>

static const char *const right_name = "mx.example.test";
static const char *const wrong_name = "mx.other.test";

static struct tls_wants want(enum tls_check check, const char *key)
{
    return (struct tls_wants){
        .sni = right_name,
        .ticket_key = span_of(key),
        .check = check,
        .names = &right_name,
        .name_count = 1,
        .trust = trust,
    };
}

static void assert_facts(bool resumed, bool verified, enum tls_fault fault)
{
    ck_assert_msg(facts().resumed == resumed, "resumed: %s", tls_why(ours));
    ck_assert_msg(facts().verified == verified, "verified: %s", tls_why(ours));
    ck_assert_msg(facts().fault == fault, "%s", tls_why(ours));
}

START_TEST(a_resumed_session_is_as_good_as_the_full_one)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        char key[2] = {(char)('a' + i), '\0'};
        char data[2048];
        struct fingerprint print;
        struct tlsa record = issued_tlsa(&leaves[GOOD], 3, 0, 1, data);
        memcpy(print.sha256, data, sizeof(print.sha256));
        serve_leaf(GOOD, most[i]);
        for (int check = TLS_CHECK_NOTHING; check <= TLS_CHECK_FINGERPRINTS; check++) {
            key[0] = (char)(key[0] + 2);
            struct tls_wants wants = want((enum tls_check)check, key);
            wants.records = &record;
            wants.tlsa_base = right_name;
            wants.fingerprints = &print;
            wants.record_count = wants.fingerprint_count = 1;
            for (int turn = 0; turn < 4; turn++) { /* a ticket that came with a resumed one, too */
                ck_assert_msg(talk(&wants), "%s", tls_why(ours));
                ck_assert_int_eq(facts().ticket_shown, turn > 0);
                assert_facts(turn > 0, check != TLS_CHECK_NOTHING, TLS_FAULT_NONE);
            }
        }
    }
}
END_TEST

/* tickets of one key are never meant to serve both; if ever they do, nothing is lost by it */
START_TEST(an_unchecked_session_is_no_proof)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        struct tls_wants lax = want(TLS_CHECK_NOTHING, "key");
        struct tls_wants strict = want(TLS_CHECK_NAMES, "key");
        tickets_purge(tickets, SPAN("key"));
        serve_leaf(OTHER, most[i]);
        ck_assert(talk(&lax));
        ck_assert(!talk(&strict));
        assert_facts(false, false, TLS_FAULT_NAME);
        ck_assert(!facts().ticket_shown);
        tickets_purge(tickets, SPAN("key"));
        lax = want(TLS_CHECK_NAMES, "key"); /* nor one whose check has failed */
        lax.check_only = true;
        ck_assert(talk(&lax));
        assert_facts(false, false, TLS_FAULT_NAME);
        ck_assert(!talk(&strict));
        assert_facts(false, false, TLS_FAULT_NAME);
        ck_assert(!facts().ticket_shown);
    }
}
END_TEST

START_TEST(what_did_not_hold_is_told_again)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        struct tls_wants wants = want(TLS_CHECK_NAMES, "key");
        wants.check_only = true;
        tickets_purge(tickets, SPAN("key"));
        serve_leaf(EXPIRED, most[i]);
        for (int turn = 0; turn < 3; turn++) {
            ck_assert(talk(&wants));
            assert_facts(turn > 0, false, TLS_FAULT_EXPIRED);
            assert_why();
        }
    }
}
END_TEST

START_TEST(no_session_is_kept_of_a_handshake_that_failed)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        struct tls_wants wants = want(TLS_CHECK_NAMES, "key");
        struct tickets_facts kept;
        wants.names = &wrong_name;
        serve_leaf(GOOD, most[i]);
        ck_assert(!talk(&wants));
        tickets_facts(tickets, &kept);
        ck_assert_uint_eq(kept.now, 0);
    }
}
END_TEST

/* The word in front of a stored session that says so, whatever else is in it. */
static struct ticket_taken take_ticket(uint32_t **verified)
{
    struct ticket_taken ticket;
    ck_assert(tickets_take(tickets, SPAN("key"), clock_ms(), &ticket));
    ck_assert(ticket.bytes != NULL && ticket.length > 100);
    *verified = (uint32_t *)(void *)(ticket.bytes + sizeof(uint32_t));
    return ticket;
}

START_TEST(a_stored_session_says_what_it_proves)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    for (size_t i = 0; i < countof(most); i++) {
        uint32_t *verified;
        struct tls_wants wants = want(TLS_CHECK_NOTHING, "key");
        serve_leaf(GOOD, most[i]);
        tickets_purge(tickets, SPAN("key"));
        ck_assert(talk(&wants));
        struct ticket_taken ticket = take_ticket(&verified);
        ck_assert_uint_eq(*verified, 0);
        ticket_taken_free(&ticket);
        wants = want(TLS_CHECK_NAMES, "key");
        tickets_purge(tickets, SPAN("key"));
        ck_assert(talk(&wants));
        ticket = take_ticket(&verified);
        ck_assert_uint_eq(*verified, 1);
        *verified = 0;
        tickets_purge(tickets, SPAN("key"));
        tickets_put(tickets, SPAN("key"), (struct span){ticket.bytes, ticket.length}, 60000,
                    clock_ms());
        ck_assert(talk(&wants)); /* a full handshake */
        assert_facts(false, true, TLS_FAULT_NONE);
        ck_assert(!facts().ticket_shown);
        ticket_taken_free(&ticket);
    }
}
END_TEST

static int64_t moved_ms;

static int64_t moved_clock_ms(void)
{
    return moved_ms;
}

/* A full handshake at `before_s` seconds before the certificate goes out of date, and whether one
 * is resumed so many seconds later. */
static bool resumes_later(const struct tls_wants *wants, int64_t before_s, int64_t later_s)
{
    struct tm date;
    ck_assert(ASN1_TIME_to_tm(X509_get0_notAfter(leaves[GOOD].certificate), &date));
    moved_ms = ((int64_t)timegm(&date) - before_s) * 1000;
    tickets_purge(tickets, SPAN("key"));
    ck_assert(talk(wants) && !facts().resumed);
    moved_ms += later_s * 1000;
    ck_assert(talk(wants));
    return facts().resumed;
}

START_TEST(a_ticket_outlives_no_certificate_that_was_checked)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    const struct tls_wants names = want(TLS_CHECK_NAMES, "key");
    const struct tls_wants nothing = want(TLS_CHECK_NOTHING, "key");
    tls_client_destroy(&client);
    client = tls_client_create(tickets, moved_clock_ms);
    for (size_t i = 0; i < countof(most); i++) {
        serve_leaf(GOOD, most[i]);
        ck_assert(resumes_later(&names, 3600, 3599));
        ck_assert(!resumes_later(&names, 3600, 3600));
        ck_assert(resumes_later(&nothing, 3600, 3600));
        ck_assert(!resumes_later(&names, -1, 0)); /* by our clock it is too late at once */
    }
}
END_TEST

/* Under DANE-TA(2) dates count (RFC 7672 3.1.2), under DANE-EE(3) they do not (3.1.1). */
START_TEST(a_ticket_outlives_no_certificate_under_a_trust_anchor)
{
    static const enum tls_version most[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};
    char data[2][2048];
    struct tlsa own = issued_tlsa(&leaves[GOOD], 3, 1, 1, data[0]);
    struct tlsa anchor = issued_tlsa(&intermediate, 2, 0, 1, data[1]);
    struct tls_wants wants = want(TLS_CHECK_DANE, "key");
    wants.tlsa_base = right_name;
    wants.record_count = 1;
    tls_client_destroy(&client);
    client = tls_client_create(tickets, moved_clock_ms);
    for (size_t i = 0; i < countof(most); i++) {
        serve_leaf(GOOD, most[i]);
        wants.records = &anchor;
        ck_assert(resumes_later(&wants, 3600, 3599));
        ck_assert(!resumes_later(&wants, 3600, 3600));
        wants.records = &own;
        ck_assert(resumes_later(&wants, 3600, 3600));
    }
}
END_TEST

CHECKED_MAIN("tlspolicy/verify_resumption", a_resumed_session_is_as_good_as_the_full_one,
             an_unchecked_session_is_no_proof, what_did_not_hold_is_told_again,
             no_session_is_kept_of_a_handshake_that_failed, a_stored_session_says_what_it_proves,
             a_ticket_outlives_no_certificate_that_was_checked,
             a_ticket_outlives_no_certificate_under_a_trust_anchor)
