/* The disk beneath the spool: the files are real, but every write and sync of them goes through
 * here (this program's pwrite, writev, fdatasync, … stand in front of the C library's), so that
 * it can be full, fail, or lose what was not synced when the machine dies. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What is written to standard error goes there instead: the relay's log. */
extern void (*disk_log)(const char *bytes, unsigned long length);

/* From now on what is written to regular files can be lost; with `fails` it fails, as chance wants
 * it. */
void disk_begin(bool fails);
/* Nothing goes wrong any more. */
void disk_heal(void);

bool disk_is_full(void);
/* Some write or sync has failed with EIO: the relay must end. */
bool disk_is_broken(void);

/* The machine dies after so many more writes and syncs, if it has not before. */
void disk_dies_soon(unsigned steps);
/* It dies: of what was not synced some is lost, as chance wants it. Ends the process. */
void disk_dies(void) __attribute__((noreturn));
