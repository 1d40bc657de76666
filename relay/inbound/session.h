/* The server's side of an SMTP session: pure states, no I/O (RFC 5321, 3207, 2920, 1870, 6152,
 * 2034, 3030, 3461, 4954, 6531; for those who may relay 4865 and 2852).
 *
 * Bytes come in through inbound_receive, replies go out into a buffer, and the return value
 * tells the connection what only it can do: start TLS, check a password, make a message durable,
 * close.
 * A command is one row of one table: its handler and the states in which it may come. */
#pragma once

#include "queue/message.h"
#include "relay/config.h"
#include "relay/inbound/rates.h"
#include "relay/inbound/sasl.h"
#include "relay/smtp/command.h"
#include "relay/smtp/data.h"
#include "relay/smtp/header.h"
#include "relay/smtp/parameters.h"

#define RECEIVED_MAX 100 /* Received: fields; more is a loop (RFC 5321 6.3) */

enum inbound_ask {
    INBOUND_MORE,   /* bytes */
    INBOUND_TLS,    /* look for residue, inbound_answer_tls(), flush, handshake, and when it ended
                       well inbound_secured() */
    INBOUND_COMMIT, /* the message is complete: make it durable, then inbound_committed() */
    INBOUND_CHECK,  /* whether sasl_password() is that of sasl_name(): inbound_checked() */
    INBOUND_REFUSE, /* an attempt to authenticate has failed: count it, let the client wait, then
                       inbound_refused() */
    INBOUND_MOVE,   /* another client is passed on (XCLIENT): count that one, inbound_moved() */
    INBOUND_CLOSE,  /* flush and close */
};

enum inbound_state {
    INBOUND_CONNECTED, /* no EHLO or HELO yet */
    INBOUND_READY,     /* MAIL may come */
    INBOUND_MAIL,      /* RCPT may come */
    INBOUND_RCPT,      /* DATA or BDAT may come */
    INBOUND_CHUNKED,   /* between two BDATs of a message */
    INBOUND_DATA,      /* the body comes, until the final dot */
    INBOUND_CHUNK,     /* the octets of a BDAT come */
    INBOUND_RESPONSE,  /* the client's response to a challenge comes (RFC 4954 4) */
    INBOUND_ASKED,     /* the connection does what was asked of it */
    INBOUND_COMMITTING,
};
#define INBOUND_STATES 10

/* What the session cannot know by itself; read when the answer is needed. */
struct inbound_facts {
    bool full;      /* queue, spool or memory at the limit: 452 4.3.1 */
    bool draining;  /* the relay is going down: 421 4.3.2 */
    bool barred;    /* too many failed attempts to authenticate: 421 4.7.0 */
    int64_t now_ms; /* monotonic */
};

/* A user of this machine, at the other end of a unix socket. */
struct local_user {
    unsigned uid;
    char name[CONFIG_USER_MAX + 1]; /* as config_is_user() wants it; "": not known */
};

struct inbound_recipient {
    const char *path, *orcpt; /* orcpt: "" for none */
    unsigned notify;          /* enum notify_flag bits */
};

struct inbound_session {
    /* What it was told. */
    const struct config *config;        /* outlives the session */
    struct rates *rates;                /* of all users; NULL: they are not counted */
    struct endpoint client;             /* no address: local, or what a proxy does not know */
    struct local_user local;            /* if is_local */
    const struct listen_config *listen; /* in `config`: the listener it came to */
    struct buffer *out;

    /* What it has found out. */
    enum inbound_state state;
    enum inbound_state asked_from; /* in INBOUND_ASKED by XCLIENT: the state to go on in */
    bool is_local;
    bool greeted;
    bool may_relay;
    bool secure;
    bool extended;           /* EHLO: ESMTP */
    const char *tls_version; /* for the trace header; NULL in clear */
    char helo[DOMAIN_MAX_BYTES + 1];
    char *client_name; /* as a proxy says it by XCLIENT: a domain name; NULL: none */
    struct sasl *sasl; /* an exchange is under way; NULL: none */
    char *user;        /* who has authenticated; NULL: nobody */
    unsigned errors;

    /* The transaction. */
    struct arena arena; /* its texts */
    const char *sender, *envid;
    enum body_type body_type;
    bool utf8;      /* SMTPUTF8 was said */
    bool utf8_path; /* and a path is not ASCII */
    uint32_t flags; /* what MAIL asked for: MESSAGE_RET_…, …_BY_…, …_REQUIRETLS */
    unsigned count; /* of recipients */
    int64_t release_ms, deliver_by_ms; /* as struct message has them */
    struct inbound_recipient *recipients;

    /* Its body. */
    uint64_t id; /* the message's; 0: none has begun */
    struct data_reader reader;
    struct header_watch header;
    struct buffer body;  /* trace header and body; once the header is over, the connection may take
                            from its front */
    size_t trace_bytes;  /* of the trace header */
    uint64_t body_bytes; /* of the message as it came */
    bool eight_bit_seen;
    bool oversized;    /* a chunk said itself that it would be too large */
    bool refused;      /* no more of it is kept; what is wrong with it is told at its end */
    bool refusal_told; /* or at the end of one of its chunks */
    struct {
        uint64_t left; /* octets of this BDAT */
        bool last;
        const char *refusal; /* these octets are nobody's: they are dropped, then this is said */
        enum inbound_state before; /* the state to go back to then */
    } chunk;

    uint64_t octets; /* of bodies, kept or not, since the beginning: whether there is progress */

    /* As of this inbound_receive. */
    uint64_t next_id;
    int64_t wall_ms;
};

void inbound_session_init(struct inbound_session *session, const struct config *config,
                          const struct listen_config *listen, const struct endpoint *client,
                          struct buffer *out);
void inbound_session_free(struct inbound_session *session);

/* Before the greeting: somebody else is the client, as a proxy says. */
void inbound_session_client(struct inbound_session *session, const struct endpoint *client);
/* The client is a user of this machine: `submit-users` says whether it may relay. */
void inbound_session_local(struct inbound_session *session, const struct local_user *user);

/* Who the client is, for the log: "192.0.2.1:40000", "local:1000:ann", "unknown". */
#define INBOUND_CLIENT_TEXT 64
char *inbound_client_format(const struct inbound_session *session, char text[INBOUND_CLIENT_TEXT]);

/* Puts the greeting into `out`; with TLS from the first byte, behind inbound_secured(). */
void inbound_greet(struct inbound_session *session);

/* Takes what it can from the front of `in`. `next_id` is the id a message gets whose body begins
 * now (used when session->id changes), `wall_ms` the time for its trace header. */
enum inbound_ask inbound_receive(struct inbound_session *session, struct span in, size_t *used,
                                 const struct inbound_facts *facts, uint64_t next_id,
                                 int64_t wall_ms);

/* Answers STARTTLS: 220, or 454 when no handshake can be begun now. */
void inbound_answer_tls(struct inbound_session *session, bool available);

/* The password was checked, or could not be now. */
enum check_result {
    CHECK_FITS,
    CHECK_WRONG,
    CHECK_BUSY, /* 454 4.7.0 */
};
enum inbound_ask inbound_checked(struct inbound_session *session, enum check_result result);

/* Says 535 at last; and 421 when the client is `barred` from now on. */
enum inbound_ask inbound_refused(struct inbound_session *session, bool barred);

/* Greets the client that XCLIENT has named; 421 when it has no room. */
enum inbound_ask inbound_moved(struct inbound_session *session, bool room);
#define INBOUND_TOO_MANY "421 4.7.0 Too many connections from your address"

/* The handshake ended well: back to the state after the greeting (RFC 3207 4.2). */
void inbound_secured(struct inbound_session *session, const char *tls_version);

/* The octets that come are a body's. */
static inline bool inbound_in_body(const struct inbound_session *session)
{
    return session->state == INBOUND_DATA || session->state == INBOUND_CHUNK;
}

/* Flags of the message that is to be committed: enum message_flag bits. */
uint32_t inbound_flags(const struct inbound_session *session);

enum commit_result {
    COMMIT_OK,
    COMMIT_FULL,   /* 452 4.3.1 */
    COMMIT_BROKEN, /* 451 4.3.0, and the relay is about to end */
};

/* Replies, and the session is ready for the next transaction. */
void inbound_committed(struct inbound_session *session, enum commit_result result);

/* The relay is going down, and the client is between two transactions: says 421. */
enum inbound_ask inbound_drained(struct inbound_session *session);

/* No byte came for too long: says 421. */
void inbound_timed_out(struct inbound_session *session);
