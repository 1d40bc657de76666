/* The inside of an inbound connection, for its own files: arriving.c (from accept to the greeting,
 * and TLS), connection.c (its life, talking), identity.c (who its client turns out to be),
 * message.c (the message that comes in, until it is committed). */
#pragma once

#include "relay/channel.h"
#include "relay/inbound/connection.h"
#include "relay/inbound/passwords.h"
#include "relay/inbound/session.h"
#include "relay/worker.h"

enum inbound_phase {
    INBOUND_ARRIVED,
    INBOUND_PROXIED, /* a PROXY header must come first */
    INBOUND_HANDSHAKING,
    INBOUND_TALKING,
    INBOUND_WAITING,   /* for another thread: a commit, the check of a password */
    INBOUND_HELD_BACK, /* the reply to an attempt to authenticate that failed */
    INBOUND_CLOSING,   /* for the last replies to leave */
    INBOUND_LINGERING, /* for the client to read them: what it still sends is thrown away */
};

struct inbound_connection {
    struct list_node node; /* in inbound->connections */
    struct grave grave;
    struct inbound *inbound;
    struct worker *worker;
    struct config *config;              /* one reference: the one it began with */
    const struct listen_config *listen; /* in it */
    struct server_tls *tls;
    struct ip counted_as;
    bool is_counted;
    struct channel channel;
    struct inbound_session session;
    struct password_check check; /* that is under way */
    struct timer idle;
    enum inbound_phase phase;
    unsigned lingered;
    uint64_t body_mark; /* session.octets when it last made progress */
    bool gone;          /* the client went while its message was being committed */

    /* The message that is coming in. */
    struct own_file *own_file; /* a large body's */
    uint64_t spilled_id;       /* the message's whose body it is; 0: nothing was spilled */
    uint64_t spilled;          /* bytes in it */
    uint32_t crc;              /* of those */
    bool spill_failed;
    int64_t counted; /* bytes of the body buffer in METRIC_BODY_MEMORY */

    /* The message that is being committed. */
    struct change change;
    struct message *message;
    struct envelope **envelopes;
    size_t envelope_count, envelope_room;
};

/* connection.c */

/* The commit has come back. */
void inbound_answer_commit(struct inbound_connection *connection, enum commit_result result);
/* What the session asks. */
void inbound_act(struct inbound_connection *connection, enum inbound_ask ask);
/* After an answer of another thread: pumps, and says goodbye when the relay is going down. */
void inbound_pump_on(struct inbound_connection *connection);
/* Reads, answers and sends what there is. */
void inbound_pump(struct inbound_connection *connection);
/* The client has got somewhere: the time for being idle begins anew. */
void inbound_progress(struct inbound_connection *connection);
void inbound_deadline(struct inbound_connection *connection, int64_t ms); /* for its phase */
/* Closes now, or as soon as its message is committed. */
void inbound_close(struct inbound_connection *connection);
/* The last replies are in `out`: closes when they have left. */
void inbound_close_politely(struct inbound_connection *connection);

/* identity.c */

/* The session asks: whether a password fits; to let a failed attempt wait; to count another. */
void inbound_check(struct inbound_connection *connection);
void inbound_refuse(struct inbound_connection *connection);
void inbound_move(struct inbound_connection *connection);
/* The failed attempt has waited for long enough. */
void inbound_let_go(struct inbound_connection *connection);
/* Its client has failed too often to try again. */
bool inbound_is_barred(const struct inbound_connection *connection);

/* arriving.c */

/* Goes on towards the greeting, as far as the bytes reach: call it at first, and at every event in
 * INBOUND_PROXIED. */
void inbound_arrive(struct inbound_connection *connection);
/* No PROXY header came in time. */
void inbound_proxy_late(struct inbound_connection *connection);
/* The session has taken STARTTLS: answers it, and goes on with the handshake. */
void inbound_start_tls(struct inbound_connection *connection);
/* An event in INBOUND_HANDSHAKING. */
void inbound_handshake(struct inbound_connection *connection);

/* message.c */

/* After every inbound_receive: large bodies go to their own file, memory is accounted for. */
void inbound_tend_body(struct inbound_connection *connection);
void inbound_forget_body(struct inbound_connection *connection);
/* The session's message is complete: posts it to the committer. */
void inbound_commit(struct inbound_connection *connection);
/* Lets go of what was to be committed. */
void inbound_message_over(struct inbound_connection *connection);
