/* The inside of a connection, for its own nine files: connecting.c (which host, and how to get
 * to one that takes mail), racing.c (to which of its addresses), securing.c (TLS), logging_in.c
 * (who we are there), requiring.c (who lacks it), sending.c (a body on its way out), parting.c (how
 * it ends, and what that says), recording.c (what is kept of it for the operator) and connection.c
 * (claiming, talking, idling). */
#pragma once

#include "queue/loader.h"
#include "relay/channel.h"
#include "relay/outbound/attempt.h"
#include "relay/outbound/connection.h"
#include "relay/outbound/dispatch.h"
#include "relay/outbound/logins.h"
#include "relay/outbound/race.h"
#include "relay/outbound/transcript.h"
#include "relay/outbound/reported.h"
#include "relay/smtp/data.h"
#include "relay/worker.h"

#define HOST_TEXT_MAX (DOMAIN_MAX_BYTES + IP_TEXT_MAX + 16)
#define TRIES_MAX 20 /* addresses tried before the site is given up for now */

enum phase {
    PHASE_CONNECTING,
    PHASE_TALKING, /* a reply is owed */
    PHASE_HANDSHAKING,
    PHASE_LOGGING_IN, /* the secret of its login is on its way */
    PHASE_LOADING,    /* an envelope or a body's window is on its way from the spool */
    PHASE_SENDING,    /* the body goes out */
    PHASE_IDLE,       /* in the pool */
    PHASE_CLOSED,     /* its wake has still to come; then it opens anew */
};

/* One attempt to connect. */
struct lane {
    struct watcher watcher;
    struct connection *connection;
    int socket; /* -1: free */
    unsigned address;
    int64_t ends_ms;   /* monotonic: it has failed then */
    struct peer *peer; /* where it counts */
    struct ip source;  /* while `bound`; else the machine chose */
    bool bound;
};

struct connection {
    struct list_node node; /* in worker->outbound */
    struct grave grave;
    struct worker *worker;
    struct slot slot;
    uint64_t number;
    enum phase phase;

    struct channel channel;
    struct session session;
    struct timer deadline;
    struct transcript transcript; /* of the session */
    size_t out_noted;             /* bytes of channel.out that are in it, or are none of its */
    struct login_request login;   /* while LOGGING_IN */
    unsigned replies_seen;        /* session.replies when the deadline was last set */

    /* Which host. */
    unsigned order[RESOLVE_HOSTS_MAX]; /* the site's hosts in the order of trying */
    unsigned host_at;                  /* where in it */
    struct race race;                  /* to that host */
    struct lane lanes[RACE_LANES];
    unsigned address_at; /* of that host: which won */
    struct ip source;    /* while `bound`: from where; else the machine chose */
    bool bound;
    struct peer *peer;   /* where the channel counts */
    unsigned tries;      /* addresses tried since it was opened */
    unsigned hosts_seen; /* that took a session, for the envelope in hand */
    bool plain;          /* TLS failed here under `may`: in clear, on this new socket */
    bool without_ticket; /* one was shown and TLS failed: a full handshake, on this new socket */
    bool one_shot;       /* a lesser host, for one envelope that a better one deferred */
    bool turned_away;    /* the last host to see mail ended it, before any mail was through */
    bool may_recover;    /* some host failed for a reason that may pass: what the others lack is not
                            the last word */
    bool crowded;        /* some address was passed over for the limit of its peer */
    bool given_back;     /* the slot: only the reply to QUIT is waited for */
    char host_text[HOST_TEXT_MAX];
    int64_t handshake_us; /* monotonic: when the handshake began */
    int64_t opened_ms;    /* monotonic: when it began to connect; 0 once told */
    bool failure_recorded;
    struct verdict failure; /* of the last host that did not work; texts in the arena */
    struct arena failure_arena;

    /* What is in hand. */
    struct entry *entry; /* claimed, its envelope not here yet */
    struct attempt *attempt;
    struct verdict *earlier; /* what a better host said of the attempt's recipients */
    unsigned served;         /* envelopes, this one included */
    unsigned replies_before; /* session.replies when this delivery began */
    struct load load;
    struct data_writer writer;
    uint64_t body_at, body_until; /* what of the body is in `out` or gone; what this piece has */
    bool chunk;                   /* the piece goes as it is */
    bool body_ended;              /* the final dot is in `out` */
    size_t behind;                /* bytes that went right behind the content, at most */
    int64_t sent_by_ms;           /* monotonic: the whole body must have left by then */
    int64_t idle_since_ms;        /* monotonic; 0: it was not in the pool before this delivery */
    bool tls_told, ready_told, alive_told; /* of this socket's session */
    char tls_text[64]; /* what was reached, who asked for it: "verify:dane:TLSv1.3:resumed" */
};

/* sending.c: true when *ask is to be carried out next; false: an event must come first */
bool connection_begin_body(struct connection *connection, enum session_ask *ask);
bool connection_begin_chunk(struct connection *connection, enum session_ask *ask);
void connection_go_on_sending(struct connection *connection);

/* racing.c */

/* To the host that host_at points to. */
void connection_race_begin(struct connection *connection);
/* Begins what may be begun. False when nothing is under way: no address is left. */
bool connection_race_on(struct connection *connection);
/* Once more to the address that won, and to no other beside it. */
void connection_race_repeat(struct connection *connection);
/* The deadline has passed: somebody has taken too long, or the next may begin. */
void connection_race_late(struct connection *connection);
void connection_race_stop(struct connection *connection);
/* "mx.example[192.0.2.1]:25" */
void connection_describe(const struct connection *connection, unsigned address,
                         char text[HOST_TEXT_MAX]);

/* connecting.c */

/* The race goes on, or the next one begins; or all have been lost, and the connection ends. */
void connection_try_on(struct connection *connection);
/* An attempt failed. `tells`: that says more of the host than what is known already. */
void connection_cannot_connect(struct connection *connection, const char *host, const char *why,
                               bool tells);
/* The race is won: the greeting is awaited. */
void connection_begin_session(struct connection *connection);

/* Begins with the first host of the site, for a slot that is a claimant. */
void connection_start(struct connection *connection);

/* The session failed before it was ready, for the reason in session.failure: the next address,
 * the next host, or the end. */
void connection_host_failed(struct connection *connection);

/* Next host before next attempt: what this one deferred is offered to the next. False when
 * there is none. */
bool connection_moves_on(struct connection *connection);

/* securing.c */

/* Both return true when *ask is to be carried out next; false: an event must come first. */
bool connection_start_handshake(struct connection *connection, enum session_ask *ask);
bool connection_handshake(struct connection *connection, enum session_ask *ask);
/* What it is, if its channel is broken, and that ends the handshake. */
enum tls_outcome connection_tls_outcome(const struct connection *connection);
/* Whether the session failed at TLS, and not at something later. */
bool connection_failed_at_tls(const struct connection *connection);
/* Tells dispatch and log how STARTTLS ended, once per socket. */
void connection_tell_tls(struct connection *connection);

/* logging_in.c */

/* ASK_SECRET: it comes from the thread of logins. */
void connection_ask_secret(struct connection *connection);
void connection_tell_login(struct connection *connection);

/* Before it ever answered about a mail the server went away: the host, not the mail, failed.
 * The envelope goes back (once; then it is deferred), and the next host is tried. */
void connection_host_went_away(struct connection *connection);

/* It answered, and ended it all by 421 or against the rules before any mail was through: what it
 * said of the mail holds, and if no other host does better it is held against the site. */
void connection_turned_away(struct connection *connection);

/* requiring.c */

/* Nothing goes to these hosts but with REQUIRETLS. */
bool connection_requires_tls(const struct connection *connection);
/* The session failed before it was ready: may that pass? */
void connection_weigh_failure(struct connection *connection);
/* Every host has been tried, and none has the TLS that REQUIRETLS asks for: `failure` is then the
 * bounce of all that goes there. */
bool connection_lacks_tls(struct connection *connection);
/* Before the attempt ends: that a host lacks REQUIRETLS is no bounce as long as another might have
 * it. */
void connection_soften(struct connection *connection);

/* recording.c */

/* Into the transcript. */
void connection_note(struct connection *connection, enum transcript_by by, struct span bytes);
/* What the session has just written. */
void connection_note_said(struct connection *connection);
/* channel_flush: in place of it wherever a transcript is kept. */
enum channel_result connection_flush(struct connection *connection);
/* The session failed: `what` is the word of the event. */
void connection_record(struct connection *connection, const char *what,
                       const struct verdict *verdict);
/* There was none: the last host could not be connected to, or may not be used. */
void connection_record_unreached(struct connection *connection, const struct verdict *verdict);
/* This host did not take all of the mail in hand. */
void connection_record_mail(struct connection *connection);
/* reporting.c */

/* STARTTLS came to its end on this connection: told once per socket, when it is ready or lost. */
void connection_report_tls(struct connection *connection);
/* The host is passed over, for its terms cannot be fulfilled. */
void connection_report_refusal(struct connection *connection, const struct site_host *host);

/* parting.c */

/* A pooled connection that turned out dead, or whose server has had enough of it (452 to MAIL
 * after it took so many messages), tells nothing about the envelope: it goes back, once, and
 * another connection takes it. */
bool connection_was_stale(const struct connection *connection);
/* The server answered about this mail, if only to end it all. */
bool connection_answered(const struct connection *connection);
/* A mail is through with this host, whatever its verdict: the site lives. Once per socket. */
void connection_tell_alive(struct connection *connection);
/* ASK_CLOSE. */
void connection_over(struct connection *connection);

/* connection.c */

/* Carries out what the session asks, and what it asks then, until it waits for an event. */
void connection_act(struct connection *connection, enum session_ask ask);
/* The channel broke: `why` in our words. */
void connection_lost(struct connection *connection, const char *why);
/* Takes in what came while the connection waited for the spool. */
void connection_catch_up(struct connection *connection);
void connection_ready(struct watcher *watcher, unsigned what);
void connection_set_deadline(struct connection *connection, int64_t ms);
void connection_close_channel(struct connection *connection);
/* Closed for good: gives the slot back, if it was not before; if we were turned away the site backs
 * off. */
void connection_leave(struct connection *connection);
void connection_end_attempt(struct connection *connection);
void connection_die(struct connection *connection);

static inline struct site *site_of(const struct connection *connection)
{
    return connection->slot.site;
}

static inline struct dispatch *dispatch_of(const struct connection *connection)
{
    return connection->worker->relay->dispatch;
}

static inline const struct site_host *host_of(const struct connection *connection)
{
    return &site_of(connection)->hosts[connection->order[connection->host_at]];
}
