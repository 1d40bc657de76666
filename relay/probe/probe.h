/* A probe: the way of a message to a destination, gone without one. It is found by the relay's own
 * search and policies, each of its hosts is connected to as a connection of the relay would be,
 * and what happened to a message is judged by the same table.
 *
 * One thread, one call; nothing of a running relay is touched, nor its spool. */
#pragma once

#include "relay/config.h"
#include "relay/outbound/route.h"
#include "relay/smtp/extension.h"
#include "tlspolicy/peer.h"

#define PROBE_HOSTS_MAX RESOLVE_HOSTS_MAX
#define PROBE_CHAIN_MAX 8       /* certificates of a host that are shown */
#define PROBE_DEADLINE_MS 30000 /* for one connection to one host; default of --timeout */

struct probe_options {
    struct config *config;
    const char *target;          /* "example.test", "mx.example.test:587", "[192.0.2.1]:25" */
    const enum tls_level *level; /* instead of the one that the configuration has; NULL: that */
    int64_t deadline_ms;         /* for one connection */
};

/* What one host did. */
struct probe_visit {
    const struct site_host *host; /* of search.hosts */
    bool refused;                 /* by its terms: nothing was tried */
    char address[IP_TEXT_MAX];    /* that was connected to; "" for none */
    const char *greeting, *ehlo;  /* texts of replies, the last EHLO's; NULL: they never came */
    struct extensions in_clear, offered; /* before TLS, and in the end */
    bool decided;                        /* STARTTLS came to an end: outcome and step hold */
    enum tls_outcome outcome;
    enum tls_step step;
    bool handshake; /* came to its end: facts and peer hold */
    struct tls_facts facts;
    bool asked;                    /* for a certificate, by the level */
    bool trusted;                  /* it is the host's, and vouched for: also where nobody asks */
    const char *why;               /* what is wrong with its certificate; NULL: nothing is known */
    struct tls_certificate *chain; /* the certificates it showed, its own first */
    unsigned chain_length;
    bool tried_again, resumed; /* a second connection; and its handshake was a resumed one */
    bool ready;                /* mail would go here: in clear or in TLS, as `facts` has it */
    struct verdict failure;    /* when it is not */
};

enum probe_result {
    PROBE_DELIVERABLE, /* to visits[taker] */
    PROBE_DEFERRED,
    PROBE_BOUNCED,
};

struct probe {
    struct probe_options options;
    struct route_search search;
    struct route route;
    struct destination destination;
    struct route_config single; /* the host that was named, as a route */
    struct next_hop_host named;
    struct tls_config tls;                      /* with options.level */
    bool found;                                 /* search.hosts hold */
    struct probe_visit visits[PROBE_HOSTS_MAX]; /* in the order of trying */
    unsigned visit_count;

    enum probe_result result;
    unsigned taker;
    struct verdict verdict; /* when it is not deliverable */
    struct arena arena;     /* texts */
};

/* False with one line in `why` when it cannot even begin (the target is none; no DNS). */
bool probe_run(struct probe *probe, const struct probe_options *options, char *why,
               size_t why_size);
void probe_free(struct probe *probe);

/* Hosts in turn, as a message would meet them: sets result, taker and verdict. Pure. */
void probe_judge(struct probe *probe);

/* sysexits: 0 deliverable; 75 deferred; 68 bounced: no host takes such mail. */
int probe_exit_code(const struct probe *probe);

void probe_print(const struct probe *probe);      /* for people, to stdout */
void probe_print_json(const struct probe *probe); /* one line of JSON */
