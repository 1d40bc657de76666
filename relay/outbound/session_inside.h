/* The inside of a session, for its own two files: session.c (the table, the replies owed, from
 * the greeting to ready, and how it fails) and delivery.c (verdicts, and from MAIL to the reply
 * to the final dot). */
#pragma once

#include "base/must.h"
#include "relay/outbound/session.h"

typedef enum session_ask reply_handler(struct session *session, const struct expected *to,
                                       const struct reply *reply);

/* session.c */

/* A command was sent: its reply is owed, behind those that are owed already. */
void expect(struct session *session, enum session_step step, unsigned recipient);
/* Whether the next reply is owed to this. */
bool is_owed(const struct session *session, enum session_step step);

/* delivery.c */

extern reply_handler rset_replied, mail_replied, rcpt_replied, data_replied, end_of_data_replied;

enum verdict_kind kind_of(const struct reply *reply);
struct verdict verdict_of(const struct session *session, struct arena *arena,
                          enum verdict_kind kind, const struct reply *reply);
/* A verdict in our own words: no reply was given. */
struct verdict local_verdict(const struct session *session, struct arena *arena,
                             enum verdict_kind kind, struct status status, const char *why);
/* Every recipient that has no verdict yet gets this one. */
void decide_rest(struct session *session, const struct verdict *verdict);
void decide_rest_by(struct session *session, enum verdict_kind kind, const struct reply *reply);
