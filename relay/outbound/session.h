/* The client's side of an SMTP session: pure states, no I/O.
 *
 * Bytes come in through session_receive; commands go out into a buffer; between them the
 * session tells its connection what it needs next. A state is the command whose reply is
 * owed: one row of one table holds its name, its deadline and what its reply does.
 * Commands that were sent wait in a FIFO, and each reply answers the one at its head: with or
 * without PIPELINING (RFC 2920) it is the same machine.
 *
 *     [handshake ->] greeting -> EHLO [-> HELO] [-> STARTTLS -> handshake -> EHLO] [-> AUTH…]
 *         -> ready
 *
 *     ready -> [RSET] MAIL RCPT… DATA -> body -> end of data -> ready -> … -> QUIT
 *
 *     ready -> [RSET] MAIL RCPT… BDAT… BDAT LAST -> ready -> … -> QUIT
 *
 * With CHUNKING (RFC 3030) the body goes as chunks, each behind its BDAT. With PIPELINING too, a
 * small body goes in one flight with MAIL and RCPT: a message costs one round trip. A larger one
 * waits until a recipient was taken, and is never far ahead of the replies to its chunks. Behind
 * the last content of a connection QUIT goes at once, too.
 *
 * A delivery is one transaction, or several behind each other where the host takes only so many
 * recipients at a time (RFC 9422, and 452 4.5.3). */
#pragma once

#include "queue/message.h"
#include "relay/outbound/exchange.h"
#include "relay/smtp/extension.h"
#include "relay/smtp/reply.h"
#include "tlspolicy/policy.h"

struct login_config;

/* What a session does for one envelope. */
struct delivery {
    const struct envelope *envelope;
    struct verdict *verdicts; /* one per recipient, VERDICT_NONE until decided */
    struct arena *arena;      /* for the verdicts' texts */
    int64_t now_ms;           /* when it begins: ms since 1970 */
    bool wary;                /* the server may be gone or dead: no body before it has answered */
    bool last;                /* nothing follows it on this connection: QUIT may go right behind */
};

enum session_ask {
    ASK_BYTES,  /* the reply to session_awaits() is owed, within session_timeout_ms() */
    ASK_TLS,    /* 220 to STARTTLS: look for residue, handshake, then session_secured() or
                   session_tls_failed() */
    ASK_SECRET, /* of its login, as session_wants() has it: session_give_secret() or
                   session_no_secret() */
    ASK_CLAIM,  /* ready; the delivery that was under way, if any, has all its verdicts:
                   session_deliver() or session_quit() */
    ASK_BODY,   /* send the body, dot-stuffed, and the final dot, then session_body_sent() */
    ASK_CHUNK,  /* send session_chunk() of the body as it is, at once behind its command, then
                   session_body_sent(); replies may come meanwhile */
    ASK_CLOSE,  /* over; session->failure tells why when it never became ready, and every
                   recipient of a delivery under way has its verdict */
};

enum session_step { /* the commands, as rows of the table */
                    STEP_GREETING,
                    STEP_EHLO,
                    STEP_HELO,
                    STEP_STARTTLS,
                    STEP_AUTH, /* and each response to a challenge */
                    STEP_RSET,
                    STEP_MAIL,
                    STEP_RCPT,
                    STEP_DATA,
                    STEP_END_OF_DATA,
                    STEP_BDAT,
                    STEP_BDAT_LAST,
                    STEP_QUIT,
};
#define SESSION_STEPS 13

struct expected {
    enum session_step step;
    unsigned of; /* STEP_RCPT: which recipient; STEP_BDAT: bytes of the chunk */
};

#define SESSION_FLIGHT_BYTES (64u << 10)    /* a body up to this goes with MAIL and RCPT */
#define SESSION_CHUNK_BYTES (1u << 20)      /* a larger one in chunks of this, … */
#define SESSION_UNANSWERED_BYTES (4u << 20) /* … with so much on its way */
#define SESSION_CHUNKS_MAX (SESSION_UNANSWERED_BYTES / SESSION_CHUNK_BYTES)

/* RSET, MAIL, RCPT…, DATA or BDAT…, and one */
#define SESSION_EXPECTED_MAX (ENVELOPE_RECIPIENTS_MAX + SESSION_CHUNKS_MAX + 3)

/* One MAIL, and what belongs to it. */
struct transaction {
    unsigned next_recipient; /* the next RCPT to send */
    unsigned offered, taken; /* recipients: RCPT sent, and said yes to */
    bool mail_sent;
    bool content_begun;   /* DATA, or the first BDAT, was sent */
    bool chunk_due;       /* a BDAT was written: ASK_CHUNK is next */
    bool chunk_under_way; /* and its bytes have not left yet */
    bool refused;         /* a chunk was: no more follow */
    bool whole;           /* the last of the body has left: from here it may arrive twice */
    unsigned chunk;       /* bytes of the chunk under way */
    unsigned unanswered;  /* bytes of chunks whose replies are owed */
    uint64_t announced;   /* bytes of the body in all BDATs so far */
    bool later[ENVELOPE_RECIPIENTS_MAX]; /* those for the next transaction */
};

#define AUTH_CHALLENGES_MAX 8 /* of one exchange: no mechanism has more than three */

/* Who it is to say that it is (RFC 4954), and how that goes. */
struct session_login {
    const struct login_config *config; /* NULL: nobody */
    const char *host;                  /* as the operator calls it, without address */
    uint16_t port;
    unsigned left;             /* mechanisms that may still be tried */
    unsigned tried;            /* those that were */
    struct exchange *exchange; /* the one under way, or the last */
    unsigned challenges;       /* that came in it */
    bool begun;                /* AUTH was said */
    bool done;                 /* 235 */
    bool refused;              /* for good, for now: another address is no better */
    bool repeats;              /* the server's words hold something of what it was told: they are
                                  shown to nobody */
};

struct session {
    /* What it was told. */
    const char *hostname; /* for EHLO */
    const char *host;     /* "mx.example[192.0.2.1]:25", for verdicts */
    struct tls_policy policy;
    struct tls_history history;
    struct session_login login;
    unsigned discarded; /* extensions that are not used though they are offered */
    struct buffer *out;

    /* What it has found out. */
    struct extensions extensions; /* rcpt_max may be lowered by a 452 */
    bool secure;                  /* inside TLS */
    bool promises;                /* and its connection knows that it is one of the next hop's, and
                                     who it is: REQUIRETLS may be said to it (RFC 8689 2) */
    bool ready;                   /* mail may be sent */
    bool decided;                 /* `outcome` holds: STARTTLS came to an end on this connection */
    enum tls_outcome outcome;
    enum tls_step next_step;    /* what the policy said to that outcome */
    struct verdict tls_failure; /* why it was another than established; its texts in the arena */

    /* Replies owed: a ring. */
    struct expected expected[SESSION_EXPECTED_MAX];
    unsigned expected_first, expected_count;
    unsigned replies; /* taken so far: a deadline holds from one to the next */
    struct reply_reader reader;
    enum stage stage; /* of what the reply in hand, or the one that did not come, was owed to */

    /* The delivery under way. */
    struct delivery *delivery;
    struct transaction now;
    unsigned mails;     /* MAIL commands so far, for MAILMAX */
    unsigned envelopes; /* delivered or not, for RCPTDOMAINMAX: each is one domain's */
    bool open;          /* a transaction was begun and not ended by its content: RSET first */
    bool closing;       /* the server said 421, or we said QUIT */
    bool quit_said;     /* in one flight with the content: its reply comes behind that to this */
    bool mail_taken;    /* some MAIL was answered with 250 */
    bool mail_deferred; /* this delivery's MAIL got a 4xx: where others were taken, perhaps it is
                           this channel, not the mail */

    /* The server ended it by 421, or broke the rules of SMTP (`fault`, else NULL). */
    bool turned_away;
    const char *fault;
    const char *ended_at; /* the command whose reply was owed then */

    /* Why it never became ready; DEFERRED, its texts lie in the arena. */
    struct verdict failure;
    struct arena arena;
};

/* A session whose greeting is awaited. Strings and `out` are borrowed for its life. `discarded`:
 * extensions (bits) that are not used though they are offered. */
void session_init(struct session *session, const char *hostname, const char *host,
                  const struct tls_policy *policy, const struct tls_history *history,
                  unsigned discarded, struct buffer *out);
void session_free(struct session *session);

/* Before anything came: who it is there; what is borrowed outlives it. */
void session_log_in(struct session *session, const struct login_config *login, const char *host,
                    uint16_t port);
/* Before anything came: TLS is first (RFC 8314 3). ASK_TLS, and in clear nothing goes. */
enum session_ask session_begin_secure(struct session *session);

/* Takes the replies that are complete from the front of `in`; *used says how many bytes. Stops
 * at the first that makes the session ask for something else than bytes. Bytes behind it are
 * residue, for the caller to find, when that is ASK_TLS; else they end the session. */
enum session_ask session_receive(struct session *session, struct span in, size_t *used);

/* After ASK_TLS. Each returns what is asked next. `doubt`: what was looked for in the certificate
 * and is not there, in words; only where the level goes on all the same. NULL: nothing is missing.
 */
enum session_ask session_secured(struct session *session, const char *doubt);
enum session_ask session_tls_failed(struct session *session, enum tls_outcome outcome,
                                    const char *why);

/* After ASK_SECRET. */
struct exchange_want session_wants(const struct session *session);
enum session_ask session_give_secret(struct session *session, const char *secret);
enum session_ask session_no_secret(struct session *session, const char *why);

/* After ASK_CLAIM. ASK_CLAIM again when the envelope needs what this host does not offer: its
 * verdicts are local ones, VERDICT_BOUNCED with code 0. */
enum session_ask session_deliver(struct session *session, struct delivery *delivery);
enum session_ask session_quit(struct session *session);

struct chunk { /* bytes of a body */
    uint64_t offset;
    unsigned length; /* may be 0 */
};
/* After ASK_CHUNK: which. */
struct chunk session_chunk(const struct session *session);

/* After ASK_BODY or ASK_CHUNK: its last byte lies in `out`. What may go in one flight with it is
 * put behind it. */
void session_body_written(struct session *session);
/* And has left for the socket. Before that, of the whole body, nothing can arrive twice. */
enum session_ask session_body_sent(struct session *session);

/* The connection broke: `why` in our words. Recipients without a verdict are deferred; or in
 * doubt, when the whole body was out. What broke in STARTTLS is its outcome. */
enum session_ask session_lost(struct session *session, const char *why);
/* The same, of a channel. A server of TLS 1.3 judges our end of the handshake when we have long
 * taken it for done, and what it thinks of it comes in place of the first reply inside TLS: then
 * `outcome` is that of STARTTLS after all (RFC 8446 4.4.2.4, RFC 8460 4.3). */
enum session_ask session_broke(struct session *session, enum tls_outcome outcome, const char *why);
/* Before session_lost: the last of what was sent is known not to have arrived. */
void session_not_received(struct session *session);
/* Some of a body has been written, and not all of it has left. */
bool session_halfway(const struct session *session);
/* After ASK_CLOSE: the delivery that was under way is in doubt. */
bool session_in_doubt(const struct session *session);

/* No further envelope fits into this session by the LIMITS of its server. */
bool session_spent(const struct session *session);

/* The reply that is owed did not come in time. */
enum session_ask session_timed_out(struct session *session);

/* The name of the command whose reply is owed ("MAIL"), and how long it may take: ms. */
const char *session_awaits(const struct session *session);
int64_t session_timeout_ms(const struct session *session);
