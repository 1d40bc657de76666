/* Pure: what TLS a destination must get, and what to do with what it got. (level, outcome,
 * history) -> the next step. Never does I/O, never logs.
 *
 * The order of levels means something: up to TLS_MAY mail may go in clear, up to TLS_ENCRYPT
 * nobody asks whose certificate it is, above that everybody does. */
#pragma once

#include "tlspolicy/tlsa.h"

#include <stdbool.h>

enum tls_level {
    TLS_NONE,        /* never TLS */
    TLS_MAY,         /* opportunistic: TLS where it works (RFC 7435) */
    TLS_ENCRYPT,     /* TLS or not at all; the peer is not authenticated */
    TLS_DANE,        /* as its TLSA records say (RFC 7672); as `may` where it has none */
    TLS_DANE_ONLY,   /* and not at all where it has none */
    TLS_FINGERPRINT, /* one of the certificates that the operator has written down */
    TLS_VERIFY,      /* a trusted chain, and a name: by default the host's, as DNS gives it */
    TLS_SECURE,      /* a trusted chain, and a name that DNS has no part in: the next hop's */
};
#define TLS_LEVELS 8

const char *tls_level_name(enum tls_level level); /* "may" */

/* How STARTTLS ended on one connection. */
enum tls_outcome {
    TLS_NOT_OFFERED,      /* no STARTTLS keyword in the reply to EHLO */
    TLS_WITHDRAWN,        /* the same, from a host that did offer it before (RFC 3207 6) */
    TLS_TEMPORARY,        /* 454 or any other 4xx to STARTTLS (RFC 3207 4) */
    TLS_REFUSED,          /* 5xx to STARTTLS */
    TLS_ALERT,            /* the server ended the handshake with an alert */
    TLS_HANDSHAKE_FAILED, /* it failed in another way: no TLS at all, or the connection was lost */
    TLS_STALLED,          /* reply or handshake did not end before the deadline */
    TLS_RESIDUE,          /* bytes behind the 220: injected, or a broken server */
    TLS_TICKET_REFUSED,   /* it failed, and a ticket was shown: perhaps that is why */
    TLS_UNTRUSTED,        /* the certificate is not what was asked for */
    TLS_ESTABLISHED,      /* the handshake ended well, and what was asked for holds */
};
#define TLS_OUTCOMES 11

/* The word for log and metrics: "not-offered", "temporary", …, "untrusted", "established". */
const char *tls_outcome_name(enum tls_outcome outcome);

enum tls_step {
    TLS_GO_PLAIN,      /* go on in clear on this connection */
    TLS_GO_PLAIN_ANEW, /* in clear, but on a new connection: this socket is spoilt */
    TLS_GO_ENCRYPTED,  /* go on inside TLS */
    TLS_GO_ANEW,       /* once more, with a full handshake on a new connection */
    TLS_RETRY_LATER,   /* 454 under `may`: leave this host and try TLS again later */
    TLS_NEXT_HOST,     /* not secure enough: QUIT, next host, then defer */
};

enum on_454 {                   /* what `may` does with a 454 */
              ON_454_RETRY,     /* defer; plain only after `plain_after` deferrals */
              ON_454_PLAIN,     /* plain at once */
              ON_454_NEXT_HOST, /* next host, defer after the last */
};

struct tls_match { /* a name that the certificate may carry */
    enum tls_match_kind {
        MATCH_HOSTNAME,    /* the host's */
        MATCH_NEXTHOP,     /* the destination's */
        MATCH_DOT_NEXTHOP, /* any name below the destination's */
        MATCH_NAME,        /* this one; ".example.com": any below */
    } kind;
    const char *name; /* for MATCH_NAME */
};

struct tls_policy { /* what a `tls` section asks for */
    enum tls_level level;
    enum on_454 on_454;
    unsigned plain_after; /* deferrals with 454 after which `may` goes plain; default 3 */
    bool mta_sts; /* below TLS_DANE_ONLY: what the domain publishes holds as well (RFC 8461) */
    const struct tls_match *matches; /* verify, secure: one of them; none: as the level has it */
    unsigned match_count;
    const struct tls_match *server_name; /* SNI; NULL: as the level has it */
    const struct fingerprint *fingerprints;
    unsigned fingerprint_count;
};

#define TLS_POLICY_DEFAULT                                                                         \
    ((struct tls_policy){                                                                          \
        .level = TLS_MAY, .on_454 = ON_454_RETRY, .plain_after = 3, .mta_sts = true})

/* What is remembered of a host. */
struct tls_history {
    unsigned temporary; /* 454s in a row, this one not counted */
    bool offered;       /* STARTTLS was offered the last time */
    bool failed_lately; /* a handshake failed or stalled not long ago */
};

/* Whether to issue STARTTLS at all when it is offered. Under `may` a host whose handshake
 * failed lately is not asked again for a while. */
bool tls_policy_starts(const struct tls_policy *policy, const struct tls_history *history);

/* Whether the peer must show who it is. */
static inline bool tls_level_authenticates(enum tls_level level)
{
    return level > TLS_ENCRYPT;
}

/* The outcome table of STARTTLS as a client; residue counts as a failed handshake. A step that goes
 * on in clear is only ever returned for TLS_NONE and TLS_MAY; one that goes on with a certificate
 * that is not what was asked for, only where the level does not authenticate (MTA-STS in testing
 * asks all the same). */
enum tls_step tls_policy_step(const struct tls_policy *policy, enum tls_outcome outcome,
                              const struct tls_history *history);

/* The enhanced status of the deferral that TLS_NEXT_HOST and TLS_RETRY_LATER end in:
 * 4.7.4 (not offered, refused, temporary) or 4.7.5 (handshake, certificate). */
unsigned tls_outcome_detail(enum tls_outcome outcome); /* the last number of 4.7.x */
