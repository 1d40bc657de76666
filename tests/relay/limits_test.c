/* The limits that a hostile peer meets are those that docs/CONFORMANCE.md promises: what keeps them
 * is tested with the code that does, by their names. */
#include "relay/dns_message.h"
#include "relay/inbound/session.h"
#include "relay/outbound/race.h"
#include "relay/resolve.h"
#include "relay/smtp/reply.h"
#include "tests/suite.h"
#include "tlspolicy/tickets.h"

START_TEST(limits_of_ours)
{
    static const struct {
        const char *of;
        uint64_t is, promised;
    } limits[] = {
        {"bytes of a reply's line", REPLY_LINE_MAX, 2048},
        {"lines of a reply", REPLY_LINES_MAX, 128},
        {"bytes of a reply", REPLY_BYTES_MAX, 65536},
        {"ms to connect", RACE_TIMEOUT_MS, 30000},
        {"mail hosts", RESOLVE_HOSTS_MAX, 20},
        {"addresses of a family", RESOLVE_ADDRESSES_MAX, 10},
        {"records of an answer of DNS", DNS_RECORDS_MAX, 100},
        {"aliases one after the other", DNS_ALIASES_MAX, 10},
        {"tickets of a connection", TICKETS_PER_CONNECTION, 4},
        {"Received fields", RECEIVED_MAX, 100},
    };
    for (size_t i = 0; i < countof(limits); i++)
        ck_assert_msg(limits[i].is == limits[i].promised, "%s", limits[i].of);
}
END_TEST

TEST_MAIN("relay/limits", limits_of_ours)
