/* The inside of an inbound session, for its own files: session.c (the table of commands, and what
 * is said outside of transactions), transaction.c (MAIL and RCPT), body.c (DATA and BDAT), client.c
 * (who it is), authentication.c (AUTH, and what a user may). */
#pragma once

#include "relay/inbound/session.h"

typedef enum inbound_ask command_handler(struct inbound_session *session,
                                         const struct command *command,
                                         const struct inbound_facts *facts);

/* ---- session.c ---- */

#define AUTH_FIRST "530 5.7.0 Authentication required"

/* Writes a reply. INBOUND_MORE. */
enum inbound_ask say(struct inbound_session *session, const char *reply);
/* A reply that counts against the client: INBOUND_CLOSE when that was one too many. */
enum inbound_ask complain(struct inbound_session *session, const char *reply);
/* A reply behind which nothing can be understood any more. INBOUND_CLOSE. */
enum inbound_ask end_with(struct inbound_session *session, const char *reply);
void forget_transaction(struct inbound_session *session);
/* The extensions this client may use now: enum extension bits. */
unsigned inbound_offers(const struct inbound_session *session);
enum first { /* what must come before a command */
             FIRST_TLS = 1 << 0,
             FIRST_AUTH = 1 << 1,
};
/* The reply when one of `first` is required here, and has not come (RFC 3207 4, RFC 4954 4); NULL
 * otherwise. */
const char *inbound_comes_first(const struct inbound_session *session, unsigned first);

enum line_result {
    LINE_WHOLE,
    LINE_PARTIAL,
    LINE_TOO_LONG, /* it was said: INBOUND_CLOSE */
    LINE_BAD,      /* NUL or a bare CR; said as well */
};
/* One line from the front of `in`, of up to `most` bytes with its end; *used: 0 when it is not
 * whole. Lines end in CRLF; a bare LF ends one too, for people who type (RFC 5321 2.3.8 forbids it
 * only to clients), but never one of a body. */
enum line_result inbound_line(struct inbound_session *session, struct span in, size_t most,
                              struct span *line, size_t *used);
/* To before EHLO, whatever was there. */
void inbound_start_over(struct inbound_session *session);

/* ---- client.c ---- */

command_handler inbound_xclient;
bool inbound_may_xclient(const struct inbound_session *session);
/* What it may follows from who it is. */
void inbound_weigh(struct inbound_session *session);

/* The trace header's first line: "from HELO (TCP-info)", or what the kernel says of a local user;
 * nothing in it can end the comment. */
void inbound_write_client(struct inbound_session *session);

/* "(authenticated: NAME)", if somebody has; nothing in it can end the comment. */
void inbound_write_user(struct inbound_session *session);

/* ---- authentication.c ---- */

command_handler inbound_auth;
/* Takes a response from `in`, in INBOUND_RESPONSE. */
enum inbound_ask inbound_response(struct inbound_session *session, struct span in, size_t *used);
void inbound_forget_user(struct inbound_session *session);
/* "250-AUTH …", for EHLO. */
void inbound_offer_auth(struct inbound_session *session);
/* The reply that MAIL gets from the user's own limits; NULL: none, and the message is counted. */
const char *inbound_user_refusal(struct inbound_session *session, struct span sender,
                                 const struct inbound_facts *facts);
/* Of a message. */
unsigned inbound_recipients_max(const struct inbound_session *session);

/* ---- transaction.c ---- */

command_handler inbound_mail, inbound_rcpt;

/* ---- body.c ---- */

command_handler inbound_data, inbound_bdat;
/* Takes what it can from `in`, in INBOUND_DATA and in INBOUND_CHUNK. */
enum inbound_ask inbound_data_received(struct inbound_session *session, struct span in,
                                       size_t *used);
enum inbound_ask inbound_chunk_received(struct inbound_session *session, struct span in,
                                        size_t *used);
