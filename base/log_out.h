/* Where the lines of the log go: straight to standard error, or, once log_start() was called,
 * into a bounded buffer that a thread of its own writes out. Inside of log.c only. */
#pragma once

#include "base/log.h"

/* Whole lines. Never waits for a reader while the thread runs. */
void log_out(struct span lines);

/* The line as it is written, with its end. */
struct span log_close(struct log_line *line);
/* What this thread gathered, which is forgotten. */
struct span log_take_gathered(void);
