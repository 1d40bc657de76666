/* The running relay: everything that `millrace run` starts, and how it ends. */
#pragma once

#include "relay/config.h"

/* Runs until SIGTERM or SIGINT (drain, then 0) or until the spool breaks. SIGHUP reads the
 * configuration again, SIGUSR1 logs statistics. Takes the reference. Returns a sysexits code; a
 * failure to start has been told on standard error in one line. */
int relay_run(struct config *take_config);
