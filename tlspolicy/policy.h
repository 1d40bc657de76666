/* Pure: what TLS a destination must get, and what to do with what it got. (level, outcome,
 * history) -> the next step. Never does I/O, never logs.
 *
 * The order of levels means something: a higher one asks for all that a lower one asks for.
 * Further levels (dane, fingerprint, verify, secure) take their places above TLS_ENCRYPT;
 * every switch here names each level, so the compiler finds the rooms to change. */
#pragma once

#include <stdbool.h>

enum tls_level {
    TLS_NONE,    /* never TLS */
    TLS_MAY,     /* opportunistic: TLS where it works (RFC 7435) */
    TLS_ENCRYPT, /* TLS or not at all; the peer is not authenticated */
};
#define TLS_LEVELS 3

const char *tls_level_name(enum tls_level level); /* "may" */

/* How STARTTLS ended on one connection. */
enum tls_outcome {
    TLS_NOT_OFFERED,      /* no STARTTLS keyword in the reply to EHLO */
    TLS_TEMPORARY,        /* 454 or any other 4xx to STARTTLS (RFC 3207 4) */
    TLS_REFUSED,          /* 5xx to STARTTLS */
    TLS_HANDSHAKE_FAILED, /* alert, or the connection was lost in it */
    TLS_STALLED,          /* reply or handshake did not end before the deadline */
    TLS_RESIDUE,          /* bytes behind the 220: injected, or a broken server */
    TLS_ESTABLISHED,      /* the handshake ended well; not authenticated */
};
#define TLS_OUTCOMES 7

/* The word for log and metrics: "not-offered", "temporary", …, "residue", "established". */
const char *tls_outcome_name(enum tls_outcome outcome);

enum tls_step {
    TLS_GO_PLAIN,      /* go on in clear on this connection */
    TLS_GO_PLAIN_ANEW, /* in clear, but on a new connection: this socket is spoilt */
    TLS_GO_ENCRYPTED,  /* go on inside TLS */
    TLS_RETRY_LATER,   /* 454 under `may`: leave this host and try TLS again later */
    TLS_NEXT_HOST,     /* not secure enough: QUIT, next host, then defer */
};

enum on_454 {                   /* what `may` does with a 454 */
              ON_454_RETRY,     /* defer; plain only after `plain_after` deferrals */
              ON_454_PLAIN,     /* plain at once */
              ON_454_NEXT_HOST, /* next host, defer after the last */
};

struct tls_policy { /* a `tls` section */
    enum tls_level level;
    enum on_454 on_454;
    unsigned plain_after; /* deferrals with 454 after which `may` goes plain; default 3 */
};

#define TLS_POLICY_DEFAULT                                                                         \
    ((struct tls_policy){.level = TLS_MAY, .on_454 = ON_454_RETRY, .plain_after = 3})

/* What is remembered of a host. */
struct tls_history {
    unsigned temporary; /* 454s in a row, this one not counted */
    bool offered;       /* STARTTLS was offered before */
    bool failed_lately; /* a handshake failed or stalled not long ago */
};

/* Whether to issue STARTTLS at all when it is offered. Under `may` a host whose handshake
 * failed lately is not asked again for a while. */
bool tls_policy_starts(const struct tls_policy *policy, const struct tls_history *history);

/* The outcome table of STARTTLS as a client; residue counts as a failed handshake. A step that goes
 * on in clear is only ever returned for TLS_NONE and TLS_MAY. */
enum tls_step tls_policy_step(const struct tls_policy *policy, enum tls_outcome outcome,
                              const struct tls_history *history);

/* The enhanced status of the deferral that TLS_NEXT_HOST and TLS_RETRY_LATER end in:
 * 4.7.4 (not offered, refused, temporary) or 4.7.5 (handshake). */
unsigned tls_outcome_detail(enum tls_outcome outcome); /* the last number of 4.7.x */
