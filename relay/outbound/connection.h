/* A connection: one TCP/TLS channel to one host of a site, the session spoken over it, and its
 * place within the site's limit. Belongs to one worker and lives on its thread only.
 *
 * It tries the site's hosts and their addresses one after the other until a session is ready,
 * then claims envelopes for as long as there are any, then idles in the pool. */
#pragma once

#include "base/mailbox.h"

struct worker;

/* Two of the mails that dispatch sends to workers; see struct dispatch_parts. */
void connection_open(struct mail *take_opening, void *taker);
void connection_wake(struct mail *slot_wake, void *taker);

/* Idle connections say QUIT; busy ones do when they are done. */
void connections_drain(struct worker *worker);

/* At the end of the process: closes what is left. What was in hand is still in the spool. */
void connections_close(struct worker *worker);
