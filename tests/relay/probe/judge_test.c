#include "relay/probe/probe_inside.h"

#include "tests/suite.h"

#include <string.h>
#include <sysexits.h>

#define VISITS 3

/* How a visit ended, as far as the verdict goes. */
enum ending {
    NONE,        /* no such host */
    UNREACHED,   /* no connection, or no EHLO */
    REFUSED,     /* by its terms */
    IN_CLEAR,    /* ready without TLS */
    SECURED,     /* ready inside it */
    TRUSTED,     /* and verified */
    PLAIN_ANEW,  /* TLS failed under `may` */
    RETRY_LATER, /* 454 under `may` */
    NEXT_HOST,   /* not secure enough */
};

static struct probe_visit visit_of(enum ending ending, const struct site_host *host)
{
    struct probe_visit visit = {.host = host, .failure.text = span_of("why")};
    visit.refused = ending == REFUSED;
    visit.ready = ending == IN_CLEAR || ending == SECURED || ending == TRUSTED;
    visit.decided = ending != UNREACHED && ending != REFUSED;
    visit.handshake = ending == SECURED || ending == TRUSTED;
    visit.facts = (struct tls_facts){.version = "TLSv1.3", .verified = ending == TRUSTED};
    visit.step = ending == PLAIN_ANEW    ? TLS_GO_PLAIN_ANEW
                 : ending == RETRY_LATER ? TLS_RETRY_LATER
                 : ending == NEXT_HOST   ? TLS_NEXT_HOST
                 : ending == IN_CLEAR    ? TLS_GO_PLAIN
                                         : TLS_GO_ENCRYPTED;
    return visit;
}

/* The hosts are met in turn, as a message would meet them. */
START_TEST(the_first_that_takes_it)
{
    static const struct {
        enum ending endings[VISITS];
        int code;
        unsigned taker; /* where the code is 0 */
        const char *way;
    } rows[] = {
        {{IN_CLEAR}, EX_OK, 0, "none:dane"},
        {{SECURED}, EX_OK, 0, "encrypt:dane:TLSv1.3"},
        {{TRUSTED}, EX_OK, 0, "verify:dane:TLSv1.3"},
        {{PLAIN_ANEW, TRUSTED}, EX_OK, 0, "none:dane"},
        {{UNREACHED, SECURED, IN_CLEAR}, EX_OK, 1, "encrypt:dane:TLSv1.3"},
        {{NEXT_HOST, REFUSED, TRUSTED}, EX_OK, 2, "verify:dane:TLSv1.3"},
        {{RETRY_LATER, SECURED}, EX_TEMPFAIL, 0, NULL},
        {{NEXT_HOST, UNREACHED}, EX_TEMPFAIL, 0, NULL},
        {{REFUSED}, EX_TEMPFAIL, 0, NULL},
        {{UNREACHED, UNREACHED, NEXT_HOST}, EX_TEMPFAIL, 0, NULL},
    };
    const struct site_host host = {.name = (char[]){"mx.test"}, .tls.source = TLS_FROM_DANE};
    for (size_t i = 0; i < countof(rows); i++) {
        static struct probe probe;
        char way[PROBE_WAY_MAX];
        probe = (struct probe){.found = true};
        while (probe.visit_count < VISITS && rows[i].endings[probe.visit_count] != NONE) {
            probe.visits[probe.visit_count] = visit_of(rows[i].endings[probe.visit_count], &host);
            probe.visit_count++;
        }
        probe_judge(&probe);
        ck_assert_msg(probe_exit_code(&probe) == rows[i].code, "row %zu: %d", i,
                      probe_exit_code(&probe));
        if (rows[i].code != EX_OK)
            ck_assert(span_equal(probe.verdict.text, SPAN("why")));
        else
            ck_assert_msg(probe.taker == rows[i].taker &&
                              strcmp(probe_way(&probe.visits[probe.taker], way), rows[i].way) == 0,
                          "row %zu: %u, %s", i, probe.taker, way);
    }
}
END_TEST

START_TEST(without_hosts_the_search_tells)
{
    static struct probe probe;
    probe = (struct probe){.search.verdict.kind = VERDICT_BOUNCED};
    probe_judge(&probe);
    ck_assert_int_eq(probe_exit_code(&probe), EX_NOHOST);
    probe = (struct probe){.search.verdict.kind = VERDICT_DEFERRED};
    probe_judge(&probe);
    ck_assert_int_eq(probe_exit_code(&probe), EX_TEMPFAIL);
}
END_TEST

TEST_MAIN("relay/probe/judge", the_first_that_takes_it, without_hosts_the_search_tells)
