#include "tests/sim/scenario.h"

#include "base/random.h"
#include "tests/sim/server.h"

struct scenario scenario;

void scenario_draw(uint64_t seed)
{
    static const unsigned shares[] = {1, 1, 3, 20};
    static const unsigned sessions[] = {0, 1, 3, 500};
    static const unsigned dns[] = {0, 30, 30, 150};
    struct random_state chance = {seed * 0x9e3779b97f4a7c15u + 7};
    scenario = (struct scenario){.domains = 20 + (unsigned)random_below(&chance, 1500)};
    if (random_below(&chance, 8) == 0)
        scenario.domains += 2000 + (unsigned)random_below(&chance, 4000);
    scenario.share = shares[random_below(&chance, 4)];
    scenario.hosts = (scenario.domains + scenario.share - 1) / scenario.share + 1;
    scenario.pairs = random_below(&chance, 2) == 0;
    scenario.per_site = 1 + (unsigned)random_below(&chance, 6);
    scenario.per_host = 1 + (unsigned)random_below(&chance, 6);
    scenario.per_session = sessions[random_below(&chance, 4)];
    scenario.per_client = random_below(&chance, 3) == 0 ? 6 : 200;
    scenario.queue = random_below(&chance, 4) == 0 ? 100 : 2000000;
    scenario.rate = random_below(&chance, 4) == 0 ? 3 : 0;
    scenario.dns_trouble = dns[random_below(&chance, 4)];
    scenario.no_descriptor = random_below(&chance, 3) == 0 ? 10 : 0;
    scenario.descriptors = random_below(&chance, 4) == 0 ? 24 : 1u << 16;
    scenario.disk_fails = random_below(&chance, 2) == 0;
    scenario.clock_jumps = random_below(&chance, 3) == 0;
    scenario.operator_acts = random_below(&chance, 2) == 0;
}

static unsigned group_of(unsigned domain)
{
    return domain / scenario.share;
}

static struct scenario_way way_of_group(unsigned group)
{
    struct scenario_way way = {1, {group, group + 1}};
    if (scenario.pairs && group % 3 == 0)
        way.count = 2;
    return way;
}

struct scenario_way scenario_way(unsigned domain)
{
    return way_of_group(group_of(domain));
}

/* Half of those that could. d0.test never: the notifications go where its mail goes. */
bool scenario_encrypts(unsigned domain)
{
    struct scenario_way way = scenario_way(domain);
    for (unsigned i = 0; i < way.count; i++)
        if (!server_plan(way.host[i])->tls)
            return false;
    return domain != 0 && domain % 2 == 1;
}

static bool group_encrypts(unsigned group)
{
    unsigned end = (group + 1) * scenario.share;
    for (unsigned i = group * scenario.share; i < end && i < scenario.domains; i++)
        if (!scenario_encrypts(i))
            return false;
    return true;
}

bool scenario_wants_tls(unsigned host)
{
    bool second = host > 0 && way_of_group(host - 1).count > 1;
    return group_encrypts(host) && (!second || group_encrypts(host - 1));
}

/* Each domain with a `tls` section of its own has a site of its own. */
static unsigned sites_of_group(unsigned group)
{
    bool in_clear = group == 0;
    unsigned encrypted = 0, end = (group + 1) * scenario.share;
    for (unsigned i = group * scenario.share; i < end && i < scenario.domains; i++) {
        encrypted += scenario_encrypts(i);
        in_clear |= !scenario_encrypts(i);
    }
    return in_clear + encrypted;
}

unsigned scenario_sites(unsigned host)
{
    bool shared = way_of_group(host).count > 1 || (host > 0 && way_of_group(host - 1).count > 1);
    return shared ? 0 : sites_of_group(host);
}

bool scenario_is_calm(unsigned domain)
{
    struct scenario_way way = scenario_way(domain);
    for (unsigned i = 0; i < way.count; i++) {
        const struct host_plan *plan = server_plan(way.host[i]);
        if (plan->trouble > 0 || plan->silent || plan->refuses)
            return false;
    }
    return true;
}
