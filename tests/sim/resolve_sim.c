/* relay/resolve.h over a made-up DNS: where domains lead is the scenario's. */
#include "relay/resolve.h"

#include "tests/sim/ledger.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolve {
    int nothing;
};

struct task {
    struct action answer;
    struct resolution *resolution;
    bool goes_wrong;
};

static struct resolve the_one;

struct resolve *resolve_create(const struct resolve_settings *settings, char *why, size_t why_size)
{
    (void)settings, (void)why, (void)why_size;
    return &the_one;
}

void resolve_destroy(struct resolve **resolve)
{
    *resolve = NULL;
}

/* s.test, where the senders are, lies with d0.test. */
static unsigned domain_of(const struct resolution *resolution)
{
    unsigned number;
    return sscanf(resolution->domain, "d%u.test", &number) == 1 ? number : 0;
}

static void find(struct resolution *resolution)
{
    struct scenario_way way = scenario_way(domain_of(resolution));
    struct resolved_host *hosts = arena_take(&resolution->arena, way.count * sizeof(*hosts));
    for (unsigned i = 0; i < way.count; i++) {
        hosts[i] = (struct resolved_host){
            .name = arena_print(&resolution->arena, "mx%u.test", way.host[i]),
            .preference = (uint16_t)(10 * (i + 1)),
            .count = 1,
            .addresses = arena_take(&resolution->arena, sizeof(struct ip))};
        hosts[i].addresses[0] = server_place(way.host[i]).ip;
    }
    resolution->hosts = hosts;
    resolution->count = way.count;
    resolution->result = RESOLVE_OK;
}

/* An address could not be had: its host is as if it had none. */
static void lose_part(struct resolution *resolution)
{
    find(resolution);
    resolution->hosts[sim_below(resolution->count)].count = 0;
    resolution->why = "SERVFAIL for an address";
    if (resolution->count == 1)
        resolution->result = RESOLVE_TEMPORARY;
}

static void fail(struct resolution *resolution, enum sim_fault fault, enum resolve_result result,
                 const char *why)
{
    sim_count(fault);
    resolution->result = result;
    resolution->why = why;
}

/* What is wrong for good bounces mail. Of the senders' domain nothing is: they are to be told. */
static void go_wrong(struct resolution *resolution)
{
    bool lasts = resolution->domain[0] == 'd' && sim_chance(100);
    switch (sim_below(3)) {
    case 0:
        if (lasts)
            fail(resolution, FAULT_DNS_NO_DOMAIN, RESOLVE_NO_DOMAIN, "no such domain");
        else
            fail(resolution, FAULT_DNS_TEMPORARY, RESOLVE_TEMPORARY, "SERVFAIL");
        return;
    case 1:
        if (lasts)
            fail(resolution, FAULT_DNS_NULL_MX, RESOLVE_NULL_MX, "null MX");
        else
            sim_count(FAULT_DNS_PARTIAL), lose_part(resolution);
        return;
    default:
        if (lasts)
            fail(resolution, FAULT_DNS_NO_ADDRESS, RESOLVE_NO_ADDRESS, "no address");
        else
            fail(resolution, FAULT_DNS_LATE, RESOLVE_TEMPORARY, "no answer");
    }
}

static void answer(struct action *action)
{
    struct task *task = container_of(action, struct task, answer);
    struct resolution *resolution = task->resolution;
    resolution->ttl_ms = RESOLVE_TTL_LEAST_MS;
    if (task->goes_wrong && !servers_healed())
        go_wrong(resolution);
    else
        find(resolution);
    free(task);
    mailbox_post(resolution->reply_to, &resolution->mail);
}

void resolve_post(struct resolve *resolve, struct resolution *take)
{
    (void)resolve;
    struct task *task = must_calloc(1, sizeof(*task));
    task->resolution = take;
    task->answer.act = answer;
    task->goes_wrong = !servers_healed() && sim_chance(scenario.dns_trouble);
    bool late = task->goes_wrong && sim_chance(300);
    sim_after(&task->answer,
              late ? RESOLVE_DEADLINE_MS * 1000 : (int64_t)(1000 + sim_below(300000)));
}

void resolution_free(struct resolution **resolution)
{
    arena_free(&(*resolution)->arena);
    free((*resolution)->domain);
    free(*resolution);
    *resolution = NULL;
}

bool resolve_check(const struct resolve_settings *settings, char *why, size_t why_size)
{
    (void)settings, (void)why, (void)why_size;
    return true;
}

bool resolve_reconfigure(struct resolve *resolve, const struct resolve_settings *settings,
                         char *why, size_t why_size)
{
    (void)resolve, (void)settings, (void)why, (void)why_size;
    return true;
}
