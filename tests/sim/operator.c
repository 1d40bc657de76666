#include "tests/sim/operator.h"

#include "relay/os.h"
#include "relay/outbound/dispatch_operator.h"
#include "tests/sim/ledger.h"
#include "tests/sim/oracles.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"

#include <stdlib.h>

#define PAUSE_US 40000000

enum order { HOLD, RELEASE, RETRY, FAIL, DROP, ORDERS };

static struct dispatch *dispatch;
static struct spool *spool;
static struct action again;

static bool wants_any(const void *context, const char *destination, enum entry_state state)
{
    (void)context, (void)destination, (void)state;
    return true;
}

static void drop(const struct envelope_key *key)
{
    struct envelope *envelope = spool_read(spool, key->id, key->number);
    if (envelope == NULL)
        return;
    oracles_drop_asked(envelope);
    envelope_free(&envelope);
    dispatch_drop(dispatch, key->id, key->number, NULL);
}

static void give_order(const struct envelope_key *key)
{
    sim_count(FAULT_OPERATOR);
    switch ((enum order)sim_below(ORDERS)) {
    case HOLD: dispatch_hold(dispatch, key->id, key->number, "wait", NULL); break;
    case RELEASE: dispatch_release(dispatch, key->id, key->number, NULL); break;
    case RETRY: dispatch_retry(dispatch, key->id, key->number, os_wall()); break;
    case FAIL: dispatch_fail(dispatch, key->id, key->number, "not wanted", NULL); break;
    case DROP: drop(key); break;
    case ORDERS: must_not_reach();
    }
}

/* Once all is well everything is let go of. */
static void act(struct action *action)
{
    struct envelope_key *keys;
    size_t count = dispatch_find(dispatch, wants_any, NULL, &keys);
    for (unsigned i = 0; i < 4 && count > 0 && !servers_healed(); i++)
        give_order(&keys[sim_below(count)]);
    for (size_t i = 0; i < count && servers_healed(); i++)
        dispatch_release(dispatch, keys[i].id, keys[i].number, NULL);
    free(keys);
    sim_after(action, PAUSE_US / 2 + (int64_t)sim_below(PAUSE_US));
}

void operator_begin(struct dispatch *for_dispatch, struct spool *for_spool)
{
    dispatch = for_dispatch;
    spool = for_spool;
    again.act = act;
    if (scenario.operator_acts)
        sim_after(&again, (int64_t)sim_below(PAUSE_US));
}
