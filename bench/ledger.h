/* A ledger: one line per message, gathered in memory and appended to a file by
 * ledger_write. Each thread has its own; several may append to one file. What is written is
 * with the kernel, so it survives this process, not the machine. */
#pragma once

#include "base/buffer.h"

struct ledger {
    int file; /* -1: no ledger is kept, and the calls do nothing */
    struct buffer lines;
};

/* Opens FILE for appending; NULL keeps no ledger. 0 or -errno. */
int ledger_open(struct ledger *ledger, const char *path);
void ledger_close(struct ledger *ledger);

void ledger_line(struct ledger *ledger, struct span line);

/* Appends what was gathered. False when the file does not take it (disk full): the caller
 * must stop, for from here on the ledger would lie. */
bool ledger_write(struct ledger *ledger);
