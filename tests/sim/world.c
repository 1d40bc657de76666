#include "tests/sim/world.h"

#include "tests/sim/ledger.h"

#define FORWARD_MS 3600000
#define BACK_MS 600000

bool sim_talks;

static struct heap actions;
static int64_t now_us = 1000000;
static struct random_state chance;

int64_t sim_now_us(void)
{
    return now_us;
}

void sim_set_clock(int64_t us)
{
    must(us >= now_us);
    now_us = us;
}

/* ---- the wall ---- */

/* Libraries ask as early as they are loaded. */
int64_t sim_wall_ms(void)
{
    return SIM_BEGAN_MS + now_us / 1000 + (ledger != NULL ? ledger->skew_ms : 0);
}

void sim_jump(void)
{
    bool back = sim_chance(500);
    int64_t ms = 1 + (int64_t)sim_below(back ? BACK_MS : FORWARD_MS);
    sim_count(back ? FAULT_CLOCK_BACK : FAULT_CLOCK_FORWARD);
    ledger->skew_ms += back ? -ms : ms;
    if (back)
        ledger->back_us += ms * 1000;
}

/* FNV-1a, and the time. */
void sim_trace(struct span bytes)
{
    uint64_t hash = ledger->trace ^ (uint64_t)now_us;
    for (size_t i = 0; i < bytes.length; i++)
        hash = (hash ^ (unsigned char)bytes.data[i]) * 0x100000001b3u;
    ledger->trace = hash * 0x100000001b3u + bytes.length;
}

/* ---- actions ---- */

void sim_after(struct action *action, int64_t us)
{
    heap_set(&actions, &action->node, now_us + us);
}

void sim_cancel(struct action *action)
{
    heap_remove(&actions, &action->node);
}

int64_t sim_next_us(void)
{
    int64_t at;
    return heap_top(&actions, &at) != NULL ? at : INT64_MAX;
}

bool sim_act(void)
{
    int64_t at;
    struct heap_node *node = heap_top(&actions, &at);
    if (node == NULL || at > now_us)
        return false;
    struct action *action = container_of(node, struct action, node);
    heap_remove(&actions, node);
    action->act(action);
    return true;
}

void sim_seed(uint64_t seed)
{
    chance.state = seed;
}

uint64_t sim_below(uint64_t bound)
{
    return random_below(&chance, bound);
}

bool sim_chance(unsigned per_thousand)
{
    return sim_below(1000) < per_thousand;
}
