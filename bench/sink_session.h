/* One client of the sink: the server's side of SMTP as a table of states and a table of
 * commands. Faults and delays come between a command and what it would have done. */
#pragma once

#include "bench/message_id.h"
#include "bench/sink.h"
#include "relay/smtp/command.h"
#include "relay/smtp/data.h"
#include "relay/smtp/header.h"

enum sink_state {
    SINK_CONNECT, /* accepted */
    SINK_GREETING,
    SINK_COMMAND,
    SINK_DATA,
    SINK_CHUNK,     /* the octets of a BDAT come */
    SINK_CHUNK_END, /* they have all come; its reply is due, but for the last one's … */
    SINK_END,       /* … and that to the final dot */
    SINK_STARTTLS,  /* 220 was said and must leave before the handshake */
    SINK_HANDSHAKE,
    SINK_STALLED, /* a fault: all that comes is thrown away */
    SINK_CLOSING, /* what is to be sent is sent, then the connection closes */
};
#define SINK_STATES 11

struct sink_session {
    struct channel channel;
    struct sink_worker *worker;
    struct list_node in_sessions, in_unsent;
    struct list flights; /* of what it says: still on their way … */
    size_t held;         /* … so many bytes */
    struct timer delay;
    bool delayed; /* the delay for what comes next is over */
    bool residue; /* a fault: more is said behind the next reply */
    bool broken;  /* nothing can be sent any more */
    bool unread;  /* the socket holds bytes that are not in the channel yet */
    enum sink_state state;
    bool greeted, has_mail;
    bool utf8, binary, requiretls;     /* MAIL said SMTPUTF8, BODY=BINARYMIME, REQUIRETLS */
    bool chunked, chunk_last;          /* a BDAT came in this transaction; it said LAST */
    bool chunk_unfit;                  /* it has no business here: it is read and refused */
    uint64_t chunk_left;               /* octets of it still to come */
    unsigned mails;                    /* transactions of this session */
    struct buffer recipients, domains; /* hashes, uint64_t each; domains: of the session */
    struct data_reader reader;
    struct header_watch header;
    struct buffer body; /* of the message; without --dump only its header */
    uint64_t size;
    char id[MESSAGE_ID_MAX];
    size_t id_length;
    bool id_sought;
};

/* Greets the client that was accepted. */
void sink_session_begin(struct sink_worker *worker, int socket);
void sink_session_destroy(struct sink_session **session);

/* Sends what is to be sent, or takes it on its way. The session may be gone afterwards. */
void sink_session_flush(struct sink_session *session);
/* Sends what has arrived, and goes on where that was waited for. The session may be gone
 * afterwards. */
void sink_session_send(struct sink_session *session);

/* ---- for the parts of a session ---- */

void sink_session_become(struct sink_session *session, enum sink_state state);
void sink_session_say(struct sink_session *session, struct span reply);
void sink_session_close_after(struct sink_session *session, struct span reply);
void sink_session_begin_mail(struct sink_session *session);
void sink_session_reset(struct sink_session *session); /* no MAIL, no RCPT, no body */

/* Which faults strike this command, and what it does when none does. */
enum fault_where sink_command_where(const struct command *command, struct span line);
void sink_command_act(struct sink_session *session, const struct command *command);

/* Looks at what data_read appended to the body; `whole` after the final dot. */
void sink_message_read(struct sink_session *session, bool whole);
/* Takes the message, or says why not. */
void sink_message_answer(struct sink_session *session);
