/* DNS: MX hosts, addresses and TLSA records of a next hop, and TXT records. libunbound lives here
 * only; a thread of its own runs it, and answers come back by mailbox.
 *
 * RFC 5321 5.1: MX in order of preference; none: the domain's own A and AAAA; a null MX
 * (RFC 7505) means no mail at all. RFC 5321 5.1 also: an MX that is there but leads nowhere is an
 * error, never a reason to fall back to the domain's address.
 *
 * A CNAME is followed, whether the domain is one or an MX's name (RFC 5321 5.1 wants none there,
 * but mail is no worse for it); the recipient's address stays as it is. A chain is followed over
 * some ten links; what is longer, or a loop, counts as a SERVFAIL.
 *
 * DNSSEC: an answer is secure when it is proved from the trust anchor down, a denial and each
 * alias on the way included. One that should be and is not (bogus) is as a SERVFAIL. TLSA records
 * are asked for only where the MX answer and the host's addresses are secure (RFC 7672 2.2); that
 * they cannot be had is told as such, and is never the same as there being none. */
#pragma once

#include "base/arena.h"
#include "base/ip.h"
#include "base/mailbox.h"

#define RESOLVE_HOSTS_MAX 20        /* MX hosts used, best first */
#define RESOLVE_ADDRESSES_MAX 10    /* of each family, per host */
#define RESOLVE_TEXT_BYTES_MAX 4096 /* of one TXT record; a longer one is passed over */
#define RESOLVE_UNDER_WAY_MAX 1024  /* resolutions; the rest wait in order */
#define RESOLVE_DEADLINE_MS 20000   /* for a resolution as a whole: what is there by then must do */
#define RESOLVE_TTL_LEAST_MS 60000
#define RESOLVE_TTL_MOST_MS 3600000

enum resolve_kind {
    RESOLVE_MX,        /* the domain's mail hosts, with their addresses */
    RESOLVE_ADDRESSES, /* of this very name (hosts of a route) */
    RESOLVE_TXT,       /* the name's TXT records */
};

enum resolve_result {
    RESOLVE_OK,
    RESOLVE_NO_DOMAIN,  /* NXDOMAIN, or neither MX nor address: 5.1.2; or no TXT record */
    RESOLVE_NULL_MX,    /* 5.1.10 (RFC 7505) */
    RESOLVE_NO_ADDRESS, /* MX hosts (or the name itself) exist, but have no address: 5.4.4 */
    RESOLVE_TEMPORARY,  /* SERVFAIL, timeout, bogus: 4.4.3 */
};

enum tlsa_state {
    TLSA_NOT_ASKED,
    TLSA_INSECURE, /* MX, addresses or the TLSA answer are not proved: DANE says nothing */
    TLSA_NONE,     /* proved: there are none */
    TLSA_RECORDS,
    TLSA_FAILED, /* bogus, SERVFAIL, no answer: nobody knows; no mail (RFC 7672 2.1.2, 2.2.2) */
};

struct resolved_tlsa {
    enum tlsa_state state;
    const char *why;  /* of TLSA_FAILED: "_25._tcp.mx.example.test TLSA: SERVFAIL" */
    const char *base; /* of TLSA_RECORDS: the TLSA base domain (RFC 7672 2.2.3) */
    unsigned count;
    struct span *records; /* RDATA, as they came: any bytes */
};

struct resolved_host {
    const char *name; /* lower case, without the final dot */
    uint16_t preference;
    unsigned count;       /* may be 0 where others have addresses */
    struct ip *addresses; /* A first, then AAAA, each in the order they came */
    struct resolved_tlsa tlsa;
};

/* A question and its answer. Strings and arrays of the answer belong to the arena. */
struct resolution {
    struct mail mail; /* deliver() is called on the thread that owns `reply_to` */
    struct mailbox *reply_to;
    char *domain;  /* malloc'd by the asker */
    void *context; /* the asker's own, untouched */
    enum resolve_kind kind;
    bool tlsa; /* also TLSA records of each host, for this port */
    uint16_t port;

    enum resolve_result result;
    const char *why; /* "example.test: SERVFAIL", one line; with RESOLVE_OK: what is missing of
                        the answer, NULL when nothing is */
    bool secure;     /* the answer about MX or TXT is, or that there is none */
    const char *canonical; /* where the domain's aliases lead; NULL: it is none */
    int64_t ttl_ms;        /* how long the answer may be used, within the bounds above; the least of
                              them when a part of the answer is missing */
    unsigned count;
    struct resolved_host *hosts; /* by preference; equals in the order they came */
    unsigned text_count;
    struct span
        *texts; /* each the character-strings of one record, joined; as they came: any bytes */
    struct arena arena;
};

struct resolve;

enum dnssec {
    DNSSEC_OFF,
    DNSSEC_VALIDATE, /* here, from the trust anchor down */
    DNSSEC_TRUST_AD, /* by a resolver on this machine, which says so with the AD bit */
};

struct resolve_settings {
    const char *server; /* "ADDRESS:PORT" or NULL for /etc/resolv.conf */
    enum dnssec dnssec;
    const char *trust_anchor; /* a file of DS or DNSKEY records, for DNSSEC_VALIDATE */
};

/* Whether resolve_create would fail with these, and why. */
bool resolve_check(const struct resolve_settings *settings, char *why, size_t why_size);

/* NULL with `why` on failure. */
struct resolve *resolve_create(const struct resolve_settings *settings, char *why, size_t why_size);
/* Another name server from now on, or more or less trust in DNS: what is under way is asked again.
 * False with `why`, and all stays as it is. Any thread. */
bool resolve_reconfigure(struct resolve *resolve, const struct resolve_settings *settings,
                         char *why, size_t why_size);
/* Ends the thread; questions under way are answered RESOLVE_TEMPORARY first. */
void resolve_destroy(struct resolve **resolve);

/* Any thread. */
void resolve_post(struct resolve *resolve, struct resolution *take);
void resolution_free(struct resolution **resolution);
