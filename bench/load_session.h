/* One connection of the load: the client's side of SMTP as a table of steps. A step is
 * written, then expected; replies pop the queue of expected steps, so pipelining and
 * lock-step are one and the same. */
#pragma once

#include "bench/load.h"
#include "relay/smtp/extension.h"

enum load_phase {
    LOAD_AWAY, /* no connection: the timer makes one */
    LOAD_CONNECTING,
    LOAD_SHAKING, /* TLS handshake */
    LOAD_TALKING,
    LOAD_GONE, /* done, or given up */
};
#define LOAD_PHASES 5

enum load_step {
    LOAD_GREETING, /* expected, never written */
    LOAD_EHLO,
    LOAD_STARTTLS,
    LOAD_RSET,
    LOAD_MAIL,
    LOAD_RCPT,
    LOAD_DATA,
    LOAD_BODY,
    LOAD_CHUNK, /* BDAT LAST and the body, in place of DATA and LOAD_BODY */
    LOAD_QUIT,
    LOAD_NOTHING, /* a reply or a due message decides what is next */
};
#define LOAD_STEPS 10

#define LOAD_EXPECTED_MAX 8 /* body, RSET, MAIL, RCPT, DATA, and some */

struct load_message {
    bool begun;   /* it counts: it will be accepted, refused, or fail */
    bool refused; /* a reply before its body said no */
    const struct load_body *body;
    uint64_t number;
    int64_t due_us;
};

struct load_session {
    struct channel channel;
    struct load_worker *worker;
    struct timer timer;
    struct list_node in_idle;
    enum load_phase phase;
    enum load_step next;
    enum load_step expected[LOAD_EXPECTED_MAX];
    unsigned expected_first, expected_count;
    bool held;    /* the last step written ends its group (RFC 2920 3.1) */
    bool unreset; /* a transaction was refused half way: RSET comes first */
    struct extensions extensions;
    struct load_message current, sent; /* sent: waits for the reply to its final dot */
    struct span unsent;                /* of the current body */
    bool chunk_begun;                  /* BDAT was written, if not yet all of its body */
    uint64_t taken;                    /* messages on this connection */
    int64_t active_ms;                 /* when something last came */
    bool failing;
    int64_t failing_since_ms;
};

/* ---- for the worker ---- */

void load_session_begin(struct load_session *session, struct load_worker *worker);
void load_session_due(struct load_session *session);  /* an idle one: its turn has come */
void load_session_stop(struct load_session *session); /* goes, if it waits for its greeting still */
void load_session_close(struct load_session *session);

/* ---- between connection and dialogue ---- */

/* The connection broke, or is of no use: what was under way has failed. Comes again after a
 * pause, unless patience is over. */
void load_session_lose(struct load_session *session, const char *where, struct span why);
/* For what trying again would not mend. */
void load_session_give_up(struct load_session *session, const char *why);
void load_session_note(struct load_session *session, const char *where, struct span why);
void load_session_again(struct load_session *session); /* after QUIT: a new connection, or none */
void load_session_start_tls(struct load_session *session);

void load_dialogue_begin(struct load_session *session); /* the next message, if there is one */
void load_dialogue_expect(struct load_session *session, enum load_step step);
void load_dialogue_write(struct load_session *session); /* all steps that may be written now */
void load_dialogue_read(struct load_session *session);  /* all replies that are there */
const char *load_dialogue_where(const struct load_session *session);
