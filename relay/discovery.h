/* What is known of a domain's TLS elsewhere than in the configuration: what it publishes itself,
 * its MTA-STS policy (RFC 8461) and its TLSRPT record (RFC 8460), and what the operator's own table
 * says of it. For what is published: A thread of its own looks it up, keeps it in memory and in the
 * store, and refreshes it ahead of its end; answers come back by mailbox. It decides nothing about
 * mail.
 *
 * A question is answered from memory where that can be. Otherwise it waits: for what is looked up,
 * shared by all who ask for the same domain, but never longer than DISCOVERY_FIRST_MS; where a
 * policy is in force no longer than DISCOVERY_NEWER_MS, for then that one serves. What cannot be
 * had is no policy (RFC 8461 3.3), and the answer tells why. */
#pragma once

#include "base/mailbox.h"
#include "relay/config.h"
#include "relay/policy_asker.h"
#include "tlspolicy/sts_cache.h"

#define DISCOVERY_DOMAINS_MAX 65536 /* in memory; those without a policy go first */
#define DISCOVERY_LOOKS_MAX 512     /* domains looked up at a time; the rest wait in order */
#define DISCOVERY_FETCHES_MAX 256   /* policies fetched at a time; the rest wait in order */
#define DISCOVERY_FETCH_MS 60000    /* RFC 8461 3.3: a minute for a policy, as a whole */
#define DISCOVERY_FIRST_MS 65000    /* a question waits, where nothing is known */
#define DISCOVERY_NEWER_MS 5000     /* … where an older policy is in force */
#define DISCOVERY_UNASKED_MAX 30    /* refreshes ahead while nobody asks */

struct discoverer;
struct resolve;
struct store;

/* A question and its answer. What it points at belongs to the arena. */
struct discovery {
    struct mail mail; /* deliver() is called on the thread that owns `reply_to` */
    struct mailbox *reply_to;
    void *context; /* the asker's own, untouched */
    char *domain;  /* malloc'd by the asker; lower case, A-labels */
    bool wants_sts, wants_tlsrpt;
    const char *map; /* not NULL: this table is asked (policy_asker.h), and nothing else is */
    bool anew; /* the last look before mail fails for good (RFC 8461 5.1): the TXT record is asked
                  for, whatever is remembered, and a newer policy is waited for */

    const struct sts_policy *sts; /* in force; NULL: none */
    enum sts_failure failure;     /* of the last fetch: with an older policy in force, too */
    const char *why;              /* one line; "" without a failure */
    unsigned tlsrpt_count;        /* TXT records of _smtp._tls.D that begin "v=TLSRPTv1;": two */
    struct span *tlsrpt;          /* stand for several */
    int64_t ttl_ms;               /* how long this may be used: from RESOLVE_TTL_LEAST_MS on */
    struct arena arena;

    struct policy_question question; /* with the answer of `map` */

    void (*reply)(struct mail *mail, void *taker); /* the discoverer's: `deliver` meanwhile */
};

struct discoverer_parts {
    struct resolve *resolve; /* outlives the thread */
    struct store *store;     /* the same; NULL: policies do not outlive the relay */
    struct config *config;   /* a reference is kept */
    bool quiet;              /* nothing is logged: who asks tells */
};

/* Reads what the store has kept. Then `start` begins the thread. */
struct discoverer *discoverer_create(const struct discoverer_parts *parts);
void discoverer_start(struct discoverer *discoverer);
/* Ends the thread; who still waits is answered with what is known. Nothing may be asked then. */
void discoverer_stop(struct discoverer *discoverer);
/* After the resolver has ended: its answers still come in. */
void discoverer_destroy(struct discoverer **discoverer);

/* Any thread. */
void discoverer_post(struct discoverer *discoverer, struct discovery *take);
void discoverer_reconfigure(struct discoverer *discoverer, struct config *config);
void discovery_free(struct discovery **discovery);
