/* The hosts that mail goes to: SMTP servers that keep their ledger, and fail as chance wants it. */
#pragma once

#include "tests/sim/world.h"
#include "tlspolicy/tls.h"

struct host_plan {    /* of one host, for the whole run */
    unsigned trouble; /* per thousand: how often something goes wrong at a step */
    bool tls;         /* offers STARTTLS */
    bool wants_tls;   /* whoever sends to it here: not even MAIL may come in clear */
    bool pipelining, chunking;
    bool silent, refuses; /* for as long as trouble lasts */
    unsigned most;        /* connections of the relay at a time */
    unsigned per_sites;   /* the same, as the limits of its sites come to */
};

struct host {
    struct place place;
    unsigned number;
    struct host_plan plan;
    struct tls_server *tls; /* one for all */
    uint64_t mails;         /* begun in this life of the relay */
};
/* hosts.c: another one; judged against the rate of its sites. */
void host_gets_mail(struct host *host);

/* Somebody connects to the host that this place is in: a server for him (server.c). */
struct actor *server_met(struct place *place);

/* hosts.c: the host of destination `number` is at 10.x.y.z:25. */
struct endpoint server_place(unsigned number);
/* Their certificate is made in `directory`. */
void servers_open(uint64_t seed, const char *directory);
const struct host_plan *server_plan(unsigned number);
/* From now on everything works. */
void servers_heal(void);
bool servers_healed(void);
