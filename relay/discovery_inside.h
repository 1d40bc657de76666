/* The inside of the discoverer, for its own files and its test: discovery.c (the thread, questions
 * and answers), discovery_domain.c (what is remembered of a domain, and kept in the store) and
 * discovery_look.c (how it is looked up). All of it on the discoverer's thread. */
#pragma once

#include "base/heap.h"
#include "base/map.h"
#include "relay/discovery.h"
#include "relay/https.h"
#include "relay/resolve.h"

#include <pthread.h>
#include <stdatomic.h>

#define DISCOVERY_TLSRPT_MAX 2

struct discoverer {
    struct resolve *resolve;
    struct store *store;
    struct config *config; /* one reference */
    bool quiet;
    struct https *https;
    struct policy_asker *asker;
    struct mailbox box;
    struct random_state random;
    int64_t wall_ms; /* since 1970, as of this turn */
    int64_t now_ms;  /* monotonic, as of this turn */

    struct map domains;
    struct list without, with; /* a policy: struct domain, the last used last */
    struct heap refreshes;     /* domains with a policy, by wall_ms */
    struct heap patience;      /* struct asking, by now_ms */
    struct list looks_waiting, fetches_waiting, fetches_done;
    struct list looking; /* looks that wait for DNS or HTTPS */
    unsigned looks, fetches;

    atomic_bool stop;
    bool started;
    pthread_t thread;
};

struct domain {
    char *name;
    struct list_node used; /* in `with` or `without` */
    struct heap_node refresh;
    struct list questions; /* struct asking */

    struct sts_memory sts;
    struct arena arena;       /* of the policy */
    int64_t sts_until_ms;     /* what the TXT record said holds until; 0: never asked */
    enum sts_failure failure; /* of the last fetch … */
    char *why;                /* … in words; NULL: it did not fail */
    unsigned unasked;         /* refreshes since somebody asked */
    bool looks_for_sts, looks_for_tlsrpt;
    bool just_fetched; /* while its questions are answered: also what has expired already holds */

    int64_t tlsrpt_until_ms;
    unsigned tlsrpt_count;
    char *tlsrpt[DISCOVERY_TLSRPT_MAX];
};

/* A question that waits; in its own arena. */
struct asking {
    struct discovery *discovery;
    struct domain *domain;
    struct list_node node;
    struct heap_node patience;
};

/* ---- discovery_domain.c ---- */

/* NULL when as many as may be are all in use. */
struct domain *domain_use(struct discoverer *discoverer, const char *name);
/* A new policy, just fetched: it takes the old one's place, here and in the store. */
void domain_take_policy(struct discoverer *discoverer, struct domain *domain,
                        const struct sts_policy *policy);
/* It has expired. */
void domain_drop_policy(struct discoverer *discoverer, struct domain *domain);
void domain_set_failure(struct domain *domain, enum sts_failure failure, const char *why);
void domain_set_tlsrpt(struct domain *domain, const struct span *texts, unsigned count);
void domains_init(struct discoverer *discoverer);
void domains_load(struct discoverer *discoverer);
void domains_free(struct discoverer *discoverer);

/* ---- discovery_look.c ---- */

/* Nothing when it is under way already. */
void look_for_sts(struct discoverer *discoverer, struct domain *domain);
void look_for_tlsrpt(struct discoverer *discoverer, struct domain *domain);
/* What was fetched is judged, what waited for its turn begins. */
void looks_go_on(struct discoverer *discoverer);
void looks_free(struct discoverer *discoverer);

/* ---- discovery.c ---- */

/* A look for this domain has ended: who waited for it is answered. */
void domain_settle(struct discoverer *discoverer, struct domain *domain);
/* One turn; a thread is a loop around it and https_wait(). */
void discoverer_turn(struct discoverer *discoverer, int64_t wall_ms, int64_t now_ms);
int discoverer_wait_ms(const struct discoverer *discoverer);
