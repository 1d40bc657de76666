#include "relay/os.h"
#include "relay/outbound/dispatch_lock.h"
#include "tests/suite.h"

/* By its id, for as long as nobody has read the message; soon where that has times of its own. */
START_TEST(when_somebody_must_look)
{
    enum { HOUR = 3600000, DAY = 24 * HOUR };
    static const struct {
        int64_t age;
        bool warned, timed;
        int64_t look; /* from now */
    } table[] = {
        {0, false, false, 4 * HOUR},
        {HOUR, false, false, 3 * HOUR},
        {HOUR, true, false, 5 * DAY - HOUR},
        {5 * HOUR, false, false, 10000},
        {6 * DAY, true, false, 10000},
        {0, false, true, 15000},
        {0, true, true, 15000},
        {5 * HOUR, false, true, 10000},
    };
    struct buffer errors CLEANUP(buffer_free) = {0};
    struct config *config CLEANUP(config_drop) = config_read(NULL, &errors);
    struct dispatch_parts parts = {.config = config};
    struct dispatch *dispatch = dispatch_create(&parts);
    for (size_t i = 0; i < countof(table); i++) {
        int64_t now_ms = os_wall();
        struct entry_facts facts = {.id = (uint64_t)(now_ms - table[i].age) << 20,
                                    .warned = table[i].warned,
                                    .timed = table[i].timed};
        int64_t look = look_at_ms(dispatch, SPAN("example.test"), &facts) - now_ms;
        int64_t later = os_wall() - now_ms; /* its own clock went on meanwhile */
        ck_assert_msg(look >= table[i].look && look <= table[i].look + later, "row %zu: %lld", i,
                      (long long)look);
    }
    dispatch_destroy(&dispatch);
}
END_TEST

TEST_MAIN("relay/outbound/dispatch_time", when_somebody_must_look)
