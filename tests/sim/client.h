/* Those who hand mail in: each has one message at a time, and comes again with it until it knows
 * what became of it. */
#pragma once

#include "tests/sim/world.h"

void clients_open(unsigned count, const struct endpoint *relay);
/* Whether every message of the ledger was taken, or nobody knows. */
bool clients_are_done(void);
void clients_heal(void);
