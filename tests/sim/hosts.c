/* All the hosts of a run: which there are, and what each is up to. */
#include "tests/sim/ledger.h"
#include "tests/sim/scenario.h"
#include "tests/sim/server.h"

#include <stdio.h>

static struct host *hosts;
static unsigned host_count;
static bool healed;
static int64_t began_us;

bool servers_healed(void)
{
    return healed;
}

struct endpoint server_place(unsigned number)
{
    struct endpoint at = {.port = 25};
    const uint8_t bytes[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number};
    at.ip = ip_of_bytes(4, bytes);
    return at;
}

static struct host_plan draw_plan(struct random_state *chance)
{
    static const unsigned troubles[] = {0, 0, 5, 20, 60, 200};
    struct host_plan plan = {
        .trouble = troubles[random_below(chance, 6)],
        .tls = random_below(chance, 4) == 0,
        .pipelining = random_below(chance, 3) > 0,
        .chunking = random_below(chance, 2) == 0,
        .silent = random_below(chance, 40) == 0,
        .refuses = random_below(chance, 30) == 0,
    };
    return plan;
}

static void set_limits(struct host *host)
{
    host->plan.per_sites = scenario_sites(host->number) * scenario.per_site;
    host->plan.most = scenario.per_host;
    host->plan.wants_tls = scenario_wants_tls(host->number);
}

void servers_open(uint64_t seed, const char *directory)
{
    struct random_state chance = {seed * 2654435761u + 1};
    char why[TLS_WHY_MAX], certificate[300], key[300];
    must(tls_self_signed(directory, "host.test", why));
    snprintf(certificate, sizeof(certificate), "%s/cert.pem", directory);
    snprintf(key, sizeof(key), "%s/key.pem", directory);
    const struct tls_server_options options = {
        .certificate = certificate, .key = key, .tickets = 2};
    struct tls_server *tls = tls_server_create(&options, why);
    must(tls != NULL);
    began_us = sim_now_us();
    host_count = scenario.hosts;
    hosts = must_calloc(host_count, sizeof(*hosts));
    for (unsigned i = 0; i < host_count; i++) {
        struct host *host = &hosts[i];
        host->number = i;
        host->plan = draw_plan(&chance);
        host->place.at = server_place(i);
        host->place.met = server_met;
        host->tls = tls;
        host->place.silent = host->plan.silent;
        sim_add_place(&host->place);
        if (host->plan.silent)
            sim_count(FAULT_SILENT_HOST);
    }
    for (unsigned i = 0; i < host_count; i++)
        set_limits(&hosts[i]);
}

/* They may come later than they were let go, never earlier: so all are counted since the relay
 * began. Whoever sets the clock gives it more, and so does what is left of two hosts. */
void host_gets_mail(struct host *host)
{
    unsigned sites = scenario_sites(host->number);
    int64_t most = (int64_t)sites * scenario.rate * (2 + (sim_now_us() - began_us) / 1000000);
    host->mails++;
    if (scenario.rate > 0 && sites > 0 && !scenario.clock_jumps)
        keeps(PROMISE_RATE_LIMIT, (int64_t)host->mails <= most,
              "host %u: %llu messages since the relay began, and %lld may be", host->number,
              (unsigned long long)host->mails, (long long)most);
}

const struct host_plan *server_plan(unsigned number)
{
    return &hosts[number].plan;
}

void servers_heal(void)
{
    healed = true;
    for (unsigned i = 0; i < host_count; i++)
        hosts[i].place.silent = false;
}
