/* An end asked for by SIGINT or SIGTERM, seen by the thread that waits on one loop. */
#pragma once

#include "relay/os.h"

#include <signal.h>

/* From here on these signals wake `loop` and set stop_asked(); a second one kills. */
void stop_watch(struct os_loop *loop);
bool stop_asked(void);

/* Around pthread_create: threads made in between never see the signals. */
void stop_mask(sigset_t *before);
void stop_unmask(const sigset_t *before);
