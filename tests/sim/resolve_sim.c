/* relay/resolve.h over a made-up DNS: d<N>.test has one mail host, at server_place(N). */
#include "relay/resolve.h"

#include "tests/sim/ledger.h"
#include "tests/sim/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TROUBLE 30 /* per thousand questions */

struct resolve {
    int nothing;
};

struct task {
    struct action answer;
    struct resolution *resolution;
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

static void find(struct resolution *resolution)
{
    unsigned number = 0;
    if (sscanf(resolution->domain, "d%u.test", &number) != 1)
        number = UINT32_MAX; /* s.test: where the senders are */
    struct resolved_host *host = arena_take(&resolution->arena, sizeof(*host));
    *host =
        (struct resolved_host){.name = arena_print(&resolution->arena, "mx.%s", resolution->domain),
                               .preference = 10,
                               .count = 1};
    host->addresses = arena_take(&resolution->arena, sizeof(*host->addresses));
    host->addresses[0] = server_place(number == UINT32_MAX ? 0 : number).ip;
    resolution->hosts = host;
    resolution->count = 1;
    resolution->result = RESOLVE_OK;
}

static void answer(struct action *action)
{
    struct task *task = container_of(action, struct task, answer);
    struct resolution *resolution = task->resolution;
    resolution->ttl_ms = RESOLVE_TTL_LEAST_MS;
    if (!servers_healed() && sim_chance(TROUBLE)) {
        sim_count(FAULT_DNS);
        resolution->result = RESOLVE_TEMPORARY;
        resolution->why = "SERVFAIL";
    } else {
        find(resolution);
    }
    free(task);
    mailbox_post(resolution->reply_to, &resolution->mail);
}

void resolve_post(struct resolve *resolve, struct resolution *take)
{
    (void)resolve;
    struct task *task = must_calloc(1, sizeof(*task));
    task->resolution = take;
    task->answer.act = answer;
    sim_after(&task->answer, (int64_t)(1000 + sim_below(300000)));
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
