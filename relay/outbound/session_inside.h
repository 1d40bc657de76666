/* The inside of a session, for its own five files: session.c (the table, the replies owed, from
 * the greeting to ready, and how it fails), authentication.c (AUTH), delivery.c (from MAIL to the
 * reply to the content), parameters.c (what MAIL and RCPT say, and what a host cannot take) and
 * verdicts.c. */
#pragma once

#include "base/must.h"
#include "relay/outbound/session.h"

typedef enum session_ask reply_handler(struct session *session, const struct expected *to,
                                       const struct reply *reply);

/* session.c */

/* A command was sent: its reply is owed, behind those that are owed already. */
void expect(struct session *session, enum session_step step, unsigned of);
/* Whether the next reply is owed to this. */
bool is_owed(const struct session *session, enum session_step step);

/* Before it was ready: the host as a whole failed. 5xx too is only this host's word, now. */
enum session_ask refuse_host(struct session *session, const struct verdict *verdict);
/* As far as we are concerned it could take mail; if it is to know who we are, that is first. */
enum session_ask become_ready(struct session *session);

/* authentication.c */

extern reply_handler auth_replied;
enum session_ask authenticate(struct session *session);

/* delivery.c */

extern reply_handler rset_replied, mail_replied, rcpt_replied, data_replied, content_replied,
    bdat_replied;

/* ASK_BYTES becomes ASK_CHUNK when a BDAT was written whose chunk nobody sends yet. */
enum session_ask ask_due(struct session *session, enum session_ask ask);
/* The one reply that is owed is to a chunk that has not left: it cannot be here yet. */
bool only_chunk_owed(const struct session *session);

/* parameters.c */

/* A verdict that needs no question to the host: it said in EHLO what it cannot take. */
bool cannot_take(const struct session *session, struct verdict *verdict);
void write_mail(struct session *session);
void write_rcpt(struct session *session, unsigned recipient);

/* verdicts.c */

enum verdict_kind kind_of(const struct reply *reply);
struct verdict verdict_of(const struct session *session, struct arena *arena,
                          enum verdict_kind kind, const struct reply *reply);
/* A verdict in our own words: no reply was given. */
struct verdict local_verdict(const struct session *session, struct arena *arena,
                             enum verdict_kind kind, struct status status, const char *why);

/* A recipient of the transaction under way, without a verdict yet. */
bool is_open(const struct session *session, unsigned recipient);
bool any_open(const struct session *session);
/* Every recipient of this transaction that has no verdict yet gets this one. */
void decide_open(struct session *session, const struct verdict *verdict);
void decide_open_by(struct session *session, enum verdict_kind kind, const struct reply *reply);
/* And those for a later transaction too. */
void decide_all(struct session *session, const struct verdict *verdict);
void decide_all_by(struct session *session, enum verdict_kind kind, const struct reply *reply);
