/* The inside of an inbound session, for its own files: session.c (the table of commands, and what
 * is said outside of transactions), transaction.c (MAIL and RCPT), body.c (DATA and BDAT), client.c
 * (who it is). */
#pragma once

#include "relay/inbound/session.h"

typedef enum inbound_ask command_handler(struct inbound_session *session,
                                         const struct command *command,
                                         const struct inbound_facts *facts);

/* ---- session.c ---- */

#define TLS_FIRST "530 5.7.0 Must issue a STARTTLS command first"

/* Writes a reply. INBOUND_MORE. */
enum inbound_ask say(struct inbound_session *session, const char *reply);
/* A reply that counts against the client: INBOUND_CLOSE when that was one too many. */
enum inbound_ask complain(struct inbound_session *session, const char *reply);
void forget_transaction(struct inbound_session *session);
/* The extensions this client may use now: enum extension bits. */
unsigned inbound_offers(const struct inbound_session *session);
/* Nothing but EHLO, STARTTLS and the like goes before TLS (RFC 3207 4). */
bool inbound_needs_tls(const struct inbound_session *session);

/* ---- client.c ---- */

/* The trace header's first line: "from HELO (TCP-info)", or what the kernel says of a local user;
 * nothing in it can end the comment. */
void inbound_write_client(struct inbound_session *session);

/* ---- transaction.c ---- */

command_handler inbound_mail, inbound_rcpt;

/* ---- body.c ---- */

command_handler inbound_data, inbound_bdat;
/* Takes what it can from `in`, in INBOUND_DATA and in INBOUND_CHUNK. */
enum inbound_ask inbound_data_received(struct inbound_session *session, struct span in,
                                       size_t *used);
enum inbound_ask inbound_chunk_received(struct inbound_session *session, struct span in,
                                        size_t *used);
