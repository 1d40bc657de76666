/* Whether the relay keeps its promises, looked after while it lives: against its spool, its log and
 * its own counts. What servers and clients see for themselves, they judge themselves. */
#pragma once

#include "base/span.h"
#include "queue/spool.h"

#include <stdbool.h>
#include <stdint.h>

/* A life begins: `spool` is what the last one left. What was taken and has no end must be there,
 * and nothing that has one. */
void oracles_begin(struct spool *spool);

/* A client was told 250, and that its message is called so. */
void oracles_taken(unsigned message, struct span id);

/* A line of the relay's log. */
void oracles_log(const char *line);

/* The operator wants that envelope dropped. */
void oracles_drop_asked(const struct envelope *envelope);

/* Something that the relay may take its time for: the clock, the disk or the descriptors. */
void oracles_excuse(void);

/* Now and then, when nothing is going on. */
void oracles_look(void);
