/* The spool's directory: made when it is missing, and locked against a second process.
 * Errors are errno values (0: fine). */
#pragma once

#include <stdbool.h>

/* Makes the directory and what is missing above it, mode 0700, durably. */
int directory_make(const char *path);

/* Locks DIR/lock and writes our process id into it. The lock lasts until `*lock` is closed
 * or the process ends, however it ends. EWOULDBLOCK: another one has it; then `*holder` is
 * its process id, or 0 when that is not known. */
int directory_lock(const char *path, int *lock, long *holder);

/* Makes the names within it durable. */
int directory_sync(const char *path);
