/* What a run is like: drawn from its seed, the same in each of its lives. Domains "d0.test" and on
 * lead to hosts; some share theirs, some have two. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct scenario {
    unsigned domains, hosts;
    unsigned share; /* domains that lead to the same hosts */
    bool pairs;     /* every third of these groups has a second host: the next group's */
    unsigned per_site, per_host, per_session; /* limits of the relay; per_session 0: none */
    unsigned per_client, queue;
    unsigned rate;          /* messages a second to one site; 0: as many as there are */
    unsigned dns_trouble;   /* per thousand questions */
    unsigned no_descriptor; /* per thousand sockets */
    unsigned descriptors;   /* sockets at a time, as long as there is trouble */
    bool disk_fails, clock_jumps, operator_acts;
};

extern struct scenario scenario;
void scenario_draw(uint64_t seed);

struct scenario_way { /* where a domain leads, best first */
    unsigned count, host[2];
};
struct scenario_way scenario_way(unsigned domain);
/* Mail for it must not go in clear. */
bool scenario_encrypts(unsigned domain);
/* All that leads to that host wants TLS. */
bool scenario_wants_tls(unsigned host);
/* How many of the relay's sites lead to that host. 0: nobody can say, for when DNS keeps one of two
 * hosts back, what is left is another site. */
unsigned scenario_sites(unsigned host);
/* Nothing is the matter with it or its hosts, ever. */
bool scenario_is_calm(unsigned domain);
